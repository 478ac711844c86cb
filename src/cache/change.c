/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes through us: known in this process from the moment that they are told, in the store with the
 * writer's next batch. In between `writer.changes` has them by what they make invalid, and `writer.trees`
 * those of whole trees; a look asks there only while `changes_pending` is not 0.
 *
 * In the store a changed path keeps a record without content, whose new id makes a read that was under way
 * drop what it got (S4). A tree's records are removed; so that a read of a path without a record does not
 * outlive that, the store counts such changes: its epoch.
 */
#include "cache/edit.h"

#include <errno.h>
#include <string.h>

#include "base/path.h"
#include "base/seams.h"
#include "cache/batch.h"

/* ---- in the store ---- */

/* In place of what was there: nothing is known, under a new id. `always`: also where nothing was. */
static int put_changed(struct batch *batch, enum key_type type, const struct change *op, const char *path,
                       bool always)
{
    struct record before,
        record = {.head = {.state = RECORD_CHANGED, .id = op->id, .answered_ns = wall_ns()}};
    struct key key;
    key_path(&key, type, &op->place, path);
    int rc = batch_find(batch, &key, &op->place, path, &before);
    if (rc == -EEXIST || (rc == -ENOENT && !always))
        return 0;
    if (rc < 0 && rc != -ENOENT)
        return rc;
    struct record_head old = before.head, *there = rc == 0 ? &old : NULL;
    rc = there ? batch_drop_version(batch, old.version) : 0;
    return rc < 0 ? rc : batch_write(batch, &key, &op->place, path, &record, there);
}

static int change_parents(struct batch *batch, const struct change *op)
{
    int rc = 0;
    strcpy(op->parent, op->path);
    while (rc == 0 && *op->parent) {
        op->parent[path_parent_size(op->parent)] = 0;
        rc = put_changed(batch, KEY_LISTING, op, op->parent, true);
        if (!op->all_parents)
            break;
        if (rc == 0)
            rc = put_changed(batch, KEY_RECORD, op, op->parent, true);
    }
    return rc;
}

static int remove_below(struct batch *batch, enum key_type type, const struct change *op)
{
    struct below below;
    struct record record;
    int rc;
    below_begin(&below, type, &op->place, op->path);
    while ((rc = below_next(batch, &below, &record)) == 0) {
        if (batch->removed >= REMOVE_COUNT_MAX)
            return EDIT_AGAIN;
        batch->removed++;
        rc = batch_remove_record(batch, &below.from, &record.head);
        if (rc < 0)
            return rc;
        below_step(&below);
    }
    return rc == -ENOENT ? 0 : rc;
}

static int remove_tree(struct batch *batch, const struct change *op)
{
    int rc = remove_below(batch, KEY_RECORD, op);
    return rc == 0 ? remove_below(batch, KEY_LISTING, op) : rc;
}

/* The place whose records stand at `hash` or behind: its hash. */
static int next_place(struct batch *batch, uint64_t *hash)
{
    struct place place = {.hash = *hash};
    struct key prefix, from;
    MDB_val value;
    int rc = -ENOENT;
    for (int i = 0; i < 2; i++) {
        key_path(&from, i ? KEY_LISTING : KEY_RECORD, &place, "");
        prefix = from;
        prefix.size = 1;
        int found = batch_next(batch, &from, &prefix, &value);
        if (found < 0 && found != -ENOENT)
            return found;
        if (found == 0 && (rc < 0 || key_number(from.data + 1) < *hash))
            *hash = key_number(from.data + 1);
        if (found == 0)
            rc = 0;
    }
    return rc;
}

/* Of every place. The identities are not known, and need not be. */
static int remove_everywhere(struct batch *batch, struct change *op)
{
    struct change of_place = *op;
    int rc;
    of_place.place.hash = 0;
    while ((rc = next_place(batch, &of_place.place.hash)) == 0) {
        rc = remove_tree(batch, &of_place);
        if (rc != 0)
            return rc;
        if (of_place.place.hash++ == UINT64_MAX)
            return 0;
    }
    return rc == -ENOENT ? 0 : rc;
}

int edit_change(struct op *base, struct batch *batch)
{
    struct change *op = container_of(base, struct change, op);
    int rc;
    if (op->tree) {
        rc = op->place.identity ? remove_tree(batch, op) : remove_everywhere(batch, op);
        if (rc == 0)
            rc = batch_count_epoch(batch);
    } else {
        rc = put_changed(batch, KEY_RECORD, op, op->path, true);
        if (rc == 0)
            rc = put_changed(batch, KEY_LISTING, op, op->path, false);
    }
    return rc != 0 || !op->place.identity ? rc : change_parents(batch, op);
}

/* ---- in this process ---- */

/* What one or more changes under way make invalid: a path (its record and its listing), or a listing only. */
struct pending {
    struct table_entry entry;
    unsigned changes;
    uint64_t id; /* of the latest */
    char key[];  /* a type, the place's hash, the path */
};

static size_t pending_key_size(const char *path)
{
    return 1 + sizeof(uint64_t) + strlen(path);
}

static void pending_key(enum key_type type, const struct place *place, const char *path, char *out)
{
    out[0] = (char)type;
    memcpy(out + 1, &place->hash, sizeof place->hash);
    memcpy(out + 1 + sizeof place->hash, path, strlen(path));
}

/* The functions below run under the lock. */

/* Not in the table, without memory for the key, is the same as not to be found: then all is taken for
 * changed. */
static struct pending *pending_find(struct store *store, enum key_type type, const struct place *place,
                                    const char *path)
{
    size_t size = pending_key_size(path);
    char small[512], *key = size <= sizeof small ? small : mem_alloc(size);
    if (!key) {
        store->writer.blind = true;
        return NULL;
    }
    pending_key(type, place, path, key);
    struct table_entry *entry = table_find(&store->writer.changes, key, size);
    if (key != small)
        mem_free(key);
    return entry ? container_of(entry, struct pending, entry) : NULL;
}

