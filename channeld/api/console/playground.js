// Connects as somebody and sends what a channel declares, with the schema's verdict before it is sent.

import { post } from "./api.js";
import { clock, h, json, put } from "./dom.js";

const SHOWN = 300;
const PAUSE = 250;

const RESERVED = {
  ping: {},
  subscribe: { room: "general" },
  unsubscribe: { room: "general" },
  presence: { room: "general" },
  history: { room: "general", limit: 10 },
};

// Close codes whose reason a browser does not tell.
const MEANINGS = {
  1000: "closed",
  1006: "the connection was refused or lost",
  1008: "refused",
  1009: "a message was too large",
  1012: "the server restarts",
  4401: "no token, or a bad one",
  4403: "not allowed",
  4409: "replaced by a newer connection",
  4410: "kicked",
  4429: "too many errors",
  4508: "too slow",
};

const MARKS = { ok: "✓", refused: "✗", skipped: "–" };
const SAID = { ok: "passed", refused: "refused", skipped: "not run" };

// What stands between backticks is code.
function ticked(text) {
  return text.split("`").map((part, at) => (at % 2 ? h("code", {}, part) : part));
}

// A trace: each step with its place in the file, then what each kind of recipient gets.
function explained(found) {
  const last = found.steps.find((step) => step.outcome === "refused");
  return [
    h("h4", {}, last ? `Refused by ${last.name}` : "Delivered"),
    h("ol", { class: "steps" }, found.steps.map((step) => h("li", { class: step.outcome },
      h("span", { class: "sign", role: "img", "aria-label": SAID[step.outcome] }, MARKS[step.outcome]),
      h("span", {}, h("b", {}, step.name), " ", ticked(step.words)),
      step.place && h("code", { class: "place" }, step.place),
      step.details.length > 0 && h("ul", {}, step.details.map((detail) => h("li", {}, ticked(detail))))))),
    found.deliveries.map((one) => [
      h("p", { class: "quiet" }, "→ to ", ticked(one.to), one.by && ", published by hook ", one.by && h("code", {}, one.by)),
      h("pre", {}, json(one.frame)),
    ]),
  ];
}

