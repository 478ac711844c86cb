/* SPDX-License-Identifier: Apache-2.0 */
/* sync: one tree made like another. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct syncing {
    struct cli *cli;
    struct larder_fs *from, *to;
    char *source, *target; /* larder_free */
    struct outcome outcome;
    json_int_t sent, bytes, removed, same, failed; /* files; of removed, directories too */
};

static const char *action_of(const struct larder_copy_news *news)
{
    if (news->event == LARDER_COPY_REMOVED)
        return "remove";
    return news->type == LARDER_DIRECTORY ? "make" : "copy";
}

/* Below the target, which holds it. "": the target itself. */
static const char *below_target(const struct syncing *syncing, const char *path)
{
    size_t size = strlen(syncing->target);
    path += strncmp(path, syncing->target, size) == 0 ? size : 0;
    return path + (*path == '/');
}

static void report(const struct syncing *syncing, const struct larder_copy_news *news)
{
    const char *name = below_target(syncing, news->to), *action = action_of(news);
    const struct cli *cli = syncing->cli;
    if (cli->json) {
        json_t *object = json_pack("{s:s, s:o, s:s}", "action", action, "name", json_name(name), "status",
                                   larder_status_name(news->status));
        if (news->status == 0 && news->size >= 0 && news->type == LARDER_FILE)
            json_object_set_new(object, "size", json_integer(news->size));
        out_json(object);
    } else if (*name && news->status == 0 && (cli->dry_run || cli->verbosity > 0)) {
        out_format("%s ", action);
        out_name(cli, name, news->type == LARDER_DIRECTORY ? "/" : "");
    }
}

static int code_of(const struct syncing *syncing, const struct larder_copy_news *news)
{
    if (news->status == 0)
        return DONE;
    char *why = strdup(larder_error()); /* the next call forgets it */
    char *name = news->event == LARDER_COPY_REMOVED ? name_of(syncing->to, news->to)
                                                    : name_of(syncing->from, news->from);
    int code = complain_of(name ? name : "sync", news->status, why);
    free(why);
    larder_free(name);
    return code;
}

static int told(void *arg, const struct larder_copy_news *news)
{
    struct syncing *syncing = arg;
    bool done = news->event == LARDER_COPY_DONE && news->status == 0, file = news->type == LARDER_FILE;
    syncing->sent += done && file;
    syncing->bytes += done && file ? news->done : 0;
    syncing->removed += news->event == LARDER_COPY_REMOVED && news->status == 0;
    syncing->same += news->event == LARDER_COPY_SAME;
    switch (news->event) {
    case LARDER_COPY_DONE:
    case LARDER_COPY_REMOVED:
        syncing->failed += news->status < 0;
        outcome_add(&syncing->outcome, code_of(syncing, news));
        report(syncing, news);
        break;
    case LARDER_COPY_SAME:
        outcome_add(&syncing->outcome, DONE);
        break;
    case LARDER_COPY_SKIPPED:
        if (syncing->cli->verbosity >= 0)
            code_of(syncing, news);
        break;
    case LARDER_COPY_PLANNED:
    case LARDER_COPY_BEGUN:
    case LARDER_COPY_MOVED:
        break;
    }
    progress_bytes((uint64_t)news->bytes_done, news->planned ? news->bytes_planned : -1);
    return interrupted() ? -ECANCELED : 0;
}

/* No line among names that end with NUL. */
static void out_counts(const struct syncing *syncing)
{
    char text[160];
    snprintf(text, sizeof text, "%lld files, %lld bytes %s, %lld removed, %lld the same",
             (long long)syncing->sent, (long long)syncing->bytes, syncing->cli->dry_run ? "to send" : "sent",
             (long long)syncing->removed, (long long)syncing->same);
    if (!syncing->cli->zero)
        out_format("%s\n", text);
    else if (syncing->cli->verbosity >= 0)
        say(text);
}

static void out_summary(const struct syncing *syncing)
{
    if (syncing->cli->json)
        out_json(json_pack("{s:I, s:I, s:I, s:I, s:I}", "sent", syncing->sent, "bytes", syncing->bytes,
                           "removed", syncing->removed, "same", syncing->same, "failed", syncing->failed));
    else
        out_counts(syncing);
}

static int run(struct syncing *syncing, const char *source_url)
{
    const struct cli *cli = syncing->cli;
    struct larder_rsync_options options = {.size = sizeof options,
                                           .compare = cli->checksum    ? LARDER_CHECKSUM
                                                      : cli->size_only ? LARDER_SIZE
                                                                       : LARDER_SIZE_AND_TIME,
                                           .remove_extra = cli->remove_extra,
                                           .dry_run = cli->dry_run,
                                           .include = cli->include,
                                           .exclude = cli->exclude,
                                           .on_error = LARDER_RETURN,
                                           .jobs_max = cli->jobs,
                                           .told = told,
                                           .arg = syncing};
    progress_begin(cli, source_url);
    int rc = larder_rsync(syncing->from, syncing->source, syncing->to, syncing->target, &options);
    progress_end();
    if (rc < 0)
        return complain(source_url, rc);
    if (syncing->failed > 0 && cli->remove_extra && cli->verbosity >= 0)
        say("what is extra may still be there, since something failed");
    out_summary(syncing);
    return outcome_code(&syncing->outcome);
}

int command_sync(struct cli *cli)
{
    struct syncing syncing = {.cli = cli};
    if (cli->checksum && cli->size_only)
        return wrong_usage("--checksum and --size-only: one or the other");
    int code = cli_open(cli, cli->args[0], false, &syncing.from, &syncing.source);
    if (code != DONE)
        return code;
    code = cli_open(cli, cli->args[1], false, &syncing.to, &syncing.target);
    if (code == DONE) {
        code = run(&syncing, cli->args[0]);
        larder_free(syncing.target);
        larder_fs_free(syncing.to);
    }
    larder_free(syncing.source);
    larder_fs_free(syncing.from);
    return code;
}
