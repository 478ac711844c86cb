/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes over WebDAV.
 *
 *   write     PUT. Most servers (nginx, Apache, lighttpd) show it when it is whole; on one that does not (rclone), the
 *             option `replace` has it PUT to a temporary name beside its own, and moved over it
 *   create    PUT to a temporary name, MOVE with Overwrite: F
 *   replace   (a version) HEAD, then PUT with If-Match
 *   rmdir     the listing must be empty, then DELETE, which takes whole trees: what was made in between goes too
 *   copy      COPY of one file
 *   move      MOVE of a file, or of a directory to a name that is free
 *
 * With Overwrite: T a server removes the target first, be it a tree; so it is looked at right before. Temporary names are
 * left out of listings, and go with their directory.
 *
 * An answer that was lost: a MOVE has been done when its source is gone, since nobody else knows a temporary name, and
 * two who move one file are two who race anyhow.
 */
#include <errno.h>
#include <string.h>

#include "backends/http_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/labels.h"

/* ---- looking ---- */

int CO_FN dav_type_at(struct http_instance *http, const char *path)
{
    struct answer answer = {0};
    int rc = dav_look(http, path, &answer);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        rc = (int)answer.info.type;
    answer_free(&answer);
    return rc;
}

int CO_FN dav_check_target(struct http_instance *http, const char *path, unsigned flags)
{
    if (!*path)
        return fail_at(&http->instance, "", flags & LARDER_CREATE ? -EEXIST : -EISDIR, "a directory");
    int type = dav_type_at(http, path);
    if (type > 0 && (flags & LARDER_CREATE))
        return fail_at(&http->instance, path, -EEXIST, "it exists");
    if (type == LARDER_DIRECTORY)
        return fail_at(&http->instance, path, -EISDIR, "a directory");
    return type < 0 ? type : 0;
}

/* ---- COPY and MOVE ---- */

struct transport {
    enum http_method method;
    const char *from, *to;
    bool directory, overwrite;
    int answered; /* the last answer's status; 0: none */
};

static int CO_FN transport_once(struct http_instance *http, struct transport *t, struct http_tries *tries,
                                bool *maybe_done)
{
    autofree char *url = http_make_url(http, t->to, t->directory);
    autofree char *destination = url ? mem_format("Destination: %s", url) : NULL;
    const char *const headers[] = {destination, t->overwrite ? "Overwrite: T" : "Overwrite: F",
                                   t->method == HTTP_COPY ? "Depth: 0" : NULL, NULL};
    struct http_request request = {
        .method = t->method, .headers = headers, .one_try = true, .maybe_done = maybe_done, .tries = tries};
    struct asked asked;
    if (!destination)
        return fail_memory();
    int rc = t->overwrite ? dav_check_target(http, t->to, 0) : 0;
    tries->again = false;
    t->answered = 0;
    if (rc < 0)
        return rc;
    rc = http_ask(http, t->from, t->directory, &TERMS_NONE, &request, &asked);
    if (rc < 0)
        return rc;
    t->answered = asked.response->status;
    rc = asked.response->status == 412 && !t->overwrite
             ? fail_at(&http->instance, t->to, -EEXIST, "it exists")
             : dav_judge(&asked);
    http_close(asked.transfer);
    return rc;
}

/* May another try meet better? */
static bool may_pass(int rc)
{
    return rc == -EIO || rc == -EBUSY || rc == -ETIMEDOUT || rc == -ECONNRESET;
}

/*
 * It may have been done, by this try (`now`) or an earlier one, whatever was said: 0 when it was, else `rc`. A COPY over what
 * is there does the same once more; of another nobody can tell whose the target is, once there is one.
 */
static int CO_FN settle(struct http_instance *http, const struct transport *t, struct http_tries *tries,
                        bool now, int rc)
{
    autofree char *said = mem_dup(error_text());
    bool copy = t->method == HTTP_COPY;
    int from = copy ? LARDER_FILE : dav_type_at(http, t->from);
    int to = from == 0 || (copy && !t->overwrite) ? dav_type_at(http, t->to) : 0;
    if (to > 0 && !copy)
        return 0;
    error_set_text(said);
    if (from < 0 || to != 0)
        return fail_more(rc, "it is not known whether it was done");
    tries->again = from > 0 && now && may_pass(rc);
    return rc;
}

static int CO_FN transport(struct http_instance *http, struct transport *t)
{
    struct http_tries tries = {.site = http->site};
    bool ever_done = false; /* perhaps, by any of the tries */
    int rc;
    do {
        bool maybe_done = false;
        rc = transport_once(http, t, &tries, &maybe_done);
        ever_done |= maybe_done;
        if (rc < 0 && ever_done)
            rc = settle(http, t, &tries, maybe_done, rc);
        int why = http_was_refused(rc) ? http_explain(http, t->to, rc) : rc;
        tries.again &= why == rc; /* else it will be so again, whatever the answer was: 500 of nginx */
        rc = why;
    } while (http_try_again(&tries, &rc));
    return rc;
}

int CO_FN dav_move_file(struct http_instance *http, const char *from, const char *to, unsigned flags)
{
    struct transport t = {HTTP_MOVE, from, to, .overwrite = !(flags & LARDER_CREATE)};
    return transport(http, &t);
}

