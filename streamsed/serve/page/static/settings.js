// Settings: what is in force, to be read; the only change is arming, beside the pictures.

import { getJson, h } from "./dom.js";
import { theme } from "./format.js";
import { on, state } from "./state.js";

export function settingsView(main) {
  let alive = true;
  const tables = h("div", { class: "settings" }, h("p", { class: "empty" }, "loading"));
  const sources = h("div", {});
  main.replaceChildren(h("h1", {}, "Settings"), appearance(), h("h2", {}, "Sources"), sources,
    h("h2", {}, "In force"), h("p", { class: "quiet" }, "As the file says them, without passwords. A change of the file counts after SIGHUP (", h("code", {}, "systemctl reload streamsed"), ")."),
    tables, state.hasToken ? logOut() : "");
  getJson("api/settings").then((settings) => {
    if (alive) tables.replaceChildren(...Object.entries(settings).map(([name, value]) => section(name, value)));
  }, (error) => tables.replaceChildren(h("p", { class: "notice", role: "alert" }, `${error.message}.`)));
  const show = () => sources.replaceChildren(sourceTable());
  const off = on("sources", show);
  show();
  return () => {
    alive = false;
    off();
  };
}

function appearance() {
  const now = theme();
  return h("fieldset", { class: "segments" }, h("legend", {}, "Appearance"),
    [["", "As the device"], ["light", "Light"], ["dark", "Dark"]].map(([value, words]) =>
      h("label", {}, h("input", { type: "radio", name: "theme", value, checked: now === value, onchange: () => theme(value) }), h("span", {}, words))));
}

function sourceTable() {
  return h("div", { class: "scroll" }, h("table", { class: "plain-table" },
    h("thead", {}, h("tr", {}, ["name", "state", "address", "messages"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, state.sources.map((source) => h("tr", {},
      h("th", { scope: "row" }, source.name), h("td", {}, source.reason ? `${source.state}: ${source.reason}` : source.state),
      h("td", {}, h("code", {}, source.address)), h("td", {}, source.armed ? "armed" : "disarmed"))))));
}

function section(name, value) {
  const many = Array.isArray(value) ? value : [value];
  return h("section", {}, many.map((each, index) => [
    h("h3", {}, many.length > 1 ? `${name} ${each.name ?? index + 1}` : name),
    typeof each === "object" && each !== null
      ? h("dl", { class: "list" }, Object.entries(each).map(([key, of]) => [h("dt", {}, key.replaceAll("_", " ")), h("dd", {}, words(of))]))
      : h("p", {}, words(each))]));
}

function words(value) {
  if (value === null || value === "") return "–";
  if (Array.isArray(value)) return value.length ? value.map(words).join(", ") : "–";
  if (typeof value === "object") {
    const entries = Object.entries(value);
    return entries.length ? entries.map(([key, of]) => `${key}: ${words(of)}`).join(", ") : "–";
  }
  return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

function logOut() {
  return h("form", { method: "post", action: "logout" }, h("button", { class: "plain" }, "Log out of this browser"));
}
