/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and by which way: credentials, certificates, sockets, and how URLs are sent. Against a real nginx. */
#include "asking.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault_server.h"
#include "tmpdir.h"
#include "tree.h"

/* ---- who asks ---- */

static void a_bearer_token_is_sent(void **state)
{
    assert_fails(-EACCES, plain(), "/bearer/file", NULL, "401");
    assert_fails(-EACCES, plain(), "/bearer/file", WITH("bearer=hush2"), "401");
    assert_reads(plain(), "/bearer/file", WITH("bearer=hush"), "here");
    assert_reads(plain(), "/echo", WITH("bearer=hush"), "[Bearer hush][]");
}

static char *home, *home_before;

static void leave_home(const char *netrc)
{
    home = tmpdir_make();
    home_before = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    setenv("HOME", home, 1);
    if (netrc)
        tree_write(home, ".netrc", netrc, strlen(netrc));
}

static void come_home(void)
{
    tmpdir_remove(home);
    if (home_before)
        setenv("HOME", home_before, 1);
    free(home_before);
}

static void names_and_passwords_come_from_netrc(void **state)
{
    const char netrc[] = "machine example.org login other password hush\n"
                         "machine 127.0.0.1 login test password test\n";
    leave_home(NULL);
    assert_fails(-EACCES, plain(), "/basic/file", WITH("netrc=true"), "401");
    tree_write(home, ".netrc", netrc, strlen(netrc));
    assert_fails(-EACCES, plain(), "/basic/file", NULL, "401");
    assert_reads(plain(), "/basic/file", WITH("netrc=true"), "here");
    /* What is said outright counts more. */
    assert_fails(-EACCES, plain(), "/basic/file", WITH("netrc=true", "user=test", "password=hush"), "401");
    come_home();
}

/* A redirect to another one gets what netrc says for that, which may be nothing. */
static void netrc_says_for_each_host_who_asks(void **state)
{
    char *base;
    assert_true(asprintf(&base, "http://localhost%s", nginx ? strrchr(plain(), ':') : "") > 0);
    leave_home("machine localhost login a password hush\n");
    assert_reads(base, "/echo", WITH("netrc=true"), "[Basic YTpodXNo][]");
    assert_reads(base, "/hop/echo", WITH("netrc=true", "insecure=true", "headers=X-Key: hush"), "[][]");
    come_home();
    leave_home("machine localhost login a password hush\nmachine 127.0.0.1 login b password c\n");
    assert_reads(base, "/hop/echo", WITH("netrc=true", "insecure=true", "headers=X-Key: hush"),
                 "[Basic Yjpj][]");
    come_home();
    free(base);
}

static void a_user_and_a_password_may_have_any_character_but_few(void **state)
{
    assert_reads(plain(), "/echo", WITH("user=é @/?", "password=a:b#%41"), "[Basic w6kgQC8/OmE6YiMlNDE=][]");
    char *base;
    assert_true(asprintf(&base, "http://%%C3%%A9%%20%%40%%2F%%3F:a%%3Ab%%23%%2541@%s", plain() + 7) > 0);
    assert_refused("http://h/", "user=a:b");
    assert_refused("http://a%3Ab@h/", "netrc=no");
    assert_refused("http://h/", "user=a\nb");
    assert_refused("http://h/", "password=hush\n");
    assert_refused("http://h/", "bearer=hush\r\nX-Other: 1");
    assert_refused("http://h/", "user_agent=a\nb");
    free(base);
}

static void headers_are_sent_as_they_are_given(void **state)
{
    assert_reads(plain(), "/echo", WITH("headers=X-Key: a: b\nAuthorization: other"), "[other][a: b]");
    assert_reads(plain(), "/echo", WITH("headers=X-Key:\r\n\r\nauthorization:x"), "[x][]");
    assert_refused("http://h/", "headers=hush");
    assert_refused("http://h/", "headers=: hush");
    assert_refused("http://h/", "headers=X-Key hush: x");
    assert_refused("http://h/", "headers=X-Key: a\rhush");
}

