/* SPDX-License-Identifier: Apache-2.0 */
#ifndef YARD_STORE_H
#define YARD_STORE_H
/* LMDB as the yardsticks open it. */
#include <sys/stat.h>

#include <lmdb.h>

#include "bench.h"

#define MAP_SIZE ((size_t)16 << 30)

static inline void yard_check(int rc, const char *what)
{
    if (rc != 0)
        bench_die("%s: %s", what, mdb_strerror(rc));
}

static inline MDB_env *yard_open(const char *dir)
{
    MDB_env *env;
    mkdir(dir, 0700);
    yard_check(mdb_env_create(&env), "env");
    yard_check(mdb_env_set_mapsize(env, MAP_SIZE), "map size");
    yard_check(mdb_env_open(env, dir, MDB_NORDAHEAD | MDB_NOTLS, 0600), dir);
    return env;
}

#endif
