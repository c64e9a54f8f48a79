// Rooms, who is in them, and a room's frames as they come.

import { get, post, segment, tail } from "./api.js";
import { clock, count, h, json, put, table, visible } from "./dom.js";
import { connectionLink, userLink } from "./people.js";

const PAGE = 50;
const SHOWN = 200;

export function rooms(view, app, [channelName, roomName]) {
  const names = app.setup.channels.map((channel) => channel.name);
  const channel = names.includes(channelName) ? channelName : names[0];
  const stop = new AbortController();
  const go = (name, room) => {
    location.hash = `#/rooms/${encodeURIComponent(name)}${room === undefined ? "" : `/${encodeURIComponent(room)}`}`;
  };
  const select = h("select", { id: "channel", onchange: (event) => go(event.target.value) },
    names.map((name) => h("option", { value: name }, name)));
  select.value = channel;
  const wanted = h("input", { id: "room", autocomplete: "off", spellcheck: "false", placeholder: "name of a room", value: roomName ?? "", maxlength: 128 });
  const form = h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); if (wanted.value) go(channel, wanted.value); } },
    h("div", { class: "field" }, h("label", { for: "channel" }, "Channel"), select),
    h("div", { class: "field" }, h("label", { for: "room" }, "Room"), wanted),
    h("button", {}, "Open"));
  const body = h("div", {});
  put(view, h("h2", {}, "Rooms"), form, body);
  const show = roomName === undefined ? list : one;
  show(body, app, channel, roomName, stop.signal, go).catch((error) => app.failed(error, body));
  return () => stop.abort();
}

async function list(body, app, channel, _room, _signal, _go) {
  const found = [];
  async function more(after) {
    const page = await get(`/v1/channels/${segment(channel)}/rooms`, { limit: PAGE, after });
    found.push(...page.rooms);
    put(body,
      table([{ text: "Room" }, { text: "Connections", number: true }],
        found.map((row) => [h("a", { href: `#/rooms/${encodeURIComponent(channel)}/${encodeURIComponent(row.room)}` }, row.room), count(row.connections)]),
        "Nobody is in a room of this channel."),
      h("p", { class: "row" },
        page.next !== undefined && h("button", { type: "button", onclick: () => more(page.next).catch((error) => app.failed(error)) }, "More"),
        h("button", { type: "button", onclick: () => list(body, app, channel).catch((error) => app.failed(error)) }, "Look again")));
  }
  await more();
}

async function one(body, app, channel, room, signal) {
  const about = app.setup.channels.find((each) => each.name === channel);
  const path = `/v1/channels/${segment(channel)}/rooms/${segment(room)}`;
  const people = h("section", { class: "card" });
  const frames = h("ol", { class: "log", tabindex: "0", "aria-label": "Frames, the latest last" });
  const status = h("span", { class: "quiet", role: "status" }, "connecting…");
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    const on = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(on));
    pause.textContent = on ? "Go on" : "Pause";
  } }, "Pause");
  const filter = h("input", { id: "filter", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "any text of a frame", oninput: () => {
    for (const line of frames.children) line.hidden = !passes(line);
  } });
  const passes = (line) => line.textContent.toLowerCase().includes(filter.value.trim().toLowerCase());
  put(body,
    people,
    h("section", { class: "card" },
      h("h3", {}, "Live: ", h("code", {}, room)),
      h("div", { class: "field" }, h("label", { for: "filter" }, "Show only frames with"), filter),
      h("p", { class: "row" }, pause, h("button", { type: "button", onclick: () => put(frames) }, "Clear"), status),
      frames));

  async function look() {
    const [members, present] = await Promise.all([
      get(path, { limit: PAGE }),
      about.presence ? get(`${path}/presence`, { limit: PAGE }) : null,
    ]);
    put(people,
      h("h3", {}, `${count(members.connections)} connection${members.connections === 1 ? "" : "s"} in `, h("code", {}, room)),
      present && h("p", {}, `Present: `, present.users.length ? present.users.map((user) => user.user).join(", ") : "nobody", present.next === undefined ? "" : ", …"),
      table([{ text: "User" }, { text: "Connection" }, { text: "Since" }, { text: "Address" }, { text: "" }],
        members.members.map((member) => [
          userLink(member.user),
          connectionLink(member.id),
          new Date(member.since).toLocaleString(),
          member.address,
          h("button", { type: "button", class: "danger", onclick: () => kick(member) }, "Disconnect", h("span", { class: "hidden" }, ` ${member.user ?? member.id}`)),
        ]), "Nobody is here."),
      members.next !== undefined && h("p", { class: "quiet" }, `The first ${PAGE} of them.`),
      h("p", { class: "row" }, h("button", { type: "button", onclick: () => look().catch((error) => app.failed(error)) }, "Look again")));
  }

  async function kick(member) {
    if (!confirm(visible(`Disconnect ${member.user ?? member.id}?`))) return;
    try {
      await post("/v1/disconnect", { connection: member.id });
      await look();
    } catch (error) {
      app.failed(error);
    }
  }

  function add(content, kind) {
    const atEnd = frames.scrollHeight - frames.scrollTop - frames.clientHeight < 40;
    const line = h("li", { class: kind }, h("time", {}, clock()), content);
    line.hidden = !passes(line);
    frames.append(line);
    while (frames.childElementCount > SHOWN) frames.firstElementChild.remove();
    if (atEnd) frames.scrollTop = frames.scrollHeight;
  }

  await look();
  const on = {
    open: () => { status.textContent = "watching"; },
    missed: (number) => add(`${count(number)} frames came too fast to be shown`, "note"),
    frame: (frame) => { if (pause.getAttribute("aria-pressed") !== "true") add(h("pre", {}, json(frame)), "in"); },
  };
  try {
    await tail(channel, room, on, signal);
    status.textContent = "the server has ended this; open the room again";
  } catch (error) {
    if (signal.aborted) return;
    status.textContent = "lost; open the room again";
    app.failed(error);
  }
}
