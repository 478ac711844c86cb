/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a directory of WebDAV holds: PROPFIND, Depth: 1; and all that is below one: Depth: infinity. The latter may be
 * refused, and is by default on nginx, Apache and lighttpd; then that is remembered of what has been refused, up to the
 * directory that holds all of it (another one may be another server's), and one level told at a time. What
 * goes no deeper without a word (RFC 4918 §9.1 forbids that, but some do) tells no more than it said: a directory without
 * anything below it is asked for again.
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

#define TREE_ENTRIES_MAX 50000 /* of one answer, some 10 MB; what is larger is told by level */

struct list_found {
    const char *path;
    bool tree;
    struct entries_builder builder;
    bool any, self, file;
    bool more;       /* than is listed, temporary names apart */
    int status;      /* of the directory itself */
    char other[256]; /* an href that is none of ours */
    char untyped[256];
};

/* Is it an entry of what is listed? */
static bool is_below(const struct list_found *found, const char *path)
{
    if (found->tree)
        return path_within(found->path, path);
    size_t parent = path_parent_size(path);
    return parent == strlen(found->path) && strncmp(path, found->path, parent) == 0;
}

static int note_entry(void *arg, const struct multistatus_entry *entry)
{
    struct list_found *found = arg;
    struct larder_info info = dav_answer_of(entry).info;
    if (!entry->path) {
        found->more = true;
        return 0;
    }
    if (entry->status < 300 && !entry->typed && !found->untyped[0])
        snprintf(found->untyped, sizeof found->untyped, "%s", entry->path);
    if (strcmp(entry->path, found->path) == 0) {
        found->self = true;
        found->status = entry->status;
        found->file = entry->typed && !entry->collection;
        return 0;
    }
    if (!is_below(found, entry->path)) {
        strncpy(found->other, entry->path, sizeof found->other - 1);
        found->more = true;
        return 0;
    }
    if (entry->status >= 300) { /* of this name nothing is known, not even that it is there */
        found->more = true;
        return 0;
    }
    info.name = path_below(found->path, entry->path);
    found->any = true;
    if (path_is_temporary(path_name(info.name)))
        return 0;
    if (found->tree && found->builder.count == TREE_ENTRIES_MAX)
        return fail(-E2BIG, "/%s: more than %d entries below it", found->path, TREE_ENTRIES_MAX);
    return entries_add(&found->builder, &info);
}

/* There is no listing of path/: is it a file? */
static int CO_FN explain_list(struct http_instance *http, const char *path, int rc)
{
    autofree char *refused = mem_dup(error_text());
    struct answer answer = {0};
    int looked = *path ? dav_look(http, path, &answer) : -ENOENT;
    bool file = looked == 0 && answer.info.type != LARDER_DIRECTORY;
    answer_free(&answer);
    if (file)
        return fail_at(&http->instance, path, -ENOTDIR, "not a directory");
    if (looked == -ENOENT || looked == -ENOTDIR)
        return looked;
    error_set_text(refused);
    return rc;
}

static int CO_FN ask_list(struct http_instance *http, const char *path, bool tree, struct list_found *found)
{
    struct http_tries tries = {.site = http->site};
    int rc;
    do {
        entries_discard(&found->builder);
        *found = (struct list_found){.path = path, .tree = tree};
        rc = dav_propfind(http, path, true, tree ? "Depth: infinity" : "Depth: 1", &tries, note_entry, found);
    } while (http_try_again(&tries, &rc));
    if (rc == 0 && found->status >= 300)
        rc = dav_fail_said(http, path, found->status);
    if (rc == 0 && found->untyped[0])
        rc = dav_fail_untyped(http, found->untyped);
    if (rc == 0 && found->file)
        rc = fail_at(&http->instance, path, -ENOTDIR, "not a directory");
    if (rc == 0 && !found->self && !found->any)
        rc = fail(-EPROTO, "PROPFIND %s/%s: the multistatus speaks of %s", http->origin, path,
                  found->other[0] ? found->other : "nothing");
    if (rc < 0)
        entries_discard(&found->builder);
    return rc;
}

static int CO_FN list_level(struct http_instance *http, const char *path, struct list_found *found)
{
    int rc = ask_list(http, path, false, found);
    return rc == -ENOENT || http_is_forbidden(rc) ? explain_list(http, path, rc) : rc;
}

static int take_page(struct list_found *found, struct cursor *cursor, struct larder_entries *page,
                     struct answer *out)
{
    entries_finish(&found->builder, page);
    cursor->end = true;
    if (out)
        *out = (struct answer){.info = {.type = LARDER_DIRECTORY}, .fresh_ms = -1, .stale_if_error_ms = -1};
    return 0;
}

int CO_FN webdav_list(struct instance *instance, const char *path, const struct terms *terms,
                      struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct list_found found = {.path = NULL};
    int rc = list_level(http_of(instance), path, &found);
    return rc < 0 ? rc : take_page(&found, cursor, page, out);
}

/* May it be the depth that a server does not answer, or not well? */
static bool blames_depth(int rc)
{
    return rc == -E2BIG || rc == -ETIMEDOUT || http_was_refused(rc);
}

/* Without memory it is asked again. */
static void note_finite(struct http_instance *http, const char *path)
{
    autofree char *before = take(http->finite_below);
    char *common = http->finite_below = mem_dup(before ? before : path);
    while (common && !path_within(common, path))
        common[path_parent_size(common)] = 0;
    log_at(LARDER_LOG_INFO, "%s/%s: its trees are not told at once", http->origin, path);
}

int CO_FN webdav_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                           struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct http_instance *http = http_of(instance);
    struct list_found found = {.path = NULL};
    bool tried = !http->finite_below || !path_within(http->finite_below, path);
    int deep = tried ? ask_list(http, path, true, &found) : -EACCES;
    int rc = deep;
    if (deep == -ENOENT) {
        rc = explain_list(http, path, deep);
    } else if (blames_depth(deep)) {
        error_clear();
        rc = list_level(http, path, &found);
        if (tried && rc == 0 && deep != -E2BIG)
            note_finite(http, path);
    }
    if (rc < 0)
        return rc;
    take_page(&found, cursor, page, out);
    entries_sort_by_path(page);
    if (out)
        out->flags |= ANSWER_SHALLOW;
    return 0;
}

int CO_FN dav_is_empty(struct http_instance *http, const char *path)
{
    struct list_found found = {.path = NULL};
    int rc = list_level(http, path, &found);
    if (rc < 0)
        return rc;
    rc = found.builder.count == 0 && !found.more;
    entries_discard(&found.builder);
    return rc;
}
