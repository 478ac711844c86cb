/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract: every scenario over every place and every stack of views, from a thread and from a task. Prints a table
 * of place × scenario: "ok", "NO" where it failed, or why it was skipped: a letter for what the place itself says that it
 * cannot, "." where only the other caller can. Servers that are not installed are named above it.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "replica.h"
#include "scenario.h"
#include "server.h"
#include "tmpdir.h"

#define LIST_ONLY  {.list = true, .real_directories = true}
#define WRITE_ONLY {.list = true, .write = true}
#define ALL_OF_IT  {.list = true, .write = true, .create_only = true, .real_directories = true}
#define PLACES_MAX 24

static struct place places[PLACES_MAX];
static size_t place_count;
static char *scratch;
#define TABLES 12
static const struct scenario *tables[TABLES];
static char verdicts[PLACES_MAX][TABLES][128][2][8];

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

/* Why a place is excused, as a letter of the table; NULL: it is not. */
static const char *excuse(const struct larder_capabilities *can, unsigned needs)
{
    return (needs & NEED_LIST) && !can->list                           ? "l"
           : (needs & NEED_WRITE) && !can->write                       ? "w"
           : (needs & NEED_CREATE) && !can->create_only                ? "c"
           : (needs & NEED_REAL_DIRECTORIES) && !can->real_directories ? "d"
                                                                       : NULL;
}

static int run_once(struct larder_fs *top, struct larder_fs *put, const struct place *place,
                    const struct scenario *scenario, bool task)
{
    static unsigned runs;
    struct call call = {scenario,
                        {.scenario = scenario, .place = place, .task = task, .top = top, .put_top = put}};
    char dir[64];
    snprintf(dir, sizeof dir, "%d-%03u-%s", (int)(place - places), ++runs, task ? "task" : "thread");
    call.run.dir = dir;
    call.run.scratch = tmpdir_make();
    assert_ok(larder_fs_at(top, dir, NULL, &call.run.fs));
    assert_ok(larder_fs_at(put, dir, NULL, &call.run.put));
    assert_ok(put_dir(&call.run, ""));
    int rc = task ? larder_sync(NULL, run_scenario, &call, 0) : run_scenario(&call);
    larder_fs_free(call.run.fs);
    larder_fs_free(call.run.put);
    tmpdir_remove((char *)call.run.scratch);
    if (rc < 0)
        print_error("%s, %s, from a %s: %s\n", place->name, scenario->name, task ? "task" : "thread",
                    call.run.failure);
    return rc;
}

/* How many failed. */
static int run_scenario_twice(struct larder_fs *top, struct larder_fs *put, const struct place *place,
                              const struct scenario *scenario, char verdict[2][8])
{
    int failures = 0;
    for (int task = 0; task < 2; task++) {
        const char *why = excuse(larder_fs_capabilities(top), scenario->needs);
        if (why) {
            strcpy(verdict[task], why);
            continue;
        }
        int rc = run_once(top, put, place, scenario, task);
        strcpy(verdict[task], rc == 0 ? "ok" : rc == SCENARIO_OTHER ? "." : "NO");
        failures += rc < 0;
    }
    return failures;
}

/* What the place itself shows: before and after a transaction that is not committed, the same. */
static size_t count_below(struct larder_fs *fs)
{
    struct larder_entries entries;
    assert_ok(larder_find(fs, "", NULL, &entries));
    size_t count = entries.count;
    larder_entries_free(&entries);
    return count;
}

static int run_all(struct larder_fs *top, struct larder_fs *put, const struct place *place)
{
    int failures = 0;
    for (size_t t = 0; t < TABLES; t++)
        for (const struct scenario *s = tables[t]; s->name; s++)
            failures += run_scenario_twice(top, put, place, s, verdicts[place - places][t][s - tables[t]]);
    return failures;
}

