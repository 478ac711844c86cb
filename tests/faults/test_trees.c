/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trees of servers that cut files short, change under the reader, or tell names that are none: what is copied is whole, or
 * not there, and nothing is written outside of the target.
 */
#include "test.h"

#include <dirent.h>
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

#define SIZE 300000

static struct fault_server *server;
static struct larder_fs *http, *local, *memory;
static char *scratch, *target;

static int setup(void **state)
{
    scratch = tmpdir_make();
    target = tmpdir_path(scratch, "in/t");
    tree_write(scratch, "in/mark", "", 0);
    server = fault_server_start();
    assert_ok(
        larder_open(NULL, fault_server_url(server), (const char *[]){"http.max_tries=2", NULL}, &http, NULL));
    assert_ok(larder_open(NULL, scratch, NULL, &local, NULL));
    assert_ok(larder_open(NULL, "memory://trees", NULL, &memory, NULL));
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(http);
    larder_fs_free(local);
    larder_fs_free(memory);
    fault_server_stop(server);
    tmpdir_remove(scratch);
    free(target);
    return 0;
}

/* All that is on the disk, hidden files too: "in/ in/mark …", which Larder's own listing would not show all of. */
static void list_into(const char *dir, const char *below, char *text, size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, below);
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char at[512];
        snprintf(at, sizeof at, "%s%s%s", below, *below ? "/" : "", name);
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            bool directory = entries[i]->d_type == DT_DIR;
            snprintf(text + strlen(text), size - strlen(text), "%s%s%s", *text ? " " : "", at,
                     directory ? "/" : "");
            if (directory)
                list_into(dir, at, text, size);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

static void assert_disk(const char *expected)
{
    char text[2048] = "";
    list_into(scratch, "", text, sizeof text);
    assert_string_equal(text, expected);
}

/* ---- files that are cut ---- */

static void make_tree(void)
{
    fault_file_content(server, "/s/a", SIZE, 1, NULL);
    fault_file_content(server, "/s/d/cut", SIZE, 2, NULL);
    fault_file_content(server, "/s/d/z", SIZE, 3, NULL);
}

static void cut_for_good(void)
{
    fault_on(server, (struct fault_match){.method = "GET", .path = "/s/d/cut"},
             (struct fault){.end = FAULT_RESET, .at = SIZE / 2, .flags = FAULT_NO_RANGES});
}

typedef int copy_fn(enum larder_on_error on_error, unsigned jobs);

static int get_tree(enum larder_on_error on_error, unsigned jobs)
{
    struct larder_copy_options options = {.size = sizeof options,
                                          .recursive = true,
                                          .on_error = on_error,
                                          .jobs_max = jobs};
    return larder_get(http, (const char *[]){"s"}, 1, target, &options);
}

static int copy_tree(enum larder_on_error on_error, unsigned jobs)
{
    struct larder_copy_options options = {.size = sizeof options,
                                          .recursive = true,
                                          .on_error = on_error,
                                          .jobs_max = jobs};
    return larder_copy(http, (const char *[]){"s"}, 1, local, "in/t", &options);
}

static int sync_tree(enum larder_on_error on_error, unsigned jobs)
{
    struct larder_rsync_options options = {.size = sizeof options,
                                           .remove_extra = true,
                                           .on_error = on_error,
                                           .jobs_max = jobs};
    return larder_rsync(http, "s", local, "in/t", &options);
}

static copy_fn *const ways[] = {get_tree, copy_tree, sync_tree};
#define WAYS (sizeof ways / sizeof ways[0])

static void clear_target(void)
{
    if (larder_exists(local, "in/t") == 1)
        assert_ok(larder_rm(local, "in/t", true));
}

static void a_file_that_is_cut_is_not_there_and_the_others_are(void **state)
{
    make_tree();
    cut_for_good();
    for (size_t i = 0; i < WAYS; i++) {
        assert_status(1, ways[i](LARDER_RETURN, 0));
        assert_disk("in/ in/mark in/t/ in/t/a in/t/d/ in/t/d/z");
        clear_target();
        assert_true(ways[i](LARDER_RAISE, 1) < 0);
        assert_non_null(strstr(larder_error(), "s/d/cut"));
        assert_status(0, larder_exists(local, "in/t/d/cut"));
        clear_target();
        assert_true(ways[i](LARDER_OMIT, 1) < 0); /* it is not missing */
        assert_status(0, larder_exists(local, "in/t/d/cut"));
        clear_target();
    }
}

static void what_was_there_stays_when_its_successor_is_cut(void **state)
{
    make_tree();
    cut_for_good();
    for (size_t i = 0; i < WAYS; i++) {
        tree_write(scratch, "in/t/d/cut", "old", 3);
        tree_write(scratch, "in/t/s/d/cut", "old", 3);
        assert_status(1, ways[i](LARDER_RETURN, 0));
        size_t size;
        char *data = tree_read(scratch, ways[i] == sync_tree ? "in/t/d/cut" : "in/t/s/d/cut", &size);
        assert_true(size == 3 && memcmp(data, "old", 3) == 0);
        free(data);
        clear_target();
    }
}

