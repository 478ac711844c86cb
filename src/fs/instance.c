/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/instance.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"
#include "fs/fs.h"
#include "fs/gate.h"
#include "fs/option.h"
#include "task/loop.h"

/* ---- one instance ---- */

struct instance *instance_ref(struct instance *instance)
{
    atomic_fetch_add_explicit(&instance->references, 1, memory_order_relaxed);
    return instance;
}

static void instance_free(struct instance *instance)
{
    options_free(instance->backend, instance->option_values);
    larder_fs_free(instance->next);
    loop_unref(instance->loop);
    mem_free(instance->identity);
    mem_free(instance->place);
    mem_free(instance->key);
    gate_free(instance->gate);
    mem_free(instance);
}

static int take_from_next(struct instance *instance)
{
    const struct instance *next = instance->next->instance;
    instance->can = next->can;
    instance->identity = mem_dup(next->identity);
    return instance->identity ? 0 : fail_memory();
}

int instance_start(struct instance *instance)
{
    int rc = instance->next ? take_from_next(instance) : 0;
    if (rc == 0)
        rc = instance->backend->open(instance);
    instance->started = rc == 0;
    if (rc < 0)
        mem_free(take(instance->identity));
    return rc;
}

void instance_stop(struct instance *instance)
{
    if (!instance->started)
        return;
    if (instance->backend->close)
        instance->backend->close(instance);
    instance->started = false;
    instance->can = (struct larder_capabilities){0};
    mem_free(take(instance->identity));
    memset(instance + 1, 0, instance->backend->size - sizeof *instance); /* as before open */
}

/* Takes over the key and the values. */
static int instance_new(const struct opening *opening, struct buffer *key, struct instance **out)
{
    const struct backend *backend = opening->backend;
    struct instance *instance = mem_zero(backend->size);
    if (!instance) {
        options_free(backend, opening->values);
        return fail_memory();
    }
    instance->backend = backend;
    instance->option_values = opening->values;
    instance->key_size = key->size;
    instance->key = buffer_take_text(key);
    instance->place = opening->place ? mem_dup(opening->place) : NULL;
    instance->next = opening->next ? larder_fs_ref(opening->next) : NULL;
    atomic_init(&instance->references, 1);
    instance->gate = opening->asynchronous ? gate_new() : NULL;
    bool whole =
        instance->key && (instance->place || !opening->place) && (instance->gate || !opening->asynchronous);
    int rc = whole ? 0 : fail_memory();
    if (rc == 0 && opening->loop && backend->kind == ASYNC)
        rc = loop_choose(opening->loop, &instance->loop);
    if (rc == 0 && !opening->asynchronous)
        rc = instance_start(instance);
    if (rc < 0) {
        instance_free(instance);
        return rc;
    }
    *out = instance;
    return 0;
}

/* ---- the registry ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* under `lock` */
static struct table known;
static uint32_t known_generation; /* of the process that `known` is about */
static uint64_t asked;            /* how often */

static void lock_for_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void unlock_after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    if (pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork) != 0)
        abort();
}

static void registry_lock(void)
{
    pthread_mutex_lock(&lock);
    if (known_generation == process_generation())
        return;
    table_fini(&known); /* the parent's instances are not looked for */
    known = (struct table){0};
    known_generation = process_generation();
}

static void registry_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* With the lock. */
static void registry_remove(struct instance *instance)
{
    table_remove(&known, &instance->entry);
    instance->listed = false;
}

static struct instance *instance_of(struct table_entry *entry)
{
    return container_of(entry, struct instance, entry);
}

