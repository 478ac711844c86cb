/* SPDX-License-Identifier: Apache-2.0 */
/* Backends that a program brings: what they are trusted with, and what they are not believed. The contract suite runs
 * over a proper one (examples/replica.c). */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"
#include "larder/backend.h"

#include "alloc_fault.h"
#include "tmpdir.h"

/* ---- a place that does as it is told: "file" and "many/" exist ---- */

static struct {
    /* what it says */
    struct larder_facts facts;
    const char *content;
    size_t give;      /* of the content; SIZE_MAX: what is wanted */
    bool early;       /* bytes before the facts */
    int status;       /* of every operation; 0: as it should */
    const char *name; /* of an entry that it lists; NULL: "file" */
    bool from_nowhere, wordless;
    /* what it saw */
    atomic_uint opened, closed, released;
    pthread_t thread;
    int written_size;
    char written[64], option[64];
    struct larder_range range;
} odd;

static void odd_reset(void)
{
    memset(&odd, 0, sizeof odd);
    odd.facts = (struct larder_facts){.type = LARDER_FILE, .size = 10, .version = "v1"};
    odd.content = "0123456789";
    odd.give = SIZE_MAX;
}

static int odd_open(const struct larder_place *place, struct larder_capabilities *can, void **state)
{
    static char the_state;
    const char *option = larder_place_text(place, "word");
    odd.opened++;
    snprintf(odd.option, sizeof odd.option, "%s %lld %d %s", option ? option : "-",
             (long long)larder_place_number(place, "count"), larder_place_bool(place, "truth"),
             larder_place_name(place));
    if (strcmp(larder_place_name(place), "shut") == 0)
        return larder_fail(-EACCES, "odd: it is shut");
    can->create_only = can->if_match = true;
    *state = &the_state;
    return 0;
}

static void odd_close(void *state)
{
    odd.closed++;
}

static bool is_many(const char *path)
{
    return strcmp(path, "many") == 0;
}

static int odd_info(void *state, const char *path, struct larder_facts *out)
{
    odd.thread = pthread_self();
    if (odd.status)
        return odd.status;
    if (strcmp(path, "file") == 0)
        *out = odd.facts;
    else if (!*path || is_many(path))
        *out = (struct larder_facts){.type = LARDER_DIRECTORY};
    else
        return larder_fail(-ENOENT, "odd: %s: no", path);
    return 0;
}

static int odd_read(void *state, const char *path, struct larder_reading *reading)
{
    int64_t start = 0, count = 0;
    struct larder_facts facts;
    int rc = odd_info(state, path, &facts);
    if (rc == 0 && odd.early)
        rc = larder_reading_put(reading, "early", 5);
    if (larder_reading_range(reading))
        odd.range = *larder_reading_range(reading);
    if (rc == 0)
        rc = larder_reading_begin(reading, &facts, &start, &count);
    if (rc != 0)
        return rc;
    size_t left = strlen(odd.content) - (size_t)start,
           give = count < 0 || (size_t)count > left ? left : (size_t)count;
    return larder_reading_put(reading, odd.content + start, odd.give == SIZE_MAX ? give : odd.give);
}

static void release(void *position)
{
    odd.released++;
    free(position);
}

#define MANY 2500

static int list_many(struct larder_page *page)
{
    int *position = larder_page_position(page), at = position ? *position : 0;
    struct larder_facts facts = {.type = LARDER_FILE, .size = 1};
    int rc = 0;
    for (; rc == 0 && at < MANY && !larder_page_is_full(page); at++) {
        char name[16];
        snprintf(name, sizeof name, "f%04d", at);
        rc = larder_page_add(page, name, &facts);
    }
    if (rc < 0 || at == MANY)
        return rc;
    int *next = malloc(sizeof *next);
    *next = at;
    larder_page_go_on(page, next, release);
    return 0;
}

static int odd_list(void *state, const char *path, struct larder_page *page)
{
    if (odd.status)
        return odd.status;
    if (is_many(path))
        return list_many(page);
    if (odd.from_nowhere)
        larder_page_go_on(page, NULL, NULL);
    return larder_page_add(page, odd.name ? odd.name : "file", &odd.facts);
}

