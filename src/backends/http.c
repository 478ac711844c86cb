/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP. An instance is an origin, and the query of the URL that it was opened with: that goes, untouched,
 * with every request. A path is the decoded path of a URL.
 *
 *   info   HEAD; where that is refused or tells no size, GET of the first byte. Redirected to itself with a slash
 *          behind: a directory. So is the root, and what there is with the slash, where the caller wrote one
 *   read   one GET
 *   list   GET of path + "/", and what the page links to (net/index.h)
 *
 * A version is a strong ETag. What only can be revalidated, a weak ETag or a Last-Modified, is the validator of an
 * ANSWER_WEAK. Which of the two a validator is, shows: the latter is a date.
 */
#include <errno.h>
#include <string.h>

#include "backends/backends.h"
#include "backends/http_parts.h"
#include "base/error.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "net/index.h"
#include "net/uri.h"

#define PIECE_SIZE  ((size_t)256 << 10) /* of a page */
#define LIST_ACCEPT "application/json, text/html;q=0.9, */*;q=0.1"

/* ---- info ---- */

/* HEAD says too little: GET the first byte, whose Content-Range has the size. */
static int CO_FN probe(struct http_instance *http, const char *path, const struct terms *terms,
                       struct http_tries *tries, struct asked *out)
{
    struct http_request request = {.method = HTTP_GET, .range = "0-0", .tries = tries};
    return http_ask(http, path, terms->directory, terms, &request, out);
}

static int size_of(const struct asked *asked, int64_t *out)
{
    const struct http_response *response = asked->response;
    const char *text = response->header[HTTP_CONTENT_RANGE];
    struct content_range range = {-1, -1, -1};
    *out = LARDER_SIZE_UNKNOWN;
    if (http_is_encoded(response))
        return 0;
    if (response->status == 200 || response->status == 203) {
        *out = response->content_length;
        return 0;
    }
    bool broken = text && content_range_parse(text, &range) < 0;
    if (broken || (response->status == 206 && (range.first != 0 || (range.last != 0 && range.total != 0))))
        return http_doubt(asked->transfer, -EPROTO, "not the Content-Range of the first byte: %.80s",
                          text ? text : "none");
    *out = range.total;
    return 0;
}

static bool has_slash(const struct http_response *response)
{
    struct uri uri;
    uri_split(response->url, &uri);
    return uri.path.size > 0 && uri.path.text[uri.path.size - 1] == '/';
}

/* Is a HEAD's answer not the last word? 403: presigned URLs are often signed for GET alone. */
static bool should_probe(const struct http_response *response, bool directory)
{
    switch (response->status) {
    case 200:
    case 203:
        return !directory && response->content_length < 0 && !http_is_encoded(response);
    case 400:
    case 403:
    case 405:
    case 501:
        return true;
    default:
        return false;
    }
}

static struct answer directory_answer(const struct asked *asked)
{
    struct answer answer = http_answer_of(asked);
    answer.info = (struct larder_info){.type = LARDER_DIRECTORY};
    answer.validator = NULL; /* of a page about it, or of a redirect's target */
    answer.flags &= ~(unsigned)ANSWER_WEAK;
    return answer;
}

static int judge_info(const struct asked *asked, const char *path, const struct terms *terms,
                      struct answer *out)
{
    int status = asked->response->status;
    if (status == 304)
        return http_not_modified(asked, terms, out);
    bool empty = status == 416; /* there is no first byte */
    if (status != 200 && status != 203 && status != 206 && !empty)
        return http_fail_status(asked->transfer);
    struct answer answer;
    if (terms->directory && !has_slash(asked->response))
        return http_fail(asked->transfer, -ENOENT, "there is only one without the slash");
    if (path[0] == 0 || asked->response->slash_added || terms->directory) {
        answer = directory_answer(asked);
        answer.flags |= terms->directory ? ANSWER_SLASH : 0;
    } else {
        int rc = http_check_match(asked, terms);
        answer = http_answer_of(asked);
        if (rc == 0)
            rc = size_of(asked, &answer.info.size);
        if (rc == 0 && empty && answer.info.size != 0)
            return http_fail_status(asked->transfer);
        if (rc < 0)
            return rc;
    }
    return answer_copy(out, &answer);
}

static int CO_FN info_once(struct http_instance *http, const char *path, const struct terms *terms,
                           bool by_byte, struct http_tries *tries, struct answer *out)
{
    struct http_request request = {.method = HTTP_HEAD, .tries = tries};
    struct asked asked;
    int rc = by_byte ? probe(http, path, terms, tries, &asked)
                     : http_ask(http, path, terms->directory, terms, &request, &asked);
    if (rc < 0)
        return rc;
    bool directory = path[0] == 0 || terms->directory || asked.response->slash_added;
    if (!by_byte && should_probe(asked.response, directory)) {
        http_close(asked.transfer);
        rc = probe(http, path, terms, tries, &asked);
        if (rc < 0)
            return rc;
    }
    rc = judge_info(&asked, path, terms, out);
    http_close(asked.transfer);
    return rc;
}

static int CO_FN find_out(struct http_instance *http, const char *path, const struct terms *terms,
                          bool by_byte, struct answer *out)
{
    struct http_tries tries = {.site = http->site};
    int rc;
    do
        rc = info_once(http, path, terms, by_byte, &tries, out);
    while (http_try_again(&tries, &rc));
    return rc;
}

/* Of path/, which has a version as little as any directory. */
static int CO_FN find_directory(struct http_instance *http, const char *path, struct answer *out)
{
    struct terms terms = TERMS_NONE;
    terms.directory = true;
    return find_out(http, path, &terms, false, out);
}

