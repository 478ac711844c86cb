/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H
/*
 * The store: an LMDB environment in one file of a directory (environment.h), and who reads and writes it.
 *
 *   any thread     reader_begin … reader_end     a read transaction out of a pool, without a lock
 *   the writer     one thread a store            applies what is queued, a synced transaction a batch
 *   a change       store_changed                 known here at once, in the store with the next batch
 *
 * Invariants
 *   S1  One environment of a file in a process: stores are shared, found by the file's (device, inode).
 *   S2  What a fork's parent opened is not touched in the child, not even closed: closing its lock file would
 *       drop the locks of the child's own. The child's first use finds another process_generation() and opens
 *       anew.
 *   S3  A record names a version only when the blocks that it promises are there: both in one transaction.
 *       Blocks of a version that no record names (yet, or any more) are noted under 'S', and swept.
 *   S4  A record is replaced only by somebody who began when it was the one there (struct seen), or who read
 *       the same version: what a change made invalid does not come back with a read that was under way.
 *   S5  A value is used only after its checksum was found right, in the same transaction; what is damaged
 *       counts as missing, and is removed.
 *   S6  Nothing here fails a read: without memory, disk, slot or lock the answer is "not there", and is "not
 *       kept".
 *   S7  A transaction ends with no more in the tree's pages than the cap, unless all that is left is pinned; and
 *       with every record and segment in the order of eviction (unit.h, U1 to U4).
 *   S8  The file does not become longer than nine eighths of the cap, but for some of the tree's own pages and for what
 *       lies behind the last page (damage.h), whoever holds what snapshot.
 *
 * Why so: path keys cost what hashed ones cost, and make clearing, changing and looking below a directory a
 * range of keys. A small file in its record is one look-up. Versions are random numbers, so that blocks can
 * be written before anybody decides which record gets them, and two processes need not agree. Changes leave a
 * record with a new id where one path changed, and count an epoch where a tree did: the former costs a
 * record, the latter makes reads under way of unknown paths drop what they got, wherever they are. Both are
 * rare beside reads.
 */
#include <pthread.h>
#include <stdatomic.h>

#include <lmdb.h>

#include "base/list.h"
#include "base/seams.h"
#include "base/table.h"
#include "cache/format.h"
#include "cache/lmdb_file.h"
#include "cache/lock.h"
#include "cache/pages.h"
#include "task/loop.h"

struct ZSTD_DCtx_s;
/* ---- reading ---- */

enum counter {
    COUNT_HITS,
    COUNT_MISSES,
    COUNT_HIT_BYTES,
    COUNT_MISS_BYTES,
    COUNT_EVICTED, /* units */
    COUNT_EVICTED_BYTES,
    COUNT_REFUSED, /* puts for which there was no room */
    COUNT_DAMAGED, /* blocks and records */
    COUNT_STALE,   /* answers that were given although they were, since the place could not be asked */
    COUNTERS
};

struct reader {
    MDB_txn *txn;                 /* reset while in the pool: it keeps its slot in the lock file */
    struct ZSTD_DCtx_s *unpacker; /* made when first needed, as is … */
    unsigned char *scratch;       /* … a block's worth of unpacked bytes */
};
/*
 * Find the record of a path. 0: `*out` and what it points to are valid until reader_end(*reader); in between
 * nothing may wait. Else there is no reader to end:
 *   -ENOENT  no record; or a damaged one, which is then removed; or one that is known to have changed since
 *   -EAGAIN  it cannot be told now (no slot, no memory, a fork's child)
 */
int reader_find(struct store *store, enum key_type type, const struct place *place, const char *path,
                struct reader **reader, struct record *out);
/* Without looking for anything: for blocks and ranges of keys. NULL: -EAGAIN. */
struct reader *reader_begin(struct store *store);
void reader_end(struct store *store, struct reader *reader);
void reader_free(struct reader *reader);
/* A value. -ENOENT; another failure is logged once, and means the same. */
int reader_get(struct store *store, struct reader *reader, const struct key *key, const void **data,
               size_t *size);
/* Of the store itself; of another size, or not there: `out` stays as it is. */
void reader_get_struct(struct store *store, struct reader *reader, const char *name, void *out, size_t size);
/* The bytes [start, start + count) of a record's file. -ENOENT: not all of them are there; nothing was put.
 * -EBADMSG: damaged (and removed); some may have been put. */
