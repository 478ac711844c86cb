/* SPDX-License-Identifier: Apache-2.0 */
/* Stores: found or opened, shared in the process, and closed. */
#include "cache/store.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/environment.h"
#include "cache/lock.h"
#include "cache/shared.h"
#include "task/process.h"

#define EXIT_WAIT_MS 10000 /* at exit(), for what is queued to be written */

/* ---- the process's stores ---- */

static struct process_list *_Atomic current;

/* ---- texts ---- */

void store_say(struct store *store, enum said what, const char *format, ...)
{
    char text[256];
    va_list arguments;
    if (atomic_fetch_or(&store->said, what) & what)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    log_at(LARDER_LOG_WARNING, "cache %s: %s", store->dir, text);
}

/* ---- life ---- */

static void store_free(struct store *store)
{
    if (!store)
        return;
    for (unsigned i = 0; store->env && i < READERS_POOLED; i++)
        reader_free(atomic_exchange(&store->pool[i], NULL));
    if (store->env)
        mdb_env_close(store->env);
    pages_close(&store->pages);
    locks_fini(&store->locks);
    shared_close(store->shared);
    writer_fini(&store->writer);
    mem_free(store->lock_path);
    mem_free(store->file);
    mem_free(store->dir);
    mem_free(store);
}

static struct store *find(struct process_list *context, const char *dir)
{
    struct stat status;
    autofree char *file = path_join(dir, STORE_FILE);
    if (!file || file_seam.stat(file, &status) < 0)
        return NULL;
    list_for_each (node, &context->list) {
        struct store *store = container_of(node, struct store, node);
        if (store->device == status.st_dev && store->inode == status.st_ino && store_is_ours(store))
            return store;
    }
    return NULL;
}

/* The program may change its directory. NULL: no memory. */
static char *absolute(const char *dir)
{
    autofree char *room = mem_alloc(PATH_MAX);
    char *real = room ? realpath(dir, room) : NULL;
    return room ? mem_dup(real ? real : dir) : NULL;
}

static int open_new(struct process_list *context, const char *dir, struct store **out)
{
    struct store *store = mem_zero(sizeof *store);
    if (!store)
        return fail_memory();
    store->generation = context->generation;
    atomic_init(&store->references, 1);
    locks_init(&store->locks);
    int rc = writer_init(&store->writer);
    store->dir = absolute(dir);
    store->file = store->dir ? path_join(store->dir, STORE_FILE) : NULL;
    store->lock_path = store->file ? path_join(store->dir, FLIGHTS_FILE) : NULL;
    if (rc == 0 && !store->lock_path)
        rc = fail_memory();
    if (rc == 0)
        rc = environment_open(store);
    if (rc < 0) {
        store_free(store);
        return rc;
    }
    list_push(&context->list, &store->node);
    *out = store;
    return 0;
}

int store_open(const char *dir, struct store **out)
{
    autofree char *copy = mem_dup(dir);
    struct process_list *context = process_list_get(&current);
    if (!copy || !context)
        return fail_memory();
    process_exit_arm(); /* so that our exit handler is there, behind that of the loops */
    pthread_mutex_lock(&context->lock);
    int rc = lmdb_make_directory(copy);
    struct store *store = rc == 0 ? find(context, dir) : NULL;
    if (store) {
        store->references++;
        *out = store;
    } else if (rc == 0) {
        rc = open_new(context, dir, out);
    }
    pthread_mutex_unlock(&context->lock);
    return rc;
}

/* Who has a reference takes and drops others without the context's lock, which another store's opening may hold for long. */
struct store *store_ref(struct store *store)
{
    assert(store->generation == process_generation());
    atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
    return store;
}

/* All but the last one, which is dropped under the lock: under it a store that nobody uses is found again. */
static bool unref_one_of_several(struct store *store)
{
    unsigned before = atomic_load_explicit(&store->references, memory_order_relaxed);
    while (before > 1)
        if (atomic_compare_exchange_weak_explicit(&store->references, &before, before - 1,
                                                  memory_order_release, memory_order_relaxed))
            return true;
    return false;
}

static void forget(struct store *store)
{
    list_remove(&store->node);
    store_free(store);
}

void store_unref(struct store *store)
{
    if (!store || !store_is_ours(store) || unref_one_of_several(store))
        return;
    struct process_list *context = process_list_get(&current);
    pthread_mutex_lock(&context->lock);
    /* With something to write, the writer closes it; else nothing of it is in use any more. */
    if (--store->references == 0 && !writer_close(store))
        forget(store);
    pthread_mutex_unlock(&context->lock);
}

bool store_close_now(struct store *store)
{
    struct process_list *context = process_list_get(&current);
    pthread_mutex_lock(&context->lock);
    bool used = store->references > 0;
    /* Somebody may have used it again, and ended, since the writer saw that it was done. */
    bool over = !used && writer_is_done(store);
    if (used)
        writer_stay(store);
    if (over)
        forget(store);
    pthread_mutex_unlock(&context->lock);
    return over;
}

/* ---- exit ---- */

#define ENDING_MAX 64 /* stores; more of them are closed by their writers, as far as those come */

/* With a reference each, so that they stay. */
static unsigned all_stores(struct process_list *context, struct store *out[ENDING_MAX])
{
    unsigned count = 0;
    pthread_mutex_lock(&context->lock);
    list_for_each (node, &context->list) {
        if (count == ENDING_MAX)
            break;
        out[count] = container_of(node, struct store, node);
        out[count++]->references++;
    }
    pthread_mutex_unlock(&context->lock);
    return count;
}

/*
 * After the loops have ended. What is queued is written, as far as that goes within EXIT_WAIT_MS: another
 * process may be stopped in the middle of a write transaction. Nothing is freed, and the idle threads stay:
 * others may still read. The context's lock is free meanwhile: writers want it.
 */
static void end_stores(void)
{
    struct process_list *context = atomic_load(&current);
    struct store *stores[ENDING_MAX];
    if (!context || context->generation != process_generation())
        return;
    uint64_t until = now_ns() / 1000000 + EXIT_WAIT_MS;
    unsigned count = all_stores(context, stores);
    for (unsigned i = 0; i < count; i++) {
        uint64_t now = now_ns() / 1000000;
        writer_flush(stores[i], until > now ? (int64_t)(until - now) : 0);
    }
}

static void arm_exit(void)
{
    atexit(end_stores);
}

__attribute__((constructor)) static void before_threads(void)
{
    process_before_threads(arm_exit);
}
