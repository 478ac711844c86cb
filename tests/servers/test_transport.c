/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and by which way: credentials, certificates, proxies, sockets, and that none of it is seen where it must not
 * be. Against a real nginx; the proxy is one inside the test. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"

#include "fault_server.h"
#include "proxy.h"
#include "server.h"
#include "tmpdir.h"
#include "tree.h"

#define OPTIONS_MAX 12

static struct server *nginx;

/* Of the environment, what counts here. */
static void forget_environment(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

static int setup(void **state)
{
    forget_environment();
    nginx = server_start("nginx", NULL);
    if (nginx) {
        tree_write(server_root(nginx), "file", "here", 4);
        tree_write(server_root(nginx), "dir/file", "deep", 4);
    }
    return 0;
}

static int teardown(void **state)
{
    server_stop(nginx);
    return 0;
}

static int no_environment(void **state)
{
    forget_environment();
    return 0;
}

/* ---- asking ---- */

/* Options as a list that ends with NULL. "FILE:option=name" is "option=" and a file of nginx's directory. */
static struct larder_fs *open_with(const char *base, const char *path, const char *const given[])
{
    const char *options[OPTIONS_MAX + 1] = {0};
    char *made[OPTIONS_MAX] = {0}, *url;
    struct larder_fs *fs = NULL;
    for (size_t i = 0; given && given[i]; i++) {
        options[i] = given[i];
        if (strncmp(given[i], "FILE:", 5) != 0)
            continue;
        const char *option = given[i] + 5, *name = strchr(option, '=') + 1;
        assert_true(asprintf(&made[i], "%.*s%s/%s", (int)(name - option), option, server_dir(nginx), name) >
                    0);
        options[i] = made[i];
    }
    assert_true(asprintf(&url, "%s%s", base, path) > 0);
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    for (size_t i = 0; i < OPTIONS_MAX; i++)
        free(made[i]);
    free(url);
    return fs;
}
#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})

static int cat(const char *base, const char *path, const char *const options[], char **text)
{
    if (!nginx)
        skip();
    struct larder_fs *fs = open_with(base, path, options);
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, "", NULL, &bytes);
    if (rc == 0)
        *text = strndup(bytes.data, bytes.size);
    larder_bytes_free(&bytes);
    larder_fs_free(fs);
    return rc;
}

static void assert_reads(const char *base, const char *path, const char *const options[],
                         const char *expected)
{
    char *text = NULL;
    assert_ok(cat(base, path, options, &text));
    assert_string_equal(text, expected);
    free(text);
}

static void assert_fails(int status, const char *base, const char *path, const char *const options[],
                         const char *why)
{
    char *text = NULL;
    assert_status(status, cat(base, path, options, &text));
    if (!strstr(larder_error(), why))
        print_error("\"%s\" is not in \"%s\"\n", why, larder_error());
    assert_non_null(strstr(larder_error(), why));
    assert_null(strstr(larder_error(), "hush"));
}

static void assert_refused(const char *url, const char *option)
{
    struct larder_fs *fs = NULL;
    assert_status(-EINVAL, larder_open(NULL, url, WITH(option), &fs, NULL));
    assert_null(strstr(larder_error(), "hush"));
}

static const char *plain(void)
{
    return nginx ? server_url(nginx) : "";
}

static const char *tls(void)
{
    return nginx ? server_tls_url(nginx) : "";
}

/* ---- who asks ---- */

static void a_bearer_token_is_sent(void **state)
{
    assert_fails(-EACCES, plain(), "/bearer/file", NULL, "401");
    assert_fails(-EACCES, plain(), "/bearer/file", WITH("bearer=hush2"), "401");
    assert_reads(plain(), "/bearer/file", WITH("bearer=hush"), "here");
    assert_reads(plain(), "/echo", WITH("bearer=hush"), "[Bearer hush][]");
}

