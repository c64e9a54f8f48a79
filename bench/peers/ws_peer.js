// Peer: `ws` on Node; echoes, or sends to each client in turn, as its documentation shows.
"use strict";
const fs = require("fs");
const http = require("http");
const https = require("https");
const { WebSocketServer, WebSocket } = require("ws");

const { BENCH_FLAVOUR: flavour, BENCH_CERTIFICATE, BENCH_KEY } = process.env;
const room = new Set();
const listener =
  flavour === "tls"
    ? https.createServer({ cert: fs.readFileSync(BENCH_CERTIFICATE), key: fs.readFileSync(BENCH_KEY) })
    : http.createServer();
// Its default leaves messages under 1,024 bytes as they are.
const server = new WebSocketServer({
  server: listener,
  perMessageDeflate: flavour === "deflate" && { threshold: 0 },
});
listener.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });

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
