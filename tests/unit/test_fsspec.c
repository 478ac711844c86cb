/* SPDX-License-Identifier: Apache-2.0 */
/* What fsspec answered to random calls over a tree, Larder answers too, in every kind of place. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "fsspec_tree.h"
#include "tmpdir.h"

#define END LARDER_TO_END
#include "fsspec_rows.inc"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static char *scratch;

struct place {
    const char *name, *url;
    struct larder_fs *fs; /* with the tree below "s" */
    struct larder_fs *tree;
};

/* What is put comes from here. */
static void plant_local(void)
{
    struct larder_fs *disk;
    assert_ok(larder_open(NULL, scratch, NULL, &disk, NULL));
    assert_ok(fsspec_tree_plant(disk, "s"));
    larder_fs_free(disk);
}

static int plant(void **state)
{
    struct place *place = *state;
    static char cache[512];
    const char *const options[] = {cache, NULL};
    char *url = *place->url ? strdup(place->url) : tmpdir_path(scratch, "local");
    snprintf(cache, sizeof cache, "cache.dir=%s/cache", scratch);
    assert_ok(larder_open(NULL, url, options, &place->fs, NULL));
    assert_ok(fsspec_tree_plant(place->fs, "s"));
    assert_ok(larder_fs_at(place->fs, "s", NULL, &place->tree));
    free(url);
    return 0;
}

static int fell(void **state)
{
    struct place *place = *state;
    larder_fs_free(place->fs);
    larder_fs_free(place->tree);
    return 0;
}

/* Where Larder answers otherwise a row has a reason, and each reason has such a row. */
static struct reason {
    const char *why;
    bool differs;
} reasons[16];

static int tell_difference(const char *what, size_t row, const char *why, bool same)
{
    size_t i = 0;
    if (!why && !same)
        print_error("%s, row %zu: another answer\n", what, row);
    if (!why)
        return !same;
    while (reasons[i].why && strcmp(reasons[i].why, why) != 0)
        i++;
    assert_true(i < COUNT(reasons));
    reasons[i].why = why;
    reasons[i].differs |= !same;
    return 0;
}

static void every_reason_has_a_row(void **state)
{
    for (size_t i = 0; reasons[i].why; i++)
        if (!reasons[i].differs)
            fail_msg("%s: there is no difference", reasons[i].why);
}

/* ---- what is there ---- */

static void what_is_there(void **state)
{
    struct larder_fs *fs = ((struct place *)*state)->tree;
    int differ = 0;
    for (size_t i = 0; i < COUNT(stat_rows); i++) {
        const struct stat_row *row = &stat_rows[i];
        struct larder_info info = {0};
        struct larder_entries listed = {0};
        uint64_t bits = 0;
        char dir[1200] = "";
        int rc = larder_info(fs, row->path, &info), listing = larder_ls(fs, row->path, &listed);
        /* A file is listed as itself, by its name. */
        size_t size = strlen(row->path) - (*row->path && row->path[strlen(row->path) - 1] == '/');
        snprintf(dir, sizeof dir, "%.*s", (int)size, row->path);
        if (info.type == LARDER_FILE)
            *(strrchr(dir, '/') ? strrchr(dir, '/') : dir) = '\0';
        bool same =
            rc == row->status && listing == row->status && larder_exists(fs, row->path) == row->exists &&
            larder_isfile(fs, row->path) == row->isfile && larder_isdir(fs, row->path) == row->isdir &&
            fsspec_tree_bits(&listed, dir, &bits) && bits == row->listed;
        differ += tell_difference(row->path, i, row->why, same);
        larder_info_free(&info);
        larder_entries_free(&listed);
    }
    assert_int_equal(differ, 0);
}

/* ---- what is below ---- */

static const char *without_slash(const char *path)
{
    static char clean[1200];
    size_t size = strlen(path);
    snprintf(clean, sizeof clean, "%.*s", (int)(size - (size > 0 && path[size - 1] == '/')), path);
    return clean;
}

