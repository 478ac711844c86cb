/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yard_lmdb DIR FILES COUNT SIZE THREADS: values of bare LMDB, COUNT times by each thread: look up, check the checksum,
 * malloc, copy, free. The keys are as long as Larder's, and the checksum is compiled in as there. The store is made if it
 * is missing.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "bench.h"
#include "yard_store.h"

static MDB_val key_of(char *name)
{
    return (MDB_val){strlen(name), name};
}

/* Values of no use to a compressor, each with its checksum in front. */
static void fill(MDB_env *env, char **names, size_t files, size_t size)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    uint64_t *words = bench_alloc(sizeof *words + size);
    yard_check(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    yard_check(mdb_dbi_open(txn, NULL, 0, &dbi), "open");
    for (size_t i = 0; i < files; i++) {
        MDB_val key = key_of(names[i]), value = {sizeof *words + size, words};
        char *noise = bench_noise(size, i + 1);
        memcpy(words + 1, noise, size);
        free(noise);
        words[0] = XXH3_64bits(words + 1, size);
        yard_check(mdb_put(txn, dbi, &key, &value, 0), "put");
    }
    yard_check(mdb_txn_commit(txn), "commit");
    free(words);
}

static size_t get(MDB_txn *txn, MDB_dbi dbi, char *name)
{
    MDB_val key = key_of(name), value;
    uint64_t checksum;
    yard_check(mdb_txn_renew(txn), "renew");
    yard_check(mdb_get(txn, dbi, &key, &value), "get");
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

struct job {
    MDB_env *env;
    MDB_dbi dbi;
    char **names;
    uint32_t *order;
    size_t files, count;
    atomic_uint_least64_t bytes;
};

static void run(void *arg, size_t index)
{
    struct job *job = arg;
    uint64_t bytes = 0;
    MDB_txn *txn;
    yard_check(mdb_txn_begin(job->env, NULL, MDB_RDONLY, &txn), "begin");
    mdb_txn_reset(txn);
    for (size_t i = 0; i < job->count; i++)
        bytes += get(txn, job->dbi, job->names[job->order[i % job->files]]);
    mdb_txn_abort(txn);
    job->bytes += bytes;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        bench_die("usage: yard_lmdb DIR FILES COUNT SIZE THREADS");
    size_t count = bench_count(argv[3]), size = bench_count(argv[4]), threads = bench_count(argv[5]);
    struct job job = {.files = bench_count(argv[2]), .env = yard_open(argv[1])};
    struct MDB_stat stat;
    MDB_txn *txn;
    job.names = bench_names("R 8 bytesbench/", job.files);
    job.order = bench_shuffle(job.files);
    yard_check(mdb_env_stat(job.env, &stat), "stat");
    if (stat.ms_entries == 0)
        fill(job.env, job.names, job.files, size);
    yard_check(mdb_txn_begin(job.env, NULL, MDB_RDONLY, &txn), "begin");
    yard_check(mdb_dbi_open(txn, NULL, 0, &job.dbi), "open");
    yard_check(mdb_txn_commit(txn), "commit");
    job.count = job.files; /* once, to have it in memory */
    run(&job, 0);

    job.count = count;
    job.bytes = 0;
    struct bench_time time;
    bench_threads(threads, run, &job, &time);
    bench_figure_of_threads(&time, count * threads, job.bytes);
    mdb_env_close(job.env);
    return 0;
}
