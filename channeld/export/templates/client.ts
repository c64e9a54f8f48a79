/** A frame of any type. */
export interface AnyFrame { type: string; [field: string]: unknown }
type Loose = { type: string; room?: any; id?: any; [field: string]: unknown };
/** What a client has to know about a channel's types; the entries of `ChannelMap` have this form. */
export interface ChannelTypes { params: object; query: object; send: { type: string }; receive: { type: string } }
/** The same for its names; `receives` is null if hooks and the API may send others. */
export interface ChannelNames {
  path: string; once: readonly string[]; query: readonly string[]; sends: readonly string[]; receives: readonly string[] | null;
}
/** A token, or a function that fetches a fresh one. Only a function allows renewal. */
export type Token = string | (() => string | Promise<string>);
export type State = "connecting" | "open" | "waiting" | "closed";
/** Why a connection ended: the close code, the server's reason, and the milliseconds until the next attempt. */
export interface Ending { code: number; reason: string; retry?: number }
type Listener = ((event: any) => void) | null;
interface Socket {
  onopen: Listener; onmessage: Listener; onclose: Listener; onerror: Listener;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}
export interface SocketClass { new (url: string, protocols?: string[]): Socket }
export type Transport = "websocket" | "sse";
/** A user in a room, as presence reports it. */
export type Present<C extends ChannelTypes> = Shown<C["receive"]>;
type Shown<F> = F extends { type: "presence"; users: Array<infer U extends { info: unknown; state?: unknown }> }
  ? { user: string; info: U["info"]; state?: U["state"]; connections?: number } : never;
/** The state that a user may set; `null` removes it. A channel without `presence.state` has none. */
export type OwnState<C extends ChannelTypes> = Setting<C["send"]>;
type Setting<F> = F extends { type: "presence"; set?: infer S } ? ("set" extends keyof F ? Exclude<S, undefined> : never) : never;

export interface Options {
  token?: Token;
  /** Where the token is sent; `message` keeps it out of the logs of proxies. Default: `query`. */
  tokenIn?: "query" | "subprotocol" | "message";
  WebSocket?: SocketClass; // default: the global one
  /** Transports to use. If no WebSocket can be established, server-sent events and POST are tried. Default: both. */
  transports?: readonly Transport[];
  /** Whether requests of server-sent events carry cookies to another origin (`include`). Default: `same-origin`. */
  credentials?: RequestCredentials;
  /** Query parameters of the channel. */
  query?: { [name: string]: unknown };
  /** Milliseconds before the first attempt, and the maximum after doubling. Default: 500 and 30000. */
  backoff?: { first?: number; most?: number };
  /** Milliseconds until an unanswered frame fails. Default: 10000. */
  timeout?: number;
  /** Milliseconds without a frame until a `ping` is sent; after as long again, the connection is given up. Default: 30000. */
  silence?: number;
  /** Maximum number of frames that wait while disconnected. Default: 100. */
  queue?: number;
  onState?: (state: State, ending?: Ending) => void;
  /** Frames of this room were missed and can't be recovered: fetch the state again. */
  onGap?: (room: string) => void;
  /** A type that was sent is deprecated. Default: a warning in the console, once per type. */
  onDeprecated?: (type: string, told: { sunset?: string; use?: string }) => void;
}

/** The frame that answers a type. */
export type Answer<C extends ChannelTypes, T extends string> = Extract<
  C["receive"], { type: T extends keyof Answers ? Answers[T] : "ack" | "reply" }>;

/** Why a frame failed: the code of its `error` frame, or CONNECTION_LOST, TIMEOUT, QUEUE_FULL, CLOSED. */
export class ChannelError extends Error {
  constructor(readonly code: string, message: string, readonly frame?: AnyFrame) { super(message); }
}

type Timer = ReturnType<typeof setTimeout> | undefined;
interface Pending { type: string; resolve: (frame: any) => void; reject: (error: ChannelError) => void; timer: Timer; again: Waiting | undefined }
interface Waiting { id?: number; text: string }