static int odd_write(void *state, const char *path, struct larder_writing *writing,
                     const struct larder_how *how, struct larder_facts *now)
{
    int64_t size;
    const void *data = larder_writing_data(writing, &size);
    if (odd.status)
        return odd.status;
    odd.written_size = (int)size;
    if (data)
        memcpy(odd.written, data, (size_t)size < sizeof odd.written ? (size_t)size : sizeof odd.written);
    if (strcmp(path, "wrong") == 0)
        now->size = -7;
    return 0;
}

static int odd_remove(void *state, const char *path)
{
    return odd.status;
}

static int odd_discard(void *state, const char *path, const char *token)
{
    return 0;
}

static int odd_sign(void *state, const char *path, uint32_t expires_s, struct larder_text *url)
{
    return odd.wordless ? 0 : larder_text_set(url, path);
}

static size_t odd_split(const char *rest)
{
    return strcspn(rest, "/");
}

static const struct larder_backend_option odd_options[] = {
    {"word", LARDER_OPTION_TEXT, NULL, LARDER_OPTION_IDENTITY, "a word"},
    {"count", LARDER_OPTION_COUNT, "7", 0, "a count"},
    {"truth", LARDER_OPTION_BOOL, NULL, 0, "a truth"},
    {"key", LARDER_OPTION_TEXT, NULL, LARDER_OPTION_SECRET, "a secret"},
    {0},
};

static struct larder_backend odd_table(const char *protocol, enum larder_kind kind)
{
    return (struct larder_backend){.size = sizeof(struct larder_backend),
                                   .protocol = protocol,
                                   .kind = kind,
                                   .options = odd_options,
                                   .split = odd_split,
                                   .open = odd_open,
                                   .close = odd_close,
                                   .info = odd_info,
                                   .list = odd_list,
                                   .read = odd_read,
                                   .write = odd_write,
                                   .remove = odd_remove,
                                   .sign = odd_sign};
}

static const char *const protocols[] = {"odd-instant", "odd-blocking", "odd-tasks"};

static struct larder_fs *open_odd(unsigned kind, const char *rest, const char *option)
{
    const char *const options[] = {option, NULL};
    struct larder_fs *fs = NULL;
    char url[64];
    snprintf(url, sizeof url, "%s://%s", protocols[kind], rest);
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    return fs;
}

/* ---- becoming known ---- */

static void a_protocol_is_known_once(void **state)
{
    static const char *const taken[] = {"odd-instant", "http",  "https", "memory", "file",
                                        "local",       "cache", "dir",   "fs"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
        struct larder_backend table = odd_table(taken[i], LARDER_INSTANT);
        assert_status(-EEXIST, larder_register(&table));
        assert_non_null(strstr(larder_error(), taken[i]));
    }
}

static void a_wrong_table_is_refused(void **state)
{
    static const char *const names[] = {NULL,   "",       "Upper",       "1digit",
                                        "do.t", "sla/sh", "white space", "colon:"};
    static const struct larder_backend_option wrong[][2] = {{{"asynchronous", LARDER_OPTION_BOOL, NULL, 0,
                                                              "x"}},
                                                            {{"helpless", LARDER_OPTION_TEXT, NULL, 0, NULL}},
                                                            {{"do.t", LARDER_OPTION_TEXT, NULL, 0, "x"}},
                                                            {{"type", 17, NULL, 0, "x"}}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct larder_backend table = odd_table(names[i], LARDER_INSTANT);
        assert_status(-EINVAL, larder_register(&table));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct larder_backend table = odd_table("wrong", LARDER_INSTANT);
        table.options = wrong[i];
        assert_status(-EINVAL, larder_register(&table));
    }
    struct larder_backend kindless = odd_table("wrong", 0), idle = odd_table("wrong", LARDER_TASKS);
    assert_status(-EINVAL, larder_register(&kindless));
    idle.read = NULL;
    assert_status(-EINVAL, larder_register(&idle));
    idle = odd_table("wrong", LARDER_TASKS);
    idle.discard = odd_discard;
    assert_status(-EINVAL, larder_register(&idle));
    idle = odd_table("wrong", LARDER_TASKS);
    idle.size = 0;
    assert_status(-EINVAL, larder_register(&idle));
    assert_status(-EINVAL, larder_register(NULL));
}

