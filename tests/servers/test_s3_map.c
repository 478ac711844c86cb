/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A map on an object store, read by several processes through one cache, while another one writes, which is another
 * machine: it knows nothing of the cache. Every 16 bytes of a value say whose they are, so that
 *
 *     whole      a value, or the parts of an open file, are of one version; or it is told that it changes ever again
 *     current    who has everything revalidated reads nothing older than what was there when he began to read
 *     at last    who believes for an hour what he has reads what is there once that hour is over
 */
#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "base/seams.h"
#include "gateway.h"
#include "tmpdir.h"

#define KEYS      4
#define READERS   4
#define PASSES    4    /* of each reader, at least, while values are replaced … */
#define ROUNDS    30   /* … so many times, at least */
#define PAUSE_US  5000 /* between two: who reads a large value has to come to its end */
#define ROUND_MAX 4000
#define HOUR_NS   INT64_C(3600000000000)

struct unit {
    uint32_t key, version;
    uint64_t index;
};

static struct shared {
    atomic_uint begun[KEYS],
        written[KEYS]; /* the version that may be there, and that is, or was, there for sure */
    atomic_uint passes[READERS], seen[READERS];
    atomic_uint over; /* nothing is written any more */
} *shared;
static char *scratch;
static int64_t ahead_ns;
static int64_t (*real_wall_ns)(void);

static int64_t wall_ns_ahead(void)
{
    return real_wall_ns() + ahead_ns;
}

/* ---- values ---- */

/* In units; of each version another one, from a record's few bytes to many blocks. */
static size_t units_of(unsigned key, unsigned version)
{
    return (size_t[]){3, 200, 5000, 40000}[key % 4] + version % 7;
}

static void name_of(unsigned key, char out[32])
{
    snprintf(out, 32, "dir/%u", key);
}

static struct unit *make_value(unsigned key, unsigned version, size_t *size)
{
    size_t count = units_of(key, version);
    struct unit *units = calloc(count, sizeof *units);
    assert_non_null(units);
    for (size_t i = 0; i < count; i++)
        units[i] = (struct unit){key, version, i};
    *size = count * sizeof *units;
    return units;
}

static int complain(unsigned key, const char *what)
{
    fprintf(stderr, "key %u: %s (%s)\n", key, what, larder_error());
    return -EBADMSG;
}

/* Are the bytes those at `first`, in units, of one version of this key? *version 0: of any, which it becomes. */
static int check(unsigned key, const void *data, size_t size, size_t first, unsigned *version)
{
    const struct unit *units = data;
    if (size % sizeof *units != 0 || size == 0)
        return complain(key, "a value that ends within a unit");
    *version = *version ? *version : units[0].version;
    for (size_t i = 0; i < size / sizeof *units; i++)
        if (units[i].key != key || units[i].version != *version || units[i].index != first + i)
            return complain(key, "bytes of another version, key or place");
    return 0;
}

/* ---- the writer ---- */

static int put_version(struct larder_map *map, unsigned key, unsigned version)
{
    char name[32];
    size_t size;
    struct unit *value = make_value(key, version, &size);
    name_of(key, name);
    shared->begun[key] = version;
    int rc = larder_map_set(map, name, value, size);
    if (rc == 0)
        shared->written[key] = version;
    free(value);
    return rc;
}

static bool are_readers_done(void)
{
    for (unsigned i = 0; i < READERS; i++)
        if (shared->passes[i] < PASSES)
            return false;
    return true;
}

static int write_rounds(struct larder_map *map)
{
    int rc = 0;
    for (unsigned round = 2; rc == 0 && round < ROUND_MAX && (round < ROUNDS || !are_readers_done()); round++)
        for (unsigned key = 0; rc == 0 && key < KEYS; key++) {
            rc = put_version(map, key, round);
            usleep(PAUSE_US);
        }
    return rc;
}

/* ---- readers ---- */

/* A value as a whole, or what is in the middle of it. *version is what was read. */
static int read_value(struct larder_map *map, unsigned key, bool part, unsigned *version)
{
    char name[32];
    struct larder_bytes bytes;
    size_t first = part ? 1 : 0;
    const struct larder_range range = {(int64_t)sizeof(struct unit), LARDER_TO_END};
    name_of(key, name);
    int rc = larder_map_get(map, name, part ? &range : NULL, &bytes);
    if (rc < 0)
        return rc;
    *version = 0;
    rc = check(key, bytes.data, bytes.size, first, version);
    if (rc == 0 && bytes.size / sizeof(struct unit) + first != units_of(key, *version))
        rc = complain(key, "a value of another size");
    larder_bytes_free(&bytes);
    return rc;
}

