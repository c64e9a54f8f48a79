// The control API, asked with the key that this tab was given. The key lives in sessionStorage and nowhere else.

const KEPT = "channeld.key";

export const key = {
  get: () => sessionStorage.getItem(KEPT),
  set: (value) => sessionStorage.setItem(KEPT, value),
  forget: () => sessionStorage.removeItem(KEPT),
};

export class Refused extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `the server answered ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

function headers(more = {}) {
  return { authorization: `Bearer ${key.get()}`, ...more };
}

async function answered(response) {
  if (response.ok) return response;
  let problem = null;
  try {
    problem = await response.json();
  } catch {
    // Something between here and the server has answered.
  }
  throw new Refused(response.status, problem);
}

export async function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  const response = await fetch(path + search, { headers: headers(), cache: "no-store" });
  return (await answered(response)).json();
}

export async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: headers({ "content-type": "application/json" }),
    body: JSON.stringify(body),
  });
  return (await answered(response)).json();
}

// Browsers take dots out of a path however they are written.
export function segment(name) {
  if (/^\.{1,2}$/.test(name)) throw new Error(`a browser cannot ask for what is called "${name}"`);
  return encodeURIComponent(name);
}

// A room's frames until the signal is aborted: `on.frame(value)`, `on.missed(count)`, `on.open()`.
export async function tail(channel, room, on, signal) {
  const path = `/console/tail/${segment(channel)}/${segment(room)}`;
  const response = await answered(await fetch(path, { headers: headers(), signal, cache: "no-store" }));
  on.open();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const lines = event.split("\n");
      const data = lines.find((line) => line.startsWith("data: "))?.slice(6);
      if (data === undefined) continue;
      if (lines.includes("event: missed")) on.missed(Number(data));
      else on.frame(JSON.parse(data));
    }
  }
}
