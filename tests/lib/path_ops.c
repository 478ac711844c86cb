/* SPDX-License-Identifier: Apache-2.0 */
#include "path_ops.h"

#include <stdio.h>
#include <string.h>

#include "larder/facts.h"

/* ---- reading ---- */

static int info(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_info info = {0};
    int rc = larder_info(fs, path, &info);
    larder_info_free(&info);
    return rc;
}

static int size(struct larder_fs *fs, const char *path, const char *disk)
{
    int64_t bytes;
    return larder_size(fs, path, &bytes);
}

static int sizes(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_item item = {.path = path};
    int64_t bytes;
    return larder_sizes(fs, &item, 1, &bytes, NULL);
}

static int modified(struct larder_fs *fs, const char *path, const char *disk)
{
    int64_t time;
    return larder_modified(fs, path, &time);
}

static int give_text(int rc, char *text)
{
    larder_free(text);
    return rc;
}

static int ukey(struct larder_fs *fs, const char *path, const char *disk)
{
    char *text = NULL;
    int rc = larder_ukey(fs, path, &text);
    return give_text(rc, text);
}

static int checksum(struct larder_fs *fs, const char *path, const char *disk)
{
    char *text = NULL;
    int rc = larder_checksum(fs, path, NULL, &text);
    return give_text(rc, text);
}

static int give_bytes(int rc, struct larder_bytes *bytes)
{
    larder_bytes_free(bytes);
    return rc;
}

static int cat_file(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, path, NULL, &bytes);
    return give_bytes(rc, &bytes);
}

static int cat_range(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, path, &(struct larder_range){1, 3}, &bytes);
    return give_bytes(rc, &bytes);
}

static int head(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_bytes bytes = {0};
    int rc = larder_head(fs, path, 2, &bytes);
    return give_bytes(rc, &bytes);
}

static int tail(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_bytes bytes = {0};
    int rc = larder_tail(fs, path, 2, &bytes);
    return give_bytes(rc, &bytes);
}

static int read_block(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_bytes bytes = {0};
    int rc = larder_read_block(fs, path, 0, 1, "\n", 1, &bytes);
    return give_bytes(rc, &bytes);
}

static int cat_into(struct larder_fs *fs, const char *path, const char *disk)
{
    char buffer[64];
    int64_t count = larder_cat_into(fs, path, NULL, buffer, sizeof buffer);
    return count < 0 ? (int)count : 0;
}

static int take(void *arg, const void *data, size_t count)
{
    return 0;
}

static int cat_to(struct larder_fs *fs, const char *path, const char *disk)
{
    int64_t count = larder_cat_to(fs, path, NULL, take, NULL);
    return count < 0 ? (int)count : 0;
}

static int cat(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_item item = {.path = path};
    int rc = larder_cat(fs, &item, 1, NULL);
    return give_bytes(rc, &item.bytes);
}

static int cat_ranges(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_range range = {0, 2};
    struct larder_item item = {.path = path, .range = &range};
    int rc = larder_cat_ranges(fs, &item, 1, NULL);
    return give_bytes(rc, &item.bytes);
}

static int open_file(struct larder_fs *fs, const char *path, const char *mode, const char *option)
{
    const char *const options[] = {option, NULL};
    struct larder_file *file = NULL;
    int rc = larder_file_open(fs, path, mode, options, &file);
    if (rc < 0)
        return rc;
    if (*mode != 'r')
        rc = larder_file_write(file, "x", 1);
    int closed = larder_file_close(file);
    return rc < 0 ? rc : closed;
}

static int open_to_read(struct larder_fs *fs, const char *path, const char *disk)
{
    return open_file(fs, path, "r", NULL);
}

static int open_unbuffered(struct larder_fs *fs, const char *path, const char *disk)
{
    return open_file(fs, path, "r", "strategy=none");
}

static int get_file(struct larder_fs *fs, const char *path, const char *disk)
{
    char local[1024];
    snprintf(local, sizeof local, "%s/got", disk);
    return larder_get_file(fs, path, local, 0, NULL, NULL);
}

static int get(struct larder_fs *fs, const char *path, const char *disk)
{
    char local[1024];
    snprintf(local, sizeof local, "%s/got", disk);
    return larder_get(fs, &path, 1, local, NULL);
}

static int cp_file_from(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_fs *to;
    int rc = larder_open(NULL, "memory://path-ops", NULL, &to, NULL);
    if (rc < 0)
        return rc;
    rc = larder_cp_file(fs, path, to, "got", LARDER_PARENTS, NULL, NULL);
    larder_fs_free(to);
    return rc;
}

/* ---- listings ---- */

static int give_entries(int rc, struct larder_entries *entries)
{
    larder_entries_free(entries);
    return rc;
}

static int ls(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_entries entries = {0};
    int rc = larder_ls(fs, path, &entries);
    return give_entries(rc, &entries);
}

static int find(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_entries entries = {0};
    int rc = larder_find(fs, path, NULL, &entries);
    return give_entries(rc, &entries);
}

static int du(struct larder_fs *fs, const char *path, const char *disk)
{
    int64_t bytes = larder_du(fs, path, NULL);
    return bytes < 0 ? (int)bytes : 0;
}