export function playground(view, app, [channelName, typeName, userName]) {
  const { channels, urls, mints } = app.setup;
  let channel = channels.find((one) => one.name === channelName) ?? channels[0];
  let socket = null;
  let timer = 0;
  let asked = 0;
  let traced = 0;

  const log = h("ol", { class: "log tall", tabindex: "0", "aria-label": "Frames, the latest last" });
  const state = h("span", { role: "status", class: "quiet" }, "not connected");
  const who = h("fieldset", { class: "row" });
  const what = h("select", { id: "type", onchange: () => example() });
  const text = h("textarea", { id: "frame", rows: 9, spellcheck: "false", autocomplete: "off", "aria-describedby": "verdict", oninput: () => later() });
  const verdict = h("div", { id: "verdict", class: "verdict", "aria-live": "polite" });
  const steps = h("div", { class: "trace", "aria-live": "polite" });
  const sending = h("button", { type: "submit", disabled: true, title: "Ctrl+Enter" }, "Send");
  const connecting = h("button", { type: "submit" }, "Connect");
  const select = h("select", { id: "channel", onchange: (event) => { location.hash = `#/playground/${encodeURIComponent(event.target.value)}`; } },
    channels.map((one) => h("option", { value: one.name }, one.name)));
  select.value = channel.name;

  const params = Object.entries(channel.params).map(([name, value]) => ({
    name,
    input: h("input", { id: `param-${name}`, value: value === null ? "" : String(value), autocomplete: "off", spellcheck: "false" }),
  }));
  const url = h("select", { id: "url" }, urls.map((one) => h("option", { value: one }, one)));
  const user = h("input", { id: "user", value: userName || "ann", autocomplete: "off", spellcheck: "false" });
  const token = h("input", { id: "token", autocomplete: "off", spellcheck: "false", placeholder: "paste one" });
  put(who,
    h("legend", {}, "Who and where"),
    field("channel", "Channel", select),
    urls.length > 1 && field("url", "Server", url),
    params.map(({ name, input }) => field(`param-${name}`, name, input)),
    channel.takes_token && mints && field("user", "As user", user),
    channel.takes_token && field("token", mints ? "or with a token" : "Token", token),
    connecting, state);

  put(view,
    h("h2", {}, "Playground"),
    !urls.length && h("p", { class: "notice" }, "The server listens on a Unix socket only, which a browser cannot reach."),
    h("form", { onsubmit: (event) => { event.preventDefault(); toggle(); } }, who),
    h("div", { class: "columns" },
      h("form", { class: "card", onsubmit: (event) => { event.preventDefault(); send(); } },
        h("h3", {}, "Send"),
        field("type", "Type", what),
        field("frame", "Frame", text),
        verdict,
        h("p", { class: "row" }, sending,
          app.setup.traces && h("button", { type: "button", onclick: () => why() }, "Why?"),
          h("button", { type: "button", onclick: () => example() }, "Example again")),
        steps),
      h("section", { class: "card" },
        h("h3", {}, "Frames"),
        log,
        h("p", { class: "row" }, h("button", { type: "button", onclick: () => put(log) }, "Clear")))));

  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); send(); }
  });

  const own = channel.types.filter((type) => type.direction === "in");
  put(what,
    own.length ? h("optgroup", { label: "Declared" }, own.map((type) => h("option", { value: type.type }, type.type))) : null,
    h("optgroup", { label: "Of every channel" }, Object.keys(RESERVED).map((name) => h("option", { value: name }, name))));
  if (typeName && own.some((type) => type.type === typeName)) what.value = typeName;
  else if (channel.subscribes && !channel.join.length) what.value = "subscribe";  // in no room yet, most of what is sent would be refused
  example();

  function field(id, label, input) {
    return h("div", { class: "field" }, h("label", { for: id }, label), input);
  }

  function example() {
    const type = own.find((one) => one.type === what.value);
    const frame = { type: what.value, ...(type ? type.example : RESERVED[what.value]), id: 1 };
    text.value = JSON.stringify(frame, null, 2);
    check();
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(check, PAUSE);
  }

  function read() {
    const frame = JSON.parse(text.value);
    if (frame === null || typeof frame !== "object" || Array.isArray(frame)) throw new Error("a frame is one JSON object");
    if (typeof frame.type !== "string") throw new Error("a frame needs a string `type`");
    return frame;
  }

  async function check() {
    const number = ++asked;
    let frame;
    try {
      frame = read();
    } catch (error) {
      return tell("bad", [{ path: "", message: error.message }]);
    }
    if (!own.some((type) => type.type === frame.type)) {
      const known = Object.hasOwn(RESERVED, frame.type) || frame.type === "authenticate";
      return known ? tell("good", []) : tell("bad", [{ path: "/type", message: `this channel declares no \`${frame.type}\`` }]);
    }
    try {
      const { errors } = await post("/console/check", { channel: channel.name, type: frame.type, message: frame });
      if (number === asked) tell(errors.length ? "bad" : "good", errors);
    } catch (error) {
      if (number === asked) tell("bad", [{ path: "", message: error.message }]);
    }
  }

  function tell(kind, errors) {
    verdict.className = `verdict ${kind}`;
    text.setAttribute("aria-invalid", String(kind === "bad"));
    put(verdict, kind === "good" ? "The schema accepts it." : h("ul", {}, errors.map((one) => h("li", {}, one.path && h("code", {}, one.path), one.path && " ", one.message))));
  }

  function add(kind, mark, content) {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    log.append(h("li", { class: kind }, h("time", {}, clock()), h("span", { class: "mark" }, mark), content));
    while (log.childElementCount > SHOWN) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  function path() {
    return channel.path.replace(/\{(\w+)(\.\.\.)?\}/g, (_all, name, rest) => {
      const value = params.find((one) => one.name === name).input.value;
      return rest ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
    });
  }

  async function bearerOf() {
    const pasted = token.value.trim();
    if (pasted || !channel.takes_token || !mints || !user.value) return pasted;
    return (await post("/console/token", { channel: channel.name, user: user.value })).token;
  }

  // What becomes of the frame: an engine of its own follows it, without hooks.
  async function why() {
    const number = ++traced;
    put(steps, h("p", { class: "quiet" }, "Following the message…"));
    try {
      const bearer = await bearerOf();
      const found = await post("/console/trace", { path: path(), frame: text.value, ...(bearer ? { token: bearer } : {}) });
      if (number === traced) put(steps, explained(found));
    } catch (error) {
      if (number === traced) put(steps, h("p", { class: "bad" }, error.message));
    }
  }

  async function toggle() {
    if (socket) return socket.close(1000);
    let bearer;
    try {
      bearer = await bearerOf();
    } catch (error) {
      return app.failed(error);
    }
    const base = urls.length > 1 ? url.value : urls[0];
    const target = base + path() + (bearer ? `?token=${encodeURIComponent(bearer)}` : "");
    try {
      open(new WebSocket(target));
    } catch (error) {
      add("note", "·", `not connected: ${error.message}`);
    }
  }

  function open(opened) {
    socket = opened;
    let was = false;
    connecting.textContent = "Disconnect";
    state.textContent = "connecting…";
    socket.onopen = () => {
      was = true;
      state.textContent = "connected";
      sending.disabled = false;
      add("note", "·", `connected to ${path()}`);
    };
    socket.onmessage = (event) => add("in", "↓ received", h("pre", {}, json(JSON.parse(event.data))));
    socket.onclose = (event) => {
      if (socket !== opened) return;
      socket = null;
      sending.disabled = true;
      connecting.textContent = "Connect";
      state.textContent = "not connected";
      const words = event.reason || MEANINGS[event.code] || "closed";
      add("note", "·", `${event.code}: ${words}`);
      if (!was) add("note", "·", `If the path is right, the server may not allow connections from this page: server.allowed_origins would need ${location.origin}.`);
    };
  }

  function send() {
    if (!socket || socket.readyState !== WebSocket.OPEN) return;
    let frame;
    try {
      frame = read();
    } catch {
      return check();
    }
    socket.send(JSON.stringify(frame));
    add("out", "↑ sent", h("pre", {}, json(frame)));
  }

  return () => {
    clearTimeout(timer);
    const old = socket;
    socket = null;
    old?.close(1000);
  };
}
