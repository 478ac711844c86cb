/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_ENVIRONMENT_H
#define CACHE_ENVIRONMENT_H
/*
 * The environment of a store: its directory and its files, made, opened, looked at, and set aside when they are no store.
 *
 *   cache-1.mdb           LMDB's file; the number is the format's
 *   cache-1.mdb-lock      its lock file, with the readers' slots
 *   cache-1.mdb.damaged   what was set aside, the last of it
 *   cache-1.flights       empty: its bytes are locked (lock.h)
 *   cache-1.use           what the processes tell each other (shared.h)
 */
#include "cache/store.h"

#define STORE_FILE   "cache-1.mdb"
#define FLIGHTS_FILE "cache-1.flights"

/* Of a store whose dir, file and lock_path are set. With text; nothing is open then. */
int environment_open(struct store *store);

#endif
