/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_HTTP_PARTS_H
#define BACKENDS_HTTP_PARTS_H
/* What the files of the HTTP backend share. */
#include "fs/backend.h"
#include "net/http.h"

#define HTTP_PARTS_DEFAULT 4
#define HTTP_PARTS_MAX     64

struct asked {
    struct http_transfer *transfer; /* to be closed */
    const struct http_response *response;
};

struct http_instance {
    struct instance instance;
    struct http_site *site;
    const char *origin; /* the instance's place */
    const char *query;  /* without "?"; NULL: none */
    int64_t part_size;  /* a file that is larger may be asked for in so many … */
    unsigned parts;     /* … parts at once; 0: where it pays */
    /* Another way than http_ask's own to ask for a path; `request` has what terms say. A CO_FN; NULL: none. */
    int (*ask)(struct http_instance *http, const char *path, struct http_request *request, struct asked *out);
};
static inline struct http_instance *http_of(struct instance *instance)
{
    return (struct http_instance *)instance;
}

/* One request of `path`, with what `terms` say. Fails only when there is no answer. */
int CO_FN http_ask(struct http_instance *http, const char *path, bool slash, const struct terms *terms,
                   struct http_request *request, struct asked *out);

/* What the headers say of the file; its size is not among it. The strings are the response's. */
struct answer http_answer_of(const struct asked *asked);
/* The 304's answer and UNCHANGED, when that was possible. `out` may be NULL. */
int http_not_modified(const struct asked *asked, const struct terms *terms, struct answer *out);
/* -ESTALE. A server that knows no If-Match, or whose cache passes it by, still says what it sends. */
int http_check_match(const struct asked *asked, const struct terms *terms);

/* The options of whatever speaks HTTP. */
#define HTTP_TRANSPORT_OPTIONS                                                                               \
    {"timeout", OPTION_DURATION, NULL, OPTION_PER_HANDLE, "for each call as a whole; none by default"},      \
        {"connect_timeout", OPTION_DURATION, "30s", 0, "for name look-up, TCP and TLS together"},            \
        {"stall_timeout", OPTION_DURATION, "60s", 0, "without a byte for so long a transfer has failed"},    \
        {"max_tries", OPTION_COUNT, "5", 0,                                                                  \
         "in a row of what may pass, such as a lost connection or a 503; 1: no retries"},                    \
        {"retry_timeout", OPTION_DURATION, "15s", 0,                                                         \
         "no try begins later than so long after the first failure"},                                        \
        {"parts", OPTION_COUNT, NULL, 0,                                                                     \
         "requests at once for a file larger than part_size; else 4 where one is slow, over HTTP/1.1; 1: "   \
         "never"},                                                                                           \
        {"part_size", OPTION_SIZE, "8M", 0, "bytes of such a request, which wait in memory for their turn"}, \
        {"max_connections", OPTION_COUNT, "32", 0, "at once; requests beyond them wait for their turn"},     \
        {"http2", OPTION_BOOL, "true", 0, "speak HTTP/2 where the server does, over TLS"},                   \
        {"user_agent", OPTION_TEXT, NULL, OPTION_IDENTITY, "instead of larder/VERSION"},                     \
        {"ca_file", OPTION_TEXT, NULL, 0, "PEM file of the authorities to trust, instead of the system's"},  \
        {"insecure", OPTION_BOOL, "false", 0, "trust any certificate"},                                      \
        {"proxy", OPTION_TEXT, NULL, OPTION_SECRET,                                                          \
         "URL of a proxy, \"\" for none; else as http_proxy, https_proxy and all_proxy say"},                \
        {"no_proxy", OPTION_TEXT, NULL, 0,                                                                   \
         "hosts to ask without it, as \"a.org,.b.org,10.0.0.0/8\"; else, where no proxy is given, as "       \
         "no_proxy says"}
/* The site of an instance: `config` and what those options say. */
int http_make_site(struct http_instance *http, struct http_config config);

/* What its first byte's Content-Range says of a file, whatever HEAD does. */
int CO_FN http_info_by_byte(struct http_instance *http, const char *path, const struct terms *terms,
                            struct answer *out);

/* Operations of the table. */
int CO_FN http_info(struct instance *instance, const char *path, const struct terms *terms,
                    struct answer *out);
int CO_FN http_read_file(struct instance *instance, const char *path, const struct larder_range *range,
                         const struct terms *terms, struct sink *sink, struct answer *out);

#endif
