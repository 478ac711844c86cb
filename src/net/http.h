/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_HTTP_H
#define NET_HTTP_H
/*
 * HTTP requests of tasks, one after the other as straight-line code:
 *
 *     struct http_transfer *transfer = NULL;
 *     int rc = http_open(site, &request, &transfer);                   the headers of the final answer are there
 *     const struct http_response *response = http_response(transfer);
 *     while ((count = http_read(transfer, buffer, sizeof buffer)) > 0)  straight out of curl's own buffer
 *         …
 *     http_close(transfer);                                            abandons what was not read to its end
 *
 * A task wakes when the headers are there, when its buffer is full, and at the end: for a small file once in all. What
 * arrives while no buffer is lent is held, up to 64 KiB; beyond that the server has to wait.
 *
 * Nothing is decoded: no Accept-Encoding is sent. Redirects are followed (10 at most) for what only asks (GET, HEAD,
 * PROPFIND, OPTIONS), and where they say "the same again, there" (307, 308) for what may be repeated; credentials and
 * the site's own headers go to no other origin than the one that was asked first.
 *
 * A body is lent to curl, or read for it piece by piece in the task that asked, while http_open runs. One of more than
 * 1 MiB, or of unknown size, asks first (Expect: 100-continue; over HTTP/1.1; a server that does not know it costs a
 * second), so that what refuses it does so before it travels. A site that refuses the question itself (417) is not asked it
 * again. A final answer that comes earlier ends the sending.
 */
#include "task/task.h"

struct http_site;
struct http_transfer;

/* How a site is spoken to. NULL, false and 0 are the defaults. */
struct http_config {
    int64_t connect_timeout_ms; /* 0: 30 s. For name look-up, TCP and TLS together */
    int64_t stall_timeout_ms;   /* 0: 60 s. Without a byte for so long: -ETIMEDOUT */
    unsigned tries_max;         /* 0: 5. In a row, of what fails in a way that may pass; 1: one try is all */
    int64_t retry_timeout_ms;   /* 0: 15 s. No try begins later than so long after the first failure */
    unsigned connections_max;   /* 0: 32. Requests beyond them wait for their turn */
    bool encoding_is_stored;    /* Content-Encoding is a word about the file (object stores): not looked at */
    bool http1;                 /* no HTTP/2, which otherwise is agreed upon over TLS */
    bool insecure;              /* any certificate will do */
    bool own_connections;       /* shared with no other site, and closed when it is freed */
    bool netrc;                 /* look for credentials in ~/.netrc */
    const char *user, *password, *bearer;
    const char *headers; /* lines "Name: value", sent with each request */
    const char *ca_file, *client_cert, *client_key, *client_key_password;
    const char *proxy; /* NULL: the environment's, "": none */
    const char
        *no_proxy; /* hosts, with commas between them; NULL: the environment's, if `proxy` is NULL too */
    const char *unix_socket; /* for the site's own origin, whatever its host is */
    const char *user_agent;  /* NULL: larder/VERSION */
};
/* Copies the config. Any thread. -EINVAL: it cannot be. All its transfers are of one loop. */
int http_site_new(const struct http_config *config, struct http_site **out);
/* Any thread; no transfer is open. NULL is fine. Connections of its own are closed when the loop has run what was posted
 * to it until then. */
void http_site_free(struct http_site *site);
/* What is faster with more requests at once may make up to `wanted` of the `most` that are allowed at a time; so many of
 * them are free. 0 where they would share a connection (HTTP/2). Loop only. */
unsigned http_site_take_parts(struct http_site *site, unsigned wanted, unsigned most);
void http_site_give_parts(struct http_site *site, unsigned count);

/*
 * The tries of one operation, of all its requests together; it lives as long as their transfers. What may pass is tried
 * again: a failure to connect, a lost connection, a stall, 408, 423, 425, 429, most of 5xx, and answers that cannot be
 * right; of what must not be done twice, only what was not done once.
 * http_open does that by itself until it has the headers of another answer, unless it is told to make one try. For what
 * shows later the user of an answer begins anew:
 *
 *     struct http_tries tries = {.site = site};
 *     do
 *         rc = http_open, http_read, http_close, in requests with .tries = &tries
 *     while (http_try_again(&tries, &rc));
 */
struct http_tries {
    struct http_site *site;
    uint64_t begun_ns;  /* the first of them */
    unsigned failed;    /* so many in a row did, … */
    uint64_t failed_ns; /* … the first then */
    bool again;         /* the latest failure may pass, … */
    bool fresh;         /* … on another connection; … */
    bool nobody;        /* … it was that there is nobody to connect to */
    int64_t after_ms;   /* not before so long, as Retry-After said */
    int64_t progress;   /* bytes of bodies that were cut, since `failed` was 0 */
};
/* After a failure `*rc` that may pass and for which there are tries and time left: waits, then true. Else `*rc`
 * stands; a cancel takes its place. */
