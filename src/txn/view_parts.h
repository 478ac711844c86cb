/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_VIEW_PARTS_H
#define TXN_VIEW_PARTS_H
/* What the files of the view share. */
#include "fs/chain.h"
#include "fs/layer.h"
#include "txn/payload.h"
#include "txn/view.h"

struct txn_view {
    struct instance instance;
    struct member *member; /* const; lives as long as the transaction, of which this is a reference */
    /* under the transaction's lock */
    struct table dirs;  /* directories that the place was seen to have */
    struct list staged; /* writes in parts */
};
extern const struct backend txn_backend;
static inline struct txn_view *txn_view_of(struct instance *instance)
{
    return container_of(instance, struct txn_view, instance);
}
static inline struct instance *txn_view_next(const struct txn_view *view)
{
    return view->instance.next->instance;
}
static inline struct larder_txn *txn_of(const struct txn_view *view)
{
    return view->member->txn;
}

/* What is at a path, as the view shows it. */
struct sight {
    enum overlay_fate fate;
    bool lives_below;      /* the transaction wrote or made something below */
    uint64_t seen;         /* the id of the change at this very path; 0: there is none */
    int64_t touched_ns;    /* the time that it has by that change; 0: none */
    enum before before;    /* at the place: of the change, else as it was asked */
    enum larder_type type; /* 0: nothing is there */
    struct answer answer;  /* where there is something; owned */
    struct change *change; /* OVERLAY_FILE's, a reference */
};
/* -ENOENT and -ENOTDIR of the place are a type of 0; other failures, and -ESTALE and UNCHANGED of `terms`, are returned.
 * To be ended also when it fails. */
int CO_FN sight_take(struct txn_view *view, const char *path, const struct terms *terms, struct sight *sight);
/* Of the changes alone: type and answer are of a file and a directory of theirs only. */
int sight_glance(struct txn_view *view, const char *path, struct sight *sight);
void sight_fini(struct sight *sight);
#define autosight __attribute__((cleanup(sight_fini)))

/* -ENOENT, with text. */
int view_missing(const struct txn_view *view, const char *path);

/* Does the place, where directories are only implied, still have something below `path`? 1, 0, or a failure. */
int CO_FN view_lives(struct txn_view *view, const char *path);

/* See whether a write may be: *sight is what there was. -EEXIST, -ESTALE, -EISDIR, -ENOENT (no parent). */
int CO_FN see_write(struct txn_view *view, const char *path, unsigned flags, const char *if_match,
                    struct sight *sight);
/* With the lock: what must hold at the place when `change` is put over `earlier` (NULL: nothing), which is at its path. A
 * write that asks for something else than was asked for before is -EEXIST or -ESTALE. */
int check_join(const struct txn_view *view, struct change *change, const struct change *earlier);
/* Put a write, whose bytes are there, after what was seen; seen again, while others put in between. */
int CO_FN put_write(struct txn_view *view, struct change *change, unsigned flags, const char *if_match,
                    struct sight *sight);
/* It never came in: its bytes go. The text stays. */
void CO_FN drop_write(struct txn_view *view, struct change *change);
/* What a write answers; `out` may be NULL. */
int tell_write(const struct change *change, struct answer *out);
/* When it is closed: no lock is needed any more. */
void txn_view_forget_dirs(struct txn_view *view);
void txn_view_forget_staged(struct txn_view *view);

/* Operations of the table, by file. */
int txn_look_info(struct instance *instance, const char *path, const struct terms *terms, struct answer *out);
int txn_look_read(struct instance *instance, const char *path, const struct larder_range *range,
                  const struct terms *terms, struct sink *sink, struct answer *out);
int CO_FN txn_info(struct instance *instance, const char *path, const struct terms *terms,
                   struct answer *out);
int CO_FN txn_read(struct instance *instance, const char *path, const struct larder_range *range,
                   const struct terms *terms, struct sink *sink, struct answer *out);
int CO_FN txn_list(struct instance *instance, const char *path, const struct terms *terms,
                   struct cursor *cursor, struct larder_entries *page, struct answer *out);
int CO_FN txn_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                    const char *if_match, struct answer *out);
int CO_FN txn_remove(struct instance *instance, const char *const paths[], size_t count, int status[]);
int CO_FN txn_mkdir(struct instance *instance, const char *path, unsigned flags);
int CO_FN txn_rmdir(struct instance *instance, const char *path);
int CO_FN txn_touch(struct instance *instance, const char *path, int64_t mtime_ns);
int CO_FN txn_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                    struct token *out);
int CO_FN txn_stage_part(struct instance *instance, const char *path, const struct token *token,
                         uint32_t part, int64_t offset, const void *data, size_t size);
int CO_FN txn_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                      unsigned flags, const char *if_match, struct answer *out);
int CO_FN txn_discard(struct instance *instance, const char *path, const struct token *token);

#endif
