// A user and their connections, and one connection: who, since when, where, what it may still send, what was refused.

import { get, post, segment } from "./api.js";
import { bytes, count, h, put, table, visible } from "./dom.js";

const moment = (text) => new Date(text).toLocaleString();
export const userLink = (user) => (user === null ? h("span", { class: "quiet" }, "nobody known") : h("a", { href: `#/people/user/${encodeURIComponent(user)}` }, user));
export const connectionLink = (id) => h("a", { href: `#/people/connection/${encodeURIComponent(id)}` }, h("code", {}, id));
const roomLink = (channel, room) => h("a", { href: `#/rooms/${encodeURIComponent(channel)}/${encodeURIComponent(room)}` }, room);

export function people(view, app, [kind, name]) {
  let closed = false;
  const user = h("input", { id: "user", autocomplete: "off", spellcheck: "false", maxlength: 128, value: kind === "user" ? name : "" });
  const id = h("input", { id: "connection", autocomplete: "off", spellcheck: "false", maxlength: 64, value: kind === "connection" ? name : "" });
  const open = (path, input) => (event) => {
    event.preventDefault();
    if (input.value.trim()) location.hash = `#/people/${path}/${encodeURIComponent(input.value.trim())}`;
  };
  const body = h("div", {});
  put(view, h("h2", {}, "People"),
    name ? null : h("p", { class: "quiet" }, "By id. The members of a ", h("a", { href: "#/rooms" }, "room"), " are listed with it."),
    h("form", { class: "row", onsubmit: open("user", user) }, h("div", { class: "field" }, h("label", { for: "user" }, "User"), user), h("button", {}, "Show the user")),
    h("form", { class: "row", onsubmit: open("connection", id) }, h("div", { class: "field" }, h("label", { for: "connection" }, "Connection"), id), h("button", {}, "Show the connection")),
    body);
  const show = { user: aUser, connection: aConnection }[kind];
  const look = () => show(body, name, look, app, () => closed).catch((error) => { if (!closed) app.failed(error, body); });
  if (show && name) look();
  return () => { closed = true; };
}

function kick(words, asked, look, app) {
  return h("button", { type: "button", class: "danger", onclick: async () => {
    if (!confirm(visible(`${words}?`))) return;
    try {
      await post("/v1/disconnect", asked);
      look();
    } catch (error) {
      app.failed(error);
    }
  } }, words);
}

async function aUser(body, name, look, app, isClosed) {
  const user = await get(`/v1/users/${segment(name)}`, { limit: 100 });
  if (isClosed()) return;
  put(body, h("section", { class: "card" },
    h("h3", {}, user.user, " ", h("span", { class: user.online ? "good" : "quiet" }, user.online ? "online" : "offline")),
    table([{ text: "Connection" }, { text: "Channel" }, { text: "Rooms" }, { text: "Since" }, { text: "Address" }],
      user.connections.map((one) => [connectionLink(one.id), one.channel, h("ul", { class: "plain" }, one.rooms.map((room) => h("li", {}, roomLink(one.channel, room)))), moment(one.since), one.address]),
      "No connection on any node."),
    h("p", { class: "row" }, user.online && kick(`Disconnect ${user.user} everywhere`, { user: user.user }, look, app), h("button", { type: "button", onclick: look }, "Look again"))));
}

async function aConnection(body, id, look, app, isClosed) {
  const one = await get(`/console/connections/${segment(id)}`);
  if (isClosed()) return;
  const fact = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  put(body, h("section", { class: "card" },
    h("h3", {}, "Connection ", h("code", {}, one.id)),
    h("dl", { class: "facts" },
      fact("User", userLink(one.user)), fact("Channel", one.channel), fact("Since", moment(one.since)), fact("Address", one.address || "unknown"),
      fact("Rooms", one.rooms.length ? h("ul", { class: "plain" }, one.rooms.map((room) => h("li", {}, roomLink(one.channel, room)))) : "none"),
      one.allowances && one.allowances.map((each) => fact(`May still send (${each.name})`, `${count(each.left)} of ${count(each.burst)} at once`)),
      one.allowances && fact("Waits for it", `${bytes(one.waiting_bytes)} of ${bytes(one.most_waiting_bytes)}`)),
    !one.allowances && h("p", { class: "quiet" }, "It belongs to another process, which knows what it may still send and what was refused."),
    one.refusals && h("div", {}, h("h4", {}, "Last refusals"),
      table([{ text: "When" }, { text: "Code" }], [...one.refusals].reverse().map((each) => [moment(each.at), h("code", {}, each.code)]), "Nothing was refused.")),
    h("p", { class: "row" }, kick("Disconnect", { connection: one.id }, look, app), h("button", { type: "button", onclick: look }, "Look again"))));
}