int reader_has(struct store *store, struct reader *reader, const struct record *record, int64_t start,
               int64_t count);
int reader_put(struct store *store, struct reader *reader, const struct record *record, int64_t start,
               int64_t count, struct sink *sink);
/* How many bytes from `start` on are there in a row; up to `count`. */
int64_t reader_extent(struct store *store, struct reader *reader, const struct record *record, int64_t start,
                      int64_t count);

/* The first byte from `start` on, a block's, that is there; the file's size: none is. */
int64_t reader_next(struct store *store, struct reader *reader, const struct record *record, int64_t start);
/* How many bytes of it are there in all. */
int64_t reader_amount(struct store *store, struct reader *reader, const struct record *record);
/* It is said once, and the value is removed. */
void reader_found_damage(struct store *store, const struct key *key);

/* Is there a record of something that exists, whose key begins with `prefix`? */
bool reader_has_below(struct store *store, struct reader *reader, const struct key *prefix);

void store_count(struct store *store, enum counter counter, uint64_t by);

/* ---- what one began with ---- */
struct seen {
    uint64_t id;    /* of the record; 0: none */
    uint64_t epoch; /* when there was none: of the last change of a whole tree */
};
/* -EAGAIN: cannot be told now; then nothing may be kept. */
int store_seen(struct store *store, enum key_type type, const struct place *place, const char *path,
               struct seen *out);

/* ---- writing ---- */

struct batch; /* edit.h */
struct op {
    struct op *next;
    size_t cost; /* bytes of the budget, reserved before, given back when done */
    bool keep;   /* not lost when writing fails: tried again until the store is closed */
    /* In the batch's transaction. A failure is the store's, aborts the batch, and fails all of it. */
    int (*apply)(struct op *op, struct batch *batch);
    /* On the writer's thread once the batch is on the disk, or has failed. Frees `op`. */
    void (*done)(struct op *op, int status);
};

#define BUDGET_SIZE \
    (128U << 20) /* of bytes on their way into the store: under collection, queued, being written */
#define BATCH_COUNT 4096

struct writer {
    pthread_mutex_t lock;
    pthread_cond_t wake, changed; /* for the thread; for those who wait for it */
    /* under `lock` */
    struct op *first, **last;
    uint64_t added, finished; /* ops */
    size_t used;              /* of the budget */
    struct list waits;
    bool running, closing;
    bool sweep, save;     /* there are versions to be swept; counters to be saved */
    int status;           /* negative: the last batch failed with it, and until … */
    uint64_t retry_at_ns; /* … (monotonic) nothing but changes is taken */
    struct table changes; /* change.c */
    struct list trees;
    unsigned tree_count;
    struct op *unwritten; /* changes that a read-only store did not take */
    bool blind;           /* a change was lost for want of memory: all may be changed */
    /* the thread's */
    bool dropping;       /* closing: what fails now is lost */
    bool looked;         /* at the list of free pages (damage.h) */
    uint64_t checked_ns; /* monotonic: when readers were last looked for that died */
    uint64_t held;       /* the snapshot that was last waited for in vain (length.h) */
    uint64_t spare;      /* bytes of the cap that are left free, so that pages are found in a row */
};

/* Some of the budget. False: there is none left; what would be kept is not. Any thread. */
bool writer_reserve(struct store *store, size_t size);
void writer_release(struct store *store, size_t size);
/* Queue it. A failure (read-only, out of order): `op` is still the caller's. Any thread, never waits. */
int writer_add(struct store *store, struct op *op);
/* Until all that was added before is on the disk: 0, or why it is not (with text). The calling thread is
 * blocked; up to * `timeout_ms` (<0: for ever), then -ETIMEDOUT. */
int writer_flush(struct store *store, int64_t timeout_ms);
/* The same for tasks. */
int CO_FN writer_flush_wait(struct store *store);
/* Reserve, and wait for it. */
int CO_FN writer_reserve_wait(struct store *store, size_t size);

/* ---- the store ---- */

#define READERS_MAX    4096 /* of all processes: a slot each in the lock file */
#define READERS_POOLED 64