static void pending_add(struct store *store, const struct change *op, enum key_type type, const char *path)
{
    struct pending *pending = pending_find(store, type, &op->place, path);
    if (!pending) {
        size_t size = pending_key_size(path);
        pending = mem_zero(sizeof *pending + size);
        if (pending)
            pending_key(type, &op->place, path, pending->key);
        if (!pending || table_add(&store->writer.changes, &pending->entry, pending->key, size) < 0) {
            mem_free(pending);
            store->writer.blind = true;
            return;
        }
    }
    pending->changes++;
    pending->id = op->id;
}

static void pending_drop(struct store *store, const struct change *op, enum key_type type, const char *path)
{
    struct pending *pending = pending_find(store, type, &op->place, path);
    if (!pending || --pending->changes > 0)
        return;
    table_remove(&store->writer.changes, &pending->entry);
    mem_free(pending);
}

/* All that a change makes invalid by name. */
static void each_pending(struct store *store, struct change *op,
                         void (*fn)(struct store *, const struct change *, enum key_type, const char *))
{
    if (!op->place.identity)
        return;
    if (!op->tree)
        fn(store, op, KEY_RECORD, op->path);
    strcpy(op->parent, op->path);
    while (*op->parent) {
        op->parent[path_parent_size(op->parent)] = 0;
        fn(store, op, KEY_LISTING, op->parent);
        if (!op->all_parents)
            break;
        fn(store, op, KEY_RECORD, op->parent);
    }
}

static void changed_done(struct op *base, int status)
{
    struct change *op = container_of(base, struct change, op);
    struct store *store = op->store;
    pthread_mutex_lock(&store->writer.lock);
    each_pending(store, op, pending_drop);
    list_remove(&op->node);
    if (op->tree)
        store->writer.tree_count--;
    atomic_fetch_sub_explicit(&store->changes_pending, 1, memory_order_release);
    pthread_mutex_unlock(&store->writer.lock);
    mem_free(op);
}

static struct change *change_new(struct store *store, const struct place *place, const char *path, bool tree,
                                 bool all_parents)
{
    size_t path_size = strlen(path) + 1, identity_size = place->identity ? place->size + 1 : 0;
    struct change *op = mem_zero(sizeof *op + identity_size + 2 * path_size);
    if (!op)
        return NULL;
    op->op = (struct op){.keep = true, .apply = edit_change, .done = changed_done};
    op->store = store;
    op->place = *place;
    op->id = store_number();
    op->tree = tree;
    op->all_parents = all_parents;
    list_init(&op->node);
    if (place->identity)
        op->place.identity = memcpy(op->text, place->identity, identity_size);
    op->path = memcpy(op->text + identity_size, path, path_size);
    op->parent = op->path + path_size;
    return op;
}

void store_changed(struct store *store, const struct place *place, const char *path, bool tree,
                   bool all_parents)
{
    struct writer *writer = &store->writer;
    struct change *op = change_new(store, place, path, tree, all_parents);
    pthread_mutex_lock(&writer->lock);
    if (op) {
        each_pending(store, op, pending_add);
        if (tree)
            list_push(&writer->trees, &op->node);
        if (tree)
            writer->tree_count++;
    } else {
        writer->blind = true; /* better than to remember what is wrong */
    }
    atomic_fetch_add_explicit(&store->changes_pending, 1, memory_order_release);
    pthread_mutex_unlock(&writer->lock);
    /* Refused by a store that cannot be written: then it stays known here, and is this process's business
     * only. */
    if (op && writer_add(store, &op->op) < 0) {
        pthread_mutex_lock(&writer->lock);
        op->op.next = writer->unwritten;
        writer->unwritten = &op->op;
        pthread_mutex_unlock(&writer->lock);
    }
}

static bool in_changed_tree(struct writer *writer, const struct place *place, const char *path)
{
    list_for_each (node, &writer->trees) {
        struct change *op = container_of(node, struct change, node);
        bool same = !op->place.identity || op->place.hash == place->hash;
        if (same && path_within(op->path, path))
            return true;
    }
    return false;
}

bool store_is_changed(struct store *store, enum key_type type, const struct place *place, const char *path,
                      uint64_t *id)
{
    if (atomic_load_explicit(&store->changes_pending, memory_order_acquire) == 0)
        return false;
    struct writer *writer = &store->writer;
    pthread_mutex_lock(&writer->lock);
    *id = 0;
    bool changed = writer->blind || in_changed_tree(writer, place, path);
    struct pending *pending = pending_find(store, KEY_RECORD, place, path);
    if (!pending && type == KEY_LISTING)
        pending = pending_find(store, KEY_LISTING, place, path);
    if (pending)
        *id = pending->id;
    pthread_mutex_unlock(&writer->lock);
    return changed || pending;
}

unsigned store_trees_pending(struct store *store)
{
    if (atomic_load_explicit(&store->changes_pending, memory_order_acquire) == 0)
        return 0;
    pthread_mutex_lock(&store->writer.lock);
    unsigned count = store->writer.tree_count;
    pthread_mutex_unlock(&store->writer.lock);
    return count;
}

void changes_fini(struct writer *writer)
{
    struct table_entry *entry;
    while ((entry = table_next(&writer->changes, NULL))) {
        table_remove(&writer->changes, entry);
        mem_free(container_of(entry, struct pending, entry));
    }
    table_fini(&writer->changes);
    for (struct op *op = writer->unwritten, *next; op; op = next) {
        next = op->next;
        mem_free(container_of(op, struct change, op));
    }
}
