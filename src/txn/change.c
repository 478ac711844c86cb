/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/change.h"

#include <stdio.h>

#include "base/error.h"
#include "base/seams.h"

int change_new(enum change_kind kind, const char *path, struct change **out)
{
    struct change *change = mem_zero(sizeof *change);
    char *copy = mem_dup(path);
    if (!change || !copy) {
        mem_free(change);
        mem_free(copy);
        return fail_memory();
    }
    atomic_init(&change->references, 1);
    while (change->id == 0)
        change->id = random_u64();
    change->kind = kind;
    change->path = copy;
    change->mtime_ns = wall_ns();
    *out = change;
    return 0;
}

int change_take_conditions(struct change *change, const struct change *other)
{
    char *if_match = other->if_match ? mem_dup(other->if_match) : NULL;
    if (other->if_match && !if_match)
        return fail_memory();
    change_set_conditions(change, other->create, if_match);
    return 0;
}

void change_set_conditions(struct change *change, bool create, char *if_match)
{
    mem_free(change->if_match);
    change->if_match = if_match;
    change->create = create;
}

bool change_is_conditional(const struct change *change)
{
    return change->create || change->if_match;
}

int change_label(struct change *change, const struct labels *labels)
{
    labels_fini(&change->labels);
    return labels ? labels_copy(&change->labels, labels) : 0;
}

struct change *change_ref(struct change *change)
{
    atomic_fetch_add_explicit(&change->references, 1, memory_order_relaxed);
    return change;
}

void change_unref(struct change *change)
{
    if (!change || atomic_fetch_sub_explicit(&change->references, 1, memory_order_acq_rel) > 1)
        return;
    larder_bytes_free(&change->payload.bytes);
    mem_free(change->payload.token.text);
    labels_fini(&change->labels);
    mem_free(change->if_match);
    mem_free(change->path);
    mem_free(change);
}

void change_describe(const struct change *change, char version[CHANGE_VERSION_SIZE], struct answer *out)
{
    snprintf(version, CHANGE_VERSION_SIZE, "txn-%016llx", (unsigned long long)change->id);
    *out = (struct answer){.info = {.type = LARDER_FILE,
                                    .size = change->payload.size,
                                    .mtime_ns = change->mtime_ns,
                                    .created_ns = change->mtime_ns,
                                    .version = version},
                           .validator = version,
                           .fresh_ms = 0,
                           .stale_if_error_ms = -1};
}