static void a_cut_that_passes_is_no_failure(void **state)
{
    make_tree();
    for (size_t i = 0; i < WAYS; i++) {
        fault_clear(server);
        fault_on(server, (struct fault_match){.method = "GET", .path = "/s/d/cut", .count = 1},
                 (struct fault){.end = FAULT_RESET, .at = SIZE / 2});
        assert_ok(ways[i](LARDER_RAISE, 0));
        assert_disk("in/ in/mark in/t/ in/t/a in/t/d/ in/t/d/cut in/t/d/z");
        size_t size;
        char *data = tree_read(scratch, "in/t/d/cut", &size);
        assert_true(size == SIZE && content_matches(data, size, 2, 0));
        free(data);
        clear_target();
    }
}

static void a_directory_that_cannot_be_listed_keeps_what_is_extra(void **state)
{
    make_tree();
    tree_write(scratch, "in/t/extra", "x", 1);
    tree_write(scratch, "in/t/d/extra", "x", 1);
    fault_on(server, (struct fault_match){.method = "GET", .path = "/s/d/"}, (struct fault){.status = 500});
    assert_status(1, sync_tree(LARDER_RETURN, 0));
    assert_disk("in/ in/mark in/t/ in/t/a in/t/d/ in/t/d/extra in/t/extra");
    fault_clear(server);
    fault_on(server, (struct fault_match){.method = "GET", .path = "/s/"}, (struct fault){.status = 404});
    assert_status(-ENOENT, sync_tree(LARDER_RETURN, 0));
    assert_disk("in/ in/mark in/t/ in/t/a in/t/d/ in/t/d/extra in/t/extra");
    fault_clear(server);
    assert_ok(sync_tree(LARDER_RAISE, 0));
    assert_disk("in/ in/mark in/t/ in/t/a in/t/d/ in/t/d/cut in/t/d/z");
}

/* ---- syncs that ask ---- */

static void what_a_listing_does_not_settle_is_asked_and_not_sent_again(void **state)
{
    make_tree();
    fault_file_set(server, "/s/a",
                   &(struct fault_file){.data = "12345", .size = 5, .mtime = FAULT_MTIME + 7});
    assert_ok(sync_tree(LARDER_RAISE, 0));
    fault_forget(server);
    assert_ok(sync_tree(LARDER_RAISE, 0));
    assert_int_equal(fault_count(server, "HEAD", "/s/a"), 1); /* an index tells no seconds */
    assert_int_equal(fault_count(server, "GET", "/s/a"), 0);
    assert_int_equal(fault_count(server, NULL, "/s/d/z"), 0); /* whose time has none */
    fault_file_set(server, "/s/a",
                   &(struct fault_file){.data = "54321", .size = 5, .mtime = FAULT_MTIME + 8});
    assert_ok(sync_tree(LARDER_RAISE, 0));
    size_t size;
    char *data = tree_read(scratch, "in/t/a", &size);
    assert_true(size == 5 && memcmp(data, "54321", 5) == 0);
    free(data);
}

/* ---- names that are none ---- */

static const char html[] = "<html><body><pre><a href=\"../\">../</a>\n"
                           "<a href=\"../../evil1\">evil1</a> 22-Nov-2026 22:20 4\n"
                           "<a href=\"..%2F..%2Fevil2\">evil2</a> 22-Nov-2026 22:20 4\n"
                           "<a href=\"%2e%2e/%2e%2e/evil3\">evil3</a> 22-Nov-2026 22:20 4\n"
                           "<a href=\"/tmp/larder-evil4\">evil4</a> 22-Nov-2026 22:20 4\n"
                           "<a href=\"%2Ftmp%2Flarder-evil5\">evil5</a> 22-Nov-2026 22:20 4\n"
                           "<a href=\"evil6%00.txt\">evil6</a> 22-Nov-2026 22:20 4\n"
                           "<a href=\"%2e%2e/\">evil7</a> 22-Nov-2026 22:20 -\n"
                           "<a href=\"good\">good</a> 22-Nov-2026 22:20 4\n</pre></body></html>";
static const char json[] =
    "[{\"name\":\"../../evil1\",\"type\":\"file\",\"mtime\":\"Sun, 22 Nov 2026 22:20:00 GMT\",\"size\":4},"
    "{\"name\":\"..\",\"type\":\"directory\",\"mtime\":\"Sun, 22 Nov 2026 22:20:00 GMT\"},"
    "{\"name\":\"/tmp/larder-evil4\",\"type\":\"file\",\"mtime\":\"Sun, 22 Nov 2026 22:20:00 "
    "GMT\",\"size\":4},"
    "{\"name\":\"evil\\u0000\",\"type\":\"file\",\"mtime\":\"Sun, 22 Nov 2026 22:20:00 GMT\",\"size\":4},"
    "{\"name\":\"good\",\"type\":\"file\",\"mtime\":\"Sun, 22 Nov 2026 22:20:00 GMT\",\"size\":4}]";

