/* SPDX-License-Identifier: Apache-2.0 */
/* Which errno an operation returns, in which situation: one row an operation, the same for every place. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "path_ops.h"
#include "tree.h"

/* What else may stand in a row, beside 0 and an errno. */
enum {
    NOT_ASKED = -10000, /* it would succeed, or means another thing in every place */
    NO_PARENT,          /* ENOENT where parents are required, else not asked */
    BELOW,              /* ENOTDIR; ENOENT where the place does not tell a file from nothing */
    BLOCKED,            /* ENOTDIR where a name is a file's or a directory's, else not asked */
    DIRECTORY,          /* EISDIR, likewise */
    EXISTS,             /* EEXIST, likewise */
};

static const char *const situations[] = {"none", "no/such", "file/below", "dir", "file"};
#define SITUATION_COUNT (sizeof situations / sizeof situations[0])
enum { AT_DIR = 3, AT_FILE = 4 }; /* their indexes */

/* In the order of `situations`: missing, with its parent; below a file; a directory that is not empty; a file. */
static const struct error_row {
    const char *op;
    int expected[SITUATION_COUNT];
} rows[] = {
    {"info", {ENOENT, ENOENT, BELOW, 0, 0}},
    {"size", {ENOENT, ENOENT, BELOW, 0, 0}},
    {"sizes", {ENOENT, ENOENT, BELOW, 0, 0}},
    {"modified", {ENOENT, ENOENT, BELOW, NOT_ASKED, 0}},
    {"ukey", {ENOENT, ENOENT, BELOW, NOT_ASKED, NOT_ASKED}},
    {"checksum", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"cat_file", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"cat_file of a range", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"cat_into", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"cat_to", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"cat", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"cat_ranges", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"head", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"tail", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"read_block", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"open r", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"open r, unbuffered", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"get_file", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"get", {ENOENT, ENOENT, ENOENT, 0, 0}},
    {"cp_file from", {ENOENT, ENOENT, BELOW, EISDIR, 0}},
    {"ls", {ENOENT, ENOENT, BELOW, 0, 0}},
    {"find", {0, 0, 0, 0, 0}},
    {"du", {0, 0, 0, 0, 0}},
    {"expand_path", {ENOENT, ENOENT, ENOENT, 0, 0}},
    {"pipe_file", {NOT_ASKED, NO_PARENT, BLOCKED, DIRECTORY, 0}},
    {"pipe_file, create", {NOT_ASKED, NO_PARENT, BLOCKED, EXISTS, EEXIST}},
    {"pipe_file, parents", {NOT_ASKED, NOT_ASKED, BLOCKED, DIRECTORY, 0}},
    {"pipe", {NOT_ASKED, NO_PARENT, BLOCKED, DIRECTORY, 0}},
    {"replace_file", {ESTALE, NOT_ASKED, NOT_ASKED, NOT_ASKED, ESTALE}},
    {"touch", {NOT_ASKED, NO_PARENT, BLOCKED, DIRECTORY, 0}},
    {"rm_file", {ENOENT, ENOENT, BELOW, EISDIR, NOT_ASKED}},
    {"rm_files", {ENOENT, ENOENT, BELOW, EISDIR, NOT_ASKED}},
    {"rm", {ENOENT, ENOENT, BELOW, EISDIR, NOT_ASKED}},
    {"rm of a tree", {ENOENT, ENOENT, BELOW, NOT_ASKED, NOT_ASKED}},
    {"mkdir", {NOT_ASKED, NO_PARENT, BLOCKED, EXISTS, EXISTS}},
    {"makedirs", {NOT_ASKED, NOT_ASKED, BLOCKED, EXISTS, EXISTS}},
    {"makedirs, exist_ok", {NOT_ASKED, NOT_ASKED, BLOCKED, 0, EXISTS}},
    {"rmdir", {ENOENT, ENOENT, BELOW, ENOTEMPTY, ENOTDIR}},
    {"put_file", {NOT_ASKED, NO_PARENT, BLOCKED, DIRECTORY, 0}},
    {"mv", {ENOENT, ENOENT, BELOW, NOT_ASKED, NOT_ASKED}},
    {"open w", {NOT_ASKED, NO_PARENT, BLOCKED, DIRECTORY, 0}},
    {"open x", {NOT_ASKED, NO_PARENT, BLOCKED, EXISTS, EEXIST}},
    {"open a", {NOT_ASKED, NO_PARENT, BLOCKED, EISDIR, NOT_ASKED}},
};
#define ROWS (sizeof rows / sizeof rows[0])

