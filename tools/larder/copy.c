/* SPDX-License-Identifier: Apache-2.0 */
/* get, put, cp, mv: files from place to place, by the rules of larder/copy.h. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int copy_fn(struct larder_fs *from, const char *const sources[], size_t count, struct larder_fs *to,
                    const char *target, const struct larder_copy_options *options);

struct copying {
    struct cli *cli;
    copy_fn *copy;
    struct larder_fs *from, *to;
    char *target; /* with its slash behind it; malloc */
    struct outcome outcome;
    bool spoken; /* something was said, or done, of the source at hand */
};

/* ---- what is told ---- */

char *name_of(struct larder_fs *fs, const char *path)
{
    char *url;
    if (!path || larder_fs_url(fs, path, &url) < 0)
        return NULL;
    if (strncmp(url, "file://", 7) == 0)
        memmove(url, url + 7, strlen(url + 7) + 1);
    return url;
}

static void report(const struct copying *copying, const struct larder_copy_news *news, const char *from)
{
    char *to = name_of(copying->to, news->to);
    json_t *object = json_object();
    json_object_set_new(object, "from", json_name(from));
    if (to)
        json_object_set_new(object, "to", json_name(to));
    json_object_set_new(object, "status", json_string(larder_status_name(news->status)));
    if (news->status == 0 && news->size >= 0)
        json_object_set_new(object, "size", json_integer(news->size));
    out_json(object);
    larder_free(to);
}

/* What cannot be copied is said; it is a failure only if it is a directory that was named. */
static void left_out(struct copying *copying, const struct larder_copy_news *news, const char *name)
{
    if (news->status == -EISDIR)
        outcome_add(&copying->outcome, complain_of(name, -EISDIR, "a directory; -r copies those"));
    else if (copying->cli->verbosity >= 0)
        complain(name, news->status);
}

static void ended(struct copying *copying, const struct larder_copy_news *news)
{
    char *name = name_of(copying->from, news->from);
    const char *shown = name ? name : news->from;
    int code = DONE;
    copying->spoken = true;
    if (news->event == LARDER_COPY_SKIPPED)
        left_out(copying, news, shown);
    else if (news->status < 0)
        code = complain(shown, news->status);
    if (news->event == LARDER_COPY_DONE)
        outcome_add(&copying->outcome, code);
    if (copying->cli->json && !copying->cli->txn && news->type != LARDER_DIRECTORY)
        report(copying, news, shown);
    larder_free(name);
}

static int told(void *arg, const struct larder_copy_news *news)
{
    struct copying *copying = arg;
    if (news->event == LARDER_COPY_DONE || news->event == LARDER_COPY_SKIPPED)
        ended(copying, news);
    progress_bytes((uint64_t)news->bytes_done, news->planned ? news->bytes_planned : -1);
    return interrupted() ? -ECANCELED : 0;
}

/* ---- the sources ---- */

static int copy_source(struct copying *copying, const char *url, bool several)
{
    struct cli *cli = copying->cli;
    struct larder_copy_options options = {.size = sizeof options,
                                          .recursive = cli->recursive && copying->copy == larder_copy,
                                          .maxdepth = cli->maxdepth,
                                          .into = several,
                                          .create = cli->create,
                                          .on_error = LARDER_RETURN,
                                          .jobs_max = cli->jobs,
                                          .told = told,
                                          .arg = copying};
    char *path;
    int code = open_source(cli, url, &copying->from, &path, &options.glob);
    if (code != DONE)
        return code;
    copying->spoken = false;
    const char *source = path;
    int rc = copying->copy(copying->from, &source, 1, copying->to, copying->target, &options);
    if (rc < 0)
        code = complain(url, rc);
    else if (!copying->spoken && options.glob)
        code = complain_of(url, -ENOENT, "nothing matches");
    if (code != DONE)
        outcome_add(&copying->outcome, code);
    free(path);
    larder_fs_free(copying->from);
    return code == USAGE ? USAGE : DONE;
}

/* The last segment of a source, without the slashes behind it. */
static size_t last_segment(const char *source, const char **out)
{
    size_t size = strlen(source), start;
    while (size > 0 && source[size - 1] == '/')
        size--;
    for (start = size; start > 0 && source[start - 1] != '/'; start--)
        ;
    *out = source + start;
    return size - start;
}

/* Several sources go into one directory, each by its last segment: a second one of a name would replace the first. */
static int check_names(char *const sources[], int count)
{
    for (int i = 1; i < count; i++)
        for (int j = 0; j < i; j++) {
            const char *one, *other;
            size_t size = last_segment(sources[i], &one);
            if (size == last_segment(sources[j], &other) && memcmp(one, other, size) == 0)
                return complain_of(sources[i], -EEXIST, "another source has the same name");
        }
    return DONE;
}

/* `target` as cli_open takes it. */
static int copy_all(struct cli *cli, copy_fn *copy, char *const sources[], const char *target, bool local)
{
    struct copying copying = {.cli = cli, .copy = copy};
    struct larder_txn *txn = NULL;
    int count = cli->arg_count - 1;
    char *path = NULL;
    if (!*target)
        return wrong_usage("the destination is empty");
    int code = check_names(sources, count);
    if (code == DONE)
        code = local ? cli_open_local(cli, target, &copying.to, &path)
                     : cli_open(cli, target, false, &copying.to, &path);
    if (code == DONE && cli->txn) {
        code = txn_begin(target, &copying.to, &txn);
        if (code != DONE)
            larder_fs_free(copying.to);
    }
    if (code != DONE)
        return code;
    bool slash = target[strlen(target) - 1] == '/';
    if (asprintf(&copying.target, "%s%s", path, slash && *path ? "/" : "") < 0)
        code = complain(target, -ENOMEM);
    progress_begin(cli, sources[0]);
    for (int i = 0; code == DONE && i < count && !interrupted(); i++)
        code = copy_source(&copying, sources[i], count > 1);
    progress_end();
    code = code == DONE ? outcome_code(&copying.outcome) : code;
    if (txn)
        code = txn_end(cli, target, txn, code);
    free(copying.target);
    larder_free(path);
    larder_fs_free(copying.to);
    return code;
}

int command_cp(struct cli *cli)
{
    return copy_all(cli, larder_copy, cli->args, cli->args[cli->arg_count - 1], false);
}

int command_mv(struct cli *cli)
{
    return copy_all(cli, larder_mv, cli->args, cli->args[cli->arg_count - 1], false);
}

/* ---- with a local side ---- */

/* What is typed there is a path, and must not look like a URL. malloc. */
static char *as_local(const char *typed)
{
    char *text;
    bool odd = *typed != '/' && strchr(typed, ':');
    return asprintf(&text, "%s%s", odd ? "./" : "", typed) < 0 ? NULL : text;
}

int copy_to_local(struct cli *cli)
{
    return copy_all(cli, larder_copy, cli->args, cli->args[cli->arg_count - 1], true);
}

int command_put(struct cli *cli)
{
    int count = cli->arg_count - 1, code = DONE;
    char **sources = calloc((size_t)count, sizeof *sources);
    for (int i = 0; code == DONE && i < count; i++)
        if (!sources || !(sources[i] = as_local(cli->args[i])))
            code = complain("put", -ENOMEM);
    if (code == DONE)
        code = copy_all(cli, larder_copy, sources, cli->args[count], false);
    for (int i = 0; sources && i < count; i++)
        free(sources[i]);
    free(sources);
    return code;
}
