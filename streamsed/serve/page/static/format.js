// Words for people: labels, times, durations, numbers; and the choice of colours.

export const readable = (label) => label.replaceAll("_", " ");

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit",
});
const shortClock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, {
  weekday: "long", day: "numeric", month: "long",
});
const shortDay = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" });

// For an axis, where there is no room for morning and afternoon.
export const axisTimeOf = (date) => clock.formatToParts(date)
  .filter((part) => part.type !== "dayPeriod").map((part) => part.value).join("").trim();

export const timeOf = (date) => clock.format(date);
export const hourOf = (date) => shortClock.format(date);
export const dayOf = (date) => day.format(date);
export const shortDayOf = (date) => shortDay.format(date);

export function isToday(date) {
  return date.toDateString() === new Date().toDateString();
}

export function whenOf(date) {
  return isToday(date) ? timeOf(date) : `${shortDay.format(date)}, ${timeOf(date)}`;
}

export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} days`;
}

export function rate(perHour) {
  if (!Number.isFinite(perHour)) return "–";
  return perHour >= 10 ? perHour.toFixed(0) : perHour >= 1 ? perHour.toFixed(1) : perHour.toFixed(2);
}

// Labels in the order of the model get colours that differ for people with any sight; the
// style sheet has them, for light and for dark.
const known = [];
export function colourIndex(label) {
  let index = known.indexOf(label);
  if (index < 0) index = known.push(label) - 1;
  return index % 10;
}
export function learnLabels(labels) {
  for (const label of labels) colourIndex(label);
}

// "light", "dark", or "" as the device has it.
export function theme(choice) {
  if (choice !== undefined) localStorage.setItem("theme", choice);
  const chosen = localStorage.getItem("theme") ?? "";
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
  return chosen;
}
