/* SPDX-License-Identifier: Apache-2.0 */
/* What a WebDAV server may say that is half an answer: nothing is lost by it, and nothing taken for what it is not. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"

static struct fault_server *server;
static struct larder_fs *fs;

static int setup(void **state)
{
    char url[128];
    server = fault_server_start();
    snprintf(url, sizeof url, "webdav%s", fault_server_url(server) + strlen("http"));
    assert_ok(larder_open(NULL, url, NULL, &fs, NULL));
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    fault_server_stop(server);
    return 0;
}

#define SAID(href, rest)     "<D:response><D:href>" href "</D:href>" rest "</D:response>"
#define STATUS(status)       "<D:status>HTTP/1.1 " status "</D:status>"
#define PROPS(props, status) "<D:propstat><D:prop>" props "</D:prop>" STATUS(status) "</D:propstat>"
#define DIRECTORY            "<D:resourcetype><D:collection/></D:resourcetype>"
#define SELF                 SAID("/d/", PROPS(DIRECTORY, "200 OK"))
#define FILE_HERE            PROPS("<D:resourcetype/>", "200 OK")

/* The answer 207 to `count` requests (0: all) of `method` and `path`. */
static void say(const char *method, const char *path, unsigned count, const char *responses)
{
    char body[4096];
    int size = snprintf(body, sizeof body, "<D:multistatus xmlns:D=\"DAV:\">%s</D:multistatus>", responses);
    fault_on(server, (struct fault_match){.method = method, .path = path, .count = count},
             (struct fault){.status = 207, .body = body, .body_size = (size_t)size});
}

static void begin(void)
{
    fault_clear(server);
    fault_forget(server);
}

/* ---- rmdir ---- */

/* A DELETE would take it along, whatever a listing makes of it. */
static void a_directory_with_anything_in_it_is_not_empty(void **state)
{
    static const char *const children[] = {
        SAID("/d/secret/", STATUS("403 Forbidden")),
        SAID("/d/a/b", FILE_HERE),
        SAID("/d/a%2Fb", FILE_HERE),
        SAID("/d/a%00b", FILE_HERE),
        SAID("/d/.", FILE_HERE),
        SAID("/d//x", FILE_HERE),
        SAID("/d/file", FILE_HERE),
        SAID("/e", FILE_HERE),
    };
    for (size_t i = 0; i < sizeof children / sizeof *children; i++) {
        char responses[1024];
        begin();
        snprintf(responses, sizeof responses, "%s%s", SELF, children[i]);
        say("PROPFIND", "/d/", 0, responses);
        assert_status(-ENOTEMPTY, larder_rmdir(fs, "d"));
        assert_int_equal(fault_count(server, "DELETE", NULL), 0);
    }
}

static void temporary_names_go_with_their_directory(void **state)
{
    begin();
    say("PROPFIND", "/d/", 0, SELF SAID("/d/.larder-0123456789abcdef", FILE_HERE));
    fault_on(server, (struct fault_match){.method = "DELETE"}, (struct fault){.status = 204});
    assert_ok(larder_rmdir(fs, "d"));
    assert_int_equal(fault_count(server, "DELETE", "/d/"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_with_anything_in_it_is_not_empty),
        cmocka_unit_test(temporary_names_go_with_their_directory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
