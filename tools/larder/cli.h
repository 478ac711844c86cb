/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOLS_CLI_H
#define TOOLS_CLI_H
/*
 * The larder command: what its files share. It uses the public API only. Commands return an exit code; stdout
 * carries data and nothing else, and everything that is said goes to stderr as "larder: WHAT: WHY".
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "larder.h"

/* 130 and 143 are those of a command that SIGINT or SIGTERM ended. */
enum exit_code { DONE = 0, FAILED = 1, USAGE = 2, MISSING = 3, OFFLINE = 4, PARTLY = 5 };

struct cli {              /* const once the command runs, but for `cached` */
    const char **options; /* for larder_open; NULL-ended */
    size_t option_count;
    char **args; /* behind the command's name */
    int arg_count;
    const char *range, *from;
    const char **include, **exclude; /* NULL-ended; NULL: none */
    int64_t bytes;                   /* of head and tail */
    int64_t rate;                    /* bytes a second; 0: no limit */
    int64_t size;                    /* --max-size; -1: not given */
    unsigned jobs, maxdepth;         /* 0: the default */
    unsigned expires_s;              /* of a signed URL; 0: the default */
    int verbosity;
    bool offline, json, zero, details, dirs, create, literal, progress, all, recursive, parents, dry_run,
        abort;
    bool remove_extra, checksum, size_only;
    bool txn, theirs, ours;
    bool cached; /* something was opened through the cache, so that it has to be flushed */
};

/* ---- open.c ---- */
/* Open what `url` names, through the cache if it, `cached` or --offline says so. DONE, or it has complained. */
int cli_open(struct cli *cli, const char *url, bool cached, struct larder_fs **fs, char **path);
/* The same of a local path, whatever it looks like, and never through the cache. */
int cli_open_local(struct cli *cli, const char *path, struct larder_fs **fs, char **full);
/* The first of `urls`, and those behind it that are in the same place. */
struct place {
    struct larder_fs *fs;
    char **urls;  /* borrowed */
    char **paths; /* in `fs`, one for each, with the slash behind it (malloc) */
    int count;
};
/* DONE, or it has complained. */
int place_open(struct cli *cli, char **urls, int count, struct place *out);
void place_close(struct place *place);
int cli_open_map(struct cli *cli, const char *url, struct larder_map **map);
int cli_open_cache(struct cli *cli, struct larder_cache **cache);
/* What was fetched stays, also when the command was stopped: so that the next one goes on there. */
void cli_flush_cache(struct cli *cli);
/* The signal that asked the command to stop; 0: none. Long loops of the command's own ask now and then. */
int interrupted(void);

/* ---- output.c ---- */
/* "larder: TEXT" on stderr, in a line of its own. Any thread. */
void say(const char *text);
/* What may be shown of a URL: no user, no password, and "?…" for a query, in which there may be a token. malloc. */
char *public_url(const char *url);
/* What is behind the views of a chain: a part of it. */
const char *leaf_of(const char *url);
/* Say what went wrong with `what`, in the words of larder_error() or in `why`; the exit code for `status`.
 * Nothing is said of what a signal or a closed pipe stopped. */
int complain(const char *what, int status);
int complain_of(const char *what, int status, const char *why);
/* The same for wrong usage. */
__attribute__((format(printf, 1, 2))) int wrong_usage(const char *format, ...);

/* The exit code of many: DONE, or that of all when they failed alike, else PARTLY. */
struct outcome {
    size_t done, failed;
    int code;
    bool differs;
};
void outcome_add(struct outcome *outcome, int code);
int outcome_code(const struct outcome *outcome);

/* Data, through a buffer. A status: the first failure sticks, and every later call returns it. */
int out_bytes(const void *data, size_t size);
int out_text(const char *text);
__attribute__((format(printf, 1, 2))) int out_format(const char *format, ...);
/* A name, with its end of line, or NUL with -0; with `suffix` in front of that. */
int out_name(const struct cli *cli, const char *name, const char *suffix);
int out_json(json_t *object); /* one line; consumes it */
int out_flush(void);
/* All of it, unless a signal came: -ECANCELED. */
int write_all(int fd, const char *data, size_t size);
/* Flush, and complain if any output failed: the exit code for what would be `code` else. */
int out_finish(int code);

/* Any bytes; what is not UTF-8 becomes U+FFFD, since JSON knows no other text. */
json_t *json_name(const char *name);
/* {"name","type","size","mtime","etag"}; what is unknown is left out. */
json_t *json_entry(const char *name, const struct larder_info *info);

#define TIME_TEXT_SIZE 48
/* RFC 3339 in UTC; `exact`: with the fraction, if there is any. */
void format_time(int64_t time_ns, bool exact, char out[TIME_TEXT_SIZE]);
#define SIZE_TEXT_SIZE 24
void format_size(uint64_t bytes, char out[SIZE_TEXT_SIZE]); /* 1.5 MiB */
const char *type_name(enum larder_type type);

