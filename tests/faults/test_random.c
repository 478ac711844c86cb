/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thousands of reads of files with known content through a server that misbehaves in one answer of ten, by chance: from
 * several processes, each with several tasks, whole and in ranges, in parts, with and without the cache that they share.
 * What comes back is the right bytes or an honest failure, and most of it is right.
 *
 * LARDER_RANDOM_READS says how many reads (tools/dev soak: more), LARDER_RANDOM_SEED what chance goes by.
 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "fault_server.h"
#include "tmpdir.h"
#include "tree.h"

#define FILES     24
#define PROCESSES 3
#define BATCH     16

struct tally {
    uint64_t reads, right, failed, wrong, missing;
};

static uint64_t number_from(const char *name, uint64_t fallback)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : fallback;
}

/* Of file i: none, a few, a block or so, some blocks. */
static size_t size_of(unsigned i)
{
    static const size_t sizes[] = {0, 1, 1000, 65536, 65537, 100000, 300000, 700000};
    return sizes[i % (sizeof sizes / sizeof sizes[0])];
}

/* ---- a process that reads ---- */

struct reader {
    struct larder_fs *places[3]; /* plain, in parts, cached */
    unsigned place;              /* that is read from */
    struct drand48_data chance;
    struct tally tally;
};

static uint64_t draw(struct reader *reader, uint64_t below)
{
    long number;
    lrand48_r(&reader->chance, &number);
    return (uint64_t)number % below;
}

static void tell_wrong(struct reader *reader, const struct larder_item *item, unsigned file, size_t start,
                       size_t end)
{
    size_t same = 0, size = item->bytes.size;
    while (same < size && content_matches((const char *)item->bytes.data + same, 1, file + 1, start + same))
        same++;
    fprintf(stderr, "wrong: place %u, f%u of %zu bytes, [%zu, %zu)%s: %zu bytes, right up to %zu\n",
            reader->place, file, size_of(file), start, end, item->range ? "" : ", whole", size, same);
    reader->tally.wrong++;
}

static void judge(struct reader *reader, const struct larder_item *item, unsigned file)
{
    struct tally *tally = &reader->tally;
    size_t start = item->range ? (size_t)item->range->start : 0;
    size_t size = size_of(file), end = item->range ? (size_t)item->range->end : size;
    end = end > size ? size : end;
    tally->reads++;
    if (item->status < 0)
        tally->failed++;
    if (item->status == -ENOENT)
        tally->missing++;
    if (item->status < 0)
        return;
    if (item->bytes.size == end - start && content_matches(item->bytes.data, end - start, file + 1, start))
        tally->right++;
    else
        tell_wrong(reader, item, file, start, end);
}

static void read_batch(struct reader *reader)
{
    struct larder_item items[BATCH];
    struct larder_range ranges[BATCH];
    struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN, .jobs_max = 8};
    unsigned files[BATCH];
    char paths[BATCH][16];
    for (unsigned i = 0; i < BATCH; i++) {
        files[i] = (unsigned)draw(reader, FILES);
        size_t size = size_of(files[i]);
        snprintf(paths[i], sizeof paths[i], "f%u", files[i]);
        ranges[i].start = (int64_t)draw(reader, size + 1);
        ranges[i].end = ranges[i].start + 1 + (int64_t)draw(reader, 150000);
        if (ranges[i].start == (int64_t)size)
            ranges[i].start = 0;
        items[i] = (struct larder_item){.path = paths[i], .range = draw(reader, 3) ? &ranges[i] : NULL};
    }
    reader->place = (unsigned)draw(reader, 3);
    larder_cat(reader->places[reader->place], items, BATCH, &batch);
    for (unsigned i = 0; i < BATCH; i++) {
        judge(reader, &items[i], files[i]);
        larder_bytes_free(&items[i].bytes);
    }
}

static void ask_about(struct reader *reader)
{
    char path[16];
    struct larder_info info;
    snprintf(path, sizeof path, "f%u", (unsigned)draw(reader, FILES));
    int rc = larder_info(reader->places[draw(reader, 3)], path, &info); /* whose HEAD may lie */
    if (rc == -ENOENT)
        reader->tally.missing++;
    if (rc == 0)
        larder_info_free(&info);
}

static void open_places(struct reader *reader, const char *url, const char *cache)
{
    char dir[512], cached[256];
    snprintf(dir, sizeof dir, "cache.dir=%s", cache);
    snprintf(cached, sizeof cached, "cache::%s", url);
    static const char *const plain[] = {"stall_timeout=0.3", NULL};
    static const char *const parts[] = {"stall_timeout=0.3", "parts=3", "part_size=64K", NULL};
    const char *const stored[] = {dir, "http.stall_timeout=0.3", NULL};
    if (larder_open(NULL, url, plain, &reader->places[0], NULL) < 0 ||
        larder_open(NULL, url, parts, &reader->places[1], NULL) < 0 ||
        larder_open(NULL, cached, stored, &reader->places[2], NULL) < 0)
        abort();
}

/* Told the URL by `from`, tells what it met to `to`. */
static void read_many(int from, int to, uint64_t reads, uint64_t seed, const char *cache)
{
    struct reader reader = {0};
    char url[64] = "";
    if (read(from, url, sizeof url) <= 0)
        abort();
    srand48_r((long)seed, &reader.chance);
    open_places(&reader, url, cache);
    while (reader.tally.reads < reads) {
        read_batch(&reader);
        ask_about(&reader);
    }
    for (int i = 0; i < 3; i++)
        larder_fs_free(reader.places[i]);
    if (write(to, &reader.tally, sizeof reader.tally) != sizeof reader.tally)
        abort();
}

