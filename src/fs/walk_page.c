/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/walk_page.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/layer.h"

/* ---- entry by entry ---- */

void walk_page_init(struct walk_page *page, const char *top)
{
    *page = (struct walk_page){.top = top, .dir = top, .reached = BUFFER(SIZE_MAX)};
}

void walk_page_fini(struct walk_page *page)
{
    larder_entries_free(&page->entries);
    buffer_free(&page->reached);
    mem_free(page->below);
}

static const char *reached(const struct walk_page *page)
{
    return page->reached.size > 0 ? page->reached.data : "";
}

/* Up to the nearest directory that holds `path` as well. Was there anything to leave? */
static bool leave(struct walk_page *page, const char *path)
{
    struct buffer *at = &page->reached;
    size_t size = at->size;
    while (at->size > 0 && !(path_within(at->data, path) && path[at->size])) {
        at->size = path_parent_size(at->data);
        at->data[at->size] = 0;
    }
    return at->size < size;
}

/* `reached` is where the next entry is: tell so. */
static int set_dir(struct walk_page *page)
{
    const char *dir = page->reached.size == 0 ? page->top : page->below;
    if (!dir || strcmp(path_below(page->top, dir), reached(page)) != 0) {
        char *below = path_join(page->top, page->reached.data);
        if (!below)
            return fail_memory();
        mem_free(page->below);
        dir = page->below = below;
        page->dir = NULL;
    }
    page->moved = page->next == 0 || page->dir != dir;
    page->dir = dir;
    return 0;
}

static int enter(struct walk_page *page, const char *path, size_t size)
{
    struct buffer *at = &page->reached;
    return buffer_add(at, path + at->size, size - at->size);
}

/* An entry, or the next of the directories on the way to it. What is no path ("a//b", "..") is shown as it is: who uses
 * names judges them. */
static int show(struct walk_page *page, const struct larder_info *entry)
{
    bool path = path_is_key(entry->name);
    const char *name = path_below(reached(page), entry->name);
    size_t size = path ? strcspn(name, "/") : 0;
    bool implied = path && name[size];
    int rc = set_dir(page);
    if (rc == 0 && path && (implied || entry->type == LARDER_DIRECTORY))
        rc = enter(page, entry->name, (size_t)(name - entry->name) + size);
    if (rc < 0)
        return rc;
    page->next += !implied;
    page->entry = implied
                      ? (struct larder_info){.name = path_name(page->reached.data), .type = LARDER_DIRECTORY}
                      : *entry;
    page->entry.name = implied ? page->entry.name : name;
    return 1;
}

int walk_page_next(struct walk_page *page)
{
    while (page->next < page->entries.count) {
        const struct larder_info *entry = &page->entries.info[page->next];
        if (leave(page, path_is_key(entry->name) ? entry->name : ""))
            page->passed = false;
        if (!page->passed)
            return show(page, entry);
        page->next++;
    }
    return 0;
}

void walk_page_pass(struct walk_page *page)
{
    page->passed = page->reached.size > 0;
}

bool walk_page_goes_in(const struct walk_page *page)
{
    if (page->next == page->entries.count || page->reached.size == 0)
        return false;
    const char *path = page->entries.info[page->next].name;
    return path_within(reached(page), path) && path[page->reached.size];
}

unsigned walk_page_level(const struct walk_page *page)
{
    unsigned level = 1;
    const char *at = path_below(page->top, page->dir);
    if (!*at)
        return level;
    for (level++; (at = strchr(at, '/')); at++)
        level++;
    return level;
}

/* ---- listing a page ---- */

/* `path` is no directory: a file is listed as itself, under the name of its last segment or, in a walk, "". */
static int CO_FN list_file(struct larder_fs *fs, const char *path, const char *name,
                           struct larder_entries *page)
{
    struct entries_builder builder = {0};
    struct answer answer = {0};
    int rc = layer_info(fs->instance, path, &fs->terms, &answer);
    if (rc == -ENOTDIR && !*name)
        return -ENOENT; /* below a file there is nothing */
    if (rc < 0)
        return rc;
    if (answer.info.type == LARDER_DIRECTORY) {
        answer_free(&answer);
        return fail(-ENOTDIR, "%s: it cannot be listed", path);
    }
    answer.info.name = name;
    rc = entries_add(&builder, &answer.info);
    answer_free(&answer);
    if (rc < 0)
        entries_discard(&builder);
    else
        entries_finish(&builder, page);
    return rc;
}

int CO_FN walk_page_list(struct larder_fs *fs, const char *path, const char *name, const struct terms *terms,
                         struct cursor *cursor, struct larder_entries *page, bool *shallow)
{
    struct answer answer = {0};
    int rc = *shallow ? layer_list(fs->instance, path, terms, cursor, page, &answer)
                      : layer_list_tree(fs->instance, path, terms, cursor, page, &answer);
    if (rc == 0 && answer.flags & ANSWER_SHALLOW)
        *shallow = true;
    answer_free(&answer);
    if (rc == -ENOTDIR && name) {
        cursor->end = true;
        rc = list_file(fs, path, name, page);
    }
    return rc;
}
