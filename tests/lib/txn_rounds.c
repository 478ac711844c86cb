/* SPDX-License-Identifier: Apache-2.0 */
#include "txn_rounds.h"

#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "larder.h"
#include "larder/s3.h"

#include "tmpdir.h"
#include "tree.h"

#define FILES       60
#define CHANGES_TOP 50
#define EXIT_OK     0
#define EXIT_LATER  3 /* -EINPROGRESS */

static const struct rounds_place *place;
static unsigned random_state;

struct change {
    unsigned file, version; /* 0: deleted */
};
static struct round {
    struct change changes[CHANGES_TOP];
    unsigned count;
    bool conditional, rollback;
} round_;
static unsigned versions[FILES]; /* what is there; 0: nothing */
static unsigned last_version;
static struct rounds_counts counts;

unsigned rounds_draw(unsigned below)
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

/* Most ride in the journal; some do not. */
static size_t size_of(unsigned version)
{
    if (place->huge && version % 20 == 7)
        return place->huge + version;
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
    if (larder_open(NULL, place->url, NULL, &fs, NULL) < 0)
        return 1;
    for (unsigned i = 0; i < round_.count; i++) {
        const struct change *change = &round_.changes[i];
        seen->news += has_version(fs, change->file, change->version);
        seen->olds += has_version(fs, change->file, versions[change->file]);
    }
    if (place->uploads && larder_s3_uploads(fs, "", &uploads) == 0)
        seen->uploads = (unsigned)uploads.count;
    larder_s3_uploads_free(&uploads);
    larder_fs_free(fs);
    return 0;
}

/* ---- the writer ---- */

void rounds_next(void)
{
    bool used[FILES] = {false};
    round_ =
        (struct round){.count =
                           1 + rounds_draw(rounds_draw(2) && place->changes_max > 8 ? 8 : place->changes_max),
                       .conditional = rounds_draw(3) == 0};
    round_.rollback = rounds_draw(10) == 0;
    for (unsigned i = 0; i < round_.count; i++) {
        unsigned file;
        do
            file = rounds_draw(FILES);
        while (used[file]);
        used[file] = true;
        bool deletes = versions[file] && rounds_draw(4) == 0;
        round_.changes[i] = (struct change){file, deletes ? 0 : ++last_version};
    }
}

/* What is there now must be there still. */
static int keep_version(struct larder_fs *view, const char *path)
{
    struct larder_info info;
    int rc = larder_info(view, path, &info);
    if (rc < 0)
        return rc;
    rc = info.version ? larder_txn_if_match(view, path, info.version) : 0;
    larder_info_free(&info);
    return rc;
}

/* A condition on a file that is not changed. */
static int keep_another(struct larder_fs *view)
{
    char path[64];
    for (unsigned file = 0; file < FILES; file++) {
        bool changes = false;
        for (unsigned i = 0; i < round_.count; i++)
            changes |= round_.changes[i].file == file;
        file_path(file, path);
        if (versions[file] && !changes)
            return keep_version(view, path);
    }
    return 0;
}

static int change_one(struct larder_fs *view, const struct change *change)
{
    char path[64];
    file_path(change->file, path);
    int rc = round_.conditional && versions[change->file] ? keep_version(view, path) : 0;
    if (rc < 0 || !change->version)
        return rc < 0 ? rc : larder_rm_file(view, path);
    size_t size = size_of(change->version);
    bool creates = round_.conditional && !versions[change->file];
    char *data = content_make(size, change->version);
    rc = larder_pipe_file(view, path, data, size, LARDER_PARENTS | (creates ? LARDER_CREATE : 0));
    free(data);
    bool touches = change->version % 3 == 0 && larder_fs_capabilities(view)->touch;
    return rc == 0 && touches ? larder_touch(view, path, false) : rc;
}

