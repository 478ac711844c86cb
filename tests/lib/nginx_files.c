/* SPDX-License-Identifier: Apache-2.0 */
#include "nginx_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backends.h"
#include "fs/fs.h"
#include "tree.h"

struct server *nginx;

int nginx_files_setup(void **state)
{
    backend_register(&http_backend);
    backend_register(&local_backend);
    nginx = server_start("nginx", NULL);
    if (!nginx)
        return 0;
    tree_write_content(server_root(nginx), "file.bin", SIZE, SEED);
    tree_write(server_root(nginx), "empty", "", 0);
    tree_write(server_root(nginx), "dir/one", "1", 1);
    tree_write(server_root(nginx), "dir/sub/two", "22", 2);
    tree_write(server_root(nginx), "dir/odd/a b%20#?[é]&+;=.txt", "odd", 3);
    return 0;
}

int nginx_files_teardown(void **state)
{
    server_stop(nginx);
    return 0;
}

struct larder_fs *open_url(const char *base, const char *path, const char *const options[])
{
    char *url;
    struct larder_fs *fs = NULL;
    assert_true(asprintf(&url, "%s%s", base, path) > 0);
    assert_ok(fs_open(NULL, url, options, &fs, NULL));
    free(url);
    return fs;
}

struct larder_fs *open_plain(const char *path)
{
    if (!nginx)
        skip();
    return open_url(server_url(nginx), path, NULL);
}

void assert_range(struct larder_fs *fs, const char *path, int64_t start, int64_t end, size_t first,
                  size_t count)
{
    struct larder_bytes bytes = {0};
    assert_ok(larder_cat_file(fs, path, &(struct larder_range){start, end}, &bytes));
    assert_int_equal(bytes.size, count);
    assert_true(content_matches(bytes.data, count, SEED, first));
    larder_bytes_free(&bytes);
}

void assert_whole(struct larder_fs *fs, const char *path)
{
    struct larder_bytes bytes = {0};
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_int_equal(bytes.size, SIZE);
    assert_true(content_matches(bytes.data, SIZE, SEED, 0));
    larder_bytes_free(&bytes);
}

void assert_fails(int status, struct larder_fs *fs, const char *path, const char *text)
{
    struct larder_bytes bytes = {0};
    assert_status(status, larder_cat_file(fs, path, NULL, &bytes));
    assert_non_null(strstr(larder_error(), text));
    assert_null(bytes.data);
}

void assert_ranges(struct larder_fs *fs, const char *path)
{
    assert_whole(fs, path);
    assert_range(fs, path, 0, 1, 0, 1);
    assert_range(fs, path, 100, 4196, 100, 4096);
    assert_range(fs, path, 9000, LARDER_TO_END, 9000, 1000);
    assert_range(fs, path, 9000, 20000, 9000, 1000);
    assert_range(fs, path, -100, LARDER_TO_END, 9900, 100);
    assert_range(fs, path, -20000, LARDER_TO_END, 0, SIZE);
    assert_range(fs, path, -100, -20, 9900, 80);
    assert_range(fs, path, 9000, -500, 9000, 500);
    assert_range(fs, path, -200, 9900, 9800, 100);
    assert_range(fs, path, 5, 5, 0, 0);
    assert_range(fs, path, 20000, 30000, 0, 0);
    assert_range(fs, path, 10000, LARDER_TO_END, 0, 0);
}
