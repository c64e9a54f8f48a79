// The hooks of channels.yaml, answered by Express.
//
// npm install express standardwebhooks
// CHANNELD_HOOK_SECRET=whsec_… PORT=8000 node express_app.mjs

import express from "express";
import { Webhook } from "standardwebhooks";

const app = express();
const webhook = new Webhook(process.env.CHANNELD_HOOK_SECRET);
const sessions = new Map([["ann-session", "ann"], ["bob-session", "bob"]]); // a database's affair

// The bytes as they came: a signature is over those, not over what a JSON parser makes of them.
app.use(express.raw({ type: "application/json", limit: "2mb" }));

function hook(path, answer) {
  app.post(path, (request, response) => {
    let asked;
    try {
      asked = webhook.verify(request.body.toString(), request.headers);
    } catch {
      return response.sendStatus(403);
    }
    response.json(answer(asked));
  });
}

hook("/hooks/who", (asked) => {
  const user = sessions.get(asked.request.query.token);
  return { user: user ? { id: user } : null };
});

hook("/hooks/say", (asked) => {
  const text = asked.message.text.trim();
  if (text !== text.toLowerCase() && text === text.toUpperCase()) {
    return { reject: { code: "NO_SHOUTING", message: "please don't shout" } };
  }
  return { message: { text } };
});

app.listen(Number(process.env.PORT), "127.0.0.1");
