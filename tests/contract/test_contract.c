/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract: every scenario over every place and every stack of views, from a thread and from a task. Prints a table
 * of place × scenario: "ok", "-" where the place's own capabilities say that it cannot, "FAILED".
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "scenario.h"
#include "server.h"
#include "tmpdir.h"
#include "tree.h"

#define LIST_ONLY  {.list = true, .real_directories = true}
#define ALL_OF_IT  {.list = true, .write = true, .create_only = true, .real_directories = true}
#define PLACES_MAX 8

static struct place places[PLACES_MAX];
static size_t place_count;
static char *scratch;
static struct server *nginx, *gateway;
static const struct scenario *const tables[] = {scenarios, copy_scenarios, open_file_scenarios};
#define TABLES (sizeof tables / sizeof tables[0])
static char verdicts[PLACES_MAX][TABLES][64][2][8];

/* ---- putting things there ---- */

int scenario_failed(struct scenario_run *run, int line, const char *what, long long got)
{
    char *text = run->failure;
    size_t size = sizeof run->failure;
    snprintf(text, size, "line %d: %s (%lld %s) %s", line, what, got, larder_status_name((int)got),
             larder_error());
    return -1;
}

int put_file(struct scenario_run *run, const char *path, const void *data, size_t size)
{
    char below[512];
    if (!run->place->disk)
        return larder_pipe_file(run->fs, path, data, size, LARDER_PARENTS);
    snprintf(below, sizeof below, "%s/%s", run->dir, path);
    tree_write(run->place->disk, below, data, size);
    return 0;
}

int put_text(struct scenario_run *run, const char *path, const char *text)
{
    return put_file(run, path, text, strlen(text));
}

