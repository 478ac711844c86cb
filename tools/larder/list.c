/* SPDX-License-Identifier: Apache-2.0 */
/* ls, find, stat, exists: what is there. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The last segment of a path; of the root, what the user called it. malloc; NULL: said why. */
static char *base_name(const char *path, const char *url)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    char *copy = *name ? strdup(name) : public_url(url);
    if (!copy)
        complain_of(url, -ENOMEM, NULL);
    return copy;
}

static void out_details(const struct larder_info *info)
{
    char size[24] = "-", time[TIME_TEXT_SIZE] = "-";
    if (info->type == LARDER_FILE && info->size != LARDER_SIZE_UNKNOWN)
        snprintf(size, sizeof size, "%lld", (long long)info->size);
    if (info->mtime_ns != 0)
        format_time(info->mtime_ns, false, time);
    out_format("%12s  %-20s  ", size, time);
}

static int out_entry(const struct cli *cli, const char *name, const struct larder_info *info)
{
    if (cli->json)
        return out_json(json_entry(name, info));
    if (cli->details)
        out_details(info);
    return out_name(cli, name, info->type == LARDER_DIRECTORY ? "/" : "");
}

/* Of what is at `path`; an entry without a name is that itself. An exit code. */
static int out_entries(const struct cli *cli, const struct larder_entries *entries, const char *path,
                       const char *url)
{
    char *itself = base_name(path, url);
    int rc = 0;
    for (size_t i = 0; itself && rc == 0 && i < entries->count; i++) {
        const char *name = entries->info[i].name;
        rc = out_entry(cli, *name ? name : itself, &entries->info[i]);
    }
    int code = itself ? DONE : FAILED;
    free(itself);
    return code;
}

/* Nothing below it: that is a failure only when there is no such directory either. */
static int check_there(const char *url, struct larder_fs *fs, const char *path)
{
    int rc = larder_exists(fs, path);
    if (rc == 0)
        return complain_of(url, -ENOENT, "no such file or directory");
    return rc < 0 ? complain(url, rc) : DONE;
}

struct listing {
    const char *url;
    struct outcome outcome;
};

/* A directory that cannot be listed, as the error text says: the others are shown all the same. */
static int leave_out(void *arg, const char *dir, int status)
{
    struct listing *listing = arg;
    outcome_add(&listing->outcome, complain(listing->url, status));
    return 0;
}

static int list(struct cli *cli, struct larder_find_options *options)
{
    const char *url = cli->args[0];
    struct listing listing = {.url = url};
    struct larder_entries entries;
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    options->failed = leave_out;
    options->arg = &listing;
    int rc = larder_find(fs, path, options, &entries);
    if (rc == 0) {
        code = out_entries(cli, &entries, path, url);
        if (entries.count == 0 && listing.outcome.failed == 0)
            code = check_there(url, fs, path);
        if (entries.count > 0 || listing.outcome.failed == 0)
            outcome_add(&listing.outcome, code);
        code = outcome_code(&listing.outcome);
        larder_entries_free(&entries);
    } else {
        code = complain(url, rc);
    }
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

int command_ls(struct cli *cli)
{
    struct larder_find_options options = {.size = sizeof options,
                                          .maxdepth = 1,
                                          .dirs = true,
                                          .names_only = !cli->json && !cli->details};
    return list(cli, &options);
}

int command_find(struct cli *cli)
{
    struct larder_find_options options = {.size = sizeof options,
                                          .maxdepth = cli->maxdepth,
                                          .dirs = cli->dirs,
                                          .jobs_max = cli->jobs,
                                          .names_only = !cli->json};
    return list(cli, &options);
}

static void out_stat(const struct cli *cli, const char *name, const struct larder_info *info)
{
    char time[TIME_TEXT_SIZE];
    out_text("name:  ");
    out_name(cli, name, "");
    out_format("type:  %s\n", type_name(info->type));
    if (info->size != LARDER_SIZE_UNKNOWN)
        out_format("size:  %lld\n", (long long)info->size);
    if (info->mtime_ns != 0) {
        format_time(info->mtime_ns, true, time);
        out_format("mtime: %s\n", time);
    }
    if (info->version) {
        out_text("etag:  ");
        out_name(cli, info->version, "");
    }
}

/* -a: what the place keeps beside the bytes, if it keeps any. */
static int out_properties(const struct cli *cli, const char *url, struct larder_fs *fs, const char *path,
                          json_t *object)
{
    struct larder_properties properties;
    int rc = larder_properties(fs, path, &properties);
    if (rc == -ENOTSUP || rc == -EISDIR)
        return DONE;
    if (rc < 0)
        return complain(url, rc);
    json_t *member = object ? json_object() : NULL;
    for (size_t i = 0; i < properties.count; i++) {
        const struct larder_property *property = &properties.property[i];
        if (member) {
            json_object_set_new(member, property->name, json_name(property->value));
        } else {
            out_format("%s: ", property->name);
            out_name(cli, property->value, "");
        }
    }
    if (member)
        json_object_set_new(object, "properties", member);
    larder_properties_free(&properties);
    return DONE;
}

int command_stat(struct cli *cli)
{
    const char *url = cli->args[0];
    struct larder_info info;
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    int rc = larder_info(fs, path, &info);
    if (rc == 0) {
        char *name = base_name(path, url);
        json_t *object = name && cli->json ? json_entry(name, &info) : NULL;
        if (!name)
            code = FAILED;
        else if (!cli->json)
            out_stat(cli, name, &info);
        if (code == DONE && cli->all)
            code = out_properties(cli, url, fs, path, object);
        if (object)
            out_json(object);
        free(name);
        larder_info_free(&info);
    } else {
        code = complain(url, rc);
    }
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

int command_exists(struct cli *cli)
{
    const char *url = cli->args[0];
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    int rc = larder_exists(fs, path);
    if (rc < 0)
        code = complain(url, rc);
    else
        code = rc > 0 ? DONE : MISSING;
    larder_free(path);
    larder_fs_free(fs);
    return code;
}
