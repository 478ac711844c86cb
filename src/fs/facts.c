/* SPDX-License-Identifier: Apache-2.0 */
/* What else can be known of a path. */
#include "larder/facts.h"

#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/enter.h"

/* ---- what info says ---- */

static int time_of(int64_t time_ns, const char *path, const char *what, int64_t *out)
{
    if (time_ns == 0)
        return fail(-ENODATA, "%s: its place does not say when it was %s", path, what);
    *out = time_ns;
    return 0;
}

int larder_created(struct larder_fs *fs, const char *path, int64_t *time_ns)
{
    struct larder_info info;
    int rc = larder_info(fs, path, &info);
    if (rc < 0)
        return rc;
    rc = time_of(info.created_ns, path, "made", time_ns);
    larder_info_free(&info);
    return rc;
}

int larder_modified(struct larder_fs *fs, const char *path, int64_t *time_ns)
{
    struct larder_info info;
    int rc = larder_info(fs, path, &info);
    if (rc < 0)
        return rc;
    rc = time_of(info.mtime_ns, path, "changed", time_ns);
    larder_info_free(&info);
    return rc;
}

int larder_ukey(struct larder_fs *fs, const char *path, char **out)
{
    struct larder_info info;
    int rc = larder_info(fs, path, &info);
    if (rc < 0)
        return rc;
    char *copy = info.version ? mem_dup(info.version) : NULL;
    if (!info.version)
        rc = fail(-ENODATA, "%s: nothing says which version it is", path);
    else if (!copy)
        rc = fail_memory();
    if (rc == 0)
        *out = copy;
    larder_info_free(&info);
    return rc;
}

/* ---- what its bytes say ---- */

static const struct {
    const char *name;
    enum digest_type type;
} algorithms[] = {{"sha256", DIGEST_SHA256}, {"md5", DIGEST_MD5}};
#define ALGORITHMS (sizeof algorithms / sizeof algorithms[0])

struct piece {
    struct digest *digest;
    const void *data;
    size_t size;
};

static int add_piece(void *arg)
{
    const struct piece *piece = arg;
    return digest_add(piece->digest, piece->data, piece->size);
}

/* A mebibyte takes a millisecond: too long for a loop. */
static int take_piece(void *arg, const void *data, size_t size)
{
    struct piece piece = {arg, data, size};
    return enter_work(add_piece, &piece);
}

static int digest_file(struct larder_fs *fs, const char *path, enum digest_type type,
                       unsigned char bytes[DIGEST_SIZE_MAX])
{
    struct digest digest = {0};
    int rc = digest_begin(&digest, type);
    if (rc == 0) {
        int64_t count = larder_cat_to(fs, path, NULL, take_piece, &digest);
        rc = count < 0 ? (int)count : digest_end(&digest, bytes);
    }
    digest_fini(&digest);
    return rc;
}

int larder_checksum(struct larder_fs *fs, const char *path, const char *algorithm, char **out)
{
    unsigned char bytes[DIGEST_SIZE_MAX];
    char digits[HEX_SIZE(DIGEST_SIZE_MAX)];
    size_t i = 0;
    error_clear();
    while (algorithm && i < ALGORITHMS && strcmp(algorithms[i].name, algorithm) != 0)
        i++;
    if (i == ALGORITHMS)
        return fail(-EINVAL, "%s: checksums are sha256 or md5, not \"%s\"", path, algorithm);
    int rc = digest_file(fs, path, algorithms[i].type, bytes);
    if (rc < 0)
        return rc;
    hex_format(bytes, digest_size(algorithms[i].type), digits);
    char *text = mem_format("%s:%s", algorithms[i].name, digits);
    if (!text)
        return fail_memory();
    *out = text;
    return 0;
}

/* ---- what others may be told ---- */

int larder_sign(struct larder_fs *fs, const char *path, uint32_t expires_s, char **url)
{
    char *text = NULL;
    struct layer_call call = {LAYER_SIGN, .expires_s = expires_s, .url = &text};
    if (expires_s == 0)
        return fail(-EINVAL, "%s: a URL that expires at once", path);
    int rc = enter_call(fs, path, &call);
    if (rc == 0)
        *url = text;
    return rc;
}

/* ---- what caches may forget ---- */

static void forget(struct instance *view, char *path)
{
    void (*changed)(struct instance *, const char *, bool, const struct answer *) = view->backend->changed;
    changed(view, path, true, NULL);
    while (*path) {
        path[path_parent_size(path)] = 0;
        changed(view, path, false, NULL);
    }
}

static int forget_everywhere(struct instance *instance, const char *path)
{
    for (; instance->backend->view; instance = instance->next->instance) {
        autofree char *full = instance->backend->changed ? mem_dup(path) : NULL;
        if (full)
            forget(instance, full);
        else if (instance->backend->changed)
            return fail_memory();
    }
    return 0;
}

int larder_invalidate_cache(struct larder_fs *fs, const char *path)
{
    autofree char *full = NULL;
    error_clear();
    int rc = path_resolve(fs->root, path ? path : "", &full, NULL);
    if (rc == 0)
        rc = enter_begin(fs, full);
    if (rc < 0)
        return rc;
    rc = forget_everywhere(fs->instance, full);
    enter_end(fs);
    return rc;
}
