// What is declared: the table of `channeld routes`, a section for each channel.

import { h, put, table } from "./dom.js";

const HEADS = [{ text: "Type" }, { text: "Who sends it" }, { text: "Who gets it" }, { text: "" }];

function badges(channel) {
  return h("ul", { class: "badges", "aria-label": "Properties" },
    h("li", {}, channel.auth === "none" ? "open to anyone" : `auth: ${channel.auth}`),
    channel.presence && h("li", {}, "presence"),
    channel.history && h("li", {}, "history"),
    channel.join.map((room) => h("li", {}, "joins ", h("code", {}, room))),
    channel.subscribes && h("li", {}, "clients subscribe"));
}

function row(channel, type) {
  const about = [h("code", {}, type.type), type.deprecated && h("span", { class: "tag" }, "deprecated"),
    type.description && h("p", { class: "quiet" }, type.description)];
  const there = `#/playground/${encodeURIComponent(channel.name)}/${encodeURIComponent(type.type)}`;
  return [about, type.senders, h("ul", { class: "plain" }, type.receivers.map((words) => h("li", {}, words))),
    type.direction === "in" && h("a", { href: there }, "try", h("span", { class: "hidden" }, ` ${type.type}`))];
}

export function channels(view, app) {
  put(view, h("h2", {}, "Channels"), app.setup.channels.map((channel) => h("section", { class: "card" },
    h("h3", {}, channel.name, " ", h("code", {}, channel.path)),
    channel.description && h("p", {}, channel.description),
    badges(channel),
    table(HEADS, channel.types.map((type) => row(channel, type)), "The channel declares no messages and no events."))));
  return () => {};
}
