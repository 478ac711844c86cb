/* SPDX-License-Identifier: Apache-2.0 */
#include "dav_case.h"

#include <stdio.h>
#include <string.h>

#include "test.h"

struct fault_server *server;
struct larder_fs *fs, *plain;

struct larder_fs *dav_open_with(const char *option)
{
    const char *const options[] = {option, NULL};
    struct larder_fs *place;
    char url[128];
    snprintf(url, sizeof url, "webdav%s", fault_server_url(server) + strlen("http"));
    assert_ok(larder_open(NULL, url, options, &place, NULL));
    return place;
}

int dav_case_setup(void **state)
{
    server = fault_server_start();
    fs = dav_open_with(NULL);
    assert_ok(
        larder_open(NULL, fault_server_url(server), (const char *[]){"http.write=true", NULL}, &plain, NULL));
    fault_writable(server);
    return 0;
}

int dav_case_teardown(void **state)
{
    larder_fs_free(fs);
    larder_fs_free(plain);
    fault_server_stop(server);
    return 0;
}

void dav_reopen(void)
{
    larder_fs_free(fs);
    fs = dav_open_with(NULL);
}

void begin(void)
{
    fault_clear(server);
    fault_forget(server);
}

void say(const char *method, const char *path, unsigned count, const char *responses)
{
    dav_say(server, method, path, count, responses);
}

void answer(const char *method, const char *path, unsigned count, int status)
{
    fault_on(server, (struct fault_match){.method = method, .path = path, .count = count},
             (struct fault){.status = status});
}

void lose(const char *method, const char *path)
{
    fault_on(server, (struct fault_match){.method = method, .path = path, .count = 1},
             (struct fault){.end = FAULT_CLOSE, .flags = FAULT_NO_ANSWER});
}
