/* SPDX-License-Identifier: Apache-2.0 */
/* Writes in parts: a token is the change's id, and the change comes into the overlay when it is published. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "txn/view_parts.h"

struct staged {
    struct list node;      /* of view->staged */
    struct change *change; /* a reference */
    bool finished;         /* its bytes are all there */
};

/* A reference to its change, which is `*out`'s as long as nobody discards it. */
static int find_staged(struct txn_view *view, const struct token *token, struct staged **out)
{
    uint64_t id = strtoull(token->text, NULL, 16);
    struct staged *found = NULL;
    int rc = txn_lock(txn_of(view), true);
    if (rc < 0)
        return rc;
    list_for_each (node, &view->staged) {
        struct staged *staged = container_of(node, struct staged, node);
        if (staged->change->id == id)
            found = staged;
    }
    txn_unlock(txn_of(view));
    *out = found;
    return found ? 0 : fail(-ESTALE, "\"%s\": nothing is staged by this token", token->text);
}

int CO_FN txn_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                    struct token *out)
{
    struct txn_view *view = txn_view_of(instance);
    struct staged *staged = mem_zero(sizeof *staged);
    int rc = staged ? change_new(CHANGE_WRITE, path, &staged->change) : fail_memory();
    char *text = rc == 0 ? mem_format("%016llx", (unsigned long long)staged->change->id) : NULL;
    if (rc == 0 && !text)
        rc = fail_memory();
    if (rc == 0)
        rc = change_label(staged->change, labels);
    if (rc == 0)
        rc = payload_stage(view->member, staged->change);
    if (rc == 0 && (rc = txn_lock(txn_of(view), true)) == 0) {
        list_push(&view->staged, &staged->node);
        txn_unlock(txn_of(view));
        out->text = text;
        return 0;
    }
    if (text)
        drop_write(view, staged->change);
    mem_free(text);
    change_unref(staged ? staged->change : NULL);
    mem_free(staged);
    return rc;
}

int CO_FN txn_stage_part(struct instance *instance, const char *path, const struct token *token,
                         uint32_t part, int64_t offset, const void *data, size_t size)
{
    struct txn_view *view = txn_view_of(instance);
    struct staged *staged;
    int rc = find_staged(view, token, &staged);
    return rc < 0 ? rc : payload_stage_part(view->member, staged->change, part, offset, data, size);
}

static void unlist(struct txn_view *view, struct staged *staged)
{
    pthread_mutex_lock(&txn_of(view)->lock);
    list_remove(&staged->node);
    pthread_mutex_unlock(&txn_of(view)->lock);
    change_unref(staged->change);
    mem_free(staged);
}

int CO_FN txn_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                      unsigned flags, const char *if_match, struct answer *out)
{
    struct txn_view *view = txn_view_of(instance);
    autosight struct sight sight = {0};
    struct staged *staged;
    int rc = find_staged(view, token, &staged);
    if (rc == 0)
        rc = see_write(view, path, flags, if_match, &sight);
    if (rc == 0 && !staged->finished)
        rc = payload_finish(view->member, staged->change, size);
    if (rc < 0)
        return rc;
    staged->finished = true;
    rc = put_write(view, staged->change, flags, if_match, &sight);
    if (rc < 0)
        return rc;
    rc = tell_write(staged->change, out);
    unlist(view, staged);
    return rc;
}

int CO_FN txn_discard(struct instance *instance, const char *path, const struct token *token)
{
    struct txn_view *view = txn_view_of(instance);
    struct staged *staged;
    if (find_staged(view, token, &staged) < 0) { /* published, discarded before, or with its transaction */
        error_clear();
        return 0;
    }
    drop_write(view, staged->change);
    unlist(view, staged);
    return 0;
}

/* Of writers that never closed. Their bytes went with the transaction. */
void txn_view_forget_staged(struct txn_view *view)
{
    for (struct list *node; (node = list_pop(&view->staged));) {
        struct staged *staged = container_of(node, struct staged, node);
        change_unref(staged->change);
        mem_free(staged);
    }
}
