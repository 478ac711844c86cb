/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_SCENARIO_H
#define TESTS_SCENARIO_H
/*
 * A scenario is one piece of behaviour that every place shows alike. It runs on a thread and in a task, so it must not
 * use cmocka's assertions, which jump; it says what failed and returns.
 */
#include <stdbool.h>
#include <stddef.h>

#include "larder.h"

/* What is the server's own, and no fault of ours. */
enum gap {
    GAP_DOTS = 1,        /* listings leave out what begins with a dot */
    GAP_CONTROLS = 2,    /* no control characters in names */
    GAP_DIRECTORIES = 4, /* directories stay when nothing is in them any more */
    GAP_YOUNG = 8,       /* what was written within the last second has no version */
    GAP_FACTS = 16,      /* listings tell names and types alone … */
    GAP_SIZES = 32,      /* … and times, but no size to the byte */
};

/* A place, and how a test puts things there: through Larder, or on the disk behind the server. */
struct place {
    const char *name;
    const char *url;
    const char *const *options;
    const char *disk; /* the directory behind a server; NULL: through Larder */
    unsigned gaps;
    /* Seen through a transaction, which is never committed; `beneath`: what a scenario needs is put into the place itself,
     * not by the transaction. */
    bool txn, beneath;
    struct larder_capabilities expect; /* what it must be able to do: a false one is never an excuse */
};

enum need { NEED_LIST = 1, NEED_WRITE = 2, NEED_CREATE = 4, NEED_REAL_DIRECTORIES = 8 };

struct scenario_run {
    const struct scenario *scenario;
    const struct place *place;
    bool task;
    struct larder_fs *fs;            /* rooted in an empty directory of its own */
    struct larder_fs *put;           /* what is put there goes through this one */
    struct larder_fs *top, *put_top; /* both, at the place's root */
    const char *dir;                 /* its path below the place's root */
    const char *scratch;             /* a local directory, empty */
    char failure[1024];
};

struct scenario {
    const char *name;
    unsigned needs;
    int (*run)(struct scenario_run *run); /* 0, REQUIRE's -1, or: */
#define SCENARIO_OTHER 1                  /* it is of the other caller, thread or task, alone */
    const void *arg;
};
/* Each ended by a NULL name. */
extern const struct scenario read_scenarios[], list_scenarios[], many_scenarios[], write_scenarios[],
    map_scenarios[], glob_scenarios[], copy_scenarios[], open_file_scenarios[], staging_scenarios[];
/* One for each row of a table: of lib/copy_rows.h, of what patterns match, of what fails how. */
const struct scenario *copy_row_scenarios(void), *glob_row_scenarios(void), *error_scenarios(void);

/* Put a file, or a directory, below run->fs. */
int put_file(struct scenario_run *run, const char *path, const void *data, size_t size);
int put_text(struct scenario_run *run, const char *path, const char *text);
int put_dir(struct scenario_run *run, const char *path);
/* f1 f2 d/g1 d/e/h1 d/e/h2 dd/x, each of its path. */
int put_tree(struct scenario_run *run);
/* An empty directory on the disk, with the parents that it lacks. */
void make_dir(const char *disk, const char *path);
/* As put_text, by somebody else who sees what run->fs shows. */
int put_meanwhile(struct scenario_run *run, const char *path, const char *text);
/* Wait for GAP_YOUNG to be over. */
int grow_old(struct scenario_run *run, const char *path);

/* Are these the bytes? Frees them. */
bool bytes_are(struct larder_bytes *bytes, const char *text);
/* Are these the names of a listing, directories with a slash: "a b/ c"? Frees it. */
bool names_are(struct larder_entries *entries, const char *expected);

int scenario_failed(struct scenario_run *run, int line, const char *what, long long got);
#define REQUIRE(condition)                                        \
    do {                                                          \
        if (!(condition))                                         \
            return scenario_failed(run, __LINE__, #condition, 0); \
    } while (0)
#define REQUIRE_IS(expected, call)                              \
    do {                                                        \
        long long got_ = (call);                                \
        if (got_ != (expected))                                 \
            return scenario_failed(run, __LINE__, #call, got_); \
    } while (0)

#endif
