/* SPDX-License-Identifier: Apache-2.0 */
/* Handles: an instance, a root, and what holds for every call. */
#include "fs/fs.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/instance.h"
#include "fs/option.h"
#include "task/loop.h"

/* ---- handles ---- */

/*
 * Options "per handle" mean the same at every layer that declares them. But a ttl is a handle's own only where that was
 * given one: with what a cache was opened with it has to weigh its rules.
 */
static int apply_per_handle(struct larder_fs *fs, const struct backend *backend, char **values, bool defaults)
{
    int rc = 0;
    for (size_t i = 0; rc >= 0 && backend->options && backend->options[i].name; i++) {
        const struct option *option = &backend->options[i];
        const char *value = values[i] ? values[i] : defaults ? option->fallback : NULL;
        if (!(option->flags & OPTION_PER_HANDLE) || !value)
            continue;
        if (strcmp(option->name, "ttl") == 0 && !defaults)
            fs->terms.ttl_ms = option_value_number(option, value);
        else if (strcmp(option->name, "max_age") == 0)
            fs->terms.age_max_ms = option_value_number(option, value);
        else if (strcmp(option->name, "timeout") == 0)
            fs->timeout_ms = option_value_number(option, value);
        else
            rc = labels_take(&fs->labels, option->name, value);
    }
    return rc < 0 ? rc : 0;
}

int fs_new(struct instance *instance, const char *root, struct larder_fs **out)
{
    struct larder_fs *fs = mem_zero(sizeof *fs);
    char *copy = mem_dup(root);
    if (!fs || !copy) {
        mem_free(copy);
        mem_free(fs);
        instance_unref(instance);
        return fail_memory();
    }
    fs->instance = instance;
    fs->root = copy;
    fs->terms = TERMS_NONE;
    atomic_init(&fs->references, 1);
    int rc = 0;
    for (struct instance *layer = instance; rc == 0 && layer;
         layer = layer->next ? layer->next->instance : NULL)
        rc = apply_per_handle(fs, layer->backend, layer->option_values, true);
    if (rc < 0)
        larder_fs_free(fs);
    else
        *out = fs;
    return rc;
}

struct larder_fs *larder_fs_ref(struct larder_fs *fs)
{
    atomic_fetch_add_explicit(&fs->references, 1, memory_order_relaxed);
    return fs;
}

void larder_fs_free(struct larder_fs *fs)
{
    if (!fs || atomic_fetch_sub_explicit(&fs->references, 1, memory_order_acq_rel) > 1)
        return;
    instance_unref(fs->instance);
    labels_fini(&fs->labels);
    mem_free(fs->directory);
    mem_free(fs->root);
    mem_free(fs);
}

static int override_layers(struct larder_fs *fs, const char *const options[])
{
    for (struct instance *layer = fs->instance; layer; layer = layer->next ? layer->next->instance : NULL) {
        char **values = options_new(layer->backend);
        if (!values)
            return fail_memory();
        int rc = options_override(layer->backend, options, !layer->next, true, values);
        if (rc == 0)
            rc = apply_per_handle(fs, layer->backend, values, false);
        options_free(layer->backend, values);
        if (rc < 0)
            return rc;
    }
    return options_override(&fs_layer, options, false, true, NULL); /* of which none is per handle */
}

int larder_fs_at(struct larder_fs *fs, const char *root, const char *const options[], struct larder_fs **out)
{
    autofree char *full = NULL;
    struct larder_fs *at = NULL;
    error_clear();
    bool slash;
    int rc = path_resolve(fs->root, root ? root : "", &full, &slash);
    if (rc == 0)
        rc = options_check_layers(options);
    if (rc == 0)
        rc = fs_new(instance_ref(fs->instance), full, &at);
    if (rc < 0)
        return rc;
    at->terms = fs->terms;
    at->timeout_ms = fs->timeout_ms;
    labels_fini(&at->labels);
    rc = labels_copy(&at->labels, &fs->labels);
    const char *directory = slash && *full ? full : fs->directory;
    if (rc == 0 && directory && !(at->directory = mem_dup(directory)))
        rc = fail_memory();
    if (rc == 0)
        rc = override_layers(at, options);
    if (rc < 0) {
        larder_fs_free(at);
        return rc;
    }
    *out = at;
    return 0;
}

bool larder_fs_is_async(const struct larder_fs *fs)
{
    return fs->instance->backend->kind == ASYNC;
}

const struct larder_capabilities *larder_fs_capabilities(const struct larder_fs *fs)
{
    return &fs->instance->can;
}

int larder_fs_url(const struct larder_fs *fs, const char *path, char **url)
{
    autofree char *full = NULL;
    error_clear();
    int rc = path_resolve(fs->root, path, &full, NULL);
    return rc < 0 ? rc : chain_url(fs->instance, full, url);
}

/* ---- opening ---- */

/* The handle for a chain that is open: rooted at what its URL named, or with that as *path. */
static int make_handle(struct chain *chain, struct instance *instance, struct larder_fs **fs, char **path)
{
    bool rooted = chain->dir || !path;
    char *rest = path ? mem_dup(rooted ? "" : chain->path) : NULL;
    if (path && !rest) {
        instance_unref(instance);
        return fail_memory();
    }
    struct larder_fs *made;
    int rc = fs_new(instance, rooted ? chain->path : "", &made);
    if (rc == 0 && chain->slash && !(made->directory = mem_dup(chain->path))) {
        larder_fs_free(made);
        rc = fail_memory();
    }
    if (rc < 0) {
        mem_free(rest);
        return rc;
    }
    *fs = made;
    if (path)
        *path = rest;
    return 0;
}

int fs_open(struct larder_loop *loop, const char *url, const char *const options[], struct larder_fs **fs,
            char **path)
{
    struct chain chain;
    struct instance *instance = NULL;
    int rc = chain_parse(url, &chain);
    if (rc == 0)
        rc = chain_open(&chain, loop_meant(loop), options, &instance);
    if (rc == 0)
        rc = make_handle(&chain, instance, fs, path);
    chain_fini(&chain);
    return rc;
}

int fs_current(const char *protocol, struct larder_fs **out)
{
    const struct backend *backend = protocol ? backend_find(protocol, strlen(protocol)) : NULL;
    if (!backend)
        return fail(-ENOTSUP, "\"%s\": no backend knows this protocol", protocol ? protocol : "");
    struct instance *instance = instance_latest(backend);
    return instance ? fs_new(instance, "", out) : fail(-ENOENT, "%s: none is open", backend->name);
}

bool larder_fs_is_same(const struct larder_fs *one, const struct larder_fs *other)
{
    return one->instance == other->instance;
}

void larder_clear_instance_cache(void)
{
    instances_forget();
}
