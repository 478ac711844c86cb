/* SPDX-License-Identifier: Apache-2.0 */
/* Walks: what a listing of names alone costs, on file systems of any kind, and what memory a large tree takes. */
#include "test.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"
#include "larder/backend.h"

#include "base/seams.h"
#include "tmpdir.h"
#include "tree.h"

/* ---- a local tree ---- */

static atomic_uint stats;
static atomic_bool types_unknown;

static int count_fstatat(int dir, const char *name, struct stat *out, int flags)
{
    stats++;
    return fstatat(dir, name, out, flags);
}

static struct dirent *read_untyped(DIR *dir)
{
    struct dirent *entry = readdir(dir);
    if (entry && types_unknown)
        entry->d_type = DT_UNKNOWN;
    return entry;
}

static char *tmp;
static struct larder_fs *fs;

static void make_link(const char *target, const char *name)
{
    char *at = tmpdir_path(tmp, name);
    assert_int_equal(symlink(target, at), 0);
    free(at);
}

static int setup(void **state)
{
    tmp = tmpdir_make();
    tree_write(tmp, "a/file", "four", 4);
    tree_write(tmp, "a/b/file", "four", 4);
    tree_write(tmp, "other/file", "four", 4);
    make_link("../..", "a/b/top");       /* a link that leads back up … */
    make_link("../other", "a/sideways"); /* … two that do so through each other … */
    make_link("../a", "other/back");
    make_link("nowhere", "a/lost");
    make_link("file", "a/same");
    stats = 0;
    types_unknown = false;
    return larder_open(NULL, tmp, NULL, &fs, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    tmpdir_remove(tmp);
    return 0;
}

/* Each entry's type and path, in order, with a blank behind: "d:a f:a/file ". */
static char *shape(bool names_only)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = true, .names_only = names_only};
    struct larder_entries entries;
    assert_ok(larder_find(fs, "", &options, &entries));
    char *text = calloc(entries.count * 64 + 1, 1), *end = text;
    for (size_t i = 0; i < entries.count; i++)
        end += sprintf(end, "%c:%s ", "?fdo"[entries.info[i].type], entries.info[i].name);
    larder_entries_free(&entries);
    return text;
}

static void every_listing_shows_the_same_tree(void **state)
{
    static const char wanted[] =
        "d:a d:a/b f:a/b/file o:a/b/top f:a/file o:a/lost f:a/same d:a/sideways o:a/sideways/back "
        "f:a/sideways/file d:other d:other/back d:other/back/b f:other/back/b/file o:other/back/b/top "
        "f:other/back/file o:other/back/lost f:other/back/same o:other/back/sideways f:other/file ";
    for (int i = 0; i < 4; i++) {
        types_unknown = i & 1;
        char *found = shape(i & 2);
        assert_string_equal(found, wanted);
        free(found);
    }
}

static unsigned stats_of(const char *path, bool names_only)
{
    struct larder_find_options options = {.size = sizeof options,
                                          .maxdepth = 1,
                                          .dirs = true,
                                          .names_only = names_only};
    struct larder_entries entries;
    stats = 0;
    assert_ok(larder_find(fs, path, &options, &entries));
    for (size_t i = 0; i < entries.count; i++)
        if (entries.info[i].type == LARDER_FILE && strcmp(entries.info[i].name, "same") != 0)
            assert_int_equal(entries.info[i].size, names_only && !types_unknown ? LARDER_SIZE_UNKNOWN : 4);
    larder_entries_free(&entries);
    return stats;
}

static void names_are_listed_without_looking_at_each(void **state)
{
    assert_int_equal(stats_of("other", true), 2);  /* the link, and what it leads to */
    assert_int_equal(stats_of("other", false), 3); /* the file as well */
    types_unknown = true;
    assert_int_equal(stats_of("other", true), 3);
}

static void a_glob_of_names_looks_at_none(void **state)
{
    struct larder_glob_options options = {.size = sizeof options, .names_only = true};
    struct larder_entries entries;
    assert_ok(larder_glob(fs, "a/b/f*", &options, &entries));
    assert_int_equal(entries.count, 1);
    larder_entries_free(&entries);
    assert_int_equal(stats, 2); /* the link that does not match, and what it leads to */
}

static void a_cache_keeps_no_listing_of_names_alone(void **state)
{
    struct larder_find_options options = {.size = sizeof options, .names_only = true};
    char *option = NULL, *store = tmpdir_path(tmp, "store");
    struct larder_cache *cache;
    struct larder_fs *cached;
    struct larder_entries entries;
    assert_true(asprintf(&option, "dir=%s", store) > 0);
    assert_ok(larder_cache_open((const char *const[]){option, NULL}, &cache));
    assert_ok(larder_cache_fs(cache, fs, (const char *const[]){"ttl=1h", NULL}, &cached));
    assert_ok(larder_find(cached, "a/b", &options, &entries));
    larder_entries_free(&entries);
    assert_ok(larder_cache_flush(cache));
    stats = 0;
    assert_ok(larder_ls(cached, "a/b", &entries));
    assert_int_equal(entries.count, 2);
    assert_int_equal(entries.info[0].size, 4);
    assert_int_equal(stats, 0);
    larder_entries_free(&entries);
    larder_fs_free(cached);
    larder_cache_free(cache);
    free(option);
    free(store);
}

