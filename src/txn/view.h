/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_VIEW_H
#define TXN_VIEW_H
/*
 * The transactional view: a filesystem that shows its member's place as it will be, and turns each change into one of
 * the overlay.
 *
 *   view_look.c   what is at a path: by the overlay, else by the place
 *   view_list.c   listings: the place's, without what the overlay knows, then the overlay's own
 *   view_write.c  changes: each is checked against what the view shows, then put into the overlay
 *
 * Invariants
 *   X1  Nothing is changed at the place. A copy or a move streams through the view, so that what is published never
 *       depends on a file that the same transaction changes.
 *   X2  A change is checked, its bytes are taken, and it is put under the lock only if the path's change is still
 *       the one that it was checked against; else it is checked again. So of two creations in one transaction one wins.
 *   X3  The conditions of a path's first change are those of its last: they speak of the place, and the place has
 *       seen none of the changes in between.
 */
#include "txn/member.h"

/* The view of a member that has none yet: member->view is set, its root is "". */
int txn_view_open(struct member *member);
/* A handle on it, as `fs`, a handle on the member's instance, is one: with its root, terms, timeout. */
int txn_view_handle(struct member *member, const struct larder_fs *fs, struct larder_fs **out);
/* The member that `fs` is a view of; NULL: it is none. */
struct member *txn_member_of(const struct larder_fs *fs);
/* Is there such a view in the chain of `fs`? */
bool txn_is_view(const struct larder_fs *fs);

#endif
