/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls on one path: each is one call of the table. */
#include <assert.h>
#include <errno.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"

/* ---- what is there ---- */

static int ask(struct larder_fs *fs, const char *path, const struct terms *terms, struct answer *out)
{
    struct layer_call call = {LAYER_INFO, .terms = terms, .out = out};
    return enter_call(fs, path, &call);
}

int larder_info(struct larder_fs *fs, const char *path, struct larder_info *out)
{
    struct answer answer = {0};
    int rc = ask(fs, path, &fs->terms, &answer);
    if (rc < 0)
        return rc;
    assert(rc == 0);
    answer.info.name = path;
    rc = info_copy(out, &answer.info);
    answer_free(&answer);
    return rc;
}

/* The type, 0 for what is missing, or a failure. A file in the way of a path means that nothing is there. */
static int type_of(struct larder_fs *fs, const char *path, const struct terms *terms)
{
    struct answer answer = {0};
    int rc = ask(fs, path, terms, &answer);
    if (rc == -ENOENT || rc == -ENOTDIR) {
        error_clear();
        return 0;
    }
    if (rc < 0)
        return rc;
    rc = (int)answer.info.type;
    answer_free(&answer);
    return rc;
}

static int is_type(int type, enum larder_type wanted)
{
    return type < 0 ? type : type == (int)wanted;
}

int larder_exists(struct larder_fs *fs, const char *path)
{
    int type = type_of(fs, path, &fs->terms);
    return type < 0 ? type : type > 0;
}

int larder_lexists(struct larder_fs *fs, const char *path)
{
    struct terms terms = fs->terms;
    terms.no_follow = true;
    int type = type_of(fs, path, &terms);
    return type < 0 ? type : type > 0;
}

int larder_isfile(struct larder_fs *fs, const char *path)
{
    return is_type(type_of(fs, path, &fs->terms), LARDER_FILE);
}

int larder_isdir(struct larder_fs *fs, const char *path)
{
    return is_type(type_of(fs, path, &fs->terms), LARDER_DIRECTORY);
}

/* ---- bytes ---- */

static int read_into(struct larder_fs *fs, const char *path, const struct larder_range *range,
                     struct sink *sink)
{
    struct layer_call call = {LAYER_READ, .range = range, .sink = sink};
    return enter_call(fs, path, &call);
}

int larder_cat_file(struct larder_fs *fs, const char *path, const struct larder_range *range,
                    struct larder_bytes *out)
{
    struct bytes_sink sink;
    bytes_sink_init(&sink);
    int rc = read_into(fs, path, range, &sink.sink);
    if (rc == 0)
        *out = bytes_sink_take(&sink);
    bytes_sink_fini(&sink);
    return rc;
}

int larder_head(struct larder_fs *fs, const char *path, size_t size, struct larder_bytes *out)
{
    struct larder_range range = {0, size < INT64_MAX ? (int64_t)size : LARDER_TO_END};
    return larder_cat_file(fs, path, &range, out);
}

/* The last 0 bytes are none, where -0 would be the start. */
int larder_tail(struct larder_fs *fs, const char *path, size_t size, struct larder_bytes *out)
{
    struct larder_range range = {size < INT64_MAX ? -(int64_t)size : -INT64_MAX,
                                 size > 0 ? LARDER_TO_END : 0};
    return larder_cat_file(fs, path, &range, out);
}

int64_t larder_cat_into(struct larder_fs *fs, const char *path, const struct larder_range *range,
                        void *buffer, size_t size)
{
    struct span_sink sink;
    span_sink_init(&sink, buffer, size);
    int rc = read_into(fs, path, range, &sink.sink);
    return rc < 0 ? rc : (int64_t)sink.size;
}

static int make_parents(struct larder_fs *fs, const char *path, unsigned flags)
{
    autofree char *parent = mem_dup_n(path, path_parent_size(path));
    return parent ? enter_makedirs(fs, parent, true, flags) : fail_memory();
}

static int write_once(struct larder_fs *fs, const char *path, struct source *source, unsigned flags,
                      const char *version)
{
    struct layer_call call = {LAYER_WRITE, .source = source, .flags = flags & ~(unsigned)LARDER_PARENTS,
                              .if_match = version};
    return enter_call(fs, path, &call);
}

static int write_bytes(struct larder_fs *fs, const char *path, const void *data, size_t size, unsigned flags,
                       const char *version)
{
    struct source source;
    if (flags & ~(unsigned)WRITE_FLAGS)
        return fail(-EINVAL, "%s: unknown flags", path);
    int rc = source_of(&source, path, data, size);
    if (rc < 0)
        return rc;
    source.labels = &fs->labels;
    rc = write_once(fs, path, &source, flags, version);
    if (!dirs_are_missing(fs->instance, rc, flags))
        return rc;
    rc = make_parents(fs, path, flags);
    return rc < 0 ? rc : write_once(fs, path, &source, flags, version);
}

int larder_pipe_file(struct larder_fs *fs, const char *path, const void *data, size_t size, unsigned flags)
{
    return write_bytes(fs, path, data, size, flags, NULL);
}

int larder_replace_file(struct larder_fs *fs, const char *path, const void *data, size_t size,
                        const char *version, unsigned flags)
{
    if (!version)
        return fail(-EINVAL, "%s: no version to replace", path);
    return write_bytes(fs, path, data, size, flags, version);
}

/* A place that has no touch can still make what is missing. */
static int touch(struct larder_fs *fs, const char *path)
{
    struct layer_call call = {LAYER_TOUCH};
    int rc = enter_call(fs, path, &call);
    if (rc != -ENOTSUP)
        return rc;
    int exists = larder_exists(fs, path);
    if (exists < 0)
        return exists;
    return exists ? fail(rc, "%s: this place cannot set the time of a file", path) : -ENOENT;
}

int larder_touch(struct larder_fs *fs, const char *path, bool truncate)
{
    if (truncate)
        return larder_pipe_file(fs, path, NULL, 0, 0);
    int rc = touch(fs, path);
    if (rc != -ENOENT)
        return rc;
    rc = larder_pipe_file(fs, path, NULL, 0, LARDER_CREATE);
    return rc == -EEXIST ? touch(fs, path) : rc; /* made by another meanwhile */
}

int larder_rm_file(struct larder_fs *fs, const char *path)
{
    autofree char *full = NULL;
    int status = 0;
    int rc = path_resolve(fs->root, path, &full, NULL);
    if (rc < 0)
        return rc;
    const char *paths[] = {full};
    struct layer_call call = {LAYER_REMOVE, .paths = paths, .count = 1, .status = &status};
    rc = enter_call(fs, path, &call);
    return rc < 0 ? rc : error_finish(status, path);
}

/* ---- directories ---- */

int larder_mkdir(struct larder_fs *fs, const char *path, bool parents)
{
    struct layer_call call = {LAYER_MKDIR};
    int rc = enter_call(fs, path, &call);
    if (rc != -ENOENT || !parents)
        return rc;
    rc = make_parents(fs, path, 0);
    return rc < 0 ? rc : larder_mkdir(fs, path, false);
}

int larder_rmdir(struct larder_fs *fs, const char *path)
{
    struct layer_call call = {LAYER_RMDIR};
    return enter_call(fs, path, &call);
}
