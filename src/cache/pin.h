/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_PIN_H
#define CACHE_PIN_H
/*
 * Pins: a path whose tree stays in the store whatever else needs room. A pin is a record of its own kind (key
 * 'P'), there or not there whatever is stored of the path. Clearing what is stored leaves pins alone.
 */
#include "cache/store.h"

/* Queue it; writer_flush makes sure. A pin that is there already, or not there, is as good. -EROFS, -ENOMEM. */
int pin_set(struct store *store, const struct place *place, const char *path, bool pinned);
/* Is there a pin of this very path? */
bool pin_is_set(struct store *store, const struct place *place, const char *path);
/* … or of a directory above it? */
bool pin_covers(struct store *store, const struct place *place, const char *path);

#endif
