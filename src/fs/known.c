/* SPDX-License-Identifier: Apache-2.0 */
/* The places and views that are known. Any thread may ask while another makes one known: nothing is ever taken out. */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/option.h"

struct known {
    const struct backend *backend;
    struct known *_Atomic next;
};
static struct known first = {.backend = &fs_layer};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of who adds */

static const struct known *next_of(const struct known *known)
{
    return atomic_load_explicit(&known->next, memory_order_acquire);
}

const struct backend *backend_at(size_t index)
{
    const struct known *known = &first;
    while (known && index-- > 0)
        known = next_of(known);
    return known ? known->backend : NULL;
}

const struct backend *backend_by_name(const char *name, size_t size)
{
    for (const struct known *known = &first; known; known = next_of(known))
        if (strlen(known->backend->name) == size && memcmp(known->backend->name, name, size) == 0)
            return known->backend;
    return NULL;
}

const struct backend *backend_find(const char *protocol, size_t size)
{
    for (const struct known *known = &first; known; known = next_of(known))
        for (const char *const *word = known->backend->protocols; *word; word++)
            if (strlen(*word) == size && strncasecmp(*word, protocol, size) == 0)
                return known->backend;
    return NULL;
}

static int check_free(const struct backend *backend)
{
    if (backend_by_name(backend->name, strlen(backend->name)))
        return fail(-EEXIST, "\"%s\" is known already", backend->name);
    for (const char *const *word = backend->protocols; *word; word++)
        if (backend_find(*word, strlen(*word)))
            return fail(-EEXIST, "\"%s\" is known already", *word);
    return 0;
}

int backend_register(const struct backend *backend)
{
    struct known *known = mem_zero(sizeof *known);
    if (!known)
        return fail_memory();
    known->backend = backend;
    pthread_mutex_lock(&lock);
    int rc = check_free(backend);
    if (rc == 0) {
        struct known *last = &first;
        for (struct known *next; (next = atomic_load(&last->next)); last = next)
            ;
        atomic_store_explicit(&last->next, known, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    if (rc < 0)
        mem_free(known);
    return rc;
}