struct store {
    /* const after open */
    char *dir, *file, *lock_path; /* the latter of lock.h */
    MDB_env *env;
    MDB_dbi dbi;
    uint32_t generation;
    bool read_only;
    bool was_left; /* by somebody who died in a read (damage.h) */
    dev_t device;
    ino_t inode;
    struct shared *shared;
    uint64_t owner; /* of what this process stages (lock.h) */
    struct lock owner_lock;
    struct locks locks;
    /* any thread */
    struct reader *_Atomic pool[READERS_POOLED];
    atomic_uint_least64_t size_max, pinned; /* the cap, as the latest batch knew it */
    atomic_uint_least32_t piece_max;        /* bytes that are handed to the writer at a time: whole blocks */
    atomic_uint changes_pending; /* in writer.changes and writer.trees; 0: no look need ask there */
    atomic_uint said;            /* what was logged once, by a bit each */
    atomic_bool lost; /* set aside, or its directory went: what is open stays so, but is used no more */
    struct {
        _Alignas(64) atomic_uint_least64_t count[COUNTERS];
    } counters[8];                         /* by thread, so that they do not fight for a cache line */
    atomic_uint_least64_t saved[COUNTERS]; /* of them, in the store already; the writer's */
    struct pages pages;                    /* the writer's, once it is open */
    struct writer writer;
    atomic_uint references; /* from and to none under the context's lock, as is … */
    struct list node;
};

/* The store in `dir`, which is made if missing. A failure says (with text) why it cannot be used. Blocks. */
int store_open(const char *dir, struct store **out);
struct store *store_ref(struct store *store);
/* Does not wait: the writer writes what is queued, and then closes it. NULL is fine. */
void store_unref(struct store *store);
/* May this process use it (any more)? */
static inline bool store_is_ours(const struct store *store)
{
    return store->generation == process_generation() &&
           !atomic_load_explicit(&store->lost, memory_order_relaxed);
}
/* Is it still what stands in its directory? If not it is lost. */
bool store_is_in_place(struct store *store);
/* It is damaged: out of the way with it; whoever uses it goes on with a new one. 0, or why not (with text). */
int store_set_aside(struct store *store, const char *why);
uint64_t store_counted(struct store *store, enum counter counter); /* by this process, since open */

/* What the store says of itself, when it was opened or written. */
void store_note(struct store *store, uint64_t size_max, const struct clock *clock);
/* What is put at a time is small beside the cap, since pages are free again only two transactions later. */
#define PUT_SIZE_MAX (64LL * BLOCK_SIZE)
static inline int64_t store_piece_max(const struct store *store)
{
    return atomic_load_explicit(&store->piece_max, memory_order_relaxed);
}
#define BATCH_PIECES 4
uint64_t store_number(void); /* random, never 0: for ids and versions */
enum said {
    SAID_WRITING = 1,
    SAID_READERS = 2,
    SAID_DAMAGE = 4,
    SAID_LOST = 8,
    SAID_DISK = 16,
    SAID_PAGES = 32
};
/* Log a warning once a store. */
void store_say(struct store *store, enum said what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Between store.c and writer.c. */
int writer_init(struct writer *writer);
void writer_fini(struct writer *writer);
/* Nobody uses the store any more: the writer closes it when it is done. False: nothing is to be done. */
bool writer_close(struct store *store);
bool writer_is_done(struct store *store);
void writer_stay(struct store *store); /* somebody does, after all */
/* By the writer's thread, done with all that it has seen. True: the store is gone. */
bool store_close_now(struct store *store);

/* ---- changes through us ---- */

/*
 * `path` (tree: and everything below) is not what it was: from now on no look of this process finds what is
 * stored of it, nor of its parent's listing; the record is replaced with the next batch. `all_parents`:
 * directories are implied, so every listing above may have changed. Any thread, never waits.
 */
void store_changed(struct store *store, const struct place *place, const char *path, bool tree,
                   bool all_parents);
/* Was it changed, and is that not yet in the store? Then `*id` is the id of the record to come (0: there will
 * be none). */
bool store_is_changed(struct store *store, enum key_type type, const struct place *place, const char *path,
                      uint64_t *id);
/* How many trees changed that are not in the store yet. */
unsigned store_trees_pending(struct store *store);

/* Tests make it small. */
extern unsigned writer_retry_ms;

#endif