/* A program that was built against an older header has a shorter table. */
static void a_shorter_table_lacks_what_came_later(void **state)
{
    struct larder_backend table = odd_table("shorter", LARDER_INSTANT);
    struct larder_fs *fs = NULL;
    table.size = offsetof(struct larder_backend, sign);
    assert_ok(larder_register(&table));
    assert_ok(larder_open(NULL, "shorter://x", NULL, &fs, NULL));
    assert_false(larder_fs_capabilities(fs)->sign);
    assert_status(0, larder_exists(fs, "none"));
    larder_fs_free(fs);
}

/* Nothing of the caller's table is needed once it is known. */
static void a_table_is_copied(void **state)
{
    char name[] = "copied", option[] = "option", help[] = "help", fallback[] = "back";
    struct larder_backend_option options[] = {{option, LARDER_OPTION_TEXT, fallback, 0, help}, {0}};
    struct larder_backend table = odd_table(name, LARDER_BLOCKING);
    struct larder_option known = {.size = sizeof known};
    struct larder_fs *fs = NULL;
    bool found = false;
    table.options = options;
    assert_ok(larder_register(&table));
    memset(name, 'x', sizeof name - 1);
    memset(option, 'x', sizeof option - 1);
    memset(help, 'x', sizeof help - 1);
    memset(fallback, 'x', sizeof fallback - 1);
    memset(options, 0xff, sizeof options);
    memset(&table, 0xff, sizeof table);
    assert_ok(larder_open(NULL, "COPIED://place/many", NULL, &fs, NULL));
    assert_status(1, larder_isdir(fs, ""));
    larder_fs_free(fs);
    for (size_t i = 0; larder_option_at(i, &known) == 0; i++)
        if (strcmp(known.layer, "copied") == 0)
            found = strcmp(known.name, "option") == 0 && strcmp(known.fallback, "back") == 0 &&
                    strcmp(known.help, "help") == 0;
    assert_true(found);
}

static int quiet_open(const struct larder_place *place, struct larder_capabilities *can, void **state)
{
    *state = NULL;
    return 0;
}

static void *register_some(void *arg)
{
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "many-%d-%d", *(int *)arg % 2, i);
        struct larder_backend table = odd_table(name, LARDER_INSTANT);
        table.open = quiet_open;
        table.close = NULL;
        int rc = larder_register(&table);
        struct larder_fs *fs = NULL;
        char url[64];
        snprintf(url, sizeof url, "%s://x", name);
        if ((rc != 0 && rc != -EEXIST) || larder_open(NULL, url, NULL, &fs, NULL) != 0)
            return arg;
        larder_fs_free(fs);
    }
    return NULL;
}

static void threads_make_protocols_known_while_others_open(void **state)
{
    pthread_t threads[4];
    int numbers[4] = {0, 1, 2, 3};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, register_some, &numbers[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
}

/* ---- opening ---- */

static void a_url_is_split_and_options_are_the_tables(void **state)
{
    struct larder_fs *fs = open_odd(0, "place/a/b/", "word=w");
    char *url = NULL, *text = NULL;
    assert_string_equal(odd.option, "w 7 0 place");
    assert_ok(larder_fs_url(fs, "c d", &url));
    assert_string_equal(url, "odd-instant://place/a/b/c d");
    larder_free(url);
    larder_fs_free(fs);
    fs = open_odd(1, "place", "truth=yes");
    assert_string_equal(odd.option, "- 7 1 place");
    larder_fs_free(fs);
    setenv("LARDER_ODD_TASKS_COUNT", "9", 1);
    fs = open_odd(2, "other", "key=secret");
    assert_string_equal(odd.option, "- 9 0 other");
    assert_ok(larder_fs_to_json(fs, false, &text));
    assert_string_equal(
        text, "{\"handle\":{},\"larder\":1,\"left_out\":[\"odd-tasks.key\"],\"options\":{\"odd-tasks\":"
              "{\"count\":\"9\"}},\"root\":\"\",\"url\":\"odd-tasks://other\"}");
    unsetenv("LARDER_ODD_TASKS_COUNT");
    const char *const secret[] = {"key=secret", NULL};
    struct larder_fs *again = NULL;
    assert_ok(larder_fs_from_json(NULL, text, secret, &again));
    assert_true(larder_fs_is_same(fs, again));
    larder_free(text);
    larder_fs_free(again);
    larder_fs_free(fs);
    assert_int_equal(odd.opened, odd.closed);
}

static void what_open_refuses_is_refused(void **state)
{
    struct larder_fs *fs = NULL;
    const char *const wrong[] = {"count=many", NULL};
    assert_status(-EACCES, larder_open(NULL, "odd-instant://shut", NULL, &fs, NULL));
    assert_string_equal(larder_error(), "odd: it is shut");
    assert_int_equal(odd.closed, 0);
    assert_status(-EINVAL, larder_open(NULL, "odd-instant://x", wrong, &fs, NULL));
    assert_non_null(strstr(larder_error(), "odd-instant.count"));
}

static void one_that_is_connected_later_is_opened_later(void **state)
{
    struct larder_fs *fs = open_odd(0, "later", "asynchronous=true");
    assert_int_equal(odd.opened, 0);
    assert_ok(larder_fs_connect(fs));
    assert_status(1, larder_isfile(fs, "file"));
    assert_ok(larder_fs_disconnect(fs));
    assert_int_equal(odd.closed, 1);
    assert_ok(larder_fs_connect(fs));
    larder_fs_free(fs);
    assert_int_equal(odd.opened, 2);
    assert_int_equal(odd.closed, 2);
}

/* ---- reading ---- */

static void assert_bytes(struct larder_fs *fs, int64_t start, int64_t end, const char *expected)
{
    struct larder_range range = {start, end};
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, "file", &range, &bytes));
    assert_string_equal(bytes.data, expected);
    larder_bytes_free(&bytes);
}

