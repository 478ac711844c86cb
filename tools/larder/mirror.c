/* SPDX-License-Identifier: Apache-2.0 */
/* mirror: a tree into the cache. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>

struct mirror {
    const struct cli *cli;
    const char *url;
    struct outcome outcome;
};

/* The name of a file that would be fetched is data. */
static int out_planned(const struct cli *cli, const char *name)
{
    return cli->json ? out_json(json_pack("{s:o}", "name", json_name(name))) : out_name(cli, name, "");
}

static int mirrored(void *arg, struct larder_item *item)
{
    struct mirror *mirror = arg;
    const char *what = *item->path ? item->path : mirror->url;
    outcome_add(&mirror->outcome, item->status < 0 ? complain(what, item->status) : DONE);
    if (mirror->cli->dry_run && item->status == 0 && out_planned(mirror->cli, what) < 0)
        return -EPIPE;
    return interrupted() ? -ECANCELED : 0;
}

static void show_progress(void *arg, int64_t done, int64_t total)
{
    const struct mirror *mirror = arg;
    progress_bytes((uint64_t)done, total);
    progress_files(mirror->outcome.done);
}

static void out_json_stats(const struct larder_mirror_stats *stats)
{
    json_t *object = json_object();
    json_object_set_new(object, "files", json_integer((json_int_t)stats->files));
    json_object_set_new(object, "bytes_fetched", json_integer((json_int_t)stats->bytes_fetched));
    json_object_set_new(object, "bytes_present", json_integer((json_int_t)stats->bytes_present));
    json_object_set_new(object, "failed", json_integer((json_int_t)stats->failed));
    json_object_set_new(object, "vanished", json_integer((json_int_t)stats->vanished));
    out_json(object);
}

/* Of a dry run the names are what is asked for, and this is a word on it. */
static void out_mirror(const struct cli *cli, const struct larder_mirror_stats *stats)
{
    char text[160], gone[64] = "";
    if (cli->json && !cli->dry_run) {
        out_json_stats(stats);
        return;
    }
    if (stats->vanished > 0)
        snprintf(gone, sizeof gone, ", %llu files gone from the server", (unsigned long long)stats->vanished);
    snprintf(text, sizeof text, "%llu files, %llu bytes %s, %llu bytes already there%s",
             (unsigned long long)stats->files, (unsigned long long)stats->bytes_fetched,
             cli->dry_run ? "to fetch" : "fetched", (unsigned long long)stats->bytes_present, gone);
    if (!cli->dry_run)
        out_format("%s\n", text);
    else if (cli->verbosity >= 0)
        say(text);
}

static int run(struct mirror *mirror, struct larder_fs *fs, const char *path, const struct names *names)
{
    const struct cli *cli = mirror->cli;
    struct larder_mirror_stats stats = {.size = sizeof stats};
    struct larder_mirror_options options = {.size = sizeof options,
                                            .on_error = LARDER_RETURN,
                                            .jobs_max = cli->jobs,
                                            .completed = mirrored,
                                            .progress = show_progress,
                                            .arg = mirror,
                                            .include = cli->include,
                                            .exclude = cli->exclude,
                                            .maxdepth = cli->maxdepth,
                                            .names = cli->from ? (const char *const *)names->names : NULL,
                                            .name_count = names->count,
                                            .rate_max = (uint64_t)cli->rate,
                                            .dry_run = cli->dry_run};
    progress_begin(cli, mirror->url);
    int rc = larder_mirror(fs, path, &options, &stats);
    progress_end();
    if (rc < 0)
        return complain(mirror->url, rc);
    out_mirror(cli, &stats);
    return outcome_code(&mirror->outcome);
}

int command_mirror(struct cli *cli)
{
    struct mirror mirror = {.cli = cli, .url = cli->args[0]};
    struct names names = {0};
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, mirror.url, true, &fs, &path);
    if (code != DONE)
        return code;
    if (cli->from)
        code = names_read(cli, cli->from, &names);
    if (code == DONE)
        code = run(&mirror, fs, path, &names);
    names_free(&names);
    larder_free(path);
    larder_fs_free(fs);
    return code;
}