static int run_in_transaction(struct larder_fs *origin, const struct place *place)
{
    char journal[600];
    struct larder_txn *txn;
    struct larder_fs *view;
    size_t before = count_below(origin);
    snprintf(journal, sizeof journal, "journal=%s/journal", scratch);
    assert_ok(larder_txn_begin((const char *const[]){journal, NULL}, &txn));
    assert_ok(larder_txn_fs(txn, origin, &view));
    int failures = run_all(view, place->beneath ? origin : view, place);
    if (!place->beneath)
        assert_int_equal(count_below(origin), before);
    assert_ok(larder_txn_rollback(txn));
    if (!place->beneath)
        assert_int_equal(count_below(origin), before);
    larder_fs_free(view);
    return failures;
}

static void contract(void **state)
{
    const struct place *place = *state;
    const struct larder_capabilities *can;
    struct larder_fs *top;
    assert_ok(larder_open(NULL, place->url, place->options, &top, NULL));
    can = larder_fs_capabilities(top);
    /* A place that says it cannot what it must is not excused. */
    assert_true(can->list >= place->expect.list && can->write >= place->expect.write);
    assert_true(can->create_only >= place->expect.create_only);
    assert_true(can->real_directories >= place->expect.real_directories);
    int failures = place->txn ? run_in_transaction(top, place) : run_all(top, top, place);
    larder_fs_free(top);
    assert_int_equal(failures, 0);
}

/* ---- the places ---- */

/* `cached`: a cache directory of this name as well. */
static const char *const *make_options(const char *const given[], const char *cached)
{
    static char dirs[PLACES_MAX][512];
    static const char *options[PLACES_MAX][4];
    static size_t used;
    size_t at = used++, count = 0;
    for (size_t i = 0; given && given[i]; i++)
        options[at][count++] = given[i];
    if (cached) {
        snprintf(dirs[at], sizeof dirs[at], "cache.dir=%s/%s", scratch, cached);
        options[at][count++] = dirs[at];
    }
    return options[at];
}

static void add_place(struct place place, const char *const options[], const char *cached)
{
    assert_true(place_count < PLACES_MAX);
    place.options = make_options(options, cached);
    places[place_count++] = place;
}

/* The same in a transaction. */
static void add_view(struct place place, const char *const options[], const char *cached)
{
    char *name = NULL;
    assert_true(asprintf(&name, "txn of %s", place.name) > 0);
    place.name = name;
    place.disk = NULL;
    place.txn = true;
    place.beneath = !cached;
    add_place(place, options, cached ? name : NULL);
}

static struct place cached(struct place place)
{
    char *name = NULL, *url = NULL;
    assert_true(asprintf(&name, "cache::%s", place.name) > 0 && asprintf(&url, "cache::%s", place.url) > 0);
    place.name = name;
    place.url = url;
    return place;
}

/* The place, and the same behind a cache. */
static void add_places(struct place place, const char *const options[])
{
    add_place(place, options, NULL);
    place = cached(place);
    add_place(place, options, place.name);
}

/* Both in a transaction. */
static void add_views(struct place place, const char *const options[])
{
    add_view(place, options, NULL);
    place = cached(place);
    add_view(place, options, place.name);
    free((char *)place.name); /* the view has one of its own */
}

/* All four. */
static void add_places_and_views(struct place place, const char *const options[])
{
    add_places(place, options);
    add_views(place, options);
}

/* A directory of a server, by `scheme` and the URL that is left of its http://. */
static char *url_of(const char *scheme, const struct server *server, const char *dir)
{
    char *url;
    assert_true(asprintf(&url, "%s%s/%s", scheme, server_url(server) + strlen("http"), dir) > 0);
    return url;
}

/* A directory below `root`, to be served. */
static char *make_served(const char *root, const char *name)
{
    make_dir(root, name);
    return tmpdir_path(root, name);
}

/* ---- in families, which can run at once ---- */

