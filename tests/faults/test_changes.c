/* SPDX-License-Identifier: Apache-2.0 */
/* What goes with a request that changes something: who asks, and to whom that is said. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "larder.h"

#include "fault_server.h"

static struct fault_server *server, *other;

static int setup(void **state)
{
    server = fault_server_start();
    other = fault_server_start();
    fault_writable(server);
    fault_writable(other);
    return 0;
}

static int teardown(void **state)
{
    fault_server_stop(server);
    fault_server_stop(other);
    return 0;
}

static struct larder_fs *open_as_somebody(const char *scheme)
{
    static const char *const options[] = {"write=true", "user=u", "password=p", "headers=X-Key: k", NULL};
    struct larder_fs *fs;
    char url[128];
    snprintf(url, sizeof url, "%s%s", scheme, strchr(fault_server_url(server), ':'));
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    return fs;
}

static void assert_all_say_who_asks(struct fault_server *asked, bool who)
{
    for (size_t i = 0; fault_request(asked, i); i++) {
        const struct fault_request *request = fault_request(asked, i);
        bool key = fault_request_header(request, "X-Key");
        if (key != who || (fault_request_header(request, "Authorization") != NULL) != who)
            fail_msg("%s %s", request->method, request->path);
    }
}

static void every_change_says_who_asks(void **state)
{
    struct larder_fs *fs = open_as_somebody("http"), *dav = open_as_somebody("webdav");
    assert_ok(larder_pipe_file(fs, "a", "x", 1, 0));
    assert_ok(larder_pipe_file(fs, "b", "x", 1, LARDER_CREATE));
    assert_ok(larder_rm_file(fs, "b"));
    assert_ok(larder_pipe_file(dav, "a", "x", 1, 0));
    assert_status(-ENOTSUP, larder_pipe_file(dav, "b", "x", 1, LARDER_CREATE)); /* it knows no PROPFIND */
    assert_status(-ENOTSUP, larder_mkdir(dav, "d", false));
    assert_int_equal(fault_count(server, "PUT", NULL), 3);
    assert_int_equal(fault_count(server, "DELETE", NULL), 1);
    assert_all_say_who_asks(server, true);
    larder_fs_free(fs);
    larder_fs_free(dav);
}

static void a_change_that_is_led_to_another_origin_does_not(void **state)
{
    struct larder_fs *fs = open_as_somebody("http");
    char to[160];
    snprintf(to, sizeof to, "Location: %s/a\r\n", fault_server_url(other));
    fault_on(server, (struct fault_match){.method = "PUT"}, (struct fault){.status = 307, .headers = to});
    assert_ok(larder_pipe_file(fs, "a", "x", 1, 0));
    assert_int_equal(fault_count(other, "PUT", "/a"), 1);
    assert_all_say_who_asks(server, true);
    assert_all_say_who_asks(other, false);
    larder_fs_free(fs);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_change_says_who_asks),
        TEST(a_change_that_is_led_to_another_origin_does_not),
    };
    return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