static void find_and_du(void **state)
{
    struct larder_fs *fs = ((struct place *)*state)->tree;
    int differ = 0;
    for (size_t i = 0; i < COUNT(find_rows); i++) {
        const struct find_row *row = &find_rows[i];
        struct larder_find_options options = {.size = sizeof options,
                                              .maxdepth = row->maxdepth,
                                              .dirs = row->dirs};
        struct larder_entries found = {0};
        uint64_t bits = 0;
        bool same = larder_find(fs, row->path, &options, &found) == 0 &&
                    fsspec_tree_bits(&found, without_slash(row->path), &bits) && bits == row->found &&
                    larder_du(fs, row->path, &options) == row->used;
        if (tell_difference(row->path, i, NULL, same)) {
            fsspec_tree_tell(bits, row->found);
            differ++;
        }
        larder_entries_free(&found);
    }
    assert_int_equal(differ, 0);
}

/* A directory is told before all that is in it. */
static bool walk_bits(struct larder_fs *fs, const struct walk_row *row, uint64_t *bits)
{
    struct larder_find_options options = {.size = sizeof options, .maxdepth = row->maxdepth, .dirs = true};
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *dir;
    int rc;
    assert_ok(larder_walk_open(fs, row->path, &options, &walk));
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0) {
        struct larder_info below = {.name = dir, .type = LARDER_DIRECTORY}, whole = *entry;
        char name[1400];
        uint64_t above = 0;
        snprintf(name, sizeof name, "%s%s%s", dir, *dir ? "/" : "", entry->name);
        whole.name = name;
        if (*dir)
            assert_true(fsspec_tree_bit(&below, without_slash(row->path), &above) && (above & *bits));
        assert_true(fsspec_tree_bit(&whole, without_slash(row->path), bits));
        if (row->prune && strcmp(entry->name, row->prune) == 0)
            larder_walk_prune(walk);
    }
    larder_walk_free(walk);
    return rc == 0;
}

static void walk(void **state)
{
    struct larder_fs *fs = ((struct place *)*state)->tree;
    int differ = 0;
    for (size_t i = 0; i < COUNT(walk_rows); i++) {
        uint64_t bits = 0;
        bool same = walk_bits(fs, &walk_rows[i], &bits);
        /* What is pruned is told, and not what is below. */
        if (tell_difference(walk_rows[i].path, i, NULL, same && bits == walk_rows[i].walked)) {
            fsspec_tree_tell(bits, walk_rows[i].walked);
            differ++;
        }
    }
    assert_int_equal(differ, 0);
}

/* ---- expand_path ---- */

static size_t count_texts(const char *const texts[], size_t max)
{
    size_t count = 0;
    while (count < max && texts[count])
        count++;
    return count;
}

/* Takes what is not in the tree out of `found`. */
static bool take_also(struct larder_entries *found, const char *const also[3])
{
    size_t kept = 0, taken = 0, count = count_texts(also, 3);
    for (size_t i = 0; i < found->count; i++) {
        bool known = false;
        for (size_t j = 0; j < count; j++)
            known |= strcmp(found->info[i].name, also[j]) == 0;
        taken += known;
        if (!known)
            found->info[kept++] = found->info[i];
    }
    found->count = kept;
    return taken == count;
}

static void expand_path(void **state)
{
    struct larder_fs *fs = ((struct place *)*state)->tree;
    int differ = 0;
    for (size_t i = 0; i < COUNT(expand_rows); i++) {
        const struct expand_row *row = &expand_rows[i];
        struct larder_expand_options options = {.size = sizeof options,
                                                .glob = row->glob,
                                                .recursive = row->recursive,
                                                .maxdepth = row->maxdepth};
        struct larder_entries found = {0};
        uint64_t bits = 0;
        int rc = larder_expand_path(fs, row->paths, count_texts(row->paths, 3), &options, &found);
        bool same = rc == row->status && take_also(&found, row->also);
        for (size_t e = 0; e < found.count; e++) {
            const struct larder_info *info = &found.info[e];
            struct larder_info known = *info;
            for (size_t t = 0; info->type == 0 && t < FSSPEC_TREE_COUNT; t++)
                if (strcmp(fsspec_tree()[t].path, info->name) == 0) {
                    known.type = fsspec_tree()[t].directory ? LARDER_DIRECTORY : LARDER_FILE;
                    known.size = (int64_t)fsspec_tree()[t].size;
                }
            same = fsspec_tree_bit(&known, "", &bits) && same;
        }
        if (tell_difference(row->paths[0], i, row->why, same && bits == row->found)) {
            print_error("    %d, not %d %s %s %d %d %u\n", rc, row->status, row->paths[1], row->paths[2],
                        row->glob, row->recursive, row->maxdepth);
            fsspec_tree_tell(bits, row->found);
            differ++;
        }
        larder_entries_free(&found);
    }
    assert_int_equal(differ, 0);
}

