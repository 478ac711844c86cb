/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_TRANSFER_H
#define NET_TRANSFER_H
/* The inside of a transfer: for http.c, request.c, send.c, body.c, receive.c, retry.c, site.c and http_error.c. */
#include "base/buffer.h"
#include "net/client.h"
#include "net/http.h"

struct http_site {
    uint64_t serial; /* of all sites of the process: what an easy handle was set up for */
    char *user, *password, *bearer, *ca_file, *client_cert, *client_key, *client_key_password, *proxy,
        *no_proxy, *unix_socket, *user_agent;
    struct curl_slist *headers;
    int64_t connect_timeout_ms, stall_timeout_ms, retry_timeout_ms;
    unsigned connections_max, tries_max;
    bool http1, insecure, netrc, encoding_is_stored;
    struct own_connections *own; /* NULL: it has none */

    /* loop only; a fork's child has its own loop, and begins anew */
    uint32_t generation; /* of the process that `live` and `turn` are about */
    unsigned live, parts;
    bool multiplexed; /* it has answered by HTTP/2 */
    bool no_expect;   /* it has refused an Expect */
    bool down;        /* there was nobody to connect to, again and again, and no answer since */
    struct waiters turn;
};

struct http_transfer {
    struct exchange exchange;
    struct http_site *site;
    uint64_t serial; /* of the site that the easy handle is set up for; 0: none */
    struct http_tries *tries, own_tries;
    enum http_method method;
    char *url, *range;
    char *first_url;            /* when that was redirected; else NULL */
    struct curl_slist *headers; /* the site's and the request's, when the request has its own */
    struct curl_slist *own;     /* the request's own, for the rest of a body that is cut */
    bool foreign;               /* redirected to another origin: no credentials */
    bool stay;                  /* no redirect is followed */

    /* the request's body, while it is sent */
    struct http_body *body;
    const char *given; /* what curl has yet to take */
    size_t given_size;
    int64_t unread;  /* bytes of the body that were not given yet; -1: not known */
    bool given_all;  /* nothing comes behind `given` */
    bool wanted;     /* curl waits for more */
    bool body_begun; /* some of it was read */
    bool expects;    /* asked whether it is wanted (Expect: 100-continue) */
    bool error_stands;
    bool once;     /* not repeatable: curl must not send it a second time by itself */
    unsigned sent; /* times that curl began to send it, in this attempt */
    char *piece;   /* of a body that is read; SEND_PIECE_SIZE; mem */

    /* the answer */
    bool headers_done;
    bool discard;                  /* nobody wants the body */
    uint32_t header[HTTP_HEADERS]; /* where in `text`; 0: missing */
    struct buffer text;
    struct http_response response;
    int64_t received;    /* bytes of the body … */
    int64_t before;      /* … beside those of earlier answers, which were cut */
    struct buffer lines; /* all of its headers … */
    bool keep_lines;     /* … if somebody wants them */
    struct buffer spare; /* for the headers of the answer that goes on with it */

    /* the body: into what http_read lends, else held */
    char *lent;
    size_t lent_size, lent_used;
    struct buffer held;
    size_t held_start; /* what is before it was taken */
    bool paused;
    char curl_text[CURL_ERROR_SIZE];
};

/* A try begins; it met this. */
void tries_begin_one(struct http_tries *tries, uint64_t now);
void tries_note_transport(const struct http_transfer *transfer, int status);
void tries_note_answer(const struct http_transfer *transfer);
void tries_note_doubt(const struct http_transfer *transfer);
/* How long to wait before the next try; -1: the failure just met stands. Then to do so, and count it. */
int64_t tries_next_wait_ms(struct http_tries *tries);
int CO_FN tries_wait(struct http_tries *tries, int64_t wait_ms);
/* So many bytes of a body came between two failures. */
void tries_note_progress(struct http_tries *tries, int64_t size);

/* One try, along the redirects: 0 when the headers of an answer are there. */
int CO_FN transfer_follow(struct http_transfer *transfer, const struct http_request *request);

/* Where its connections are, on the running task's loop. */
int site_client(struct http_site *site, struct client **out);
/* Wait for a turn at the site; each is given back by site_leave. */
int CO_FN site_enter(struct http_site *site);
void site_leave(struct http_site *site);
int header_list_add(struct curl_slist **list, const char *line);

/* Set the easy handle up for the request, along its site, its headers and its body's start. */
int CO_FN request_set_up(struct http_transfer *transfer, const struct http_request *request);

/* Set the easy handle up: for all requests; for this one's method and its body, from the body's start. */
void send_set_up(struct http_transfer *transfer);
int CO_FN send_begin(struct http_transfer *transfer, const struct http_request *request);
/* Until the headers of the final answer are there, or the exchange is over: read and give what curl asks for. */
int CO_FN send_until_answered(struct http_transfer *transfer);
/* Is it asked whether the body is wanted? */
bool send_expects(const struct http_transfer *transfer, const struct http_body *body);
bool send_only_asks(enum http_method method);
/* Was all of the body given to curl? And can it be sent once more? */
bool send_is_whole(const struct http_transfer *transfer);
bool send_can_begin_again(const struct http_transfer *transfer);

/* Forget the answer so far; then curl's callbacks, whose `arg` is the transfer. */
void receive_begin(struct http_transfer *transfer);
size_t receive_header(char *data, size_t one, size_t size, void *arg);
size_t receive_body(char *data, size_t one, size_t size, void *arg);
#define HELD_SIZE_MAX (64 << 10) /* at least CURL_MAX_WRITE_SIZE: an empty one takes whatever curl offers */

/* The proxy's status, when it is that which refused a tunnel; else 0. */
int http_tunnel_refusal(const struct http_transfer *transfer);
/* The text and status of what curl says ended the exchange. */
int http_fail_transport(const struct http_transfer *transfer);
/* A line in the log about a request that was answered, or failed: `status`. */
void http_log(const struct http_transfer *transfer, int status);

#endif
