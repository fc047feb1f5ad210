// Live: what goes on now, a card for every source, and the newest events.

import { h, keepFocus, postJson, setText } from "./dom.js";
import { colourIndex, duration, isToday, readable, shortDayOf, timeOf } from "./format.js";
import { Picture, describe } from "./picture.js";
import { isOngoing, newest, on, state, watch } from "./state.js";

const QUIETEST = -80; // dBFS at which the meter is empty
const SHOWN = 25; // events of the list
const WORDS = {
  starting: "starting", running: "live", waiting: "waiting", broken: "failed",
  quiet: "quiet hours", ended: "ended", stopped: "stopped",
};

export function liveView(main) {
  const now = h("p", { class: "now", id: "now" });
  const cards = h("div", { class: "cards" });
  const list = h("ol", { class: "events" });
  const wall = h("button", { class: "plain wall-button", onclick: toggleWall }, "Wall view");
  main.replaceChildren(
    h("section", { class: "hero", "aria-labelledby": "now" }, h("h1", { class: "unseen" }, "Live"), now, wall),
    h("div", { class: "live" },
      h("section", { "aria-label": "Sources" }, cards),
      h("section", { class: "latest", "aria-labelledby": "latest" },
        h("h2", { id: "latest" }, "Latest"), list,
        h("p", { class: "more" }, h("a", { href: "#/history" }, "All events")))),
  );
  const shown = new Map(); // cards by name
  const visible = new Set();
  let fitted = 0; // cards
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) visible.add(entry.target.dataset.name);
      else visible.delete(entry.target.dataset.name);
    }
    watchVisible();
  }, { rootMargin: "200px" });

  function watchVisible() {
    const names = [...shown.keys()];
    watch(names.length <= 4 ? names : names.filter((name) => visible.has(name)));
  }

  // On a wall the cards share the whole height of the screen.
  function fit() {
    const isWall = document.documentElement.classList.contains("wall");
    const columns = getComputedStyle(cards).gridTemplateColumns.split(" ").length;
    const rows = Math.ceil(shown.size / Math.max(1, columns));
    const height = innerHeight - cards.getBoundingClientRect().top - scrollY - 24;
    for (const card of shown.values()) card.fit(isWall ? height / rows - 76 : 0);
  }

  function showSources() {
    for (const source of state.sources) {
      if (!shown.has(source.name)) {
        const card = new Card(source.name);
        shown.set(source.name, card);
        cards.append(card.element);
        observer.observe(card.element);
      }
      shown.get(source.name).showStatus(source);
    }
    for (const [name, card] of shown) {
      if (state.sources.some((source) => source.name === name)) continue;
      observer.unobserve(card.element);
      card.element.remove();
      shown.delete(name);
    }
    if (cards.childElementCount !== fitted) {
      fitted = cards.childElementCount;
      fit();
    }
    watchVisible();
    showNow();
  }

  function showNow() {
    const ongoing = newest(400).filter(isOngoing).filter((event) => shown.has(event.source));
    const words = ongoing.slice(0, 4).map((event) =>
      h("span", { class: "now-item", data: { label: colourIndex(event.label) } },
        h("b", {}, readable(event.label)), ` in ${event.source}`));
    const text = words.map((word) => word.textContent).join();
    if (now.dataset.text === text && words.length) return;
    now.dataset.text = text;
    if (words.length) now.replaceChildren(...words);
    else now.replaceChildren(h("span", { class: "calm" }, quietWords()));
    if (document.documentElement.classList.contains("wall")) fit(); // it may take two lines
  }

  function quietWords() {
    if (!state.sources.length) return "Waiting for the sources";
    const deaf = state.sources.filter((source) => !["running", "quiet"].includes(source.state));
    if (deaf.length === state.sources.length) return "No sound arrives";
    return deaf.length ? `Quiet now; no sound from ${deaf.map((s) => s.name).join(", ")}` : "Quiet now";
  }

  function showEvents() {
    const events = newest(SHOWN);
    keepFocus(list, () => list.replaceChildren(...events.map((event) => eventRow(event))));
    if (!events.length) list.append(h("li", { class: "empty" }, "No events yet"));
    const all = [...state.events.values()];
    for (const [name, card] of shown) card.showEvents(all.filter((event) => event.source === name));
    showNow();
  }

  let running = true;
  const reduced = matchMedia("(prefers-reduced-motion: reduce)");
  function frame(at) {
    if (!running) return;
    for (const [name, card] of shown) if (visible.has(name)) card.draw(at, reduced.matches);
    requestAnimationFrame(frame);
  }
  requestAnimationFrame(frame);
  const ticking = setInterval(() => {
    for (const card of shown.values()) card.showScores();
  }, 500);
  addEventListener("resize", fit);
  const onWall = () => {
    setText(wall, document.documentElement.classList.contains("wall") ? "Leave" : "Wall view");
    fit();
  };
  addEventListener("wall", onWall);
  const off = [
    () => removeEventListener("resize", fit),
    () => removeEventListener("wall", onWall),
    on("sources", showSources),
    on("events", showEvents),
    on("picture", (step) => shown.get(step.source)?.take(step)),
    on("notice", (record) => shown.get(record.source)?.showNotice(record)),
  ];
  showSources();
  showEvents();
  return () => {
    running = false;
    clearInterval(ticking);
    observer.disconnect();
    for (const each of off) each();
    watch([]);
  };
}