static int expand_path(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_expand_options options = {.size = sizeof options, .recursive = true};
    struct larder_entries entries = {0};
    int rc = larder_expand_path(fs, &path, 1, &options, &entries);
    return give_entries(rc, &entries);
}

/* ---- writing ---- */

static int pipe_file(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_pipe_file(fs, path, "x", 1, 0);
}

static int create(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_pipe_file(fs, path, "x", 1, LARDER_CREATE);
}

static int pipe_with_parents(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_pipe_file(fs, path, "x", 1, LARDER_PARENTS);
}

static int pipe_many(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_item item = {.path = path, .bytes = {.data = "x", .size = 1}};
    return larder_pipe(fs, &item, 1, 0, NULL);
}

static int replace_file(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_replace_file(fs, path, "x", 1, "\"another\"", 0);
}

static int touch(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_touch(fs, path, true);
}

static int rm_file(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_rm_file(fs, path);
}

static int rm_files(struct larder_fs *fs, const char *path, const char *disk)
{
    struct larder_item item = {.path = path};
    return larder_rm_files(fs, &item, 1, NULL);
}

static int rm(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_rm(fs, path, false);
}

static int rm_tree(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_rm(fs, path, true);
}

static int mkdir(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_mkdir(fs, path, false);
}

static int makedirs(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_makedirs(fs, path, false);
}

static int makedirs_exist_ok(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_makedirs(fs, path, true);
}

static int rmdir(struct larder_fs *fs, const char *path, const char *disk)
{
    return larder_rmdir(fs, path);
}

static int put_file(struct larder_fs *fs, const char *path, const char *disk)
{
    char local[1024];
    snprintf(local, sizeof local, "%s/given", disk);
    return larder_put_file(local, fs, path, 0, NULL, NULL);
}

static int mv_from(struct larder_fs *fs, const char *path, const char *disk)
{
    char target[1024];
    const char *slash = strrchr(path, '/');
    snprintf(target, sizeof target, "%s.moved", slash ? slash + 1 : path);
    return larder_mv(fs, &path, 1, fs, target, NULL);
}

static int open_to_write(struct larder_fs *fs, const char *path, const char *disk)
{
    return open_file(fs, path, "w", NULL);
}

static int open_to_create(struct larder_fs *fs, const char *path, const char *disk)
{
    return open_file(fs, path, "x", NULL);
}

static int open_to_append(struct larder_fs *fs, const char *path, const char *disk)
{
    return open_file(fs, path, "a", NULL);
}

static int sign(struct larder_fs *fs, const char *path, const char *disk)
{
    char *url = NULL;
    int rc = larder_sign(fs, path, 60, &url);
    return give_text(rc, url);
}

const struct path_op path_ops[] = {
    {"info", PATH_READS, info},
    {"size", PATH_READS, size},
    {"sizes", PATH_READS, sizes},
    {"modified", PATH_READS, modified},
    {"ukey", PATH_READS, ukey},
    {"checksum", PATH_READS, checksum},
    {"cat_file", PATH_READS, cat_file},
    {"cat_file of a range", PATH_READS, cat_range},
    {"cat_into", PATH_READS, cat_into},
    {"cat_to", PATH_READS, cat_to},
    {"cat", PATH_READS, cat},
    {"cat_ranges", PATH_READS, cat_ranges},
    {"head", PATH_READS, head},
    {"tail", PATH_READS, tail},
    {"read_block", PATH_READS, read_block},
    {"open r", PATH_READS, open_to_read},
    {"open r, unbuffered", PATH_READS, open_unbuffered},
    {"get_file", PATH_READS, get_file},
    {"get", PATH_READS, get},
    {"cp_file from", PATH_READS, cp_file_from},
    {"ls", PATH_LISTS, ls},
    {"find", PATH_LISTS, find},
    {"du", PATH_LISTS, du},
    {"expand_path", PATH_LISTS, expand_path},
    {"pipe_file", PATH_WRITES, pipe_file},
    {"pipe_file, create", PATH_WRITES, create},
    {"pipe_file, parents", PATH_WRITES, pipe_with_parents},
    {"pipe", PATH_WRITES, pipe_many},
    {"replace_file", PATH_WRITES, replace_file},
    {"touch", PATH_WRITES, touch},
    {"rm_file", PATH_WRITES, rm_file},
    {"rm_files", PATH_WRITES, rm_files},
    {"rm", PATH_WRITES, rm},
    {"rm of a tree", PATH_WRITES, rm_tree},
    {"mkdir", PATH_WRITES, mkdir},
    {"makedirs", PATH_WRITES, makedirs},
    {"makedirs, exist_ok", PATH_WRITES, makedirs_exist_ok},
    {"rmdir", PATH_WRITES, rmdir},
    {"put_file", PATH_WRITES, put_file},
    {"mv", PATH_WRITES, mv_from},
    {"open w", PATH_WRITES, open_to_write},
    {"open x", PATH_WRITES, open_to_create},
    {"open a", PATH_WRITES, open_to_append},
    {"sign", PATH_SIGNS, sign},
    {0},
};

const struct path_op *path_op_find(const char *name)
{
    for (const struct path_op *op = path_ops; op->name; op++)
        if (strcmp(op->name, name) == 0)
            return op;
    return NULL;
}
