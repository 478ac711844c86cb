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

int command_ls(struct cli *cli)
{
    const char *url = cli->args[0];
    struct larder_entries entries;
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    int rc = larder_ls(fs, path, &entries);
    if (rc == 0) {
        code = out_entries(cli, &entries, path, url);
        larder_entries_free(&entries);
    } else {
        code = complain(url, rc);
    }
    larder_free(path);
    larder_fs_free(fs);
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

int command_find(struct cli *cli)
{
    const char *url = cli->args[0];
    struct larder_find_options options = {sizeof options, cli->maxdepth, cli->dirs, cli->jobs, !cli->json};
    struct larder_entries entries;
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    int rc = larder_find(fs, path, &options, &entries);
    if (rc == 0) {
        code = out_entries(cli, &entries, path, url);
        if (entries.count == 0)
            code = check_there(url, fs, path);
        larder_entries_free(&entries);
    } else {
        code = complain(url, rc);
    }
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

static void out_stat(const struct cli *cli, const char *name, const struct larder_info *info)
{
    char time[TIME_TEXT_SIZE];
    if (cli->json) {
        out_json(json_entry(name, info));
        return;
    }
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
        if (name)
            out_stat(cli, name, &info);
        else
            code = FAILED;
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
