/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, and what they say of themselves. */
#include "options.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"ls", "[-l] [-0] URL", "the entries of a directory", command_ls, 1, 1, WITH(DETAILS) | WITH(ZERO)},
    {"find", "[--maxdepth N] [--dirs] [-0] URL", "every file below", command_find, 1, 1,
     WITH(MAXDEPTH) | WITH(DIRS) | WITH(ZERO)},
    {"glob", "[--maxdepth N] [-0] PATTERN-URL", "what a pattern of * ? [set] ** matches", command_glob, 1, 1,
     WITH(MAXDEPTH) | WITH(ZERO)},
    {"stat", "[-a] URL", "what is known of one entry; -a: its type, metadata and so on too", command_stat, 1,
     1, WITH(ALL)},
    {"exists", "URL", "exit 0 if it is there, 3 if not", command_exists, 1, 1, 0},
    {"du", "[-a] [-0] URL", "how many bytes are below", command_du, 1, 1, WITH(ALL) | WITH(ZERO)},
    {"cat", "[--range A-B] [--literal] URL...", "files to stdout, in this order", command_cat, 1, INT_MAX,
     WITH(RANGE) | WITH(LITERAL)},
    {"head", "[-c N] [--literal] URL...", "the first bytes of files", command_head, 1, INT_MAX,
     WITH(BYTES) | WITH(LITERAL)},
    {"tail", "[-c N] [--literal] URL...", "the last bytes of files", command_tail, 1, INT_MAX,
     WITH(BYTES) | WITH(LITERAL)},
    {"pipe", "[--create] URL", "stdin becomes the file", command_pipe, 1, 1, WITH(CREATE)},
    {"get", "[-r] [--create] [--literal] URL... FILE|DIRECTORY|-", "files to the disk", command_get, 2,
     INT_MAX, WITH(RECURSIVE) | WITH(CREATE) | WITH(MAXDEPTH) | WITH(LITERAL)},
    {"put", "[-r] [--create] [--literal] [--txn] FILE... URL", "files from the disk", command_put, 2, INT_MAX,
     WITH(RECURSIVE) | WITH(CREATE) | WITH(MAXDEPTH) | WITH(LITERAL) | WITH(TXN)},
    {"cp", "[-r] [--create] [--literal] URL... URL", "files from place to place", command_cp, 2, INT_MAX,
     WITH(RECURSIVE) | WITH(CREATE) | WITH(MAXDEPTH) | WITH(LITERAL)},
    {"mv", "[--create] [--literal] URL... URL", "move files and directories", command_mv, 2, INT_MAX,
     WITH(RECURSIVE) | WITH(CREATE) | WITH(LITERAL)},
    {"sync", "[--delete] [--dry-run] [--checksum|--size-only] [--include P] [--exclude P] [-0] URL URL",
     "make the second tree like the first", command_sync, 2, 2,
     WITH(DELETE) | WITH(DRY_RUN) | WITH(CHECKSUM) | WITH(SIZE_ONLY) | WITH(INCLUDE) | WITH(EXCLUDE) |
         WITH(ZERO)},
    {"touch", "URL...", "make files, or make them new", command_touch, 1, INT_MAX, 0},
    {"rm", "[-r] [--literal] URL...", "remove files, or directories", command_rm, 1, INT_MAX,
     WITH(RECURSIVE) | WITH(LITERAL)},
    {"mkdir", "[-p] URL...", "make directories", command_mkdir, 1, INT_MAX, WITH(PARENTS)},
    {"rmdir", "URL...", "remove empty directories", command_rmdir, 1, INT_MAX, 0},
    {"sign", "[--expires SECONDS] URL", "a URL that works without credentials", command_sign, 1, 1,
     WITH(EXPIRES)},
    {"uploads", "[--abort] [-0] s3://...", "unfinished multipart uploads: when begun, id, what of",
     command_uploads, 1, 1, WITH(ABORT) | WITH(ZERO)},
    {"map keys", "[-0] [PREFIX] URL", "the keys of a directory, or those below PREFIX", command_map_keys, 1,
     2, WITH(ZERO)},
    {"map get", "[-0] URL KEY...|-", "the values of keys, in this order (-: keys from stdin)",
     command_map_get, 2, INT_MAX, WITH(ZERO)},
    {"map set", "[--create] URL KEY", "stdin becomes the value", command_map_set, 2, 2, WITH(CREATE)},
    {"map del", "URL KEY...", "delete keys", command_map_del, 2, INT_MAX, 0},
    {"mirror",
     "[--include P] [--exclude P] [--max-depth N] [--from FILE] [-0] [--limit-rate N] [--dry-run] URL",
     "a whole tree into the cache, for --offline", command_mirror, 1, 1,
     WITH(INCLUDE) | WITH(EXCLUDE) | WITH(MAX_DEPTH) | WITH(FROM) | WITH(ZERO) | WITH(LIMIT_RATE) |
         WITH(DRY_RUN)},
    {"txn list", "", "transactions that are not finished", command_txn_list, 0, 0, 0},
    {"txn recover", "[--theirs|--ours]", "finish what dead processes left", command_txn_recover, 0, 0,
     WITH(THEIRS) | WITH(OURS)},
    {"txn resume", "ID", "go on with one that was being staged, and commit it", command_txn_resume, 1, 1, 0},
    {"txn rollback", "[ID]", "undo what dead processes did not commit", command_txn_rollback, 0, 1, 0},
    {"cache stat", "", "what the cache holds", command_cache_stat, 0, 0, 0},
    {"cache ls", "[-0] [URL]", "what is cached, of URL or all: size, kind, fresh, pinned", command_cache_ls,
     0, 1, WITH(ZERO)},
    {"cache why", "URL", "what is known of it, how long, and who says so", command_cache_why, 1, 1, 0},
    {"cache pin", "URL...", "never evict what is below URL", command_cache_pin, 1, INT_MAX, 0},
    {"cache unpin", "URL...", "take that back, for it and all below", command_cache_unpin, 1, INT_MAX, 0},
    {"cache prune", "[--max-size N]", "evict what was used last the longest ago, and free the disk",
     command_cache_prune, 0, 0, WITH(MAX_SIZE)},
    {"cache export", "FILE|- [URL...]", "what is cached, of URLs or all, into one file", command_cache_export,
     1, INT_MAX, 0},
    {"cache import", "FILE|-", "such a file into the cache", command_cache_import, 1, 1, 0},
    {"cache verify", "", "look at all that is cached, and remove what is damaged", command_cache_verify, 0, 0,
     0},
    {"cache clear", "[URL...]", "forget what is cached, of URL or all", command_cache_clear, 0, INT_MAX, 0},
    {"help", "[COMMAND|options]", "this text, a command's, or the options for -o", command_help, 0, 2, 0},
    {"version", "", "the version", command_version, 0, 0, 0},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

