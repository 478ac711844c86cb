/* SPDX-License-Identifier: Apache-2.0 */
/* A process that ends in the middle of transfers over TLS: the libraries beneath clean up at exit as well. */
#include "test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "server.h"
#include "tree.h"

#define EXITS   20
#define READERS 4
#define SIZE    3000000

static struct server *server;
static struct larder_fs *fs;

static int setup(void **state)
{
    server = server_start("nginx", NULL);
    if (server)
        tree_write_content(server_root(server), "big", SIZE, 1);
    return 0;
}

static int teardown(void **state)
{
    server_stop(server);
    return 0;
}

/* What tasks hold that an exit ends is no leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void *read_on(void *arg)
{
    struct larder_bytes bytes = {0};
    while (larder_cat_file(fs, "big", NULL, &bytes) == 0)
        larder_bytes_free(&bytes);
    pause(); /* the exit ended the read */
    return NULL;
}

static _Noreturn void read_and_exit(unsigned after_us)
{
    char trust[512];
    const char *const options[] = {trust, NULL};
    pthread_t thread;
    snprintf(trust, sizeof trust, "ca_file=%s", server_certificate(server));
    if (larder_open(NULL, server_tls_url(server), options, &fs, NULL) < 0)
        _exit(1);
    for (int i = 0; i < READERS; i++)
        if (pthread_create(&thread, NULL, read_on, NULL) != 0)
            _exit(2);
    usleep(after_us);
    exit(0);
}

static void an_exit_amid_transfers_over_tls_is_clean(void **state)
{
    if (!server)
        skip();
    for (unsigned i = 0; i < EXITS; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            read_and_exit(20000 + i * 5000);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exit_amid_transfers_over_tls_is_clean),
    };
    return cmocka_run_group_tests_name("exit", tests, setup, teardown);
}
