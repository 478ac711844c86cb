/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Staged writes over WebDAV: PUT to a temporary name in the target's directory or, while that is missing, in the nearest
 * one above it; MOVE publishes. A token is that name. There are no parts, since no request adds to a file.
 *
 * A publish that is repeated finds its temporary name gone, and the target of the right size: it was done before.
 */
#include <errno.h>
#include <string.h>

#include "backends/http_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"

int CO_FN webdav_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                       struct token *out)
{
    struct http_instance *http = http_of(instance);
    autofree char *dir = mem_dup_n(path, path_parent_size(path));
    int rc = !dir     ? fail_memory()
             : !*path ? fail_at(&http->instance, "", -EISDIR, "a directory")
                      : http_check_write(http, path);
    while (rc == 0 && *dir) {
        int type = dav_type_at(http, dir);
        if (type == LARDER_DIRECTORY)
            break;
        if (type < 0 && type != -ENOTDIR)
            return type;
        dir[path_parent_size(dir)] = 0;
    }
    if (rc == 0 && !(out->text = dav_temporary(dir, strlen(dir), id ? id : random_u64())))
        rc = fail_memory();
    return rc;
}

int CO_FN webdav_stage_whole(struct instance *instance, const char *path, const struct token *token,
                             struct source *source)
{
    const struct http_put put = {.path = token->text, .source = source};
    int rc = http_put(http_of(instance), &put, NULL);
    CRASH_POINT("webdav.staged");
    return rc;
}

/* What is there is what a publish left, as far as its size tells. */
static int CO_FN published_before(struct http_instance *http, const char *path, int64_t size,
                                  struct answer *out)
{
    struct answer answer = {0};
    int rc = http_look(http, path, &answer);
    if (rc == -ENOENT || (rc == 0 && (answer.info.type != LARDER_FILE || answer.info.size != size)))
        rc = fail_at(&http->instance, path, -ESTALE, "what was staged for it is gone");
    if (rc == 0 && out)
        *out = answer;
    else
        answer_free(&answer);
    return rc;
}

static int CO_FN check_version(struct http_instance *http, const char *path, const char *if_match)
{
    struct answer answer = {0};
    int rc = http_info(&http->instance, path, &TERMS_NONE, &answer);
    if (rc == -ENOENT)
        rc = fail_at(&http->instance, path, -ESTALE, "it is gone");
    else if (rc == 0 && (!answer.info.version || strcmp(answer.info.version, if_match) != 0))
        rc = fail_at(&http->instance, path, -ESTALE, "it is another by now");
    answer_free(&answer);
    return rc;
}

int CO_FN webdav_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                         unsigned flags, const char *if_match, struct answer *out)
{
    struct http_instance *http = http_of(instance);
    int type = dav_type_at(http, token->text);
    if (type <= 0)
        return type < 0 ? type : published_before(http, path, size, out);
    int rc = flags & LARDER_CREATE ? dav_check_target(http, path, flags) : 0;
    if (rc == 0 && if_match)
        rc = check_version(http, path, if_match);
    if (rc == 0)
        rc = dav_move_file(http, token->text, path, flags);
    return rc == 0 && out ? http_look(http, path, out) : rc;
}

/* Gone, or nothing that we could have put there: in directories above what the server serves, say. */
static int CO_FN delete_if_there(struct http_instance *http, const char *path)
{
    int rc = http_remove_path(http, path, false);
    if (rc == 0 || rc == -EIO || (!http_was_refused(rc) && rc != -ENOTDIR))
        return rc;
    error_clear();
    return 0;
}

int CO_FN webdav_discard(struct instance *instance, const char *path, const struct token *token)
{
    return delete_if_there(http_of(instance), token->text);
}

int CO_FN webdav_sweep(struct instance *instance, const char *path, uint64_t id, int64_t since_ns)
{
    autofree char *dir = mem_dup(path);
    int rc = dir ? 0 : fail_memory();
    while (rc == 0 && *dir) {
        dir[path_parent_size(dir)] = 0;
        autofree char *temporary = dav_temporary(dir, strlen(dir), id);
        rc = temporary ? delete_if_there(http_of(instance), temporary) : fail_memory();
    }
    return rc;
}

int CO_FN webdav_read_staged(struct instance *instance, const char *path, const struct token *token,
                             const struct larder_range *range, struct sink *sink, struct answer *out)
{
    return http_read_file(instance, token->text, range, &TERMS_NONE, sink, out);
}
