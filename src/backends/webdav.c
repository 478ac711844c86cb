/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebDAV (RFC 4918). An instance is HTTP's (http_open.c), and files are read as there; what a path is, and what a directory
 * holds, is asked for by PROPFIND, with the few properties named that are wanted.
 *
 *   info   PROPFIND, Depth: 0; where that tells no ETag (nginx), HEAD
 *   list   PROPFIND, Depth: 1 or infinity of path + "/" (webdav_list.c)
 *   read   GET (http_read.c)
 *
 * Changes are in webdav_write.c. What servers differ in is in docs/http.md.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/backends.h"
#include "backends/http_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "net/http_status.h"

#define PIECE_SIZE ((size_t)256 << 10)
#define HERE_SIZE  ((size_t)16 << 10) /* more is parsed on a worker: 0.1 ms */

/* ---- multistatus ---- */

struct feed {
    struct multistatus *parser;
    const char *data;
    size_t size;
};

static int feed_piece(void *arg)
{
    struct feed *feed = arg;
    return multistatus_feed(feed->parser, feed->data, feed->size);
}

/* The body, through the parser. */
static int CO_FN read_multistatus(const struct asked *asked, multistatus_fn *fn, void *arg)
{
    struct feed feed = {0};
    int rc = multistatus_new(asked->response->url, fn, arg, &feed.parser);
    char *buffer = mem_alloc(PIECE_SIZE);
    int64_t count = 1;
    if (rc == 0 && !buffer)
        rc = fail_memory();
    while (rc == 0 && count > 0) {
        count = http_read(asked->transfer, buffer, PIECE_SIZE);
        feed.data = buffer;
        feed.size = count > 0 ? (size_t)count : 0;
        rc = count < 0 ? (int)count : feed.size <= HERE_SIZE ? feed_piece(&feed) : offload(feed_piece, &feed);
    }
    if (rc == 0)
        rc = multistatus_finish(feed.parser);
    multistatus_free(feed.parser);
    mem_free(buffer);
    return rc == -EPROTO ? http_doubt(asked->transfer, rc, "%s", error_text()) : rc;
}

int CO_FN dav_propfind(struct http_instance *http, const char *path, bool slash, const char *depth,
                       struct http_tries *tries, multistatus_fn *fn, void *arg)
{
    const char *const headers[] = {depth, "Content-Type: application/xml; charset=utf-8", NULL};
    struct http_body body = {.size = (int64_t)strlen(multistatus_propfind), .data = multistatus_propfind};
    struct http_request request = {.method = HTTP_PROPFIND,
                                   .headers = headers,
                                   .body = &body,
                                   .tries = tries};
    struct asked asked;
    int rc = http_ask(http, path, slash, &TERMS_NONE, &request, &asked);
    if (rc < 0)
        return rc;
    int status = asked.response->status;
    if (status == 207)
        rc = read_multistatus(&asked, fn, arg);
    else if (status >= 200 && status <= 299)
        rc = http_fail(asked.transfer, -ENOTSUP, "the answer is %d, not 207: this is no WebDAV", status);
    else
        rc = http_fail_status(asked.transfer);
    http_close(asked.transfer);
    return rc;
}

/* The first that is said to have failed. */
struct failed {
    char path[256];
    int status;
};

static int note_failed(void *arg, const struct multistatus_entry *entry)
{
    struct failed *failed = arg;
    if (failed->status == 0 && entry->status >= 300) {
        failed->status = entry->status;
        strncpy(failed->path, entry->path ? entry->path : "what has no name here", sizeof failed->path - 1);
    }
    return 0;
}

int http_fail_change(const struct asked *asked)
{
    return asked->response->status == 409
               ? http_fail(asked->transfer, -ENOENT, "409 Conflict: there is no directory for it")
               : http_fail_status(asked->transfer);
}