/* Unless its last reference is gone: then it is about to be closed. */
static bool ref_living(struct instance *instance)
{
    unsigned count = atomic_load_explicit(&instance->references, memory_order_relaxed);
    while (count > 0)
        if (atomic_compare_exchange_weak_explicit(&instance->references, &count, count + 1,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

/* With the lock: a reference to the living instance of that key. A dying one makes room for another. */
static struct instance *registry_find(const char *key, size_t key_size)
{
    struct table_entry *entry = table_find(&known, key, key_size);
    struct instance *instance = entry ? instance_of(entry) : NULL;
    if (instance && !ref_living(instance)) {
        registry_remove(instance);
        return NULL;
    }
    if (instance)
        instance->asked = ++asked;
    return instance;
}

static struct instance *look_up(const struct buffer *key)
{
    registry_lock();
    struct instance *found = registry_find(key->data, key->size);
    registry_unlock();
    return found;
}

/* The instance that others find: this one, which is then in the registry, or another that came first. */
static struct instance *enlist(struct instance *instance)
{
    registry_lock();
    struct instance *found = registry_find(instance->key, instance->key_size);
    if (!found && table_add(&known, &instance->entry, instance->key, instance->key_size) == 0) {
        instance->listed = true; /* without memory it is one for itself */
        instance->generation = known_generation;
        instance->asked = ++asked;
    }
    registry_unlock();
    if (found)
        instance_unref(instance);
    return found ? found : instance;
}

/* A fork's child has the parent's instances, which are in no registry there. */
static void delist(struct instance *instance)
{
    registry_lock();
    if (instance->listed && instance->generation == known_generation)
        registry_remove(instance);
    registry_unlock();
}

void instance_unref(struct instance *instance)
{
    if (!instance || atomic_fetch_sub_explicit(&instance->references, 1, memory_order_acq_rel) > 1)
        return;
    delist(instance);
    instance_stop(instance);
    instance_free(instance);
}

/* With the lock. */
static struct instance *find_latest(const struct backend *backend)
{
    struct instance *latest = NULL;
    for (struct table_entry *entry = NULL; (entry = table_next(&known, entry));) {
        struct instance *instance = instance_of(entry);
        if (instance->backend == backend && (!latest || instance->asked > latest->asked))
            latest = instance;
    }
    return latest;
}

struct instance *instance_latest(const struct backend *backend)
{
    struct instance *latest;
    registry_lock();
    while ((latest = find_latest(backend)) && !ref_living(latest))
        registry_remove(latest);
    registry_unlock();
    return latest;
}

void instances_forget(void)
{
    registry_lock();
    for (struct table_entry *entry; (entry = table_next(&known, NULL));)
        registry_remove(instance_of(entry));
    registry_unlock();
}

/* ---- keys ---- */

#define KEY_SIZE_MAX ((size_t)64 << 20)

static int make_key(const struct opening *opening, struct buffer *key)
{
    const struct backend *backend = opening->backend;
    struct larder_loop *loop = backend->kind == ASYNC ? opening->loop : NULL;
    struct instance *next = opening->next ? opening->next->instance : NULL;
    buffer_add(key, &backend, sizeof backend);
    buffer_add(key, &loop, sizeof loop);
    buffer_add(key, &next, sizeof next);
    buffer_add(key, opening->asynchronous ? "a" : "-", 1);
    for (size_t i = 0; backend->options && backend->options[i].name; i++) {
        const char *value = opening->values[i];
        buffer_add(key, value ? "=" : "-", 1);
        buffer_add(key, value ? value : "", value ? strlen(value) + 1 : 1);
    }
    return buffer_add_text(key, opening->place ? opening->place : "");
}

int instance_get(const struct opening *opening, struct instance **out)
{
    struct buffer key = BUFFER(KEY_SIZE_MAX);
    struct instance *instance = NULL;
    int rc = opening->backend->complete ? opening->backend->complete(opening->values) : 0;
    if (rc == 0)
        rc = make_key(opening, &key);
    bool found = rc == 0 && !opening->unshared && (instance = look_up(&key));
    if (rc < 0 || found)
        options_free(opening->backend, opening->values);
    else
        rc = instance_new(opening, &key, &instance);
    buffer_free(&key);
    if (rc < 0)
        return rc;
    *out = found || opening->unshared ? instance : enlist(instance);
    return 0;
}
