/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions under SIGKILL. A writer commits new files, other bytes and deletions, 1 to 50 at a time, and is killed: at
 * each named crash point, each time that it is reached, and at random moments. Then somebody else recovers, who may be
 * killed as well, and is followed by one who is not. After that the transaction is wholly there, or wholly not; it is
 * there if its commit was acknowledged; and nothing of it is left, neither in the journal nor beside it nor at the place.
 *
 * LARDER_KILL_SECONDS makes the random part longer, LARDER_KILL_SEED another.
 */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"
#include "larder/s3.h"

#include "server.h"
#include "tmpdir.h"
#include "tree.h"

#define FILES       60
#define CHANGES_MAX 50
#define EXIT_OK     0
#define EXIT_LATER  3 /* -EINPROGRESS */

static char *scratch, *journal;
static char tree[300], url[300]; /* the place: what is on this machine's disk, and how it is written */
static unsigned random_state;

struct change {
    unsigned file, version; /* 0: deleted */
};
static struct round {
    struct change changes[CHANGES_MAX];
    unsigned count;
    bool conditional, rollback;
} round_;
static unsigned versions[FILES]; /* what is there; 0: nothing */
static unsigned last_version;
static struct counts {
    unsigned rounds, kills, acknowledged, there, recoveries_killed;
} counts;

static unsigned draw(unsigned below)
{
    return (unsigned)rand_r(&random_state) % below;
}

/* ---- files ---- */

static void file_path(unsigned file, char out[64])
{
    if (file % 3 == 0)
        snprintf(out, 64, "f%u", file);
    else
        snprintf(out, 64, "d%u/e%u/f%u", file % 5, file % 2, file);
}

/* Most ride in the journal; some are files beside it. */
static size_t size_of(unsigned version)
{
    return version % 13 == 0 ? 150000 + version : 1 + version * 37 % 5000;
}

/* What another process sees. */
static struct seen {
    unsigned news, olds, uploads;
} *seen;

static bool has_version(struct larder_fs *fs, unsigned file, unsigned version)
{
    struct larder_bytes bytes = {0};
    char path[64];
    file_path(file, path);
    int rc = larder_cat_file(fs, path, NULL, &bytes);
    bool same = version ? rc == 0 && bytes.size == size_of(version) &&
                              content_matches(bytes.data, bytes.size, version, 0)
                        : rc == -ENOENT;
    larder_bytes_free(&bytes);
    return same;
}

static int look(void)
{
    struct larder_s3_uploads uploads = {0};
    struct larder_fs *fs;
    if (larder_open(NULL, url, NULL, &fs, NULL) < 0)
        return 1;
    for (unsigned i = 0; i < round_.count; i++) {
        const struct change *change = &round_.changes[i];
        seen->news += has_version(fs, change->file, change->version);
        seen->olds += has_version(fs, change->file, versions[change->file]);
    }
    if (strstr(url, "s3://") && larder_s3_uploads(fs, "", &uploads) == 0)
        seen->uploads = (unsigned)uploads.count;
    larder_s3_uploads_free(&uploads);
    larder_fs_free(fs);
    return 0;
}

static unsigned count_temporaries(const char *dir)
{
    DIR *all = opendir(dir);
    struct dirent *entry;
    unsigned count = 0;
    while (all && (entry = readdir(all))) {
        char path[600];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%.300s/%.255s", dir, entry->d_name);
        count += strncmp(entry->d_name, ".larder", 7) == 0;
        if (entry->d_type == DT_DIR)
            count += count_temporaries(path);
    }
    if (all)
        closedir(all);
    return count;
}

/* ---- the writer ---- */

static void draw_round(void)
{
    bool used[FILES] = {false};
    round_ = (struct round){.count = 1 + draw(draw(2) ? 8 : CHANGES_MAX), .conditional = draw(3) == 0};
    round_.rollback = draw(10) == 0;
    for (unsigned i = 0; i < round_.count; i++) {
        unsigned file;
        do
            file = draw(FILES);
        while (used[file]);
        used[file] = true;
        bool deletes = versions[file] && draw(4) == 0;
        round_.changes[i] = (struct change){file, deletes ? 0 : ++last_version};
    }
}

static int change_one(struct larder_fs *view, const struct change *change)
{
    char path[64];
    file_path(change->file, path);
    if (!change->version)
        return larder_rm_file(view, path);
    size_t size = size_of(change->version);
    bool creates = round_.conditional && !versions[change->file];
    char *data = content_make(size, change->version);
    int rc = larder_pipe_file(view, path, data, size, LARDER_PARENTS | (creates ? LARDER_CREATE : 0));
    free(data);
    return rc;
}

