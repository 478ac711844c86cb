/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_VIEW_H
#define CACHE_VIEW_H
/*
 * The caching view. A read goes
 *
 *   hit.c     what the store can answer alone: any thread, no wait
 *   fetch.c   else, in a task: piece by piece out of the store, out of a flight's memory, or asked for
 *   flight.c  one request for the same bytes at a time in a loop; what came is there for others until it is
 *   stored
 *
 * Invariants of an answer
 *   V1  All its bytes are of one version: the first piece decides, later ones are asked for with if_match;
 *       what does not match starts the answer over, once, and then fails with -ESTALE.
 *   V2  Of a version without a strong validator only what came whole in one answer is kept, and only that is
 *       given.
 *   V3  Bytes are kept only after the read that brought them returned 0, with the size that was promised. A mirror
 *       keeps more: of a version with a strong validator and a known size, also the blocks that came before the end.
 */
#include "cache/lifetime.h"
#include "cache/edit.h"
#include "cache/hold.h"
#include "fs/fs.h"
#include "fs/layer.h"

enum mode { MODE_ONLINE, MODE_STALE_IF_ERROR, MODE_OFFLINE };

struct view {
    struct instance instance;
    /* const after open */
    struct packing packing;
    enum mode mode;
    struct lifetimes lifetimes;
    struct place place;
    struct hold hold;
};

/* The one that a filesystem goes through; NULL: none. */
struct view *view_of(const struct larder_fs *fs);
/* What its instance's options say, but for the directory: -EINVAL if they are wrong. */
int view_take_options(struct view *view);
/* NULL: there is none, which was logged; reads go on without. */
static inline struct store *view_store(struct view *view)
{
    return hold_store(&view->hold);
}
static inline struct instance *view_next(const struct view *view)
{
    return view->instance.next->instance;
}

/* -ENONET, with a text: what of this path, at its place, cannot be had offline. */
int view_offline(const struct view *view, const char *path, const char *why);

enum fact hit_fact(const struct record *record);
/* Where a file and a directory may have the same path: may the record speak of the one while the other is meant? */
bool hit_is_of_other(const struct view *view, const struct record *record, const struct terms *terms);
/* Is it still right, as far as options, terms and record say? */
bool hit_is_right(const struct lifetimes *lifetimes, const char *path, const struct record *record,
                  const struct terms *terms);
/* The same; but offline everything is that is not too old. An absence is not where a listing that came later shows the
 * name. */
bool hit_is_fresh(struct view *view, const char *path, const struct record *record,
                  const struct terms *terms);
/* May it be used although the place cannot be asked? */
bool hit_may_be_stale(const struct view *view, const struct record *record, const struct terms *terms);
/* Is an answer of that time no older than `terms` allow? */
bool hit_is_young(int64_t answered_ns, const struct terms *terms);

/* As the looks of the table; hits of more than `size_max` bytes are -EAGAIN. `sink` is instant. */
int hit_read(struct view *view, struct store *store, const char *path, const struct larder_range *range,
             const struct terms *terms, struct sink *sink, struct answer *out, int64_t size_max);
int hit_info(struct view *view, struct store *store, const char *path, const struct terms *terms,
             struct answer *out);
/* Is it known, and still believed, that nothing is there? */
bool hit_is_absent(struct view *view, struct store *store, const char *path, const struct terms *terms);
/* Offline, and the record is not there: what listings say. 0: *out is set (owned); -ENOENT; -ENONET. */
int offline_info(struct view *view, struct store *store, const char *path, const struct terms *terms,
                 struct answer *out);

/* fetch.c, list.c: as the table's. */
int CO_FN fetch_read(struct instance *instance, const char *path, const struct larder_range *range,
                     const struct terms *terms, struct sink *sink, struct answer *out);
int CO_FN fetch_properties(struct instance *instance, const char *path, struct larder_properties *out);
int CO_FN fetch_info(struct instance *instance, const char *path, const struct terms *terms,
                     struct answer *out);
int CO_FN fetch_list(struct instance *instance, const char *path, const struct terms *terms,
                     struct cursor *cursor, struct larder_entries *page, struct answer *out);
int CO_FN fetch_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                          struct cursor *cursor, struct larder_entries *page, struct answer *out);

/*
 * For a mirror, which waits for the writer instead of keeping nothing: read the whole file, for the store
 * only; a file that could not be kept is a failure. *size: the file's; *fetched: over the network.
 */
struct throttle;
int CO_FN fetch_keep(struct view *view, const char *path, const struct terms *terms,
                     struct throttle *throttle, int64_t *size, uint64_t *fetched);
int CO_FN fetch_list_kept(struct view *view, const char *path, const struct terms *terms,
                          struct cursor *cursor, struct larder_entries *page);
/* Ask for all listings of a tree at once: 0, and those that were told whole are kept. -ENOTSUP: the place cannot tell. */
int CO_FN fetch_tree_kept(struct view *view, const char *path, const struct terms *terms);
/* The place has nothing there: so what was known of it is no more. Any thread, never waits. */
void absence_keep(struct view *view, struct store *store, const char *path);
/* The directory that options, the environment or the user's home name. mem. */
int cache_directory(const char *given, char **out);

#endif
