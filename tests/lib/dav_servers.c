/* SPDX-License-Identifier: Apache-2.0 */
#include "dav_servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

const char *const dav_names[DAV_SERVERS] = {"nginx", "apache", "lighttpd", "rclone-webdav"};
struct server *dav_servers[DAV_SERVERS];
struct larder_fs *dav_places[DAV_SERVERS];

struct larder_fs *dav_open(const char *scheme, const char *base, const char *dir, const char *option)
{
    const char *const options[] = {option, NULL};
    struct larder_fs *fs;
    char url[128];
    snprintf(url, sizeof url, "%s%s/%s", scheme, strchr(base, ':'), dir);
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    return fs;
}

int dav_servers_start(void **state)
{
    for (size_t i = 0; i < DAV_SERVERS; i++) {
        dav_servers[i] = server_start(dav_names[i], NULL);
        if (dav_servers[i])
            dav_places[i] = dav_open("webdav", server_url(dav_servers[i]), "dav", NULL);
    }
    return 0;
}

int dav_servers_stop(void **state)
{
    each_place(i)
    {
        larder_fs_free(dav_places[i]);
        server_stop(dav_servers[i]);
    }
    return 0;
}

void assert_file(struct larder_fs *fs, const char *path, const char *text)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
    larder_bytes_free(&bytes);
}

size_t dav_log_count(const char *log, const char *method)
{
    char word[16];
    size_t count = 0;
    snprintf(word, sizeof word, " %s ", method);
    for (const char *at = log; (at = strstr(at, word)); at++)
        count++;
    return count;
}

void assert_requests(struct server *server, size_t requests, const char *const methods[])
{
    assert_true(server_log_connections(server, requests) > 0);
    char *log = server_log_text(server);
    for (size_t i = 0; methods[i]; i++)
        assert_int_equal(dav_log_count(log, methods[i]), 1);
    free(log);
    server_log_clear(server);
}