static void no_name_of_a_server_leads_out_of_the_target(void **state)
{
    static const struct {
        const char *text, *type;
    } pages[] = {{html, "Content-Type: text/html\r\n"}, {json, "Content-Type: application/json\r\n"}};
    /* whatever is asked for is there */
    fault_on(server, (struct fault_match){.method = "GET", .path = "/evil1"},
             (struct fault){.body = "evil", .body_size = 4});
    fault_file_text(server, "/evil1", "evil");
    fault_file_text(server, "/evil2", "evil");
    fault_file_text(server, "/evil3", "evil");
    fault_file_text(server, "/s/good", "good");
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        fault_file_set(server, "/s/",
                       &(struct fault_file){.data = pages[i].text,
                                            .size = strlen(pages[i].text),
                                            .headers = pages[i].type});
        for (size_t j = 0; j < WAYS; j++) {
            assert_true(ways[j](LARDER_RETURN, 0) >= 0);
            assert_disk("in/ in/mark in/t/ in/t/good");
            clear_target();
        }
        struct larder_copy_options options = {.size = sizeof options,
                                              .recursive = true,
                                              .on_error = LARDER_RETURN};
        assert_true(larder_copy(http, (const char *[]){"s"}, 1, memory, "in/t", &options) >= 0);
        struct larder_entries entries;
        struct larder_fs *all;
        assert_ok(larder_open(NULL, "memory://", NULL, &all, NULL));
        assert_ok(larder_find(all, "", NULL, &entries));
        assert_int_equal(entries.count, 1);
        assert_string_equal(entries.info[0].name, "trees/in/t/good");
        larder_entries_free(&entries);
        assert_ok(larder_rm(all, "trees", true));
        larder_fs_free(all);
    }
}

/* ---- both ways at once ---- */

#define FILES 6
#define LARGE (3 << 20)

struct way {
    struct larder_fs *from, *to;
    const char *source, *target;
    int status;
};

static void *go_one_way(void *arg)
{
    struct way *way = arg;
    struct larder_copy_options options = {.size = sizeof options, .recursive = true};
    way->status = larder_copy(way->from, &way->source, 1, way->to, way->target, &options);
    return NULL;
}

/*
 *     one       two        Each file is larger than what is written at once. Without a connection that is
 *     s/ ─────▶ a/         left for those that write, each way would hold all connections of its source
 *     b/ ◀───── s/         and wait for one of its target, which the other way holds.
 */
static void both_ways_at_once_come_to_an_end(void **state)
{
    struct fault_server *second = fault_server_start();
    fault_writable(server);
    fault_writable(second);
    for (int i = 0; i < FILES; i++) {
        char path[32];
        snprintf(path, sizeof path, "/s/f%d", i);
        fault_file_content(server, path, LARGE, 1, NULL);
        fault_file_content(second, path, LARGE, 2, NULL);
    }
    for (unsigned connections = 1; connections <= 3; connections++) {
        char most[64];
        snprintf(most, sizeof most, "http.max_connections=%u", connections);
        const char *const options[] = {"http.write=true", "http.parts=1", most, NULL};
        struct larder_fs *one, *two;
        assert_ok(larder_open(NULL, fault_server_url(server), options, &one, NULL));
        assert_ok(larder_open(NULL, fault_server_url(second), options, &two, NULL));
        struct way both[] = {{one, two, "s", "a", -1}, {two, one, "s", "b", -1}};
        pthread_t threads[2];
        for (int i = 0; i < 2; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, go_one_way, &both[i]), 0);
        for (int i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(both[0].status, 0);
        assert_int_equal(both[1].status, 0);
        struct larder_bytes bytes;
        assert_ok(larder_cat_file(two, "a/f5", NULL, &bytes));
        assert_true(bytes.size == LARGE && content_matches(bytes.data, bytes.size, 1, 0));
        larder_bytes_free(&bytes);
        larder_fs_free(one);
        larder_fs_free(two);
    }
    fault_server_stop(second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_file_that_is_cut_is_not_there_and_the_others_are),
        TEST(what_was_there_stays_when_its_successor_is_cut),
        TEST(a_cut_that_passes_is_no_failure),
        TEST(a_directory_that_cannot_be_listed_keeps_what_is_extra),
        TEST(what_a_listing_does_not_settle_is_asked_and_not_sent_again),
        TEST(no_name_of_a_server_leads_out_of_the_target),
        TEST(both_ways_at_once_come_to_an_end),
    };
    jump_clock_start();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