static int write_all(struct larder_txn *txn, struct larder_fs *fs)
{
    struct larder_fs *view;
    int rc = larder_txn_fs(txn, fs, &view);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; rc == 0 && i < round_.count; i++)
        rc = change_one(view, &round_.changes[i]);
    larder_fs_free(view);
    return rc;
}

static int write_round(void)
{
    char option[300];
    snprintf(option, sizeof option, "journal=%s", journal);
    const char *const options[] = {option, NULL};
    struct larder_txn *txn;
    struct larder_fs *fs;
    if (larder_open(NULL, url, NULL, &fs, NULL) < 0 || larder_txn_begin(options, &txn) < 0)
        return 1;
    int rc = write_all(txn, fs);
    if (rc == 0)
        rc = round_.rollback ? larder_txn_rollback(txn) : larder_txn_commit(txn, NULL);
    if (rc < 0)
        print_error("%s\n", larder_error());
    larder_fs_free(fs);
    return rc == 0 ? EXIT_OK : rc == -EINPROGRESS ? EXIT_LATER : 1;
}

static void print_log(void *arg, enum larder_log_level level, const char *message)
{
    print_error("%s\n", message);
}

static int recover(void)
{
    larder_log_to(print_log, NULL, LARDER_LOG_WARNING);
    int left = larder_txn_recover(journal, NULL, NULL);
    if (left != 0)
        print_error("recovery: %d: %s\n", left, larder_error());
    return left != 0;
}

/* ---- processes ---- */

