/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bucket's keys make of directories. The fault server lists keys that no path of Larder's names too, in pages of any
 * size: all that is below a directory comes in one listing, and is what going from directory to directory finds.
 */
#include "test.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "base/seams.h"
#include "fault_server.h"
#include "tmpdir.h"

/* ---- a bucket, as ListObjectsV2 tells it ---- */

#define KEYS_MAX 20000
#define TOKEN    "+/= &%\xc3\xa9" /* in front of what the page begins at */

static struct {
    char keys[KEYS_MAX][24]; /* sorted by their bytes */
    size_t count, page_size;
} stock;
static struct fault_server *server;
static struct larder_fs *fs; /* the bucket */

/* The value of a parameter, decoded; "" where there is none. */
static void get_parameter(const char *target, const char *name, char out[64])
{
    char *to = out;
    const char *at = target;
    size_t size = strlen(name);
    do
        at = strpbrk(at, "?&");
    while (at && (strncmp(++at, name, size) != 0 || at[size] != '='));
    for (at = at ? at + size + 1 : ""; *at && *at != '&'; at++) {
        unsigned value = (unsigned char)*at;
        if (*at == '%')
            sscanf(at + 1, "%2x", &value);
        at += *at == '%' ? 2 : 0;
        *to++ = (char)value;
        assert_true(to < out + 63);
    }
    *to = 0;
}

static void put_encoded(FILE *out, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        fprintf(out, strchr("<&>%+", text[i]) || text[i] <= ' ' ? "%%%02X" : "%c", (unsigned char)text[i]);
}

/* One entry: the key, or what it has in common with those that follow, which are passed. */
static void put_entry(FILE *out, const char *prefix, const char *delimiter, size_t *index)
{
    const char *key = stock.keys[*index], *slash = NULL;
    size_t size = strlen(prefix);
    if (*delimiter)
        slash = strchr(key + size, '/');
    fputs(slash ? "<CommonPrefixes><Prefix>" : "<Contents><Key>", out);
    put_encoded(out, key, slash ? (size_t)(slash + 1 - key) : strlen(key));
    fputs(slash ? "</Prefix></CommonPrefixes>" : "</Key><Size>7</Size><ETag>\"e\"</ETag></Contents>", out);
    do
        ++*index;
    while (slash && *index < stock.count && strncmp(stock.keys[*index], key, (size_t)(slash + 1 - key)) == 0);
}

