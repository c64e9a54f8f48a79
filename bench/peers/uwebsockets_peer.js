// Peer: uWebSockets.js (npm `uwebsockets`) on Node; echoes, or publishes to a topic.
"use strict";
const uws = require("uwebsockets");

const app = uws.App();
const echo = { compression: uws.DISABLED, message: (ws, data, binary) => ws.send(data, binary) };

app.ws("/echo", echo);
app.ws("/idle", echo);
app.ws("/fan", {
  compression: uws.DISABLED,
  maxBackpressure: 16 * 1024 * 1024,
  open: (ws) => ws.subscribe("fan"),
  message: (_ws, data, binary) => app.publish("fan", data, binary),
});
app.listen("127.0.0.1", Number(process.argv[2]), (token) => {
  if (!token) process.exit(1);
});
