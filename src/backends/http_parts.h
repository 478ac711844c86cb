/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_HTTP_PARTS_H
#define BACKENDS_HTTP_PARTS_H
/* What the files of the two backends share that speak HTTP: plain (http.c), and WebDAV (webdav.c). */
#include "fs/backend.h"
#include "net/http.h"
#include "net/multistatus.h"

#define HTTP_PARTS_DEFAULT 4
#define HTTP_PARTS_MAX     64

struct asked {
    struct http_transfer *transfer; /* to be closed */
    const struct http_response *response;
    int64_t guess_max_ms; /* of a lifetime that it does not say (net/freshness.h) */
};

struct http_instance {
    struct instance instance;
    struct http_site *site;
    const char *origin;  /* the instance's place */
    const char *query;   /* without "?"; NULL: none */
    const char *written; /* what is sent for one path, as it was given; NULL: as all others */
    char *written_path;  /* which one; mem */
    int64_t part_size;   /* a file that is larger may be asked for in so many … */
    unsigned parts;      /* … parts at once; 0: where it pays */
    int64_t guess_max_ms;
    bool dav; /* of the table of webdav.c */
    /* loop only, of webdav.c */
    bool etag_by_head;  /* its PROPFIND tells none */
    bool no_copy;       /* it knows no COPY */
    char *finite_below; /* it refuses Depth: infinity of what this holds; mem; NULL: nothing refused yet */
    /* Another way than http_ask's own to ask for a path; `request` has what terms say. A CO_FN; NULL: none. */
    int (*ask)(struct http_instance *http, const char *path, struct http_request *request, struct asked *out);
};
static inline struct http_instance *http_of(struct instance *instance)
{
    return (struct http_instance *)instance;
}
/* Neither WebDAV nor S3. */
static inline bool http_is_plain(const struct http_instance *http)
{
    return !http->dav && !http->ask;
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
    {"timeout", OPTION_DURATION, NULL, OPTION_PER_HANDLE,                                                    \
     "for each file, and each listing, of a call; none by default"},                                         \
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
        {"heuristic", OPTION_DURATION, "0", 0,                                                               \
         "what says no lifetime is believed for a tenth of the time since it was modified, at most so "      \
         "long; 0: never"},                                                                                  \
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

/* By HEAD alone: nothing is explained. */
int CO_FN http_info_by_head(struct http_instance *http, const char *path, struct answer *out);
/* What its first byte's Content-Range says of a file, whatever HEAD does. */
int CO_FN http_info_by_byte(struct http_instance *http, const char *path, const struct terms *terms,
                            struct answer *out);

/* Operations of the table. */
int CO_FN http_info(struct instance *instance, const char *path, const struct terms *terms,
                    struct answer *out);
int CO_FN http_read_file(struct instance *instance, const char *path, const struct larder_range *range,
                         const struct terms *terms, struct sink *sink, struct answer *out);

/* What is there, by the way of the instance's own table; over WebDAV perhaps without its version. */
int CO_FN http_look(struct http_instance *http, const char *path, struct answer *out);

/* What a server keeps with a file: of its headers those that are about it. Its own name, in lower case; NULL: none of
 * those. */
struct label_line;
const char *http_property_name(const struct label_line *line);
/* What a user of an object store put down, "x-amz-meta-NAME", and not we, for ourselves. */
bool http_property_is_meta(const struct label_line *line);
#define HTTP_WRITE_ID "x-amz-meta-larder-write"
int CO_FN http_properties(struct instance *instance, const char *path, struct larder_properties *out);
#define HTTP_CONTENT_TYPE_OPTION                           \
    {"content_type", OPTION_TEXT, NULL, OPTION_PER_HANDLE, \
     "of files that are written; auto: by the name's ending"}

/* ---- changes ---- */

struct http_put {
    const char *path;
    const char *content_type; /* NULL: not said */
    struct source *source;
    const char *if_match; /* NULL: whatever is there */
    bool create;          /* If-None-Match: * */
};
/* PUT. -EEXIST and -ESTALE: as its condition says; a refusal is explained. An answer that was lost is asked after, and is
 * success where the file holds what was sent. `out` may be NULL. */
int CO_FN http_put(struct http_instance *http, const struct http_put *put, struct answer *out);
/* Are the bytes at `path` those of `source`, which is read again? 1, 0 (or there is none), or a failure to find out. */
int CO_FN http_holds(struct http_instance *http, const char *path, struct source *source);
/* Is `rc` what servers say of what would be below a file? Not a failure that was tried again: nor would a look find more. */
bool http_is_forbidden(int rc);
/* After such a failure: -ENOTDIR where what is there, at `path` (`itself`) or above it, is a file; else `rc`. */
int CO_FN http_blame_file(struct http_instance *http, const char *path, bool itself, int rc);
/* A change of `path` was refused with `rc`: -EISDIR, -ENOTDIR or -ENOENT (no parent) where what is there explains it. */
int CO_FN http_explain(struct http_instance *http, const char *path, int rc);

/* Is `rc` what an answer says that refuses a change? */
bool http_was_refused(int rc);
/* http_fail_status of an answer to a change: 409 is a parent that is missing (RFC 4918 §9.7.1). */
int http_fail_change(const struct asked *asked);
/* -ENOTSUP, -EROFS: changes were not asked for, or are forbidden by an option. */
int http_check_write(const struct http_instance *http, const char *path);
/* DELETE of a file, or over WebDAV of an empty directory: looked at right before each time that it is sent, since by then
 * the name may be of a tree. */
int CO_FN http_remove_path(struct http_instance *http, const char *path, bool directory);

/* Operations of the table for plain HTTP. */
int CO_FN http_list(struct instance *instance, const char *path, const struct terms *terms,
                    struct cursor *cursor, struct larder_entries *page, struct answer *out);
int CO_FN http_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                     const char *if_match, struct answer *out);
int CO_FN http_remove(struct instance *instance, const char *const paths[], size_t count, int status[]);
int CO_FN http_mkdir(struct instance *instance, const char *path, unsigned flags);
int CO_FN http_rmdir(struct instance *instance, const char *path);
/* Of both: http_open.c. */
extern const struct option http_options[];
int http_locate(const struct backend *backend, const char *url, char **values, char **place, char **path);
int http_open_instance(struct instance *instance);
void http_close_instance(struct instance *instance);
char *http_url(struct instance *instance, const char *path);
/* The URL that is asked for `path`. mem. */
char *http_make_url(const struct http_instance *http, const char *path, bool slash);

