// Peer: socket.io on Node, websocket transport; echoes, or emits to a room.
"use strict";
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const http = createServer();
const io = new Server(http, { transports: ["websocket"], serveClient: false });

io.on("connection", (socket) => {
  if (!("fan" in socket.handshake.query)) {
    socket.on("chat", (data) => socket.emit("chat", data));
    return;
  }
  socket.join("fan");
  socket.on("chat", (data) => io.to("fan").emit("chat", data));
});

http.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
