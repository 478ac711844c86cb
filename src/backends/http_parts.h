/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_HTTP_PARTS_H
#define BACKENDS_HTTP_PARTS_H
/* What the files of the HTTP backend share. */
#include "fs/backend.h"
#include "net/http.h"

struct http_instance {
    struct instance instance;
    struct http_site *site;
    const char *origin; /* the instance's place */
    const char *query;  /* without "?"; NULL: none */
};
static inline struct http_instance *http_of(struct instance *instance)
{
    return (struct http_instance *)instance;
}

struct asked {
    struct http_transfer *transfer; /* to be closed */
    const struct http_response *response;
};
/* One request of `path`, with what `terms` say. Fails only when there is no answer. */
int CO_FN http_ask(struct http_instance *http, const char *path, bool slash, const struct terms *terms,
                   struct http_request *request, struct asked *out);

/* What the headers say of the file; its size is not among it. The strings are the response's. */
struct answer http_answer_of(const struct asked *asked);
/* The 304's answer and UNCHANGED, when that was possible. `out` may be NULL. */
int http_not_modified(const struct asked *asked, const struct terms *terms, struct answer *out);
/* -ESTALE. A server that knows no If-Match, or whose cache passes it by, still says what it sends. */
int http_check_match(const struct asked *asked, const struct terms *terms);

/* Operations of the table. */
int CO_FN http_info(struct instance *instance, const char *path, const struct terms *terms,
                    struct answer *out);
int CO_FN http_read_file(struct instance *instance, const char *path, const struct larder_range *range,
                         const struct terms *terms, struct sink *sink, struct answer *out);

#endif