/* ---- bytes ---- */

static bool bytes_are(struct larder_bytes *bytes, unsigned file, size_t from, size_t count)
{
    bool same = bytes->size == count && memcmp(bytes->data, fsspec_tree()[file].content + from, count) == 0;
    larder_bytes_free(bytes);
    return same;
}

static void ranges(void **state)
{
    struct larder_fs *fs = ((struct place *)*state)->tree;
    static const int64_t gaps[] = {-1, 0, 7, 1000};
    struct larder_range bounds[COUNT(range_rows)];
    int differ = 0;
    for (size_t i = 0; i < COUNT(range_rows); i++) {
        const struct range_row *row = &range_rows[i];
        struct larder_bytes bytes = {0};
        bounds[i] = (struct larder_range){row->start, row->end};
        bool same = larder_cat_file(fs, fsspec_tree()[row->file].path, &bounds[i], &bytes) == 0 &&
                    bytes_are(&bytes, row->file, row->from, row->count);
        differ += tell_difference("cat_file", i, NULL, same);
    }
    for (size_t g = 0; g < COUNT(gaps); g++) {
        struct larder_batch batch = {.size = sizeof batch, .gap_max = gaps[g]};
        struct larder_item items[COUNT(range_rows)] = {0};
        for (size_t i = 0; i < COUNT(range_rows); i++)
            items[i] =
                (struct larder_item){.path = fsspec_tree()[range_rows[i].file].path, .range = &bounds[i]};
        assert_ok(larder_cat_ranges(fs, items, COUNT(range_rows), &batch));
        for (size_t i = 0; i < COUNT(range_rows); i++) {
            const struct range_row *row = &range_rows[i];
            differ += tell_difference("cat_ranges", i, NULL,
                                      bytes_are(&items[i].bytes, row->file, row->from, row->count));
        }
    }
    assert_int_equal(differ, 0);
}

static void heads_and_tails(void **state)
{
    struct larder_fs *fs = ((struct place *)*state)->tree;
    int differ = 0;
    for (size_t i = 0; i < COUNT(end_rows); i++) {
        const struct end_row *row = &end_rows[i];
        const struct fsspec_entry *entry = &fsspec_tree()[row->file];
        struct larder_bytes bytes = {0};
        assert_ok(larder_head(fs, entry->path, row->size, &bytes));
        differ += tell_difference("head", i, NULL, bytes_are(&bytes, row->file, 0, row->head));
        assert_ok(larder_tail(fs, entry->path, row->size, &bytes));
        differ += tell_difference("tail", i, NULL,
                                  bytes_are(&bytes, row->file, entry->size - row->tail, row->tail));
    }
    assert_int_equal(differ, 0);
}

static void blocks(void **state)
{
    struct larder_fs *fs = ((struct place *)*state)->tree;
    int differ = 0;
    for (size_t i = 0; i < COUNT(block_rows); i++) {
        const struct block_row *row = &block_rows[i];
        struct larder_bytes bytes = {0};
        bool same = larder_read_block(fs, fsspec_tree()[row->file].path, row->offset, row->length,
                                      row->delimiter, strlen(row->delimiter), &bytes) == 0;
        size_t size = bytes.size;
        same = bytes_are(&bytes, row->file, row->from, row->count) && same;
        if (tell_difference("read_block", i, NULL, same)) {
            print_error("    %zu bytes, not %zu\n", size, row->count);
            differ++;
        }
    }
    assert_int_equal(differ, 0);
}

/* ---- copies ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "PATH=entry" of a file. */
static char *spell_file(struct larder_fs *fs, const char *path)
{
    struct larder_bytes bytes = {0};
    char *text;
    int entry = -1;
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    for (int i = 0; i < FSSPEC_TREE_COUNT; i++)
        if (!fsspec_tree()[i].directory && fsspec_tree()[i].size == bytes.size &&
            memcmp(fsspec_tree()[i].content, bytes.data, bytes.size) == 0)
            entry = i;
    larder_bytes_free(&bytes);
    assert_true(asprintf(&text, "%s=%d", path, entry) > 0);
    return text;
}

