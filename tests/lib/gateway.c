/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway.h"

struct server *gateway;
struct larder_fs *account, *fs;
char bucket[32];

int gateway_start(void **state)
{
    gateway = server_start("rgw", NULL);
    if (!gateway)
        return 0;
    setenv("AWS_ENDPOINT_URL_S3", server_url(gateway), 1);
    setenv("AWS_ACCESS_KEY_ID", "testkey", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
    return larder_open(NULL, "s3://", NULL, &account, NULL);
}

int gateway_stop(void **state)
{
    larder_fs_free(account);
    server_stop(gateway);
    return 0;
}

int gateway_bucket(void **state)
{
    static unsigned number;
    if (!gateway)
        return 0;
    snprintf(bucket, sizeof bucket, "bucket-%u", number++);
    int rc = larder_mkdir(account, bucket, false);
    return rc < 0 ? rc : larder_fs_at(account, bucket, NULL, &fs);
}

int gateway_no_bucket(void **state)
{
    larder_fs_free(fs);
    fs = NULL;
    return 0;
}

void gateway_need(void)
{
    if (!gateway)
        skip();
}

void put_text(const char *path, const char *text)
{
    assert_ok(larder_pipe_file(fs, path, text, strlen(text), 0));
}

void assert_text(const char *path, const char *expected)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_int_equal(bytes.size, strlen(expected));
    assert_memory_equal(bytes.data, expected, bytes.size);
    larder_bytes_free(&bytes);
}

struct larder_fs *open_bucket(const char *const options[])
{
    struct larder_fs *other;
    char url[64];
    snprintf(url, sizeof url, "s3://%s", bucket);
    assert_ok(larder_open(NULL, url, options, &other, NULL));
    return other;
}
