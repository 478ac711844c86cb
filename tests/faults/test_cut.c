/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Servers that cut, stall and lie: a read gives the right bytes, or an error when they do so again and again, and the
 * cache keeps only right bytes.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"
#include "jump_clock.h"
#include "tmpdir.h"
#include "tree.h"

#define SIZE 200000

static struct fault_server *server;
static char *scratch, *data, *other;
static struct larder_fs *plain, *cached, *offline;

static struct larder_fs *open_cached(const char *name, const char *mode)
{
    struct larder_fs *fs;
    char url[128], dir[512], mode_option[64];
    const char *options[] = {dir, mode_option, NULL};
    snprintf(url, sizeof url, "cache::%s", fault_server_url(server));
    snprintf(dir, sizeof dir, "cache.dir=%s/%s", scratch, name);
    snprintf(mode_option, sizeof mode_option, "cache.mode=%s", mode);
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    return fs;
}

static struct larder_cache *cache;

/* What was fetched is in the store. */
static void flush(void)
{
    assert_ok(larder_cache_flush(cache));
}

static void forget(void)
{
    assert_ok(larder_cache_clear(cache, NULL, ""));
}

static int setup(void **state)
{
    static int number;
    char name[16], dir[512];
    const char *cache_options[] = {dir, NULL};
    scratch = tmpdir_make();
    server = fault_server_start();
    data = content_make(SIZE, 1);
    other = content_make(SIZE, 2);
    fault_file_set(server, "/f", &(struct fault_file){.data = data, .size = SIZE, .etag = "\"v1\""});
    snprintf(name, sizeof name, "cache%d", number++);
    snprintf(dir, sizeof dir, "dir=%s/%s", scratch, name);
    assert_ok(larder_cache_open(cache_options, &cache));
    assert_ok(larder_open(NULL, fault_server_url(server), NULL, &plain, NULL));
    cached = open_cached(name, "online");
    offline = open_cached(name, "offline");
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(plain);
    larder_fs_free(cached);
    larder_fs_free(offline);
    larder_cache_free(cache);
    fault_server_stop(server);
    free(data);
    free(other);
    tmpdir_remove(scratch);
    return 0;
}

/* 0: right. Negative: the read's failure. A wrong byte ends the test. */
static int read_right(struct larder_fs *fs, const struct larder_range *range, uint64_t seed)
{
    struct larder_bytes bytes;
    int rc = larder_cat_file(fs, "f", range, &bytes);
    if (rc < 0) {
        assert_true(*larder_error());
        return rc;
    }
    int64_t start = range ? range->start : 0, end = range ? range->end : SIZE;
    end = end > SIZE ? SIZE : end;
    assert_int_equal(bytes.size, end - start);
    assert_true(content_matches(bytes.data, bytes.size, seed, (uint64_t)start));
    larder_bytes_free(&bytes);
    return 0;
}

static void fault_once(struct fault fault)
{
    fault_clear(server);
    fault_on(server, (struct fault_match){.method = "GET", .count = 1}, fault);
}

static const size_t cuts[] = {0, 1, 100, 4096, 65504, 65536, 100000, SIZE - 1};
static const unsigned cut_flags[] = {0, FAULT_CHUNKED, FAULT_NO_RANGES};

static void a_body_that_is_cut_once_is_no_failure(void **state)
{
    static const struct larder_range part = {50000, 150000};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        for (size_t f = 0; f < 3; f++) {
            for (enum fault_end end = FAULT_CLOSE; end <= FAULT_RESET; end++) {
                struct fault fault = {.end = end, .at = cuts[i], .flags = cut_flags[f]};
                fault_once(fault);
                assert_ok(read_right(plain, NULL, 1));
                fault_once(fault);
                assert_ok(read_right(plain, &part, 1));
                fault_once(fault);
                assert_ok(read_right(cached, &part, 1));
                fault_once(fault);
                assert_ok(read_right(cached, NULL, 1));
                flush();
                assert_ok(read_right(offline, NULL, 1));
                forget();
            }
        }
    }
}

static void a_body_that_is_always_cut_is_never_a_value(void **state)
{
    static const struct larder_range part = {50000, 150000};
    for (size_t f = 0; f < 3; f++) {
        fault_clear(server);
        fault_on(server, (struct fault_match){.method = "GET"},
                 (struct fault){.end = FAULT_CLOSE, .at = 10, .flags = cut_flags[f]});
        assert_int_equal(read_right(plain, NULL, 1), -ECONNRESET);
        assert_int_equal(read_right(cached, NULL, 1), -ECONNRESET);
        assert_int_equal(read_right(cached, &part, 1), -ECONNRESET);
        assert_int_equal(read_right(offline, NULL, 1), -ENONET);
    }
    fault_clear(server);
    assert_ok(read_right(cached, NULL, 1));
    flush();
    assert_ok(read_right(offline, NULL, 1));
}