export function eventRow(event, { withDay = false } = {}) {
  const href = event.id ? `#/event/${event.id}`
    : `#/find/${encodeURIComponent(event.source)}/${encodeURIComponent(event.run)}/${event.number}/${event.onset.getTime()}`;
  const ongoing = isOngoing(event);
  const seconds = event.offset ? (event.offset - event.onset) / 1000 : null;
  const time = withDay || !isToday(event.onset)
    ? `${shortDayOf(event.onset)} ${timeOf(event.onset)}` : timeOf(event.onset);
  return h("li", { class: ongoing ? "event ongoing" : "event", data: { label: colourIndex(event.label), state: event.state } },
    h("a", { href, data: { focus: event.key } },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("span", { class: "what" }, readable(event.label)),
      h("span", { class: "where" }, event.source),
      h("time", { datetime: event.onset.toISOString() }, time),
      h("span", { class: "how" }, ongoing ? "now" : seconds === null ? "" : duration(seconds)),
      h("span", { class: "score" }, h("span", { class: "unseen" }, "score "), event.score.toFixed(2)),
      event.state === "closed" || ongoing ? null
        : h("span", { class: "unseen" }, " may still change")));
}

class Card {
  constructor(name) {
    this.name = name;
    this.room = 0;
    this.status = h("span", { class: "state" });
    this.meter = h("span", { class: "meter-fill" });
    this.level = h("span", { class: "level" });
    this.armed = h("button", {
      class: "switch", role: "switch", "aria-checked": "true", "aria-label": `Messages for ${name}`,
      title: "Send messages for its events", onclick: () => this.toggleArmed(),
    }, h("span", { class: "knob" }));
    this.canvas = h("canvas", { role: "img", "aria-label": `Picture of ${name}` });
    this.lanes = h("ul", { class: "lanes", "aria-label": `Scores of ${name}` });
    this.pitches = h("div", { class: "pitches", "aria-hidden": "true" });
    this.facts = h("p", { class: "facts" });
    this.notice = h("p", { class: "card-notice", hidden: true });
    this.wait = h("p", { class: "wait" }, "waiting for sound");
    this.picture = new Picture(this.canvas);
    this.element = h("article", { class: "card", data: { name, state: "starting" }, "aria-label": name },
      h("header", {},
        h("h2", {}, name), this.status,
        h("span", { class: "meter", "aria-hidden": "true" }, this.meter), this.level, this.armed),
      h("div", { class: "stage" }, this.canvas, this.pitches, this.lanes, this.wait),
      this.notice, this.facts);
  }

