/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache under everything at once: 16 processes read ranges of 2,000 files that a server changes under them, through
 * a cache that holds a tenth of the tree, and are killed at any moment. Each byte that is read must be of one version
 * that the server had, and that freshness allows; the cap holds, and all invariants, by their names, while it goes on
 * and when it is over.
 *
 *     this process      kills and starts the others; at last looks at what is left
 *     the server        serves the tree and changes it; says in shared memory which version was there when
 *     16 workers        read and check; half of them ask every time, half believe an answer for a second
 *     the auditor       looks at the cap all the time, and verifies the store now and then
 *
 * LARDER_CHURN_SECONDS makes it longer, LARDER_CHURN_SEED another.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "base/seams.h"
#include "cache/cap.h"
#include "cache/verify.h"
#include "fault_server.h"
#include "fs/backend.h"
#include "tmpdir.h"
#include "tree.h"

#define FILES        2000
#define VERSIONS_MAX 1000
#define WORKERS      16
#define SIZE_MAX_    (200 * 1024)
#define SLACK_NS \
    (3 * 1000000000LL) /* an answer's age is counted from its arrival, the file's from its change */

struct served { /* times of the wall clock; 0: not yet */
    atomic_uint version;
    atomic_llong begun_ns[VERSIONS_MAX], ended_ns[VERSIONS_MAX];
};
static struct shared {
    char url[64];
    atomic_bool ready;
    atomic_ullong reads, bytes, stale, audits, file_max;
    struct served files[FILES];
} *shared;

static char *dir;
static unsigned long seed;
static uint64_t tree_bytes;

/* ---- the tree ---- */

static size_t size_of(unsigned index, unsigned version)
{
    size_t size = (size_t)index * 7919 % SIZE_MAX_;
    return index % 4 == 0 ? size % 5000 : size + version % 3 * 1000;
}

static uint64_t seed_of(unsigned index, unsigned version)
{
    return (uint64_t)version * FILES + index + 1;
}

static void path_of(unsigned index, char path[32])
{
    snprintf(path, 32, "/d%02u/f%04u", index % 40, index);
}

/* ---- the server ---- */

static void put_version(struct fault_server *server, unsigned index, unsigned version)
{
    struct served *file = &shared->files[index];
    char path[32], etag[32];
    size_t size = size_of(index, version);
    char *data = content_make(size, seed_of(index, version));
    path_of(index, path);
    snprintf(etag, sizeof etag, "\"%u-%u\"", index, version);
    file->begun_ns[version] = wall_ns();
    fault_file_set(server, path, &(struct fault_file){.data = data, .size = size, .etag = etag});
    file->version = version;
    if (version > 1)
        file->ended_ns[version - 1] = wall_ns();
    free(data);
}

static _Noreturn void serve(void)
{
    struct fault_server *server = fault_server_start();
    fault_keep(server, 10000);
    for (unsigned i = 0; i < FILES; i++)
        put_version(server, i, 1);
    strcpy(shared->url, fault_server_url(server));
    shared->ready = true;
    while (true) {
        unsigned index = (unsigned)random() % FILES, next = shared->files[index].version + 1;
        if (next < VERSIONS_MAX)
            put_version(server, index, next);
        usleep(5000);
    }
}

/* ---- a worker ---- */

static void fail_on_warning(void *arg, enum larder_log_level level, const char *message)
{
    if (!strstr(message, "cache"))
        return; /* a machine that is slow */
    fprintf(stderr, "said: %s\n", message);
    _exit(6);
}

static struct larder_fs *open_cached(const char *ttl)
{
    struct larder_fs *fs;
    char url[128], option[300], ttl_option[32];
    const char *options[] = {option, ttl_option, "cache.min_free=0", NULL};
    snprintf(url, sizeof url, "cache::%s", shared->url);
    snprintf(option, sizeof option, "cache.dir=%s/cache", dir);
    snprintf(ttl_option, sizeof ttl_option, "cache.ttl=%s", ttl);
    if (larder_open(NULL, url, options, &fs, NULL) < 0) {
        fprintf(stderr, "%s\n", larder_error());
        _exit(7);
    }
    return fs;
}

struct got {
    unsigned index;
    const struct larder_range *range;
    struct larder_bytes bytes;
    int64_t asked_ns, came_ns, believed_ns;
};

static bool is_version(const struct got *got, unsigned version)
{
    int64_t start, count;
    range_resolve(got->range, (int64_t)size_of(got->index, version), &start, &count);
    return (int64_t)got->bytes.size == count &&
           content_matches(got->bytes.data, got->bytes.size, seed_of(got->index, version), (uint64_t)start);
}