int CO_FN webdav_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
                      const struct labels *labels)
{
    struct http_instance *http = http_of(instance);
    struct transport t = {HTTP_COPY, from, to, .overwrite = !(flags & LARDER_CREATE)};
    int rc = http_check_write(http, to);
    if (rc == 0 && http->no_copy)
        rc = fail_at(&http->instance, from, -ENOTSUP, "the server has refused to copy by itself");
    if (rc < 0)
        return rc;
    int type = dav_type_at(http, from);
    if (type <= 0)
        return type < 0 ? type : fail_at(&http->instance, from, -ENOENT, "no such file");
    if (type == LARDER_DIRECTORY)
        return fail_at(&http->instance, from, -EISDIR, "a directory");
    if (strcmp(from, to) == 0 && t.overwrite)
        return 0;
    rc = t.overwrite ? 0 : dav_check_target(http, to, LARDER_CREATE);
    if (rc == 0)
        rc = transport(http, &t);
    http->no_copy |= rc == -ENOTSUP && (t.answered == 405 || t.answered == 501); /* else of this file alone */
    return rc;
}

int CO_FN webdav_move(struct instance *instance, const char *from, const char *to, unsigned flags)
{
    struct http_instance *http = http_of(instance);
    struct transport t = {HTTP_MOVE, from, to, .overwrite = !(flags & LARDER_CREATE)};
    int rc = http_check_write(http, to);
    if (rc == 0 && (!*from || !*to))
        rc = fail_at(&http->instance, "", -EBUSY, "the root");
    if (rc < 0)
        return rc;
    int type = dav_type_at(http, from);
    if (type <= 0)
        return type < 0 ? type : fail_at(&http->instance, from, -ENOENT, "no such file");
    if (strcmp(from, to) == 0)
        return 0;
    if (path_within(from, to))
        return fail_at(&http->instance, from, -EINVAL, "it cannot move into itself");
    t.directory = type == LARDER_DIRECTORY;
    t.overwrite = t.overwrite && !t.directory;
    rc = t.overwrite ? 0 : dav_check_target(http, to, LARDER_CREATE);
    return rc < 0 ? rc : transport(http, &t);
}

/* ---- writing ---- */

char *dav_temporary(const char *path, size_t dir_size, uint64_t id)
{
    return mem_format("%.*s%s" TEMPORARY_PREFIX "%016llx", (int)dir_size, path, dir_size ? "/" : "",
                      (unsigned long long)id);
}

/* By way of a temporary name in the same directory. */
static int CO_FN write_aside(struct http_instance *http, const char *path, struct source *source,
                             unsigned flags, struct answer *out)
{
    autofree char *temporary = dav_temporary(path, path_parent_size(path), random_u64());
    struct http_put put = {.path = temporary,
                           .content_type = labels_content_type(source->labels, path),
                           .source = source};
    struct answer answer = {0};
    if (!temporary)
        return fail_memory();
    int rc = dav_check_target(http, path, flags);
    if (rc < 0)
        return rc;
    rc = http_put(http, &put, &answer);
    rc = rc < 0 ? fail_more(rc, "%s/%s", http->origin, path) : dav_move_file(http, temporary, path, flags);
    if (rc == 0 && out)
        rc = answer_copy(out, &answer);
    answer_free(&answer);
    if (rc < 0) {
        autofree char *failed = mem_dup(error_text());
        http_remove_path(http, temporary, false);
        error_set_text(failed);
    }
    return rc;
}

int CO_FN webdav_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                       const char *if_match, struct answer *out)
{
    struct http_instance *http = http_of(instance);
    const char *replace = option_text(instance, "replace");
    int rc = http_check_write(http, path);
    if (rc < 0)
        return rc;
    if ((flags & LARDER_CREATE) || (!if_match && strcmp(replace, "move") == 0))
        return write_aside(http, path, source, flags, out);
    return http_write(instance, path, source, flags, if_match, out);
}

/* ---- directories ---- */

/* It is looked at first, since some servers answer 201 to a MKCOL of what exists. */
static int CO_FN make_once(struct http_instance *http, const char *path, struct http_tries *tries,
                           bool *ever_done)
{
    bool maybe_done = false;
    struct http_request request = {.method = HTTP_MKCOL,
                                   .one_try = true,
                                   .maybe_done = &maybe_done,
                                   .tries = tries};
    struct asked asked;
    int type = dav_type_at(http, path);
    tries->again = false;
    if (type == LARDER_DIRECTORY && *ever_done)
        return 0; /* it was not there before: it counts as ours */
    if (type != 0)
        return type < 0 ? type : fail_at(&http->instance, path, -EEXIST, "it exists");
    int rc = http_ask(http, path, true, &TERMS_NONE, &request, &asked);
    if (rc == 0) {
        rc = dav_judge(&asked);
        http_close(asked.transfer);
    }
    *ever_done |= maybe_done;
    if (rc == 0 || !*ever_done)
        return rc;
    autofree char *lost = mem_dup(error_text());
    type = dav_type_at(http, path); /* the same */
    error_set_text(lost);
    tries->again = type == 0 && maybe_done;
    return type == LARDER_DIRECTORY ? 0 : rc;
}

int CO_FN webdav_mkdir(struct instance *instance, const char *path, unsigned flags)
{
    struct http_instance *http = http_of(instance);
    struct http_tries tries = {.site = http->site};
    bool ever_done = false;
    int rc = http_check_write(http, path);
    if (rc < 0)
        return rc;
    do
        rc = make_once(http, path, &tries, &ever_done);
    while (http_try_again(&tries, &rc));
    if (!http_was_refused(rc))
        return rc;
    rc = http_explain(http, path, rc);
    /* Somebody was quicker: 405, or 403 of Apache. */
    return rc == -EISDIR ? fail_at(&http->instance, path, -EEXIST, "it exists") : rc;
}

int CO_FN webdav_rmdir(struct instance *instance, const char *path)
{
    struct http_instance *http = http_of(instance);
    int rc = http_check_write(http, path);
    if (rc == 0 && !*path)
        rc = fail_at(&http->instance, "", -EBUSY, "the root");
    return rc < 0 ? rc : http_remove_path(http, path, true);
}
