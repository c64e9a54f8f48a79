/* The bench's load client: drives a WebSocket server over 127.0.0.1, checks every delivery, and prints one JSON line.
 *
 *   load echo   each connection keeps W messages in flight and must get each back, whole and in order
 *   load fan    connections of one path are a room; S senders keep W messages in flight between them; every member of
 *               the sender's room, and nobody else, must get every message, whole and in the sender's order, before the
 *               window moves on
 *   load pace   echo at a fixed rate; latency is counted from the moment a message was due (no coordinated omission)
 *   load open   opens connections step by step and holds them; CPU, time and memory of the server for each step
 *
 * With several `--ports` a room's members are dealt out over them in turn, the first to the first port; deliveries to
 * another port than the sender's are `far`, and have their latency apart.
 *
 * `--message` names a file with the message to send, whose `text` starts with 16 digits' room for who sent it and which it
 * is. `--tls 1` speaks TLS and looks at no certificate; `--deflate` offers permessage-deflate in the words it is given, and
 * sends uncompressed, as RFC 7692 allows. `--talkers` of a paced echo are those that speak, the rest only listens.
 *
 * A lost, doubled, altered or overtaken delivery, a close, or 20 seconds without progress end it with status 1 and a
 * sentence on stderr. The server's CPU is the kernel's own clock of its processes (clock_getcpuclockid, nanoseconds,
 * user and system, all threads), read here at the very ends of each measurement, and said of each process as well. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#ifdef TLS
#include <openssl/ssl.h>
#include <zlib.h>
#endif
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 100, READ_SIZE = 1 << 20, EVENTS = 1024, RING = 64, AROUND = 64, DIGITS = 17 };
enum { MAX_PIDS = 16, MAX_PORTS = 16, MAX_STEPS = 64 };
static const double STALL = 20.0; /* seconds without progress before we give up */

#define KEY "\"text\":\""

enum mode { ECHO_, FAN, PACE, OPEN };
enum protocol { PLAIN, NATS, SOCKETIO };
enum state { CONNECTING, SHAKING, UPGRADING, GREETING, READY };

struct conn {
    int fd, id;
    enum state state;
    uint32_t mask;
    char *out, *in, *stream; /* what the kernel did not take yet; a partial frame; a partial NATS message */
    size_t out_len, in_len, stream_len;
    uint64_t sent, received; /* echo: messages of this connection */
    uint64_t due[RING];      /* echo: when each message in flight was sent, or was due */
    uint64_t began;
#ifdef TLS
    SSL *tls;
    z_stream *inflater;
#endif
};

struct snapshot {
    double wall, server, client, busy; /* busy: of the two cores, by all processes */
    double each[MAX_PIDS];             /* the server's, process by process */
};

static struct {
    enum mode mode;
    enum protocol protocol;
    int ports[MAX_PORTS], n_ports, connections, window, senders, concurrency, talkers, tls;
    double seconds, warmup, rate;
    const char *ready, *deflate;
    char **paths;
    int n_paths, steps[MAX_STEPS], n_steps, cores[2], n_cores;
    clockid_t clocks[MAX_PIDS];
    int pids[MAX_PIDS], n_pids;
} opt = {.connections = 50, .window = 1, .senders = 1, .concurrency = 32, .seconds = 2, .rate = 4000};

static struct conn *conns;
static int epfd, opened, n_ready;
static char *buffer, *frames; /* what was read; the frames of one write */
/* The message as it is sent but for the digits, which stand at `text_at`; its type in quotes. */
static struct {
    char *bytes, type[64];
    size_t size, text_at, text_size;
} message;
static uint64_t deliveries, now, histogram[64 * 48], far[64 * 48], rewritten;
static int sending, closing, n_closed; /* whether new messages may still be sent; whether we say goodbye */
/* fan: what each member has of each sender; how many members still miss a message; when it was sent */
static uint64_t *seen, *published, *completed, *sent_at;
static int *missing, *finished; /* finished: messages completed in this turn, a sender */

static uint64_t nanoseconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void *grow(void *old, size_t size) {
    void *p = realloc(old, size);
    if (!p) fail("out of memory");
    return p;
}

/* Seconds that a core was busy since boot, in the kernel's ticks. */
static double core_busy(int core) {
    char line[512], name[16];
    double user, nice, system, idle, wait, irq, soft, steal, found = 0;
    FILE *f = fopen("/proc/stat", "r");
    snprintf(name, sizeof name, "cpu%d ", core);
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, strlen(name)) && sscanf(line + strlen(name), "%lf %lf %lf %lf %lf %lf %lf %lf", &user,
                                                         &nice, &system, &idle, &wait, &irq, &soft, &steal) == 8)
            found = (user + nice + system + irq + soft + steal) / (double)sysconf(_SC_CLK_TCK);
    if (f) fclose(f);
    return found;
}

