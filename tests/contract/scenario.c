/* SPDX-License-Identifier: Apache-2.0 */
/* What scenarios put at a place, and how they look at what came back. */
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tmpdir.h"
#include "tree.h"

/* ---- putting things there ---- */

int scenario_failed(struct scenario_run *run, int line, const char *what, long long got)
{
    char *text = run->failure;
    size_t size = sizeof run->failure;
    snprintf(text, size, "line %d: %s (%lld %s) %s", line, what, got, larder_status_name((int)got),
             larder_error());
    return -1;
}

static void make_old(const char *disk, const char *path)
{
    const struct timeval times[2] = {{.tv_sec = time(NULL) - 10}, {.tv_sec = time(NULL) - 10}};
    char *full = tmpdir_path(disk, path);
    utimes(full, times);
    free(full);
}

int put_file(struct scenario_run *run, const char *path, const void *data, size_t size)
{
    char below[512];
    if (!run->place->disk)
        return larder_pipe_file(run->put, path, data, size, LARDER_PARENTS);
    snprintf(below, sizeof below, "%s/%s", run->dir, path);
    tree_write(run->place->disk, below, data, size);
    if (run->place->gaps & GAP_YOUNG)
        make_old(run->place->disk, below);
    return 0;
}

void make_dir(const char *disk, const char *path)
{
    char file[512];
    char *full;
    snprintf(file, sizeof file, "%s/.made", path);
    tree_write(disk, file, "", 0);
    full = tmpdir_path(disk, file);
    unlink(full);
    free(full);
}

int put_text(struct scenario_run *run, const char *path, const char *text)
{
    return put_file(run, path, text, strlen(text));
}

int put_meanwhile(struct scenario_run *run, const char *path, const char *text)
{
    struct scenario_run seen = *run;
    if (run->place->beneath)
        seen.put = run->fs;
    return put_text(&seen, path, text);
}

int put_dir(struct scenario_run *run, const char *path)
{
    char below[512];
    if (!run->place->disk)
        return larder_makedirs(run->put, path, true);
    snprintf(below, sizeof below, "%s/%s", run->dir, path);
    make_dir(run->place->disk, below);
    return 0;
}

int grow_old(struct scenario_run *run, const char *path)
{
    bool old = !(run->place->gaps & GAP_YOUNG);
    for (int tries = 0; tries < 200 && !old; tries++) {
        struct larder_info info;
        REQUIRE_IS(0, larder_info(run->fs, path, &info));
        old = info.version;
        larder_info_free(&info);
        usleep(old ? 0 : 50000);
    }
    return 0;
}

/* ---- looking at what came back ---- */

bool bytes_are(struct larder_bytes *bytes, const char *text)
{
    bool same = bytes->size == strlen(text) && memcmp(bytes->data ? bytes->data : "", text, bytes->size) == 0;
    larder_bytes_free(bytes);
    return same;
}

bool names_are(struct larder_entries *entries, const char *expected)
{
    char text[4096] = "";
    for (size_t i = 0; i < entries->count; i++) {
        strncat(text, i ? " " : "", sizeof text - strlen(text) - 1);
        strncat(text, entries->info[i].name, sizeof text - strlen(text) - 1);
        strncat(text, entries->info[i].type == LARDER_DIRECTORY ? "/" : "", sizeof text - strlen(text) - 1);
    }
    larder_entries_free(entries);
    bool same = strcmp(text, expected) == 0;
    if (!same)
        fprintf(stderr, "got      \"%s\"\nexpected \"%s\"\n", text, expected);
    return same;
}

int put_tree(struct scenario_run *run)
{
    static const char *const files[] = {"f1", "f2", "d/g1", "d/e/h1", "d/e/h2", "dd/x"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        REQUIRE_IS(0, put_text(run, files[i], files[i]));
    return 0;
}
