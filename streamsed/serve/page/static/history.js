// History: how often what was detected, for each hour or day, per hour listened.

import { getJson, h, keepFocus } from "./dom.js";
import { colourIndex, duration, rate, readable, shortDayOf } from "./format.js";
import { eventRow } from "./live.js";
import { fromStore, on } from "./state.js";

const HOUR = 3600;
const PAGE = 40; // events of the list
const RANGES = { today: ["Today", 1], week: ["7 days", 7], month: ["4 weeks", 28] };
const LEVELS = 5;

const KINDS = { label: "by label", source: "by source" };

const chosen = { range: "today", by: "label", source: "", label: "" };

export function historyView(main) {
  const filters = h("div", { class: "filters" });
  const summary = h("dl", { class: "tiles" });
  const chart = h("div", { class: "chart", role: "region", tabindex: "0", "aria-label": "Counts, may be scrolled" });
  const list = h("ol", { class: "events wide" });
  const older = h("button", { class: "plain", onclick: () => loadEvents(false), hidden: true }, "Older events");
  const problem = h("p", { class: "notice", role: "alert", hidden: true });
  main.replaceChildren(
    h("h1", {}, "History"), filters, problem, summary, chart,
    h("h2", { id: "list" }, "Events"), list, h("p", { class: "more" }, older));
  let alive = true;
  let oldest = null;
  let asked = 0;
  let sources = [];

  function span() {
    const start = new Date();
    start.setHours(0, 0, 0, 0);
    start.setDate(start.getDate() - (RANGES[chosen.range][1] - 1));
    return [start, new Date()];
  }

  function query(extra = {}) {
    const [since] = span();
    const asks = new URLSearchParams({ since: since.getTime() / 1000, ...extra });
    if (chosen.source) asks.append("source", chosen.source);
    return asks;
  }

  function choose(name, value) {
    chosen[name] = value;
    load();
  }

  function showFilters() {
    keepFocus(filters, () => filters.replaceChildren(...[
      h("fieldset", { class: "segments" }, h("legend", { class: "unseen" }, "Time"),
        Object.entries(RANGES).map(([key, [words]]) => h("label", {},
          h("input", { type: "radio", name: "range", value: key, data: { focus: `range ${key}` }, checked: chosen.range === key, onchange: () => choose("range", key) }),
          h("span", {}, words)))),
      h("fieldset", { class: "segments" }, h("legend", { class: "unseen" }, "Rows"),
        Object.entries(KINDS).map(([key, words]) => h("label", {},
          h("input", { type: "radio", name: "by", value: key, data: { focus: `by ${key}` }, checked: chosen.by === key, onchange: () => choose("by", key) }),
          h("span", {}, words)))),
      h("label", { class: "select" }, h("span", { class: "unseen" }, "Source"),
        h("select", { data: { focus: "source" }, onchange: (event) => choose("source", event.target.value) },
          h("option", { value: "" }, "All sources"),
          sources.map((name) => h("option", { value: name, selected: chosen.source === name }, name)))),
      chosen.label ? h("button", { class: "plain chip", onclick: () => choose("label", "") },
        `only ${readable(chosen.label)} `, h("span", { "aria-hidden": "true" }, "×"), h("span", { class: "unseen" }, "remove")) : null,
    ].filter(Boolean)));
  }

  async function load() {
    const mine = ++asked;
    try {
      const hours = await getJson(`api/hours?${query()}`);
      if (!alive || mine !== asked) return;
      problem.hidden = true;
      sources = [...new Set([...sources, ...hours.listened.map((each) => each.source), ...hours.counts.map((each) => each.source)])].sort();
      showFilters();
      showHours(hours);
      await loadEvents(true);
    } catch (error) {
      problem.textContent = `The history cannot be shown: ${error.message}.`;
      problem.hidden = false;
    }
  }

  function showHours({ counts, listened }) {
    const bins = binsOf(chosen.range, span());
    const heard = bins.map(() => 0);
    const heardBy = new Map(); // source
    for (const each of listened) {
      const bin = binAt(bins, each.hour);
      heard[bin] += each.heard;
      if (!heardBy.has(each.source)) heardBy.set(each.source, bins.map(() => 0));
      heardBy.get(each.source)[bin] += each.heard;
    }
    const heardFor = (row) => (chosen.by === "source" ? heardBy.get(row) ?? bins.map(() => 0) : heard);
    const rows = new Map();
    for (const each of counts) {
      const row = each[chosen.by];
      if (!rows.has(row)) rows.set(row, bins.map(() => 0));
      rows.get(row)[binAt(bins, each.hour)] += each.n_events;
    }
    const total = counts.reduce((sum, each) => sum + each.n_events, 0);
    const hours = heard.reduce((sum, seconds) => sum + seconds, 0) / HOUR;
    summary.replaceChildren(
      tile("events", String(total)), tile("listened", duration(hours * HOUR)),
      tile("per hour listened", hours ? rate(total / hours) : "–"));
    keepFocus(chart, () => chart.replaceChildren(table(bins, rows, heardFor, heard)));
    const last = chart.querySelector("tr .cell:nth-last-child(1 of .cell:not(.future))");
    if (last) chart.scrollLeft = last.offsetLeft + last.offsetWidth + 48 - chart.clientWidth;
  }

  function table(bins, rows, heardFor, heard) {
    const most = Math.max(1e-9, ...[...rows.values()].flatMap((row) => row.map((n, i) => perHour(n, heard[i]))));
    const sorted = [...rows].sort((a, b) => sum(b[1]) - sum(a[1]));
    return h("table", { class: "heat" },
      h("caption", { class: "unseen" }, `Events ${RANGES[chosen.range][0].toLowerCase()}, ${KINDS[chosen.by]} and time; the colour is the rate per hour listened`),
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, chosen.by),
        bins.map((bin) => h("th", { scope: "col", class: bin.isMajor ? "major" : "minor" }, h("span", {}, bin.short), h("span", { class: "unseen" }, bin.long))),
        h("th", { scope: "col", class: "number" }, "events"), h("th", { scope: "col", class: "number" }, "per hour"))),
      h("tbody", {}, sorted.map(([name, row]) => tableRow(name, row, heardFor(name), most, bins))),
      h("tfoot", {}, h("tr", {},
        h("th", { scope: "row" }, "listened"),
        bins.map((bin, i) => h("td", { class: "heard" },
          h("span", { class: "bar", title: `${duration(heard[i])} listened, ${bin.long}`, vars: { "--share": Math.min(1, heard[i] / Math.max(...heard, 1)).toFixed(3) } }),
          h("span", { class: "unseen" }, duration(heard[i])))),
        h("td", { colspan: "2", class: "number" }, duration(sum(heard))))));
  }

  function tableRow(name, row, heard, most, bins) {
    const hours = sum(heard) / HOUR;
    const isChosen = chosen[chosen.by] === name;
    return h("tr", { data: { label: chosen.by === "label" ? colourIndex(name) : 0 } },
      h("th", { scope: "row" }, h("button", {
        class: "plain", "aria-pressed": String(isChosen), data: { focus: `row ${name}` },
        onclick: () => choose(chosen.by, isChosen ? "" : name),
      }, h("span", { class: "dot", "aria-hidden": "true" }), readable(name))),
      row.map((n, i) => cell(n, heard[i], most, bins[i])),
      h("td", { class: "number" }, String(sum(row))),
      h("td", { class: "number" }, hours ? rate(sum(row) / hours) : "–"));
  }

  function cell(n, heardSeconds, most, bin) {
    const level = n ? Math.max(1, Math.ceil(LEVELS * Math.sqrt(perHour(n, heardSeconds) / most))) : 0;
    if (bin.start > Date.now() / 1000) return h("td", { class: "cell future" });
    const what = heardSeconds || n ? `${n} ${n === 1 ? "event" : "events"}` : "not listened";
    return h("td", { class: heardSeconds || n ? "cell" : "cell deaf", data: { level: Math.min(LEVELS, level) }, title: `${what}, ${bin.long}` },
      h("span", { class: n ? "" : "unseen" }, String(n)));
  }

  async function loadEvents(fresh) {
    const asks = query({ newest: PAGE });
    if (chosen.label) asks.append("label", chosen.label);
    if (!fresh && oldest) asks.set("until", oldest);
    const mine = asked;
    const found = (await getJson(`api/events?${asks}`)).map(fromStore);
    if (!alive || mine !== asked) return;
    const rows = found.map((event) => eventRow(event, { withDay: chosen.range !== "today" }));
    if (fresh) keepFocus(list, () => list.replaceChildren(...rows));
    else list.append(...rows);
    if (!list.childElementCount) list.append(h("li", { class: "empty" }, "No events in this time"));
    oldest = found.length ? found.at(-1).onset.getTime() / 1000 : null;
    older.hidden = found.length < PAGE;
  }

  let due = 0;
  const off = on("events", () => {
    clearTimeout(due);
    due = setTimeout(load, 3000);
  });
  showFilters();
  load();
  return () => {
    alive = false;
    clearTimeout(due);
    off();
  };
}

const sum = (row) => row.reduce((total, n) => total + n, 0);
const perHour = (n, seconds) => n / Math.max(seconds / HOUR, 0.05);

function tile(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

// Hours of today, or days: beginnings, and words for them.
function binsOf(range, [since]) {
  const bins = [];
  if (range === "today") {
    for (let hour = 0; hour < 24; hour++) {
      const start = new Date(since);
      start.setHours(hour);
      bins.push({ start: start.getTime() / 1000, short: String(hour), long: `${hour}:00 to ${hour + 1}:00`, isMajor: hour % 3 === 0 });
    }
    return bins;
  }
  for (let number = 0; number < RANGES[range][1]; number++) {
    const start = new Date(since);
    start.setDate(start.getDate() + number);
    bins.push({
      start: start.getTime() / 1000, short: range === "week" ? shortDayOf(start) : String(start.getDate()),
      long: start.toDateString(), isMajor: range === "week" || number % 7 === 0,
    });
  }
  return bins;
}

function binAt(bins, seconds) {
  let index = bins.findIndex((bin) => bin.start > seconds);
  if (index < 0) index = bins.length;
  return Math.max(0, index - 1);
}
