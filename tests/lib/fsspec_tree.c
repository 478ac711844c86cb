/* SPDX-License-Identifier: Apache-2.0 */
#include "fsspec_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const pieces[] = {
    "a", "a", "a", "a", "b",  "b", "b", "1", "1",   "c",  " ", "%", "%20", "é",  "日本",
    "[", "]", "*", "?", "\n", ".", ".", "~", "{a}", "\\", "-", "!", "^",   N240,
};
#define PIECES (sizeof pieces / sizeof pieces[0])

static struct fsspec_entry tree[FSSPEC_TREE_COUNT];

static unsigned draw(uint64_t *state, size_t bound)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((*state >> 33) % bound);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct fsspec_entry *)a)->path, ((const struct fsspec_entry *)b)->path);
}

static unsigned depth(const char *path)
{
    unsigned slashes = 0;
    for (; *path; path++)
        slashes += *path == '/';
    return slashes;
}

static bool is_taken(const char *path, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tree[i].path, path) == 0)
            return true;
    return false;
}

static void make_paths(void)
{
    uint64_t state = 80;
    size_t dirs[FSSPEC_TREE_COUNT], dir_count = 0, count = 0;
    while (count < FSSPEC_TREE_COUNT) {
        struct fsspec_entry *entry = &tree[count];
        unsigned parent = draw(&state, dir_count + 1);
        char name[800] = "";
        for (unsigned i = 1 + draw(&state, 3); i > 0; i--)
            strcat(name, pieces[draw(&state, PIECES)]);
        entry->directory = draw(&state, 5) < 2;
        snprintf(entry->path, sizeof entry->path, "%s%s%s", parent ? tree[dirs[parent - 1]].path : "",
                 parent ? "/" : "", name);
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strlen(name) > 255 ||
            depth(entry->path) > 3 || is_taken(entry->path, count))
            continue;
        if (entry->directory)
            dirs[dir_count++] = count;
        count++;
    }
    qsort(tree, FSSPEC_TREE_COUNT, sizeof tree[0], by_path);
}

const struct fsspec_entry *fsspec_tree(void)
{
    if (tree[0].path[0])
        return tree;
    make_paths();
    for (size_t i = 0; i < FSSPEC_TREE_COUNT; i++) {
        tree[i].size = i * 37 % sizeof tree[i].content;
        for (size_t at = 0; at < tree[i].size; at++)
            tree[i].content[at] = (7 * at + i) % 10 == 0 ? '\n' : (char)('a' + (at * at + i) % 13);
    }
    return tree;
}

static char *join(const char *dir, const char *name)
{
    char *path;
    if (asprintf(&path, "%s%s%s", dir, *dir && *name ? "/" : "", name) < 0)
        abort();
    return path;
}

int fsspec_tree_plant(struct larder_fs *fs, const char *dir)
{
    const struct fsspec_entry *entries = fsspec_tree();
    for (size_t i = 0; i < FSSPEC_TREE_COUNT; i++) {
        char *path = join(dir, entries[i].path);
        int rc = entries[i].directory
                     ? larder_makedirs(fs, path, true)
                     : larder_pipe_file(fs, path, entries[i].content, entries[i].size, LARDER_PARENTS);
        free(path);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Of the entry at `path`. */
static bool check_entry(const struct larder_info *info, const char *path, uint64_t *bits)
{
    const struct fsspec_entry *entries = fsspec_tree();
    int i = 0;
    while (i < FSSPEC_TREE_COUNT && strcmp(entries[i].path, path) != 0)
        i++;
    if (i == FSSPEC_TREE_COUNT) {
        fprintf(stderr, "%s: not in the tree\n", path);
        return false;
    }
    *bits |= UINT64_C(1) << i;
    if (entries[i].directory ? info->type == LARDER_DIRECTORY
                             : info->type == LARDER_FILE && info->size == (int64_t)entries[i].size)
        return true;
    fprintf(stderr, "%s: is not what it should be\n", path);
    return false;
}

bool fsspec_tree_bit(const struct larder_info *info, const char *dir, uint64_t *bits)
{
    char *path = join(dir, info->name);
    bool right = check_entry(info, path, bits);
    free(path);
    return right;
}

bool fsspec_tree_bits(const struct larder_entries *found, const char *dir, uint64_t *bits)
{
    for (size_t i = 0; i < found->count; i++) {
        if (!fsspec_tree_bit(&found->info[i], dir, bits))
            return false;
        if (i > 0 && strcmp(found->info[i - 1].name, found->info[i].name) >= 0) {
            fprintf(stderr, "%s: not in its order\n", found->info[i].name);
            return false;
        }
    }
    return true;
}

void fsspec_tree_tell(uint64_t got, uint64_t expected)
{
    for (int i = 0; i < FSSPEC_TREE_COUNT; i++)
        if ((got ^ expected) >> i & 1)
            fprintf(stderr, "    %c%s\n", got >> i & 1 ? '+' : '-', fsspec_tree()[i].path);
}