static void ranges_are_what_they_are_everywhere(void **state)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        struct larder_fs *fs = open_odd(kind, "x", NULL);
        struct larder_bytes bytes;
        odd.facts.size = 10;
        assert_bytes(fs, 0, LARDER_TO_END, "0123456789");
        assert_bytes(fs, 3, 5, "34");
        assert_int_equal(odd.range.start, 3);
        assert_bytes(fs, -3, LARDER_TO_END, "789");
        assert_bytes(fs, 8, 100, "89");
        assert_bytes(fs, 20, 30, "");
        odd.facts.size = LARDER_SIZE_UNKNOWN;
        assert_ok(larder_cat_file(fs, "file", NULL, &bytes));
        assert_string_equal(bytes.data, "0123456789");
        larder_bytes_free(&bytes);
        assert_bytes(fs, 3, 5, "34");
        assert_bytes(fs, 8, 100, "89");
        struct larder_range last = {-3, LARDER_TO_END};
        assert_status(-ENOTSUP, larder_cat_file(fs, "file", &last, &bytes));
        larder_fs_free(fs);
    }
}

static void large_directories_come_in_pages(void **state)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        struct larder_fs *fs = open_odd(kind, "x", NULL);
        struct larder_entries entries;
        struct larder_walk *walk;
        const struct larder_info *entry;
        const char *dir;
        odd.released = 0;
        assert_ok(larder_ls(fs, "many", &entries));
        assert_int_equal(entries.count, MANY);
        assert_string_equal(entries.info[MANY - 1].name, "f2499");
        larder_entries_free(&entries);
        assert_int_equal(odd.released, 2);
        assert_ok(larder_walk_open(fs, "many", NULL, &walk));
        assert_int_equal(larder_walk_next(walk, &dir, &entry), 1);
        larder_walk_free(walk); /* in the middle */
        assert_int_equal(odd.released, 3);
        larder_fs_free(fs);
    }
}

/* ---- what is not believed ---- */

static void assert_lie(int status, const char *said)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        struct larder_fs *fs = open_odd(kind, "x", NULL);
        struct larder_bytes bytes;
        assert_status(status, larder_cat_file(fs, "file", NULL, &bytes));
        if (!strstr(larder_error(), said))
            fail_msg("\"%s\" is not in \"%s\"", said, larder_error());
        larder_fs_free(fs);
    }
}

static void bytes_that_were_not_promised_are_a_failure(void **state)
{
    odd.give = 9;
    assert_lie(-EPROTO, "fewer bytes");
    odd.give = 0;
    assert_lie(-EPROTO, "fewer bytes");
    odd.facts.size = 5;
    odd.give = 6;
    assert_lie(-EPROTO, "more bytes");
    odd_reset();
    odd.early = true;
    assert_lie(-EPROTO, "before");
}