static struct snapshot take_snapshot(void) {
    struct snapshot s = {.client = (double)nanoseconds(CLOCK_PROCESS_CPUTIME_ID) / 1e9};
    for (int i = 0; i < opt.n_pids; i++) {
        struct timespec t;
        if (clock_gettime(opt.clocks[i], &t)) fail("server process %d has ended", opt.pids[i]);
        s.server += s.each[i] = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    }
    for (int i = 0; i < opt.n_cores; i++) s.busy += core_busy(opt.cores[i]);
    s.wall = (double)nanoseconds(CLOCK_MONOTONIC) / 1e9;
    return s;
}

static double resident_kib(void) {
    double total = 0;
    for (int i = 0; i < opt.n_pids; i++) {
        char name[64];
        long size, pages = 0;
        snprintf(name, sizeof name, "/proc/%d/statm", opt.pids[i]);
        FILE *f = fopen(name, "r");
        if (!f || fscanf(f, "%ld %ld", &size, &pages) != 2) fail("cannot read %s", name);
        fclose(f);
        total += (double)pages * (double)sysconf(_SC_PAGESIZE) / 1024;
    }
    return total;
}

/* ---- latency: 64 buckets to each doubling, so within 1.6 % ---- */

static void record(uint64_t *buckets, uint64_t ns) {
    int index = (int)ns;
    if (ns >= 64) {
        int shift = 57 - __builtin_clzll(ns);
        index = ((shift + 1) << 6) + (int)((ns >> shift) & 63);
    }
    if (index < (int)(sizeof histogram / sizeof *histogram)) buckets[index]++;
}

static double quantile_us(const uint64_t *buckets, double q) {
    uint64_t total = 0, sum = 0;
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) total += buckets[i];
    for (size_t i = 0; i < sizeof histogram / sizeof *histogram; i++) {
        sum += buckets[i];
        if (total && (double)sum >= q * (double)total)
            return (i < 64 ? (double)i : (double)((uint64_t)(64 + (i & 63)) << ((i >> 6) - 1))) / 1000;
    }
    return 0;
}

/* ---- writing ---- */

static void watch(struct conn *c, uint32_t events, int operation) {
    struct epoll_event e = {.events = events, .data.u32 = (uint32_t)c->id};
    if (epoll_ctl(epfd, operation, c->fd, &e)) fail("epoll_ctl: %s", strerror(errno));
}

#ifdef TLS
static SSL_CTX *context;