static int write_all(struct larder_txn *txn, struct larder_fs *fs)
{
    struct larder_fs *view;
    int rc = larder_txn_fs(txn, fs, &view);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; rc == 0 && i < round_.count; i++)
        rc = change_one(view, &round_.changes[i]);
    if (rc == 0 && round_.conditional)
        rc = keep_another(view);
    larder_fs_free(view);
    return rc;
}

int rounds_write(void)
{
    char option[300];
    snprintf(option, sizeof option, "journal=%s", place->journal);
    const char *const options[] = {option, NULL};
    struct larder_txn *txn;
    struct larder_fs *fs;
    if (larder_open(NULL, place->url, NULL, &fs, NULL) < 0 || larder_txn_begin(options, &txn) < 0)
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

int rounds_recover(void)
{
    larder_log_to(print_log, NULL, LARDER_LOG_WARNING);
    int left = larder_txn_recover(place->journal, NULL, NULL);
    if (left != 0)
        print_error("recovery: %d: %s\n", left, larder_error());
    return left != 0;
}

/* ---- processes ---- */

/* Killed at a crash point, or after some time; its wait status. */
int rounds_run(int (*fn)(void), const char *crash_at, unsigned after_us)
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

bool rounds_was_killed(int status)
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
    return larder_txn_list(place->journal, count_one, &count) < 0 || count > 0;
}

static void assert_nothing_is_left(void)
{
    char *payload = tmpdir_path(place->journal, "payload");
    DIR *all = opendir(payload);
    int names = 0;
    while (all && readdir(all))
        names++;
    if (all)
        closedir(all);
    free(payload);
    assert_true(names <= 2);
    assert_int_equal(rounds_run(list_journal, NULL, 0), 0);
    assert_int_equal(place->tree ? tmpdir_count_temporaries(place->tree) : 0, 0);
}

/* All of it, or none; then that is what is there. */
static void judge(bool acknowledged)
{
    *seen = (struct seen){0};
    assert_int_equal(rounds_run(look, NULL, 0), 0);
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

bool rounds_end(int status)
{
    bool killed = rounds_was_killed(status);
    bool acknowledged = !killed && WEXITSTATUS(status) == EXIT_OK;
    if (!killed)
        assert_int_equal(status, 0);
    assert_int_equal(rounds_run(rounds_recover, NULL, 0), 0);
    counts.rounds++;
    counts.kills += killed;
    counts.acknowledged += acknowledged;
    judge(acknowledged);
    assert_nothing_is_left();
    return killed;
}

bool rounds_play(const char *crash_at, unsigned after_us, const char *recovery_crash_at)
{
    int status = rounds_run(rounds_write, crash_at, after_us);
    if (recovery_crash_at)
        counts.recoveries_killed += rounds_was_killed(rounds_run(rounds_recover, recovery_crash_at, 0));
    return rounds_end(status);
}

/* ---- all of them ---- */

static int make_bucket(void)
{
    struct larder_fs *fs;
    return larder_open(NULL, "s3://", NULL, &fs, NULL) < 0 || larder_mkdir(fs, "kill", false) < 0;
}

void rounds_use_gateway(const char *url)
{
    setenv("AWS_ENDPOINT_URL_S3", url, 1);
    setenv("AWS_ACCESS_KEY_ID", "testkey", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "testsecret", 1);
    assert_int_equal(rounds_run(make_bucket, NULL, 0), 0);
}

void rounds_begin(const struct rounds_place *new_place, unsigned seed)
{
    place = new_place;
    random_state = seed;
    memset(versions, 0, sizeof versions);
    counts = (struct rounds_counts){0};
    assert_true(place->changes_max <= CHANGES_TOP);
    if (!seen)
        seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(seen, MAP_FAILED);
}

const struct rounds_counts *rounds_counts(void)
{
    return &counts;
}

void rounds_print(void)
{
    print_message("%s: %u transactions, %u writers killed, %u recoveries killed; %u acknowledged, %u there\n",
                  place->name, counts.rounds, counts.kills, counts.recoveries_killed, counts.acknowledged,
                  counts.there);
}