static void list_keys(void *arg, const struct fault_request *request)
{
    char prefix[64], delimiter[64], token[64], *page;
    size_t size, from = 0;
    get_parameter(request->target, "prefix", prefix);
    get_parameter(request->target, "delimiter", delimiter);
    get_parameter(request->target, "continuation-token", token);
    if (*token && strncmp(token, TOKEN, strlen(TOKEN)) == 0)
        from = strtoul(token + strlen(TOKEN), NULL, 10);
    else if (*token)
        from = stock.count; /* not as it was given: nothing is told */
    FILE *out = open_memstream(&page, &size);
    fputs("<ListBucketResult><EncodingType>url</EncodingType>", out);
    for (size_t told = 0; from < stock.count && told < stock.page_size;)
        if (strncmp(stock.keys[from], prefix, strlen(prefix)) != 0)
            from++;
        else
            told += (put_entry(out, prefix, delimiter, &from), 1);
    while (from < stock.count && strncmp(stock.keys[from], prefix, strlen(prefix)) != 0)
        from++;
    fprintf(out, "<IsTruncated>%s</IsTruncated>", from < stock.count ? "true" : "false");
    if (from < stock.count)
        fprintf(out, "<NextContinuationToken>+/= &amp;%%\xc3\xa9%zu</NextContinuationToken>", from);
    fputs("</ListBucketResult>", out);
    fclose(out);
    fault_file_set(server, "/b", &(struct fault_file){.data = page, .size = size});
    free(page);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void stock_up(const char *const keys[], size_t count, size_t page_size)
{
    for (size_t i = 0; i < count; i++)
        snprintf(stock.keys[i], sizeof stock.keys[i], "%s", keys[i]);
    qsort(stock.keys, count, sizeof stock.keys[0], compare_keys);
    stock.count = count;
    stock.page_size = page_size;
}

static int open_bucket(const char *url, const char *cache_dir)
{
    char endpoint[128];
    const char *const options[] = {
        endpoint, "access_key=AK", "secret_key=SK", "region=us-east-1", cache_dir, "cache.listing_ttl=1h",
        NULL};
    snprintf(endpoint, sizeof endpoint, "endpoint=%s", fault_server_url(server));
    return larder_open(NULL, url, options, &fs, NULL);
}

static int setup(void **state)
{
    server = fault_server_start();
    fault_on(server, (struct fault_match){.method = "GET", .path = "/b"}, (struct fault){.hook = list_keys});
    return open_bucket("s3://b", "cache.dir=/");
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    fault_server_stop(server);
    return 0;
}

/* ---- the same, however it is listed ---- */

static const char *const odd_keys[] = {
    "a",     "a.b",  "a/b",  "a/b/",     "a//",   "a//c",   "a/!",   "a/../x",   "b/",        "b/c/",
    "b/c/d", "c//x", "d/./", "e/f/g/h",  "e/f//", "e/f/g",  "f",     "f/",       "f//",       "g+ %/&<>",
    "/top",  "//",   "h/i",  "h/i/j//k", "h/i.j", "h/i0/x", "h-i/x", "i/\n\x01", "j/k/l/m/n", "z",
};
#define ODD_KEYS (sizeof odd_keys / sizeof odd_keys[0])

/* From directory to directory, or, without a limit, all in one listing. */
static void find_in(const char *path, bool dirs, unsigned maxdepth, struct larder_entries *out)
{
    struct larder_find_options options = {.size = sizeof options,
                                          .dirs = dirs,
                                          .maxdepth = maxdepth,
                                          .jobs_max = 1};
    assert_ok(larder_find(fs, path, &options, out));
}

static void assert_same_find(const char *path, bool dirs)
{
    struct larder_entries levels, tree;
    find_in(path, dirs, 100, &levels);
    find_in(path, dirs, 0, &tree);
    for (size_t i = 0; i < levels.count && i < tree.count; i++) {
        assert_string_equal(tree.info[i].name, levels.info[i].name);
        assert_int_equal(tree.info[i].type, levels.info[i].type);
        assert_int_equal(tree.info[i].size, levels.info[i].size);
    }
    assert_int_equal(tree.count, levels.count);
    larder_entries_free(&levels);
    larder_entries_free(&tree);
}

static void odd_keys_make_the_same_tree_in_one_listing_as_in_many(void **state)
{
    static const char *const paths[] = {"", "a", "b", "c", "d", "e", "e/f", "f", "h"};
    for (size_t page_size = 1; page_size <= ODD_KEYS + 1; page_size++) {
        stock_up(odd_keys, ODD_KEYS, page_size);
        for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
            assert_same_find(paths[i], true);
        assert_same_find("", false);
    }
}

static void each_directory_is_told_once(void **state)
{
    static const char *const expected =
        "a/ a/b/ b/ b/c/ c/ d/ e/ e/f/ e/f/g/ f/ g+ %/ h/ h-i/ h/i/ h/i/j/ h/i0/ i/ j/ j/k/ j/k/l/ j/k/l/m/ ";
    char text[512] = "";
    struct larder_entries tree;
    stock_up(odd_keys, ODD_KEYS, 3);
    find_in("", true, 0, &tree);
    for (size_t i = 0; i < tree.count; i++)
        if (tree.info[i].type == LARDER_DIRECTORY)
            strcat(strcat(text, tree.info[i].name), "/ ");
    assert_string_equal(text, expected);
    larder_entries_free(&tree);
}

/* ---- how many requests, how much memory ---- */

static void stock_up_many(size_t count)
{
    for (size_t i = 0; i < count; i++)
        snprintf(stock.keys[i], sizeof stock.keys[i], "d/%03zu/%05zu", i / 300, i);
    stock.count = count;
    stock.page_size = 1000;
}

static atomic_size_t held, peak;

static void *counting_resize(void *memory, size_t size)
{
    size_t before = malloc_usable_size(memory);
    void *resized = realloc(memory, size);
    size_t now =
        atomic_fetch_add(&held, malloc_usable_size(resized) - before) + malloc_usable_size(resized) - before;
    if ((ptrdiff_t)now > (ptrdiff_t)atomic_load(&peak))
        atomic_store(&peak, now);
    return resized;
}

static void counting_release(void *memory)
{
    atomic_fetch_sub(&held, malloc_usable_size(memory));
    free(memory);
}

/* The most memory that a walk of so many keys holds at a time, and what it finds, in the order of keys. */
static size_t walk_many(size_t count)
{
    struct memory_seam real = memory_seam;
    struct larder_find_options options = {.size = sizeof options, .dirs = true};
    const struct larder_info *entry;
    struct larder_walk *walk;
    const char *dir;
    size_t files = 0, dirs = 0;
    int rc;
    stock_up_many(count);
    fault_forget(server);
    held = peak = 0;
    memory_seam = (struct memory_seam){counting_resize, counting_release};
    assert_ok(larder_walk_open(fs, "d", &options, &walk));
    while ((rc = larder_walk_next(walk, &dir, &entry)) > 0) {
        char expected[24];
        snprintf(expected, sizeof expected, entry->type == LARDER_DIRECTORY ? "%03zu" : "%05zu",
                 entry->type == LARDER_DIRECTORY ? dirs++ : files++);
        assert_string_equal(entry->name, expected);
    }
    larder_walk_free(walk);
    memory_seam = real;
    assert_ok(rc);
    assert_int_equal(files, count);
    assert_int_equal(dirs, (count + 299) / 300);
    return peak;
}

static void twenty_thousand_keys_are_twenty_listings_in_the_memory_of_two(void **state)
{
    size_t of_two = walk_many(2000), of_twenty = walk_many(KEYS_MAX);
    assert_int_equal(fault_count(server, NULL, NULL), 20);
    assert_true(of_twenty < of_two + of_two / 4);
    for (size_t i = 0; i < 20; i++) {
        const char *target = fault_request(server, i)->target;
        assert_null(strstr(target, "delimiter"));
        assert_non_null(strstr(target, "prefix=d%2F"));
    }
}

static void du_and_glob_ask_no_more(void **state)
{
    const struct larder_glob_options options = {.size = sizeof options, .jobs_max = 1};
    struct larder_entries entries;
    stock_up_many(KEYS_MAX);
    assert_int_equal(larder_du(fs, "d", NULL), 7 * KEYS_MAX);
    assert_int_equal(fault_count(server, NULL, NULL), 20);
    fault_forget(server);
    assert_ok(larder_glob(fs, "d/**/*7", &options, &entries));
    assert_int_equal(entries.count, KEYS_MAX / 10 + 6);
    larder_entries_free(&entries);
    assert_int_equal(fault_count(server, NULL, NULL), 20);
    fault_forget(server);
    assert_ok(larder_glob(fs, "d/00[12]/**", &options, &entries));
    assert_int_equal(entries.count, 602);
    larder_entries_free(&entries);
    assert_int_equal(fault_count(server, NULL, NULL), 3); /* d by level, and two trees */
}

/* The count of what matches, and how many requests that took; `jobs` one after the other. */
static size_t glob_by(const char *pattern, size_t *requests)
{
    const struct larder_glob_options options = {.size = sizeof options, .jobs_max = 1};
    struct larder_entries entries;
    fault_forget(server);
    assert_ok(larder_glob(fs, pattern, &options, &entries));
    size_t count = entries.count;
    larder_entries_free(&entries);
    *requests = fault_count(server, NULL, NULL);
    return count;
}

static void assert_asked(size_t index, const char *prefix)
{
    char asked[64];
    get_parameter(fault_request(server, index)->target, "prefix", asked);
    assert_string_equal(asked, prefix);
    assert_non_null(strstr(fault_request(server, index)->target, "delimiter"));
}

static void a_pattern_lists_only_what_begins_as_it_does(void **state)
{
    static const char *const keys[] = {"d/ab.zarr",       "d/ab1.zarr/x", "d/ab2.zarr/x",
                                       "d/ab2.zarr/xy/z", "d/ab/q",       "d/ac.zarr",
                                       "d/\xc3\xa9+/a",   "top",          "tip/x"};
    size_t requests;
    stock_up(keys, sizeof keys / sizeof keys[0], 2);
    assert_int_equal(glob_by("d/ab*.zarr", &requests), 3);
    assert_int_equal(requests, 2);
    assert_asked(0, "d/ab");
    assert_asked(1, "d/ab");
    assert_int_equal(glob_by("t?p", &requests), 2);
    assert_int_equal(requests, 1);
    assert_asked(0, "t");
    assert_int_equal(glob_by("d/ab[2-9]*/x*/z", &requests), 1);
    assert_asked(2, "d/ab2.zarr/x");
    assert_asked(3, "d/ab2.zarr/xy/z"); /* what is plain behind the magic is a stem as a whole */
    assert_int_equal(requests, 4);
    assert_int_equal(glob_by("d/\xc3\xa9+*/?", &requests), 1);
    assert_asked(0, "d/\xc3\xa9+");
    assert_int_equal(glob_by("d/*", &requests), 6);
    assert_asked(0, "d/");
}

static void nothing_that_matches_is_one_request(void **state)
{
    static const char *const keys[] = {"d/ab", "f"};
    size_t requests;
    stock_up(keys, 2, 2);
    assert_int_equal(glob_by("d/x*", &requests), 0);
    assert_int_equal(requests, 1);
    assert_int_equal(glob_by("f/x*", &requests), 0);
    assert_int_equal(requests, 1);
    assert_int_equal(glob_by("missing/x*", &requests), 0);
    assert_int_equal(requests, 1);
}

static size_t ls_by(const char *path, size_t *requests)
{
    struct larder_entries entries;
    fault_forget(server);
    assert_ok(larder_ls(fs, path, &entries));
    size_t count = entries.count;
    larder_entries_free(&entries);
    *requests = fault_count(server, NULL, NULL);
    return count;
}

static size_t find_by(const char *path, size_t *requests)
{
    struct larder_entries entries;
    fault_forget(server);
    find_in(path, false, 0, &entries);
    size_t count = entries.count;
    larder_entries_free(&entries);
    *requests = fault_count(server, NULL, NULL);
    return count;
}

static struct larder_cache *cache;
static char *scratch;

static void begin_to_cache(void)
{
    char dir[512];
    scratch = tmpdir_make();
    snprintf(dir, sizeof dir, "cache.dir=%s", scratch);
    const char *const options[] = {dir + strlen("cache."), NULL};
    larder_fs_free(fs);
    assert_ok(larder_cache_open(options, &cache));
    assert_ok(open_bucket("cache::s3://b", dir));
}

static void end_of_cache(void)
{
    larder_cache_free(cache);
    tmpdir_remove(scratch);
}

/* The count, and how many requests it takes now, and once what was told is stored. */
static size_t count_twice(size_t (*by)(const char *, size_t *), const char *path, size_t *cold, size_t *warm)
{
    size_t count = by(path, cold);
    assert_ok(larder_cache_flush(cache));
    assert_int_equal(by(path, warm), count);
    return count;
}

static void through_a_cache_what_was_listed_is_not_asked_for_again(void **state)
{
    static const struct {
        size_t (*by)(const char *path, size_t *requests);
        const char *path; /* in this order, in one cache */
        size_t count, cold;
    } cases[] = {
        {ls_by, "d", 4, 1},
        {ls_by, "d/001", 300, 1},
        {glob_by, "d/00[12]/003*", 100, 1}, /* d/002: whole, since it is kept */
        {glob_by, "d/*/0000?", 10, 2},      /* d/000 and d/003 */
        {find_by, "d", 1000, 0},            /* by levels, which are all known by now */
        {glob_by, "d/**/*7", 100, 0},
    };
    size_t cold, warm;
    stock_up_many(1000);
    begin_to_cache();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(count_twice(cases[i].by, cases[i].path, &cold, &warm), cases[i].count);
        assert_int_equal(cold, cases[i].cold);
        assert_int_equal(warm, 0);
    }
    end_of_cache();
}

static void one_listing_of_a_tree_fills_a_cache_for_all_of_it(void **state)
{
    size_t cold, warm;
    stock_up_many(1500);
    begin_to_cache();
    assert_int_equal(count_twice(find_by, "d", &cold, &warm), 1500);
    assert_int_equal(cold, 2);
    assert_int_equal(warm, 0);
    assert_int_equal(ls_by("d/004", &cold), 300);
    assert_int_equal(cold, 0);
    assert_int_equal(glob_by("d/**/*7", &cold), 150);
    assert_int_equal(cold, 0);
    assert_int_equal(glob_by("d/004/01*", &cold), 300);
    assert_int_equal(cold, 0);
    end_of_cache();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(odd_keys_make_the_same_tree_in_one_listing_as_in_many),
        TEST(each_directory_is_told_once),
        TEST(twenty_thousand_keys_are_twenty_listings_in_the_memory_of_two),
        TEST(du_and_glob_ask_no_more),
        TEST(a_pattern_lists_only_what_begins_as_it_does),
        TEST(nothing_that_matches_is_one_request),
        TEST(through_a_cache_what_was_listed_is_not_asked_for_again),
        TEST(one_listing_of_a_tree_fills_a_cache_for_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