/* What a call of OpenSSL that did not succeed wants: 0 to wait, or -1 for the end. */
static ssize_t wait_or_end(struct conn *c, int result) {
    int why = SSL_get_error(c->tls, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return 0;
    if (why == SSL_ERROR_SYSCALL || why == SSL_ERROR_ZERO_RETURN || closing) return -1;
    fail("connection %d: TLS error %d", c->id, why);
}
#endif

/* Sends what the kernel takes of it; returns how much that is. While we say goodbye it does not matter. */
static size_t send_some(struct conn *c, const char *data, size_t size) {
    ssize_t n;
#ifdef TLS
    if (c->tls) {
        size_t sent = 0, part;
        while (sent < size && SSL_write_ex(c->tls, data + sent, size - sent, &part)) sent += part;
        if (sent < size && wait_or_end(c, 0) && !closing) fail("connection %d: send: end of stream", c->id);
        return sent;
    }
#endif
    n = send(c->fd, data, size, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && !closing) fail("connection %d: send: %s", c->id, strerror(errno));
    return n < 0 ? 0 : (size_t)n;
}

/* Reads; returns 0 when nothing has come yet. */
static size_t receive_some(struct conn *c, char *to, size_t size) {
    ssize_t n;
#ifdef TLS
    if (c->tls) {
        size_t got;
        if (SSL_read_ex(c->tls, to, size, &got)) return got;
        if (wait_or_end(c, 0)) fail("connection %d: ended by the server: end of stream", c->id);
        return 0;
    }
#endif
    n = recv(c->fd, to, size, 0);
    if (n < 0 && errno == EAGAIN) return 0;
    if (n <= 0) fail("connection %d: ended by the server: %s", c->id, n ? strerror(errno) : "end of stream");
    return (size_t)n;
}

static void write_bytes(struct conn *c, const char *data, size_t size) {
    if (!c->out_len) {
        size_t n = send_some(c, data, size);
        data += n, size -= n;
        if (!size) return;
        watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    c->out = grow(c->out, c->out_len + size);
    memcpy(c->out + c->out_len, data, size);
    c->out_len += size;
}

static void flush(struct conn *c) {
    size_t n = send_some(c, c->out, c->out_len);
    memmove(c->out, c->out + n, c->out_len - n);
    if (!(c->out_len -= n)) watch(c, EPOLLIN, EPOLL_CTL_MOD);
}

/* Writes the header of a masked frame to `to`; returns its size. */
static size_t put_header(struct conn *c, char *to, int opcode, size_t size) {
    size_t at = 2;
    to[0] = (char)(0x80 | opcode);
    to[1] = (char)(0x80 | (size < 126 ? size : size < 65536 ? 126 : 127));
    for (int bytes = size < 126 ? 0 : size < 65536 ? 2 : 8; bytes--;) to[at++] = (char)((uint64_t)size >> 8 * bytes);
    memcpy(to + at, &c->mask, 4);
    return at + 4;
}

static void apply_mask(struct conn *c, char *data, size_t size) {
    uint64_t wide = (uint64_t)c->mask << 32 | c->mask, word;
    size_t at = 0;
    for (; at + 8 <= size; at += 8) memcpy(&word, data + at, 8), word ^= wide, memcpy(data + at, &word, 8);
    for (; at < size; at++) data[at] ^= (char)(wide >> 8 * (at & 7));
}

static size_t put_frame(struct conn *c, char *to, int opcode, const char *payload, size_t size) {
    size_t header = put_header(c, to, opcode, size);
    memcpy(to + header, payload, size);
    apply_mask(c, to + header, size);
    return header + size;
}

static void send_frame(struct conn *c, int opcode, const char *payload, size_t size) {
    char frame[256];
    if (size + 14 > sizeof frame) fail("a client's control frame is too long");
    write_bytes(c, frame, put_frame(c, frame, opcode, payload, size));
}

static void put_digits(char *to, int width, uint64_t value) {
    while (width--) to[width] = (char)('0' + value % 10), value /= 10;
}

/* A message's frame: its text begins with five digits for who sent it and ten for which it is. */
static size_t put_message(struct conn *c, char *to, int who, uint64_t which) {
    char around[AROUND];
    int before = 0, nats = opt.protocol == NATS, after = nats ? 2 : opt.protocol == SOCKETIO;
    if (opt.protocol == SOCKETIO) before = sprintf(around, "42[\"chat\",");
    if (nats && opt.mode == FAN) before = sprintf(around, "PUB fan %zu\r\n", message.size);
    if (nats && opt.mode != FAN) before = sprintf(around, "PUB e.%05d %zu\r\n", c->id, message.size);
    size_t size = (size_t)before + message.size + (size_t)after, header = put_header(c, to, nats ? 2 : 1, size);
    char *payload = to + header, *text = payload + before + message.text_at;
    memcpy(payload, around, (size_t)before);
    memcpy(payload + before, message.bytes, message.size);
    memcpy(payload + size - after, nats ? "\r\n" : "]", (size_t)after);
    put_digits(text, 5, (uint64_t)who);
    put_digits(text + 6, 10, which);
    apply_mask(c, payload, size);
    return header + size;
}

/* Sends the next `count` messages of an echo connection in one write. */
static void send_echoes(struct conn *c, int count, uint64_t due) {
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        size += put_message(c, frames + size, c->id, c->sent);
        c->due[c->sent++ % RING] = due;
    }
    if (size) write_bytes(c, frames, size);
}

static int room_of(int id) { return id % opt.n_paths; }

static int port_of(int id) { return opt.ports[id / opt.n_paths % opt.n_ports]; }

static int members_of(int room) {
    return opt.connections / opt.n_paths + (room < opt.connections % opt.n_paths);
}

static void publish(int sender, int count) {
    struct conn *c = &conns[sender];
    size_t size = 0;
    for (int i = 0; i < count; i++) {
        uint64_t which = published[sender]++;
        size += put_message(c, frames + size, sender, which);
        missing[sender * RING + (int)(which % RING)] = members_of(room_of(sender));
        sent_at[sender * RING + (int)(which % RING)] = nanoseconds(CLOCK_MONOTONIC);
    }
    if (size) write_bytes(c, frames, size);
}

/* ---- checking what arrives ---- */

static uint64_t digits(const char *p, int width) {
    uint64_t value = 0;
    for (int i = 0; i < width; i++) {
        if (p[i] < '0' || p[i] > '9') return UINT64_MAX;
        value = value * 10 + (uint64_t)(p[i] - '0');
    }
    return value;
}

/* The message's text. A server that writes the JSON again may order or space its keys otherwise: that is allowed, and
 * counted; the text must be there to the byte. */
static const char *text_of(struct conn *c, const char *payload, size_t size) {
    size_t at = message.text_at, rest = at + message.text_size;
    const char *text = payload + at, *expected = message.bytes + at;
    if (size != message.size || memcmp(payload, message.bytes, at) ||
        memcmp(payload + rest, message.bytes + rest, size - rest)) {
        const char *key = memmem(payload, size, "\"text\":", 7);
        if (key) key += 7;
        if (key && *key == ' ') key++;
        if (!key || *key != '"' || key + message.text_size + 2 > payload + size || key[message.text_size + 1] != '"' ||
            !memmem(payload, size, message.type, strlen(message.type)))
            fail("connection %d: not the message that was sent: %.*s", c->id, (int)(size < 300 ? size : 300), payload);
        text = key + 1;
        rewritten++;
    }
    if (memcmp(text + DIGITS, expected + DIGITS, message.text_size - DIGITS))
        fail("connection %d: altered text: %.*s", c->id, (int)size, payload);
    return text;
}

/* An echo: returns 1 when it is the next one of this connection. */
static int take_echo(struct conn *c, const char *payload, size_t size) {
    const char *text = text_of(c, payload, size);
    if (digits(text, 5) != (uint64_t)c->id || digits(text + 6, 10) != c->received || c->received >= c->sent)
        fail("connection %d: got message %.16s, expected %05d %010lu", c->id, text, c->id, c->received);
    record(histogram, now - c->due[c->received++ % RING]);
    deliveries++;
    return 1;
}

static void take_delivery(struct conn *c, const char *payload, size_t size) {
    const char *text = text_of(c, payload, size);
    uint64_t sender = digits(text, 5), which = digits(text + 6, 10);
    if (sender >= (uint64_t)opt.senders) fail("member %d: unknown sender in: %.*s", c->id, (int)size, payload);
    if (room_of((int)sender) != room_of(c->id)) fail("member %d: got a message of another room, from %lu", c->id, sender);
    uint64_t *next = &seen[(size_t)c->id * (size_t)opt.senders + sender];
    if (which != *next || which >= published[sender])
        fail("member %d: got message %lu of sender %lu, expected %lu (lost, doubled or out of order)", c->id, which,
             sender, *next);
    ++*next;
    deliveries++;
    size_t slot = sender * RING + which % RING;
    record(histogram, now - sent_at[slot]);
    if (port_of((int)sender) != port_of(c->id)) record(far, now - sent_at[slot]);
    if (!--missing[slot]) completed[sender]++, finished[sender]++;
}

/* ---- greetings: what makes a connection ready ---- */

static void become_ready(struct conn *c) {
    c->state = READY;
    n_ready++;
    if (opt.mode == OPEN) record(histogram, nanoseconds(CLOCK_MONOTONIC) - c->began);
}

static void greet(struct conn *c) {
    c->state = GREETING;
    if (opt.protocol == NATS) {
        char text[120];
        int n = sprintf(text, "CONNECT {\"verbose\":false}\r\nSUB ");
        n += opt.mode == FAN ? sprintf(text + n, "fan 1\r\nPING\r\n") : sprintf(text + n, "e.%05d 1\r\nPING\r\n", c->id);
        send_frame(c, 2, text, (size_t)n);
    } else if (opt.protocol == PLAIN && !opt.ready) {
        become_ready(c);
    }
}

static int starts(const char *payload, size_t size, const char *text) {
    size_t n = strlen(text);
    return size >= n && !memcmp(payload, text, n);
}

/* One message of the peer's protocol; returns 1 for an echo to answer. */
static int take_message(struct conn *c, const char *payload, size_t size) {
    if (c->state != READY) {
        if (opt.ready && memmem(payload, size, opt.ready, strlen(opt.ready))) become_ready(c);
        return 0;
    }
    if (opt.mode == OPEN) return 0;
    if (opt.mode == FAN) return take_delivery(c, payload, size), 0;
    return take_echo(c, payload, size);
}

static int take_socketio(struct conn *c, const char *payload, size_t size) {
    if (starts(payload, size, "42[\"chat\",")) return take_message(c, payload + 10, size - 11);
    if (size == 1 && *payload == '2') send_frame(c, 1, "3", 1);
    else if (starts(payload, size, "40")) become_ready(c);
    else if (starts(payload, size, "0{")) send_frame(c, 1, "40", 2);
    else fail("connection %d: unexpected socket.io packet: %.*s", c->id, (int)size, payload);
    return 0;
}

/* NATS speaks a byte stream inside the frames: lines, and messages that may be cut anywhere. */
static int take_nats(struct conn *c, const char *data, size_t size) {
    int echoes = 0;
    if (c->stream_len) {
        c->stream = grow(c->stream, c->stream_len + size);
        memcpy(c->stream + c->stream_len, data, size);
        size += c->stream_len, data = c->stream;
    }
    while (size) {
        const char *end = memchr(data, '\n', size);
        if (!end) break;
        size_t used = (size_t)(end + 1 - data);
        if (starts(data, size, "MSG ")) {
            const char *length = memrchr(data, ' ', used);
            size_t body = strtoul(length, NULL, 10);
            if (used + body + 2 > size) break;
            echoes += take_message(c, data + used, body);
            used += body + 2;
        } else if (starts(data, size, "PING")) {
            send_frame(c, 2, "PONG\r\n", 6);
        } else if (starts(data, size, "PONG")) {
            if (c->state != READY) become_ready(c);
        } else if (!starts(data, size, "INFO") && !starts(data, size, "+OK")) {
            fail("connection %d: NATS says %.*s", c->id, (int)used, data);
        }
        data += used, size -= used;
    }
    char *rest = size ? memcpy(grow(NULL, size), data, size) : NULL;
    free(c->stream);
    c->stream = rest, c->stream_len = size;
    return echoes;
}

#ifdef TLS
/* Inflates a message in the connection's window; returns where it stands, and sets its size. */
static const char *inflated(struct conn *c, const char *payload, size_t *size) {
    static unsigned char plain[READ_SIZE];
    unsigned char tail[] = {0, 0, 0xff, 0xff};
    z_stream *z = c->inflater;
    if (!z) fail("connection %d: a compressed frame, which was not agreed", c->id);
    z->next_out = plain, z->avail_out = sizeof plain;
    z->next_in = (unsigned char *)(uintptr_t)payload, z->avail_in = (unsigned)*size;
    if (inflate(z, Z_SYNC_FLUSH) < 0 || z->avail_in) fail("connection %d: cannot inflate", c->id);
    z->next_in = tail, z->avail_in = sizeof tail;
    if (inflate(z, Z_SYNC_FLUSH) < 0) fail("connection %d: cannot inflate", c->id);
    *size = sizeof plain - z->avail_out;
    return (const char *)plain;
}

/* Takes note of what the server agreed to. */
static void agree(struct conn *c, const char *head, size_t size) {
    if (!memmem(head, size, "permessage-deflate", 18)) fail("connection %d: compression was not agreed", c->id);
    c->inflater = calloc(1, sizeof *c->inflater);
    if (!c->inflater || inflateInit2(c->inflater, -15) != Z_OK) fail("out of memory");
}
#endif

static int take_frame(struct conn *c, int first, const char *payload, size_t size) {
    int opcode = first & 15;
    if (opcode == 9) return send_frame(c, 10, payload, size), 0;
    if (opcode == 10) return 0;
    if (opcode == 8 && closing) return 0;
    if (opcode == 8)
        fail("connection %d: closed by the server, code %d %.*s", c->id,
             size >= 2 ? (unsigned char)payload[0] << 8 | (unsigned char)payload[1] : 1005,
             size > 2 ? (int)size - 2 : 0, payload + 2);
    if (opt.protocol == NATS) return take_nats(c, payload, size);
#ifdef TLS
    if (first == 0xc1) payload = inflated(c, payload, &size), first = 0x81;
#endif
    if (first != 0x81 && first != 0x82) fail("connection %d: unexpected frame, first byte %02x", c->id, first);
    return opt.protocol == SOCKETIO ? take_socketio(c, payload, size) : take_message(c, payload, size);
}

/* Takes the whole frames off `data`; returns how many bytes they were. `echoes` counts the answers to send. */
static size_t take_frames(struct conn *c, const char *data, size_t size, int *echoes) {
    size_t at = 0;
    while (size - at >= 2) {
        const unsigned char *p = (const unsigned char *)data + at;
        size_t length = p[1] & 127, header = 2;
        if (p[1] & 128) fail("connection %d: the server sent a masked frame", c->id);
        if (length == 126) {
            if (size - at < 4) break;
            length = (size_t)p[2] << 8 | p[3], header = 4;
        } else if (length == 127) {
            if (size - at < 10) break;
            header = 10, length = 0;
            for (int i = 2; i < 10; i++) length = length << 8 | p[i];
        }
        if (size - at - header < length) break;
        *echoes += take_frame(c, p[0], data + at + header, length);
        at += header + length;
    }
    return at;
}

static size_t take_upgrade(struct conn *c, const char *data, size_t size) {
    const char *end = memmem(data, size, "\r\n\r\n", 4);
    if (!end) return 0;
    if (!starts(data, size, "HTTP/1.1 101") || !memmem(data, size, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28))
        fail("connection %d: not upgraded: %.*s", c->id, (int)(size < 400 ? size : 400), data);
#ifdef TLS
    if (opt.deflate) agree(c, data, (size_t)(end - data));
#endif
    greet(c);
    return (size_t)(end + 4 - data);
}

/* After our Close: whatever still comes is dropped, until the end of the stream. */
static void drain(struct conn *c) {
    if (recv(c->fd, buffer, READ_SIZE, 0) > 0) return;
    close(c->fd);
    n_closed++;
}

/* Returns 0 when nothing had come. */
static int read_once(struct conn *c) {
    size_t size = c->in_len, used = 0, n;
    int echoes = 0;
    if (size) memcpy(buffer, c->in, size);
    if (!(n = receive_some(c, buffer + size, READ_SIZE - size))) return 0;
    now = nanoseconds(CLOCK_MONOTONIC);
    size += n;
    if (c->state == UPGRADING) used = take_upgrade(c, buffer, size);
    if (c->state != UPGRADING) used += take_frames(c, buffer + used, size - used, &echoes);
    c->in_len = size - used;
    if (c->in_len == READ_SIZE) fail("connection %d: a frame is larger than %d bytes", c->id, READ_SIZE);
    if (c->in_len) c->in = grow(c->in, c->in_len), memcpy(c->in, buffer + used, c->in_len);
    if (opt.mode == ECHO_ && echoes && sending) send_echoes(c, echoes, now);
    return 1;
}

static void read_conn(struct conn *c) {
    if (closing) drain(c);
    else if (read_once(c)) {
#ifdef TLS
        while (c->tls && SSL_has_pending(c->tls) && read_once(c)) continue;
#endif
    }
}

/* ---- connecting ---- */

static void dial(int id) {
    struct conn *c = &conns[id];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port_of(id))};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->id = id, c->mask = 0x9e3779b9u * (uint32_t)(id + 1), c->began = nanoseconds(CLOCK_MONOTONIC);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0) fail("connection %d: socket: %s", id, strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)
        fail("connection %d: connect: %s", id, strerror(errno));
    watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
}