/* An empty header is one: a server may tell it from none. */
static void an_empty_header_is_sent_too(void **state)
{
    struct fault_server *server = fault_server_start();
    char *text = NULL;
    if (!nginx) {
        fault_server_stop(server);
        skip();
    }
    fault_file_text(server, "/file", "x");
    assert_ok(cat(fault_server_url(server), "/file", WITH("headers=X-Key:\nX-Other: y"), &text));
    assert_string_equal(fault_request_header(fault_request(server, 0), "X-Key"), "");
    assert_string_equal(fault_request_header(fault_request(server, 0), "X-Other"), "y");
    free(text);
    fault_server_stop(server);
}

/* ---- URLs ---- */

/* A signature is of the bytes: of the query not one is changed, in no kind of request. The path is sent in one way
 * whatever way it was written in. */
static void a_query_is_sent_byte_for_byte(void **state)
{
    static const char query[] = "X-Sig=a%2fB%3D+%20&e=\xc3\xa9&&=%zz;{}|^`\"<>'()*!~@:/?$,[]\\";
    struct fault_server *server = fault_server_start();
    struct larder_fs *fs = NULL;
    struct larder_bytes bytes = {0};
    struct larder_entries entries;
    struct larder_info info;
    char *url, *targets[3];
    fault_file_text(server, "/a b/f", "x");
    assert_true(asprintf(&url, "%s/%%61%%20b/?%s", fault_server_url(server), query) > 0);
    assert_ok(larder_open(NULL, url, NULL, &fs, NULL));
    assert_ok(larder_cat_file(fs, "f", NULL, &bytes));
    assert_ok(larder_info(fs, "f", &info));
    assert_ok(larder_ls(fs, "", &entries));
    assert_true(asprintf(&targets[0], "/a%%20b/f?%s", query) > 0);
    assert_true(asprintf(&targets[1], "/a%%20b/f?%s", query) > 0);
    assert_true(asprintf(&targets[2], "/a%%20b/?%s", query) > 0);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(fault_request(server, i)->target, targets[i]);
        free(targets[i]);
    }
    larder_entries_free(&entries);
    larder_info_free(&info);
    larder_bytes_free(&bytes);
    larder_fs_free(fs);
    fault_server_stop(server);
    free(url);
}

/* A signature may be of the path, too: of the one file that the URL names. */
static void the_path_of_a_signed_url_is_sent_as_it_was_written(void **state)
{
    struct fault_server *server = fault_server_start();
    struct larder_fs *fs = NULL;
    struct larder_bytes bytes = {0};
    char *url, *path;
    fault_file_text(server, "/d/a+b;c", "x");
    assert_true(asprintf(&url, "%s/d/%%61+b;c?Signature=s%%2f", fault_server_url(server)) > 0);
    assert_ok(larder_open(NULL, url, NULL, &fs, &path));
    assert_string_equal(path, "d/a+b;c");
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    larder_bytes_free(&bytes);
    assert_string_equal(fault_request(server, 0)->target, "/d/%61+b;c?Signature=s%2f");
    assert_int_equal(larder_exists(fs, "d/other"), 0);
    larder_free(path);
    larder_fs_free(fs);
    fault_server_stop(server);
    free(url);
}

/* They would be another file's path, or the beginning of one. */
static void an_encoded_slash_or_nul_in_a_path_is_refused(void **state)
{
    assert_refused("http://h/a%2Fb", "netrc=no");
    assert_refused("http://h/a%2fb/c?hush", "netrc=no");
    assert_refused("http://h/a%00b", "netrc=no");
    assert_refused("http://h/a%2", "netrc=no");
}

/* ---- certificates ---- */

static void a_client_certificate_shows_who_asks(void **state)
{
    const char *ca = "FILE:ca_file=cert.pem", *cert = "FILE:client_cert=client.pem",
               *locked = "FILE:client_key=client-key-locked.pem";
    assert_fails(-EACCES, tls(), "/cert/file", WITH(ca), "403");
    /* Failures first: afterwards there is a connection for that certificate. */
    assert_fails(-EINVAL, tls(), "/cert/file", WITH(ca, cert, locked), "client-key-locked.pem");
    assert_fails(-EINVAL, tls(), "/cert/file", WITH(ca, cert, locked, "client_key_password=hush2"),
                 "client-key-locked.pem");
    assert_reads(tls(), "/cert/file", WITH(ca, cert, locked, "client_key_password=hush"), "here");
    assert_reads(tls(), "/cert/file", WITH(ca, cert, "FILE:client_key=client-key.pem"), "here");
    assert_fails(-EACCES, tls(), "/cert/file", WITH(ca), "403");
    assert_fails(-EINVAL, tls(), "/cert/file", WITH(ca, "FILE:client_cert=none.pem"), "certificate");
}

