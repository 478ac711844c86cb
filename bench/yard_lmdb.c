/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yard_lmdb DIR FILES COUNT SIZE: values of bare LMDB, COUNT times: look up, check the checksum, malloc, copy, free. The
 * keys are as long as Larder's, and the checksum is compiled in as there. The store is made if it is missing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lmdb.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench.h"

#define MAP_SIZE ((size_t)16 << 30)

static void check(int rc, const char *what)
{
    if (rc != 0)
        bench_die("%s: %s", what, mdb_strerror(rc));
}

static MDB_val key_of(char *name)
{
    return (MDB_val){strlen(name), name};
}

/* Values of no use to a compressor, each with its checksum in front. */
static void fill(MDB_env *env, char **names, size_t files, size_t size)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    uint64_t *words = bench_alloc(sizeof *words + size), state = 1;
    check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    check(mdb_dbi_open(txn, NULL, 0, &dbi), "open");
    for (size_t i = 0; i < files; i++) {
        MDB_val key = key_of(names[i]), value = {sizeof *words + size, words};
        for (size_t at = 1; at <= size / sizeof *words; at++)
            words[at] = state = state * 6364136223846793005U + 1442695040888963407U;
        words[0] = XXH3_64bits(words + 1, size);
        check(mdb_put(txn, dbi, &key, &value, 0), "put");
    }
    check(mdb_txn_commit(txn), "commit");
    free(words);
}

static size_t get(MDB_txn *txn, MDB_dbi dbi, char *name)
{
    MDB_val key = key_of(name), value;
    uint64_t checksum;
    check(mdb_txn_renew(txn), "renew");
    check(mdb_get(txn, dbi, &key, &value), "get");
    size_t size = value.mv_size - sizeof checksum;
    const char *data = (const char *)value.mv_data + sizeof checksum;
    memcpy(&checksum, value.mv_data, sizeof checksum);
    if (XXH3_64bits(data, size) != checksum)
        bench_die("%s: damaged", name);
    char *copy = bench_alloc(size + 1);
    memcpy(copy, data, size);
    copy[size] = 0;
    mdb_txn_reset(txn);
    /* The compiler must not find out that nobody looks at the copy. */
    __asm__ volatile("" : : "r"(copy) : "memory");
    free(copy);
    return size;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        bench_die("usage: yard_lmdb DIR FILES COUNT SIZE");
    size_t files = bench_count(argv[2]), count = bench_count(argv[3]), size = bench_count(argv[4]);
    char **names = bench_names("R 8 bytesbench/", files);
    uint32_t *order = bench_shuffle(files);
    uint64_t bytes = 0;
    struct MDB_stat stat;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    mkdir(argv[1], 0700);
    check(mdb_env_create(&env), "env");
    check(mdb_env_set_mapsize(env, MAP_SIZE), "map size");
    check(mdb_env_open(env, argv[1], MDB_NORDAHEAD | MDB_NOTLS, 0600), argv[1]);
    check(mdb_env_stat(env, &stat), "stat");
    if (stat.ms_entries == 0)
        fill(env, names, files, size);
    check(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "begin");
    check(mdb_dbi_open(txn, NULL, 0, &dbi), "open");
    mdb_txn_reset(txn);
    for (size_t i = 0; i < files; i++)
        get(txn, dbi, names[order[i]]);

    double start = bench_now();
    for (size_t i = 0; i < count; i++)
        bytes += get(txn, dbi, names[order[i % files]]);
    bench_figure(bench_now() - start, count, bytes);
    mdb_txn_abort(txn);
    mdb_env_close(env);
    return 0;
}
