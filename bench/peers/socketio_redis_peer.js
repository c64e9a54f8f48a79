// Peer: socket.io on Node with @socket.io/redis-adapter: rooms that several processes share, websocket transport.
"use strict";
const { createServer } = require("node:http");
const { Server } = require("socket.io");
const { createAdapter } = require("@socket.io/redis-adapter");
const { createClient } = require("redis");

const [port, path] = process.argv.slice(2);
const publisher = createClient({ socket: { path } });
const subscriber = publisher.duplicate();

Promise.all([publisher.connect(), subscriber.connect()]).then(() => {
  const http = createServer();
  const io = new Server(http, {
    transports: ["websocket"],
    serveClient: false,
    adapter: createAdapter(publisher, subscriber),
  });
  io.on("connection", (socket) => {
    const room = socket.handshake.query.fan;
    socket.join(room);
    socket.on("chat", (data) => io.to(room).emit("chat", data));
  });
  http.listen({ host: "127.0.0.1", port: Number(port), backlog: 4096 });
});