int CO_FN dav_judge(const struct asked *asked)
{
    struct failed failed = {.status = 0};
    int status = asked->response->status;
    if (asked->response->slash_added)
        return http_fail(asked->transfer, -EISDIR, "a directory");
    if (status != 207)
        return status >= 200 && status <= 299 ? 0 : http_fail_change(asked);
    int rc = read_multistatus(asked, note_failed, &failed);
    if (rc < 0 || failed.status == 0)
        return rc;
    return http_fail(asked->transfer, -EIO, "%d on %s; the rest is done", failed.status, failed.path);
}

/* ---- info ---- */

struct info_found {
    bool found, typed;
    int status;
    struct answer answer;
};

/* A page that a PROPFIND answers is not kept by caches, and says nothing of how long it holds. */
struct answer dav_answer_of(const struct multistatus_entry *entry)
{
    struct answer answer = {
        .info = {.type = entry->collection ? LARDER_DIRECTORY : LARDER_FILE,
                 .size = entry->collection ? 0 : entry->size,
                 .mtime_ns = entry->mtime_ns,
                 .created_ns = entry->created_ns},
        .fresh_ms = -1,
        .stale_if_error_ms = -1,
    };
    if (entry->collection || !entry->etag)
        return answer;
    answer.validator = entry->etag;
    if (strncmp(entry->etag, "W/", 2) == 0)
        answer.flags = ANSWER_WEAK;
    else
        answer.info.version = entry->etag;
    return answer;
}

/* The only one: whatever its href is, it is what was asked about. */
static int note_info(void *arg, const struct multistatus_entry *entry)
{
    struct info_found *found = arg;
    struct answer answer = dav_answer_of(entry);
    if (found->found || !entry->path)
        return 0;
    found->found = true;
    found->status = entry->status;
    found->typed = entry->typed;
    return answer_copy(&found->answer, &answer);
}

int dav_fail_said(const struct http_instance *http, const char *path, int status)
{
    return fail(http_status(status)->rc, "PROPFIND %s/%s: the multistatus says %d", http->origin, path,
                status);
}

int dav_fail_untyped(const struct http_instance *http, const char *path)
{
    return fail(-EPROTO, "PROPFIND %s/%s: it is not told whether it is a directory", http->origin, path);
}

static int CO_FN ask_spelled(struct http_instance *http, const char *path, bool slash, struct answer *out)
{
    struct http_tries tries = {.site = http->site};
    struct info_found found = {.found = false};
    int rc;
    do {
        answer_free(&found.answer);
        found.found = false;
        rc = dav_propfind(http, path, slash, "Depth: 0", &tries, note_info, &found);
    } while (http_try_again(&tries, &rc));
    if (rc == 0 && !found.found)
        rc = fail(-EPROTO, "PROPFIND %s/%s: an empty multistatus", http->origin, path);
    if (rc == 0 && found.status >= 300)
        rc = dav_fail_said(http, path, found.status);
    if (rc == 0 && !found.typed)
        rc = dav_fail_untyped(http, path);
    if (rc == 0)
        *out = found.answer;
    else
        answer_free(&found.answer);
    return rc;
}

/* nginx answers for a "location /dav/" under no other name, so it says 405 to /dav: no WebDAV is there. */
int CO_FN dav_ask_info(struct http_instance *http, const char *path, struct answer *out)
{
    struct answer answer = {0};
    int rc = ask_spelled(http, path, false, out);
    if (rc != -ENOTSUP || !*path)
        return rc;
    autofree char *refused = mem_dup(error_text());
    if (ask_spelled(http, path, true, &answer) == 0 && answer.info.type == LARDER_DIRECTORY) {
        *out = answer;
        error_clear();
        return 0;
    }
    answer_free(&answer);
    error_set_text(refused);
    return rc;
}

