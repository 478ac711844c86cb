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
static void left_out(struct copying *copying, const struct larder_copy_news *news, const char *name,
                     const char *why)
{
    if (news->status == -EISDIR)
        outcome_add(&copying->outcome, complain_of(name, -EISDIR, "a directory; -r copies those"));
    else if (copying->cli->verbosity >= 0)
        complain_of(name, news->status, why);
}

static void ended(struct copying *copying, const struct larder_copy_news *news)
{
    char *why = strdup(larder_error()); /* the next call forgets it */
    char *name = name_of(copying->from, news->from);
    const char *shown = name ? name : news->from;
    int code = DONE;
    copying->spoken = true;
    if (news->event == LARDER_COPY_SKIPPED)
        left_out(copying, news, shown, why);
    else if (news->status < 0)
        code = complain_of(shown, news->status, why);
    if (news->event == LARDER_COPY_DONE)
        outcome_add(&copying->outcome, code);
    if (copying->cli->json && !copying->cli->txn && news->type != LARDER_DIRECTORY)
        report(copying, news, shown);
    larder_free(name);
    free(why);
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

struct source {
    const char *url;
    struct larder_fs *fs; /* NULL: it could not be opened, which was told */
    char *path;           /* malloc */
    bool glob;
};

/* DONE, or wrong usage; other failures are the source's own. */
static int open_sources(struct copying *copying, char *const urls[], int count, struct source *sources)
{
    int code = DONE;
    for (int i = 0; i < count && code != USAGE; i++) {
        struct source *source = &sources[i];
        source->url = urls[i];
        code = open_source(copying->cli, urls[i], &source->fs, &source->path, &source->glob);
        if (code != DONE) {
            source->fs = NULL;
            outcome_add(&copying->outcome, code);
        }
    }
    return code == USAGE ? USAGE : DONE;
}

static void close_sources(struct source *sources, int count)
{
    for (int i = 0; i < count; i++) {
        if (!sources[i].fs)
            continue;
        free(sources[i].path);
        larder_fs_free(sources[i].fs);
    }
    free(sources);
}

static void copy_source(struct copying *copying, const struct source *source, bool several)
{
    struct cli *cli = copying->cli;
    struct larder_copy_options options = {.size = sizeof options,
                                          .glob = source->glob,
                                          .recursive = cli->recursive && copying->copy == larder_copy,
                                          .maxdepth = cli->maxdepth,
                                          .into = several,
                                          .create = cli->create,
                                          .on_error = LARDER_RETURN,
                                          .jobs_max = cli->jobs,
                                          .told = told,
                                          .arg = copying};
    const char *path = source->path;
    int code = DONE;
    copying->from = source->fs;
    copying->spoken = false;
    int rc = copying->copy(source->fs, &path, 1, copying->to, copying->target, &options);
    if (rc < 0)
        code = complain(source->url, rc);
    else if (!copying->spoken && options.glob)
        code = complain_of(source->url, -ENOENT, "nothing matches");
    if (code != DONE)
        outcome_add(&copying->outcome, code);
}

/* ---- their names ---- */

/* Several sources go into one directory, each by its last segment: a second one of a name would replace the first. */
struct source_names {
    struct names names;
    const struct source **of; /* malloc; as many as there is room for names */
    size_t capacity;
};

/* The last segment of a path, without the slashes behind it. */
static int add_last(struct source_names *all, const struct source *source, const char *path)
{
    size_t size = strlen(path), start;
    while (size > 0 && path[size - 1] == '/')
        size--;
    for (start = size; start > 0 && path[start - 1] != '/'; start--)
        ;
    if (all->names.count == all->capacity) {
        size_t capacity = all->capacity ? 2 * all->capacity : 64;
        const struct source **larger = reallocarray(all->of, capacity, sizeof *larger);
        if (!larger)
            return -ENOMEM;
        all->of = larger;
        all->capacity = capacity;
    }
    all->of[all->names.count] = source;
    return names_add(&all->names, path + start, size - start);
}

/* What cannot be found out now fails when it is copied. */
static int add_names(const struct copying *copying, const struct source *source, struct source_names *all)
{
    const struct cli *cli = copying->cli;
    bool files_only = copying->copy == larder_copy && !cli->recursive;
    struct larder_glob_options options = {sizeof options, cli->maxdepth, files_only, cli->jobs, true};
    struct larder_entries matches = {0};
    int rc = 0;
    if (!source->glob)
        return add_last(all, source, source->path);
    if (larder_glob(source->fs, source->path, &options, &matches) < 0)
        return 0;
    for (size_t i = 0; rc == 0 && i < matches.count; i++)
        rc = add_last(all, source, matches.info[i].name);
    larder_entries_free(&matches);
    return rc;
}

static int by_name(const void *a, const void *b, void *arg)
{
    const struct source_names *all = arg;
    return strcmp(all->names.names[*(const size_t *)a], all->names.names[*(const size_t *)b]);
}

/* Those of one source are the library's to compare. */
static int compare_names(const struct source_names *all)
{
    size_t count = all->names.count, *order = calloc(count ? count : 1, sizeof *order);
    int code = order ? DONE : complain("names", -ENOMEM);
    for (size_t i = 0; order && i < count; i++)
        order[i] = i;
    if (order)
        qsort_r(order, count, sizeof *order, by_name, (void *)all);
    for (size_t i = 1; code == DONE && i < count; i++) {
        const struct source *one = all->of[order[i - 1]], *other = all->of[order[i]];
        if (one != other && by_name(&order[i - 1], &order[i], (void *)all) == 0)
            code = complain_of(other->url, -EEXIST, "another source has the same name");
    }
    free(order);
    return code;
}

static int check_names(const struct copying *copying, const struct source *sources, int count)
{
    struct source_names all = {0};
    int rc = 0;
    for (int i = 0; rc == 0 && count > 1 && i < count; i++)
        if (sources[i].fs)
            rc = add_names(copying, &sources[i], &all);
    int code = rc < 0 ? complain("names", rc) : compare_names(&all);
    names_free(&all.names);
    free(all.of);
    return code;
}

/* ---- the commands ---- */

static int copy_sources(struct copying *copying, char *const urls[], int count)
{
    struct source *sources = calloc((size_t)count, sizeof *sources);
    int code = sources ? open_sources(copying, urls, count, sources) : complain(urls[0], -ENOMEM);
    if (code == DONE)
        code = check_names(copying, sources, count);
    progress_begin(copying->cli, urls[0]);
    for (int i = 0; code == DONE && i < count && !interrupted(); i++)
        if (sources[i].fs)
            copy_source(copying, &sources[i], count > 1);
    progress_end();
    if (sources)
        close_sources(sources, count);
    return code;
}

/* `target` as cli_open takes it. */
static int copy_all(struct cli *cli, copy_fn *copy, char *const urls[], const char *target, bool local)
{
    struct copying copying = {.cli = cli, .copy = copy};
    struct larder_txn *txn = NULL;
    char *path = NULL;
    if (!*target)
        return wrong_usage("the destination is empty");
    int code = local ? cli_open_local(cli, target, &copying.to, &path)
                     : cli_open(cli, target, false, &copying.to, &path);
    if (code != DONE)
        return code;
    if (cli->txn && (code = txn_begin(target, &copying.to, &txn)) != DONE)
        txn = NULL; /* it is rolled back */
    bool slash = target[strlen(target) - 1] == '/';
    if (code == DONE && asprintf(&copying.target, "%s%s", path, slash && *path ? "/" : "") < 0) {
        copying.target = NULL;
        code = complain(target, -ENOMEM);
    }
    if (code == DONE)
        code = copy_sources(&copying, urls, cli->arg_count - 1);
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
