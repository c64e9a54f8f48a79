/** A frame of any type. */
export interface AnyFrame { type: string; [field: string]: unknown }
type Loose = { type: string; room?: any; id?: any; [field: string]: unknown };
/** What a client has to know of a channel's types; the entries of `ChannelMap` are such. */
export interface ChannelTypes { params: object; send: { type: string }; receive: { type: string } }
/** A token, or a function that fetches a fresh one; only with a function can a token be renewed. */
export type Token = string | (() => string | Promise<string>);
export type State = "connecting" | "open" | "waiting" | "closed";
/** Why a connection ended: the close code, the server's words, and in how many milliseconds it is tried again. */
export interface Ending { code: number; reason: string; retry?: number }
type Listener = ((event: any) => void) | null;
interface Socket {
  onopen: Listener; onmessage: Listener; onclose: Listener; onerror: Listener;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}
export interface SocketClass { new (url: string, protocols?: string[]): Socket }

export interface Options {
  token?: Token;
  /** Where the token travels; `message` is not seen in any log of a proxy. Default: `query`. */
  tokenIn?: "query" | "subprotocol" | "message";
  WebSocket?: SocketClass; // default: the global one
  /** Milliseconds before the first and, after doubling, at most before each later attempt. Default: 500 and 30000. */
  backoff?: { first?: number; most?: number };
  /** Milliseconds until an unanswered frame fails. Default: 10000. */
  timeout?: number;
  /** Milliseconds without a frame after which the server is asked, and given as long again. Default: 30000. */
  silence?: number;
  /** How many frames may wait while there is no connection. Default: 100. */
  queue?: number;
  onState?: (state: State, ending?: Ending) => void;
  /** Frames of this room were missed and can't be had any more: fetch the state again. */
  onGap?: (room: string) => void;
}

/** The frame that answers a type. */
export type Answer<C extends ChannelTypes, T extends string> = Extract<
  C["receive"], { type: T extends keyof Answers ? Answers[T] : "ack" | "reply" }>;

/** Why a frame failed: the code of its `error` frame, or CONNECTION_LOST, TIMEOUT, QUEUE_FULL, CLOSED. */
export class ChannelError extends Error {
  constructor(readonly code: string, message: string, readonly frame?: AnyFrame) { super(message); }
}

type Timer = ReturnType<typeof setTimeout> | undefined;
interface Pending { resolve: (frame: any) => void; reject: (error: ChannelError) => void; timer: Timer; again: Waiting | undefined }
interface Waiting { id?: number; text: string }

/** A channel of a server: `connect("wss://example.org", "room", { room_id: "general" }, { token })`. */
export function connect<K extends keyof ChannelMap>(
  base: string, channel: K, params: ChannelMap[K]["params"], options: Options = {},
): ChannelClient<ChannelMap[K]> {
  const values = params as Record<string, unknown>;
  const path = CHANNELS[channel].path.replace(/\{([^{}.]+)(\.\.\.)?\}/g, (_all: string, name: string, rest?: string) =>
    rest ? String(values[name]).split("/").map(encodeURIComponent).join("/") : encodeURIComponent(String(values[name])));
  return new ChannelClient(base.replace(/^http/, "ws").replace(/\/+$/, "") + path, options, CHANNELS[channel].once);
}

/** One connection that is kept up: it comes back, joins its rooms again, and asks for what it missed. */
export class ChannelClient<C extends ChannelTypes> {
  state: State = "connecting";
  readonly #url: URL;
  readonly #class: SocketClass;
  readonly #options: Options;
  readonly #once: readonly string[];
  readonly #handlers = new Map<string, Set<(frame: any) => void>>();
  readonly #pending = new Map<number, Pending>();
  readonly #subscribing = new Map<number, string>();
  readonly #subscribed = new Set<string>(); // rooms that we asked for
  readonly #joined = new Set<string>(); // rooms that the server put us into
  readonly #positions = new Map<string, string>();
  #queue: Waiting[] = [];
  #socket: Socket | undefined;
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

