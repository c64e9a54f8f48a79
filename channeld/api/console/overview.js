// How much of what, now and over the last two minutes.

import { get } from "./api.js";
import { chart, heat } from "./charts.js";
import { bytes, count, h, put, rate, seconds as duration, sparkline, table } from "./dom.js";
import { connectionLink, userLink } from "./people.js";

const EVERY = 2000;
const KEPT = 60;
const SLOW = 10000;
const CELLS = 40;

const TILES = [
  { name: "Connections", now: (pulse) => summed(pulse, "connections"), show: count, note: "open" },
  { name: "Rooms", now: (pulse) => summed(pulse, "rooms"), show: count, note: "occupied" },
  { name: "Messages", total: "messages", show: rate, note: "a second" },
  { name: "Deliveries", total: "deliveries", show: rate, note: "a second" },
  { name: "Sent", total: "sent_bytes", show: bytes, note: "a second" },
  { name: "Waiting", now: (pulse) => pulse.totals.outbox_bytes ?? 0, show: bytes, note: "for slow clients" },
];

function summed(pulse, name) {
  return Object.values(pulse.channels).reduce((sum, channel) => sum + channel[name], 0);
}

const REFUSED = {
  accepted: "accepted",
  invalid: "refused by their schema",
  forbidden: "not allowed",
  rate_limited: "too many",
  rejected: "rejected by a hook",
  failed: "a hook or the server failed",
  unavailable: "the broker was unreachable",
};

const counted = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