/* Killed at a crash point, or after some time; its wait status. */
static int run(int (*fn)(void), const char *crash_at, unsigned after_us)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        if (crash_at)
            setenv("LARDER_CRASH_AT", crash_at, 1);
        _exit(fn());
    }
    if (after_us) {
        nanosleep(&(struct timespec){.tv_nsec = after_us * 1000L}, NULL);
        kill(child, SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static bool was_killed(int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    assert_true(WIFEXITED(status));
    return false;
}

static int count_one(void *arg, const struct larder_txn_info *info)
{
    ++*(int *)arg;
    return 0;
}

static int list_journal(void)
{
    int count = 0;
    return larder_txn_list(journal, count_one, &count) < 0 || count > 0;
}

static void assert_nothing_is_left(void)
{
    char *payload = tmpdir_path(journal, "payload");
    DIR *all = opendir(payload);
    int names = 0;
    while (all && readdir(all))
        names++;
    if (all)
        closedir(all);
    free(payload);
    assert_true(names <= 2);
    assert_int_equal(run(list_journal, NULL, 0), 0);
    assert_int_equal(*tree ? count_temporaries(tree) : 0, 0);
}

/* All of it, or none; then that is what is there. */
static void judge(bool acknowledged)
{
    *seen = (struct seen){0};
    assert_int_equal(run(look, NULL, 0), 0);
    unsigned news = seen->news, olds = seen->olds;
    assert_int_equal(seen->uploads, 0);
    if (acknowledged && !round_.rollback)
        assert_int_equal(news, round_.count);
    if (round_.rollback)
        assert_int_equal(olds, round_.count);
    if (news != round_.count && olds != round_.count)
        fail_msg("of %u changes %u are there, and %u are as before", round_.count, news, olds);
    bool there = news == round_.count;
    counts.there += there;
    for (unsigned i = 0; there && i < round_.count; i++)
        versions[round_.changes[i].file] = round_.changes[i].version;
}

/* Was the writer killed? */
static bool play(const char *crash_at, unsigned after_us, const char *recovery_crash_at)
{
    int status = run(write_round, crash_at, after_us);
    bool killed = was_killed(status);
    bool acknowledged = !killed && WEXITSTATUS(status) == EXIT_OK;
    if (!killed)
        assert_int_equal(status, 0);
    if (recovery_crash_at)
        counts.recoveries_killed += was_killed(run(recover, recovery_crash_at, 0));
    assert_int_equal(run(recover, NULL, 0), 0);
    counts.rounds++;
    counts.kills += killed;
    counts.acknowledged += acknowledged;
    judge(acknowledged);
    assert_nothing_is_left();
    return killed;
}

/* ---- where it strikes ---- */

static const char *const points[] = {
    "txn.payload_file",
    "txn.staging_noted",
    "txn.part_staged",
    "txn.before_seal",
    "journal.before_commit",
    "journal.after_commit",
    "txn.sealed",
    "txn.stage_begun",
    "txn.stage_noted",
    "txn.stage_sent",
    "txn.deciding",
    "txn.condition_written",
    "txn.decided",
    "txn.write_begun",
    "txn.write_sent",
    "txn.written",
    "txn.removed",
    "txn.directory_made",
    "txn.all_written",
    "txn.published",
    "txn.synced",
    "txn.forgotten",
    "txn.ending",
    "txn.discarded",
    "local.staged",
    "local.before_rename",
};
#define POINTS (sizeof points / sizeof points[0])

/* The first so many times that each is reached. */
static void a_kill_at_any_named_point_is_recovered_from(unsigned turns)
{
    for (size_t i = 0; i < POINTS; i++)
        for (unsigned turn = 1; turn <= turns; turn++) {
            char point[64];
            snprintf(point, sizeof point, "%s:%u", points[i], turn);
            draw_round();
            play(point, 0, draw(2) ? points[draw(POINTS)] : NULL);
        }
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void a_kill_at_any_moment_is_recovered_from(double seconds)
{
    for (double until = now_s() + seconds; now_s() < until;) {
        draw_round();
        play(NULL, 500 + draw(60000), draw(4) ? NULL : points[draw(POINTS)]);
    }
}

static void play_all(const char *name, unsigned turns)
{
    const char *seed = getenv("LARDER_KILL_SEED"), *seconds = getenv("LARDER_KILL_SECONDS");
    random_state = seed ? (unsigned)strtoul(seed, NULL, 10) : 1;
    memset(versions, 0, sizeof versions);
    counts = (struct counts){0};
    a_kill_at_any_named_point_is_recovered_from(seconds ? 3 : turns);
    a_kill_at_any_moment_is_recovered_from(seconds ? atof(seconds) / 3 : 1.5);
    print_message("%s: %u transactions, %u writers killed, %u recoveries killed; %u acknowledged, %u there\n",
                  name, counts.rounds, counts.kills, counts.recoveries_killed, counts.acknowledged,
                  counts.there);
    assert_true(counts.kills > counts.rounds / 5 && counts.there > 0);
}

static void on_a_local_disk_a_transaction_is_all_or_nothing(void **state)
{
    snprintf(tree, sizeof tree, "%s/tree", scratch);
    snprintf(url, sizeof url, "%s", tree);
    assert_int_equal(mkdir(tree, 0700), 0);
    play_all("local", 3);
}

static void over_webdav_a_transaction_is_all_or_nothing(void **state)
{
    struct server *server = server_start("nginx", NULL);
    if (!server)
        skip();
    snprintf(tree, sizeof tree, "%s/kill", server_dav_root(server));
    snprintf(url, sizeof url, "webdav%s/dav/kill", server_url(server) + 4);
    assert_int_equal(mkdir(tree, 0700), 0);
    play_all("webdav (nginx)", 1);
    server_stop(server);
}

static int make_bucket(void)
{
    struct larder_fs *fs;
    return larder_open(NULL, "s3://", NULL, &fs, NULL) < 0 || larder_mkdir(fs, "kill", false) < 0;
}

/* With a cache in front, which is to show the new as soon as it is there. */
static void on_s3_behind_a_cache_a_transaction_is_all_or_nothing(void **state)
{
    struct server *server = server_start("rgw", NULL);
    char *cache = tmpdir_path(scratch, "cache");
    if (!server)
        skip();
    setenv("AWS_ENDPOINT_URL_S3", server_url(server), 1);
    setenv("AWS_ACCESS_KEY_ID", "testkey", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
    setenv("LARDER_CACHE_DIR", cache, 1);
    tree[0] = 0;
    snprintf(url, sizeof url, "cache::s3://kill/tree");
    assert_int_equal(run(make_bucket, NULL, 0), 0);
    play_all("cache::s3 (RGW)", 1);
    free(cache);
    server_stop(server);
}

static int setup(void **state)
{
    scratch = tmpdir_make();
    journal = tmpdir_path(scratch, "journal");
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return seen == MAP_FAILED;
}

static int teardown(void **state)
{
    munmap(seen, sizeof *seen);
    free(journal);
    tmpdir_remove(scratch);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(on_a_local_disk_a_transaction_is_all_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(over_webdav_a_transaction_is_all_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(on_s3_behind_a_cache_a_transaction_is_all_or_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
