/* SPDX-License-Identifier: Apache-2.0 */
#include "telling_place.h"

#include <stdio.h>
#include <string.h>

#include "larder.h"

#include "backends/backends.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/fs.h"
#include "test.h"

struct told told;
struct larder_fs *memory, *telling;

static int told_list(struct instance *instance, const char *path, const struct terms *terms,
                     struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    told.lists++;
    return memory_backend.list(instance, path, terms, cursor, page, out);
}

static int add_below(struct instance *instance, const char *top, const char *below,
                     struct entries_builder *builder)
{
    struct larder_entries page = {0};
    struct cursor cursor = {0};
    struct answer answer;
    char *full = path_join(top, below);
    int rc = memory_backend.list(instance, full, &TERMS_NONE, &cursor, &page, &answer);
    for (size_t i = 0; rc == 0 && i < page.count; i++) {
        bool directory = page.info[i].type == LARDER_DIRECTORY;
        char *path = path_join(below, page.info[i].name);
        bool enters =
            directory && told.telling != ONE_LEVEL && !(told.telling == UNEVEN && strchr(path, 'd'));
        if (!directory || told.telling != IMPLIED)
            rc = entries_add_below(builder, below, &page.info[i]);
        if (rc == 0 && enters)
            rc = add_below(instance, top, path, builder);
        mem_free(path);
    }
    larder_entries_free(&page);
    mem_free(full);
    return rc;
}

/* A page begins where `cursor` says. */
static void cut_page(struct larder_entries *all, struct cursor *cursor, struct entries_builder *page)
{
    size_t from = (size_t)cursor->state, end = told.page_size ? from + told.page_size : all->count;
    for (; from < end && from < all->count; from++)
        assert_ok(entries_add(page, &all->info[from]));
    cursor->state = (void *)from;
    cursor->end = from == all->count;
}

static int told_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                          struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    struct entries_builder found = {0}, cut = {0};
    struct larder_entries all;
    told.trees += !cursor->state;
    snprintf(told.last, sizeof told.last, "%s", path);
    int rc = add_below(instance, path, "", &found);
    if (rc < 0) {
        entries_discard(&found);
        return rc;
    }
    entries_finish(&found, &all);
    if (told.telling == IMPLIED)
        entries_sort(&all);
    else
        entries_sort_by_path(&all);
    cut_page(&all, cursor, &cut);
    larder_entries_free(&all);
    entries_finish(&cut, page);
    *out = (struct answer){.info.type = LARDER_DIRECTORY,
                           .fresh_ms = -1,
                           .stale_if_error_ms = -1,
                           .flags = told.flags};
    if (told.telling >= ONE_LEVEL)
        out->flags |= ANSWER_SHALLOW;
    return 0;
}

static int locate(const struct backend *backend, const char *url, char **values, char **place, char **path)
{
    return place_is_all(strstr(url, "://") + 3, place, path);
}

static struct backend telling_backend;

int telling_begin(void **state)
{
    static const char *const protocols[] = {"telling", NULL};
    static const char *const files[] = {"a",      "a.b",      "c/d/x",      "c/d/y",     "c/e", "c-f/x",
                                        "deep/1", "deep/2/3", "deep/2/d/4", "g/h/i/j/k", "z"};
    telling_backend = memory_backend;
    telling_backend.name = "telling";
    telling_backend.protocols = protocols;
    telling_backend.locate = locate;
    telling_backend.list = told_list;
    telling_backend.list_tree = told_list_tree;
    backend_register(&memory_backend);
    backend_register(&telling_backend);
    assert_ok(fs_open(NULL, "dir::memory://w", NULL, &memory, NULL));
    assert_ok(fs_open(NULL, "dir::telling://w", NULL, &telling, NULL));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_ok(larder_pipe_file(memory, files[i], files[i], strlen(files[i]), 0));
    return 0;
}

int telling_end(void **state)
{
    larder_rm(memory, "", true);
    larder_fs_free(memory);
    larder_fs_free(telling);
    return 0;
}

void ask_for(enum telling way, size_t page_size)
{
    told.telling = way;
    told.page_size = page_size;
    told.lists = told.trees = told.flags = 0;
}

void assert_same(const struct larder_entries *a, const struct larder_entries *b)
{
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        assert_string_equal(a->info[i].name, b->info[i].name);
        assert_int_equal(a->info[i].type, b->info[i].type);
        assert_int_equal(a->info[i].size, b->info[i].size);
    }
    assert_int_equal(a->count, b->count);
}