  showStatus(source) {
    this.element.dataset.state = source.state;
    setText(this.status, WORDS[source.state] ?? source.state);
    const audible = source.level !== null && source.level > -120 && source.state === "running";
    const share = audible ? Math.max(0, Math.min(1, (source.level - QUIETEST) / -QUIETEST)) : 0;
    this.meter.style.setProperty("--share", share.toFixed(3));
    setText(this.level, audible ? `${source.level.toFixed(0).replace("-", "−")} dB` : "");
    if (!this.busy) {
      this.armed.setAttribute("aria-checked", String(source.armed));
    }
    const facts = [`listened ${duration(source.listened)}`, `lost ${duration(source.lost)}`];
    if (source.n_skipped) facts.push(`${source.n_skipped} segments skipped`);
    if (source.n_reconnects) facts.push(`opened again ${source.n_reconnects} times`);
    setText(this.facts, facts.join(" · "));
    this.facts.title = source.address;
    if (source.reason && source.state !== "running") this.say(source.reason, 0);
    else if (this.isReason) this.say("", 0);
  }

  say(text, seconds) {
    clearTimeout(this.saying);
    this.isReason = Boolean(text) && !seconds;
    setText(this.notice, text);
    this.notice.hidden = !text;
    if (seconds) this.saying = setTimeout(() => this.say("", 0), seconds * 1000);
  }

  showNotice(record) {
    const text = record.state === "gap"
      ? `${(record.offset - record.onset).toFixed(1)} s are missing: ${record.reason}` : record.text;
    this.say(text, 12);
  }

  showEvents(events) {
    this.picture.events = events;
    this.picture.dirty = true;
  }

  take(step) {
    if (this.picture.take(step) || !this.scores) this.showLabels();
    this.wait.hidden = true;
  }

  showLabels() {
    const { labels } = this.picture;
    this.scores = labels.map(() => h("span", { class: "score" }, "0.00"));
    this.rows = labels.map((label, index) => h("li", { data: { label: colourIndex(label) } },
      h("span", { class: "name", title: readable(label) }, readable(label)), this.scores[index]));
    this.lanes.replaceChildren(...this.rows);
    this.pitches.replaceChildren(...Picture.pitches(state.hertz).map(([words, share]) =>
      h("span", { vars: { "--at": share.toFixed(3) } }, words)));
    this.fit(this.room);
  }

  // Take as much of the screen's height as is given, in px.
  fit(room) {
    this.room = room;
    const { picture } = this;
    picture.fit(room);
    for (const [name, value] of [["--spectrum", picture.spectrum], ["--lane", picture.lane], ["--stage", picture.height]]) {
      this.element.style.setProperty(name, `${value}px`);
    }
  }

  showScores() {
    if (!this.scores) return;
    this.picture.labels.forEach((_, index) => {
      const score = this.picture.score(index);
      setText(this.scores[index], score.toFixed(2));
      this.rows[index].classList.toggle("active", score >= (this.picture.thresholds[index] ?? 0.5));
    });
    this.canvas.setAttribute("aria-label", describe(this.name, this.picture));
  }

  draw(at, reduced) {
    this.picture.draw(at, reduced);
  }

  async toggleArmed() {
    const armed = this.armed.getAttribute("aria-checked") !== "true";
    this.busy = true;
    this.armed.setAttribute("aria-checked", String(armed));
    try {
      await postJson(`api/sources/${encodeURIComponent(this.name)}/arm`, { armed });
    } catch (error) {
      this.armed.setAttribute("aria-checked", String(!armed));
      this.say(`not changed: ${error.message}`, 8);
    } finally {
      setTimeout(() => { this.busy = false; }, 1200);
    }
  }
}

// For a tablet on a wall: nothing but the pictures, on the whole screen, which stays on.
let lock = null;
async function toggleWall() {
  const is = document.documentElement.classList.toggle("wall");
  dispatchEvent(new Event("wall"));
  if (is) {
    await document.documentElement.requestFullscreen?.().catch(() => {});
    lock = await navigator.wakeLock?.request("screen").catch(() => null);
  } else {
    lock?.release();
    if (document.fullscreenElement) await document.exitFullscreen().catch(() => {});
  }
}
document.addEventListener("fullscreenchange", () => {
  if (document.fullscreenElement) return;
  document.documentElement.classList.remove("wall");
  dispatchEvent(new Event("wall"));
});
document.addEventListener("visibilitychange", async () => {
  const isWall = document.documentElement.classList.contains("wall");
  if (!document.hidden && isWall) lock = await navigator.wakeLock?.request("screen").catch(() => null);
});