/* An open file stays at its version, or says that that has changed. */
static int read_file(struct larder_map *map, unsigned key, unsigned *version)
{
    struct larder_file *file;
    char name[32];
    struct unit units[16];
    size_t at = 0;
    int64_t count;
    name_of(key, name);
    int rc = larder_file_open(larder_map_fs(map), name, "r", NULL, &file);
    if (rc < 0)
        return rc;
    *version = 0;
    while ((count = larder_file_pread(file, units, sizeof units, (int64_t)(at * sizeof units[0]))) > 0 &&
           rc == 0) {
        rc = check(key, units, (size_t)count, at, version);
        at += 1 + units_of(key, *version) / 5; /* here and there */
    }
    larder_file_close(file);
    return count < 0 ? (int)count : rc;
}

static int read_key(struct larder_map *map, unsigned reader, unsigned key, bool current)
{
    unsigned written = shared->written[key], version = 0;
    unsigned how = (shared->passes[reader] + key) % 3;
    int rc = how == 2 ? read_file(map, key, &version) : read_value(map, key, how == 1, &version);
    if (rc == -ESTALE)
        return 0;
    if (rc < 0)
        return complain(key, larder_status_name(rc));
    if (version > shared->begun[key])
        return complain(key, "a version that nobody has written");
    if (current && version != 0 && version < written)
        return complain(key, "an old version, though it was asked whether that still holds");
    if (version > shared->seen[reader])
        shared->seen[reader] = version;
    return 0;
}

static int read_until_over(struct larder_map *map, unsigned reader, bool current)
{
    int rc = 0;
    while (rc == 0 && !shared->over) {
        for (unsigned key = 0; rc == 0 && key < KEYS; key++)
            rc = read_key(map, reader, key, current);
        shared->passes[reader]++;
    }
    ahead_ns = current ? 0 : 2 * HOUR_NS;
    for (unsigned key = 0; rc == 0 && key < KEYS; key++) {
        unsigned version;
        rc = read_value(map, key, false, &version);
        if (rc == 0 && version != shared->written[key])
            rc = complain(key, "not the last version, when nothing of it is fresh any more");
    }
    return rc;
}

/* ---- processes ---- */

static int open_map(const char *scheme, const char *ttl, struct larder_map **out)
{
    char url[64], dir[512];
    const char *const options[] = {dir, ttl, "s3.parts=4", "s3.part_size=64K", NULL};
    snprintf(url, sizeof url, "%ss3://%s", scheme, bucket);
    snprintf(dir, sizeof dir, "cache.dir=%s/cache", scratch);
    return larder_get_mapper(NULL, url, options, 0, out);
}

static int run_reader(unsigned reader)
{
    bool current = reader % 2 == 0;
    struct larder_map *map;
    int rc = open_map("cache::", current ? "cache.ttl=0" : "cache.ttl=1h", &map);
    if (rc < 0)
        return rc;
    rc = read_until_over(map, reader, current);
    larder_map_free(map);
    return rc;
}

static pid_t start_reader(unsigned reader)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(300);
        real_wall_ns = world_seam.wall_ns;
        world_seam.wall_ns = wall_ns_ahead;
        _exit(run_reader(reader) < 0);
    }
    return child;
}

static void processes_read_one_map_through_one_cache_while_another_machine_writes(void **state)
{
    struct larder_map *map;
    pid_t readers[READERS];
    gateway_need();
    scratch = tmpdir_make();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    assert_ok(open_map("", NULL, &map));
    for (unsigned key = 0; key < KEYS; key++)
        assert_ok(put_version(map, key, 1));
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = start_reader(i);
    assert_ok(write_rounds(map));
    shared->over = 1;
    for (unsigned i = 0; i < READERS; i++) {
        int status;
        assert_int_equal(waitpid(readers[i], &status, 0), readers[i]);
        assert_int_equal(status, 0);
        assert_true(shared->seen[i] > 1);
    }
    print_message("%u rounds, passes: %u, %u, %u, %u\n", (unsigned)shared->written[0],
                  (unsigned)shared->passes[0], (unsigned)shared->passes[1], (unsigned)shared->passes[2],
                  (unsigned)shared->passes[3]);
    larder_map_free(map);
    munmap(shared, sizeof *shared);
    tmpdir_remove(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(processes_read_one_map_through_one_cache_while_another_machine_writes,
                                        gateway_bucket, gateway_no_bucket),
    };
    return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