// What another configuration would have refused (`channeld run --shadow`).
function shadowed(numbers) {
  const total = numbers.refused.reduce((sum, one) => sum + one.count, 0);
  const since = new Date(numbers.since * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const would = total === 1 ? "1 would be refused" : `${count(total)} would be refused`;
  return h("section", { class: "card" },
    h("h3", {}, "Shadow configuration"),
    h("p", {}, `Since ${since}: ${counted(numbers.messages, "message")} and ${counted(numbers.handshakes, "handshake")}, ${would}${total ? ":" : "."}`),
    total > 0 && table([{ text: "Channel" }, { text: "What" }, { text: "Reason" }, { text: "Refused", number: true }],
      numbers.refused.map((one) => [one.channel, one.type || "handshake", one.reason, count(one.count)])));
}

export function overview(view, app) {
  const series = TILES.map(() => []);
  let last = null;
  let timer = 0;
  let cells = null;
  let closed = false;
  const tiles = h("div", { class: "tiles" });
  const shadow = h("div", { class: "shadow" });
  const below = h("div", {});
  const plots = h("div", { class: "plots" });
  const warmth = h("div", {});
  const busy = h("div", { class: "pair" });
  put(view, h("h2", {}, "Overview"), tiles, plots, warmth, shadow, busy, below);

  function drawPast({ moments, kept, every }) {
    const minutes = Math.round((kept * every) / 60);
    const line = (name, field) => ({ name, values: moments.map((moment) => moment[field]) });
    put(plots,
      chart("Messages a second", [line("messages", "messages")], kept, minutes, rate),
      chart("Deliveries a second", [line("deliveries", "deliveries")], kept, minutes, rate),
      chart("Connections", [line("connections", "connections")], kept, minutes, count),
      chart("Refusals a second", [line("refusals", "refused")], kept, minutes, rate),
      chart("Handling a message", [line("p50", "p50"), line("p99", "p99")], kept, minutes, duration),
      chart("Waiting for slow clients", [line("waiting", "outbox_bytes")], kept, minutes, bytes));
    const names = app.setup.channels.map((channel) => channel.name);
    put(warmth, names.length > 1 && heat("Messages by channel", names.map((name) => ({ name, values: moments.map((moment) => moment.channels[name] ?? 0) })), kept, CELLS, rate));
  }

  function drawBusy(found) {
    put(busy,
      h("section", { class: "card" }, h("h3", {}, "Largest rooms"),
        table([{ text: "Room" }, { text: "Channel" }, { text: "Connections", number: true }],
          found.rooms.map((one) => [h("a", { href: `#/rooms/${encodeURIComponent(one.channel)}/${encodeURIComponent(one.room)}` }, one.room), one.channel, count(one.connections)]), "Nobody is in a room.")),
      h("section", { class: "card" }, h("h3", {}, "Slow clients"),
        table([{ text: "Connection" }, { text: "User" }, { text: "Waiting", number: true }],
          found.slow.map((one) => [connectionLink(one.id), userLink(one.user), bytes(one.bytes)]), "No data is queued for clients of this process.")));
  }

  function draw(pulse) {
    const seconds = last ? Math.max(0.001, pulse.at - last.at) : null;
    put(tiles, TILES.map((tile, at) => {
      let value = null;
      if (tile.now) value = tile.now(pulse);
      else if (seconds) value = Math.max(0, (pulse.totals[tile.total] ?? 0) - (last.totals[tile.total] ?? 0)) / seconds;
      if (value !== null) series[at].push(value);
      if (series[at].length > KEPT) series[at].shift();
      return h("section", { class: "tile" },
        h("h3", {}, tile.name),
        h("p", { class: "big" }, value === null ? "…" : tile.show(value)),
        h("p", { class: "quiet" }, tile.note),
        sparkline(series[at], KEPT));
    }));
    last = pulse;
    put(shadow, pulse.shadow && shadowed(pulse.shadow));
    if (!cells) build(pulse);
    for (const [name, cell] of Object.entries(cells.channels)) {
      const counts = pulse.channels[name] ?? { connections: 0, rooms: 0 };
      cell.connections.data = count(counts.connections);
      cell.rooms.data = count(counts.rooms);
    }
    for (const [result, cell] of Object.entries(cells.results)) cell.data = count(pulse.refused[result] ?? 0);
    app.say(pulse);
  }

  // Built once, so that focus on a link of a table is kept.
  function build(pulse) {
    const text = () => document.createTextNode("");
    cells = { channels: {}, results: {} };
    for (const channel of app.setup.channels) cells.channels[channel.name] = { connections: text(), rooms: text() };
    for (const result of Object.keys(pulse.refused)) cells.results[result] = text();
    put(below,
      pulse.nodes > 1 && h("p", { class: "quiet" }, "Connections and rooms cover all nodes, the rest covers the processes on this machine."),
      h("div", { class: "pair" },
        h("section", { class: "card" },
          h("h3", {}, "Channels"),
          table([{ text: "Channel" }, { text: "Path" }, { text: "Connections", number: true }, { text: "Rooms", number: true }, { text: "" }],
            app.setup.channels.map((channel) => [
              channel.name,
              h("code", {}, channel.path),
              cells.channels[channel.name].connections,
              cells.channels[channel.name].rooms,
              h("a", { href: `#/rooms/${encodeURIComponent(channel.name)}` }, "rooms", h("span", { class: "hidden" }, ` of ${channel.name}`)),
            ]), "No channel is declared.")),
        h("section", { class: "card" },
          h("h3", {}, "Messages since the start"),
          table([{ text: "Result" }, { text: "Messages", number: true }],
            Object.entries(cells.results).map(([result, cell]) => [REFUSED[result] ?? result, cell]), "No message type is declared."))));
  }

  // What changes slowly, and keeps the focus of a link in it for so long.
  let later = 0;
  async function look() {
    try {
      const [past, found] = await Promise.all([get("/console/past"), get("/console/busy")]);
      if (closed) return;
      drawPast(past);
      drawBusy(found);
    } catch (error) {
      if (!closed) app.failed(error);
    }
    if (!closed) later = setTimeout(look, SLOW);
  }

  async function beat() {
    try {
      const pulse = await get("/console/pulse");
      if (!closed) draw(pulse);
    } catch (error) {
      if (!closed) app.failed(error);
    }
    if (!closed) timer = setTimeout(beat, EVERY);
  }

  beat();
  look();
  return () => {
    closed = true;
    clearTimeout(later);
    clearTimeout(timer);
  };
}