static void a_lie_is_an_error_or_the_right_bytes(void **state)
{
    static const struct larder_range part = {1000, 2000};
    static const struct {
        const char *what;
        struct fault fault;
        bool must_fail_whole, must_fail_part;
    } lies[] = {
        {"another range", {.headers = "Content-Range: bytes 1001-2000/200000\r\n"}, false, true},
        {"another end", {.headers = "Content-Range: bytes 1000-1998/200000\r\n"}, false, true},
        {"no range at all", {.headers = "Content-Range:\r\n"}, false, true},
        {"nonsense", {.headers = "Content-Range: bytes x-y/z\r\n"}, false, true},
        {"ranges ignored", {.flags = FAULT_NO_RANGES}, false, false},
        {"too long a length",
         {.headers = "Content-Length: 300000\r\n", .end = FAULT_CLOSE, .at = SIZE},
         true,
         true},
        {"gzip", {.flags = FAULT_GZIP}, true, true},
        {"http 1.0", {.flags = FAULT_HTTP_1_0}, false, false},
        {"until close", {.flags = FAULT_UNTIL_CLOSE}, false, false},
        {"hangs up afterwards", {.flags = FAULT_CLOSE_AFTER}, false, false},
        {"500", {.status = 500, .body = "no", .body_size = 2}, true, true},
        {"404", {.status = 404, .body = "no", .body_size = 2}, true, true},
        {"204", {.status = 204}, true, true},
        {"no answer", {.flags = FAULT_NO_ANSWER, .end = FAULT_CLOSE}, true, true},
    };
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        fault_clear(server);
        fault_on(server, (struct fault_match){.method = "GET"}, lies[i].fault);
        int whole = read_right(plain, NULL, 1);
        int range = read_right(plain, &part, 1);
        if ((lies[i].must_fail_whole && whole == 0) || (lies[i].must_fail_part && range == 0))
            fail_msg("%s was believed (%d, %d)", lies[i].what, whole, range);
        if ((!lies[i].must_fail_whole && whole < 0) || (!lies[i].must_fail_part && range < 0))
            fail_msg("%s: %d, %d: %s", lies[i].what, whole, range, larder_error());
        read_right(cached, &part, 1);
        read_right(cached, NULL, 1);
        forget();
    }
}

/* Of a whole file nothing else is known than its length; of a part, its Content-Range is. */
static void a_part_shorter_than_its_range_is_an_error(void **state)
{
    static const struct larder_range part = {1000, 2000};
    fault_on(server, (struct fault_match){.method = "GET"},
             (struct fault){.headers = "Content-Length: 900\r\n"});
    assert_int_equal(read_right(plain, &part, 1), -EPROTO);
    assert_true(read_right(cached, &part, 1) < 0);
    fault_clear(server);
    assert_ok(read_right(cached, NULL, 1));
}

/* The rest of what was announced too short comes when the next request is on its way on the same connection. */
static void what_a_lie_left_behind_is_no_answer(void **state)
{
    struct larder_bytes bytes;
    for (int i = 0; i < 5; i++) {
        fault_once(
            (struct fault){.headers = "Content-Length: 900\r\n", .trickle_size = 450, .trickle_ms = 20});
        assert_ok(larder_cat_file(plain, "f", NULL, &bytes));
        assert_int_equal(bytes.size, 900);
        larder_bytes_free(&bytes);
        assert_ok(read_right(plain, NULL, 1));
    }
}

static int read_many(void *arg)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < 1000; i++)
        rc = larder_exists(plain, "f") == 1 ? 0 : -EIO;
    return rc;
}

/* Without a word, as nginx does after a 412: the next request may be on its way on the connection already. */
static void a_server_that_hangs_up_after_each_answer_is_asked_again(void **state)
{
    fault_on(server, (struct fault_match){0}, (struct fault){.flags = FAULT_CLOSE_AFTER});
    assert_ok(larder_sync(NULL, read_many, NULL, 0));
}