/* ---- large trees that are nowhere ---- */

/* `dirs` directories of `files` files each; of no directory: the files. */
struct plan {
    const char *name;
    size_t dirs, files;
};
static const struct plan plans[] = {
    {"square", 1000, 1000},
    {"files", 0, 1000000},
    {"dirs", 100000, 1},
};

static int plan_open(const struct larder_place *place, struct larder_capabilities *can, void **state)
{
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++)
        if (strcmp(larder_place_name(place), plans[i].name) == 0)
            *state = (void *)&plans[i];
    return 0;
}

static void plan_close(void *state)
{
}

static int plan_info(void *state, const char *path, struct larder_facts *out)
{
    *out = (struct larder_facts){.type = *path ? LARDER_FILE : LARDER_DIRECTORY};
    return 0;
}

static int plan_list(void *state, const char *path, struct larder_page *page)
{
    const struct plan *plan = state;
    bool dirs = !*path && plan->dirs > 0;
    size_t count = dirs ? plan->dirs : plan->files;
    struct larder_facts facts = {.type = dirs ? LARDER_DIRECTORY : LARDER_FILE, .size = 1};
    for (size_t i = (size_t)(uintptr_t)larder_page_position(page); i < count; i++) {
        char name[32];
        if (larder_page_is_full(page)) {
            larder_page_go_on(page, (void *)(uintptr_t)i, NULL);
            return 0;
        }
        snprintf(name, sizeof name, "%c%06zu", dirs ? 'd' : 'f', i);
        int rc = larder_page_add(page, name, &facts);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static size_t plan_split(const char *rest)
{
    return strcspn(rest, "/");
}

static int plan_read(void *state, const char *path, struct larder_reading *reading)
{
    return larder_fail(-EIO, "%s: there are no bytes", path);
}

static const struct larder_backend plan_backend = {
    .size = sizeof plan_backend,
    .protocol = "plan",
    .kind = LARDER_INSTANT,
    .split = plan_split,
    .open = plan_open,
    .close = plan_close,
    .info = plan_info,
    .list = plan_list,
    .read = plan_read,
};

static atomic_llong live, peak;
static struct memory_seam memory;

static void *counted_resize(void *block, size_t size)
{
    long long before = block ? (long long)malloc_usable_size(block) : 0;
    void *result = memory.resize(block, size);
    if (!result)
        return NULL;
    long long more = (long long)malloc_usable_size(result) - before;
    long long now = atomic_fetch_add(&live, more) + more;
    if (now > peak)
        peak = now; /* of two threads at once one may lose: by a page at most */
    return result;
}

static void counted_release(void *block)
{
    live -= (long long)malloc_usable_size(block);
    memory.release(block);
}

static size_t walk_all(struct larder_walk *walk)
{
    const struct larder_info *entry;
    const char *dir;
    size_t count = 0;
    int rc;
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0)
        count++;
    larder_walk_free(walk);
    assert_ok(rc);
    return count;
}

/* The tree in one go after the other; never more than this in memory at once. */
#define FLAT (8 << 20)

static void memory_is_flat_however_large_the_tree(void **state)
{
    struct larder_find_options all = {.size = sizeof all, .dirs = true, .names_only = true};
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        const struct plan *plan = &plans[i];
        size_t files = (plan->dirs ? plan->dirs : 1) * plan->files;
        struct larder_fs *place;
        struct larder_walk *walk;
        char url[32];
        snprintf(url, sizeof url, "plan://%s", plan->name);
        assert_ok(larder_open(NULL, url, NULL, &place, NULL));
        long long before = live;
        peak = before;
        assert_ok(larder_walk_open(place, "", NULL, &walk)); /* find's files */
        assert_int_equal(walk_all(walk), files);
        assert_ok(larder_walk_open(place, "", &all, &walk));
        assert_int_equal(walk_all(walk), files + plan->dirs);
        assert_ok(larder_glob_open(place, "**/f*", NULL, &walk));
        assert_int_equal(walk_all(walk), files);
        print_message("%s: %zu files, %lld KiB at most\n", plan->name, files, (peak - before) >> 10);
        assert_true(peak - before < FLAT);
        larder_fs_free(place);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_listing_shows_the_same_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_listed_without_looking_at_each, setup, teardown),
        cmocka_unit_test_setup_teardown(a_glob_of_names_looks_at_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cache_keeps_no_listing_of_names_alone, setup, teardown),
        cmocka_unit_test(memory_is_flat_however_large_the_tree),
    };
    file_seam.fstatat = count_fstatat;
    file_seam.readdir = read_untyped;
    memory = memory_seam;
    memory_seam = (struct memory_seam){.resize = counted_resize, .release = counted_release};
    assert_ok(larder_register(&plan_backend));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
