// An event's own page: what, where and when, its picture, and its sound if it is kept.

import { getJson, h } from "./dom.js";
import { colourIndex, dayOf, duration, readable, timeOf } from "./format.js";
import { fromStore, isOngoing, keyOf, on } from "./state.js";

const RETRY = 1500; // ms until an event that is not stored yet is asked for again

export function eventView(main, id) {
  let alive = true;
  let due = 0;
  main.replaceChildren(h("p", { class: "empty" }, "loading"));

  async function load() {
    clearTimeout(due);
    try {
      const event = fromStore(await getJson(`api/events/${id}`));
      if (!alive) return;
      show(main, event);
      // Until it is settled, and a little longer for its picture and sound.
      if (event.state !== "closed" || !event.picture) due = setTimeout(load, 4 * RETRY);
    } catch (error) {
      if (alive) main.replaceChildren(h("h1", {}, "Event"), h("p", { class: "notice", role: "alert" }, `${error.message}.`), back());
    }
  }
  load();
  const off = on("connected", (is) => is && load());
  return () => {
    alive = false;
    clearTimeout(due);
    off();
  };
}

// Find an event that was live and is, or soon will be, in the store.
export function findView(main, source, run, number, onset) {
  let alive = true;
  let tries = 0;
  main.replaceChildren(h("p", { class: "empty" }, "loading"));
  async function look() {
    const seconds = Number(onset) / 1000;
    const asks = new URLSearchParams({ since: seconds - 60, until: seconds + 60, source });
    const found = (await getJson(`api/events?${asks}`).catch(() => [])).map(fromStore)
      .find((event) => event.key === keyOf(source, run, Number(number)));
    if (!alive) return;
    if (found) location.replace(`#/event/${found.id}`);
    else if (++tries < 5) setTimeout(look, RETRY);
    else main.replaceChildren(h("h1", {}, "Event"), h("p", { class: "notice" }, "This event is not stored: it was withdrawn, or the store cannot be written now."), back());
  }
  look();
  return () => { alive = false; };
}

function back() {
  return h("p", { class: "more" }, h("a", { href: "#/history" }, "All events"));
}

function show(main, event) {
  const seconds = event.offset ? (event.offset - event.onset) / 1000 : null;
  const how = isOngoing(event) ? "going on now" : seconds === null ? "its end is not known" : `${duration(seconds)} long`;
  const facts = [
    ["source", event.source], ["onset", exact(event.onset)],
    ["offset", event.offset ? exact(event.offset) : "–"],
    ["score", event.score.toFixed(3)],
    ["state", event.state === "closed" ? "settled" : "may still change"],
    ["run", `${event.run}, number ${event.number}`],
  ];
  const heading = h("h1", {}, readable(event.label));
  main.replaceChildren(h("article", { class: "event-page", data: { label: colourIndex(event.label) } },
    h("header", {}, h("span", { class: "dot big", "aria-hidden": "true" }), heading,
      h("p", { class: "quiet" }, `${event.source} · ${dayOf(event.onset)}, ${timeOf(event.onset)} · ${how}`)),
    pictureOf(event, seconds),
    event.clip ? h("audio", { controls: true, preload: "metadata", src: event.clip, "aria-label": `The sound of ${readable(event.label)}` })
      : h("p", { class: "quiet" }, "Its sound is not kept."),
    h("dl", { class: "list" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    back()));
}

function exact(date) {
  return `${date.toLocaleDateString()} ${timeOf(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

function pictureOf(event, seconds) {
  if (!event.picture) {
    return h("p", { class: "quiet" }, event.state === "closed" ? "There is no picture of it." : "Its picture comes when it is settled.");
  }
  const { url, lead, column } = event.picture;
  const frame = h("span", { class: "span", "aria-hidden": "true" });
  const image = h("img", {
    src: url, alt: `Log-mel picture of ${readable(event.label)} in ${event.source}`,
    onload: () => {
      const whole = image.naturalWidth * column;
      frame.style.setProperty("--left", (lead / whole).toFixed(4));
      frame.style.setProperty("--width", (Math.min(seconds ?? whole, whole - lead) / whole).toFixed(4));
      const strip = Math.min(1, whole / 6);
      figure.style.setProperty("--strip", strip.toFixed(3));
    },
  });
  const figure = h("figure", { class: "picture" }, h("div", {}, image, frame),
    h("figcaption", {}, "What the model sees: time to the right, pitch upwards. The line marks the event."));
  return figure;
}
