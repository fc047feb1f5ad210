// Elements without a framework. Text is only ever text: nothing that arrives is read as HTML.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, v] of Object.entries(value)) element.style.setProperty(key, v);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Redraw something, and let the keyboard stay where it was: what can have the focus says
// by `data-focus` which it is.
export function keepFocus(container, draw) {
  const { activeElement } = document;
  const key = container.contains(activeElement) ? activeElement.dataset.focus : null;
  draw();
  if (!key) return;
  const same = container.querySelector(`[data-focus="${CSS.escape(key)}"]`);
  same?.focus({ preventScroll: true });
}

export async function getJson(address) {
  const answer = await fetch(address, { headers: { accept: "application/json" } });
  if (answer.status === 401) {
    location.assign("login");
    throw new Error("log in");
  }
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(body.error ?? `the machine answers ${answer.status}`);
  return body;
}

export async function postJson(address, body) {
  const answer = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).error ?? `the machine answers ${answer.status}`);
  return answer.json();
}
