/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server.h"
#include "tmpdir.h"
#include "tree.h"
#include "txn_places.h"

#define LARGE     ((size_t)9 << 20) /* an upload of two parts on S3 */
#define TEXT_SIZE 600

static const struct place places[] = {
    {NULL, NULL, NULL, "memory", NULL, false},
    {NULL, NULL, NULL, "local", NULL, false},
    {"nginx", "webdav", "dav", "WebDAV, nginx", NULL, false},
    {"apache", "webdav", "dav", "WebDAV, Apache", NULL, false},
    {"nginx", "http", "put", "HTTP PUT, nginx", "http.write=true", true},
    {"rgw", "s3", "txn-places", "S3", NULL, true},
};
enum { PLACES = sizeof places / sizeof places[0] };
enum front { PLAIN, CACHED, ROOTED, FRONTS };

char *scratch;
static char *journal;
static struct server *nginx, *apache, *gateway;
const struct place *place;
struct larder_fs *fs, *other, *view;
struct larder_txn *txn;
unsigned turn;

/* ---- the places ---- */

static int start_servers(void **state)
{
    scratch = tmpdir_make();
    journal = tmpdir_path(scratch, "journal");
    nginx = server_start("nginx", NULL);
    apache = server_start("apache", NULL);
    gateway = server_start("rgw", NULL);
    if (nginx)
        tree_write(server_dir(nginx), "put/.made", "", 0);
    if (!gateway)
        return 0;
    struct larder_fs *account;
    setenv("AWS_ENDPOINT_URL_S3", server_url(gateway), 1);
    setenv("AWS_ACCESS_KEY_ID", "testkey", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
    if (larder_open(NULL, "s3://", NULL, &account, NULL) < 0)
        return -1;
    int rc = larder_mkdir(account, "txn-places", false);
    larder_fs_free(account);
    return rc;
}

static int stop_servers(void **state)
{
    server_stop(nginx);
    server_stop(apache);
    server_stop(gateway);
    free(journal);
    tmpdir_remove(scratch);
    return 0;
}

const struct server *server_of(const struct place *of)
{
    return !of->server                         ? NULL
           : strcmp(of->server, "nginx") == 0  ? nginx
           : strcmp(of->server, "apache") == 0 ? apache
                                               : gateway;
}

static void url_of(const struct place *of, char out[TEXT_SIZE])
{
    const struct server *server = server_of(of);
    if (!server && strcmp(of->name, "memory") == 0)
        snprintf(out, TEXT_SIZE, "memory://txn-places");
    else if (!server)
        snprintf(out, TEXT_SIZE, "%s/local", scratch);
    else if (strcmp(of->scheme, "s3") == 0)
        snprintf(out, TEXT_SIZE, "s3://%s", of->path);
    else
        snprintf(out, TEXT_SIZE, "%s%s/%s", of->scheme, server_url(server) + strlen("http"), of->path);
}

static int open_at(const char *prefix, const char *dir, const char *option, struct larder_fs **out)
{
    char url[TEXT_SIZE], whole[TEXT_SIZE + 100], cache[TEXT_SIZE];
    snprintf(cache, sizeof cache, "cache.dir=%s/cache-%u", scratch, turn);
    const char *const options[] = {cache, option, NULL};
    url_of(place, url);
    snprintf(whole, sizeof whole, "%s%s%s", prefix, url, dir);
    return larder_open(NULL, whole, options, out, NULL);
}

static int open_place(enum front front)
{
    char dir[32];
    struct larder_fs *top;
    snprintf(dir, sizeof dir, "/%u", ++turn);
    if (open_at("", dir, place->option, &other) < 0)
        return -1;
    if (!place->no_directories && larder_makedirs(other, "", true) < 0)
        return -1;
    if (front != ROOTED)
        return open_at(front == CACHED ? "cache::" : "", dir, place->option, &fs);
    if (open_at("", "", place->option, &top) < 0)
        return -1;
    int rc = larder_fs_at(top, dir + 1, NULL, &fs);
    larder_fs_free(top);
    return rc;
}

void begin(void)
{
    char option[TEXT_SIZE];
    snprintf(option, sizeof option, "journal=%s", journal);
    const char *const options[] = {option, NULL};
    assert_ok(larder_txn_begin(options, &txn));
    assert_ok(larder_txn_fs(txn, fs, &view));
}

int commit(void)
{
    int rc = larder_txn_commit(txn, NULL);
    if (rc == 0 || rc == -EINPROGRESS)
        txn = NULL;
    return rc;
}

static int end(void **state)
{
    larder_fs_free(view);
    larder_txn_rollback(txn);
    larder_fs_free(fs);
    larder_fs_free(other);
    view = fs = other = NULL;
    txn = NULL;
    return 0;
}

/* ---- what is there ---- */

void expect_names(struct larder_fs *from, const char *dir, const char *names)
{
    struct larder_entries entries;
    char text[TEXT_SIZE] = "";
    assert_ok(larder_ls(from, dir, &entries));
    for (size_t i = 0; i < entries.count; i++) {
        bool directory = entries.info[i].type == LARDER_DIRECTORY;
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s%s", *text ? " " : "",
                 entries.info[i].name, directory ? "/" : "");
    }
    larder_entries_free(&entries);
    assert_string_equal(text, names);
}

static int count_one(void *arg, const struct larder_txn_info *info)
{
    ++*(int *)arg;
    return 0;
}

void assert_nothing_pending(void)
{
    int count = 0;
    assert_ok(larder_txn_list(journal, count_one, &count));
    assert_int_equal(count, 0);
}

/* ---- all of them ---- */

struct one {
    void (*run)(void);
    const struct place *place;
    enum front front;
    char name[100];
};

static void run(void **state)
{
    const struct one *one = *state;
    place = one->place;
    if (place->server && !server_of(place))
        skip();
    assert_ok(open_place(one->front));
    one->run();
}

int places_run(const struct places_scenario scenarios[], size_t scenario_count)
{
    static const char *const fronts[] = {"", ", behind a cache", ", under a root"};
    size_t count = 0, all_count = PLACES * FRONTS * scenario_count;
    struct one *all = calloc(all_count, sizeof *all);
    struct CMUnitTest *tests = calloc(all_count, sizeof *tests);
    for (size_t p = 0; p < PLACES; p++)
        for (enum front front = PLAIN; front < FRONTS; front++)
            for (size_t s = 0; s < scenario_count; s++) {
                struct one *one = &all[count];
                *one = (struct one){.run = scenarios[s].run, .place = &places[p], .front = front};
                snprintf(one->name, sizeof one->name, "%s: %s%s", scenarios[s].name, places[p].name,
                         fronts[front]);
                tests[count++] = (struct CMUnitTest){.name = one->name,
                                                     .test_func = run,
                                                     .teardown_func = end,
                                                     .initial_state = one};
            }
    int rc = _cmocka_run_group_tests("at every place", tests, count, start_servers, stop_servers);
    free(tests);
    free(all);
    return rc;
}
