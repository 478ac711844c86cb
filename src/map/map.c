/* SPDX-License-Identifier: Apache-2.0 */
/* Maps, single keys, and all keys. */
#include "map/map.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/fs.h"

/* ---- keys ---- */

int key_check(const char *key)
{
    if (!key)
        return fail(-EINVAL, "no key");
    if (!path_is_key(key))
        return fail(-EINVAL,
                    "\"%s\" is not a key: a path below the map, without empty segments, \".\" and \"..\"",
                    key);
    return 0;
}

bool key_is_missing(int status)
{
    return status == -ENOENT || status == -EISDIR || status == -ENOTDIR;
}

/* -ENOENT of a key that was checked, with the URL that it stands for. */
static int no_such_key(const struct larder_fs *fs, const char *key, const char *why)
{
    autofree char *full = path_join(fs->root, key);
    return full ? fail_at(fs->instance, full, -ENOENT, "no such key: %s", why) : fail_memory();
}

int key_status(const struct larder_fs *fs, int status, const char *key)
{
    if (status == -EISDIR)
        return no_such_key(fs, key, "a directory");
    if (status == -ENOTDIR)
        return no_such_key(fs, key, "a file is in its way");
    return status;
}

/* ---- maps ---- */

static int root_is_no_directory(void)
{
    return fail(-ENOTDIR, "the root of the map is not a directory");
}

static int check_root(struct larder_map *map)
{
    struct larder_info info;
    int rc = larder_info(map->fs, "", &info);
    if (rc == -ENOENT && !larder_fs_capabilities(map->fs)->real_directories)
        return 0; /* it was asked; its directories are only what they hold */
    if (rc < 0)
        return rc;
    enum larder_type type = info.type;
    larder_info_free(&info);
    return type == LARDER_DIRECTORY ? 0 : root_is_no_directory();
}

/* Takes over `fs`, also when it fails. */
static int map_of(struct larder_fs *fs, unsigned flags, struct larder_map **out)
{
    struct larder_map *map = mem_zero(sizeof(*map));
    if (!map) {
        larder_fs_free(fs);
        return fail_memory();
    }
    map->fs = fs;
    int rc = 0;
    if (flags & ~(unsigned)(LARDER_MAP_CREATE | LARDER_MAP_CHECK))
        rc = fail(-EINVAL, "unknown flags of a map: %#x", flags);
    if (rc == 0 && (flags & LARDER_MAP_CREATE))
        rc = larder_makedirs(fs, "", true);
    if (rc == 0 && (flags & LARDER_MAP_CHECK))
        rc = check_root(map);
    if (rc < 0) {
        larder_map_free(map);
        return rc;
    }
    *out = map;
    return error_finish(0, NULL);
}

int larder_get_mapper(struct larder_loop *loop, const char *url, const char *const options[], unsigned flags,
                      struct larder_map **out)
{
    struct larder_fs *fs;
    int rc = larder_open(loop, url, options, &fs, NULL);
    return rc < 0 ? rc : map_of(fs, flags, out);
}

int larder_map_new(struct larder_fs *fs, const char *root, unsigned flags, struct larder_map **out)
{
    struct larder_fs *at;
    int rc = larder_fs_at(fs, root, NULL, &at);
    return rc < 0 ? rc : map_of(at, flags, out);
}

void larder_map_free(struct larder_map *map)
{
    if (!map)
        return;
    larder_fs_free(map->fs);
    mem_free(map);
}

struct larder_fs *larder_map_fs(struct larder_map *map)
{
    return map->fs;
}

/* ---- one key ---- */

int larder_map_get(struct larder_map *map, const char *key, const struct larder_range *range,
                   struct larder_bytes *out)
{
    int rc = key_check(key);
    return rc < 0 ? rc : key_status(map->fs, larder_cat_file(map->fs, key, range, out), key);
}

int64_t larder_map_get_into(struct larder_map *map, const char *key, const struct larder_range *range,
                            void *buffer, size_t size)
{
    int rc = key_check(key);
    if (rc < 0)
        return rc;
    int64_t count = larder_cat_into(map->fs, key, range, buffer, size);
    return count < 0 ? key_status(map->fs, (int)count, key) : count;
}

