/* SPDX-License-Identifier: Apache-2.0 */
/* By a proxy inside the test: for http, in a tunnel for https, named by options or by the environment; and that no secret,
 * the proxy's among them, is seen where it must not be. */
#include "asking.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy.h"

/* ---- by a proxy ---- */

static struct proxy *proxy;
static char credentials[] = "us er:p@ss";

static char *proxy_option(const char *userinfo)
{
    char *option;
    assert_true(asprintf(&option, "proxy=http://%s%s", userinfo, proxy_address(proxy)) > 0);
    return option;
}

/* Was the proxy asked for just `times` things, the last of which had `what` in it? */
static void assert_proxied(size_t times, const char *what)
{
    char *requests = proxy_requests(proxy);
    assert_int_equal(count_in(requests, "\r\n\r\n"), times);
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
#define PROXIED(test) cmocka_unit_test_setup_teardown(test, start_proxy, stop_proxy)
    const struct CMUnitTest tests[] = {
        PROXIED(a_proxy_is_asked_for_http),
        PROXIED(a_proxy_tunnels_https),
        cmocka_unit_test_prestate_setup_teardown(a_proxy_is_told_who_asks, start_proxy, stop_proxy,
                                                 credentials),
        PROXIED(what_a_proxy_cannot_reach_is_not_missing),
        PROXIED(the_environment_names_proxies_and_what_needs_none),
        PROXIED(an_option_counts_more_than_the_environment),
        PROXIED(no_log_no_url_and_no_json_shows_a_secret),
    };
    return cmocka_run_group_tests(tests, asking_setup, asking_teardown);
}
