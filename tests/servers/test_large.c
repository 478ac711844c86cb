/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Large files go to real servers and come from them through little memory, whichever way they are sent, and arrive as they
 * were. The memory is the greatest that the process had meanwhile, over what it had before.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"

#include "server.h"
#include "task_test.h"
#include "tmpdir.h"
#include "tree.h"

#define SIZE       ((size_t)200 << 20)
#define PIECE_SIZE ((size_t)1 << 20)
#define GROWTH_KIB (40 << 10) /* a writer has four parts of 8 MiB at most (fs/stager.h) */
#define SEED       3

static struct server *nginx, *apache;
static char *disk, *local; /* a file of SIZE bytes, which nginx serves, too */

static void write_large(const char *path)
{
    char *piece = malloc(PIECE_SIZE);
    FILE *file = fopen(path, "w");
    assert_true(piece && file);
    for (size_t at = 0; at < SIZE; at += PIECE_SIZE) {
        content_fill(piece, PIECE_SIZE, SEED, at);
        assert_int_equal(fwrite(piece, 1, PIECE_SIZE, file), PIECE_SIZE);
    }
    assert_int_equal(fclose(file), 0);
    free(piece);
}

static int setup(void **state)
{
    nginx = server_start("nginx", NULL);
    apache = server_start("apache", NULL);
    disk = tmpdir_make();
    local = tmpdir_path(disk, "large");
    write_large(local);
    if (nginx) {
        char *served = tmpdir_path(server_root(nginx), "large");
        assert_int_equal(symlink(local, served), 0);
        free(served);
    }
    return 0;
}

static int teardown(void **state)
{
    server_stop(nginx);
    server_stop(apache);
    free(local);
    tmpdir_remove(disk);
    return 0;
}

/* ---- memory ---- */

/* The peak counts from now on. Where the kernel cannot forget the old one, more than that is still more. */
static void forget_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY);
    if (fd >= 0 && write(fd, "5", 1) != 1)
        print_message("the peak of before counts\n");
    close(fd);
}

static long peak_kib(void)
{
    char line[128];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    assert_non_null(file);
    while (kib < 0 && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld kB", &kib) != 1)
            kib = -1;
    fclose(file);
    assert_true(kib > 0);
    return kib;
}

/* ---- what arrived ---- */

static void assert_arrived(const char *root, const char *name)
{
    char *path = tmpdir_path(root, name), *piece = malloc(PIECE_SIZE);
    FILE *file = fopen(path, "r");
    assert_true(piece && file);
    for (size_t at = 0; at < SIZE; at += PIECE_SIZE) {
        assert_int_equal(fread(piece, 1, PIECE_SIZE, file), PIECE_SIZE);
        assert_true(content_matches(piece, PIECE_SIZE, SEED, at));
    }
    assert_int_equal(fgetc(file), EOF);
    fclose(file);
    unlink(path);
    free(piece);
    free(path);
}

static struct larder_fs *open_at(const char *scheme, const struct server *server, const char *path)
{
    struct larder_fs *fs;
    char url[128];
    snprintf(url, sizeof url, "%s%s/%s", scheme, strchr(server_url(server), ':'), path);
    assert_ok(larder_open(NULL, url, (const char *[]){"http.write=true", NULL}, &fs, NULL));
    return fs;
}

/* ---- ways ---- */

static const char *text; /* SIZE bytes, while they are in memory */

static int put(struct larder_fs *fs)
{
    return larder_put_file(local, fs, "large", 0, NULL, NULL);
}

static int create_bytes(struct larder_fs *fs)
{
    return larder_pipe_file(fs, "large", text, SIZE, LARDER_CREATE);
}

/* Nobody knows beforehand how much it will be. */
static int write_pieces(struct larder_fs *fs)
{
    struct larder_file *file = NULL;
    char *piece = malloc(PIECE_SIZE);
    int rc = larder_file_open(fs, "large", "wb", NULL, &file);
    for (size_t at = 0; rc == 0 && at < SIZE; at += PIECE_SIZE) {
        content_fill(piece, PIECE_SIZE, SEED, at);
        rc = larder_file_write(file, piece, PIECE_SIZE);
    }
    free(piece);
    if (rc == 0)
        return larder_file_close(file);
    larder_file_discard(file);
    return rc;
}

static int get(struct larder_fs *fs)
{
    char *path = tmpdir_path(disk, "got");
    int rc = larder_get_file(fs, "large", path, 0, NULL, NULL);
    free(path);
    return rc;
}

/* From one server through here to another. */
static int copy_from_nginx(struct larder_fs *fs)
{
    struct larder_fs *from = open_at("http", nginx, "");
    int rc = larder_cp_file(from, "large", fs, "large", 0, NULL, NULL);
    larder_fs_free(from);
    return rc;
}

/* `send` makes the file "large" below `root`, or "got". */
static void assert_little_memory(struct larder_fs *fs, int (*send)(struct larder_fs *fs), const char *root,
                                 const char *name)
{
    forget_peak();
    long before = peak_kib();
    assert_ok(send(fs));
    long growth = peak_kib() - before;
    if (!UNDER_ASAN && !UNDER_TSAN && growth >= GROWTH_KIB)
        fail_msg("%ld KiB more", growth);
    assert_arrived(root, name);
    larder_fs_free(fs);
}

/* In one request: a machine that is busy would ask for parts, which wait in memory for their turn. */
static void a_large_get_needs_little_memory(void **state)
{
    struct larder_fs *fs;
    if (!nginx)
        skip();
    assert_ok(larder_open(NULL, server_url(nginx), (const char *[]){"http.parts=1", NULL}, &fs, NULL));
    assert_little_memory(fs, get, disk, "got");
}

static void a_large_put_needs_little_memory(void **state)
{
    if (!nginx || !apache)
        skip();
    char *root = tmpdir_path(server_dir(nginx), "put");
    assert_little_memory(open_at("http", nginx, "put"), put, root, "large");
    assert_little_memory(open_at("webdav", apache, "dav"), put, server_dav_root(apache), "large");
    free(root);
}

static void large_bytes_are_sent_from_where_they_are(void **state)
{
    if (!nginx || !apache)
        skip();
    char *made = content_make(SIZE, SEED);
    text = made;
    assert_little_memory(open_at("webdav", apache, "dav"), create_bytes, server_dav_root(apache), "large");
    free(made);
}

static void a_large_file_is_written_through_little_memory(void **state)
{
    if (!nginx || !apache)
        skip();
    assert_little_memory(open_at("webdav", nginx, "dav"), write_pieces, server_dav_root(nginx), "large");
}

static void a_large_copy_between_servers_needs_little_memory(void **state)
{
    if (!nginx || !apache)
        skip();
    assert_little_memory(open_at("webdav", apache, "dav"), copy_from_nginx, server_dav_root(apache), "large");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_get_needs_little_memory),
        cmocka_unit_test(a_large_put_needs_little_memory),
        cmocka_unit_test(large_bytes_are_sent_from_where_they_are),
        cmocka_unit_test(a_large_file_is_written_through_little_memory),
        cmocka_unit_test(a_large_copy_between_servers_needs_little_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
