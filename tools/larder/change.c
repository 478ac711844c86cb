/* SPDX-License-Identifier: Apache-2.0 */
/* rm, mkdir, rmdir, touch: what is there, and what is not. */
#include "cli.h"

#include <errno.h>

/* An exit code. */
typedef int change_fn(const struct cli *cli, const char *url, struct larder_fs *fs, const char *path);

static int code_of(const char *url, int rc)
{
    return rc < 0 ? complain(url, rc) : DONE;
}

/* Each argument by itself, in order: a failure of one does not keep the others from being done. */
static int change_each(struct cli *cli, char **urls, int count, change_fn *change, struct outcome *outcome)
{
    for (int i = 0; i < count && !interrupted(); i++) {
        struct larder_fs *fs;
        char *path;
        int code = cli_open(cli, urls[i], false, &fs, &path);
        if (code == USAGE)
            return code;
        if (code == DONE) {
            code = change(cli, urls[i], fs, path);
            larder_free(path);
            larder_fs_free(fs);
        }
        outcome_add(outcome, code);
    }
    return outcome_code(outcome);
}

static int change_all(struct cli *cli, change_fn *change)
{
    struct outcome outcome = {0};
    return change_each(cli, cli->args, cli->arg_count, change, &outcome);
}

/* A slip of the hand must not empty a disk or a host. */
static int remove_path(const struct cli *cli, const char *url, struct larder_fs *fs, const char *path)
{
    if (!*path)
        return complain_of(url, -EBUSY, "the root of a place is not removed");
    return code_of(url, larder_rm(fs, path, cli->recursive));
}

/* What a pattern matches are files, one item each; nothing is one that is missing. */
int command_rm(struct cli *cli)
{
    struct outcome outcome = {0};
    struct url_list list = {0};
    int code = DONE;
    for (int i = 0; i < cli->arg_count && (code == DONE || code == MISSING); i++) {
        code = expand_url(cli, cli->args[i], &list);
        if (code == MISSING)
            outcome_add(&outcome, code);
    }
    if (code == DONE || code == MISSING)
        code = change_each(cli, list.urls, list.count, remove_path, &outcome);
    url_list_free(&list);
    return code;
}

static int make_directory(const struct cli *cli, const char *url, struct larder_fs *fs, const char *path)
{
    return code_of(url, cli->parents ? larder_makedirs(fs, path, true) : larder_mkdir(fs, path, false));
}

int command_mkdir(struct cli *cli)
{
    return change_all(cli, make_directory);
}

static int remove_directory(const struct cli *cli, const char *url, struct larder_fs *fs, const char *path)
{
    return code_of(url, larder_rmdir(fs, path));
}

int command_rmdir(struct cli *cli)
{
    return change_all(cli, remove_directory);
}

static int touch(const struct cli *cli, const char *url, struct larder_fs *fs, const char *path)
{
    return code_of(url, larder_touch(fs, path, false));
}

int command_touch(struct cli *cli)
{
    return change_all(cli, touch);
}
