/* engine_channel.c - a header with type and length before each payload; a length beyond the limit ends the channel. */
#include "serve/protocol/engine_channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MAX_PARTS = 4, RECEIVE_BYTES = 64 << 10, SEND_SECONDS = 10 };
static const uint64_t MAX_FRAME = (uint64_t)4 << 30;

typedef struct header {
    uint32_t type, unused;
    uint64_t n;
} header;

bool channel_open(channel *c, int fd) {
    struct timeval patience = {.tv_sec = SEND_SECONDS};
    *c = (channel){.fd = fd};
    return pthread_mutex_init(&c->sending, NULL) == 0 &&
           setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0;
}

void channel_close(channel *c) {
    if (c->fd < 0) return;
    close(c->fd);
    pthread_mutex_destroy(&c->sending);
    buffer_free(&c->received);
    c->fd = -1;
    c->at = 0;
}

/* ------------------------------------------------------------------ sending */

/* Removes the first `n` bytes, which were sent, from the list. */
static void advance(struct iovec **at, size_t *count, size_t n) {
    while (*count > 0 && n >= (*at)->iov_len) {
        n -= (*at)->iov_len;
        ++*at;
        --*count;
    }
    if (*count > 0) {
        (*at)->iov_base = (char *)(*at)->iov_base + n;
        (*at)->iov_len -= n;
    }
}

static bool send_all(int fd, struct iovec *list, size_t count) {
    while (count > 0) {
        struct msghdr message = {.msg_iov = list, .msg_iovlen = count};
        ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return false;
        advance(&list, &count, (size_t)n);
    }
    return true;
}

bool channel_send(channel *c, frame_type type, const span_of_text *parts, size_t n) {
    header head = {.type = (uint32_t)type};
    struct iovec list[1 + MAX_PARTS] = {{.iov_base = &head, .iov_len = sizeof head}};
    for (size_t i = 0; i < n && i < MAX_PARTS; i++) {
        list[1 + i] = (struct iovec){.iov_base = (void *)parts[i].bytes, .iov_len = parts[i].n};
        head.n += parts[i].n;
    }
    pthread_mutex_lock(&c->sending);
    bool ok = send_all(c->fd, list, 1 + n);
    pthread_mutex_unlock(&c->sending);
    return ok;
}

bool channel_send_bytes(channel *c, frame_type type, const void *bytes, size_t n) {
    span_of_text part = {bytes, n};
    return channel_send(c, type, &part, 1);
}

/* ------------------------------------------------------------------ reading */

/* Finds a complete frame in the buffer. 0: not complete; -1: invalid length. */
static int take_frame(channel *c, frame *out) {
    header head;
    size_t there = c->received.n - c->at;
    if (there < sizeof head) return 0;
    memcpy(&head, c->received.bytes + c->at, sizeof head);
    if (head.n > MAX_FRAME) return -1;
    if (there - sizeof head < head.n) return 0;
    *out =
        (frame){.type = (frame_type)head.type, .bytes = c->received.bytes + c->at + sizeof head, .n = (size_t)head.n};
    c->at += sizeof head + (size_t)head.n;
    return 1;
}

/* Removes what was read, and frees the memory of a large frame. */
static void drop_read(channel *c) {
    if (c->at == 0) return;
    if (c->at == c->received.n && c->received.n > RECEIVE_BYTES) {
        buffer_free(&c->received);
    } else {
        memmove(c->received.bytes, c->received.bytes + c->at, c->received.n - c->at);
        c->received.n -= c->at;
    }
    c->at = 0;
}

/* 1: data received; 0: timeout; -1: the other side has closed. */
static int receive(channel *c, int wait_ms) {
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    char piece[RECEIVE_BYTES];
    int ready = poll(&p, 1, wait_ms);
    if (ready == 0 || (ready < 0 && errno == EINTR)) return 0;
    ssize_t n = ready < 0 ? -1 : recv(c->fd, piece, sizeof piece, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (n <= 0) return -1;
    buffer_add(&c->received, piece, (size_t)n);
    return c->received.failed ? -1 : 1;
}

int channel_read(channel *c, frame *out, int wait_ms) {
    drop_read(c);
    for (;;) {
        int got = take_frame(c, out);
        if (got) return got;
        int received = receive(c, wait_ms);
        if (received < 0 || (received == 0 && wait_ms >= 0)) return received;
    }
}

/* ------------------------------------------------------------------ a model's description */

/* Offsets of the strings in hw_model_info. */
static const size_t strings[] = {
    offsetof(hw_model_info, path),
    offsetof(hw_model_info, engine),
    offsetof(hw_model_info, engine_version),
    offsetof(hw_model_info, architecture),
    offsetof(hw_model_info, name),
    offsetof(hw_model_info, quantisation),
    offsetof(hw_model_info, metadata_sha256),
    offsetof(hw_model_info, sample_sha256),
    offsetof(hw_model_info, device),
    offsetof(hw_model_info, problem),
    offsetof(hw_model_info, values_problem),
    offsetof(hw_model_info, recurrent_problem),
    offsetof(hw_model_info, readout_problem),
    offsetof(hw_model_info, adapters),
};
enum { N_STRINGS = sizeof strings / sizeof *strings };

static const char **string_at(hw_model_info *info, size_t i) {
    return (const char **)(void *)((char *)info + strings[i]);
}

/* The struct, its layers, then its strings, each with a terminator. */
void engine_model_pack(buffer *out, const hw_model_info *info) {
    hw_model_info copy = *info;
    buffer_add(out, &copy, sizeof copy);
    buffer_add(out, info->layers, (size_t)info->n_layers * sizeof *info->layers);
    buffer_add(out, info->sources, (size_t)info->n_sources * sizeof *info->sources);
    for (size_t i = 0; i < N_STRINGS; i++) {
        const char *text = *string_at(&copy, i);
        buffer_add(out, text ? text : "", strlen(text ? text : "") + 1);
    }
}

bool engine_model_unpack(hw_model_info *out, char **owner, const char *bytes, size_t n) {
    hw_model_info info;
    if (n < sizeof info) return false;
    memcpy(&info, bytes, sizeof info);
    if (info.n_layers < 0 || info.n_sources < 0) return false;
    size_t layers = (size_t)info.n_layers * sizeof *info.layers, at = sizeof info + layers;
    size_t sources = at;
    at += (size_t)info.n_sources * sizeof *info.sources;
    if (at > n || !(*owner = malloc(n + 1))) return false;
    memcpy(*owner, bytes, n);
    (*owner)[n] = 0;
    info.layers = (const int32_t *)(const void *)(*owner + sizeof info);
    info.sources = (const hw_source *)(const void *)(*owner + sources);
    for (size_t i = 0; i < N_STRINGS; i++) {
        *string_at(&info, i) = at < n ? *owner + at : "";
        at += at < n ? strlen(*owner + at) + 1 : 0;
    }
    *out = info;
    return true;
}
