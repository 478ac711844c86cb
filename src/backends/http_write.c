/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes over plain HTTP: PUT and DELETE, once the option `write` allows them. What a directory is no request can say:
 * it is what it holds, so mkdir only looks, and an empty one that the server keeps stays.
 *
 * A condition (create, replace) is looked at beforehand and sent along as well, since many servers do not heed it. So it
 * is exact where the server is (docs/http.md has a table), and elsewhere as good as a look.
 */
#include <errno.h>
#include <string.h>

#include "backends/http_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/labels.h"
#include "net/http_status.h"

#define ANCESTOR_MAX 8

bool http_was_refused(int rc)
{
    switch (rc) {
    case -EACCES:
    case -EINVAL:
    case -EIO:
    case -ENOENT:
    case -ENOTSUP:
    case -EPROTO:
        return true;
    default:
        return false;
    }
}

int http_check_write(const struct http_instance *http, const char *path)
{
    if (http->instance.can.write)
        return 0;
    return http->dav ? fail_at(&http->instance, path, -EROFS, "the option webdav.write says no")
                     : fail_at(&http->instance, path, -ENOTSUP,
                               "HTTP only reads, unless the option http.write says yes");
}

int CO_FN http_look(struct http_instance *http, const char *path, struct answer *out)
{
    return http->dav ? dav_look(http, path, out) : http_info(&http->instance, path, &TERMS_NONE, out);
}

bool http_is_forbidden(int rc)
{
    return rc == -EACCES || rc == -EINVAL || rc == -ENOTSUP;
}

/*
 * Of what would be below a file Apache says 400 over WebDAV, and lighttpd 403 in either way. So an ancestor is looked for
 * that answers, and if that is a file, it explains the refusal.
 */
int CO_FN http_blame_file(struct http_instance *http, const char *path, bool itself, int rc)
{
    autofree char *refused = mem_dup(error_text());
    autofree char *ancestor = mem_dup_n(path, itself ? strlen(path) : path_parent_size(path));
    bool file = false;
    int looked = -EACCES;
    if (!ancestor)
        return fail_memory();
    for (int i = 0; i < ANCESTOR_MAX && *ancestor && http_is_forbidden(looked); i++) {
        struct answer answer = {0};
        looked =
            http->dav ? dav_ask_info(http, ancestor, &answer) : http_info_by_head(http, ancestor, &answer);
        file = looked == 0 && answer.info.type != LARDER_DIRECTORY;
        answer_free(&answer);
        if (!file)
            ancestor[path_parent_size(ancestor)] = 0;
    }
    if (file)
        return fail_at(&http->instance, path, -ENOTDIR, "%s is a file", path_name(ancestor));
    error_set_text(refused);
    return rc;
}

/*
 * Why a change that has an answer was refused. What is there is asked for; a failure to find out explains nothing. Nor does,
 * over plain HTTP, a parent without an answer of its own: many servers have none for a directory that they write to.
 */
int CO_FN http_explain(struct http_instance *http, const char *path, int rc)
{
    autofree char *refused = mem_dup(error_text());
    struct answer answer = {0};
    autofree char *parent = mem_dup_n(path, path_parent_size(path));
    if (!parent)
        return fail_memory();
    int looked = http_look(http, path, &answer);
    bool directory = looked == 0 && answer.info.type == LARDER_DIRECTORY;
    answer_free(&answer);
    if (directory)
        return fail_at(&http->instance, path, -EISDIR, "a directory");
    looked = *parent ? http_look(http, parent, &answer) : -EAGAIN;
    bool file = looked == -ENOTDIR || (looked == 0 && answer.info.type != LARDER_DIRECTORY);
    answer_free(&answer);
    if (file)
        return fail_at(&http->instance, path, -ENOTDIR, "a file is in the way");
    if (looked == -ENOENT && (http->dav || rc == -ENOENT))
        return fail_at(&http->instance, path, -ENOENT, "there is no directory for it");
    error_set_text(refused);
    return rc;
}

/* ---- writing ---- */

/* What a condition forbids is not even tried. */
static int CO_FN check_before(struct http_instance *http, const char *path, unsigned flags,
                              const char *if_match)
{
    struct answer answer = {0};
    if (!(flags & LARDER_CREATE) && !if_match)
        return 0;
    int rc =
        http_info(&http->instance, path, &TERMS_NONE, &answer); /* by HEAD, whose ETag is that of a GET */
    const char *version = answer.info.version ? answer.info.version : "";
    if (rc == -ENOENT)
        rc = if_match ? fail_at(&http->instance, path, -ESTALE, "it is gone") : 0;
    else if (rc == 0 && (flags & LARDER_CREATE))
        rc = fail_at(&http->instance, path, -EEXIST, "it exists");
    else if (rc == 0 && answer.info.type == LARDER_DIRECTORY)
        rc = fail_at(&http->instance, path, -EISDIR, "a directory");
    else if (rc == 0 && strcmp(version, if_match) != 0)
        rc = fail_at(&http->instance, path, -ESTALE, "it is another by now");
    answer_free(&answer);
    return rc;
}