static void only_the_named_authorities_are_trusted(void **state)
{
    assert_reads(tls(), "/file", WITH("FILE:ca_file=cert.pem"), "here");
    assert_fails(-EACCES, tls(), "/file", WITH("FILE:ca_file=client.pem"), "certificate");
    assert_fails(-EINVAL, tls(), "/file", WITH("FILE:ca_file=none.pem"), "none.pem");
}

/* ---- by a socket ---- */

static void a_socket_stands_for_the_host(void **state)
{
    const char *socket = "FILE:unix_socket=nginx.sock";
    struct larder_entries entries;
    if (!nginx)
        skip();
    struct larder_fs *fs = open_with("http://any.name", "/dir/", WITH(socket));
    assert_ok(larder_ls(fs, "", &entries));
    assert_int_equal(entries.count, 1);
    larder_entries_free(&entries);
    larder_fs_free(fs);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    assert_reads("http://any.name", "/file", WITH(socket), "here");
    assert_fails(-ECONNREFUSED, "http://any.name", "/file", WITH("FILE:unix_socket=none.sock", "max_tries=1"),
                 "any.name/file");
}

/* What it redirects to elsewhere is not behind it. */
static void a_redirect_leaves_the_socket(void **state)
{
    assert_reads("http://any.name", "/hop/echo",
                 WITH("FILE:unix_socket=nginx.sock", "insecure=true", "bearer=hush"), "[][]");
    assert_fails(-ECONNREFUSED, "http://any.name", "/away",
                 WITH("FILE:unix_socket=nginx.sock", "max_tries=1"), "127.0.0.1");
}

/* ---- many at once ---- */

static void a_hundred_reads_begin_on_one_connection(void **state)
{
    struct larder_item items[100] = {0};
    if (!nginx)
        skip();
    struct larder_fs *fs = open_with(tls(), "", WITH("insecure=true"));
    struct larder_batch batch = {.size = sizeof batch, .jobs_max = 100};
    for (size_t i = 0; i < 100; i++)
        items[i].path = "file";
    server_log_clear(nginx);
    assert_ok(larder_cat(fs, items, 100, &batch));
    for (size_t i = 0; i < 100; i++)
        larder_bytes_free(&items[i].bytes);
    assert_int_equal(server_log_connections(nginx, 100), 1);
    char *log = server_log_text(nginx);
    assert_int_equal(count_in(log, "GET /file HTTP/2.0 200"), 100);
    free(log);
    larder_fs_free(fs);
}

int main(void)
{
#define ALONE(test) cmocka_unit_test_setup(test, no_environment)
    const struct CMUnitTest tests[] = {
        ALONE(a_bearer_token_is_sent),
        ALONE(names_and_passwords_come_from_netrc),
        ALONE(netrc_says_for_each_host_who_asks),
        ALONE(a_user_and_a_password_may_have_any_character_but_few),
        ALONE(headers_are_sent_as_they_are_given),
        ALONE(an_empty_header_is_sent_too),
        ALONE(a_query_is_sent_byte_for_byte),
        ALONE(the_path_of_a_signed_url_is_sent_as_it_was_written),
        ALONE(an_encoded_slash_or_nul_in_a_path_is_refused),
        ALONE(a_client_certificate_shows_who_asks),
        ALONE(only_the_named_authorities_are_trusted),
        ALONE(a_socket_stands_for_the_host),
        ALONE(a_redirect_leaves_the_socket),
        ALONE(a_hundred_reads_begin_on_one_connection),
    };
    return cmocka_run_group_tests(tests, asking_setup, asking_teardown);
}
