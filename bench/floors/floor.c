/* The floor in C: what epoll, recv and send cost a server that does nothing else.
 *
 *   floor PORT message|turn
 *
 * `message` writes each message to each member at once; `turn` writes once per member and turn of the loop, joined.
 * It unmasks, and frames the same bytes again. The handshake's answer is canned (it fits the load client's fixed key);
 * nothing is checked, a frame must be short, and a socket that would block ends the program. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 1 << 16, EVENTS = 1024 };

static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

struct conn {
    int open, closing, member; /* member: place in `members` + 1 */
    char *in;         /* a frame that came in part */
    size_t in_len;
};

static struct conn *conns;
static int epfd, *members, n_members, joined;
static char input[2 * READ_SIZE], output[2 * READ_SIZE], turn_output[1 << 20];
static size_t turn_size;

static void give_up(const char *what) {
    perror(what);
    exit(1);
}

static void send_all(int fd, const char *data, size_t size) {
    if (size && send(fd, data, size, MSG_NOSIGNAL) != (ssize_t)size) give_up("send");
}

static void broadcast(const char *data, size_t size) {
    for (int i = 0; i < n_members; i++) send_all(members[i], data, size);
}

static void drop(int fd) {
    struct conn *c = &conns[fd];
    if (c->member) {
        members[c->member - 1] = members[--n_members];
        conns[members[c->member - 1]].member = c->member;
    }
    free(c->in);
    memset(c, 0, sizeof *c);
    close(fd);
}

static void join(int fd) {
    members[n_members++] = fd;
    conns[fd].member = n_members;
}

/* Unmasks the frames of `data` into `output` as server frames; returns how much of `data` was used. */
static size_t answer_frames(int fd, const char *data, size_t size, size_t *out) {
    size_t at = 0, o = 0;
    while (size - at >= 6) {
        const char *p = data + at;
        size_t length = p[1] & 127, start = o;
        if (size - at < 6 + length) break;
        if ((p[0] & 15) == 8) return conns[fd].closing = 1, *out = o, size;
        output[o++] = p[0], output[o++] = (char)length;
        for (size_t i = 0; i < length; i++) output[o++] = p[6 + i] ^ p[2 + (i & 3)];
        at += 6 + length;
        if (!conns[fd].member) continue;
        if (!joined) broadcast(output + start, o - start);
        else memcpy(turn_output + turn_size, output + start, o - start), turn_size += o - start;
    }
    *out = o;
    return at;
}

static void read_conn(int fd) {
    struct conn *c = &conns[fd];
    size_t size = c->in_len, out = 0;
    if (size) memcpy(input, c->in, size);
    ssize_t n = recv(fd, input + size, READ_SIZE, 0);
    if (n <= 0) {
        drop(fd);
        return;
    }
    size += (size_t)n;
    size_t used = 0;
    if (c->open) {
        used = answer_frames(fd, input, size, &out);
        if (!c->member) send_all(fd, output, out);
        if (c->closing) {
            drop(fd);
            return;
        }
    } else if (memmem(input, size, "\r\n\r\n", 4)) {
        c->open = 1, used = size;
        if (!memcmp(input, "GET /fan", 8)) join(fd);
        send_all(fd, answer, sizeof answer - 1);
    }
    c->in_len = size - used;
    if (c->in_len) c->in = realloc(c->in, c->in_len), memcpy(c->in, input + used, c->in_len);
}

static void accept_all(int listener) {
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e)) give_up("epoll_ctl");
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return fputs("usage: floor PORT message|turn\n", stderr), 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    struct rlimit files;
    int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    joined = !strcmp(argv[2], "turn");
    getrlimit(RLIMIT_NOFILE, &files);
    conns = calloc(files.rlim_cur, sizeof *conns);
    members = calloc(files.rlim_cur, sizeof *members);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!conns || !members || bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096))
        give_up("listen");
    epfd = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(epfd, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) accept_all(listener);
            else read_conn(events[i].data.fd);
        }
        broadcast(turn_output, turn_size);
        turn_size = 0;
    }
}