static void names_and_passwords_come_from_netrc(void **state)
{
    char *home = tmpdir_make(), *before = getenv("HOME") ? strdup(getenv("HOME")) : NULL;
    const char netrc[] = "machine example.org login other password hush\n"
                         "machine 127.0.0.1 login test password test\n";
    setenv("HOME", home, 1);
    assert_fails(-EACCES, plain(), "/basic/file", WITH("netrc=true"), "401");
    tree_write(home, ".netrc", netrc, strlen(netrc));
    assert_fails(-EACCES, plain(), "/basic/file", NULL, "401");
    assert_reads(plain(), "/basic/file", WITH("netrc=true"), "here");
    /* What is said outright counts more. */
    assert_fails(-EACCES, plain(), "/basic/file", WITH("netrc=true", "user=test", "password=hush"), "401");
    tmpdir_remove(home);
    if (before)
        setenv("HOME", before, 1);
    free(before);
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

/* ---- by a proxy ---- */

static struct proxy *proxy;
static char credentials[] = "us er:p@ss";

static char *proxy_option(const char *userinfo)
{
    char *option;
    assert_true(asprintf(&option, "proxy=http://%s%s", userinfo, proxy_address(proxy)) > 0);
    return option;
}

static size_t count(const char *text, const char *what)
{
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        found++;
    return found;
}

/* Was the proxy asked for just `times` things, the last of which had `what` in it? */
static void assert_proxied(size_t times, const char *what)
{
    char *requests = proxy_requests(proxy);
    assert_int_equal(count(requests, "\r\n\r\n"), times);
    if (what)
        assert_non_null(strstr(requests, what));
    free(requests);
}

static int start_proxy(void **state)
{
    forget_environment();
    proxy = proxy_start(*state);
    return 0;
}

static int stop_proxy(void **state)
{
    proxy_stop(proxy);
    return 0;
}

static void a_proxy_is_asked_for_http(void **state)
{
    char *option = proxy_option(""), *line;
    assert_reads(plain(), "/echo?q=%2f", WITH(option, "user=a", "password=b"), "[Basic YTpi][]");
    assert_true(asprintf(&line, "GET %s/echo?q=%%2f HTTP/1.1\r\n", plain()) > 0);
    assert_proxied(1, line);
    free(line);
    free(option);
}

/* It carries what it cannot read, and is not told what is for the origin alone. */
static void a_proxy_tunnels_https(void **state)
{
    char *option = proxy_option(""), *requests;
    assert_reads(tls(), "/echo", WITH(option, "FILE:ca_file=cert.pem", "bearer=hush", "headers=X-Key: hush"),
                 "[Bearer hush][hush]");
    assert_proxied(1, "CONNECT 127.0.0.1:");
    requests = proxy_requests(proxy);
    assert_null(strstr(requests, "hush"));
    free(requests);
    free(option);
}

static void a_proxy_is_told_who_asks(void **state)
{
    char *option = proxy_option("us%20er:p%40ss@"), *wrong = proxy_option("hush:hush@"),
         *none = proxy_option("");
    assert_reads(plain(), "/echo", WITH(option), "[][]");
    assert_reads(tls(), "/echo", WITH(option, "insecure=true"), "[][]");
    assert_proxied(2, NULL);
    assert_fails(-EACCES, plain(), "/file", WITH(wrong), "407");
    assert_fails(-EACCES, tls(), "/file", WITH(wrong, "insecure=true"), "407");
    assert_fails(-EACCES, plain(), "/file", WITH(none), "407");
    assert_fails(-EACCES, tls(), "/file", WITH(none, "insecure=true"), "407");
    assert_proxied(6, NULL); /* no try was repeated */
    free(none);
    free(wrong);
    free(option);
}

static void what_a_proxy_cannot_reach_is_not_missing(void **state)
{
    char *option = proxy_option("");
    assert_fails(-EHOSTUNREACH, "https://127.0.0.1:1", "/file", WITH(option, "max_tries=1"), "502");
    assert_fails(-EIO, "http://127.0.0.1:1", "/file", WITH(option, "max_tries=1"), "502");
    assert_fails(-ECONNREFUSED, plain(), "/file", WITH("proxy=http://hush:hush@127.0.0.1:1", "max_tries=1"),
                 "127.0.0.1 port 1");
    assert_fails(-EHOSTUNREACH, plain(), "/file", WITH("proxy=hush:hush@no-such-host.invalid", "max_tries=1"),
                 "no-such-host.invalid");
    free(option);
}

static void the_environment_names_proxies_and_what_needs_none(void **state)
{
    char *url;
    assert_true(asprintf(&url, "http://%s", proxy_address(proxy)) > 0);
    setenv("http_proxy", url, 1);
    setenv("https_proxy", url, 1);
    assert_reads(plain(), "/file", NULL, "here");
    assert_proxied(1, "GET http://");
    assert_reads(tls(), "/file", WITH("insecure=true"), "here");
    assert_proxied(2, "CONNECT ");
    assert_reads(plain(), "/file", WITH("proxy="), "here");
    assert_reads(plain(), "/file", WITH("no_proxy=127.0.0.0/8"), "here");
    setenv("no_proxy", "example.org,127.0.0.1", 1);
    assert_reads(plain(), "/file", NULL, "here");
    assert_reads(tls(), "/file", WITH("insecure=true"), "here");
    assert_proxied(2, NULL);
    free(url);
}

static void an_option_counts_more_than_the_environment(void **state)
{
    char *option = proxy_option("");
    setenv("http_proxy", "http://hush:hush@127.0.0.1:1", 1);
    setenv("no_proxy", "*", 1);
    assert_reads(plain(), "/file", WITH(option), "here");
    assert_proxied(1, "GET http://");
    assert_reads(plain(), "/file", WITH(option, "no_proxy=example.org,127.0.0.1"), "here");
    assert_proxied(1, NULL);
    unsetenv("no_proxy");
    assert_fails(-ECONNREFUSED, plain(), "/file", WITH("max_tries=1"), "127.0.0.1 port 1");
    setenv("http_proxy", "odd://hush:hush@127.0.0.1:1", 1);
    char *text = NULL;
    assert_in_range(-cat(plain(), "/file", WITH("max_tries=1"), &text), 1, 4095);
    assert_null(strstr(larder_error(), "hush")); /* curl quotes the URL of such a proxy */
    free(option);
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
    assert_int_equal(count(log, "GET /file HTTP/2.0 200"), 100);
    free(log);
    larder_fs_free(fs);
}

/* ---- nothing is shown ---- */

struct heard {
    pthread_mutex_t lock;
    size_t messages, secrets;
};

static void listen_for_secrets(void *arg, enum larder_log_level level, const char *message)
{
    struct heard *heard = arg;
    pthread_mutex_lock(&heard->lock);
    heard->messages++;
    heard->secrets += strstr(message, "hush") != NULL;
    pthread_mutex_unlock(&heard->lock);
}

static void no_log_no_url_and_no_json_shows_a_secret(void **state)
{
    struct heard heard = {.lock = PTHREAD_MUTEX_INITIALIZER};
    char *base, *shown, *text = NULL;
    if (!nginx)
        skip();
    char *through = proxy_option("hush1:hush2@");
    assert_true(asprintf(&base, "http://me:hush3@%s", plain() + 7) > 0);
    const char *const *options =
        WITH(through, "bearer=hush4", "headers=X-Key: hush5", "client_key_password=hush6");
    larder_log_to(listen_for_secrets, &heard, LARDER_LOG_DEBUG);
    static const char *const paths[] = {"/file?hush7",       "/none?a=hush7#hush8", "/redirect/file?hush7",
                                        "/status/503?hush7", "/drop/x?hush7",       "/loop/?hush7",
                                        "/hop/none?hush7"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (cat(base, paths[i], options, &text) < 0)
            assert_null(strstr(larder_error(), "hush"));
        free(text);
        text = NULL;
        struct larder_fs *fs = open_with(base, paths[i], options);
        assert_ok(larder_fs_url(fs, "x", &shown));
        assert_null(strstr(shown, "hush"));
        larder_free(shown);
        assert_ok(larder_fs_to_json(fs, false, &shown));
        assert_null(strstr(shown, "hush"));
        larder_free(shown);
        larder_fs_free(fs);
    }
    larder_log_to(NULL, NULL, LARDER_LOG_WARNING);
    assert_in_range(heard.messages, 1, 1000);
    assert_int_equal(heard.secrets, 0);
    for (size_t i = 0;; i++) {
        struct larder_option option = {.size = sizeof option};
        if (larder_option_at(i, &option) < 0)
            break;
        static const char *const secrets[] = {"password", "bearer", "headers", "proxy",
                                              "client_key_password"};
        for (size_t j = 0; j < 5; j++)
            if (strcmp(option.layer, "http") == 0 && strcmp(option.name, secrets[j]) == 0)
                assert_true(option.secret);
    }
    free(through);
    free(base);
}

int main(void)
{
#define ALONE(test)   cmocka_unit_test_setup(test, no_environment)
#define PROXIED(test) cmocka_unit_test_setup_teardown(test, start_proxy, stop_proxy)
    const struct CMUnitTest tests[] = {
        ALONE(a_bearer_token_is_sent),
        ALONE(names_and_passwords_come_from_netrc),
        ALONE(a_user_and_a_password_may_have_any_character_but_few),
        ALONE(headers_are_sent_as_they_are_given),
        ALONE(an_empty_header_is_sent_too),
        ALONE(a_query_is_sent_byte_for_byte),
        ALONE(the_path_of_a_signed_url_is_sent_as_it_was_written),
        ALONE(an_encoded_slash_or_nul_in_a_path_is_refused),
        ALONE(a_client_certificate_shows_who_asks),
        ALONE(only_the_named_authorities_are_trusted),
        PROXIED(a_proxy_is_asked_for_http),
        PROXIED(a_proxy_tunnels_https),
        cmocka_unit_test_prestate_setup_teardown(a_proxy_is_told_who_asks, start_proxy, stop_proxy,
                                                 credentials),
        PROXIED(what_a_proxy_cannot_reach_is_not_missing),
        PROXIED(the_environment_names_proxies_and_what_needs_none),
        PROXIED(an_option_counts_more_than_the_environment),
        ALONE(a_socket_stands_for_the_host),
        ALONE(a_redirect_leaves_the_socket),
        ALONE(a_hundred_reads_begin_on_one_connection),
        PROXIED(no_log_no_url_and_no_json_shows_a_secret),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