static void upgrade(struct conn *c) {
    char request[4096];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
                     opt.paths[room_of(c->id)], port_of(c->id), opt.deflate ? "Sec-WebSocket-Extensions: " : "",
                     opt.deflate ? opt.deflate : "", opt.deflate ? "\r\n" : "");
    if (n >= (int)sizeof request) fail("connection %d: path too long", c->id);
    c->state = UPGRADING;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
    write_bytes(c, request, (size_t)n);
}

/* The TCP connection is there. */
static void come_in(struct conn *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) fail("connection %d: connect: %s", c->id, strerror(error));
    if (!opt.tls) {
        upgrade(c);
        return;
    }
#ifdef TLS
    if (!(c->tls = SSL_new(context)) || !SSL_set_fd(c->tls, c->fd)) fail("out of memory");
    c->state = SHAKING;
    watch(c, EPOLLIN, EPOLL_CTL_MOD);
#endif
}

/* One step of the TLS handshake, in which no write of a client is too long for the kernel. */
static void shake(struct conn *c) {
#ifdef TLS
    int done = SSL_connect(c->tls);
    if (done == 1) upgrade(c);
    else if (wait_or_end(c, done)) fail("connection %d: ended in the TLS handshake", c->id);
#else
    (void)c;
#endif
}

/* One turn of the loop; waits at most `milliseconds`. */
static void turn(int milliseconds) {
    static struct epoll_event events[EVENTS];
    int n = epoll_wait(epfd, events, EVENTS, milliseconds);
    for (int i = 0; i < n; i++) {
        struct conn *c = &conns[events[i].data.u32];
        if (c->state == CONNECTING) {
            if (events[i].events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) come_in(c);
            if (c->state != SHAKING) continue;
        }
        if (c->state == SHAKING) {
            shake(c);
            continue;
        }
        if (events[i].events & EPOLLOUT && c->out_len && !closing) flush(c);
        if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) read_conn(c);
    }
}

