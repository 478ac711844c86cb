/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_STEPS_H
#define TXN_STEPS_H
/* What the files of a plan's steps share: decide.c and publish.c. */
#include "txn/plan.h"

#define UNDO_MS 60000 /* of a task that was cancelled, to clean up */

/* fn of every item, several at once; the first failure stops them. */
typedef int item_fn(struct plan *plan, struct plan_item *item);
int CO_FN plan_each(struct plan *plan, item_fn *fn);

/* Does the member's place change all at one moment? Then this is how. */
bool member_applies(const struct plan_member *member);
int CO_FN member_apply(struct plan *plan, const struct plan_member *member);
/* What was done for those items of persistent members, or NULL: for all, is on the places' disks. */
int CO_FN plan_sync(struct plan *plan, bool (*counts)(const struct plan_item *item));
/* Writes that need no waiting but for a disk. */
int CO_FN plan_publish_near(struct plan *plan);
bool member_has_conditions(const struct plan *plan, const struct plan_member *member);

#endif
