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
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

#define TEMPORARY_PREFIX ".larder-"

static int full_name(const char *path, char **out)
{
    *out = mem_format("/%s", path);
    return *out ? 0 : fail_memory();
}

#define VERSION_SIZE 96
/* What changes when the bytes do, as far as a file system tells. */
static void describe(const struct stat *st, char version[VERSION_SIZE], struct answer *out)
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
    snprintf(version, VERSION_SIZE, "%llx-%llx-%llx-%llx", (unsigned long long)st->st_ino,
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

/* ---- reading ---- */

static int local_info(struct instance *instance, const char *path, const struct terms *terms,
                      struct answer *out)
{
    autofree char *name = NULL;
    char version[VERSION_SIZE];
    struct answer answer;
    struct stat st;
    int rc = full_name(path, &name);
    if (rc < 0)
        return rc;
    if (file_seam.stat(name, &st) < 0)
        return fail_errno(errno, "%s", name);
    describe(&st, version, &answer);
    int told = check_terms(&answer, terms, name);
    rc = told < 0 ? told : answer_copy(out, &answer);
    return rc < 0 ? rc : told;
}

static int send_bytes(int fd, const char *name, int64_t start, int64_t count, struct sink *sink)
{
    while (count > 0) {
        void *room;
        size_t size;
        int rc = sink->room(sink, (size_t)count, &room, &size);
        if (rc < 0)
            return rc;
        if ((uint64_t)count < size)
            size = (size_t)count;
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
    char version[VERSION_SIZE];
    struct answer answer;
    struct stat st;
    int64_t start, count;
    if (file_seam.fstat(fd, &st) < 0)
        return fail_errno(errno, "%s", name);
    if (S_ISDIR(st.st_mode))
        return fail(-EISDIR, "%s: a directory", name);
    if (!S_ISREG(st.st_mode))
        return fail(-ENOTSUP, "%s: not a regular file", name);
    describe(&st, version, &answer);
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

static int local_read(struct instance *instance, const char *path, const struct larder_range *range,
                      const struct terms *terms, struct sink *sink, struct answer *out)
{
    autofree char *name = NULL;
    int rc = full_name(path, &name);
    if (rc < 0)
        return rc;
    /* O_NONBLOCK: a fifo that nobody writes must not hold the call for ever. */
    int fd = file_seam.open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    if (fd < 0)
        return fail_errno(errno, "%s", name);
    rc = read_open(fd, name, range, terms, sink, out);
    file_seam.close(fd);
    return rc;
}

/* ---- listing ---- */

/* Exactly such names as local_write makes: all others are the user's. */
static bool is_temporary(const char *name)
{
    size_t prefix = strlen(TEMPORARY_PREFIX);
    return strncmp(name, TEMPORARY_PREFIX, prefix) == 0 && strlen(name) == prefix + 16 &&
           strspn(name + prefix, "0123456789abcdef") == 16;
}

static bool is_hidden(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || is_temporary(name);
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

/* Links are what they lead to. One that leads nowhere, or back up, where a tree would have no end, is LARDER_OTHER. */
static int add_entry(const char *dir, const struct dirent *entry, struct entries_builder *builder)
{
    autofree char *full = mem_format("%s/%s", dir, entry->d_name);
    bool link = entry->d_type == DT_LNK;
    char version[VERSION_SIZE];
    struct answer answer;
    struct stat st;
    if (!full)
        return fail_memory();
    int rc = file_seam.stat(full, &st);
    if (rc < 0 && errno != ENOENT && errno != ELOOP)
        return fail_errno(errno, "%s", full);
    if (rc < 0 && !link)
        return 0; /* gone meanwhile */
    if (rc < 0 || (link && S_ISDIR(st.st_mode) && leads_back(full, &st)))
        st = (struct stat){.st_mode = S_IFLNK};
    describe(&st, version, &answer);
    answer.info.name = entry->d_name;
    return entries_add(builder, &answer.info);
}

static void free_dir(void *state)
{
    file_seam.closedir(state);
}

static int list_some(const char *name, struct cursor *cursor, struct entries_builder *builder)
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
        int rc = is_hidden(entry->d_name) ? 0 : add_entry(name, entry, builder);
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
    int rc = full_name(path, &name);
    if (rc < 0)
        return rc;
    if (!cursor->state) {
        cursor->state = file_seam.opendir(name);
        if (!cursor->state)
            return fail_errno(errno, "%s", name);
        cursor->free_state = free_dir;
    }
    rc = list_some(name, cursor, &builder);
    if (rc < 0) {
        entries_discard(&builder);
        return rc;
    }
    entries_finish(&builder, page);
    *out = (struct answer){.fresh_ms = 0, .stale_if_error_ms = -1};
    out->info.type = LARDER_DIRECTORY;
    return 0;
}

/* ---- writing ---- */

static int copy_in(int fd, const char *name, struct source *source)
{
    char piece[1024];
    autofree char *buffer = source->data ? NULL : mem_alloc(1 << 18);
    int64_t at = 0;
    if (source->data) {
        int rc = file_write(fd, source->data, (size_t)source->size, 0);
        return rc < 0 ? fail_errno(-rc, "%s", name) : 0;
    }
    char *room = buffer ? buffer : piece;
    size_t room_size = buffer ? (size_t)1 << 18 : sizeof piece;
    for (;;) {
        int64_t got = source->read(source, room, room_size);
        if (got <= 0)
            return got < 0              ? (int)got
                   : at == source->size ? 0
                                        : fail(-EINVAL, "%s: the source ended early", name);
        int rc = file_write(fd, room, (size_t)got, at);
        if (rc < 0)
            return fail_errno(-rc, "%s", name);
        at += got;
    }
}

/* The temporary file gets its name: over what is there, or beside nothing. */
static int settle(const char *temporary, const char *name, unsigned flags)
{
    struct stat st;
    CRASH_POINT("local.before_rename");
    if (flags & LARDER_CREATE) {
        if (file_seam.link(temporary, name) < 0)
            return fail_errno(errno, "%s", name);
        file_seam.unlink(temporary);
        return 0;
    }
    if (file_seam.rename(temporary, name) == 0)
        return 0;
    int error = errno;
    if (file_seam.stat(name, &st) == 0 && S_ISDIR(st.st_mode))
        error = EISDIR;
    return fail_errno(error, "%s", name);
}

static int write_temporary(int fd, const char *temporary, const char *name, struct source *source,
                           unsigned flags, bool sync, struct stat *st)
{
    int rc = copy_in(fd, name, source);
    if (rc == 0 && sync && file_seam.fsync(fd) < 0)
        rc = fail_errno(errno, "%s", name);
    if (rc == 0)
        rc = settle(temporary, name, flags);
    if (rc == 0 && file_seam.fstat(fd, st) < 0)
        rc = fail_errno(errno, "%s", name);
    return rc;
}

/* A rename is on the disk when its directory is. */
static int sync_directory(const char *dir)
{
    int fd = file_seam.open(*dir ? dir : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(errno, "%s", dir);
    int rc = file_seam.fsync(fd) < 0 ? fail_errno(errno, "%s", dir) : 0;
    file_seam.close(fd);
    return rc;
}

static int local_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                       struct answer *out)
{
    autofree char *name = NULL, *dir = NULL, *temporary = NULL;
    char version[VERSION_SIZE];
    struct answer answer;
    struct stat st;
    bool sync = option_bool(instance, "sync");
    if (!*path)
        return fail(-EISDIR, "/: a directory");
    int rc = full_name(path, &name);
    dir = rc == 0 ? mem_dup_n(name, path_parent_size(name)) : NULL;
    temporary =
        dir ? mem_format("%s/" TEMPORARY_PREFIX "%016llx", dir, (unsigned long long)random_u64()) : NULL;
    if (!temporary)
        return fail_memory();
    if (file_seam.stat(name, &st) == 0 && S_ISDIR(st.st_mode))
        return fail(flags & LARDER_CREATE ? -EEXIST : -EISDIR, "%s: a directory", name);
    int fd = file_seam.open(temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail_errno(errno, "%s", name);
    rc = write_temporary(fd, temporary, name, source, flags, sync, &st);
    if (rc < 0)
        file_seam.unlink(temporary);
    file_seam.close(fd);
    if (rc == 0 && sync)
        rc = sync_directory(dir);
    if (rc < 0 || !out)
        return rc;
    describe(&st, version, &answer);
    return answer_copy(out, &answer);
}

static int remove_one(const char *path)
{
    autofree char *name = NULL;
    int rc = full_name(path, &name);
    if (rc < 0)
        return rc;
    if (file_seam.unlink(name) == 0)
        return 0;
    struct stat st; /* POSIX allows EPERM for a directory, Linux says EISDIR */
    int error = errno;
    if (error == EPERM && file_seam.stat(name, &st) == 0 && S_ISDIR(st.st_mode))
        error = EISDIR;
    return fail_errno(error, "%s", name);
}

static int local_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    for (size_t i = 0; i < count; i++)
        status[i] = remove_one(paths[i]);
    return 0;
}

static int local_mkdir(struct instance *instance, const char *path)
{
    autofree char *name = NULL;
    int rc = full_name(path, &name);
    if (rc < 0)
        return rc;
    return file_seam.mkdir(name, 0777) < 0 ? fail_errno(errno, "%s", name) : 0;
}

/* Temporary files of writers that were killed must not keep a directory that looks empty from being removed. */
static void sweep(const char *dir)
{
    DIR *entries = file_seam.opendir(dir);
    struct dirent *entry;
    while (entries && (entry = file_seam.readdir(entries))) {
        if (!is_temporary(entry->d_name))
            continue;
        autofree char *name = mem_format("%s/%s", dir, entry->d_name);
        if (name)
            file_seam.unlink(name);
    }
    if (entries)
        file_seam.closedir(entries);
}

static bool only_temporaries(const char *dir)
{
    DIR *entries = file_seam.opendir(dir);
    struct dirent *entry;
    bool only = entries;
    while (only && (entry = file_seam.readdir(entries)))
        only = is_hidden(entry->d_name);
    if (entries)
        file_seam.closedir(entries);
    return only;
}

static int local_rmdir(struct instance *instance, const char *path)
{
    autofree char *name = NULL;
    int rc = full_name(path, &name);
    if (rc < 0)
        return rc;
    if (file_seam.rmdir(name) == 0)
        return 0;
    if ((errno == ENOTEMPTY || errno == EEXIST) && only_temporaries(name)) {
        sweep(name);
        if (file_seam.rmdir(name) == 0)
            return 0;
    }
    return fail_errno(errno == EEXIST ? ENOTEMPTY : errno, "%s", name);
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

static int local_open(struct instance *instance, const char *url, char **path)
{
    const char *typed = after_protocol(url);
    if (typed != url && *typed != '/')
        return fail(-EINVAL, "%s: a file URL has an absolute path: file:///PATH", url);
    instance->can = (struct larder_capabilities){.list = true,
                                                 .write = true,
                                                 .create_only = true,
                                                 .real_directories = true,
                                                 .parents_required = true,
                                                 .persistent = true,
                                                 .remove_count_max = 1,
                                                 .links = true};
    instance->identity = mem_dup("file:");
    return instance->identity ? absolute_path(typed, path) : fail_memory();
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
    .open = local_open,
    .url = local_url,
    .info = local_info,
    .list = local_list,
    .read = local_read,
    .write = local_write,
    .remove = local_remove,
    .mkdir = local_mkdir,
    .rmdir = local_rmdir,
};