/* ---- progress.c ---- */
/* A bar on stderr: on a terminal, and once the work has taken a second. */
void progress_begin(const struct cli *cli, const char *what);
/* The same for work that puts data to stdout: no bar where both are the terminal. */
void progress_begin_output(const struct cli *cli, const char *what);
void progress_bytes(uint64_t done, int64_t total); /* -1: unknown */
void progress_more(uint64_t bytes);                /* of a sum that nobody knows */
void progress_files(uint64_t files);
/* What has to be written in front of a message, so that it does not stand in the bar. Any thread. */
const char *progress_hide(void);
void progress_end(void);

/* ---- values.c ---- */
/* Names of files of one place (`map` NULL: paths below `fs`; else keys), whose bytes are wanted in this
 * order. */
struct values {
    struct cli *cli;
    struct larder_fs *fs;
    struct larder_map *map;
    const struct larder_range *range; /* of each; NULL: all */
    const char *const *names;
    const char *const *labels; /* what messages call them */
    size_t count;
    bool report; /* --json: a line about each instead of its bytes */
};
/* Fetch them concurrently and write them in order, in bounded memory. A status stops it: of the output, or
 * -ECANCELED; what the files met is in `outcome`. */
int values_write(const struct values *values, struct outcome *outcome);

/* ---- names.c ---- */
/* All that `fd` has, NUL behind it; malloc. `name` is what messages call it. */
int read_input(int fd, const char *name, char **data, size_t *size);
struct names {
    char **names; /* malloc, each of them */
    size_t count, capacity;
};
int names_add(struct names *names, const char *name, size_t size); /* a status */
/* Those in a file ("-": stdin), one a line, or with -0 up to a NUL each. An exit code. */
int names_read(const struct cli *cli, const char *file, struct names *names);
void names_free(struct names *names);

/* ---- glob.c ---- */
struct url_list { /* all malloc */
    char **urls;
    int count;
};
/* The arguments, each that is a pattern, names nothing and comes without --literal as the files that it matches, with
 * -r as the directories, too; one that matches nothing is an item that is missing. DONE, or it has complained. */
int expand_args(struct cli *cli, struct url_list *list, struct outcome *outcome);
void url_list_free(struct url_list *list);
/* cli_open, and the path with the slash that is behind it in the URL (malloc). */
int cli_open_whole(struct cli *cli, const char *url, struct larder_fs **fs, char **path);
/* A source of a copy: its place, and its path there, likewise. It is a pattern unless it names
 * something, or --literal was given. DONE, or it has complained. */
int open_source(struct cli *cli, const char *url, struct larder_fs **fs, char **path, bool *is_pattern);

/* ---- change.c ---- */
/* Is it what `rm -r` must not remove: the root of its place, "." or ".."? */
bool tree_stays(const char *url, const char *path);

/* ---- copy.c ---- */
/* What a file is called in messages: its URL, or its path if it is a local one. NULL: it has none. Freed with larder_free. */
char *name_of(struct larder_fs *fs, const char *path);
/* The last argument is a local path, whatever it looks like. */
int copy_to_local(struct cli *cli);

/* ---- txn.c ---- */
/* *fs becomes its view in a new transaction. DONE, or it has complained, and *fs is as it was. */
int txn_begin(const char *note, struct larder_fs **fs, struct larder_txn **out);
/* Commit it, if what was done in it is DONE, else roll it back; the exit code of both. With --json a line for each file. */
int txn_end(struct cli *cli, const char *what, struct larder_txn *txn, int code);

/* ---- commands ---- */
int command_ls(struct cli *cli);
int command_find(struct cli *cli);
int command_glob(struct cli *cli);
int command_stat(struct cli *cli);
int command_exists(struct cli *cli);
int command_du(struct cli *cli);
int command_cat(struct cli *cli);
int command_head(struct cli *cli);
int command_tail(struct cli *cli);
int command_pipe(struct cli *cli);
int command_get(struct cli *cli);
int command_put(struct cli *cli);
int command_cp(struct cli *cli);
int command_mv(struct cli *cli);
int command_sync(struct cli *cli);
int command_touch(struct cli *cli);
int command_rm(struct cli *cli);
int command_mkdir(struct cli *cli);
int command_rmdir(struct cli *cli);
int command_map_keys(struct cli *cli);
int command_map_get(struct cli *cli);
int command_map_set(struct cli *cli);
int command_map_del(struct cli *cli);
int command_sign(struct cli *cli);
int command_uploads(struct cli *cli);
int command_mirror(struct cli *cli);
int command_txn_list(struct cli *cli);
int command_txn_recover(struct cli *cli);
int command_txn_resume(struct cli *cli);
int command_txn_rollback(struct cli *cli);
int command_cache_stat(struct cli *cli);
int command_cache_clear(struct cli *cli);
int command_cache_export(struct cli *cli);
int command_cache_import(struct cli *cli);
int command_cache_ls(struct cli *cli);
int command_cache_pin(struct cli *cli);
int command_cache_prune(struct cli *cli);
int command_cache_unpin(struct cli *cli);
int command_cache_verify(struct cli *cli);
int command_cache_why(struct cli *cli);

#endif
