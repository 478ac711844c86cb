/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yard_fill FILES SIZE DIR: bare LMDB, filled with what larder_fill makes of such files: blocks of the same size, each
 * with its checksum, in synced transactions of as many.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench.h"
#include "yard_store.h"

#define HEAD_SIZE  16
#define BLOCK_SIZE (65536 - 16 - HEAD_SIZE)
#define BATCH      256 /* blocks */

struct block_key { /* as long as Larder's */
    char kind, version[8], number[8];
};

static void put_big_endian(char at[8], uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        at[i] = (char)number;
}

static void put(MDB_txn *txn, MDB_dbi dbi, uint64_t version, uint64_t number, const char *data, size_t size)
{
    struct block_key key = {.kind = 'B'};
    MDB_val name = {sizeof key, &key}, value = {.mv_size = HEAD_SIZE + size};
    put_big_endian(key.version, version);
    put_big_endian(key.number, number);
    yard_check(mdb_put(txn, dbi, &name, &value, MDB_RESERVE), "put");
    uint64_t head[2] = {XXH3_64bits(data, size), size};
    memcpy(mempcpy(value.mv_data, head, sizeof head), data, size);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        bench_die("usage: yard_fill FILES SIZE DIR");
    size_t files = bench_count(argv[1]), size = bench_count(argv[2]), in_batch = 0;
    char *data = bench_noise(size, 1);
    MDB_env *env = yard_open(argv[3]);
    MDB_txn *txn;
    MDB_dbi dbi;

    double start = bench_now();
    yard_check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    yard_check(mdb_dbi_open(txn, NULL, 0, &dbi), "open");
    for (size_t i = 0; i < files; i++) {
        for (size_t at = 0; at < size; at += BLOCK_SIZE) {
            if (++in_batch > BATCH) {
                yard_check(mdb_txn_commit(txn), "commit");
                yard_check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
                in_batch = 1;
            }
            put(txn, dbi, i, at / BLOCK_SIZE, data + at, size - at < BLOCK_SIZE ? size - at : BLOCK_SIZE);
        }
    }
    yard_check(mdb_txn_commit(txn), "commit");
    bench_figure(bench_now() - start, files, files * size);
    mdb_env_close(env);
    free(data);
    return 0;
}