static int set(struct larder_map *map, const char *key, const void *data, size_t size, unsigned flags)
{
    int rc = key_check(key);
    return rc < 0 ? rc : larder_pipe_file(map->fs, key, data, size, LARDER_PARENTS | flags);
}

/* What is in the way of a key may be a directory, of places where a name is one or the other. */
static int what_exists(struct larder_map *map, const char *key)
{
    struct error_slot words = *error_slot();
    if (larder_fs_capabilities(map->fs)->real_directories && larder_isdir(map->fs, key) == 1)
        return error_finish(-EISDIR, key);
    *error_slot() = words;
    return -EEXIST;
}

int larder_map_set(struct larder_map *map, const char *key, const void *data, size_t size)
{
    return set(map, key, data, size, 0);
}

int larder_map_set_if_absent(struct larder_map *map, const char *key, const void *data, size_t size)
{
    int rc = set(map, key, data, size, LARDER_CREATE);
    return rc == -EEXIST ? what_exists(map, key) : rc;
}

int larder_map_delete(struct larder_map *map, const char *key)
{
    int rc = key_check(key);
    return rc < 0 ? rc : key_status(map->fs, larder_rm_file(map->fs, key), key);
}

int larder_map_pop(struct larder_map *map, const char *key, struct larder_bytes *out)
{
    struct larder_bytes bytes;
    int rc = larder_map_get(map, key, NULL, &bytes);
    if (rc < 0)
        return rc;
    rc = larder_map_delete(map, key);
    if (rc < 0)
        larder_bytes_free(&bytes);
    else
        *out = bytes;
    return rc;
}

int larder_map_has(struct larder_map *map, const char *key)
{
    int rc = key_check(key);
    if (rc == 0)
        rc = larder_isfile(map->fs, key);
    return error_finish(key_is_missing(rc) ? 0 : rc, NULL);
}

int larder_map_size(struct larder_map *map, const char *key, int64_t *out)
{
    int rc = key_check(key);
    if (rc < 0)
        return rc;
    struct larder_info info;
    rc = key_status(map->fs, larder_info(map->fs, key, &info), key);
    if (rc < 0)
        return rc;
    enum larder_type type = info.type;
    int64_t size = info.size;
    larder_info_free(&info);
    if (type == LARDER_DIRECTORY)
        return key_status(map->fs, -EISDIR, key);
    *out = size;
    return 0;
}

/* ---- levels and subtrees ---- */

/*
 * What a call on all that is below `dir` returned. -ENOTDIR is a directory that cannot be listed, which is a
 * failure, or a file in the way of `dir`: then nothing is below it. A file that is the map's root is a
 * failure as well.
 */
static int below_status(struct larder_fs *fs, const char *dir, int status)
{
    if (status != -ENOTDIR || !*dir)
        return status;
    struct error_slot error = *error_slot();
    int rc = larder_exists(fs, dir);
    if (rc != 0)
        error_set_text(error.text);
    return rc == 0 ? 0 : status;
}

/* The clean directory path that a prefix (NULL: the map's root) is; mem. */
static int clean_prefix(const char *prefix, char **out)
{
    return path_resolve("", prefix ? prefix : "", out, NULL);
}

int larder_map_list(struct larder_map *map, const char *prefix, struct larder_entries *out)
{
    autofree char *dir = NULL;
    int rc = clean_prefix(prefix, &dir);
    if (rc < 0)
        return rc;
    struct larder_entries entries = {0};
    struct larder_find_options level = {.size = sizeof(level), .maxdepth = 1, .dirs = true};
    rc = below_status(map->fs, dir, larder_find(map->fs, dir, &level, &entries));
    if (rc < 0)
        return rc;
    if (entries.count == 1 && !*entries.info[0].name) { /* a file: found as "" below itself */
        larder_entries_free(&entries);
        if (!*dir)
            return root_is_no_directory();
    }
    size_t count = 0;
    for (size_t i = 0; i < entries.count; i++)
        if (entries.info[i].type != LARDER_OTHER)
            entries.info[count++] = entries.info[i];
    entries.count = count;
    *out = entries;
    return error_finish(0, NULL);
}

