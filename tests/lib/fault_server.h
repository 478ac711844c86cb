/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAULT_SERVER_H
#define TESTS_FAULT_SERVER_H
/*
 * An HTTP/1.1 server inside the test: it serves files from memory as a good server would, takes them by PUT and DELETE
 * once fault_writable was called, and misbehaves as it is told.
 *
 *     struct fault_server *server = fault_server_start();
 *     fault_file_set(server, "/a.bin", &(struct fault_file){.data = data, .size = size, .etag = "\"v1\""});
 *     fault_on(server, (struct fault_match){.path = "/a.bin", .count = 1},
 *              (struct fault){.end = FAULT_RESET, .at = 1000});
 *     … read fault_server_url(server)/a.bin …
 *     assert_int_equal(fault_count(server, "GET", "/a.bin"), 2);
 *     fault_server_stop(server);
 *
 * Every call may come from any thread; what is given is copied. Paths begin with "/" and are decoded. Nothing here
 * fails: what cannot be had (memory, a port, what is waited for in 30 s) aborts the test with a message.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fault_server;

/* On a free port of 127.0.0.1. */
struct fault_server *fault_server_start(void);
/* Cut every connection, join every thread, free everything. NULL is fine. */
void fault_server_stop(struct fault_server *server);
/* "http://127.0.0.1:PORT", borrowed. */
const char *fault_server_url(const struct fault_server *server);
uint16_t fault_server_port(const struct fault_server *server);

/* ---- what is served ---- */
struct fault_file {
    const void *data;
    size_t size;
    const char *etag;    /* with its quotes, W/"…" too; NULL: one of the content; "": none */
    int64_t mtime;       /* seconds since 1970; 0: FAULT_MTIME; <0: no Last-Modified */
    const char *headers; /* more of them: "Name: value\r\n…"; NULL: none */
};
#define FAULT_MTIME 1795386000 /* 2026-11-22 22:20:00 */
/*
 * Serve this at `path`, in place of what was there; answers under way keep what they began with. Directories are
 * implied by what they hold. A `path` that ends in "/" is that directory's own page instead of the index.
 */
void fault_file_set(struct fault_server *server, const char *path, const struct fault_file *file);
/* Of `size` bytes of a seed's content (tree.h). */
void fault_file_content(struct fault_server *server, const char *path, size_t size, uint64_t seed,
                        const char *etag);
void fault_file_text(struct fault_server *server, const char *path, const char *text);
void fault_file_remove(struct fault_server *server, const char *path);

/* From now on PUT and DELETE change the tree, with If-Match and If-None-Match as RFC 9110 has them; before, 405. */
void fault_writable(struct fault_server *server);

/* How directories are listed: as nginx's autoindex does (at first), as its JSON, or 403. */
enum fault_index { FAULT_INDEX_HTML, FAULT_INDEX_JSON, FAULT_INDEX_NONE };
void fault_index_as(struct fault_server *server, enum fault_index index);

/* ---- faults ---- */
struct fault_match {
    const char *method; /* NULL: any */
    const char *path;   /* without the query; NULL: any */
    const char *header; /* the request has a header of this name; NULL: whatever it has */
    unsigned skip;      /* leave so many such requests to the rules behind */
    unsigned count;     /* then take so many; 0: all */
    unsigned per_mille; /* and of those so many in 1000, by chance (fault_seed); 0: all */
};

enum fault_end {
    FAULT_WHOLE, /* the answer is sent to its end */
    FAULT_CLOSE, /* the connection is closed after `at` bytes of the body … */
    FAULT_RESET, /* … or reset: the client may lose what was sent before, too */
    FAULT_STALL, /* nothing more is sent until fault_release, or until the client goes; then all the rest */
};
enum fault_flags {
    FAULT_NO_ANSWER =
        1, /* the end comes before the first byte of the answer, not after `at`; nothing is done */
    FAULT_NO_RANGES = 2,     /* 200 and the whole body to every Range */
    FAULT_NO_CONDITIONS = 4, /* If-… are not looked at */
    FAULT_CHUNKED = 8,       /* no Content-Length: in chunks … */
    FAULT_UNTIL_CLOSE = 16,  /* … or up to the connection's end */
    FAULT_HTTP_1_0 = 32,     /* an HTTP/1.0 answer, and the connection ends */
    FAULT_GZIP = 64,         /* Content-Encoding: gzip, whether or not it was asked for */
    FAULT_CLOSE_AFTER = 128, /* the connection ends after the answer, which did not say so */
    FAULT_UNANSWERED = 256,  /* the same, but what was asked for is done before */
    FAULT_UNREAD = 512,      /* the answer comes before the request's body is read, and the connection ends */
};
struct fault_request;
typedef void fault_hook_fn(void *arg, const struct fault_request *request);

/* All zero is a proper answer. */
struct fault {
    int status;          /* an answer of this status, `headers` and `body` alone; 0: as the tree answers */
    int interim;         /* an answer of this status, 1xx, and a header come before it */
    const char *headers; /* "Name: value\r\n…" in place of the answer's of that name; "Name:" takes one out */
    const void *body;    /* in place of the answer's, whose Content-Length stays; NULL: the answer's own */
    size_t body_size;
    size_t extra; /* so many bytes more than there should be come behind it */
    enum fault_end end;
    size_t at;
    unsigned flags;
    size_t trickle_size; /* the body comes in pieces of this size, */
    unsigned trickle_ms; /* with this pause before each */
    fault_hook_fn
        *hook; /* on the connection's thread, before the answer is made: may change files, may block */
    void *arg;
};
/* A request goes down the rules in the order they were given; the first that fits takes it. So rules with a count of 1
 * are a script. */
void fault_on(struct fault_server *server, struct fault_match match, struct fault fault);
/* Forget all rules. */
void fault_clear(struct fault_server *server);
/* What chance goes by; 0 at first. */
void fault_seed(struct fault_server *server, uint64_t seed);
/* Reset connections before anything is read from them: the next `count`, and by chance so many in 1000 of all. */
void fault_refuse(struct fault_server *server, unsigned count, unsigned per_mille);

/* Let every answer that is stalled now go on. */
void fault_release(struct fault_server *server);
/* Block until exactly so many answers are stalled. */
void fault_wait_stalled(struct fault_server *server, unsigned count);

/* ---- what was asked ---- */
struct fault_request {
    const char *method;
    const char *target;  /* as it was sent */
    const char *path;    /* decoded, without the query */
    unsigned connection; /* on the connection of this number, from 1 */
    size_t header_count;
    struct fault_header {
        const char *name, *value;
    } headers[64];
    const void *body; /* that came with it, whole; NULL: none */
    size_t body_size;
};
/* How many requests came so far, of a method and a path (NULL: any). */
size_t fault_count(struct fault_server *server, const char *method, const char *path);
/* The index-th of all, from 0. Borrowed until fault_forget. NULL: so many did not come. */
const struct fault_request *fault_request(struct fault_server *server, size_t index);
/* The value of a header; NULL: not sent. */
const char *fault_request_header(const struct fault_request *request, const char *name);
/* Forget the requests so far. None may be under way. */
void fault_forget(struct fault_server *server);
/* Keep the last so many only, or up to twice as many; more must not be under way. 0, as at first: all. */
void fault_keep(struct fault_server *server, size_t count);
/* Block until so many requests came. */
void fault_wait_requests(struct fault_server *server, size_t count);
/* How many connections were made so far. */
unsigned fault_connections(struct fault_server *server);

#endif
