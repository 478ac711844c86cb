/* SPDX-License-Identifier: Apache-2.0 */
/* txn: what is in the journal; and put --txn, which commits what it copied together. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is in the journal ---- */

/* The file's URL, or its name where that is a local one's; malloc, or NULL. */
static char *conflict_name(const struct larder_txn_conflict *conflict)
{
    const char *place = strncmp(conflict->url, "file://", 7) == 0 ? conflict->url + 7 : conflict->url;
    size_t size = strlen(place);
    char *name;
    const char *slash = size > 0 && place[size - 1] == '/' ? "" : "/";
    return asprintf(&name, "%s%s%s", place, slash, conflict->path) < 0 ? NULL : name;
}

static void out_conflicts_json(const struct larder_txn_info *info, json_t *object)
{
    json_t *conflicts = json_array();
    for (size_t i = 0; i < info->conflict_count; i++) {
        json_t *conflict = json_object();
        char *name = conflict_name(&info->conflicts[i]);
        json_object_set_new(conflict, "path", json_name(name ? name : info->conflicts[i].path));
        free(name);
        json_object_set_new(conflict, "found", json_name(info->conflicts[i].found));
        json_array_append_new(conflicts, conflict);
    }
    json_object_set_new(object, "conflicts", conflicts);
}

static int out_info_json(const struct larder_txn_info *info, const char *began)
{
    json_t *object = json_object(), *urls = json_array();
    for (size_t i = 0; i < info->url_count; i++)
        json_array_append_new(urls, json_name(info->urls[i]));
    json_object_set_new(object, "id", json_string(info->id));
    json_object_set_new(object, "state", json_string(info->state));
    json_object_set_new(object, "alive", json_boolean(info->alive));
    if (info->began_ns)
        json_object_set_new(object, "began", json_string(began));
    json_object_set_new(object, "changes", json_integer((json_int_t)info->changes));
    json_object_set_new(object, "bytes", json_integer((json_int_t)info->bytes));
    json_object_set_new(object, "note", json_name(info->note));
    json_object_set_new(object, "urls", urls);
    out_conflicts_json(info, object);
    return out_json(object);
}

/* What was found mostly begins with the file's name. */
static int out_conflict(const struct larder_txn_conflict *conflict)
{
    char *name = conflict_name(conflict);
    bool named = name && strncmp(conflict->found, name, strlen(name)) == 0;
    int rc = named ? out_format("    conflict at %s\n", conflict->found)
                   : out_format("    conflict at %s: %s\n", name ? name : conflict->path, conflict->found);
    free(name);
    return rc;
}

static int out_info(void *arg, const struct larder_txn_info *info)
{
    const struct cli *cli = arg;
    char began[TIME_TEXT_SIZE], size[SIZE_TEXT_SIZE];
    format_time(info->began_ns, false, began);
    if (cli->json)
        return out_info_json(info, began);
    format_size(info->bytes, size);
    int rc = out_format("%s  %s  %s%s  %llu changes, %s  %s\n", info->id, info->began_ns ? began : "-",
                        info->state, info->alive ? ", alive" : "", (unsigned long long)info->changes, size,
                        info->note);
    for (size_t i = 0; rc == 0 && i < info->url_count; i++)
        rc = out_format("    %s\n", info->urls[i]);
    for (size_t i = 0; rc == 0 && i < info->conflict_count; i++)
        rc = out_conflict(&info->conflicts[i]);
    return rc;
}

int command_txn_list(struct cli *cli)
{
    int rc = larder_txn_list(NULL, out_info, cli);
    return rc < 0 ? complain("the journal", rc) : DONE;
}

/* ---- ending them ---- */

static void log_line(void *arg, enum larder_log_level level, const char *message)
{
    say(message);
}

static int recover(struct cli *cli, const char *id, enum larder_txn_way way)
{
    const struct larder_txn_recover_options how = {.size = sizeof how,
                                                   .way = way,
                                                   .options = (const char *const *)cli->options};
    if (cli->verbosity == 0 && !id)
        larder_log_to(log_line, NULL, LARDER_LOG_WARNING);
    int rc = larder_txn_recover(NULL, id, &how);
    if (rc < 0)
        return complain(id ? id : "the journal", rc);
    if (rc > 0) {
        char text[64];
        snprintf(text, sizeof text, "%d transactions are left: see `larder txn list`", rc);
        say(text);
    }
    return rc > 0 ? PARTLY : DONE;
}

int command_txn_recover(struct cli *cli)
{
    if (cli->theirs && cli->ours)
        return wrong_usage("txn recover: --theirs or --ours, not both");
    enum larder_txn_way way = cli->theirs ? LARDER_TXN_THEIRS
                              : cli->ours ? LARDER_TXN_OURS
                                          : LARDER_TXN_FINISH;
    return recover(cli, NULL, way);
}

int command_txn_resume(struct cli *cli)
{
    return recover(cli, cli->args[0], LARDER_TXN_RESUME);
}

int command_txn_rollback(struct cli *cli)
{
    return recover(cli, cli->arg_count ? cli->args[0] : NULL, LARDER_TXN_ROLLBACK);
}

/* ---- put --txn ---- */

int txn_begin(const char *note, struct larder_fs **fs, struct larder_txn **out)
{
    struct larder_fs *view;
    char *option;
    if (asprintf(&option, "note=%s", note) < 0)
        return complain(note, -ENOMEM);
    const char *const options[] = {option, NULL};
    int rc = larder_txn_begin(options, out);
    free(option);
    if (rc == 0 && (rc = larder_txn_fs(*out, *fs, &view)) < 0) {
        int code = complain(note, rc);
        larder_txn_rollback(*out);
        return code;
    }
    if (rc < 0)
        return complain(note, rc);
    larder_fs_free(*fs);
    *fs = view;
    return DONE;
}

static void published(void *arg, const struct larder_txn_result *result)
{
    const struct cli *cli = arg;
    if (!cli->json)
        return;
    json_t *object = json_object();
    json_object_set_new(object, "path", json_name(result->url));
    if (result->version)
        json_object_set_new(object, "etag", json_name(result->version));
    json_object_set_new(object, "size", json_integer(result->bytes));
    out_json(object);
}

static void sent(void *arg, int64_t done, int64_t total)
{
    progress_bytes((uint64_t)done, total);
}

int txn_end(struct cli *cli, const char *what, struct larder_txn *txn, int code)
{
    const struct larder_txn_commit_options how = {.size = sizeof how,
                                                  .published = published,
                                                  .arg = cli,
                                                  .progress = sent};
    progress_begin(cli, what);
    int rc = code == DONE && !interrupted() ? larder_txn_commit(txn, &how) : -ECANCELED;
    progress_end();
    if (rc < 0 && code == DONE)
        code = complain(what, rc);
    if (rc < 0 && rc != -EINPROGRESS && larder_txn_rollback(txn) < 0)
        complain(what, -EINPROGRESS);
    return code;
}