/* Is a status what is said, in this place? */
static bool is_right(const struct larder_capabilities *can, int expected, int rc)
{
    switch (expected) {
    case NO_PARENT:
        return rc == (can->parents_required ? -ENOENT : 0) || !can->parents_required;
    case BELOW:
        return rc == -ENOTDIR || rc == -ENOENT;
    case BLOCKED:
        return rc == -ENOTDIR;
    case DIRECTORY:
        return rc == -EISDIR;
    case EXISTS:
        return rc == -EEXIST;
    default:
        return rc == -expected;
    }
}

/* The text of a failure names what it is about. */
static bool is_named(const char *path)
{
    char name[64] = "";
    const char *start = path + strlen(path);
    while (start > path && (start[-1] != '/' || !start[0] || !start[1]))
        start--;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(start, "/"), start);
    return strstr(larder_error(), name) != NULL;
}

static int check(struct scenario_run *run, const struct path_op *op, const char *path, int expected)
{
    bool blocks = expected == BLOCKED || expected == DIRECTORY || expected == EXISTS;
    if (blocks && !larder_fs_capabilities(run->fs)->real_directories)
        return 0;
    int rc = op->call(run->fs, path, run->scratch);
    if (!is_right(larder_fs_capabilities(run->fs), expected, rc))
        return scenario_failed(run, __LINE__, path, rc);
    if (rc < 0 && !is_named(path))
        return scenario_failed(run, __LINE__, path, rc);
    return 0;
}

/* A slash behind a path means a directory, where there is one. In some places a file may have the same path. */
static int with_slash(struct scenario_run *run, const struct path_op *op, const struct error_row *row)
{
    const struct larder_capabilities *can = larder_fs_capabilities(run->fs);
    const int dir = row->expected[AT_DIR], file = row->expected[AT_FILE];
    bool takes_one = op->kind == PATH_READS || op->kind == PATH_LISTS || strncmp(op->name, "rm", 2) == 0;
    if ((dir != NOT_ASKED && check(run, op, "dir/", dir) < 0) ||
        (file != NOT_ASKED && check(run, op, "file/", file) < 0))
        return -1;
    if (!can->write || can->real_directories || run->place->disk || dir == NOT_ASKED || !takes_one)
        return 0;
    REQUIRE_IS(0, put_text(run, "both/kept", "x"));
    REQUIRE_IS(0, put_text(run, "both", "a file"));
    return check(run, op, "both/", dir);
}

static int row_is_right(struct scenario_run *run)
{
    const struct error_row *row = run->scenario->arg;
    const struct path_op *op = path_op_find(row->op);
    REQUIRE_IS(0, put_text(run, "file", "12345"));
    REQUIRE_IS(0, put_text(run, "dir/kept", "x"));
    tree_write(run->scratch, "given", "x", 1);
    for (size_t i = 0; i < SITUATION_COUNT; i++) {
        int rc = row->expected[i] == NOT_ASKED ? 0 : check(run, op, situations[i], row->expected[i]);
        if (rc < 0)
            return rc;
    }
    REQUIRE_IS(0, with_slash(run, op, row));
    REQUIRE_IS(1, larder_isfile(run->fs, "dir/kept"));
    return check(run, op, "../out", EINVAL) < 0 ? -1 : check(run, op, "a//b", EINVAL);
}

const struct scenario *error_scenarios(void)
{
    static struct scenario made[ROWS + 1];
    static char names[ROWS][64];
    for (size_t i = 0; i < ROWS; i++) {
        static const unsigned needs[] = {0, NEED_LIST, NEED_WRITE | NEED_CREATE};
        snprintf(names[i], sizeof names[i], "errors of %s", rows[i].op);
        unsigned real = strcmp(rows[i].op, "rmdir") == 0 ? NEED_REAL_DIRECTORIES : 0;
        made[i] =
            (struct scenario){names[i], needs[path_op_find(rows[i].op)->kind] | real, row_is_right, &rows[i]};
    }
    return made;
}
