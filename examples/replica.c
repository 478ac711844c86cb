/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend that a program brings: one tree that lies in two places. What is written goes to both; what is read comes
 * from the first, or from the second while the first cannot be asked. A file that is missing in the first is missing.
 *
 * Its operations run in tasks (LARDER_TASKS), so they are made of Larder's own calls and suspend inside them.
 */
#include "replica.h"

#include <errno.h>
#include <stdlib.h>

struct replicas {
    struct larder_fs *first, *second;
};

/* Does this say that the place could not be asked? Then the other one is. */
static bool is_down(int rc)
{
    switch (rc) {
    case -ENOENT:
    case -ENOTDIR:
    case -EISDIR:
    case -ENOTEMPTY:
    case -EEXIST:
    case -ESTALE:
    case -ECANCELED:
        return false;
    default:
        return rc < 0;
    }
}

/* ---- opening ---- */

static void replica_close(void *state)
{
    struct replicas *both = state;
    larder_fs_free(both->first);
    larder_fs_free(both->second);
    free(both);
}

static int replica_open(const struct larder_place *place, struct larder_capabilities *can, void **state)
{
    const char *first = larder_place_text(place, "first"), *second = larder_place_text(place, "second");
    if (!first || !second)
        return larder_fail(-EINVAL, "replica: the options first and second have to say two URLs");
    struct replicas *both = calloc(1, sizeof *both);
    if (!both)
        return larder_fail(-ENOMEM, "out of memory");
    struct larder_loop *loop = larder_place_loop(place);
    int rc = larder_open(loop, first, NULL, &both->first, NULL);
    if (rc == 0)
        rc = larder_open(loop, second, NULL, &both->second, NULL);
    if (rc < 0) {
        replica_close(both);
        return rc;
    }
    const struct larder_capabilities *a = larder_fs_capabilities(both->first),
                                     *b = larder_fs_capabilities(both->second);
    can->list = a->list && b->list;
    can->write = a->write && b->write;
    can->create_only = a->create_only;
    can->if_match = a->if_match;
    can->real_directories = a->real_directories && b->real_directories;
    can->parents_required = a->parents_required; /* the second is given what it lacks */
    can->persistent = a->persistent && b->persistent;
    *state = both;
    return 0;
}

/* ---- reading ---- */

static int replica_info(void *state, const char *path, struct larder_facts *out)
{
    const struct replicas *both = state;
    int rc = larder_facts_from(both->first, path, out);
    return is_down(rc) ? larder_facts_from(both->second, path, out) : rc;
}

static int replica_list(void *state, const char *path, struct larder_page *page)
{
    const struct replicas *both = state;
    int rc = larder_page_from(page, both->first, path);
    return is_down(rc) ? larder_page_from(page, both->second, path) : rc;
}

static int replica_read(void *state, const char *path, struct larder_reading *reading)
{
    const struct replicas *both = state;
    int rc = larder_reading_from(reading, both->first, path);
    return is_down(rc) ? larder_reading_from(reading, both->second, path) : rc;
}

/* ---- writing: the first decides, and what the second lacks is done there ---- */

static int settle(int rc)
{
    return rc == -ENOENT || rc == -EEXIST ? 0 : rc;
}

static int replica_write(void *state, const char *path, struct larder_writing *writing,
                         const struct larder_how *how, struct larder_facts *now)
{
    const struct replicas *both = state;
    unsigned flags = (how->flags & ~(unsigned)LARDER_CREATE) | LARDER_PARENTS;
    const void *data;
    size_t size;
    int rc = larder_writing_whole(writing, SIZE_MAX, &data, &size); /* which goes to two places */
    if (rc == 0)
        rc = how->if_match ? larder_replace_file(both->first, path, data, size, how->if_match, how->flags)
                           : larder_pipe_file(both->first, path, data, size, how->flags);
    if (rc == 0)
        rc = larder_pipe_file(both->second, path, data, size, flags);
    return rc < 0 ? rc : larder_facts_from(both->first, path, now);
}

static int replica_remove(void *state, const char *path)
{
    const struct replicas *both = state;
    int rc = larder_rm_file(both->first, path);
    return rc < 0 ? rc : settle(larder_rm_file(both->second, path));
}

static int replica_mkdir(void *state, const char *path)
{
    const struct replicas *both = state;
    int rc = larder_mkdir(both->first, path, false);
    return rc < 0 ? rc : settle(larder_mkdir(both->second, path, true));
}

static int replica_rmdir(void *state, const char *path)
{
    const struct replicas *both = state;
    int rc = larder_rmdir(both->first, path);
    return rc < 0 ? rc : settle(larder_rmdir(both->second, path));
}

/* ---- the table ---- */

static const struct larder_backend_option options[] = {
    {"first", LARDER_OPTION_TEXT, NULL, LARDER_OPTION_IDENTITY, "URL of the place that is asked first"},
    {"second", LARDER_OPTION_TEXT, NULL, LARDER_OPTION_IDENTITY, "URL of the place that has it all, too"},
    {0},
};
const struct larder_backend replica = {
    .size = sizeof(struct larder_backend),
    .protocol = "replica",
    .kind = LARDER_TASKS,
    .options = options,
    .open = replica_open,
    .close = replica_close,
    .info = replica_info,
    .list = replica_list,
    .read = replica_read,
    .write = replica_write,
    .remove = replica_remove,
    .mkdir = replica_mkdir,
    .rmdir = replica_rmdir,
};