int larder_map_delete_prefix(struct larder_map *map, const char *prefix)
{
    autofree char *dir = NULL;
    int rc = clean_prefix(prefix, &dir);
    if (rc < 0)
        return rc;
    if (!*dir)
        return fail(-EINVAL, "no prefix, which would be every key: larder_map_clear removes them");
    rc = larder_rm(map->fs, dir, true);
    return error_finish(rc == -ENOENT ? 0 : below_status(map->fs, dir, rc), NULL);
}

/* A file that is the root is not the map's to remove. */
int larder_map_clear(struct larder_map *map)
{
    int rc = larder_isdir(map->fs, "");
    if (rc == 0) {
        rc = larder_exists(map->fs, "");
        return rc > 0 ? root_is_no_directory() : rc;
    }
    return rc < 0 ? rc : larder_rm(map->fs, "", true); /* which leaves a handle's own root */
}

/* ---- all keys ---- */

struct larder_keys {
    struct larder_fs *fs; /* a reference */
    struct larder_walk *walk;
    char *prefix; /* clean; mem */
    char *key;    /* of the last call; mem */
    size_t capacity;
    struct larder_info info; /* of the last call, with the key for a name */
};

int larder_map_keys(struct larder_map *map, const char *prefix, struct larder_keys **out)
{
    const struct larder_find_options names = {.size = sizeof names, .names_only = true};
    struct larder_keys *keys = mem_zero(sizeof(*keys));
    if (!keys)
        return fail_memory();
    keys->fs = larder_fs_ref(map->fs);
    int rc = clean_prefix(prefix, &keys->prefix);
    if (rc == 0)
        rc = larder_walk_open(map->fs, keys->prefix, &names, &keys->walk);
    if (rc < 0) {
        larder_keys_free(keys);
        return rc;
    }
    *out = keys;
    return 0;
}

static int join_key(struct larder_keys *keys, const char *dir, const char *name)
{
    const char *const parts[] = {keys->prefix, dir, name};
    size_t need = 1;
    for (size_t i = 0; i < 3; i++)
        need += strlen(parts[i]) + 1;
    if (need > keys->capacity) {
        char *key = mem_resize(keys->key, 2 * need);
        if (!key)
            return fail_memory();
        keys->key = key;
        keys->capacity = 2 * need;
    }
    char *end = keys->key;
    for (size_t i = 0; i < 3; i++) {
        if (!*parts[i])
            continue;
        if (end != keys->key)
            *end++ = '/';
        end = stpcpy(end, parts[i]);
    }
    *end = 0;
    return 0;
}

int larder_keys_next(struct larder_keys *keys, const char **key, const struct larder_info **info)
{
    const char *dir;
    const struct larder_info *entry;
    int rc;
    while ((rc = larder_walk_next(keys->walk, &dir, &entry)) > 0) {
        if (entry->type != LARDER_FILE)
            continue;
        rc = join_key(keys, dir, entry->name);
        if (rc < 0)
            return rc;
        if (!*keys->key)
            return root_is_no_directory();
        keys->info = *entry;
        keys->info.name = keys->key;
        *key = keys->key;
        if (info)
            *info = &keys->info;
        return 1;
    }
    return error_finish(below_status(keys->fs, keys->prefix, rc), NULL);
}

void larder_keys_free(struct larder_keys *keys)
{
    if (!keys)
        return;
    larder_walk_free(keys->walk);
    larder_fs_free(keys->fs);
    mem_free(keys->prefix);
    mem_free(keys->key);
    mem_free(keys);
}

int64_t larder_map_len(struct larder_map *map)
{
    struct larder_keys *keys;
    int64_t rc = larder_map_keys(map, NULL, &keys);
    if (rc < 0)
        return rc;
    const char *key;
    int64_t count = 0;
    while ((rc = larder_keys_next(keys, &key, NULL)) > 0)
        count++;
    larder_keys_free(keys);
    return rc < 0 ? rc : count;
}
