/* SPDX-License-Identifier: Apache-2.0 */
/* S3 on Ceph's gateway: what is said of a file, and what a token promises. */
#include "task_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "larder/s3.h"

#include "fs/fs.h"
#include "drop_proxy.h"
#include "fs/layer.h"
#include "gateway.h"
#include "tmpdir.h"
#include "tree.h"

#define PART ((size_t)5 << 20)

/* ---- what is said of a file ---- */

static void assert_property(struct larder_fs *of, const char *path, const char *name, const char *value)
{
    struct larder_properties properties;
    const char *found = NULL;
    assert_ok(larder_properties(of, path, &properties));
    for (size_t i = 0; i < properties.count; i++)
        if (strcmp(properties.property[i].name, name) == 0)
            found = properties.property[i].value;
    if (value && !found)
        fail_msg("%s has no %s", path, name);
    if (value)
        assert_string_equal(found, value);
    else
        assert_null(found);
    larder_properties_free(&properties);
}

static struct larder_fs *saying(const char *const options[])
{
    struct larder_fs *out;
    assert_ok(larder_fs_at(fs, NULL, options, &out));
    return out;
}

static void what_a_handle_says_every_way_of_writing_keeps(void **state)
{
    static const char *const options[] = {"s3.content_type=auto", "s3.cache_control=max-age=60, public",
                                          "s3.metadata=Color: deep  blue\nempty:\nmtime: 1.5", NULL};
    static const char *const parts[] = {"part_size=5M", NULL};
    static const char *const paths[] = {"one.json",  "two.json",  "three.json",
                                        "four.json", "five.json", "six.json"};
    char *dir = tmpdir_make(), *local = tmpdir_path(dir, "large");
    struct larder_item item = {.path = "two.json", .bytes = {.data = "{}", .size = 2}};
    struct larder_file *file;
    gateway_need();
    struct larder_fs *said = saying(options);
    tree_write_content(dir, "large", PART + 1000, 3);
    assert_ok(larder_pipe_file(said, "one.json", "{}", 2, 0));
    assert_ok(larder_pipe(said, &item, 1, 0, NULL));
    assert_ok(larder_put_file(local, said, "three.json", 0, NULL, NULL));
    assert_ok(larder_file_open(said, "four.json", "w", parts, &file));
    char *data = tree_read(dir, "large", &(size_t){0});
    assert_ok(larder_file_write(file, data, PART + 1000));
    assert_ok(larder_file_close(file));
    free(data);
    assert_ok(larder_pipe_file(said, "five.json", "{}", 2, LARDER_CREATE));
    assert_ok(larder_cp_file(said, "four.json", said, "six.json", 0, NULL, NULL));
    for (size_t i = 0; i < 6; i++) {
        assert_property(fs, paths[i], "content-type", "application/json");
        assert_property(fs, paths[i], "cache-control", "max-age=60, public");
        assert_property(fs, paths[i], "metadata.color", "deep  blue");
        assert_property(fs, paths[i], "metadata.empty", "");
        assert_property(fs, paths[i], "metadata.mtime", "1.5");
        assert_property(fs, paths[i], "metadata.larder-write", NULL);
    }
    put_text("plain.json", "{}");
    assert_property(fs, "plain.json", "cache-control", NULL);
    assert_property(fs, "plain.json", "metadata.color", NULL);
    larder_fs_free(said);
    free(local);
    tmpdir_remove(dir);
}