/* Was this version there at a moment at which the answer may be of? */
static bool is_allowed(const struct got *got, unsigned version)
{
    struct served *file = &shared->files[got->index];
    int64_t ended_ns = file->ended_ns[version];
    return file->begun_ns[version] <= got->came_ns &&
           (ended_ns == 0 || ended_ns >= got->asked_ns - got->believed_ns);
}

static void check(const struct got *got)
{
    unsigned version =
        shared->files[got->index].version + 1; /* the next one may be there before it is said */
    while (version > 0 && !is_version(got, version))
        version--;
    if (version > 0 && is_allowed(got, version))
        return;
    /* What is short may be of several versions. */
    for (unsigned other = version; other > 0; other--)
        if (is_version(got, other) && is_allowed(got, other))
            return;
    fprintf(stderr, "f%04u, %zu bytes: %s, version %u of %u, ended %.3f s before it was asked for\n",
            got->index, got->bytes.size, version ? "too old" : "of no version", version,
            shared->files[got->index].version,
            version ? (double)(got->asked_ns - shared->files[got->index].ended_ns[version]) / 1e9 : 0);
    _exit(3);
}

static void read_one(struct larder_fs *fs, int64_t believed_ns)
{
    unsigned index = (unsigned)random() % (random() % 2 ? FILES : FILES / 20); /* some more than others */
    size_t size = size_of(index, 1);
    struct larder_range range = {(int64_t)((unsigned long)random() % (size + 1)), 0};
    char path[32];
    range.end = range.start + random() % 100000;
    path_of(index, path);
    struct got got = {.index = index, .range = random() % 3 ? &range : NULL, .believed_ns = believed_ns};
    got.asked_ns = wall_ns();
    int rc = larder_cat_file(fs, path + 1, got.range, &got.bytes);
    got.came_ns = wall_ns();
    if (rc == -ESTALE) { /* it changed twice while it was read */
        shared->stale++;
        return;
    }
    if (rc < 0) {
        fprintf(stderr, "%s: %s\n", path, larder_error());
        _exit(4);
    }
    check(&got);
    shared->reads++;
    shared->bytes += got.bytes.size;
    larder_bytes_free(&got.bytes);
}

static _Noreturn void work(unsigned number)
{
    bool every_time = number % 2;
    struct larder_fs *fs = open_cached(every_time ? "0" : "1");
    while (true)
        read_one(fs, every_time ? 0 : 1000000000LL + SLACK_NS);
}

/* ---- the auditor ---- */

static struct store *open_store(void)
{
    char path[300];
    struct store *store;
    snprintf(path, sizeof path, "%s/cache", dir);
    if (store_open(path, &store) == 0)
        return store;
    fprintf(stderr, "%s\n", larder_error());
    _exit(7);
}

static unsigned report(const struct verified *verified)
{
    unsigned count = verified->broken;
    if (verified->broken)
        fprintf(stderr, "the store's pages are damaged\n");
    for (unsigned i = 0; i < FINDINGS; i++) {
        if (verified->found[i])
            fprintf(stderr, "%s does not hold, %llu times\n", finding_names[i],
                    (unsigned long long)verified->found[i]);
        count += verified->found[i] > 0;
    }
    return count;
}

/* S7 and S8, the latter as it is promised: the file, with all that is in it, within 1.2 times the cap. */
static void look_at_sizes(struct store *store)
{
    struct cap cap;
    struct stat file;
    if (cap_read(store, &cap) < 0 || stat(store->file, &file) < 0)
        _exit(8);
    if ((uint64_t)file.st_size > shared->file_max)
        shared->file_max = (uint64_t)file.st_size;
    if (cap.used <= cap.size_max && (uint64_t)file.st_size <= cap.size_max / 5 * 6)
        return;
    fprintf(stderr, "S7 or S8 does not hold: %llu bytes used of %llu, %lld in the file\n",
            (unsigned long long)cap.used, (unsigned long long)cap.size_max, (long long)file.st_size);
    _exit(5);
}

static _Noreturn void audit(void)
{
    struct store *store = open_store();
    for (unsigned i = 1;; i++) {
        struct verified verified;
        look_at_sizes(store);
        if (i % 100 == 0) {
            if (verify_store(store, &verified) < 0)
                _exit(8);
            if (report(&verified) > 0)
                _exit(5);
            shared->audits++;
        }
        usleep(20000);
    }
}

/* ---- all of them ---- */

static pid_t spawn(unsigned number, void (*run)(unsigned))
{
    static unsigned long spawned;
    pid_t child = fork();
    assert_true(child >= 0);
    spawned++;
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    srandom((unsigned)(seed * 1000003 + spawned));
    larder_log_to(fail_on_warning, NULL, LARDER_LOG_WARNING);
    run(number);
    _exit(0);
}

static void run_worker(unsigned number)
{
    work(number);
}

static void run_server(unsigned number)
{
    serve();
}

static void run_auditor(unsigned number)
{
    audit();
}