/* ---- the server ---- */

static char page[4096];

/* So many in a thousand each, 100 in all. */
static void misbehave(struct fault_server *server)
{
    static const struct {
        unsigned per_mille;
        const char *header;
        struct fault fault;
    } kinds[] = {
        {6, NULL, {.status = 503, .headers = "Retry-After: 0\r\n"}},
        {6, NULL, {.status = 500, .body = page, .body_size = sizeof page}},
        {4, NULL, {.status = 429}},
        {6, NULL, {.flags = FAULT_NO_ANSWER, .end = FAULT_CLOSE}},
        {6, NULL, {.flags = FAULT_NO_ANSWER, .end = FAULT_RESET}},
        {6, NULL, {.end = FAULT_CLOSE, .at = 0}},
        {6, NULL, {.end = FAULT_CLOSE, .at = 1000}},
        {6, NULL, {.end = FAULT_RESET, .at = 30000}},
        {4, NULL, {.end = FAULT_CLOSE, .at = 99000}},
        {2, NULL, {.end = FAULT_STALL, .at = 1000}},
        {4, NULL, {.end = FAULT_CLOSE, .at = 50000, .flags = FAULT_CHUNKED}},
        {4, NULL, {.flags = FAULT_GZIP}},
        {4, NULL, {.flags = FAULT_NO_RANGES}},
        {4, NULL, {.flags = FAULT_CHUNKED}},
        {4, NULL, {.flags = FAULT_HTTP_1_0}},
        {4, NULL, {.flags = FAULT_CLOSE_AFTER}},
        {4, NULL, {.extra = 500}},
        {3, NULL, {.headers = "ETag: W/\"weak\"\r\n"}},
        {3, NULL, {.headers = "ETag:\r\n"}},
        {3, NULL, {.headers = "ETag: \"another\"\r\n"}},
        {3, NULL, {.status = 204}},
        {4, "Range", {.headers = "Content-Range: bytes 7-106/1000\r\n"}},
        {4, "Range", {.headers = "Content-Range:\r\n"}},
        {4, "Range", {.status = 416}},
        {30, "If-Match", {.status = 200, .body = page, .body_size = sizeof page}},
        {30, "If-Range", {.status = 200, .body = page, .body_size = sizeof page}},
        {30, "If-None-Match", {.status = 304}},
    };
    memset(page, 'e', sizeof page);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        fault_on(server,
                 (struct fault_match){.method = "GET",
                                      .header = kinds[i].header,
                                      .per_mille = kinds[i].per_mille},
                 kinds[i].fault);
    fault_on(server, (struct fault_match){.method = "HEAD", .per_mille = 100},
             (struct fault){.headers = "Content-Length: 5\r\n"});
    fault_on(server, (struct fault_match){.method = "HEAD", .per_mille = 100}, (struct fault){.status = 405});
    fault_refuse(server, 0, 20);
}

static void reads_through_chance_are_right_or_honest(void **state)
{
    uint64_t reads = number_from("LARDER_RANDOM_READS", 2000), seed = number_from("LARDER_RANDOM_SEED", 1);
    char *scratch = tmpdir_make(), *cache = tmpdir_path(scratch, "cache");
    int tell[PROCESSES][2], hear[2];
    pid_t children[PROCESSES];
    assert_int_equal(pipe(hear), 0);
    /* Before the server has threads, or the library a loop. */
    for (int i = 0; i < PROCESSES; i++) {
        assert_int_equal(pipe(tell[i]), 0);
        children[i] = fork();
        if (children[i] == 0) {
            read_many(tell[i][0], hear[1], reads / PROCESSES, seed + (uint64_t)i, cache);
            exit(0);
        }
    }
    struct fault_server *server = fault_server_start();
    for (unsigned i = 0; i < FILES; i++) {
        char path[16], etag[16];
        snprintf(path, sizeof path, "/f%u", i);
        snprintf(etag, sizeof etag, "\"v%u\"", i);
        fault_file_content(server, path, size_of(i), i + 1, etag);
    }
    fault_seed(server, seed);
    misbehave(server);
    struct tally all = {0};
    for (int i = 0; i < PROCESSES; i++)
        assert_true(write(tell[i][1], fault_server_url(server), strlen(fault_server_url(server)) + 1) > 0);
    for (int i = 0; i < PROCESSES; i++) {
        struct tally one = {0};
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
        assert_int_equal(read(hear[0], &one, sizeof one), sizeof one);
        all.reads += one.reads;
        all.right += one.right;
        all.failed += one.failed;
        all.wrong += one.wrong;
        all.missing += one.missing;
        close(tell[i][0]);
        close(tell[i][1]);
    }
    close(hear[0]);
    close(hear[1]);
    print_message("seed %llu: %llu reads in %zu requests: %llu right, %llu failed, %llu wrong\n",
                  (unsigned long long)seed, (unsigned long long)all.reads, fault_count(server, NULL, NULL),
                  (unsigned long long)all.right, (unsigned long long)all.failed,
                  (unsigned long long)all.wrong);
    fault_server_stop(server);
    free(cache);
    tmpdir_remove(scratch);
    assert_int_equal(all.wrong, 0);
    assert_int_equal(all.missing, 0);
    assert_true(all.right >= all.reads / 100 * 98);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_through_chance_are_right_or_honest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