/* What is below the root of `fs`, as a row says it. */
static bool found_are(struct larder_fs *fs, const char *expected)
{
    struct larder_find_options options = {.size = sizeof options, .dirs = true};
    struct larder_entries found;
    char *texts[200];
    size_t count = 0;
    bool same = true;
    assert_ok(larder_find(fs, "", &options, &found));
    for (size_t i = 0; i < found.count; i++) {
        const char *name = found.info[i].name;
        size_t size = strlen(name);
        bool holds = false;
        assert_true(count < COUNT(texts));
        for (size_t j = 0; j < found.count; j++)
            holds |= strncmp(found.info[j].name, name, size) == 0 && found.info[j].name[size] == '/';
        if (found.info[i].type == LARDER_FILE)
            texts[count++] = spell_file(fs, name);
        else if (!holds)
            assert_true(asprintf(&texts[count++], "%s/", name) > 0);
    }
    qsort(texts, count, sizeof texts[0], by_text);
    for (size_t i = 0; i < count; i++) {
        same = same && strcmp(texts[i], expected) == 0;
        expected += same ? strlen(expected) + 1 : 0;
        free(texts[i]);
    }
    larder_entries_free(&found);
    return same && !*expected;
}

enum way { WAY_CP = 1, WAY_GET = 2, WAY_PUT = 4 };

/* Copy to a new place with an empty directory "t". */
static bool copy_goes_where_it_should(const struct place *place, size_t index, enum way way)
{
    const struct copy_row *row = &copy_rows[index];
    struct larder_copy_options options = {.size = sizeof options,
                                          .glob = true,
                                          .recursive = row->recursive,
                                          .maxdepth = row->maxdepth};
    char area[64], target[512];
    char *sources[3] = {0}, *disk = tmpdir_path(scratch, "got");
    size_t count = count_texts(row->sources, 3);
    struct larder_fs *to;
    for (size_t i = 0; i < count; i++)
        sources[i] = way == WAY_PUT ? tmpdir_path(scratch, row->sources[i]) : strdup(row->sources[i]);
    snprintf(area, sizeof area, "e%zu-%d", index, way);
    if (way == WAY_GET)
        assert_ok(larder_open(NULL, disk, NULL, &to, NULL));
    else
        assert_ok(larder_fs_at(place->fs, area, NULL, &to));
    assert_ok(larder_makedirs(to, "t", true));
    snprintf(target, sizeof target, "%s/%s", disk, row->target);
    int rc = way == WAY_CP
                 ? larder_copy(place->fs, (const char *const *)sources, count, to, row->target, &options)
             : way == WAY_GET ? larder_get(place->fs, (const char *const *)sources, count, target, &options)
                              : larder_put((const char *const *)sources, count, to, row->target, &options);
    bool same = rc == row->status && (rc < 0 || found_are(to, row->found));
    assert_ok(larder_rm(to, "", true));
    larder_fs_free(to);
    free(disk);
    for (size_t i = 0; i < count; i++)
        free(sources[i]);
    return same;
}

static void copies(void **state)
{
    int differ = 0;
    for (size_t i = 0; i < COUNT(copy_rows); i++)
        for (enum way way = WAY_CP; way <= WAY_PUT; way *= 2)
            if (copy_rows[i].ways & way)
                differ += tell_difference(copy_rows[i].sources[0], i, copy_rows[i].why,
                                          copy_goes_where_it_should(*state, i, way));
    assert_int_equal(differ, 0);
}

int main(void)
{
    static struct place places[] = {{"memory", "memory://fsspec"},
                                    {"local", ""},
                                    {"memory, cached", "cache::memory://fsspec-cached"}};
    static const struct CMUnitTest each[] = {
        cmocka_unit_test(what_is_there),
        cmocka_unit_test(find_and_du),
        cmocka_unit_test(walk),
        cmocka_unit_test(expand_path),
        cmocka_unit_test(ranges),
        cmocka_unit_test(heads_and_tails),
        cmocka_unit_test(blocks),
        cmocka_unit_test(copies),
        cmocka_unit_test(every_reason_has_a_row),
    };
    struct CMUnitTest tests[COUNT(each)];
    int failed = 0;
    scratch = tmpdir_make();
    plant_local();
    for (size_t i = 0; i < COUNT(places); i++) {
        void *state = &places[i];
        for (size_t t = 0; t < COUNT(each); t++) {
            tests[t] = each[t];
            tests[t].initial_state = state;
        }
        plant(&state);
        failed += _cmocka_run_group_tests(places[i].name, tests, COUNT(tests), NULL, NULL);
        fell(&state);
    }
    tmpdir_remove(scratch);
    return failed;
}