static void open_until(int count) {
    double last = (double)nanoseconds(CLOCK_MONOTONIC);
    int before = n_ready;
    while (n_ready < count) {
        while (opened < count && opened - n_ready < opt.concurrency) dial(opened++);
        turn(100);
        double t = (double)nanoseconds(CLOCK_MONOTONIC);
        if (n_ready != before) before = n_ready, last = t;
        if (t - last > STALL * 1e9) fail("only %d of %d connections became ready", n_ready, count);
    }
}

static void settle(double seconds) {
    uint64_t end = nanoseconds(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
    while (nanoseconds(CLOCK_MONOTONIC) < end) turn(20);
}

/* ---- the four works ---- */

static uint64_t outstanding(void) {
    uint64_t n = 0;
    if (opt.mode == FAN)
        for (int i = 0; i < opt.senders; i++) n += published[i] - completed[i];
    else
        for (int i = 0; i < opt.connections; i++) n += conns[i].sent - conns[i].received;
    return n;
}

static void publish_finished(void) {
    for (int i = 0; i < opt.senders; i++) {
        int count = finished[i];
        finished[i] = 0;
        if (count && sending) publish(i, count);
    }
}

/* Keeps the window full for `seconds`, then waits for what is in flight. */
static void run(double seconds) {
    uint64_t end = nanoseconds(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9), last = 0, at = deliveries;
    sending = 1;
    for (int i = 0; opt.mode == FAN && i < opt.senders; i++) publish(i, opt.window / opt.senders);
    for (int i = 0; opt.mode == ECHO_ && i < opt.connections; i++)
        send_echoes(&conns[i], opt.window, nanoseconds(CLOCK_MONOTONIC));
    while (sending || outstanding()) {
        turn(50);
        uint64_t t = nanoseconds(CLOCK_MONOTONIC);
        if (t >= end) sending = 0;
        if (opt.mode == FAN) publish_finished();
        if (!last || at != deliveries) last = t, at = deliveries;
        if (t - last > (uint64_t)(STALL * 1e9))
            fail("no delivery for %.0f s: %lu messages are not everywhere after %lu deliveries", STALL, outstanding(),
                 deliveries);
    }
}

/* Echo at `opt.rate`; returns 0 when the server can't keep up. */
static int run_paced(double seconds) {
    uint64_t start = nanoseconds(CLOCK_MONOTONIC), total = (uint64_t)(seconds * opt.rate), sent = 0, t = start;
    uint64_t deadline = start + (uint64_t)((seconds + STALL) * 1e9);
    while (sent < total || outstanding()) {
        turn(0);
        t = nanoseconds(CLOCK_MONOTONIC);
        for (; sent < total; sent++) {
            uint64_t due = start + (uint64_t)((double)sent / opt.rate * 1e9);
            struct conn *c = &conns[sent % (uint64_t)opt.talkers];
            if (due > t) break;
            if (c->sent - c->received >= RING) return 0;
            send_echoes(c, 1, due);
        }
        if (t > deadline) fail("%lu echoes are missing", outstanding());
    }
    return 1;
}

static void print_latency(void) {
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, ", quantile_us(histogram, 0.5), quantile_us(histogram, 0.99));
    if (opt.n_ports > 1)
        printf("\"far_p50_us\": %.1f, \"far_p99_us\": %.1f, ", quantile_us(far, 0.5), quantile_us(far, 0.99));
    printf("\"rewritten\": %lu}\n", rewritten);
}

/* What lies between two snapshots, as members of a JSON object; `foreign`: CPU that others took on the two cores. */
static void print_difference(struct snapshot a, struct snapshot b) {
    double server = b.server - a.server, client = b.client - a.client, foreign = b.busy - a.busy - server - client;
    printf("\"seconds\": %.6f, \"server_cpu\": %.6f, \"client_cpu\": %.6f, \"foreign_cpu\": %.6f, ", b.wall - a.wall,
           server, client, opt.n_cores && foreign > 0 ? foreign : 0);
    printf("\"each_cpu\": [");
    for (int i = 0; i < opt.n_pids; i++) printf("%s%.6f", i ? ", " : "", b.each[i] - a.each[i]);
    printf("], ");
}

static void measure_messages(void) {
    int kept_up = 1;
    open_until(opt.connections);
    settle(0.3);
    if (opt.mode == PACE) run_paced(opt.warmup);
    else run(opt.warmup);
    deliveries = rewritten = 0;
    memset(histogram, 0, sizeof histogram);
    memset(far, 0, sizeof far);
    struct snapshot a = take_snapshot();
    if (opt.mode == PACE) kept_up = run_paced(opt.seconds);
    else run(opt.seconds);
    struct snapshot b = take_snapshot();
    printf("{\"count\": %lu, \"kept_up\": %s, ", deliveries, kept_up ? "true" : "false");
    print_difference(a, b);
    print_latency();
}

static void measure_opening(void) {
    double base = resident_kib();
    printf("{\"resident_kib\": %.0f, \"steps\": [", base);
    for (int i = 0; i < opt.n_steps; i++) {
        int from = n_ready;
        struct snapshot a = take_snapshot();
        open_until(opt.steps[i]);
        struct snapshot b = take_snapshot();
        settle(opt.warmup);
        printf("%s{\"open\": %d, \"count\": %d, ", i ? ", " : "", n_ready, n_ready - from);
        print_difference(a, b);
        printf("\"resident_kib\": %.0f}", resident_kib());
    }
    printf("], ");
    print_latency();
}

/* A Close frame for each connection, and two seconds for the server to see them off. */
static void say_goodbye(void) {
    uint64_t end = nanoseconds(CLOCK_MONOTONIC) + 2000000000u;
    fflush(stdout);
    closing = 1;
    for (int i = 0; i < opened; i++) {
        char frame[16];
        size_t size = put_frame(&conns[i], frame, 8, "\x03\xe8", 2);
        if (!conns[i].out_len) send_some(&conns[i], frame, size);
    }
    while (n_closed < opened && nanoseconds(CLOCK_MONOTONIC) < end) turn(50);
}

/* ---- options ---- */

static void add_path(const char *line) {
    opt.paths = grow(opt.paths, sizeof(char *) * (size_t)(opt.n_paths + 1));
    opt.paths[opt.n_paths++] = strdup(line);
}

static void read_paths(const char *name) {
    char line[4096];
    FILE *f = fopen(name, "r");
    if (!f) fail("cannot open %s: %s", name, strerror(errno));
    while (fgets(line, sizeof line, f)) line[strcspn(line, "\n")] = 0, add_path(line);
    fclose(f);
}

/* Takes the message to send, or the bench's own of 100 bytes. */
static void read_message(const char *name) {
    const char *own = "{\"type\":\"chat\"," KEY, *fox = "the quick brown fox jumps over the lazy dog ";
    message.bytes = grow(NULL, READ_SIZE);
    if (name) {
        FILE *f = fopen(name, "r");
        if (!f) fail("cannot open %s: %s", name, strerror(errno));
        message.size = fread(message.bytes, 1, READ_SIZE - AROUND, f);
        fclose(f);
    } else {
        size_t head = strlen(own);
        memcpy(message.bytes, own, head);
        for (int i = 0; i < MESSAGE; i++) message.bytes[head + (size_t)i] = i < DIGITS ? ' ' : fox[i % 44];
        memcpy(message.bytes + MESSAGE - 2, "\"}", 2);
        message.size = MESSAGE;
    }
    const char *key = memmem(message.bytes, message.size, KEY, sizeof KEY - 1);
    const char *text = key ? key + sizeof KEY - 1 : NULL;
    const char *end = text ? memchr(text, '"', message.size - (size_t)(text - message.bytes)) : NULL;
    if (!end || end - text < DIGITS) fail("the message has no text of at least %d bytes", DIGITS);
    if (sscanf(message.bytes, "{\"type\":%60[^,]", message.type) != 1) fail("the message does not begin with its type");
    message.text_at = (size_t)(text - message.bytes), message.text_size = (size_t)(end - text);
    message.bytes[message.text_at + 5] = ' ';
}

static void read_numbers(char *list, int *to, int *count, int most) {
    for (char *p = strtok(list, ","); p; p = strtok(NULL, ",")) {
        if (*count == most) fail("too many numbers");
        to[(*count)++] = atoi(p);
    }
}

static void read_option(const char *name, char *value) {
    if (!strcmp(name, "--port") || !strcmp(name, "--ports")) read_numbers(value, opt.ports, &opt.n_ports, MAX_PORTS);
    else if (!strcmp(name, "--path")) add_path(value);
    else if (!strcmp(name, "--paths")) read_paths(value);
    else if (!strcmp(name, "--connections")) opt.connections = atoi(value);
    else if (!strcmp(name, "--window")) opt.window = atoi(value);
    else if (!strcmp(name, "--talkers")) opt.talkers = atoi(value);
    else if (!strcmp(name, "--tls")) opt.tls = atoi(value);
    else if (!strcmp(name, "--deflate")) opt.deflate = value;
    else if (!strcmp(name, "--message")) read_message(value);
    else if (!strcmp(name, "--senders")) opt.senders = atoi(value);
    else if (!strcmp(name, "--concurrency")) opt.concurrency = atoi(value);
    else if (!strcmp(name, "--seconds")) opt.seconds = atof(value);
    else if (!strcmp(name, "--warmup")) opt.warmup = atof(value);
    else if (!strcmp(name, "--rate")) opt.rate = atof(value);
    else if (!strcmp(name, "--ready")) opt.ready = value;
    else if (!strcmp(name, "--pids")) read_numbers(value, opt.pids, &opt.n_pids, MAX_PIDS);
    else if (!strcmp(name, "--cores")) read_numbers(value, opt.cores, &opt.n_cores, 2);
    else if (!strcmp(name, "--steps")) read_numbers(value, opt.steps, &opt.n_steps, MAX_STEPS);
    else if (!strcmp(name, "--protocol"))
        opt.protocol = !strcmp(value, "nats") ? NATS : !strcmp(value, "socketio") ? SOCKETIO : PLAIN;
    else fail("unknown option %s", name);
}

static void read_arguments(int argc, char **argv) {
    const char *modes[] = {"echo", "fan", "pace", "open"};
    int mode = 0;
    while (mode < 4 && (argc < 2 || strcmp(argv[1], modes[mode]))) mode++;
    if (mode == 4 || argc % 2) fail("usage: load echo|fan|pace|open --ports N[,M] [--option value]...");
    opt.mode = (enum mode)mode;
    for (int i = 2; i < argc; i += 2) read_option(argv[i], argv[i + 1]);
    if (!opt.n_paths) add_path("/");
    if (!opt.n_ports) fail("which port?");
    if (!opt.talkers) opt.talkers = opt.connections;
    if (!message.size) read_message(NULL);
    if (opt.mode == OPEN && opt.n_steps) opt.connections = opt.steps[opt.n_steps - 1];
    if (opt.connections < 1 || opt.window < 1 || opt.senders < 1 || opt.window % opt.senders ||
        opt.window / opt.senders > RING || opt.senders > opt.connections)
        fail("window: 1 to %d for each sender, a multiple of the senders; senders: 1 to the connections", RING);
    if (opt.talkers < 1 || opt.talkers > opt.connections) fail("talkers: 1 to the connections");
#ifdef TLS
    if (opt.tls) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_read_ahead(context, 1);
    }
#else
    if (opt.tls || opt.deflate) fail("built without OpenSSL and zlib");
#endif
    if (opt.mode == FAN && opt.n_paths > opt.connections) fail("there are more rooms than connections");
    for (int i = 0; i < opt.n_pids; i++)
        if (clock_getcpuclockid(opt.pids[i], &opt.clocks[i])) fail("no CPU clock for process %d", opt.pids[i]);
}

static void allocate(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if ((rlim_t)opt.connections + 16 > files.rlim_max)
        fail("%d connections need more open files than the limit of %lu", opt.connections, files.rlim_max);
    size_t senders = (size_t)opt.senders;
    conns = calloc((size_t)opt.connections, sizeof *conns);
    seen = calloc((size_t)opt.connections * senders, sizeof *seen);
    published = calloc(senders, sizeof *published);
    completed = calloc(senders, sizeof *completed);
    finished = calloc(senders, sizeof *finished);
    missing = calloc(senders * RING, sizeof *missing);
    sent_at = calloc(senders * RING, sizeof *sent_at);
    buffer = grow(NULL, READ_SIZE);
    frames = grow(NULL, RING * (message.size + AROUND));
    if (!conns || !seen || !published || !completed || !finished || !missing || !sent_at) fail("out of memory");
    epfd = epoll_create1(0);
}

int main(int argc, char **argv) {
    read_arguments(argc, argv);
    allocate();
    if (opt.mode == OPEN) measure_opening();
    else measure_messages();
    say_goodbye();
    return 0;
}