/* With a slash behind it a file is one still, where there is no directory. */
int CO_FN http_info(struct instance *instance, const char *path, const struct terms *terms,
                    struct answer *out)
{
    struct http_instance *http = http_of(instance);
    struct terms plain = *terms;
    plain.directory = false;
    int rc = terms->directory && path[0] ? find_directory(http, path, out) : -ENOENT;
    if (rc == -EACCES && http_is_plain(http)) /* said of a file's name with a slash, too */
        rc = http_blame_file(http, path, true, rc);
    if (rc != -ENOENT && rc != -ENOTDIR)
        return rc;
    rc = find_out(http, path, &plain, false, out);
    return rc == -EACCES && http_is_plain(http) ? http_blame_file(http, path, false, rc) : rc;
}

int CO_FN http_info_by_head(struct http_instance *http, const char *path, struct answer *out)
{
    return find_out(http, path, &TERMS_NONE, false, out);
}

int CO_FN http_info_by_byte(struct http_instance *http, const char *path, const struct terms *terms,
                            struct answer *out)
{
    return find_out(http, path, terms, true, out);
}

/* ---- listing ---- */

static int on_index_entry(void *arg, const struct index_entry *entry)
{
    const struct larder_info info = {.name = entry->name,
                                     .type = entry->type,
                                     .size = entry->size,
                                     .mtime_ns = entry->mtime_ns};
    return entries_add(arg, &info);
}

static int CO_FN read_index(const struct asked *asked, struct entries_builder *builder)
{
    const struct http_response *response = asked->response;
    struct index *index = NULL;
    if (http_is_encoded(response))
        return http_doubt(asked->transfer, -EPROTO, "the page is encoded (%.40s), which nobody asked for",
                          response->header[HTTP_CONTENT_ENCODING]);
    int64_t count = 1;
    int rc = index_new(response->url, response->header[HTTP_CONTENT_TYPE], on_index_entry, builder, &index);
    char *buffer = mem_alloc(PIECE_SIZE);
    if (rc == 0 && !buffer)
        rc = fail_memory();
    while (rc == 0 && count > 0) {
        count = http_read(asked->transfer, buffer, PIECE_SIZE);
        rc = count < 0 ? (int)count : count > 0 ? index_feed(index, buffer, (size_t)count) : 0;
    }
    mem_free(buffer);
    if (rc == 0)
        rc = index_finish(index);
    index_free(index);
    return rc == -ENOTSUP || rc == -E2BIG ? http_fail(asked->transfer, rc, "%s", error_text()) : rc;
}

/* There is nothing at path/: a file without the slash? */
static int CO_FN explain_missing(struct http_instance *http, const char *path)
{
    struct answer answer = {0};
    int rc = path[0] ? http_info(&http->instance, path, &TERMS_NONE, &answer) : 0;
    if (rc < 0)
        return rc;
    bool file = path[0] && answer.info.type == LARDER_FILE;
    answer_free(&answer);
    return file ? fail_at(&http->instance, path, -ENOTDIR, "not a directory")
                : fail_at(&http->instance, path, -ENOENT, "there is no index");
}

static int CO_FN list_answered(const struct asked *asked, const char *path, const struct terms *terms,
                               struct larder_entries *page, struct answer *out)
{
    const struct http_response *response = asked->response;
    struct entries_builder builder = {0};
    if (response->status == 304)
        return http_not_modified(asked, terms, out);
    if (response->status != 200 && response->status != 203)
        return http_fail_status(asked->transfer);
    if (path[0] && !has_slash(response))
        return http_fail(asked->transfer, -ENOTDIR, "not a directory: there is only one without the slash");
    struct answer answer = http_answer_of(asked);
    answer.info.type = LARDER_DIRECTORY;
    answer.info.size = 0;
    answer.info.mtime_ns = 0;
    struct answer copy = {0};
    int rc = read_index(asked, &builder);
    if (rc == 0 && out)
        rc = answer_copy(&copy, &answer);
    if (rc < 0) {
        entries_discard(&builder);
        return rc;
    }
    entries_finish(&builder, page);
    if (out)
        *out = copy;
    return 0;
}

static int CO_FN list_once(struct http_instance *http, const char *path, const struct terms *terms,
                           struct http_tries *tries, struct larder_entries *page, struct answer *out)
{
    struct http_request request = {.method = HTTP_GET, .accept = LIST_ACCEPT, .tries = tries};
    struct asked asked;
    int rc = http_ask(http, path, true, terms, &request, &asked);
    if (rc < 0)
        return rc;
    rc = list_answered(&asked, path, terms, page, out);
    http_close(asked.transfer);
    return rc;
}

int CO_FN http_list(struct instance *instance, const char *path, const struct terms *terms,
                    struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct http_instance *http = http_of(instance);
    struct http_tries tries = {.site = http->site};
    int rc;
    do
        rc = list_once(http, path, terms, &tries, page, out);
    while (http_try_again(&tries, &rc));
    if (rc == -ENOENT)
        return explain_missing(http, path);
    if (rc == -EACCES)
        return http_blame_file(http, path, true, rc);
    cursor->end = rc >= 0;
    return rc;
}

/* ---- the table ---- */

static const char *const http_protocols[] = {"http", "https", NULL};

const struct backend http_backend = {
    .name = "http",
    .protocols = http_protocols,
    .kind = ASYNC,
    .size = sizeof(struct http_instance),
    .options = http_options,
    .locate = http_locate,
    .open = http_open_instance,
    .close = http_close_instance,
    .url = http_url,
    .info = http_info,
    .list = http_list,
    .properties = http_properties,
    .read = http_read_file,
    .write = http_write,
    .remove = http_remove,
    .mkdir = http_mkdir,
    .rmdir = http_rmdir,
};
