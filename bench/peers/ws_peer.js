// Peer: `ws` on Node; echoes, or sends to each client in turn, as its documentation shows.
"use strict";
const { WebSocketServer, WebSocket } = require("ws");

const room = new Set();
const server = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(process.argv[2]),
  backlog: 4096,
  perMessageDeflate: false,
});

server.on("connection", (socket, request) => {
  if (request.url !== "/fan") {
    socket.on("message", (data, binary) => socket.send(data, { binary }));
    return;
  }
  room.add(socket);
  socket.on("close", () => room.delete(socket));
  socket.on("message", (data, binary) => {
    for (const member of room) {
      if (member.readyState === WebSocket.OPEN) member.send(data, { binary });
    }
  });
});
