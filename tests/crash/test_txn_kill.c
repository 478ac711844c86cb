/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions under SIGKILL (txn_rounds.h). A writer is killed at each named crash point, each time that it is reached,
 * and at random moments. Then somebody recovers, who may be killed as well, and is followed by one who is not.
 *
 * LARDER_KILL_SECONDS makes the random part longer, LARDER_KILL_SEED another.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"

#include "server.h"
#include "tmpdir.h"
#include "txn_rounds.h"

#define PLACES 6 /* that share the time */

static char *scratch, *journal, *cache, *tree;

static const char *const points[] = {
    "txn.payload_file",      "txn.staging_noted",    "txn.part_staged",     "txn.before_seal",
    "journal.before_commit", "journal.after_commit", "txn.sealed",          "txn.stage_begun",
    "txn.stage_noted",       "txn.stage_sent",       "txn.deciding",        "txn.condition_written",
    "txn.decided",           "txn.write_begun",      "txn.write_sent",      "txn.written",
    "txn.time_set",          "txn.removed",          "txn.directory_made",  "txn.all_written",
    "txn.published",         "txn.synced",           "txn.forgotten",       "txn.ending",
    "txn.discarded",         "local.staged",         "local.before_rename",
};
#define POINTS (sizeof points / sizeof points[0])

/* The first so many times that each is reached. */
static void a_kill_at_any_named_point_is_recovered_from(unsigned turns)
{
    for (size_t i = 0; i < POINTS; i++)
        for (unsigned turn = 1; turn <= turns; turn++) {
            char point[64];
            snprintf(point, sizeof point, "%s:%u", points[i], turn);
            rounds_next();
            rounds_play(point, 0, rounds_draw(2) ? points[rounds_draw(POINTS)] : NULL);
        }
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void a_kill_at_any_moment_is_recovered_from(double seconds)
{
    for (double until = now_s() + seconds; now_s() < until;) {
        rounds_next();
        rounds_play(NULL, 500 + rounds_draw(60000), rounds_draw(4) ? NULL : points[rounds_draw(POINTS)]);
    }
}

static void play_all(struct rounds_place place, unsigned turns)
{
    const char *seed = getenv("LARDER_KILL_SEED"), *seconds = getenv("LARDER_KILL_SECONDS");
    place.journal = journal;
    place.tree = tree;
    place.changes_max = 50;
    rounds_begin(&place, seed ? (unsigned)strtoul(seed, NULL, 10) : 1);
    a_kill_at_any_named_point_is_recovered_from(seconds ? 3 : turns);
    a_kill_at_any_moment_is_recovered_from(seconds ? atof(seconds) / PLACES : 1);
    rounds_print();
    assert_true(rounds_counts()->kills > rounds_counts()->rounds / 5 && rounds_counts()->there > 0);
}

/* The place is `dir`/kill on this disk. */
static void make_tree(const char *dir)
{
    tree = tmpdir_path(dir, "kill");
    assert_int_equal(mkdir(tree, 0700), 0);
}

/* ---- places ---- */

static void on_a_local_disk_a_transaction_is_all_or_nothing(void **state)
{
    make_tree(scratch);
    play_all((struct rounds_place){.name = "local", .url = tree}, 3);
}

static void on_a_local_disk_behind_a_cache_a_transaction_is_all_or_nothing(void **state)
{
    char url[400];
    make_tree(scratch);
    snprintf(url, sizeof url, "cache::%s", tree);
    play_all((struct rounds_place){.name = "cache::local", .url = url}, 1);
}

static void play_on_nginx(const char *name, const char *protocol, const char *location)
{
    struct server *server = server_start("nginx", NULL);
    char dir[300], url[300];
    if (!server)
        skip();
    snprintf(dir, sizeof dir, "%s/%s", server_dir(server), location);
    mkdir(dir, 0700);
    make_tree(dir);
    snprintf(url, sizeof url, "%s%s/%s/kill", protocol, server_url(server) + 4, location);
    play_all((struct rounds_place){.name = name, .url = url}, 1);
    server_stop(server);
}

static void over_webdav_a_transaction_is_all_or_nothing(void **state)
{
    play_on_nginx("webdav (nginx)", "webdav", "dav");
}

static void over_webdav_behind_a_cache_a_transaction_is_all_or_nothing(void **state)
{
    play_on_nginx("cache::webdav (nginx)", "cache::webdav", "dav");
}

static void by_http_put_a_transaction_is_all_or_nothing(void **state)
{
    setenv("LARDER_HTTP_WRITE", "true", 1);
    play_on_nginx("http (nginx, PUT)", "http", "put");
    unsetenv("LARDER_HTTP_WRITE");
}

/* With a cache in front, which is to show the new as soon as it is there; and uploads of several parts. */
static void on_s3_behind_a_cache_a_transaction_is_all_or_nothing(void **state)
{
    struct server *server = server_start("rgw", NULL);
    if (!server)
        skip();
    rounds_use_gateway(server_url(server));
    play_all((struct rounds_place){.name = "cache::s3 (RGW)",
                                   .url = "cache::s3://kill/tree",
                                   .uploads = true,
                                   .huge = (size_t)9 << 20},
             1);
    server_stop(server);
}

static int setup(void **state)
{
    scratch = tmpdir_make();
    journal = tmpdir_path(scratch, "journal");
    cache = tmpdir_path(scratch, "cache");
    tree = NULL;
    return setenv("LARDER_CACHE_DIR", cache, 1);
}

static int teardown(void **state)
{
    free(tree);
    free(cache);
    free(journal);
    tmpdir_remove(scratch);
    return 0;
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(on_a_local_disk_a_transaction_is_all_or_nothing),
        CASE(on_a_local_disk_behind_a_cache_a_transaction_is_all_or_nothing),
        CASE(over_webdav_a_transaction_is_all_or_nothing),
        CASE(over_webdav_behind_a_cache_a_transaction_is_all_or_nothing),
        CASE(by_http_put_a_transaction_is_all_or_nothing),
        CASE(on_s3_behind_a_cache_a_transaction_is_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