static void a_copy_takes_along_what_is_not_said_anew(void **state)
{
    static const char *const first[] = {"s3.content_type=text/x-a", "s3.cache_control=no-cache",
                                        "s3.metadata=a: 1\nb: 2", NULL};
    static const char *const second[] = {"s3.content_type=text/x-b", "s3.metadata=b: 3\nc: 4", NULL};
    static const char *const small[] = {"copy_size_max=6M", "copy_part_size=5M", NULL};
    static const char *const targets[] = {"b", "c"};
    static char data[(6 << 20) + 7];
    struct larder_info info;
    gateway_need();
    struct larder_fs *one = saying(first), *parted = open_bucket(small), *two, *three = saying(second);
    assert_ok(larder_fs_at(parted, NULL, second, &two));
    assert_ok(larder_pipe_file(one, "a", data, sizeof data, 0));
    assert_ok(larder_cp_file(fs, "a", fs, "same", 0, NULL, NULL));
    assert_property(fs, "same", "content-type", "text/x-a");
    assert_property(fs, "same", "metadata.a", "1");
    assert_ok(larder_cp_file(three, "a", three, "b", 0, NULL, NULL)); /* in one request, … */
    assert_ok(larder_cp_file(two, "a", two, "c", 0, NULL, NULL));     /* … in parts */
    assert_ok(larder_cp_file(parted, "a", parted, "parts", 0, NULL, NULL));
    assert_ok(larder_info(fs, "c", &info));
    assert_int_equal(info.size, sizeof data);
    assert_non_null(strstr(info.version, "-2"));
    larder_info_free(&info);
    for (size_t i = 0; i < 2; i++) {
        assert_property(fs, targets[i], "content-type", "text/x-b");
        assert_property(fs, targets[i], "cache-control", "no-cache");
        assert_property(fs, targets[i], "metadata.a", "1");
        assert_property(fs, targets[i], "metadata.b", "3");
        assert_property(fs, targets[i], "metadata.c", "4");
    }
    assert_property(fs, "parts", "content-type", "text/x-a");
    assert_property(fs, "parts", "metadata.b", "2");
    larder_fs_free(one);
    larder_fs_free(two);
    larder_fs_free(three);
    larder_fs_free(parted);
}

static void replace_source(void)
{
    static char newer[(6 << 20) + 7];
    memset(newer, 'n', sizeof newer);
    if (larder_pipe_file(fs, "source", newer, sizeof newer, 0) < 0)
        abort();
}

/* The answer about a part is lost, and when that is asked for again there is another version, which the gateway copies
 * as readily. */
static void a_copy_in_parts_is_of_one_version(void **state)
{
    static char older[(6 << 20) + 7], endpoint[96];
    const char *const options[] = {endpoint, "copy_size_max=5M", "copy_part_size=5M", NULL};
    struct larder_s3_uploads uploads;
    gateway_need();
    struct drop_proxy *proxy = drop_proxy_start(server_url(gateway));
    snprintf(endpoint, sizeof endpoint, "endpoint=%s", drop_proxy_url(proxy));
    struct larder_fs *lossy = open_bucket(options);
    memset(older, 'o', sizeof older);
    assert_ok(larder_pipe_file(fs, "source", older, sizeof older, 0));
    drop_proxy_lose(proxy, "PUT partNumber=2", DROP_ANSWER, 1, replace_source);
    assert_status(-ESTALE, larder_cp_file(lossy, "source", lossy, "copy", 0, NULL, NULL));
    assert_int_equal(larder_exists(fs, "copy"), 0);
    assert_ok(larder_s3_uploads(fs, "", &uploads));
    assert_int_equal(uploads.count, 0);
    larder_s3_uploads_free(&uploads);
    assert_ok(larder_cp_file(lossy, "source", lossy, "copy", 0, NULL, NULL));
    assert_int_equal(larder_isfile(fs, "copy"), 1);
    larder_fs_free(lossy);
    drop_proxy_stop(proxy);
}