static void kill_one(pid_t child)
{
    int status;
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) /* it found something, and ended by itself */
        fail_msg("ended with status %#x", (unsigned)status);
}

/* A tenth of the tree, whoever opens the cache. */
static uint64_t set_cap(void)
{
    pid_t child = fork();
    int status;
    for (unsigned i = 0; i < FILES; i++)
        tree_bytes += size_of(i, 1);
    if (child == 0) {
        struct store *store = open_store();
        if (cap_change(store, (int64_t)(tree_bytes / 10), 0) < 0 || writer_flush(store, -1) < 0)
            _exit(1);
        exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    return tree_bytes / 10;
}

static void nothing_is_wrong_while_processes_die(void **state)
{
    const char *text = getenv("LARDER_CHURN_SECONDS");
    unsigned long seconds = text ? strtoul(text, NULL, 10) : 15;
    pid_t workers[WORKERS], server = spawn(0, run_server), auditor;
    unsigned kills = 0;
    set_cap();
    while (!shared->ready)
        usleep(10000);
    auditor = spawn(0, run_auditor);
    for (unsigned i = 0; i < WORKERS; i++)
        workers[i] = spawn(i, run_worker);
    int64_t until_ns = wall_ns() + (int64_t)seconds * 1000000000LL;
    while (wall_ns() < until_ns) {
        unsigned victim = (unsigned)random() % WORKERS;
        usleep((useconds_t)(random() % 200000));
        kill_one(workers[victim]);
        workers[victim] = spawn(victim, run_worker);
        kills++;
    }
    for (unsigned i = 0; i < WORKERS; i++)
        kill_one(workers[i]);
    kill_one(auditor);
    kill_one(server);
    print_message("%llu reads, %llu MB, %llu changed twice meanwhile, %u killed, verified %llu times, file "
                  "%.2f of the cap, "
                  "seed %lu\n",
                  (unsigned long long)shared->reads, (unsigned long long)shared->bytes / 1000000,
                  (unsigned long long)shared->stale, kills + WORKERS, (unsigned long long)shared->audits,
                  (double)shared->file_max / (double)(tree_bytes / 10), seed);
    assert_true(shared->reads > 100);
}

static size_t count_staged(struct store *store)
{
    struct reader *reader = reader_begin(store);
    MDB_cursor *cursor;
    MDB_val name, value;
    size_t count = 0;
    assert_non_null(reader);
    assert_int_equal(mdb_cursor_open(reader->txn, store->dbi, &cursor), 0);
    while (mdb_cursor_get(cursor, &name, &value, MDB_NEXT) == 0)
        count += *(unsigned char *)name.mv_data == KEY_STAGED;
    mdb_cursor_close(cursor);
    reader_end(store, reader);
    return count;
}

static int count_reader(const char *message, void *arg)
{
    *(unsigned *)arg += strchr("0123456789 ", *message) && !strstr(message, "pid");
    return 0;
}

static void nothing_of_the_dead_stays(void **state)
{
    char path[300];
    struct verified verified;
    struct cap cap;
    int dead;
    unsigned readers = 0;
    struct store *store = open_store();
    assert_ok(verify_store(store, &verified));
    assert_int_equal(report(&verified), 0);
    assert_ok(cap_read(store, &cap));
    assert_true(cap.used <= cap.size_max);
    assert_true(cap.used > cap.size_max / 10 * 8);
    /* No lock but this process's own, … */
    snprintf(path, sizeof path, "%s/cache/cache-1.flights", dir);
    int fd = open(path, O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
    if (lock.l_type != F_UNLCK)
        assert_int_equal(lock.l_start, (off_t)((store->owner >> 24) << 23));
    close(fd);
    /* … no slot of a reader, … */
    assert_int_equal(mdb_reader_check(store->env, &dead), 0);
    mdb_reader_list(store->env, count_reader, &readers);
    assert_in_range(readers, 0, READERS_POOLED);
    /* … and nothing that was on its way in, once something is written. */
    for (int i = 0; i < 100; i++) {
        assert_ok(cap_prune(store, cap.used));
        assert_ok(writer_flush(store, -1));
    }
    assert_int_equal(count_staged(store), 0);
    snprintf(path, sizeof path, "%s/cache/cache-1.mdb.damaged", dir);
    assert_int_equal(access(path, F_OK), -1);
    store_unref(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wrong_while_processes_die),
        cmocka_unit_test(nothing_of_the_dead_stays),
    };
    const char *text = getenv("LARDER_CHURN_SEED");
    seed = text ? strtoul(text, NULL, 10) : 1;
    srandom((unsigned)seed);
    dir = tmpdir_make();
    shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    int failed = cmocka_run_group_tests_name("cache_churn", tests, NULL, NULL);
    tmpdir_remove(dir);
    return failed;
}