static void only_missing_is_missing(void **state)
{
    static const struct {
        int status, expected;
    } table[] = {{404, -ENOENT}, {410, -ENOENT}, {401, -EACCES}, {403, -EACCES}};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        fault_clear(server);
        fault_on(server, (struct fault_match){0}, (struct fault){.status = table[i].status});
        assert_int_equal(read_right(plain, NULL, 1), table[i].expected);
        assert_int_equal(larder_exists(plain, "f"), table[i].expected == -ENOENT ? 0 : table[i].expected);
    }
    static const int failures[] = {400, 408, 418, 429, 500, 502, 503, 504};
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        fault_clear(server);
        fault_on(server, (struct fault_match){0}, (struct fault){.status = failures[i]});
        int rc = read_right(plain, NULL, 1);
        assert_true(rc < 0 && rc != -ENOENT && rc != -EACCES);
        assert_true(larder_exists(plain, "f") < 0);
        assert_true(larder_exists(cached, "f") < 0);
        assert_int_equal(larder_exists(offline, "f"), -ENONET);
    }
}

static void a_file_that_changes_is_never_a_mixture(void **state)
{
    static const struct larder_range first = {0, 60000}, second = {100000, 160000};
    assert_ok(read_right(cached, &first, 1));
    fault_file_set(server, "/f", &(struct fault_file){.data = other, .size = SIZE, .etag = "\"v2\""});
    assert_ok(read_right(cached, &second, 2));
    assert_ok(read_right(cached, NULL, 2));
    assert_ok(read_right(cached, &first, 2));
}

static void a_stalled_server_is_given_up(void **state)
{
    static const char *const options[] = {"http.stall_timeout=0.3", "http.max_tries=2", NULL};
    struct larder_fs *impatient;
    assert_ok(larder_open(NULL, fault_server_url(server), options, &impatient, NULL));
    fault_on(server, (struct fault_match){.method = "GET"}, (struct fault){.end = FAULT_STALL, .at = 1000});
    assert_int_equal(read_right(impatient, NULL, 1), -ETIMEDOUT);
    assert_non_null(strstr(larder_error(), ", 2 tries in "));
    larder_fs_free(impatient);
}

static void *stop_server(void *arg)
{
    fault_wait_stalled(server, 8);
    fault_server_stop(server);
    server = NULL;
    return NULL;
}

static void a_server_that_dies_in_mid_transfer_leaves_errors_only(void **state)
{
    struct larder_item items[8];
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN};
    pthread_t killer;
    for (int i = 0; i < 8; i++) {
        char path[8];
        snprintf(path, sizeof path, "/k%d", i);
        fault_file_set(server, path, &(struct fault_file){.data = data, .size = SIZE});
        items[i] = (struct larder_item){.path = strdup(path)};
    }
    fault_on(server, (struct fault_match){.method = "GET"}, (struct fault){.end = FAULT_STALL, .at = 150000});
    pthread_create(&killer, NULL, stop_server, NULL);
    assert_int_equal(larder_cat(cached, items, 8, &batch), 8);
    pthread_join(killer, NULL);
    for (int i = 0; i < 8; i++) {
        assert_true(items[i].status < 0 && items[i].status != -ENOENT);
        assert_null(items[i].bytes.data);
        free((char *)items[i].path);
    }
}

/* Half of 400 answers are cut somewhere; eight readers at once. */
static void random_cuts_under_load_never_show(void **state)
{
    struct larder_item items[400];
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN, .jobs_max = 8};
    struct larder_range ranges[400];
    int right = 0;
    srand(4711);
    for (int i = 0; i < 400; i++) {
        struct fault fault = {.end = rand() % 2 ? FAULT_CLOSE : FAULT_RESET, .at = (size_t)rand() % SIZE};
        if (i % 2)
            fault.end = FAULT_WHOLE;
        fault_on(server, (struct fault_match){.method = "GET", .count = 1}, fault);
        ranges[i].start = rand() % SIZE;
        ranges[i].end = ranges[i].start + 1 + rand() % 70000;
        items[i] = (struct larder_item){.path = "f", .range = &ranges[i]};
    }
    larder_cat(cached, items, 400, &batch);
    for (int i = 0; i < 400; i++) {
        int64_t end = ranges[i].end > SIZE ? SIZE : ranges[i].end;
        if (items[i].status == 0) {
            assert_int_equal(items[i].bytes.size, end - ranges[i].start);
            assert_true(
                content_matches(items[i].bytes.data, items[i].bytes.size, 1, (uint64_t)ranges[i].start));
            right++;
        }
        larder_bytes_free(&items[i].bytes);
    }
    assert_true(right > 380);
    fault_clear(server);
    assert_ok(read_right(cached, NULL, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_body_that_is_cut_once_is_no_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(a_body_that_is_always_cut_is_never_a_value, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lie_is_an_error_or_the_right_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(a_part_shorter_than_its_range_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_lie_left_behind_is_no_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_hangs_up_after_each_answer_is_asked_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(only_missing_is_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_changes_is_never_a_mixture, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stalled_server_is_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_that_dies_in_mid_transfer_leaves_errors_only, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(random_cuts_under_load_never_show, setup, teardown),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
