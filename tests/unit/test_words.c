/* SPDX-License-Identifier: Apache-2.0 */
/* What larder_error() says after calls of every header, and what a place, a map and a batch say of the same thing. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "cached_memory.h"
#include "tmpdir.h"

static int tell_no_transaction(void *arg, const struct larder_txn_info *info)
{
    return 0;
}

static int do_nothing(void *arg)
{
    return 0;
}

static struct larder_map *map;

static int64_t url_of(void)
{
    char *url;
    int rc = larder_fs_url(memory, "d/f", &url);
    larder_free(rc == 0 ? url : NULL);
    return rc;
}

static int64_t handle_of(void)
{
    struct larder_fs *fs;
    char *text;
    int rc = larder_fs_at(memory, "d", NULL, &fs);
    assert_string_equal(larder_error(), "");
    rc = rc == 0 ? larder_fs_to_json(fs, false, &text) : rc;
    larder_fs_free(fs);
    larder_free(rc == 0 ? text : NULL);
    return rc;
}

static int64_t stats_of_a_reader(void)
{
    struct larder_file_stats stats = {.size = sizeof stats};
    struct larder_file *file;
    assert_ok(larder_file_open(memory, "g", "r", NULL, &file));
    assert_status(-EINVAL, larder_file_seek(file, -1, SEEK_SET));
    int rc = larder_file_stats(file, &stats);
    assert_string_equal(larder_error(), "");
    assert_status(-EINVAL, larder_file_seek(file, -1, SEEK_SET));
    return rc < 0 ? rc : larder_file_close(file);
}

static int64_t close_nothing(void)
{
    return larder_file_close(NULL);
}

static int64_t roll_back_nothing(void)
{
    return larder_txn_rollback(NULL);
}

static int64_t list_no_journal(void)
{
    char *none = tmpdir_path(scratch, "none");
    int rc = larder_txn_list(none, tell_no_transaction, NULL);
    free(none);
    return rc;
}

static int64_t get_some(int64_t (*call)(struct larder_item *items, struct larder_batch *batch),
                        enum larder_on_error on_error)
{
    struct larder_item items[] = {{.path = "none"}, {.path = "g"}, {.path = "g/below"}};
    struct larder_batch batch = {.size = sizeof batch, .on_error = on_error};
    int64_t rc = call(items, &batch);
    assert_status(0, items[1].status);
    assert_status(-ENOENT, items[0].status);
    larder_bytes_free(&items[1].bytes);
    return rc;
}

static int64_t cat_some(struct larder_item *items, struct larder_batch *batch)
{
    return larder_cat(memory, items, 3, batch);
}

static int64_t get_some_keys(struct larder_item *items, struct larder_batch *batch)
{
    return larder_map_get_many(map, items, 3, batch);
}

static int64_t cat_with_omit(void)
{
    return get_some(cat_some, LARDER_OMIT);
}

static int64_t cat_with_return(void)
{
    return get_some(cat_some, LARDER_RETURN);
}

static int64_t get_with_omit(void)
{
    return get_some(get_some_keys, LARDER_OMIT);
}

static int64_t get_with_return(void)
{
    return get_some(get_some_keys, LARDER_RETURN);
}

static int64_t has_not(void)
{
    return larder_map_has(map, "g/below");
}

static int64_t keys_of_a_map(void)
{
    struct larder_keys *keys;
    int rc = larder_map_keys(map, NULL, &keys);
    larder_keys_free(rc == 0 ? keys : NULL);
    return rc;
}

static int64_t count_keys(void)
{
    return larder_map_len(map);
}

static int64_t walk(void)
{
    struct larder_walk *opened;
    int rc = larder_walk_open(memory, "d", NULL, &opened);
    larder_walk_free(rc == 0 ? opened : NULL);
    return rc;
}

static int64_t escape(void)
{
    char *pattern;
    int rc = larder_glob_escape("a*", &pattern);
    larder_free(rc == 0 ? pattern : NULL);
    return rc;
}

static int64_t option(void)
{
    struct larder_option first = {.size = sizeof first};
    return larder_option_at(0, &first);
}

static int64_t exists_not(void)
{
    return larder_exists(memory, "g/below");
}

static int64_t event(void)
{
    struct larder_event *new;
    int rc = larder_event_new(&new);
    larder_event_free(rc == 0 ? new : NULL);
    return rc;
}

static int64_t spawn(void)
{
    return larder_spawn(NULL, do_nothing, NULL, NULL, NULL, NULL);
}

static int64_t loop(void)
{
    struct larder_loop *new;
    int rc = larder_loop_new(&new);
    assert_string_equal(larder_error(), "");
    return rc < 0 ? rc : larder_loop_close(new, NULL, NULL);
}

static int64_t transaction(void)
{
    struct larder_txn *txn;
    int rc = larder_txn_begin(NULL, &txn);
    assert_string_equal(larder_error(), "");
    return rc < 0 ? rc : larder_txn_rollback(txn);
}

static int64_t current(void)
{
    struct larder_fs *fs;
    int rc = larder_fs_current("memory", &fs);
    larder_fs_free(rc == 0 ? fs : NULL);
    return rc;
}

static int64_t flush(void)
{
    return larder_cache_flush(cache);
}

static int64_t prune(void)
{
    return larder_cache_prune(cache, UINT64_MAX);
}

static int64_t why(void)
{
    struct larder_cache_entry entry = {.size = sizeof entry};
    int rc = larder_cache_why(cached, "none", &entry);
    larder_cache_entry_free(rc == 0 ? &entry : NULL);
    return rc;
}

static int64_t list(void)
{
    unsigned count = 0;
    return larder_cache_list(cache, NULL, NULL, count_file, &count);
}

static void what_did_not_fail_leaves_no_words(void **state)
{
    static const struct {
        const char *name;
        int64_t (*call)(void);
    } calls[] = {
#define CALL(call) {#call, call}
        CALL(url_of),
        CALL(handle_of),
        CALL(stats_of_a_reader),
        CALL(close_nothing),
        CALL(roll_back_nothing),
        CALL(list_no_journal),
        CALL(cat_with_omit),
        CALL(cat_with_return),
        CALL(get_with_omit),
        CALL(get_with_return),
        CALL(has_not),
        CALL(keys_of_a_map),
        CALL(count_keys),
        CALL(walk),
        CALL(escape),
        CALL(option),
        CALL(exists_not),
        CALL(event),
        CALL(spawn),
        CALL(loop),
        CALL(transaction),
        CALL(current),
        CALL(flush),
        CALL(prune),
        CALL(why),
        CALL(list),
#undef CALL
    };
    assert_ok(larder_map_new(memory, "", 0, &map));
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct larder_fs *fs;
        assert_status(-ENOTSUP, larder_open(NULL, "nobody://", NULL, &fs, NULL));
        int64_t rc = calls[i].call();
        if (rc < 0 || *larder_error())
            fail_msg("%s: %d, \"%s\"", calls[i].name, (int)rc, larder_error());
    }
    larder_map_free(map);
}

static void words_say_what_of_what_and_why(void **state)
{
    struct larder_fs *offline, *root;
    struct larder_properties properties;
    struct larder_bytes bytes;
    assert_ok(larder_map_new(memory, "", 0, &map));
    assert_status(-ENOENT, larder_map_get(map, "g/below", NULL, &bytes));
    assert_string_equal(larder_error(), "memory://tree/g/below: no such key: a file is in its way");
    assert_status(-ENOENT, larder_map_get(map, "d", NULL, &bytes));
    assert_string_equal(larder_error(), "memory://tree/d: no such key: a directory");
    assert_status(-EISDIR, larder_map_set_if_absent(map, "d", "x", 1));
    assert_non_null(strstr(larder_error(), "d: "));
    assert_status(-EEXIST, larder_map_set_if_absent(map, "g", "x", 1));
    larder_map_free(map);
    assert_ok(larder_open(NULL, "memory://", NULL, &root, NULL));
    assert_status(-EISDIR, larder_rm_file(root, ""));
    assert_string_equal(larder_error(), "the root: Is a directory");
    larder_fs_free(root);
    assert_status(-ENOTSUP, larder_properties(memory, "g", &properties));
    assert_string_equal(larder_error(),
                        "memory://tree/g: this place (memory) cannot tell the properties of files");
    assert_ok(larder_cache_fs(cache, memory, (const char *const[]){"mode=offline", NULL}, &offline));
    assert_status(-ENONET, larder_cat_file(offline, "never", NULL, &bytes));
    assert_string_equal(larder_error(), "memory://tree/never: offline, and not in the cache");
    larder_fs_free(offline);
}

struct cancelled {
    struct larder_task *task;
    struct larder_fs *fs;
};

static int read_cancelled(void *arg)
{
    struct cancelled *cancelled = arg;
    struct larder_bytes bytes;
    larder_cancel(cancelled->task);
    return larder_cat_file(cancelled->fs, "f", NULL, &bytes);
}

static void a_cancel_is_told_with_what_it_ended(void **state)
{
    struct cancelled cancelled;
    assert_ok(larder_open(NULL, scratch, NULL, &cancelled.fs, NULL));
    assert_ok(larder_pipe_file(cancelled.fs, "f", "hello", 5, 0));
    assert_ok(larder_spawn(NULL, read_cancelled, &cancelled, NULL, NULL, &cancelled.task));
    assert_status(-ECANCELED, larder_join(cancelled.task));
    assert_non_null(strstr(larder_error(), "/f: cancelled"));
    larder_fs_free(cancelled.fs);
}

static void below_a_file_is_one_thing_to_all(void **state)
{
    struct larder_fs *local;
    char *tree = tmpdir_path(scratch, "");
    assert_ok(larder_open(NULL, tree, NULL, &local, NULL));
    assert_ok(larder_pipe_file(local, "g", "world", 5, 0));
    struct larder_fs *places[] = {memory, local};
    for (size_t i = 0; i < 2; i++) {
        struct larder_item items[] = {{.path = "g/below"}, {.path = "g"}};
        struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_OMIT};
        struct larder_entries entries;
        struct larder_info info;
        int64_t sizes[2];
        assert_status(-ENOTDIR, larder_info(places[i], "g/below", &info));
        assert_status(-ENOTDIR, larder_ls(places[i], "g/below", &entries));
        assert_status(-ENOTDIR, larder_rm_file(places[i], "g/below"));
        assert_ok(larder_find(places[i], "g/below", NULL, &entries));
        assert_int_equal(entries.count, 0);
        larder_entries_free(&entries);
        assert_status(0, larder_exists(places[i], "g/below"));
        assert_ok(larder_cat(places[i], items, 2, &batch));
        assert_status(-ENOTDIR, items[0].status);
        larder_bytes_free(&items[1].bytes);
        assert_ok(larder_sizes(places[i], items, 2, sizes, &batch));
        assert_ok(larder_rm_files(places[i], items, 1, &batch));
        items[1].bytes = (struct larder_bytes){0};
        assert_status(-ENOTDIR, larder_pipe(places[i], items, 1, 0, &batch)); /* which was to be made */
    }
    larder_fs_free(local);
    free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_did_not_fail_leaves_no_words),
        cmocka_unit_test(words_say_what_of_what_and_why),
        cmocka_unit_test(a_cancel_is_told_with_what_it_ended),
        cmocka_unit_test(below_a_file_is_one_thing_to_all),
    };
    return cmocka_run_group_tests(tests, cached_memory_begin, cached_memory_end);
}
