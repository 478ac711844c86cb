/* SPDX-License-Identifier: Apache-2.0 */
/* What a server says of how long an answer may be believed is what the cache is told. */
#include "task_test.h"

#include <stdio.h>
#include <string.h>

#include "backends/backends.h"
#include "fault_server.h"
#include "fs/fs.h"
#include "fs/layer.h"

static const struct said {
    const char *headers;
    int64_t fresh_ms, stale_if_error_ms;
    unsigned flags;
} cases[] = {
    {"", -1, -1, 0},
    {"Cache-Control: max-age=60\r\n", 60000, -1, 0},
    {"Cache-Control: max-age=60\r\nAge: 20\r\n", 40000, -1, 0},
    {"Cache-Control: max-age=600\r\nCache-Control: max-age=60\r\n", 60000, -1,
     0}, /* two lines are one list */
    {"Cache-Control: no-store\r\n", 0, -1, ANSWER_NO_STORE},
    {"Cache-Control: no-cache\r\n", 0, -1, ANSWER_MUST_REVALIDATE},
    {"Cache-Control: max-age=60, must-revalidate\r\n", 60000, -1, ANSWER_MUST_REVALIDATE},
    {"Cache-Control: max-age=60, stale-if-error=600\r\n", 60000, 600000, 0},
    {"Cache-Control: max-age=60\r\nVary: *\r\n", 0, -1, ANSWER_NO_STORE},
    {"Expires: 0\r\n", 0, -1, 0},
};

struct asking {
    struct larder_fs *fs;
    const struct said *said;
};

/* Some of the lifetime may have passed. */
static bool is_about(int64_t got_ms, int64_t said_ms)
{
    return said_ms <= 0 ? got_ms == said_ms : got_ms > 0 && got_ms <= said_ms;
}

static int check_answer(const struct answer *answer, const struct said *said)
{
    CHECK(is_about(answer->fresh_ms, said->fresh_ms));
    CHECK(answer->stale_if_error_ms == said->stale_if_error_ms);
    CHECK((answer->flags & (ANSWER_NO_STORE | ANSWER_MUST_REVALIDATE)) == said->flags);
    return 0;
}

/* By a read, by an info, and by a read that finds nothing changed. */
static int CO_EDGE ask(void *arg)
{
    struct asking *asking = arg;
    struct instance *instance = asking->fs->instance;
    struct answer answer = {0};
    struct bytes_sink sink;
    bytes_sink_init(&sink);
    CHECK(layer_read(instance, "f", NULL, &TERMS_NONE, &sink.sink, &answer) == 0);
    bytes_sink_fini(&sink);
    int rc = check_answer(&answer, asking->said);
    struct terms terms = TERMS_NONE;
    terms.if_none_match = answer.validator;
    struct answer again = {0};
    bytes_sink_init(&sink);
    CHECK(layer_read(instance, "f", NULL, &terms, &sink.sink, &again) == UNCHANGED);
    bytes_sink_fini(&sink);
    if (rc == 0)
        rc = check_answer(&again, asking->said);
    answer_free(&again);
    answer_free(&answer);
    CHECK(layer_info(instance, "f", &TERMS_NONE, &answer) == 0);
    if (rc == 0)
        rc = check_answer(&answer, asking->said);
    answer_free(&answer);
    return rc;
}

static struct fault_server *server;

static int setup(void **state)
{
    server = fault_server_start();
    backend_register(&http_backend);
    return 0;
}

static int teardown(void **state)
{
    fault_server_stop(server);
    return 0;
}

static void assert_said(struct larder_fs *fs, const struct said *said)
{
    fault_file_set(server, "/f",
                   &(struct fault_file){.data = "x",
                                        .size = 1,
                                        .etag = "\"v\"",
                                        .mtime = 1000000000,
                                        .headers = said->headers});
    struct asking asking = {fs, said};
    int rc = edge_run(larder_loop_default(), ask, &asking);
    if (rc < 0)
        fail_msg("%s: %s", said->headers, larder_error());
}

static void what_is_said_of_an_answer_arrives_with_it(void **state)
{
    struct larder_fs *fs;
    assert_ok(fs_open(NULL, fault_server_url(server), NULL, &fs, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_said(fs, &cases[i]);
    larder_fs_free(fs);
}

/* Of a read, of info, and of "unchanged". */
static void what_is_not_said_is_guessed_where_it_is_asked_for(void **state)
{
    static const struct said guessed[] = {
        {"", 60000, -1, 0},
        {"Age: 20\r\n", 40000, -1, 0},
        {"Last-Modified:\r\n", -1, -1, 0},
        {"Cache-Control: max-age=600\r\n", 600000, -1, 0},
        {"Cache-Control: no-cache\r\n", 0, -1, ANSWER_MUST_REVALIDATE},
    };
    const char *const options[] = {"http.heuristic=1m", NULL};
    struct larder_fs *fs;
    assert_ok(fs_open(NULL, fault_server_url(server), options, &fs, NULL));
    for (size_t i = 0; i < sizeof guessed / sizeof guessed[0]; i++)
        assert_said(fs, &guessed[i]);
    larder_fs_free(fs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_said_of_an_answer_arrives_with_it),
        cmocka_unit_test(what_is_not_said_is_guessed_where_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
