/** Why a frame failed: the code of its `error` frame, or CONNECTION_LOST, TIMEOUT, QUEUE_FULL, CLOSED. */
export class ChannelError extends Error {
    code;
    frame;
    constructor(code, message, frame) {
        super(message);
        this.code = code;
        this.frame = frame;
    }
}
/** A channel of a server: `connect("wss://example.org", "room", { room_id: "general" }, { token })`. */
export function connect(base, channel, params, options = {}) {
    const values = params;
    const path = CHANNELS[channel].path.replace(/\{([^{}.]+)(\.\.\.)?\}/g, (_all, name, rest) => rest ? String(values[name]).split("/").map(encodeURIComponent).join("/") : encodeURIComponent(String(values[name])));
    return new ChannelClient(base.replace(/^http/, "ws").replace(/\/+$/, "") + path, options, CHANNELS[channel].once);
}
/** One connection that is kept up: it comes back, joins its rooms again, and asks for what it missed. */
export class ChannelClient {
    state = "connecting";
    #url;
    #class;
    #options;
    #once;
    #handlers = new Map();
    #pending = new Map();
    #subscribing = new Map();
    #subscribed = new Set(); // rooms that we asked for
    #joined = new Set(); // rooms that the server put us into
    #positions = new Map();
    #queue = [];
    #socket;
    #lastId = 0;
    #attempts = 0;
    #denials = 0;
    #opened = 0;
    #heard = 0;
    #asked = false;
    #denied = false;
    #told;
    #retryTimer;
    #watchTimer;
    constructor(url, options = {}, once = []) {
        const Socket = options.WebSocket ?? globalThis.WebSocket;
        if (!Socket)
            throw new TypeError("there is no WebSocket here: give the option `WebSocket`");
        this.#url = new URL(url);
        this.#class = Socket;
        this.#options = options;
        this.#once = once;
        queueMicrotask(() => void this.#connect());
    }
    on(type, handler) {
        const handlers = this.#handlers.get(type) ?? new Set();
        this.#handlers.set(type, handlers.add(handler));
        return () => void handlers.delete(handler);
    }
    /** Send a frame and wait for its answer. Fails with a `ChannelError`; after CONNECTION_LOST it may have arrived.
     *  One with a `once` key is sent again after a lost connection instead: the server routes it once. */
    send(frame) { return this.#ask(frame); }
    /** Send a frame that nobody answers, unless it is refused (`on("error", …)`). */
    push(frame) { this.#post({ text: JSON.stringify(frame) }); }
    /** Join a room, now and after each reconnection. */
    subscribe(room) { return this.#subscribe(room); }
    /** Leave a room. */
    async unsubscribe(room) {
        if (this.state === "open")
            await this.#ask({ type: "unsubscribe", room });
        this.#leave(room);
    }
    /** Bring a fresh token on the live connection; done by itself before a token ends. */
    async renew() { await this.#ask({ type: "authenticate", token: await this.#token() }); }
    /** End it for good. */
    close() { this.#end({ code: 1000, reason: "closed by the client" }); }
    async #connect() {
        if (this.state !== "closed")
            this.#set("connecting");
        let token;
        try {
            token = await this.#token();
        }
        catch (error) {
            return this.#lost(1013, `no token: ${String(error)}`);
        }
        if (this.state === "closed")
            return;
        const { tokenIn = "query" } = this.#options, url = new URL(this.#url);
        if (token !== undefined && tokenIn === "query")
            url.searchParams.set("token", token);
        const [room, ...others] = this.#joined;
        const since = room === undefined || others.length ? undefined : this.#positions.get(room);
        if (since !== undefined)
            url.searchParams.set("since", since);
        const protocols = token !== undefined && tokenIn === "subprotocol" ? ["channeld", `bearer.${token}`] : undefined;
        const socket = (this.#socket = new this.#class(url.href, protocols));
        this.#told = undefined;
        this.#denied = false;
        socket.onopen = () => {
            this.#opened = this.#heard = Date.now();
            this.#asked = false;
            this.#watchTimer = setInterval(() => this.#watch(), (this.#options.silence ?? 30_000) / 2);
            if (token !== undefined && tokenIn === "message")
                socket.send(JSON.stringify({ type: "authenticate", token }));
            else
                this.#ready();
        };
        socket.onmessage = (event) => this.#receive(JSON.parse(String(event.data)));
        socket.onclose = (event) => this.#lost(event.code, event.reason);
        // A close event follows, but not in every Node where no connection came about.
        socket.onerror = () => { if (this.#socket === socket && !this.#opened)
            this.#lost(1006, "no connection"); };
    }
    #ready() {
        this.state = "open";
        for (const room of this.#subscribed)
            this.#subscribe(room, true).catch((error) => void (error.frame && this.#leave(room)));
        for (const { text } of this.#queue.splice(0))
            this.#socket?.send(text);
        this.#set("open");
    }
    #receive(frame) {
        this.#heard = Date.now();
        this.#asked = false;
        if (frame.type === "authenticated") {
            this.#denials = 0;
            if (this.state === "connecting")
                this.#ready();
        }
        else if (frame.type === "token_expiring") {
            if (typeof this.#options.token === "function")
                this.renew().catch(() => { }); // else the end of the token says it
        }
        else if (frame.type === "subscribed")
            this.#enter(frame);
        else if (frame.type === "unsubscribed")
            this.#leave(frame.room);
        else if (frame.type === "disconnect")
            this.#told = frame;
        else if (frame.type === "error")
            this.#denied ||= frame.code === "UNAUTHORIZED" || frame.code === "TOKEN_EXPIRED";
        else if (typeof frame.room === "string" && typeof frame.pos === "string")
            this.#positions.set(frame.room, frame.pos);
        if (frame.type === "error")
            this.#settle(frame.id)?.reject(new ChannelError(String(frame.code), String(frame.message), frame));
        else if (ANSWERS.has(frame.type))
            this.#settle(frame.id)?.resolve(frame);
        for (const key of [frame.type, "*"])
            for (const handler of this.#handlers.get(key) ?? [])
                this.#call(() => handler(frame));
    }
    #enter(frame) {
        const room = frame.room, before = this.#positions.get(room), asked = this.#subscribing.has(frame.id);
        if (asked)
            this.#subscribed.add(room);
        else if (!this.#subscribed.has(room))
            this.#joined.add(room);
        // What was missed follows and brings its own positions; until then the old one stands.
        if (frame.recovered === true)
            return;
        if (typeof frame.pos === "string")
            this.#positions.set(room, frame.pos);
        if (frame.recovered === false || (!asked && before !== undefined && before !== frame.pos))
            this.#call(() => this.#options.onGap?.(room));
    }
    #leave(room) { for (const known of [this.#subscribed, this.#joined, this.#positions])
        known.delete(room); }
    #subscribe(room, again = false) {
        const since = again ? this.#positions.get(room) : undefined;
        const answer = this.#ask({ type: "subscribe", room, ...(since === undefined ? {} : { since }) });
        const id = this.#lastId;
        this.#subscribing.set(id, room);
        return answer.finally(() => this.#subscribing.delete(id));
    }
    #ask(frame) {
        const id = ++this.#lastId;
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => {
                this.#queue = this.#queue.filter((waiting) => waiting.id !== id);
                this.#settle(id)?.reject(new ChannelError("TIMEOUT", "no answer in time"));
            }, this.#options.timeout ?? 10_000);
            const { type, once } = frame, waiting = { id, text: JSON.stringify({ ...frame, id }) };
            const again = typeof once === "string" && this.#once.includes(type) ? waiting : undefined;
            this.#pending.set(id, { resolve, reject, timer, again });
            try {
                this.#post(waiting);
            }
            catch (error) {
                this.#settle(id)?.reject(error);
            }
        });
    }
    #post(waiting) {
        if (this.state === "closed")
            throw new ChannelError("CLOSED", "the channel is closed");
        if (this.state === "open")
            this.#socket?.send(waiting.text);
        else if (this.#queue.length < (this.#options.queue ?? 100))
            this.#queue.push(waiting);
        else
            throw new ChannelError("QUEUE_FULL", "too many frames wait for a connection");
    }
    /** What came of a connection: back again with backoff and jitter, with a new token, or the end. */
    #lost(code, reason) {
        if (this.state === "closed")
            return;
        const told = this.#told;
        if (told)
            ({ code, reason } = told); // proxies lose close codes
        else if (this.#denied && code < 1007)
            code = 4401;
        this.#detach();
        const queued = new Set(this.#queue.map((waiting) => waiting.id));
        for (const id of [...this.#pending.keys()])
            if (!queued.has(id))
                this.#unanswered(id);
        const { token, backoff: { first = 500, most = 30_000 } = {} } = this.#options;
        const back = code === 4401 ? typeof token === "function" && ++this.#denials < 2 : (told?.reconnect ?? mayComeBack(code));
        if (!back)
            return this.#end({ code, reason });
        if (this.#opened && Date.now() - this.#opened > 10_000)
            this.#attempts = 0; // it was a good connection
        this.#opened = 0;
        const spread = Math.random() * Math.min(most, first * 2 ** this.#attempts++);
        const retry = told?.retry_after === undefined ? spread : told.retry_after * 1000;
        this.#retryTimer = setTimeout(() => void this.#connect(), retry);
        this.#set("waiting", { code, reason, retry });
    }
    #unanswered(id) {
        const again = this.#pending.get(id)?.again;
        if (again)
            this.#queue.push(again);
        else
            this.#settle(id)?.reject(new ChannelError("CONNECTION_LOST", "the connection was lost"));
    }
    #end(ending) {
        if (this.state === "closed")
            return;
        clearTimeout(this.#retryTimer);
        this.#detach();
        this.#queue = [];
        this.#set("closed", ending);
        for (const id of [...this.#pending.keys()])
            this.#settle(id)?.reject(new ChannelError("CLOSED", ending.reason));
    }
    #detach() {
        clearInterval(this.#watchTimer);
        const socket = this.#socket;
        this.#socket = undefined;
        if (!socket)
            return;
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close(1000);
    }
    #watch() {
        if (Date.now() - this.#heard < (this.#options.silence ?? 30_000))
            return;
        if (this.#asked)
            return this.#lost(1006, "the server is silent");
        this.#asked = true;
        this.#heard = Date.now();
        this.#socket?.send('{"type":"ping"}');
    }
    #settle(id) {
        const pending = this.#pending.get(id);
        this.#pending.delete(id);
        clearTimeout(pending?.timer);
        return pending;
    }
    #set(state, ending) {
        this.state = state;
        this.#call(() => this.#options.onState?.(state, ending));
    }
    #call(handler) {
        try {
            handler();
        }
        catch (error) {
            console.error(error);
        } // a handler's fault must not stop the frames
    }
    async #token() {
        return typeof this.#options.token === "function" ? this.#options.token() : this.#options.token;
    }
}
/** Whether a close code invites to come back: 45xx, 4900 to 4949, and the standard ones of a server in trouble. */
function mayComeBack(code) {
    return [1006, 1011, 1012, 1013].includes(code) || (code >= 4500 && code < 4600) || (code >= 4900 && code < 4950);
}