static void facts_that_cannot_be_are_a_failure(void **state)
{
    odd.facts.type = 0;
    assert_lie(-EPROTO, "cannot be");
    odd.facts.type = 9;
    assert_lie(-EPROTO, "cannot be");
    odd_reset();
    odd.facts.size = -2;
    assert_lie(-EPROTO, "cannot be");
    odd_reset();
    memset(odd.facts.version, 'v', sizeof odd.facts.version);
    assert_lie(-EPROTO, "cannot be");
    odd_reset();
    odd.facts.type = LARDER_DIRECTORY;
    assert_lie(-EISDIR, "directory");
}

/* snprintf leaves so much of one that is longer, and of all that begin alike. */
static void a_version_that_may_be_cut_is_none(void **state)
{
    for (size_t size = 126; size < 128; size++) {
        struct larder_fs *fs = open_odd(1, "x", NULL);
        struct larder_info info;
        memset(odd.facts.version, 'v', size);
        odd.facts.version[size] = 0;
        assert_ok(larder_info(fs, "file", &info));
        if (size == 126)
            assert_string_equal(info.version, odd.facts.version);
        else
            assert_null(info.version);
        larder_info_free(&info);
        larder_fs_free(fs);
    }
}

static void a_status_that_is_none_is_a_failure(void **state)
{
    odd.status = 5;
    assert_lie(-EPROTO, "returned 5");
    odd.status = 1; /* what is unchanged, of what nobody has asked */
    assert_lie(-EPROTO, "returned 1");
    struct larder_fs *fs = open_odd(1, "x", NULL);
    assert_status(-EPROTO, larder_rm_file(fs, "file"));
    assert_status(-EPROTO, larder_pipe_file(fs, "file", "x", 1, 0));
    odd.status = -EIO; /* and without a word */
    assert_status(-EIO, larder_rm_file(fs, "file"));
    assert_non_null(strstr(larder_error(), "file"));
    odd.status = 0;
    assert_status(-EPROTO, larder_pipe_file(fs, "wrong", "x", 1, 0));
    larder_fs_free(fs);
}

static void a_name_that_leads_elsewhere_is_a_failure(void **state)
{
    static const char *const names[] = {"..", ".", "", "a/b", "/etc", "a/"};
    struct larder_entries entries;
    struct larder_fs *fs = open_odd(1, "x", NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        odd.name = names[i];
        assert_status(-EBADMSG, larder_ls(fs, "", &entries));
    }
    odd.name = NULL;
    odd.from_nowhere = true;
    assert_status(-EPROTO, larder_ls(fs, "", &entries));
    larder_fs_free(fs);
}

static void what_it_cannot_is_not_supported(void **state)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        struct larder_fs *fs = open_odd(kind, "x", NULL);
        assert_status(-ENOTSUP, larder_mkdir(fs, "dir", false));
        assert_status(-ENOTSUP, larder_rmdir(fs, "many"));
        assert_true(larder_fs_capabilities(fs)->list && larder_fs_capabilities(fs)->write);
        assert_false(larder_fs_capabilities(fs)->copy || larder_fs_capabilities(fs)->stage);
        assert_ok(larder_pipe_file(fs, "new", "abc", 3, 0));
        assert_int_equal(odd.written_size, 3);
        larder_fs_free(fs);
    }
}

/* ---- where it runs ---- */

static struct larder_fs *tasks_fs, *blocking_fs;
static pthread_t loops_thread;

static int look_around(void *arg)
{
    loops_thread = pthread_self();
    if (larder_isfile(blocking_fs, "file") != 1 || pthread_equal(odd.thread, loops_thread))
        return -EPROTO;
    if (larder_isfile(tasks_fs, "file") != 1 || !pthread_equal(odd.thread, loops_thread))
        return -EPROTO;
    return 0;
}

