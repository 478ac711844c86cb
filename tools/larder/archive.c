/* SPDX-License-Identifier: Apache-2.0 */
/* cache export, cache import: a cache as a file. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void out_stats(const struct cli *cli, const struct larder_archive_stats *stats, bool imported)
{
    if (cli->json) {
        json_t *object = json_object();
        json_object_set_new(object, "files", json_integer((json_int_t)stats->files));
        json_object_set_new(object, "listings", json_integer((json_int_t)stats->listings));
        json_object_set_new(object, "entries", json_integer((json_int_t)stats->entries));
        json_object_set_new(object, "bytes", json_integer((json_int_t)stats->bytes));
        json_object_set_new(object, "pins", json_integer((json_int_t)stats->pins));
        if (imported)
            json_object_set_new(object, "known", json_integer((json_int_t)stats->known));
        out_json(object);
        return;
    }
    out_format("%llu files, %llu listings, %llu bytes", (unsigned long long)stats->files,
               (unsigned long long)stats->listings, (unsigned long long)stats->bytes);
    if (imported)
        out_format(", %llu of %llu entries known already", (unsigned long long)stats->known,
                   (unsigned long long)stats->entries);
    out_text("\n");
}

/* ---- export ---- */

/* A file that is there is replaced whole, or not at all; what is no file is written to as it is. */
struct target {
    const char *name;
    char *temporary; /* malloc; NULL: there is none */
    int fd;          /* -1: stdout */
    int status;      /* of the first write that failed */
};

static int target_open(struct target *target, const char *name)
{
    struct stat st;
    *target = (struct target){.name = name, .fd = -1};
    if (strcmp(name, "-") == 0)
        return isatty(STDOUT_FILENO) ? complain_of("stdout", -EINVAL, "an archive is not for a terminal")
                                     : DONE;
    bool plain = stat(name, &st) < 0 || S_ISREG(st.st_mode);
    if (plain && asprintf(&target->temporary, "%s.XXXXXX", name) < 0)
        return complain_of(name, -ENOMEM, NULL);
    target->fd = plain ? mkostemp(target->temporary, O_CLOEXEC) : open(name, O_WRONLY | O_CLOEXEC);
    if (target->fd >= 0)
        return DONE;
    int code = complain_of(name, interrupted() ? -ECANCELED : -EIO, strerror(errno));
    free(target->temporary);
    return code;
}

/* With the rights that a new file has. */
static int publish(struct target *target)
{
    mode_t mask = umask(0);
    umask(mask);
    if (fchmod(target->fd, 0666 & ~mask) < 0 || fsync(target->fd) < 0 || close(target->fd) < 0 ||
        rename(target->temporary, target->name) < 0)
        return -errno;
    return 0;
}

static int target_close(struct target *target, int code)
{
    int rc = 0;
    if (target->fd >= 0 && code == DONE)
        rc = target->temporary ? publish(target) : close(target->fd) < 0 ? -errno : 0;
    if (rc < 0)
        code = complain_of(target->name, rc, strerror(-rc));
    if (target->temporary && code != DONE) {
        close(target->fd);
        unlink(target->temporary);
    }
    free(target->temporary);
    return code;
}

static int write_piece(void *arg, const void *data, size_t size)
{
    struct target *target = arg;
    target->status = target->fd < 0 ? out_bytes(data, size) : write_all(target->fd, data, size);
    progress_more(size);
    return target->status < 0 ? target->status : interrupted() ? -ECANCELED : 0;
}

struct trees {
    struct larder_cache_tree *trees;
    char **paths;
    size_t count;
};

static int trees_open(struct cli *cli, char **urls, int count, struct trees *out)
{
    out->trees = calloc((size_t)count + 1, sizeof *out->trees);
    out->paths = calloc((size_t)count + 1, sizeof *out->paths);
    if (!out->trees || !out->paths)
        return complain_of("export", -ENOMEM, NULL);
    for (; out->count < (size_t)count; out->count++) {
        struct larder_fs *fs;
        int code = cli_open(cli, urls[out->count], false, &fs, &out->paths[out->count]);
        if (code != DONE)
            return code;
        out->trees[out->count] = (struct larder_cache_tree){fs, out->paths[out->count]};
    }
    return DONE;
}

static void trees_free(struct trees *trees)
{
    for (size_t i = 0; i < trees->count; i++) {
        larder_fs_free(trees->trees[i].fs);
        larder_free(trees->paths[i]);
    }
    free(trees->trees);
    free(trees->paths);
}

static int export_to(struct cli *cli, struct larder_cache *cache, const struct trees *trees, const char *name)
{
    struct larder_archive_stats stats = {.size = sizeof stats};
    struct target target;
    int code = target_open(&target, name);
    if (code != DONE)
        return code;
    progress_begin(cli, name);
    int rc = larder_cache_export(cache, trees->trees, trees->count, write_piece, &target, &stats);
    progress_end();
    if (target.status < 0)
        code = complain_of(target.fd < 0 ? "stdout" : name, target.status, strerror(-target.status));
    else if (rc < 0)
        code = complain("cache", rc);
    bool silent = target.fd < 0; /* the archive is what goes to stdout */
    code = target_close(&target, code);
    if (code == DONE && !silent)
        out_stats(cli, &stats, false);
    return code;
}

int command_cache_export(struct cli *cli)
{
    struct trees trees = {0};
    struct larder_cache *cache;
    int code = cli_open_cache(cli, &cache);
    if (code != DONE)
        return code;
    code = trees_open(cli, cli->args + 1, cli->arg_count - 1, &trees);
    if (code == DONE)
        code = export_to(cli, cache, &trees, cli->args[0]);
    trees_free(&trees);
    larder_cache_free(cache);
    return code;
}

/* ---- import ---- */

static int64_t read_piece(void *arg, void *buffer, size_t size)
{
    const int *fd = arg;
    ssize_t count;
    do
        count = read(*fd, buffer, size);
    while (count < 0 && errno == EINTR && !interrupted());
    if (interrupted())
        return -ECANCELED;
    if (count > 0)
        progress_more((uint64_t)count);
    return count < 0 ? -errno : count;
}

static int import_from(struct cli *cli, struct larder_cache *cache, int fd, const char *name)
{
    struct larder_archive_stats stats = {.size = sizeof stats};
    progress_begin(cli, name);
    int rc = larder_cache_import(cache, read_piece, &fd, &stats);
    progress_end();
    if (rc < 0)
        return complain_of(name, rc, *larder_error() ? larder_error() : strerror(-rc));
    out_stats(cli, &stats, true);
    return DONE;
}

int command_cache_import(struct cli *cli)
{
    const char *name = cli->args[0];
    bool standard = strcmp(name, "-") == 0;
    struct larder_cache *cache;
    int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return complain_of(name, errno == ENOENT ? -ENOENT : -EIO, strerror(errno));
    int code = cli_open_cache(cli, &cache);
    if (code == DONE) {
        code = import_from(cli, cache, fd, standard ? "stdin" : name);
        larder_cache_free(cache);
    }
    if (!standard)
        close(fd);
    return code;
}
