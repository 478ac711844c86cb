/* SPDX-License-Identifier: Apache-2.0 */
/* rm, mkdir, rmdir, touch: what is there, and what is not. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- rm ---- */

struct removal {
    const struct place *place;
    const struct larder_item *items;
    struct outcome *outcome;
};

/* "." and "..", with slashes behind or not. */
static bool is_dots(const char *url)
{
    size_t size = strlen(url), begin;
    while (size > 0 && url[size - 1] == '/')
        size--;
    for (begin = size; begin > 0 && url[begin - 1] != '/'; begin--)
        ;
    return size > begin && size - begin <= 2 && strspn(url + begin, ".") >= size - begin;
}

/* A slip of the hand must not empty a disk, a host, or the directory that one is in. */
bool tree_stays(const char *url, const char *path)
{
    return !*path || is_dots(url);
}

/* DONE, or it has complained. */
static int check_tree(const char *url, const char *path)
{
    return !tree_stays(url, path) ? DONE
           : *path                ? complain_of(url, -EBUSY, "\".\" and \"..\" are not removed")
                                  : complain_of(url, -EBUSY, "the root of a place is not removed");
}

static int file_removed(void *arg, struct larder_item *item)
{
    struct removal *removal = arg;
    const char *url = removal->place->urls[item - removal->items];
    if (interrupted())
        return -ECANCELED;
    outcome_add(removal->outcome, item->status == -EISDIR
                                      ? complain_of(url, -EISDIR, "a directory; -r removes those")
                                      : code_of(url, item->status));
    return 0;
}

/* Together, in as few requests as the place takes. */
static int remove_files(const struct cli *cli, const struct place *place, struct outcome *outcome)
{
    struct larder_item *items = calloc((size_t)place->count, sizeof *items);
    struct removal removal = {place, items, outcome};
    struct larder_batch batch = {.size = sizeof batch,
                                 .on_error = LARDER_RETURN,
                                 .jobs_max = cli->jobs,
                                 .completed = file_removed,
                                 .arg = &removal};
    if (!items)
        return complain_of("rm", -ENOMEM, NULL);
    for (int i = 0; i < place->count; i++)
        items[i].path = place->paths[i];
    int rc = larder_rm_files(place->fs, items, (size_t)place->count, &batch);
    free(items);
    return rc < 0 ? complain("rm", rc) : DONE;
}

static int remove_trees(const struct cli *cli, const struct place *place, struct outcome *outcome)
{
    struct larder_rm_options options = {.size = sizeof options, .recursive = true, .jobs_max = cli->jobs};
    for (int i = 0; i < place->count && !interrupted(); i++) {
        const char *path = place->paths[i], *url = place->urls[i];
        int code = check_tree(url, path);
        outcome_add(outcome,
                    code == DONE ? code_of(url, larder_rm_paths(place->fs, &path, 1, &options)) : code);
    }
    return DONE;
}

/* What a pattern matches are files, one item each; nothing is one that is missing. */
int command_rm(struct cli *cli)
{
    struct outcome outcome = {0};
    struct url_list list = {0};
    int code = expand_args(cli, &list, &outcome);
    for (int i = 0; code == DONE && i < list.count;) {
        struct place place;
        code = place_open(cli, list.urls + i, list.count - i, &place);
        if (code == DONE) {
            code = (cli->recursive ? remove_trees : remove_files)(cli, &place, &outcome);
            i += place.count;
            place_close(&place);
        }
    }
    url_list_free(&list);
    return code == DONE ? outcome_code(&outcome) : code;
}

/* ---- mkdir, rmdir, touch ---- */

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
