// Elements from names, attributes and children. Text is always text: nothing here ever parses HTML.

// What would not be seen, or would turn a name around so that it reads like another, as JSON escapes it.
export const visible = (text) => String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) =>
  char === "\n" || char === "\t" ? char : char.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join(""));

const shown = (children) => children.flat(Infinity)
  .filter((child) => child !== null && child !== undefined && child !== false)
  .map((child) => (child instanceof Node ? child : visible(child)));

export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked") element[key] = value;
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...shown(children));
  return element;
}

export function put(parent, ...children) {
  parent.replaceChildren(...shown(children));
}

export function table(heads, rows, empty) {
  if (!rows.length) return h("p", { class: "quiet" }, empty);
  return h("div", { class: "scroll" }, h("table", {},
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col", class: head.number ? "number" : null }, head.text ?? head)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell, at) => h("td", { class: heads[at].number ? "number" : null }, cell)))))));
}

const SVG = "http://www.w3.org/2000/svg";

// A line of the latest values; what it shows is described next to it.
export function sparkline(values, length) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 120 28");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "spark");
  if (values.length > 1) {
    const top = Math.max(...values, 1e-9);
    const start = length - values.length;
    const points = values.map((value, at) => `${((start + at) / (length - 1) * 120).toFixed(1)},${(26 - value / top * 24).toFixed(1)}`);
    const line = document.createElementNS(SVG, "polyline");
    line.setAttribute("points", points.join(" "));
    svg.append(line);
  }
  return svg;
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (value) => whole.format(value);
export const rate = (value) => (value >= 1000 ? whole.format(value) : fine.format(value));

export function bytes(value) {
  for (const unit of ["B", "KiB", "MiB"]) {
    if (value < 1024) return `${(unit === "B" ? whole : fine).format(value)} ${unit}`;
    value /= 1024;
  }
  return `${fine.format(value)} GiB`;
}

export function seconds(value) {
  for (const [unit, size] of [["µs", 1e-6], ["ms", 1e-3]]) if (value < size * 1000) return `${fine.format(value / size)} ${unit}`;
  return `${fine.format(value)} s`;
}

// JSON on several lines, or on one where that is short.
export function json(value) {
  const line = JSON.stringify(value);
  return line.length <= 100 ? line : JSON.stringify(value, null, 2);
}

export const clock = () => new Date().toTimeString().slice(0, 8);
