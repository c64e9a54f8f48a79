// Lines and heat of the last minutes, as SVG by hand. What a picture shows is also said in words.

import { h } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320;
const HEIGHT = 96;

function s(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// A round number at or above the largest value: the top of the scale.
function roof(top) {
  if (!(top > 0)) return 1;
  const unit = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 5, 10].find((times) => times * unit >= top * 0.999) * unit;
}

// A line is broken where a value is null. `slots` is how many values are a whole width.
function path(values, slots, top) {
  let text = "";
  let pen = false;
  values.forEach((value, at) => {
    if (value === null || value === undefined) {
      pen = false;
      return;
    }
    const x = ((slots - values.length + at) / Math.max(1, slots - 1)) * WIDTH;
    const y = HEIGHT - 2 - (value / top) * (HEIGHT - 6);
    text += `${pen ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = true;
  });
  return text;
}

// A card with one or two lines: `lines` are {name, values}; `show` writes a value.
export function chart(title, lines, slots, minutes, show) {
  const known = lines.flatMap((line) => line.values).filter((value) => value !== null && value !== undefined);
  const top = roof(Math.max(0, ...known));
  const latest = lines.map((line) => line.values.at(-1));
  const words = lines.map((line, at) => `${line.name} ${latest[at] === null || latest[at] === undefined ? "nothing" : show(latest[at])} now, at most ${show(Math.max(0, ...line.values.filter((value) => value !== null)))}`);
  const picture = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", class: "chart", "aria-label": `${title}, last ${minutes} minutes: ${words.join("; ")}` },
    ...[0.5, 1].map((share) => s("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 2 - share * (HEIGHT - 6), y2: HEIGHT - 2 - share * (HEIGHT - 6), class: "rule" })),
    ...lines.map((line, at) => s("path", { d: path(line.values, slots, top), class: `line line-${at}` })));
  return h("section", { class: "card plot" },
    h("div", { class: "plot-head" }, h("h3", {}, title),
      h("p", { class: "quiet" }, lines.length > 1 && lines.map((line, at) => h("span", { class: `key key-${at}` }, line.name)))),
    h("p", { class: "plot-now" }, latest.map((value, at) => h("span", { class: `now-${at}` }, value === null || value === undefined ? "–" : show(value)))),
    h("div", { class: "plot-body" }, picture, h("span", { class: "scale", "aria-hidden": "true" }, show(top))),
    h("p", { class: "ends", "aria-hidden": "true" }, h("span", {}, `${minutes} min ago`), h("span", {}, "now")));
}

// A row of cells for each name: the fuller, the more there was. `rows` are {name, values}.
export function heat(title, rows, slots, cells, show) {
  const size = Math.max(1, Math.ceil(slots / cells));
  const gathered = rows.map((row) => {
    const padded = [...Array(Math.max(0, slots - row.values.length)).fill(0), ...row.values];
    const sums = [];
    for (let at = 0; at < padded.length; at += size) sums.push(padded.slice(at, at + size).reduce((sum, value) => sum + value, 0) / size);
    return { name: row.name, sums, most: Math.max(0, ...row.values) };
  }).sort((one, other) => other.most - one.most);
  const top = Math.max(1e-9, ...gathered.flatMap((row) => row.sums));
  return h("section", { class: "card" }, h("h3", {}, title),
    gathered.map((row) => h("div", { class: "heat" },
      h("span", { class: "heat-name" }, row.name),
      s("svg", { viewBox: `0 0 ${row.sums.length} 1`, preserveAspectRatio: "none", role: "img", "aria-label": `${row.name}: at most ${show(row.most)} a second` },
        ...row.sums.map((value, at) => s("rect", { x: at + 0.06, y: 0, width: 0.88, height: 1, class: "cell", "fill-opacity": (value ? 0.18 + 0.82 * Math.sqrt(value / top) : 0.06).toFixed(2) }))),
      h("span", { class: "number quiet" }, show(row.most)))));
}
