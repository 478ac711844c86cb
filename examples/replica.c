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
#include <string.h>

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

static void tell(const struct larder_info *info, struct larder_facts *out)
{
    *out = (struct larder_facts){.type = info->type,
                                 .size = info->size,
                                 .mtime_ns = info->mtime_ns,
                                 .created_ns = info->created_ns};
    if (info->version && strlen(info->version) < sizeof out->version)
        strcpy(out->version, info->version);
}

static int ask(struct larder_fs *fs, const char *path, struct larder_facts *out)
{
    struct larder_info info;
    int rc = larder_info(fs, path, &info);
    if (rc < 0)
        return rc;
    tell(&info, out);
    larder_info_free(&info);
    return 0;
}

static int replica_info(void *state, const char *path, struct larder_facts *out)
{
    const struct replicas *both = state;
    int rc = ask(both->first, path, out);
    return is_down(rc) ? ask(both->second, path, out) : rc;
}

static int put_on(void *arg, const void *data, size_t size)
{
    return larder_reading_put(arg, data, size);
}

/* Asks before and after, so that the bytes are those of the version that was told. */
static int read_from(struct larder_fs *fs, const char *path, struct larder_reading *reading)
{
    struct larder_facts before, after;
    int64_t start, count;
    int rc = ask(fs, path, &before);
    if (rc == 0)
        rc = larder_reading_begin(reading, &before, &start, &count);
    if (rc != 0 || count == 0)
        return rc;
    struct larder_range range = {start, count < 0 ? LARDER_TO_END : start + count};
    int64_t got = larder_cat_to(fs, path, &range, put_on, reading);
    rc = got < 0 ? (int)got : ask(fs, path, &after);
    if (rc == 0 && strcmp(before.version, after.version) != 0)
        rc = larder_fail(-ESTALE, "replica: %s: it changed while it was read", path);
    return rc;
}

static int replica_read(void *state, const char *path, struct larder_reading *reading)
{
    const struct replicas *both = state;
    int rc = read_from(both->first, path, reading);
    return is_down(rc) ? read_from(both->second, path, reading) : rc;
}

static int replica_list(void *state, const char *path, struct larder_page *page)
{
    const struct replicas *both = state;
    struct larder_entries entries;
    struct larder_facts facts;
    int rc = ask(both->first, path, &facts);
    struct larder_fs *fs = is_down(rc) ? both->second : both->first;
    if (fs == both->second)
        rc = ask(fs, path, &facts);
    if (rc == 0 && facts.type != LARDER_DIRECTORY)
        rc = larder_fail(-ENOTDIR, "replica: %s: a file", path);
    if (rc == 0)
        rc = larder_ls(fs, path, &entries);
    if (rc < 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < entries.count; i++) {
        tell(&entries.info[i], &facts);
        rc = larder_page_add(page, entries.info[i].name, &facts);
    }
    larder_entries_free(&entries);
    return rc;
}

/* ---- writing: the first decides ---- */

/* All bytes in memory: what comes in pieces has to go to two places. */
static int take_all(struct larder_writing *writing, void **data, size_t *size)
{
    size_t capacity = 0;
    int64_t got = 1;
    for (*data = NULL, *size = 0; got > 0; *size += got > 0 ? (size_t)got : 0) {
        if (capacity - *size < 1 << 20) {
            void *larger = realloc(*data, capacity = capacity * 2 + (1 << 20));
            if (!larger)
                return larder_fail(-ENOMEM, "out of memory");
            *data = larger;
        }
        got = larder_writing_read(writing, (char *)*data + *size, capacity - *size);
    }
    return (int)got;
}

static int write_both(const struct replicas *both, const char *path, const void *data, size_t size,
                      const struct larder_how *how)
{
    int rc = how->if_match ? larder_replace_file(both->first, path, data, size, how->if_match, how->flags)
                           : larder_pipe_file(both->first, path, data, size, how->flags);
    unsigned flags = (how->flags & ~(unsigned)LARDER_CREATE) | LARDER_PARENTS;
    return rc < 0 ? rc : larder_pipe_file(both->second, path, data, size, flags);
}

static int replica_write(void *state, const char *path, struct larder_writing *writing,
                         const struct larder_how *how, struct larder_facts *now)
{
    const struct replicas *both = state;
    void *taken = NULL;
    int64_t known;
    size_t size = 0;
    const void *data = larder_writing_data(writing, &known);
    int rc = data ? 0 : take_all(writing, &taken, &size);
    if (rc == 0)
        rc = write_both(both, path, data ? data : taken, data ? (size_t)known : size, how);
    free(taken);
    return rc < 0 ? rc : ask(both->first, path, now);
}

/* What the second lacks is done there. */
static int settle(int rc, int second)
{
    return rc < 0 || second == -ENOENT || second == -EEXIST ? rc : second;
}

static int replica_remove(void *state, const char *path)
{
    const struct replicas *both = state;
    int rc = larder_rm_file(both->first, path);
    return rc < 0 ? rc : settle(rc, larder_rm_file(both->second, path));
}

static int replica_mkdir(void *state, const char *path)
{
    const struct replicas *both = state;
    int rc = larder_mkdir(both->first, path, false);
    return rc < 0 ? rc : settle(rc, larder_mkdir(both->second, path, true));
}

static int replica_rmdir(void *state, const char *path)
{
    const struct replicas *both = state;
    int rc = larder_rmdir(both->first, path);
    return rc < 0 ? rc : settle(rc, larder_rmdir(both->second, path));
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