int put_dir(struct scenario_run *run, const char *path)
{
    char below[512];
    if (!run->place->disk)
        return larder_makedirs(run->fs, path, true);
    snprintf(below, sizeof below, "%s/%s/.keep", run->dir, path);
    tree_write(run->place->disk, below, "", 0);
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

/* ---- one scenario, once ---- */

struct call {
    const struct scenario *scenario;
    struct scenario_run run;
};

static int run_scenario(void *arg)
{
    struct call *call = arg;
    return call->scenario->run(&call->run);
}

static bool excused(const struct larder_capabilities *can, unsigned needs)
{
    return ((needs & NEED_LIST) && !can->list) || ((needs & NEED_WRITE) && !can->write) ||
           ((needs & NEED_CREATE) && !can->create_only) ||
           ((needs & NEED_REAL_DIRECTORIES) && !can->real_directories);
}

static bool run_once(struct larder_fs *top, const struct place *place, const struct scenario *scenario,
                     bool task)
{
    static unsigned runs;
    struct call call = {scenario, {.place = place, .scratch = scratch}};
    char dir[64];
    snprintf(dir, sizeof dir, "%d-%03u-%s", (int)(place - places), ++runs, task ? "task" : "thread");
    call.run.dir = dir;
    assert_ok(larder_fs_at(top, dir, NULL, &call.run.fs));
    assert_ok(put_dir(&call.run, ""));
    int rc = task ? larder_sync(NULL, run_scenario, &call, 0) : run_scenario(&call);
    larder_fs_free(call.run.fs);
    if (rc != 0)
        print_error("%s, %s, from a %s: %s\n", place->name, scenario->name, task ? "task" : "thread",
                    call.run.failure);
    return rc == 0;
}

/* How many failed. */
static int run_scenario_twice(struct larder_fs *top, const struct place *place,
                              const struct scenario *scenario, char verdict[2][8])
{
    int failures = 0;
    for (int task = 0; task < 2; task++) {
        if (excused(larder_fs_capabilities(top), scenario->needs)) {
            strcpy(verdict[task], "-");
            continue;
        }
        bool ok = run_once(top, place, scenario, task);
        strcpy(verdict[task], ok ? "ok" : "FAILED");
        failures += !ok;
    }
    return failures;
}

static void contract(void **state)
{
    const struct place *place = *state;
    const struct larder_capabilities *can;
    struct larder_fs *top;
    int failures = 0;
    assert_ok(larder_open(NULL, place->url, place->options, &top, NULL));
    can = larder_fs_capabilities(top);
    /* A place that says it cannot what it must is not excused. */
    assert_true(can->list >= place->expect.list && can->write >= place->expect.write);
    assert_true(can->create_only >= place->expect.create_only);
    assert_true(can->real_directories >= place->expect.real_directories);
    for (size_t t = 0; t < TABLES; t++)
        for (const struct scenario *s = tables[t]; s->name; s++)
            failures += run_scenario_twice(top, place, s, verdicts[place - places][t][s - tables[t]]);
    larder_fs_free(top);
    assert_int_equal(failures, 0);
}

/* ---- the places ---- */

static const char *const *cache_options(const char *name)
{
    char **options = calloc(3, sizeof *options);
    char *dir = tmpdir_path(scratch, name);
    assert_true(asprintf(&options[0], "cache.dir=%s", dir) > 0);
    free(dir);
    return (const char *const *)options;
}

static void add_place(const char *name, const char *url, const char *disk, struct larder_capabilities expect)
{
    struct place *plain = &places[place_count++], *cached = &places[place_count++];
    char *cached_name = NULL, *cached_url = NULL;
    assert_true(asprintf(&cached_name, "cache::%s", name) > 0 && asprintf(&cached_url, "cache::%s", url) > 0);
    *plain = (struct place){name, url, NULL, disk, expect};
    *cached = (struct place){cached_name, cached_url, cache_options(cached_name), disk, expect};
}

static int setup(void **state)
{
    scratch = tmpdir_make();
    char *local = tmpdir_path(scratch, "local");
    add_place("memory", "memory://contract", NULL, (struct larder_capabilities)ALL_OF_IT);
    add_place("local", local, NULL, (struct larder_capabilities)ALL_OF_IT);
    nginx = server_start("nginx", NULL);
    if (nginx) {
        char *url, *disk = tmpdir_path(server_root(nginx), "contract");
        assert_true(asprintf(&url, "%s/contract", server_url(nginx)) > 0);
        tree_write(disk, ".keep", "", 0);
        add_place("http", url, disk, (struct larder_capabilities)LIST_ONLY);
    }
    gateway = server_start("rgw", NULL);
    if (gateway) {
        struct larder_fs *account;
        setenv("AWS_ENDPOINT_URL_S3", server_url(gateway), 1);
        setenv("AWS_ACCESS_KEY_ID", "testkey", 1);
        setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
        assert_ok(larder_open(NULL, "s3://", NULL, &account, NULL));
        assert_ok(larder_mkdir(account, "contract", false));
        larder_fs_free(account);
        add_place("s3", "s3://contract", NULL,
                  (struct larder_capabilities){.list = true, .write = true, .create_only = true});
    }
    return 0;
}

static void print_row(const char *name, size_t table, size_t index)
{
    printf("%-40s", name);
    for (size_t p = 0; p < place_count; p++) {
        char cell[24], (*verdict)[8] = verdicts[p][table][index];
        snprintf(cell, sizeof cell, "%s %s", verdict[0], verdict[1]);
        printf(" %-15s", cell);
    }
    printf("\n");
}

static void print_table(void)
{
    printf("\n%-40s", "");
    for (size_t p = 0; p < place_count; p++)
        printf(" %-15s", places[p].name);
    printf("\n");
    for (size_t t = 0; t < TABLES; t++)
        for (const struct scenario *s = tables[t]; s->name; s++)
            print_row(s->name, t, (size_t)(s - tables[t]));
}

static int teardown(void **state)
{
    print_table();
    server_stop(nginx);
    server_stop(gateway);
    for (size_t p = 0; p < place_count; p++)
        if (places[p].options)
            free((char *)places[p].options[0]);
    tmpdir_remove(scratch);
    return 0;
}

int main(void)
{
    static const char *const names[PLACES_MAX] = {"memory", "cache::memory", "local", "cache::local",
                                                  "http",   "cache::http",   "s3",    "cache::s3"};
    struct CMUnitTest tests[PLACES_MAX];
    for (size_t i = 0; i < PLACES_MAX; i++)
        tests[i] = (struct CMUnitTest){.name = names[i], .test_func = contract, .initial_state = &places[i]};
    return cmocka_run_group_tests(tests, setup, teardown);
}
