/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_OVERLAY_H
#define TXN_OVERLAY_H
/*
 * The changes of one member, by path: in the order of path_compare, so that a subtree is a run of them. A treap: each step
 * costs the logarithm of their number. Every call needs the transaction's lock, which is never held across a wait; what is
 * returned is borrowed under it.
 */
#include "txn/change.h"

struct overlay {
    struct overlay_node *root;
    size_t count;
    bool real_directories; /* of the place; const. A file that was removed was no directory as well */
};

/* What the changes alone say of a path. */
enum overlay_fate {
    OVERLAY_UNTOUCHED, /* as at the place, but for its time if *change is a TOUCH; something below it may have been removed */
    OVERLAY_FILE,      /* *change is its WRITE */
    OVERLAY_DIRECTORY, /* it was made: *change is its MKDIR, or a removal that something was then put below */
    OVERLAY_IMPLIED,   /* something was put below it; it may have been there before */
    OVERLAY_GONE,      /* it was removed, or cannot be, by what became of a directory above */
    OVERLAY_REMOVED,   /* the file of this name was removed; as a directory it may be there all the same */
};
enum overlay_fate overlay_look(const struct overlay *overlay, const char *path, struct change **change);

/* The change at exactly this path, or NULL. */
struct change *overlay_at(const struct overlay *overlay, const char *path);
/* The first one behind `path` in the order ("": of all) … */
struct change *overlay_next(const struct overlay *overlay, const char *path);
/* … and behind all that is below `path`. NULL: there is none. */
struct change *overlay_next_outside(const struct overlay *overlay, const char *path);
/* The first below `path`. */
struct change *overlay_first_below(const struct overlay *overlay, const char *path);
/* Is anything below `path` written, or made? */
bool overlay_lives_below(const struct overlay *overlay, const char *path);

/* Takes over the reference to `change`; *replaced (a reference, or NULL) is what was at its path. -ENOMEM: nothing was
 * done. */
int overlay_put(struct overlay *overlay, struct change *change, struct change **replaced);
/* Take the change at `path` out: its reference, or NULL. */
struct change *overlay_take(struct overlay *overlay, const char *path);
void overlay_fini(struct overlay *overlay);

#endif
