/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file:///PATH, local:///PATH and plain paths: files of this machine. The place is "/"; a relative path is resolved
 * against the working directory when it is opened.
 *
 * A file is replaced by a rename of a temporary file in the same directory, so a reader sees the old bytes or the new,
 * and a crash leaves at worst a ".larder-…" name, which listings leave out and rmdir sweeps away.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/backends.h"
#include "backends/local_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

int local_name(const char *path, char **out)
{
    *out = mem_format("/%s", path);
    return *out ? 0 : fail_memory();
}

void local_describe(const struct stat *st, char version[LOCAL_VERSION_SIZE], struct answer *out)
{
    int64_t mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    *out = (struct answer){.fresh_ms = 0, .stale_if_error_ms = -1};
    out->info.mtime_ns = mtime_ns;
    out->info.type = S_ISREG(st->st_mode)   ? LARDER_FILE
                     : S_ISDIR(st->st_mode) ? LARDER_DIRECTORY
                                            : LARDER_OTHER;
    out->info.size = out->info.type == LARDER_DIRECTORY ? 0 : (int64_t)st->st_size;
    if (out->info.type != LARDER_FILE)
        return;
    snprintf(version, LOCAL_VERSION_SIZE, "%llx-%llx-%llx-%llx", (unsigned long long)st->st_ino,
             (unsigned long long)st->st_size, (unsigned long long)mtime_ns,
             (unsigned long long)((int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec));
    out->info.version = out->validator = version;
}

static int check_terms(const struct answer *answer, const struct terms *terms, const char *name)
{
    const char *version = answer->info.version ? answer->info.version : "";
    if (terms->if_match && strcmp(terms->if_match, version) != 0)
        return fail(-ESTALE, "%s: it changed", name);
    return terms->if_none_match && strcmp(terms->if_none_match, version) == 0 ? UNCHANGED : 0;
}

int local_go_on(const char *name)
{
    return work_check() < 0 ? fail(-ECANCELED, "%s: cancelled", name) : 0;
}

/* ---- reading ---- */

/* Where the file system keeps it; 0: it does not. */
static int64_t born_ns(const char *name, bool no_follow)
{
    struct statx st;
    if (statx(AT_FDCWD, name, no_follow ? AT_SYMLINK_NOFOLLOW : 0, STATX_BTIME, &st) < 0 ||
        !(st.stx_mask & STATX_BTIME))
        return 0;
    return st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
}

static int local_info(struct instance *instance, const char *path, const struct terms *terms,
                      struct answer *out)
{
    autofree char *name = NULL;
    char version[LOCAL_VERSION_SIZE];
    struct answer answer;
    struct stat st;
    int rc = local_name(path, &name);
    if (rc < 0)
        return rc;
    if ((terms->no_follow ? file_seam.lstat : file_seam.stat)(name, &st) < 0)
        return fail_errno(errno, "%s", name);
    local_describe(&st, version, &answer);
    answer.info.created_ns = born_ns(name, terms->no_follow);
    int told = check_terms(&answer, terms, name);
    rc = told < 0 ? told : answer_copy(out, &answer);
    return rc < 0 ? rc : told;
}

static int send_bytes(int fd, const char *name, int64_t start, int64_t count, struct sink *sink)
{
    while (count > 0) {
        void *room;
        size_t size;
        int rc = local_go_on(name);
        if (rc == 0)
            rc = sink->room(sink, (size_t)count, &room, &size);
        if (rc < 0)
            return rc;
        if ((uint64_t)count < size)
            size = (size_t)count;
        if (size > LOCAL_PIECE)
            size = LOCAL_PIECE;
        int64_t got = file_read(fd, room, size, start);
        if (got < 0)
            return fail_errno((int)-got, "%s", name);
        if (got == 0)
            return fail(-ESTALE, "%s: it became shorter while it was read", name);
        rc = sink->fill(sink, (size_t)got);
        if (rc < 0)
            return rc;
        start += got;
        count -= got;
    }
    return 0;
}

static int read_open(int fd, const char *name, const struct larder_range *range, const struct terms *terms,
                     struct sink *sink, struct answer *out)
{
    char version[LOCAL_VERSION_SIZE];
    struct answer answer;
    struct stat st;
    int64_t start, count;
    if (file_seam.fstat(fd, &st) < 0)
        return fail_errno(errno, "%s", name);
    if (S_ISDIR(st.st_mode))
        return fail(-EISDIR, "%s: a directory", name);
    if (!S_ISREG(st.st_mode))
        return fail(-ENOTSUP, "%s: not a regular file", name);
    local_describe(&st, version, &answer);
    int told = check_terms(&answer, terms, name);
    range_resolve(range, st.st_size, &start, &count);
    int rc = told;
    if (told == 0)
        rc = sink_begin_now(sink, &answer, count);
    if (told == 0 && rc == 0)
        rc = send_bytes(fd, name, start, count, sink);
    if (rc >= 0 && out && answer_copy(out, &answer) < 0)
        return -ENOMEM;
    return rc < 0 ? rc : told;
}

int local_read_file(const char *name, const struct larder_range *range, const struct terms *terms,
                    struct sink *sink, struct answer *out)
{
    /* O_NONBLOCK: a fifo that nobody writes must not hold the call for ever. */
    int fd = file_seam.open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(errno, "%s", name);
    int rc = read_open(fd, name, range, terms, sink, out);
    file_seam.close(fd);
    return rc;
}

static int local_read(struct instance *instance, const char *path, const struct larder_range *range,
                      const struct terms *terms, struct sink *sink, struct answer *out)
{
    autofree char *name = NULL;
    int rc = local_name(path, &name);
    return rc < 0 ? rc : local_read_file(name, range, terms, sink, out);
}

/* ---- listing ---- */

bool local_is_hidden(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || path_is_temporary(name);
}

/* Is the directory `st`, which the link `name` leads to, one of those on the way to the link? */
static bool leads_back(char *name, const struct stat *st)
{
    bool back = false;
    for (char *slash = strchr(name, '/'); slash && !back; slash = strchr(slash + 1, '/')) {
        struct stat above;
        char after = slash[1];
        slash[1] = 0;
        back = file_seam.stat(name, &above) == 0 && above.st_dev == st->st_dev && above.st_ino == st->st_ino;
        slash[1] = after;
    }
    return back;
}

/* What a link is: what it leads to. One that leads nowhere, or back up, where a tree would have no end, is itself. */
static int follow(int dir, const char *dir_name, const char *name, struct stat *st)
{
    struct stat target;
    autofree char *full = mem_format("%s/%s", dir_name, name);
    if (!full)
        return fail_memory();
    int rc = file_seam.fstatat(dir, name, &target, 0);
    if (rc < 0 && errno != ENOENT && errno != ELOOP)
        return fail_errno(errno, "%s", full);
    if (rc == 0 && !(S_ISDIR(target.st_mode) && leads_back(full, &target)))
        *st = target;
    return 0;
}

/* The type of an entry, if reading the directory told it and it is not that of a link. */
static enum larder_type type_told(const struct dirent *entry)
{
    switch (entry->d_type) {
    case DT_REG:
        return LARDER_FILE;
    case DT_DIR:
        return LARDER_DIRECTORY;
    case DT_UNKNOWN: /* of file systems that do not tell */
    case DT_LNK:
        return 0;
    default:
        return LARDER_OTHER;
    }
}

static int add_entry(DIR *dir, const char *dir_name, const struct dirent *entry, bool names_only,
                     struct entries_builder *builder)
{
    struct larder_info told = {.name = entry->d_name, .type = type_told(entry)};
    char version[LOCAL_VERSION_SIZE];
    struct answer answer;
    struct stat st;
    if (names_only && told.type) {
        told.size = told.type == LARDER_FILE ? LARDER_SIZE_UNKNOWN : 0;
        return entries_add(builder, &told);
    }
    if (file_seam.fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail_errno(errno, "%s/%s", dir_name, entry->d_name); /* gone meanwhile */
    int rc = S_ISLNK(st.st_mode) ? follow(dirfd(dir), dir_name, entry->d_name, &st) : 0;
    if (rc < 0)
        return rc;
    local_describe(&st, version, &answer);
    answer.info.name = entry->d_name;
    return entries_add(builder, &answer.info);
}

static void free_dir(void *state)
{
    file_seam.closedir(state);
}

static int list_some(const char *name, bool names_only, struct cursor *cursor,
                     struct entries_builder *builder)
{
    while (builder->count < PAGE_ENTRIES) {
        errno = 0;
        struct dirent *entry = file_seam.readdir(cursor->state);
        if (!entry && errno)
            return fail_errno(errno, "%s", name);
        if (!entry) {
            cursor->end = true;
            return 0;
        }
        int rc = 0;
        if (!local_is_hidden(entry->d_name))
            rc = add_entry(cursor->state, name, entry, names_only, builder);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int local_list(struct instance *instance, const char *path, const struct terms *terms,
                      struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct entries_builder builder = {0};
    autofree char *name = NULL;
    int rc = local_name(path, &name);
    if (rc < 0)
        return rc;
    if (!cursor->state) {
        cursor->state = file_seam.opendir(name);
        if (!cursor->state)
            return fail_errno(errno, "%s", name);
        cursor->free_state = free_dir;
    }
    rc = list_some(name, terms->names_only, cursor, &builder);
    if (rc < 0) {
        entries_discard(&builder);
        return rc;
    }
    entries_finish(&builder, page);
    *out = (struct answer){.fresh_ms = 0, .stale_if_error_ms = -1};
    out->info.type = LARDER_DIRECTORY;
    return 0;
}

/* ---- the table ---- */

/* The absolute path of what was typed; `relative` gets the working directory in front, and "." and ".." are taken out
 * as text. */
static int absolute_path(const char *typed, char **out)
{
    autofree char *cwd = NULL, *text = NULL, *clean = NULL;
    if (*typed != '/' && !(cwd = mem_alloc(PATH_MAX)))
        return fail_memory();
    if (cwd && !getcwd(cwd, PATH_MAX))
        return fail_errno(errno, "the working directory");
    text = cwd ? mem_format("%s/%s", cwd, typed) : mem_dup(typed);
    clean = text ? mem_zero(strlen(text) + 1) : NULL;
    if (!clean)
        return fail_memory();
    size_t size = 0;
    for (const char *at = text; *at;) {
        size_t segment = strcspn(at, "/");
        if (segment == 2 && strncmp(at, "..", 2) == 0) {
            size = path_parent_size(clean);
            clean[size] = 0;
        } else if (segment > 0 && !(segment == 1 && *at == '.')) {
            if (size > 0)
                clean[size++] = '/';
            memcpy(clean + size, at, segment);
            size += segment;
            clean[size] = 0;
        }
        at += segment + (at[segment] == '/');
    }
    *out = take(clean);
    return 0;
}

static const char *after_protocol(const char *url)
{
    const char *const prefixes[] = {"file://localhost/", "file://", "local://"};
    for (size_t i = 0; i < 3; i++) {
        size_t size = strlen(prefixes[i]);
        if (strncasecmp(url, prefixes[i], size) == 0)
            return url + size - (prefixes[i][size - 2] == 't' && i == 0);
    }
    return url;
}

static int local_locate(const struct backend *backend, const char *url, char **values, char **place,
                        char **path)
{
    const char *typed = after_protocol(url);
    if (typed != url && *typed != '/')
        return fail(-EINVAL, "a file URL has an absolute path: file:///PATH");
    autofree char *absolute = NULL;
    int rc = absolute_path(typed, &absolute);
    return rc < 0 ? rc : place_is_all(absolute, place, path);
}

static int local_open(struct instance *instance)
{
    instance->can = (struct larder_capabilities){.list = true,
                                                 .write = true,
                                                 .create_only = true,
                                                 .real_directories = true,
                                                 .parents_required = true,
                                                 .persistent = true,
                                                 .remove_count_max = 1,
                                                 .links = true,
                                                 .copy = true,
                                                 .touch = true,
                                                 .stage = true,
                                                 .part_size_min = 1,
                                                 .part_size_max = INT64_MAX};
    instance->identity = mem_dup("file:");
    return instance->identity ? 0 : fail_memory();
}

static char *local_url(struct instance *instance, const char *path)
{
    return mem_format("file:///%s", path);
}

static const struct option options[] = {
    {"sync", OPTION_BOOL, "false", 0, "fsync a file and its directory before a write returns"},
    {0},
};
static const char *const protocols[] = {"file", "local", NULL};

const struct backend local_backend = {
    .name = "local",
    .protocols = protocols,
    .kind = BLOCKING,
    .size = sizeof(struct instance),
    .options = options,
    .locate = local_locate,
    .open = local_open,
    .url = local_url,
    .info = local_info,
    .list = local_list,
    .read = local_read,
    .write = local_write,
    .remove = local_remove,
    .mkdir = local_mkdir,
    .rmdir = local_rmdir,
    .touch = local_touch,
    .copy = local_copy,
    .move = local_move,
    .stage = local_stage,
    .stage_part = local_stage_part,
    .publish = local_publish,
    .discard = local_discard,
    .sweep = local_sweep,
    .read_staged = local_read_staged,
    .names_writes = true,
    .sync = local_sync,
};