  constructor(url: string, options: Options = {}, once: readonly string[] = []) {
    const Socket = options.WebSocket ?? (globalThis as unknown as { WebSocket?: SocketClass }).WebSocket;
    if (!Socket) throw new TypeError("there is no WebSocket here: give the option `WebSocket`");
    this.#url = new URL(url);
    this.#class = Socket;
    this.#options = options;
    this.#once = once;
    queueMicrotask(() => void this.#connect());
  }

  /** Call a handler for each frame of a type, `*` for all types; the result takes it off again. */
  on<T extends C["receive"]["type"]>(type: T, handler: (frame: Extract<C["receive"], { type: T }>) => void): () => void;
  on(type: "*", handler: (frame: AnyFrame) => void): () => void;
  on(type: string, handler: (frame: any) => void): () => void {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  /** Send a frame and wait for its answer. Fails with a `ChannelError`; after CONNECTION_LOST it may have arrived.
   *  One with a `once` key is sent again after a lost connection instead: the server routes it once. */
  send<F extends C["send"]>(frame: F): Promise<Answer<C, F["type"]>> { return this.#ask(frame); }

  /** Send a frame that nobody answers, unless it is refused (`on("error", …)`). */
  push(frame: C["send"]): void { this.#post({ text: JSON.stringify(frame) }); }

  /** Join a room, now and after each reconnection. */
  subscribe(room: string): Promise<Extract<C["receive"], { type: "subscribed" }>> { return this.#subscribe(room); }

  /** Leave a room. */
  async unsubscribe(room: string): Promise<void> {
    if (this.state === "open") await this.#ask({ type: "unsubscribe", room });
    this.#leave(room);
  }

  /** Bring a fresh token on the live connection; done by itself before a token ends. */
  async renew(): Promise<void> { await this.#ask({ type: "authenticate", token: await this.#token() }); }

  /** End it for good. */
  close(): void { this.#end({ code: 1000, reason: "closed by the client" }); }

  async #connect(): Promise<void> {
    if (this.state !== "closed") this.#set("connecting");
    let token: string | undefined;
    try { token = await this.#token(); } catch (error) { return this.#lost(1013, `no token: ${String(error)}`); }
    if ((this.state as State) === "closed") return;
    const { tokenIn = "query" } = this.#options, url = new URL(this.#url);
    if (token !== undefined && tokenIn === "query") url.searchParams.set("token", token);
    const [room, ...others] = this.#joined;
    const since = room === undefined || others.length ? undefined : this.#positions.get(room);
    if (since !== undefined) url.searchParams.set("since", since);
    const protocols = token !== undefined && tokenIn === "subprotocol" ? ["channeld", `bearer.${token}`] : undefined;
    const socket = (this.#socket = new this.#class(url.href, protocols));
    this.#told = undefined;
    this.#denied = false;
    socket.onopen = () => {
      this.#opened = this.#heard = Date.now();
      this.#asked = false;
      this.#watchTimer = setInterval(() => this.#watch(), (this.#options.silence ?? 30_000) / 2);
      if (token !== undefined && tokenIn === "message") socket.send(JSON.stringify({ type: "authenticate", token }));
      else this.#ready();
    };
    socket.onmessage = (event) => this.#receive(JSON.parse(String(event.data)));
    socket.onclose = (event) => this.#lost(event.code, event.reason);
    // A close event follows, but not in every Node where no connection came about.
    socket.onerror = () => { if (this.#socket === socket && !this.#opened) this.#lost(1006, "no connection"); };
  }

  #ready(): void {
    this.state = "open";
    for (const room of this.#subscribed)
      this.#subscribe(room, true).catch((error) => void (error.frame && this.#leave(room)));
    for (const { text } of this.#queue.splice(0)) this.#socket?.send(text);
    this.#set("open");
  }

  #receive(frame: Loose): void {
    this.#heard = Date.now();
    this.#asked = false;
    if (frame.type === "authenticated") {
      this.#denials = 0;
      if (this.state === "connecting") this.#ready();
    } else if (frame.type === "token_expiring") {
      if (typeof this.#options.token === "function") this.renew().catch(() => {}); // else the end of the token says it
    } else if (frame.type === "subscribed") this.#enter(frame);
    else if (frame.type === "unsubscribed") this.#leave(frame.room);
    else if (frame.type === "disconnect") this.#told = frame as any;
    else if (frame.type === "error") this.#denied ||= frame.code === "UNAUTHORIZED" || frame.code === "TOKEN_EXPIRED";
    else if (typeof frame.room === "string" && typeof frame.pos === "string") this.#positions.set(frame.room, frame.pos);
    if (frame.type === "error") this.#settle(frame.id)?.reject(new ChannelError(String(frame.code), String(frame.message), frame));
    else if (ANSWERS.has(frame.type)) this.#settle(frame.id)?.resolve(frame);
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

  #leave(room: string): void { for (const known of [this.#subscribed, this.#joined, this.#positions]) known.delete(room); }

  #subscribe(room: string, again = false): Promise<any> {
    const since = again ? this.#positions.get(room) : undefined;
    const answer = this.#ask({ type: "subscribe", room, ...(since === undefined ? {} : { since }) });
    const id = this.#lastId;
    this.#subscribing.set(id, room);
    return answer.finally(() => this.#subscribing.delete(id));
  }

  #ask(frame: object): Promise<any> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#queue = this.#queue.filter((waiting) => waiting.id !== id);
        this.#settle(id)?.reject(new ChannelError("TIMEOUT", "no answer in time"));
      }, this.#options.timeout ?? 10_000);
      const { type, once } = frame as Loose, waiting = { id, text: JSON.stringify({ ...frame, id }) };
      const again = typeof once === "string" && this.#once.includes(type) ? waiting : undefined;
      this.#pending.set(id, { resolve, reject, timer, again });
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
    if (told) ({ code, reason } = told); // proxies lose close codes
    else if (this.#denied && code < 1007) code = 4401;
    this.#detach();
    const queued = new Set(this.#queue.map((waiting) => waiting.id));
    for (const id of [...this.#pending.keys()])
      if (!queued.has(id)) this.#unanswered(id);
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

  #unanswered(id: number): void {
    const again = this.#pending.get(id)?.again;
    if (again) this.#queue.push(again);
    else this.#settle(id)?.reject(new ChannelError("CONNECTION_LOST", "the connection was lost"));
  }

  #end(ending: Ending): void {
    if ((this.state as State) === "closed") return;
    clearTimeout(this.#retryTimer);
    this.#detach();
    this.#queue = [];
    this.#set("closed", ending);
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(new ChannelError("CLOSED", ending.reason));
  }

  #detach(): void {
    clearInterval(this.#watchTimer);
    const socket = this.#socket;
    this.#socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
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

/** Whether a close code invites to come back: 45xx, 4900 to 4949, and the standard ones of a server in trouble. */
function mayComeBack(code: number): boolean {
  return [1006, 1011, 1012, 1013].includes(code) || (code >= 4500 && code < 4600) || (code >= 4900 && code < 4950);
}