#define SERVERS_MAX 8
static struct server *servers[SERVERS_MAX];
static size_t server_count;

static const char *missing[SERVERS_MAX]; /* servers that are not installed */
static size_t missing_count;

static struct server *start(const char *name)
{
    struct server *server = server_start(name, NULL);
    if (!server)
        missing[missing_count++] = name;
    assert_true(server_count < SERVERS_MAX);
    servers[server_count++] = server;
    return server;
}

/* A backend of a program's own, over a place in memory and one on the disk. */
static void add_replica(void)
{
    static char second[512];
    static const char *const options[] = {"replica.first=memory://replica", second, NULL};
    snprintf(second, sizeof second, "replica.second=%s/replica", scratch);
    assert_ok(larder_register(&replica));
    add_places((struct place){.name = "replica", .url = "replica://", .expect = ALL_OF_IT}, options);
}

static void add_here(void)
{
    add_places_and_views((struct place){.name = "memory", .url = "memory://contract", .expect = ALL_OF_IT},
                         NULL);
    add_places_and_views(
        (struct place){.name = "local", .url = tmpdir_path(scratch, "local"), .expect = ALL_OF_IT}, NULL);
    add_replica();
}

static struct place dav_place(const char *name, const struct server *server, bool disk, unsigned gaps)
{
    return (struct place){.name = name,
                          .url = url_of("webdav", server, "dav/contract"),
                          .disk = disk ? make_served(server_dav_root(server), "contract") : NULL,
                          .gaps = gaps,
                          .expect = ALL_OF_IT};
}

static struct place index_place(const char *title, const struct server *server, unsigned gaps)
{
    return (struct place){.name = title,
                          .url = url_of("http", server, "contract"),
                          .disk = make_served(server_root(server), "contract"),
                          .gaps = gaps,
                          .expect = LIST_ONLY};
}

static void add_nginx(void)
{
    struct server *server = start("nginx");
    if (!server)
        return;
    add_places(index_place("http", server, GAP_DOTS), NULL);
    add_places((struct place){.name = "http, writing",
                              .url = url_of("http", server, "put/contract"),
                              .disk = make_served(server_dir(server), "put/contract"),
                              .gaps = GAP_DOTS | GAP_DIRECTORIES,
                              .expect = WRITE_ONLY},
               (const char *const[]){"http.write=true", NULL});
    add_places_and_views(dav_place("webdav, nginx", server, true, GAP_DOTS), NULL);
}

static void add_apache(void)
{
    struct server *server = start("apache");
    if (!server)
        return;
    add_places(index_place("http, Apache", server, GAP_YOUNG), NULL);
    add_places(dav_place("webdav, Apache", server, true, GAP_YOUNG), NULL);
}

static void add_lighttpd(void)
{
    struct server *server = start("lighttpd");
    if (!server)
        return;
    add_places(index_place("http, lighttpd", server, GAP_SIZES | GAP_CONTROLS), NULL);
    add_places(dav_place("webdav, lighttpd", server, true, GAP_CONTROLS), NULL);
}

static void add_rclone(void)
{
    struct server *server = start("rclone-webdav"); /* which does not show at once what is put on its disk */
    if (server)
        add_places(dav_place("webdav, rclone", server, false, GAP_CONTROLS), NULL);
}

static void add_reader(const char *name, const char *title, unsigned gaps, const char *const options[])
{
    struct server *server = start(name);
    if (server)
        add_places(index_place(title, server, gaps), options);
}

/* Servers that are only read. Python's knows no ranges, ends each connection, and lets five wait. */
static void add_readers(void)
{
    add_reader("caddy", "http, Caddy", 0, NULL);
    add_reader("python", "http, Python", GAP_FACTS, (const char *const[]){"http.max_connections=4", NULL});
}