static int check_terms(struct http_instance *http, const char *path, const struct terms *terms,
                       const struct answer *answer)
{
    const char *version = answer->info.version ? answer->info.version : "";
    const char *validator = answer->validator ? answer->validator : "";
    if (terms->if_match && strcmp(terms->if_match, version) != 0)
        return fail_at(&http->instance, path, -ESTALE, "it has changed: %s, not %s",
                       *version ? version : "no version", terms->if_match);
    return terms->if_none_match && strcmp(terms->if_none_match, validator) == 0 ? UNCHANGED : 0;
}

int CO_FN dav_look(struct http_instance *http, const char *path, struct answer *out)
{
    int rc = dav_ask_info(http, path, out);
    return http_is_forbidden(rc) ? http_blame_file(http, path, false, rc) : rc;
}

/*
 * nginx tells no ETag here. Once that shows, a HEAD is asked first from then on, which tells it, and of a file all else as
 * well. That something is missing is not for a HEAD to say: a location's own name is 404 to it. True: `out` is a file's.
 */
static bool CO_FN look_by_head(struct http_instance *http, const char *path, struct answer *out)
{
    struct answer answer = {0};
    int rc = *path ? http_info(&http->instance, path, &TERMS_NONE, &answer) : -EISDIR;
    bool file = rc == 0 && answer.info.type == LARDER_FILE && answer.info.size >= 0;
    if (file)
        *out = answer;
    else
        answer_free(&answer);
    return file;
}

static int CO_FN look_for_version(struct http_instance *http, const char *path, struct answer *out)
{
    struct answer by_head = {0};
    if (http->etag_by_head && look_by_head(http, path, out))
        return 0;
    int rc = dav_look(http, path, out);
    if (rc < 0 || out->validator || out->info.type != LARDER_FILE || http->etag_by_head)
        return rc;
    if (look_by_head(http, path, &by_head) && by_head.validator) {
        http->etag_by_head = true;
        answer_free(out);
        *out = by_head;
    } else {
        answer_free(&by_head);
    }
    return 0;
}

int CO_FN webdav_info(struct instance *instance, const char *path, const struct terms *terms,
                      struct answer *out)
{
    struct http_instance *http = http_of(instance);
    struct answer answer = {0};
    int rc = look_for_version(http, path, &answer);
    if (rc < 0)
        return rc;
    rc = check_terms(http, path, terms, &answer);
    if (rc >= 0)
        *out = answer;
    else
        answer_free(&answer);
    return rc;
}

/* ---- reading ---- */

/* Some servers refuse a GET of a directory, instead of leading to its page. */
static int CO_FN webdav_read(struct instance *instance, const char *path, const struct larder_range *range,
                             const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct http_instance *http = http_of(instance);
    int rc = http_read_file(instance, path, range, terms, sink, out);
    return http_is_forbidden(rc) ? http_explain(http, path, rc) : rc;
}

/* ---- the table ---- */

/* webdavs://host is WebDAV by https://host. */
static int webdav_locate(const struct backend *backend, const char *url, char **values, char **place,
                         char **path)
{
    autofree char *plain = mem_format("http%s", url + strlen("webdav"));
    return plain ? http_locate(&http_backend, plain, values, place, path) : fail_memory();
}

static const char *const protocols[] = {"webdav", "webdavs", NULL};

const struct backend webdav_backend = {
    .name = "webdav",
    .protocols = protocols,
    .kind = ASYNC,
    .size = sizeof(struct http_instance),
    .options = http_options,
    .locate = webdav_locate,
    .open = http_open_instance,
    .close = http_close_instance,
    .url = http_url,
    .info = webdav_info,
    .list = webdav_list,
    .list_tree = webdav_list_tree,
    .properties = http_properties,
    .read = webdav_read,
    .write = webdav_write,
    .remove = http_remove,
    .mkdir = webdav_mkdir,
    .rmdir = webdav_rmdir,
    .copy = webdav_copy,
    .move = webdav_move,
    .stage = webdav_stage,
    .stage_whole = webdav_stage_whole,
    .publish = webdav_publish,
    .discard = webdav_discard,
    .sweep = webdav_sweep,
    .read_staged = webdav_read_staged,
};