static void expect_find(struct larder_fs *where, const char *path, const char *names)
{
    struct larder_entries entries;
    char text[200] = "";
    assert_ok(larder_find(where, path, NULL, &entries));
    for (size_t i = 0; i < entries.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", entries.info[i].name);
    larder_entries_free(&entries);
    assert_string_equal(text, names);
}

/* An object beside others whose keys begin with it hides none of them, before the commit as after it. */
static void a_transaction_writes_a_file_beside_a_directory_of_its_name(void **state)
{
    struct larder_bytes bytes;
    struct larder_entries entries;
    struct larder_txn *txn;
    struct larder_fs *view;
    char *dir = tmpdir_make(), option[300];
    gateway_need();
    snprintf(option, sizeof option, "journal=%s/journal", dir);
    put_text("both/x/kept", "kept");
    assert_ok(larder_txn_begin((const char *const[]){option, NULL}, &txn));
    assert_ok(larder_txn_fs(txn, fs, &view));
    assert_ok(larder_pipe_file(view, "both/x", "file", 4, 0));
    assert_ok(larder_pipe_file(view, "both/y", "file", 4, 0));
    assert_ok(larder_cat_file(view, "both/x/kept", NULL, &bytes));
    assert_memory_equal(bytes.data, "kept", 4);
    larder_bytes_free(&bytes);
    expect_find(view, "both", "x x/kept y ");
    assert_ok(larder_ls(view, "both/y", &entries));
    assert_int_equal(entries.count, 1); /* a file is its own listing */
    assert_string_equal(entries.info[0].name, "y");
    larder_entries_free(&entries);
    assert_ok(larder_txn_commit(txn, NULL));
    expect_find(fs, "both", "x x/kept y ");
    larder_fs_free(view);
    tmpdir_remove(dir);
}

static void properties_are_of_files_and_of_places_that_keep_them(void **state)
{
    struct larder_properties properties;
    struct larder_fs *memory;
    gateway_need();
    put_text("d/f", "x");
    assert_status(-ENOENT, larder_properties(fs, "none", &properties));
    assert_status(-EISDIR, larder_properties(fs, "d", &properties));
    assert_status(-EISDIR, larder_properties(fs, "", &properties));
    assert_ok(larder_open(NULL, "memory://", NULL, &memory, NULL));
    assert_ok(larder_pipe_file(memory, "f", "x", 1, 0));
    assert_status(-ENOTSUP, larder_properties(memory, "f", &properties));
    larder_fs_free(memory);
}

/* ---- tokens ---- */

struct staging {
    struct larder_fs *fs;
    char path[64]; /* full */
    struct token token;
    const char *data;
    size_t size;
    unsigned flags;
    int rc;
};

static int CO_FN stage(struct staging *staging)
{
    struct layer_call begin = {LAYER_STAGE, staging->fs->instance, staging->path,
                               .new_token = &staging->token};
    CHECK(layer_call(&begin) == 0);
    for (uint32_t part = 0; part * PART < staging->size; part++) {
        size_t left = staging->size - part * PART;
        struct layer_call put = {LAYER_STAGE_PART,
                                 staging->fs->instance,
                                 staging->path,
                                 .token = &staging->token,
                                 .part = part,
                                 .offset = (int64_t)(part * PART),
                                 .data = staging->data + part * PART,
                                 .size = (int64_t)(left < PART ? left : PART)};
        CHECK(layer_call(&put) == 0);
        CHECK(layer_call(&put) == 0); /* each step may be repeated */
    }
    return 0;
}

static int CO_FN publish(struct staging *staging)
{
    struct answer answer = {0};
    int rc = layer_publish(staging->fs->instance, staging->path, &staging->token, (int64_t)staging->size,
                           staging->flags, NULL, &answer);
    if (rc == 0)
        CHECK(answer.info.version && answer.info.size == (int64_t)staging->size);
    answer_free(&answer);
    return rc;
}

static int CO_EDGE stage_task(void *arg)
{
    return stage(arg);
}

static int CO_EDGE publish_task(void *arg)
{
    return publish(arg);
}

static int CO_EDGE discard_task(void *arg)
{
    struct staging *staging = arg;
    return layer_discard(staging->fs->instance, staging->path, &staging->token);
}

static struct staging staged(const char *name, const char *data, size_t size, unsigned flags)
{
    struct staging staging = {.fs = fs, .data = data, .size = size, .flags = flags};
    snprintf(staging.path, sizeof staging.path, "%s/%s", bucket, name);
    assert_ok(larder_sync(NULL, stage_task, &staging, 0));
    return staging;
}

/* As a process that has nothing but the token. */
static struct staging elsewhere(const struct staging *staging)
{
    static const char *const options[] = {"skip_instance_cache=true", NULL};
    struct staging other = *staging;
    other.fs = open_bucket(options);
    return other;
}

static char two_parts[PART + 100];

static void a_published_token_says_so_again_to_anybody(void **state)
{
    const unsigned flags[] = {0, LARDER_CREATE};
    const struct {
        const char *name;
        size_t size;
    } files[] = {{"empty", 0}, {"small", 10}, {"large", sizeof two_parts}};
    gateway_need();
    for (size_t f = 0; f < 2; f++) {
        for (size_t i = 0; i < 3; i++) {
            char name[32];
            snprintf(name, sizeof name, "%s-%zu", files[i].name, f);
            struct staging here = staged(name, two_parts, files[i].size, flags[f]);
            assert_int_equal(larder_exists(fs, name), 0);
            assert_ok(larder_sync(NULL, publish_task, &here, 0));
            assert_ok(larder_sync(NULL, publish_task, &here, 0));
            struct staging there = elsewhere(&here);
            assert_ok(larder_sync(NULL, publish_task, &there, 0));
            assert_ok(larder_sync(NULL, discard_task, &there, 0)); /* of what is published: nothing */
            assert_int_equal(larder_isfile(fs, name), 1);
            larder_fs_free(there.fs);
            mem_free(here.token.text);
        }
    }
}

/* Another process begins and ends before this one's second try. The same bytes are no proof. */
static void what_replaced_it_is_not_taken_for_it(void **state)
{
    gateway_need();
    struct staging first = staged("f", two_parts, 10, 0), second = staged("f", two_parts, 10, 0);
    assert_ok(larder_sync(NULL, publish_task, &first, 0));
    assert_ok(larder_sync(NULL, publish_task, &second, 0));
    assert_status(-ESTALE, larder_sync(NULL, publish_task, &first, 0));
    assert_ok(larder_sync(NULL, publish_task, &second, 0));
    mem_free(first.token.text);
    mem_free(second.token.text);
}

static void of_two_that_create_with_the_same_bytes_one_is_told_so(void **state)
{
    gateway_need();
    struct staging first = staged("f", two_parts, 10, LARDER_CREATE),
                   second = staged("f", two_parts, 10, LARDER_CREATE);
    assert_ok(larder_sync(NULL, publish_task, &first, 0));
    assert_status(-EEXIST, larder_sync(NULL, publish_task, &second, 0));
    assert_ok(larder_sync(NULL, publish_task, &first, 0));
    assert_ok(larder_sync(NULL, discard_task, &second, 0));
    assert_status(-EEXIST, larder_sync(NULL, publish_task, &second, 0)); /* dropped, and another is there */
    mem_free(first.token.text);
    mem_free(second.token.text);
}

static void a_dropped_token_publishes_nothing(void **state)
{
    gateway_need();
    struct staging staging = staged("f", two_parts, 10, 0);
    assert_ok(larder_sync(NULL, discard_task, &staging, 0));
    assert_ok(larder_sync(NULL, discard_task, &staging, 0));
    assert_status(-ESTALE, larder_sync(NULL, publish_task, &staging, 0));
    assert_int_equal(larder_exists(fs, "f"), 0);
    mem_free(staging.token.text);
    staging.token.text = (char[]){"no token"};
    assert_status(-EINVAL, larder_sync(NULL, publish_task, &staging, 0));
    assert_status(-EINVAL, larder_sync(NULL, discard_task, &staging, 0));
}

static void what_lacks_a_part_is_not_published(void **state)
{
    gateway_need();
    struct staging staging = staged("f", two_parts, PART, 0);
    staging.size = sizeof two_parts;
    assert_status(-EIO, larder_sync(NULL, publish_task, &staging, 0));
    assert_int_equal(larder_exists(fs, "f"), 0);
    mem_free(staging.token.text);
}

/* ---- a write that is large, or comes piece by piece ---- */

struct trickle {
    struct source source;
    size_t at, size;
};

static int64_t give(struct source *source, void *buffer, size_t size)
{
    struct trickle *trickle = (struct trickle *)source;
    size_t left = trickle->size - trickle->at, count = size < 70000 ? size : 70000;
    count = count < left ? count : left;
    memset(buffer, 'x', count);
    trickle->at += count;
    return (int64_t)count;
}

static int CO_FN write_trickles(void)
{
    const size_t sizes[] = {0, 1, (size_t)16 << 20, ((size_t)33 << 20) + 5};
    for (size_t i = 0; i < 4; i++) {
        for (int known = 0; known < 2; known++) {
            struct trickle trickle = {.source = {.size = known ? (int64_t)sizes[i] : -1, .read = give},
                                      .size = sizes[i]};
            autofree char *path = mem_format("%s/trickle-%zu-%d", bucket, i, known);
            CHECK(layer_write(fs->instance, path, &trickle.source, 0, NULL, NULL) == 0);
        }
    }
    return 0;
}

static int CO_EDGE trickle_task(void *arg)
{
    return write_trickles();
}

static void what_comes_piece_by_piece_arrives_whole(void **state)
{
    const int64_t sizes[] = {0, 1, 16 << 20, (33 << 20) + 5};
    gateway_need();
    assert_ok(larder_sync(NULL, trickle_task, NULL, 0));
    for (size_t i = 0; i < 4; i++) {
        for (int known = 0; known < 2; known++) {
            char name[32];
            int64_t size;
            snprintf(name, sizeof name, "trickle-%zu-%d", i, known);
            assert_ok(larder_size(fs, name, &size));
            assert_int_equal(size, sizes[i]);
        }
    }
}

static void a_large_write_goes_up_in_parts_and_leaves_no_upload(void **state)
{
    size_t size = ((size_t)64 << 20) + 1;
    struct larder_s3_uploads uploads;
    struct larder_info info;
    char last;
    gateway_need();
    char *data = calloc(1, size);
    data[size - 1] = 'z';
    assert_ok(larder_pipe_file(fs, "large", data, size, LARDER_CREATE));
    assert_status(-EEXIST, larder_pipe_file(fs, "large", data, size, LARDER_CREATE));
    free(data);
    assert_ok(larder_info(fs, "large", &info));
    assert_int_equal(info.size, size);
    assert_non_null(strstr(info.version, "-5"));
    larder_info_free(&info);
    assert_int_equal(larder_cat_into(fs, "large", &(struct larder_range){-1, LARDER_TO_END}, &last, 1), 1);
    assert_int_equal(last, 'z');
    assert_ok(larder_s3_uploads(fs, "", &uploads));
    assert_int_equal(uploads.count, 0);
    larder_s3_uploads_free(&uploads);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, gateway_bucket, gateway_no_bucket)
    const struct CMUnitTest tests[] = {
        TEST(what_a_handle_says_every_way_of_writing_keeps),
        TEST(a_copy_takes_along_what_is_not_said_anew),
        TEST(a_copy_in_parts_is_of_one_version),
        TEST(a_transaction_writes_a_file_beside_a_directory_of_its_name),
        TEST(properties_are_of_files_and_of_places_that_keep_them),
        TEST(a_published_token_says_so_again_to_anybody),
        TEST(what_replaced_it_is_not_taken_for_it),
        TEST(of_two_that_create_with_the_same_bytes_one_is_told_so),
        TEST(a_dropped_token_publishes_nothing),
        TEST(what_lacks_a_part_is_not_published),
        TEST(what_comes_piece_by_piece_arrives_whole),
        TEST(a_large_write_goes_up_in_parts_and_leaves_no_upload),
    };
    return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