/* An S3 server with an empty bucket "contract". */
static bool start_s3(const char *name, const char *key, const char *secret)
{
    struct server *server = start(name);
    struct larder_fs *account;
    if (!server)
        return false;
    setenv("AWS_ENDPOINT_URL_S3", server_url(server), 1);
    setenv("AWS_ACCESS_KEY_ID", key, 1);
    setenv("AWS_SECRET_ACCESS_KEY", secret, 1);
    assert_ok(larder_open(NULL, "s3://", NULL, &account, NULL));
    assert_ok(larder_mkdir(account, "contract", false));
    larder_fs_free(account);
    return true;
}

static const struct place s3_place = {.name = "s3",
                                      .url = "s3://contract",
                                      .expect = {.list = true, .write = true, .create_only = true}};

static void add_s3(void)
{
    if (start_s3("rgw", "testkey", "testsecret"))
        add_places(s3_place, NULL);
}

static void add_s3_views(void)
{
    if (start_s3("rgw", "testkey", "testsecret"))
        add_views(s3_place, NULL);
}

/* Which knows no conditions of a write. */
static void add_swift(void)
{
    if (start_s3("swift", "test:tester", "testing"))
        add_places((struct place){.name = "s3, Swift", .url = "s3://contract", .expect = WRITE_ONLY},
                   (const char *const[]){"s3.conditional_writes=false", NULL});
}

static const struct {
    const char *name;
    void (*add)(void);
} families[] = {{"here", add_here},     {"nginx", add_nginx},
                {"apache", add_apache}, {"lighttpd", add_lighttpd},
                {"rclone", add_rclone}, {"readers", add_readers},
                {"s3", add_s3},         {"s3_views", add_s3_views},
                {"swift", add_swift}};

/* ---- the table ---- */

static void print_row(const char *name, size_t table, size_t index)
{
    printf("%-40s", name);
    for (size_t p = 0; p < place_count; p++)
        printf(" %-2s %-2s", verdicts[p][table][index][0], verdicts[p][table][index][1]);
    printf("\n");
}

/* Each place has a number, which heads its column: first from a thread, then from a task. */
static void print_table(void)
{
    printf("\nok  passed      NO  failed      .  only the other of thread and task can\n"
           "skipped, since the place cannot:  l list  w write  c decide a create itself  d keep empty "
           "directories\n");
    for (size_t i = 0; i < missing_count; i++)
        printf("not run: %s, which is not installed here\n", missing[i]);
    printf("\n");
    for (size_t p = 0; p < place_count; p++)
        printf("%2zu  %s\n", p + 1, places[p].name);
    printf("\n%-40s", "");
    for (size_t p = 0; p < place_count; p++)
        printf(" %-5zu", p + 1);
    printf("\n");
    for (size_t t = 0; t < TABLES; t++)
        for (const struct scenario *s = tables[t]; s->name; s++)
            print_row(s->name, t, (size_t)(s - tables[t]));
}

/* The argument is a family's name; none: all of them. */
int main(int argc, char *argv[])
{
    struct CMUnitTest tests[PLACES_MAX];
    scratch = tmpdir_make();
    const struct scenario *const all[TABLES] = {
        read_scenarios,    list_scenarios, many_scenarios,       write_scenarios,
        map_scenarios,     glob_scenarios, glob_row_scenarios(), open_file_scenarios,
        error_scenarios(), copy_scenarios, copy_row_scenarios(), staging_scenarios,
    };
    memcpy(tables, all, sizeof all);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (argc < 2 || strcmp(argv[1], families[i].name) == 0)
            families[i].add();
    for (size_t i = 0; i < place_count; i++)
        tests[i] =
            (struct CMUnitTest){.name = places[i].name, .test_func = contract, .initial_state = &places[i]};
    int rc = _cmocka_run_group_tests("contract", tests, place_count, NULL, NULL);
    print_table();
    for (size_t i = 0; i < server_count; i++)
        server_stop(servers[i]);
    tmpdir_remove(scratch);
    return rc;
}