bool CO_FN http_try_again(struct http_tries *tries, int *rc);

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_PROPFIND,
    HTTP_OPTIONS,
    HTTP_PUT,
    HTTP_POST,
    HTTP_DELETE,
    HTTP_MKCOL,
    HTTP_COPY,
    HTTP_MOVE,
    HTTP_METHODS
};
/* What a request sends: all `size` bytes of it by `data`; or piece by piece by `read`, which may suspend. */
struct http_body {
    int64_t size;     /* -1: not known before the end, so chunked over HTTP/1.1 */
    const void *data; /* NULL: read() gives them */
    int64_t (*read)(struct http_body *body, void *buffer, size_t size); /* 0 at the end */
    int (*rewind)(struct http_body *body); /* start over; NULL: cannot. May suspend */
};
struct http_request { /* borrowed while http_open runs */
    enum http_method method;
    const char *url;
    const char *range; /* "0-1023", "512-", "-100"; NULL: everything */
    const char *if_match, *if_none_match, *if_modified_since, *if_range;
    const char *accept;
    const char *const *headers; /* more of them, lines "Name: value", NULL-ended; NULL: none */
    bool stay;                  /* no redirect is followed: the answer is that one */
    bool again;                 /* a second time does no harm, whatever the method says … */
    bool once;                  /* … or may do harm */
    bool one_try;               /* what may pass is left to who asks, who has to look in between */
    struct http_body *body;     /* NULL: none */
    /* Set, also on success: a try whose answer was lost, or was a 5xx, may have been carried out. NULL: not asked. */
    bool *maybe_done;
    struct http_tries *tries; /* NULL: those of this request alone */
    bool keep_lines;          /* all headers of the answer, in response->lines */
    bool error_stands;        /* a 500 is not tried again here: who asks finds out first what it means */
};
const char *http_method_name(enum http_method method);
/* May it be sent again when its answer was lost? `again`, what only asks, a PUT without conditions whose body can be had again,
 * and DELETE: then `maybe_done` explains a 404. A second COPY, MOVE, MKCOL, or PUT with a condition may meet what the
 * first one did. */
bool http_is_repeatable(const struct http_request *request);

enum http_header {
    HTTP_ACCEPT_RANGES,
    HTTP_AGE,
    HTTP_ALLOW,
    HTTP_BUCKET_REGION, /* S3's x-amz-bucket-region */
    HTTP_CACHE_CONTROL,
    HTTP_CONTENT_ENCODING,
    HTTP_CONTENT_RANGE,
    HTTP_CONTENT_TYPE,
    HTTP_DATE,
    HTTP_DAV,
    HTTP_ETAG,
    HTTP_EXPIRES,
    HTTP_LAST_MODIFIED,
    HTTP_LOCATION,
    HTTP_RETRY_AFTER,
    HTTP_VARY,
    HTTP_HEADERS
};
struct http_response { /* borrowed from its transfer */
    int status;
    int64_t content_length;           /* -1: not said */
    const char *header[HTTP_HEADERS]; /* NULL: missing. Lines of one name are joined by ", " */
    const char *lines;                /* "Name: value\n…", as they came, if they were to be kept; else NULL */
    const char *url;                  /* that answered: the last of the redirects */
    bool
        slash_added; /* a redirect led to the same path with a slash behind it: a directory. Of what is no redirect to
                       * be followed, this answer itself says so */
    uint64_t asked_ns; /* when the request was sent */
};

/* Returns when the headers of an answer are there that stands, whatever its status. A failure to get one: see
 * http_error.c; `*out` is untouched then. */
int CO_FN http_open(struct http_site *site, const struct http_request *request, struct http_transfer **out);
const struct http_response *http_response(const struct http_transfer *transfer);
/*
 * The next bytes of the body: `size` of them, fewer at the end. 0 at the end, when curl has said that all is well and
 * as many bytes came as were announced; a failure else, also when bytes were put into the buffer before it. A body that
 * is cut goes on where it was, if the server sends the rest of the same version (body.c).
 */
int64_t CO_FN http_read(struct http_transfer *transfer, void *buffer, size_t size);
/* What is still coming is abandoned, and its connection closed (HTTP/2: its stream). NULL is fine. */
void http_close(struct http_transfer *transfer);

/* "GET URL bytes 0-1023: WHY, 5 tries in 12.4 s", with no secret in it, is the text; returns `status`. Of a first try
 * that is not worth another it says no number. */
int http_fail(const struct http_transfer *transfer, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same of an answer that cannot be right: worth another try, on another connection. */
int http_doubt(const struct http_transfer *transfer, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The failure that an answer's status is (http_status.h). */
int http_fail_status(const struct http_transfer *transfer);

/* Does an ETag promise equal bytes? */
bool etag_is_strong(const char *etag);
/* Are the bytes of the body not the file's? */
bool http_is_encoded(const struct http_response *response);
/* What a Content-Range header says. -EPROTO (no text): not that. "*" for the range or the total is -1; {0, -1, 0} is
 * nothing of an empty file. */
struct content_range {
    int64_t first, last, total;
};
int content_range_parse(const char *text, struct content_range *out);

#endif