int CO_FN http_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                     const char *if_match, struct answer *out)
{
    struct http_instance *http = http_of(instance);
    struct http_put put = {path, labels_content_type(source->labels, path), source, if_match,
                           flags & LARDER_CREATE};
    int rc = http_check_write(http, path);
    if (rc == 0 && !*path)
        rc = fail_at(&http->instance, "", -EISDIR, "a directory");
    if (rc == 0)
        rc = check_before(http, path, flags, if_match);
    if (rc < 0)
        return rc;
    return http_put(http, &put, out);
}

/* ---- removing ---- */

/* May it go? Some servers take away whole trees by the name of a directory. */
static int CO_FN look_at_file(struct http_instance *http, const char *path)
{
    struct answer answer = {0};
    int rc = *path ? http_look(http, path, &answer) : fail_at(&http->instance, "", -EISDIR, "a directory");
    if (rc == 0 && answer.info.type == LARDER_DIRECTORY)
        rc = fail_at(&http->instance, path, -EISDIR, "a directory");
    answer_free(&answer);
    return rc;
}

static int CO_FN look_at_directory(struct http_instance *http, const char *path)
{
    int empty = dav_is_empty(http, path);
    return empty == 0 ? fail_at(&http->instance, path, -ENOTEMPTY, "it is not empty") : empty < 0 ? empty : 0;
}

/* `ever_done`: perhaps, by this try or an earlier one. */
static int CO_FN remove_once(struct http_instance *http, const char *path, bool directory,
                             struct http_tries *tries, bool *ever_done)
{
    static const char *const depth[] = {"Depth: 0", NULL};
    bool maybe_done = false;
    struct http_request request = {.method = HTTP_DELETE,
                                   .headers = directory ? NULL : depth,
                                   .once = true,
                                   .one_try = true,
                                   .maybe_done = &maybe_done,
                                   .tries = tries};
    struct asked asked;
    int rc = directory ? look_at_directory(http, path) : look_at_file(http, path);
    tries->again = false;
    if (rc == -ENOENT && *ever_done)
        return 0;
    if (rc < 0)
        return *ever_done ? fail_more(rc, "it is not known whether it was removed") : rc;
    rc = http_ask(http, path, directory, &TERMS_NONE, &request, &asked);
    bool lost = rc < 0 || http_status(asked.response->status)->doubtful;
    *ever_done |= maybe_done;
    if (rc == 0) {
        rc = dav_judge(&asked);
        http_close(asked.transfer);
    }
    if (rc == -ENOENT && *ever_done)
        return 0;
    tries->again |= lost && maybe_done;
    return rc;
}

int CO_FN http_remove_path(struct http_instance *http, const char *path, bool directory)
{
    struct http_tries tries = {.site = http->site};
    bool ever_done = false;
    int rc;
    do
        rc = remove_once(http, path, directory, &tries, &ever_done);
    while (http_try_again(&tries, &rc));
    return rc;
}

int CO_FN http_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    struct http_instance *http = http_of(instance);
    int rc = http_check_write(http, paths[0]);
    for (size_t i = 0; rc == 0 && i < count; i++)
        status[i] = http_remove_path(http, paths[i], false);
    return rc == 0 && count == 1 ? status[0] : rc; /* with its words */
}

/* ---- directories ---- */

/* Nothing need be made: a directory is there as soon as something is in it. */
int CO_FN http_mkdir(struct instance *instance, const char *path, unsigned flags)
{
    struct http_instance *http = http_of(instance);
    struct answer answer = {0};
    int rc = http_check_write(http, path);
    if (rc < 0)
        return rc;
    rc = http_look(http, path, &answer);
    answer_free(&answer);
    return rc == 0 ? fail_at(&http->instance, path, -EEXIST, "it exists") : rc == -ENOENT ? 0 : rc;
}

/* One that holds nothing is not there; what the server makes of it is its own (WebDAV can remove it). */
int CO_FN http_rmdir(struct instance *instance, const char *path)
{
    struct http_instance *http = http_of(instance);
    struct larder_entries entries = {0};
    struct cursor cursor = {0};
    struct answer answer = {0};
    int rc = http_check_write(http, path);
    if (rc == 0)
        rc = http_list(instance, path, &TERMS_NONE, &cursor, &entries, &answer);
    if (rc == 0)
        rc = entries.count > 0 ? fail_at(&http->instance, path, -ENOTEMPTY, "it is not empty")
                               : fail_at(&http->instance, path, -ENOENT,
                                         "nothing is there, or an empty directory of the server's own");
    larder_entries_free(&entries);
    answer_free(&answer);
    cursor_free(&cursor);
    return rc;
}