/** A channel of a server: `connect("wss://example.org", "room", { room_id: "general" }, { token })`. A channel, param or query
 *  parameter that does not exist is a `TypeError`. */
export function connect<K extends keyof ChannelMap>(
  base: string, channel: K, params: ChannelMap[K]["params"], options: Options & { query?: ChannelMap[K]["query"] } = {},
): ChannelClient<ChannelMap[K]> {
  if (!Object.hasOwn(CHANNELS, channel)) throw unknown("is not a channel", channel, Object.keys(CHANNELS));
  const names: ChannelNames = CHANNELS[channel], values = (params ?? {}) as Record<string, unknown>;
  const wanted = [...names.path.matchAll(/\{([^{}.]+)/g)].map((found) => String(found[1]));
  for (const name of Object.keys(values)) if (!wanted.includes(name)) throw unknown(`is not a param of ${names.path}`, name, wanted);
  for (const name of wanted)
    if (values[name] === undefined || values[name] === null || values[name] === "") throw new TypeError(`${names.path} needs the param "${name}"`);
  for (const name of Object.keys(options.query ?? {}))
    if (!names.query.includes(name)) throw unknown(`is not a query parameter of ${names.path}`, name, names.query);
  const path = names.path.replace(/\{([^{}.]+)(\.\.\.)?\}/g, (_all: string, name: string, rest?: string) =>
    rest ? String(values[name]).split("/").map(encodeURIComponent).join("/") : encodeURIComponent(String(values[name])));
  return new ChannelClient(base.replace(/^http/, "ws").replace(/\/+$/, "") + path, options, names);
}

function unknown(what: string, name: unknown, known: readonly string[]): TypeError {
  return new TypeError(`${JSON.stringify(name)} ${what}; there is ${known.join(", ") || "none"}`);
}

/** A connection that is kept up: it reconnects, joins its rooms again, and recovers missed frames. */
export class ChannelClient<C extends ChannelTypes> {
  state: State = "connecting";
  readonly #url: URL;
  readonly #class: SocketClass | undefined;
  readonly #options: Options;
  readonly #names: Partial<ChannelNames>;
  readonly #transports: readonly Transport[];
  readonly #handlers = new Map<string, Set<(frame: any) => void>>();
  readonly #pending = new Map<number, Pending>();
  readonly #subscribing = new Set<number>();
  readonly #held = new Map<string, Loose[]>(); // what the stream brings of a room before the POST that joins it is answered
  readonly #subscribed = new Set<string>(); // rooms that we asked for
  readonly #joined = new Set<string>(); // rooms that the server put us into
  readonly #positions = new Map<string, string>();
  readonly #states = new Map<string | undefined, unknown>(); // what presence says of ourselves
  readonly #present = new Map<string | undefined, Map<string, any>>();
  readonly #warned = new Set<string>();
  #again: string[] = []; // rooms that are still to be joined again
  #queue: Waiting[] = [];
  #socket: Socket | undefined;
  #transport: Transport;
  #isFallback = false;
  #lastId = 0;
  #attempts = 0;
  #denials = 0;
  #opened = 0;
  #heard = 0;
  #asked = false;
  #denied = false;
  #told: { code: number; reason: string; reconnect: boolean; retry_after?: number } | undefined;
  #retryTimer: Timer;
  #watchTimer: ReturnType<typeof setInterval> | undefined;
  #openTimer: Timer;
  #probeTimer: Timer;

  constructor(url: string, options: Options = {}, names: Partial<ChannelNames> = {}) {
    const Socket = options.WebSocket ?? (globalThis as unknown as { WebSocket?: SocketClass }).WebSocket;
    const may: Record<Transport, boolean> = { websocket: !!Socket, sse: typeof fetch === "function" };
    this.#transports = (options.transports ?? ["websocket", "sse"]).filter((name) => may[name]);
    if (!this.#transports[0]) throw new TypeError("there is no WebSocket here: give the option `WebSocket`");
    this.#transport = this.#transports[0];
    this.#url = new URL(url);
    for (const [name, value] of Object.entries(options.query ?? {}))
      if (value !== undefined && value !== null) this.#url.searchParams.set(name, String(value));
    this.#class = Socket;
    this.#options = options;
    this.#names = names;
    this.#listen("addEventListener");
    queueMicrotask(() => void this.#connect());
  }

  /** The transport in use, or being tried. */
  get transport(): Transport { return this.#transport; }

  /** Call a handler for each frame of a type, `*` for all types; returns a function that removes it. */
  on<T extends C["receive"]["type"]>(type: T, handler: (frame: Extract<C["receive"], { type: T }>) => void): () => void;
  on(type: "*", handler: (frame: AnyFrame) => void): () => void;
  on(type: string, handler: (frame: any) => void): () => void {
    const { receives } = this.#names;
    if (receives && type !== "*" && !receives.includes(type)) throw unknown("is not a type that comes here", type, receives);
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  /** Send a frame and wait for its answer. Fails with a `ChannelError`; after CONNECTION_LOST it may have arrived.
   *  One with a `once` key is sent again after a lost connection instead: the server routes it once. */
  send<F extends C["send"]>(frame: F): Promise<Answer<C, F["type"]>> {
    this.#check(frame);
    return this.#ask(frame);
  }

  /** Send a frame without waiting for an answer; a refusal arrives as an `error` frame (`on("error", …)`). */
  push(frame: C["send"]): void {
    this.#check(frame);
    this.#post({ text: JSON.stringify(frame) });
  }

  /** Join a room, now and after each reconnect. */
  subscribe(room: string): Promise<Extract<C["receive"], { type: "subscribed" }>> { return this.#subscribe(room); }

  /** Leave a room. */
  async unsubscribe(room: string): Promise<void> {
    if (this.state === "open") await this.#ask({ type: "unsubscribe", room });
    this.#leave(room);
  }

  /** Send a fresh token on the live connection. Done automatically before a token expires. */
  async renew(): Promise<void> {
    const token = await this.#token();
    await this.#ask({ type: "authenticate", token });
    if (this.#socket instanceof EventSocket) this.#socket.token = token;
  }

  /** Set your own presence state, now and after each reconnect; `null` removes it. */
  async setState(state: OwnState<C>, room?: string): Promise<void> {
    await this.#ask({ type: "presence", ...(room === undefined ? {} : { room }), set: state });
    if (state === null) this.#states.delete(room);
    else this.#states.set(room, state);
  }

  /** Who is in a room, by user, as far as presence has reported. Omit the room if presence is per channel. */
  present(room?: string): ReadonlyMap<string, Present<C>> { return this.#present.get(room) ?? new Map(); }

  /** Close the connection for good. The server and `onState` get the reason. */
  close(reason = "closed by the client"): void { this.#end({ code: 1000, reason }); }

  async #connect(): Promise<void> {
    if (this.state !== "closed" && !this.#isFallback) this.#set("connecting");
    let token: string | undefined;
    try { token = await this.#token(); } catch (error) { return this.#lost(1013, `no token: ${String(error)}`); }
    if ((this.state as State) === "closed") return;
    const [room, ...others] = this.#joined, url = new URL(this.#url);
    const since = room === undefined || others.length ? undefined : this.#positions.get(room);
    if (since !== undefined) url.searchParams.set("since", since);
    this.#told = undefined;
    this.#denied = false;
    const socket = (this.#socket = this.#dial(url, token));
    const isTold = token !== undefined && this.#options.tokenIn === "message" && this.#transport === "websocket";
    socket.onopen = () => {
      clearTimeout(this.#openTimer);
      this.#isFallback = false;
      this.#opened = this.#heard = Date.now();
      this.#asked = false;
      this.#watchTimer = setInterval(() => this.#watch(), (this.#options.silence ?? 30_000) / 2);
      if (isTold) socket.send(JSON.stringify({ type: "authenticate", token }));
      else this.#ready();
    };
    socket.onmessage = (event) => this.#receive(JSON.parse(String(event.data)));
    socket.onclose = (event) => this.#lost(event.code, event.reason);
    // A close event follows, but not in every Node where no connection came about.
    socket.onerror = () => { if (this.#socket === socket && !this.#opened) this.#lost(1006, "no connection"); };
    // A proxy may swallow the upgrade, or hold the stream back.
    this.#openTimer = setTimeout(() => this.#lost(1006, "no connection in time"), this.#options.timeout ?? 10_000);
  }

  #dial(url: URL, token: string | undefined): Socket {
    const { tokenIn = "query", credentials } = this.#options;
    if (this.#transport === "sse" || !this.#class) return new EventSocket(url, token, tokenIn === "query", credentials);
    if (token !== undefined && tokenIn === "query") url.searchParams.set("token", token);
    const protocols = token !== undefined && tokenIn === "subprotocol" ? ["channeld", `bearer.${token}`] : undefined;
    return new this.#class(url.href, protocols);
  }

  #ready(): void {
    this.state = "open";
    this.#again = [...this.#subscribed];
    for (let count = 0; count < 25; count++) void this.#joinNext();
    for (const room of this.#states.keys()) if (!this.#subscribed.has(room!)) this.#sayState(room);
    for (const { text } of this.#queue.splice(0)) this.#socket?.send(text);
    this.#set("open");
  }

  #receive(frame: Loose): void {
    this.#heard = Date.now();
    this.#asked = false;
    const held = this.#transport === "sse" ? this.#held.get(frame.room) : undefined;
    if (held && !this.#subscribing.has(frame.id)) return void held.push(frame);
    if (frame.type === "authenticated") {
      this.#denials = 0;
      if (this.state === "connecting") this.#ready();
    } else if (frame.type === "token_expiring") {
      if (typeof this.#options.token === "function") this.renew().catch(() => {}); // else the end of the token says it
    } else if (frame.type === "subscribed") this.#enter(frame);
    else if (frame.type === "unsubscribed") this.#leave(frame.room);
    else if (frame.type === "presence") this.#meet(frame);
    else if (frame.type === "disconnect") this.#told = frame as any;
    else if (frame.type === "error") this.#denied ||= frame.code === "UNAUTHORIZED" || frame.code === "TOKEN_EXPIRED";
    else if (typeof frame.room === "string" && typeof frame.pos === "string") this.#positions.set(frame.room, frame.pos);
    if (frame.type === "error") this.#settle(frame.id)?.reject(new ChannelError(String(frame.code), String(frame.message), frame));
    else if (ANSWERS.has(frame.type)) {
      const pending = this.#settle(frame.id);
      if (pending && frame.type === "ack" && frame.deprecated) this.#deprecated(pending.type, frame.deprecated);
      pending?.resolve(frame);
    }
    for (const key of [frame.type, "*"]) for (const handler of this.#handlers.get(key) ?? []) this.#call(() => handler(frame));
  }

  #enter(frame: Loose): void {
    const room: string = frame.room, before = this.#positions.get(room), asked = this.#subscribing.has(frame.id);
    if (asked) this.#subscribed.add(room);
    else if (!this.#subscribed.has(room)) this.#joined.add(room);
    // What was missed follows and brings its own positions; until then the old one stands.
    if (frame.recovered === true) return;
    if (typeof frame.pos === "string") this.#positions.set(room, frame.pos);
    if (frame.recovered === false || (!asked && before !== undefined && before !== frame.pos))
      this.#call(() => this.#options.onGap?.(room));
  }

  #leave(room: string): void {
    for (const known of [this.#subscribed, this.#joined, this.#positions, this.#present, this.#states]) known.delete(room);
  }

  #meet(frame: Loose): void {
    if (frame.event === "count") return;
    const room: string | undefined = frame.room, { joins = [], leaves = [], users = [] } = frame as any;
    const known = frame.event === "state" ? new Map<string, any>() : (this.#present.get(room) ?? new Map<string, any>());
    const came = frame.event === "join" || frame.event === "update" ? [frame as any] : [...users, ...joins];
    for (const { user, info, state, connections } of came)
      known.set(user, { user, info, ...(state === undefined ? {} : { state }), ...(connections === undefined ? {} : { connections }) });
    for (const { user } of frame.event === "leave" ? [frame as any] : leaves) known.delete(user);
    this.#present.set(room, known);
  }

  #deprecated(type: string, told: any): void {
    const { onDeprecated } = this.#options;
    if (onDeprecated) return this.#call(() => onDeprecated(type, told));
    if (this.#warned.has(type)) return;
    this.#warned.add(type);
    console.warn(`the type "${type}" is deprecated${told.sunset ? ` and may go after ${told.sunset}` : ""}${told.use ? `; use ${told.use}` : ""}`);
  }

  #check({ type }: { type: string }): void {
    const { sends } = this.#names;
    if (sends && !sends.includes(type)) throw unknown("is not a type to send here", type, sends);
  }

  #subscribe(room: string, again = false): Promise<any> {
    const since = again ? this.#positions.get(room) : undefined;
    const answer = this.#ask({ type: "subscribe", room, ...(since === undefined ? {} : { since }) });
    const id = this.#lastId;
    this.#subscribing.add(id);
    if (!this.#held.has(room)) this.#held.set(room, []);
    return answer.finally(() => {
      this.#subscribing.delete(id);
      const held = this.#held.get(room) ?? [];
      this.#held.delete(room);
      for (const frame of held) this.#receive(frame);
    });
  }

  /** Join one of the rooms that wait for it, and then the next. After a refusal that is a while later, since the server takes 30
   *  errors a minute; if it can't just now (its broker is unreachable, a rate is used up), it says when. */
  async #joinNext(room = this.#again.shift()): Promise<void> {
    if (room === undefined) return;
    const socket = this.#socket, later = (seconds: number, again?: string) =>
      void setTimeout(() => { if (this.#socket === socket) void this.#joinNext(again); }, seconds * 1000);
    if (this.#subscribed.has(room)) {
      try { await this.#subscribe(room, true); } catch (error) {
        const { frame } = error as ChannelError, wait = frame?.["retry_after"];
        if (typeof wait === "number") return later(wait, room);
        if (frame) this.#leave(room);
        return later(frame && this.#again.length ? 50 : 0);
      }
      this.#sayState(room);
    }
    return this.#joinNext();
  }

  #sayState(room?: string): void {
    if (this.#states.has(room)) this.setState(this.#states.get(room) as OwnState<C>, room).catch(() => {});
  }

  #ask(frame: object): Promise<any> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#queue = this.#queue.filter((waiting) => waiting.id !== id);
        this.#settle(id)?.reject(new ChannelError("TIMEOUT", "no answer in time"));
      }, this.#options.timeout ?? 10_000);
      const { type, once } = frame as Loose, waiting = { id, text: JSON.stringify({ ...frame, id }) };
      const again = typeof once === "string" && this.#names.once?.includes(type) ? waiting : undefined;
      this.#pending.set(id, { type, resolve, reject, timer, again });
      try { this.#post(waiting); } catch (error) { this.#settle(id)?.reject(error as ChannelError); }
    });
  }

  #post(waiting: Waiting): void {
    if ((this.state as State) === "closed") throw new ChannelError("CLOSED", "the channel is closed");
    if (this.state === "open") this.#socket?.send(waiting.text);
    else if (this.#queue.length < (this.#options.queue ?? 100)) this.#queue.push(waiting);
    else throw new ChannelError("QUEUE_FULL", "too many frames wait for a connection");
  }

  /** What came of a connection: back again with backoff and jitter, with a new token, or the end. */
  #lost(code: number, reason: string): void {
    if ((this.state as State) === "closed") return;
    const told = this.#told;
    if (!this.#opened && !told && !this.#denied && code === 1006 && this.#tryNext()) return;
    if (told) ({ code, reason } = told); // proxies lose close codes
    else if (this.#denied && code < 1007) code = 4401;
    this.#detach();
    const queued = new Set(this.#queue.map((waiting) => waiting.id));
    for (const [id, { again }] of [...this.#pending]) {
      if (again && !queued.has(id)) this.#queue.push(again);
      else if (!queued.has(id)) this.#settle(id)?.reject(new ChannelError("CONNECTION_LOST", "the connection was lost"));
    }
    const { token, backoff: { first = 500, most = 30_000 } = {} } = this.#options;
    const back = code === 4401 ? typeof token === "function" && ++this.#denials < 2 : (told?.reconnect ?? mayComeBack(code));
    if (!back) return this.#end({ code, reason });
    if (this.#opened && Date.now() - this.#opened > 10_000) this.#attempts = 0; // it was a good connection
    this.#opened = 0;
    const spread = Math.random() * Math.min(most, first * 2 ** this.#attempts++);
    const retry = told?.retry_after === undefined ? spread : told.retry_after * 1000;
    this.#retryTimer = setTimeout(() => void this.#connect(), retry);
    this.#set("waiting", { code, reason, retry });
  }

  /** No connection came about: whether another transport is tried at once. In the end it is the first one's turn again. */
  #tryNext(): boolean {
    this.#detach();
    const next = this.#transports[this.#transports.indexOf(this.#transport) + 1];
    this.#transport = next ?? this.#transports[0]!;
    this.#isFallback = next !== undefined;
    if (next) void this.#connect();
    return next !== undefined;
  }

  #end(ending: Ending): void {
    if ((this.state as State) === "closed") return;
    clearTimeout(this.#retryTimer);
    this.#listen("removeEventListener");
    this.#detach(ending.reason);
    this.#queue = [];
    this.#set("closed", ending);
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(new ChannelError("CLOSED", ending.reason));
  }

  #detach(reason = ""): void {
    clearInterval(this.#watchTimer);
    for (const timer of [this.#openTimer, this.#probeTimer]) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#held.clear(); // the positions stand before these: they come again
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000, reason.slice(0, 40));
  }

  /** A page that is back, seen again or online waits no longer, and finds out whether its connection still lives. */
  readonly #wake = (event: { type: string; persisted?: boolean }): void => {
    const { document } = globalThis as { document?: { visibilityState: string } };
    if (document?.visibilityState === "hidden") return;
    if (event.type === "online" && !this.#opened) this.#transport = this.#transports[0]!; // it may be another network
    if (this.state === "waiting" && this.#told?.retry_after === undefined) {
      clearTimeout(this.#retryTimer);
      void this.#connect();
    } else if (this.state === "open") {
      if (event.persisted) return this.#lost(1006, "the page was put away");
      this.#asked = true;
      this.#socket?.send('{"type":"ping"}');
      clearTimeout(this.#probeTimer);
      const patience = Math.min(this.#options.timeout ?? 10_000, 5_000);
      this.#probeTimer = setTimeout(() => { if (this.#asked) this.#lost(1006, "the server is silent"); }, patience);
    }
  };

  #listen(how: "addEventListener" | "removeEventListener"): void {
    const page = globalThis as any;
    for (const type of ["online", "pageshow"]) page[how]?.(type, this.#wake);
    page.document?.[how]?.("visibilitychange", this.#wake);
  }

  #watch(): void {
    if (Date.now() - this.#heard < (this.#options.silence ?? 30_000)) return;
    if (this.#asked) return this.#lost(1006, "the server is silent");
    this.#asked = true;
    this.#heard = Date.now();
    this.#socket?.send('{"type":"ping"}');
  }

  #settle(id: unknown): Pending | undefined {
    const pending = this.#pending.get(id as number);
    this.#pending.delete(id as number);
    clearTimeout(pending?.timer);
    return pending;
  }

  #set(state: State, ending?: Ending): void {
    this.state = state;
    this.#call(() => this.#options.onState?.(state, ending));
  }

  #call(handler: () => void): void {
    try { handler(); } catch (error) { console.error(error); } // a handler's fault must not stop the frames
  }

  async #token(): Promise<string | undefined> {
    return typeof this.#options.token === "function" ? this.#options.token() : this.#options.token;
  }
}

/** Server-sent events and POST with the interface of a WebSocket. */
class EventSocket implements Socket {
  onopen: Listener = null; onmessage: Listener = null;
  onclose: Listener = null; onerror: Listener = null;
  readonly #out: string[] = [];
  readonly #ended = new AbortController();
  #connection = "";
  #isPosting = false;

  constructor(
    readonly url: URL, public token: string | undefined, readonly inQuery: boolean, readonly credentials: RequestCredentials = "same-origin",
  ) {
    url.protocol = url.protocol.replace("ws", "http");
    void this.#read();
  }

  send(text: string): void {
    this.#out.push(text);
    queueMicrotask(() => void this.#post()); // what is sent in one go travels together
  }

  close(): void {
    this.onopen = this.onmessage = this.onclose = null;
    this.#ended.abort();
  }

  #fetch(headers: Record<string, string>, body?: string): Promise<Response> {
    const url = new URL(this.url), { credentials } = this, { signal } = this.#ended;
    if (this.token !== undefined && this.inQuery) url.searchParams.set("token", this.token);
    else if (this.token !== undefined) headers["Authorization"] = `Bearer ${this.token}`;
    return fetch(url, { headers, credentials, signal, cache: "no-store", ...(body === undefined ? {} : { method: "POST", body }) });
  }

  async #read(): Promise<void> {
    try {
      const response = await this.#fetch({ Accept: "text/event-stream" });
      const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
      if (!response.ok || !isStream || !response.body) return await this.#refused(response);
      const reader = response.body.getReader(), decoder = new TextDecoder();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += decoder.decode(part.value, { stream: true });
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const data = text.slice(0, end).split("\n").find((line) => line.startsWith("data: "));
          text = text.slice(end + 2);
          if (data) this.#take(data.slice(6));
        }
      }
    } catch { /* it ends, for whatever reason */ }
    this.#lose();
  }

  #take(data: string): void {
    if (this.#connection) return this.onmessage?.({ data });
    this.#connection = JSON.parse(data).id;
    this.onopen?.({});
  }

  async #post(): Promise<void> {
    if (this.#isPosting) return;
    this.#isPosting = true;
    const headers = { "Content-Type": "application/json", "Channeld-Connection": this.#connection };
    while (this.#out.length) {
      let count = 1; // the server takes 100 frames, and a megabyte
      for (let size = this.#out[0]!.length; count < 100 && count < this.#out.length; count++)
        if ((size += this.#out[count]!.length) > 250_000) break;
      try {
        const answer = await this.#fetch({ ...headers }, `[${this.#out.splice(0, count).join(",")}]`);
        if (answer.status === 404) return this.#lose(); // the stream has ended, and its connection with it
        if (!answer.ok) return await this.#refused(answer);
        for (const frame of (await answer.json()).frames) this.onmessage?.({ data: JSON.stringify(frame) });
      } catch { return this.#lose(); }
    }
    this.#isPosting = false;
  }

  /** A refusal as the close code of a WebSocket: the server's own in its problem document, otherwise one for the status. */
  async #refused(response: Response): Promise<void> {
    const problem = await response.json().catch(() => null), { status } = response;
    const codes: Record<number, number> = { 400: 1008, 401: 4401, 403: 4403, 404: 1008, 413: 1009, 429: 1013, 500: 1011, 503: 1013 };
    this.#lose(problem?.close ?? codes[status], problem?.detail ?? `HTTP ${status}`);
  }

  #lose(code = 1006, reason = this.#connection ? "the stream ended" : "no connection"): void {
    const { onclose } = this;
    this.close();
    onclose?.({ code, reason });
  }
}

/** Whether a close code allows a reconnect: 45xx, 4900 to 4949, and the standard ones for a server in trouble. */
function mayComeBack(code: number): boolean {
  return [1006, 1011, 1012, 1013].includes(code) || (code >= 4500 && code < 4600) || (code >= 4900 && code < 4950);
}
