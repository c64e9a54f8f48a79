// Asks for the key once, then shows one view at a time; the address bar's fragment says which.

import { get, key, Refused } from "./api.js";
import { channels } from "./channels.js";
import { h, put, visible } from "./dom.js";
import { overview } from "./overview.js";
import { people } from "./people.js";
import { playground } from "./playground.js";
import { rooms } from "./rooms.js";

const VIEWS = { overview, channels, rooms, people, playground };
const TITLES = { overview: "Overview", channels: "Channels", rooms: "Rooms", people: "People", playground: "Playground" };

const main = document.getElementById("main");
const views = document.getElementById("views");
const state = document.getElementById("state");
const leave = document.getElementById("leave");
let close = () => {};

const app = {
  setup: null,
  say(pulse) {
    const words = pulse.draining ? "draining" : pulse.broker ? "serving" : "the broker is unreachable";
    state.className = pulse.draining || !pulse.broker ? "bad" : "good";
    state.textContent = pulse.nodes > 1 ? `${words}, ${pulse.nodes} nodes` : words;
  },
  failed(error, place) {
    if (error instanceof Refused && error.status === 401) return ask("The server does not know this key.");
    if (place) put(place, h("p", { class: "notice" }, error.message));
    // What one view could not show says nothing of the server.
    if (place && !(error instanceof TypeError)) return;
    state.className = "bad";
    state.textContent = error instanceof TypeError ? "the server does not answer" : visible(error.message);
  },
};

function ask(why) {
  key.forget();
  close();
  close = () => {};
  views.hidden = leave.hidden = true;
  state.textContent = "";
  document.title = "channeld console";
  const input = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", required: true });
  put(main, h("form", { class: "card narrow", onsubmit: (event) => { event.preventDefault(); key.set(input.value.trim()); enter(); } },
    h("h2", {}, "The control API's key"),
    h("p", {}, "One of ", h("code", {}, "api.keys"), " in the configuration. This tab keeps it until it is closed. ",
      h("code", {}, "channeld run --dev"), " generates one at each start: open the link that it prints."),
    why && h("p", { class: "notice", role: "alert" }, why),
    h("div", { class: "field" }, h("label", { for: "key" }, "Key"), input),
    h("p", { class: "row" }, h("button", { class: "primary" }, "Enter"))));
  input.focus();
}

async function enter() {
  try {
    app.setup = await get("/console/setup");
  } catch (error) {
    if (error instanceof Refused) return ask(error.status === 401 ? "The server does not know this key." : error.message);
    return put(main, h("p", { class: "notice" }, "The server does not answer. ", h("button", { type: "button", onclick: enter }, "Try again")));
  }
  views.hidden = leave.hidden = false;
  show();
  await feel();
}

async function feel() {
  try {
    app.say(await get("/console/pulse"));
  } catch (error) {
    app.failed(error);
  }
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function show() {
  if (!app.setup || !key.get()) return;
  const [, name = "", ...rest] = location.hash.split("/");
  const known = Object.hasOwn(VIEWS, name) ? name : "overview";
  close();
  for (const link of views.querySelectorAll("a")) {
    if (link.hash === `#/${known}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[known]} · channeld console`;
  close = VIEWS[known](main, app, rest.map(decoded));
}

// A link of `channeld run --dev` brings the key; it must not stay in the address bar or the history.
const brought = new URLSearchParams(location.hash.slice(1));
if (brought.get("key")) {
  key.set(brought.get("key"));
  history.replaceState(null, "", `#/${brought.get("view") || "overview"}`);
}

leave.addEventListener("click", () => ask());
addEventListener("hashchange", () => {
  show();
  // What failed before may be well again.
  if (state.className === "bad" && key.get()) feel();
  main.focus({ preventScroll: true });
});
if (key.get()) enter();
else ask();