static void each_kind_runs_where_it_is_said(void **state)
{
    struct larder_fs *instant = open_odd(0, "x", NULL);
    blocking_fs = open_odd(1, "x", NULL);
    tasks_fs = open_odd(2, "x", NULL);
    assert_false(larder_fs_is_async(instant) || larder_fs_is_async(blocking_fs));
    assert_true(larder_fs_is_async(tasks_fs));
    assert_ok(larder_sync(NULL, look_around, NULL, 0));
    assert_status(1, larder_isfile(instant, "file"));
    assert_true(pthread_equal(odd.thread, pthread_self()));
    assert_status(1, larder_isfile(blocking_fs, "file"));
    assert_true(pthread_equal(odd.thread, pthread_self()));
    assert_status(1, larder_isfile(tasks_fs, "file"));
    assert_true(pthread_equal(odd.thread, loops_thread));
    larder_fs_free(instant);
    larder_fs_free(blocking_fs);
    larder_fs_free(tasks_fs);
}

/* ---- one that stands on another ---- */

static struct larder_fs *under; /* what it stands on */
static size_t whole_max;

static int on_read(void *state, const char *path, struct larder_reading *reading)
{
    return larder_reading_from(reading, under, path);
}

/* The first place, which gave up in the middle, and the second. */
static int on_list(void *state, const char *path, struct larder_page *page)
{
    int *position = malloc(sizeof *position);
    *position = 1;
    larder_page_go_on(page, position, release);
    return larder_page_from(page, under, path);
}

static int on_write(void *state, const char *path, struct larder_writing *writing,
                    const struct larder_how *how, struct larder_facts *now)
{
    const void *data, *again;
    size_t size, size_again;
    int rc = larder_writing_whole(writing, whole_max, &data, &size);
    if (rc == 0)
        rc = larder_writing_rewind(writing);
    if (rc == 0)
        rc = larder_writing_whole(writing, whole_max, &again, &size_again);
    if (rc == 0 && (data != again || size != size_again))
        rc = larder_fail(-EPROTO, "it moved");
    return rc < 0 ? rc : larder_pipe_file(under, path, data, size, 0);
}

static struct larder_fs *open_on(struct larder_fs *fs)
{
    struct larder_backend table = odd_table("odd-on", LARDER_TASKS);
    struct larder_fs *on = NULL;
    table.read = on_read;
    table.list = on_list;
    table.write = on_write;
    larder_register(&table); /* once */
    under = fs;
    assert_ok(larder_open(NULL, "odd-on://x", NULL, &on, NULL));
    return on;
}

static void a_listing_of_another_place_goes_on_nowhere(void **state)
{
    struct larder_fs *other = open_odd(0, "x", NULL), *on = open_on(other);
    struct larder_entries entries;
    assert_ok(larder_ls(on, "many", &entries));
    assert_int_equal(entries.count, MANY);
    assert_int_equal(odd.released, 3); /* two of the other's, and this one's */
    larder_entries_free(&entries);
    larder_fs_free(on);
    larder_fs_free(other);
}

static void expect_file(struct larder_fs *fs, const char *content)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, "file", NULL, &bytes));
    assert_int_equal(bytes.size, strlen(content));
    assert_memory_equal(bytes.data, content, bytes.size);
    larder_bytes_free(&bytes);
}

/* Of a handle through a cache: the one that must not be old asks. */
static void what_another_was_opened_with_counts(void **state)
{
    char *dir = tmpdir_make(), option[300];
    struct larder_fs *plain = open_odd(1, "x", NULL), *cached, *strict, *on;
    struct larder_cache *cache;
    snprintf(option, sizeof option, "dir=%s/cache", dir);
    assert_ok(larder_cache_open((const char *const[]){option, NULL}, &cache));
    assert_ok(larder_cache_fs(cache, plain, NULL, &cached));
    assert_ok(larder_fs_at(cached, "", (const char *const[]){"cache.max_age=0", NULL}, &strict));
    odd.facts.fresh_ms = 60000;
    on = open_on(cached);
    expect_file(on, "0123456789");
    odd.content = "9876543210";
    odd.facts.version[1] = '2';
    expect_file(on, "0123456789");
    under = strict;
    expect_file(on, "9876543210");
    larder_fs_free(on);
    larder_fs_free(strict);
    larder_fs_free(cached);
    larder_fs_free(plain);
    larder_cache_free(cache);
    tmpdir_remove(dir);
}