const struct command *find_command(char **args, int count, int *words)
{
    for (size_t i = 0; count > 0 && i < COMMAND_COUNT; i++) {
        const char *name = commands[i].name, *space = strchr(name, ' ');
        size_t size = space ? (size_t)(space - name) : strlen(name);
        if (strlen(args[0]) != size || memcmp(args[0], name, size) != 0)
            continue;
        if (space && (count < 2 || strcmp(args[1], space + 1) != 0))
            continue;
        *words = space ? 2 : 1;
        return &commands[i];
    }
    return NULL;
}

static void print_option(const struct option_spec *spec)
{
    char text[64];
    snprintf(text, sizeof text, "%c%c%s%s%s%s%s", spec->letter ? '-' : ' ', spec->letter ? spec->letter : ' ',
             spec->letter && spec->name ? ", " : "  ", spec->name ? "--" : "", spec->name ? spec->name : "",
             spec->argument ? " " : "", spec->argument ? spec->argument : "");
    out_format("  %-28s  %s\n", text, spec->help);
}

void print_command_help(const struct command *command)
{
    out_format("usage: larder %s%s%s\n%s\n", command->name, *command->usage ? " " : "", command->usage,
               command->help);
    if (command->options)
        out_text("\noptions:\n");
    for (int id = GLOBAL_COUNT; id < OPTION_COUNT; id++)
        if (command->options & WITH(id))
            print_option(&option_specs[id]);
    out_text("\n`larder help` lists the options of all commands.\n");
}

static void print_help(void)
{
    out_text("usage: larder [OPTIONS] COMMAND [ARGUMENTS]\n\n"
             "Files of HTTP, WebDAV and S3 servers and disks, and a cache that keeps them at hand. A URL is\n"
             "PROTOCOL://..., a chain such as cache::https://host/tree, or a plain path.\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        out_format("  %-12s  %s\n", commands[i].name, commands[i].help);
    out_text("\noptions, before or behind the command:\n");
    for (int id = 0; id < GLOBAL_COUNT; id++)
        print_option(&option_specs[id]);
    out_text("\nexit: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 offline and not cached, 5 some of many "
             "failed\n"
             "`man larder` says more.\n");
}

static void print_layer_options(void)
{
    struct larder_option option = {.size = sizeof option};
    for (size_t i = 0; larder_option_at(i, &option) == 0; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%s", option.layer, option.name);
        out_format("  %-28s  %s%s%s%s", name, option.help, option.fallback ? " [" : "",
                   option.fallback ? option.fallback : "", option.fallback ? "]" : "");
        out_format("%s%s\n", option.origin ? "; set by " : "", option.origin ? option.origin : "");
    }
}

static bool in_group(const struct command *command, const char *group)
{
    size_t size = strlen(group);
    return strncmp(command->name, group, size) == 0 && command->name[size] == ' ';
}

bool is_group(const char *word)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (in_group(&commands[i], word))
            return true;
    return false;
}

bool print_group_help(const char *group)
{
    bool found = false;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command *command = &commands[i];
        if (!in_group(command, group))
            continue;
        out_format("  larder %s%s%s\n      %s\n", command->name, *command->usage ? " " : "", command->usage,
                   command->help);
        found = true;
    }
    return found;
}

int command_help(struct cli *cli)
{
    int words = 0;
    if (cli->arg_count == 0) {
        print_help();
        return DONE;
    }
    if (cli->arg_count == 1 && strcmp(cli->args[0], "options") == 0) {
        print_layer_options();
        return DONE;
    }
    const struct command *command = find_command(cli->args, cli->arg_count, &words);
    if (command && words == cli->arg_count) {
        print_command_help(command);
        return DONE;
    }
    if (cli->arg_count == 1 && print_group_help(cli->args[0]))
        return DONE;
    return wrong_usage("help: there is no command \"%s%s%s\"", cli->args[0], cli->arg_count > 1 ? " " : "",
                       cli->arg_count > 1 ? cli->args[1] : "");
}

int command_version(struct cli *cli)
{
    out_format("larder %s\n", larder_version());
    return DONE;
}
