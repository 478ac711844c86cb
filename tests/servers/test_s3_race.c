/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that race to create the same keys: of those that try one, exactly one is told that it made it, and it is what
 * it made that is there. One of them loses requests and answers on the way, so it has to find out what became of them;
 * of every second key all write the same bytes, so that nothing but the write id tells whose they are.
 *
 * LARDER_S3_RACE_COUNT makes it longer.
 */
#include "test.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "drop_proxy.h"
#include "gateway.h"

#define RACERS    5
#define LOSER     0  /* the one behind the proxy */
#define AT_ONCE   32 /* keys of a round, for which all start together … */
#define JOBS      6  /* … with so many of them */
#define LOSSES    3  /* of a round */
#define COUNT_MAX 100000

static struct shared {
    atomic_uint winners[COUNT_MAX]; /* how many were told that they made this key */
    atomic_uint owners[COUNT_MAX];  /* and who was the last */
    atomic_uint arrived;            /* at the start of a round, of all rounds together */
    atomic_uint rounds;             /* that have begun */
} *shared;
static unsigned count;

static void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

static void key_of(unsigned number, char out[32])
{
    snprintf(out, 32, "race/%06u", number);
}

static void text_of(unsigned number, unsigned racer, char out[32])
{
    snprintf(out, 32, "%06u by %u", number, number % 2 ? RACERS : racer);
}

/* ---- a racer ---- */

/* The loser comes from one end of the keys, and the others from the other: what it tries first it wins, and loses the
 * answer. In the middle they meet. */
static int run_round(struct larder_fs *store, unsigned first, unsigned racer)
{
    struct larder_item items[AT_ONCE] = {0};
    char keys[AT_ONCE][32], texts[AT_ONCE][32];
    const struct larder_batch batch = {.size = sizeof batch, .on_error = LARDER_RETURN, .jobs_max = JOBS};
    unsigned numbers[AT_ONCE];
    for (unsigned i = 0; i < AT_ONCE; i++) {
        numbers[i] = first + (racer == LOSER ? i : AT_ONCE - 1 - i);
        key_of(numbers[i], keys[i]);
        text_of(numbers[i], racer, texts[i]);
        items[i] =
            (struct larder_item){.path = keys[i], .bytes = {.data = texts[i], .size = strlen(texts[i])}};
    }
    larder_pipe(store, items, AT_ONCE, LARDER_CREATE, &batch);
    for (unsigned i = 0; i < AT_ONCE; i++) {
        if (items[i].status == 0) {
            shared->winners[numbers[i]]++;
            shared->owners[numbers[i]] = racer;
        } else if (items[i].status != -EEXIST) {
            print_error("racer %u, %s: %s (%s)\n", racer, keys[i], larder_status_name(items[i].status),
                        larder_error());
            return 1;
        }
    }
    return 0;
}

static int race(const char *endpoint, unsigned racer)
{
    char option[128], url[64];
    const char *const options[] = {option, "skip_instance_cache=true", NULL};
    struct larder_fs *store;
    int rc = 0;
    snprintf(option, sizeof option, "endpoint=%s", endpoint);
    snprintf(url, sizeof url, "s3://%s", bucket);
    if (larder_open(NULL, url, options, &store, NULL) < 0)
        return 1;
    for (unsigned round = 0; rc == 0 && round * AT_ONCE < count; round++) {
        shared->arrived++;
        while (shared->rounds <= round)
            pause_a_little();
        rc = run_round(store, round * AT_ONCE, racer);
    }
    larder_fs_free(store);
    return rc;
}

static pid_t start(const char *endpoint, unsigned racer)
{
    pid_t child = fork();
    if (child == 0) {
        alarm(600);
        _exit(race(endpoint, racer));
    }
    return child;
}

/* ---- the race ---- */

/* Has none of them ended? */
static bool all_run(const pid_t racers[RACERS])
{
    for (unsigned i = 0; i < RACERS; i++) {
        siginfo_t info = {0};
        if (waitid(P_PID, (id_t)racers[i], &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid != 0)
            return false;
    }
    return true;
}

/* Each round begins when all are there; of the loser's first requests some are lost, or their answers. */
static void start_rounds(struct drop_proxy *proxy, const pid_t racers[RACERS])
{
    for (unsigned round = 0; round * AT_ONCE < count; round++) {
        while (shared->arrived < RACERS * (round + 1)) {
            if (!all_run(racers))
                return;
            pause_a_little();
        }
        drop_proxy_lose(proxy, "PUT", round % 2 ? DROP_REQUEST : DROP_ANSWER, LOSSES, NULL);
        shared->rounds++;
    }
}

static void assert_one_won(unsigned number, unsigned won[RACERS])
{
    char key[32], text[32];
    unsigned owner = shared->owners[number];
    key_of(number, key);
    text_of(number, owner, text);
    if (shared->winners[number] != 1)
        fail_msg("%s: %u were told that they made it", key, (unsigned)shared->winners[number]);
    won[owner]++;
    assert_text(key, text);
}

static void of_those_that_create_a_key_exactly_one_is_told_so(void **state)
{
    const char *wanted = getenv("LARDER_S3_RACE_COUNT");
    pid_t racers[RACERS];
    unsigned won[RACERS] = {0};
    gateway_need();
    count = wanted ? (unsigned)strtoul(wanted, NULL, 10) / AT_ONCE * AT_ONCE : 8 * AT_ONCE;
    assert_in_range(count, AT_ONCE, COUNT_MAX);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    struct drop_proxy *proxy = drop_proxy_start(server_url(gateway));
    for (unsigned i = 0; i < RACERS; i++)
        racers[i] = start(i == LOSER ? drop_proxy_url(proxy) : server_url(gateway), i);
    start_rounds(proxy, racers);
    for (unsigned i = 0; i < RACERS; i++) {
        int status;
        assert_int_equal(waitpid(racers[i], &status, 0), racers[i]);
        assert_int_equal(status, 0);
    }
    drop_proxy_stop(proxy);
    for (unsigned i = 0; i < count; i++)
        assert_one_won(i, won);
    print_message("%u keys: won by %u, %u, %u, %u and %u\n", count, won[0], won[1], won[2], won[3], won[4]);
    munmap(shared, sizeof *shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_those_that_create_a_key_exactly_one_is_told_so, gateway_bucket,
                                        gateway_no_bucket),
    };
    return cmocka_run_group_tests(tests, gateway_start, gateway_stop);
}