static void whole_bytes_stay_and_have_a_limit(void **state)
{
    static const char block[1 << 16] = "text";
    char *dir = tmpdir_make(), *path = tmpdir_path(dir, "file");
    const char *const sources[] = {path};
    const struct larder_copy_options options = {.size = sizeof options};
    struct larder_fs *disk, *on;
    FILE *file = fopen(path, "w");
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(fwrite(block, 1, sizeof block, file), sizeof block);
    fclose(file);
    assert_ok(larder_open(NULL, "memory://whole", NULL, &disk, NULL));
    on = open_on(disk);
    whole_max = 100 * sizeof block;
    assert_ok(larder_put(sources, 1, on, "to", &options));
    whole_max--;
    assert_status(-EFBIG, larder_put(sources, 1, on, "to", &options));
    larder_rm(disk, "", true);
    larder_fs_free(on);
    larder_fs_free(disk);
    free(path);
    tmpdir_remove(dir);
}

/* ---- memory ---- */

static int open_directory(void *arg)
{
    struct larder_fs *fs = NULL;
    int rc = larder_open(NULL, "memory://m/d/", NULL, &fs, NULL);
    larder_fs_free(fs);
    return rc;
}

static int live(void *arg)
{
    static const char *const options[] = {"word=w", NULL};
    struct larder_fs *fs = NULL;
    struct larder_bytes bytes = {0};
    struct larder_entries entries = {0};
    int rc = larder_open(NULL, "odd-blocking://x", options, &fs, NULL);
    if (rc == 0)
        rc = larder_cat_file(fs, "file", NULL, &bytes);
    if (rc == 0)
        rc = larder_pipe_file(fs, "file", "x", 1, 0);
    larder_bytes_free(&bytes);
    larder_entries_free(&entries);
    larder_fs_free(fs);
    return rc;
}

/* All of it, up to the name that is taken. */
static int make_known(void *arg)
{
    struct larder_backend table = odd_table(protocols[0], LARDER_INSTANT);
    int rc = larder_register(&table);
    return rc == -EEXIST ? 0 : rc;
}

static void memory_that_runs_out_is_an_error_and_no_leak(void **state)
{
    assert_true(alloc_fault_run(live, NULL) > 5);
    assert_true(alloc_fault_run(make_known, NULL) > 10);
    assert_true(alloc_fault_run(open_directory, NULL) > 5);
}

static int setup(void **state)
{
    odd_reset();
    return 0;
}

static int setup_all(void **state)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        struct larder_backend table = odd_table(protocols[kind], LARDER_INSTANT + kind);
        assert_ok(larder_register(&table));
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_protocol_is_known_once, setup),
        cmocka_unit_test_setup(a_wrong_table_is_refused, setup),
        cmocka_unit_test_setup(a_shorter_table_lacks_what_came_later, setup),
        cmocka_unit_test_setup(a_table_is_copied, setup),
        cmocka_unit_test_setup(a_url_is_split_and_options_are_the_tables, setup),
        cmocka_unit_test_setup(what_open_refuses_is_refused, setup),
        cmocka_unit_test_setup(one_that_is_connected_later_is_opened_later, setup),
        cmocka_unit_test_setup(ranges_are_what_they_are_everywhere, setup),
        cmocka_unit_test_setup(large_directories_come_in_pages, setup),
        cmocka_unit_test_setup(bytes_that_were_not_promised_are_a_failure, setup),
        cmocka_unit_test_setup(facts_that_cannot_be_are_a_failure, setup),
        cmocka_unit_test_setup(a_version_that_may_be_cut_is_none, setup),
        cmocka_unit_test_setup(a_status_that_is_none_is_a_failure, setup),
        cmocka_unit_test_setup(a_name_that_leads_elsewhere_is_a_failure, setup),
        cmocka_unit_test_setup(what_it_cannot_is_not_supported, setup),
        cmocka_unit_test_setup(each_kind_runs_where_it_is_said, setup),
        cmocka_unit_test_setup(a_listing_of_another_place_goes_on_nowhere, setup),
        cmocka_unit_test_setup(what_another_was_opened_with_counts, setup),
        cmocka_unit_test_setup(whole_bytes_stay_and_have_a_limit, setup),
        cmocka_unit_test_setup(threads_make_protocols_known_while_others_open, setup),
        cmocka_unit_test_setup(memory_that_runs_out_is_an_error_and_no_leak, setup),
    };
    return cmocka_run_group_tests(tests, setup_all, NULL);
}
