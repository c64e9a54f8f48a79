// A chat in a terminal, with the exported client. From the project's folder:
//
//   channeld export javascript --output examples/clients/client.mjs
//   channeld run --dev                                   (in another terminal)
//   node examples/clients/chat.mjs ws://127.0.0.1:4000 general "$(channeld token --user ann --claim name=Ann)"
//
// Node 20 needs `--experimental-websocket`; from 22 on a WebSocket is built in.
import { createInterface } from "node:readline";
import { connect } from "./client.mjs";

const [base, room_id, token] = process.argv.slice(2);
const say = (line) => console.log(line);
const room = connect(base, "room", { room_id }, {
  token,
  onState: (state, ending) => say(`* ${state}${ending ? ` (${ending.code} ${ending.reason})` : ""}`),
  onGap: () => say("* some messages were missed"),
});

room.on("message", (frame) => say(`${frame.name}: ${frame.text}`));
room.on("whisper", (frame) => say(`${frame.from} whispers: ${frame.text}`));
room.on("presence", (frame) => {
  if (frame.event === "state") say(`* here: ${frame.users.map((user) => user.info.name).join(", ")}`);
  else say(`* ${frame.user} ${frame.event === "join" ? "came" : "left"}`);
});

const input = createInterface({ input: process.stdin });
for await (const text of input)
  if (text) await room.send({ type: "message", text }).catch((error) => say(`* not sent: ${error.message}`));
room.close();