/* ---- WebDAV ---- */

/* What the answer to a change says. 207 is a failure: of something below, which it names. */
int CO_FN dav_judge(const struct asked *asked);
/* PROPFIND of `path` and, as `depth` says ("Depth: 1"), of what is in it; fn(arg, entry) for each. */
int CO_FN dav_propfind(struct http_instance *http, const char *path, bool slash, const char *depth,
                       struct http_tries *tries, multistatus_fn *fn, void *arg);
/* What a multistatus says of a file or directory; the strings are the entry's. */
struct answer dav_answer_of(const struct multistatus_entry *entry);
/* The failures of one that says a status, or not what a path is. */
int dav_fail_said(const struct http_instance *http, const char *path, int status);
int dav_fail_untyped(const struct http_instance *http, const char *path);
/* By PROPFIND alone. Of the latter, -ENOTDIR: below a file. */
int CO_FN dav_ask_info(struct http_instance *http, const char *path, struct answer *out);
int CO_FN dav_look(struct http_instance *http, const char *path, struct answer *out);
int CO_FN webdav_info(struct instance *instance, const char *path, const struct terms *terms,
                      struct answer *out);
int CO_FN webdav_list(struct instance *instance, const char *path, const struct terms *terms,
                      struct cursor *cursor, struct larder_entries *page, struct answer *out);
int CO_FN webdav_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                           struct cursor *cursor, struct larder_entries *page, struct answer *out);
/* Does the server speak of nothing in it but temporary names? What no listing shows counts: names that no path can say,
 * or that it tells nothing of. -ENOTDIR, -ENOENT. */
int CO_FN dav_is_empty(struct http_instance *http, const char *path);
/* The type of what is there; 0: nothing is. */
int CO_FN dav_type_at(struct http_instance *http, const char *path);
/* May a file be put there? -EISDIR; -EEXIST, for LARDER_CREATE. */
int CO_FN dav_check_target(struct http_instance *http, const char *path, unsigned flags);
/* MOVE of a file that is there. */
int CO_FN dav_move_file(struct http_instance *http, const char *from, const char *to, unsigned flags);
/* The temporary name with this id in the first `dir_size` bytes of `path`; mem. */
char *dav_temporary(const char *path, size_t dir_size, uint64_t id);
/* webdav_write.c, webdav_stage.c */
int CO_FN webdav_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                       const char *if_match, struct answer *out);
int CO_FN webdav_mkdir(struct instance *instance, const char *path, unsigned flags);
int CO_FN webdav_rmdir(struct instance *instance, const char *path);
int CO_FN webdav_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
                      const struct labels *labels);
int CO_FN webdav_move(struct instance *instance, const char *from, const char *to, unsigned flags);
int CO_FN webdav_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                       struct token *out);
int CO_FN webdav_stage_whole(struct instance *instance, const char *path, const struct token *token,
                             struct source *source);
int CO_FN webdav_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                         unsigned flags, const char *if_match, struct answer *out);
int CO_FN webdav_discard(struct instance *instance, const char *path, const struct token *token);
int CO_FN webdav_sweep(struct instance *instance, const char *path, uint64_t id, int64_t since_ns);
int CO_FN webdav_read_staged(struct instance *instance, const char *path, const struct token *token,
                             const struct larder_range *range, struct sink *sink, struct answer *out);

#endif
