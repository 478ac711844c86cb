/* SPDX-License-Identifier: Apache-2.0 */
/* Moving: by the place where it can, else by a copy; and never a loss. */
#include "task_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder/copy.h"

#include "backends/backends.h"
#include "fs/fs.h"
#include "odd_place.h"
#include "tmpdir.h"
#include "tree.h"

#define OPTIONS(...) ((struct larder_copy_options){.size = sizeof(struct larder_copy_options), __VA_ARGS__})
#define PATHS(...)   (const char *const[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)

/* MEMORY and LOCAL move within themselves; COUNTED, which shows memory's files, cannot. */
enum { MEMORY, LOCAL, COUNTED, PLACES };
static struct larder_fs *fs[PLACES];
static char *scratch;

static int setup(void **state)
{
    backend_register(&memory_backend);
    backend_register(&local_backend);
    odd_register();
    return 0;
}

static int before_each(void **state)
{
    scratch = tmpdir_make();
    assert_ok(fs_open(NULL, "memory://mv", NULL, &fs[MEMORY], NULL));
    assert_ok(fs_open(NULL, scratch, NULL, &fs[LOCAL], NULL));
    assert_ok(fs_open(NULL, "counted://mv", NULL, &fs[COUNTED], NULL));
    return larder_makedirs(fs[MEMORY], "", true);
}

static int after_each(void **state)
{
    int rc = larder_rm(fs[MEMORY], "", true);
    for (int i = 0; i < PLACES; i++)
        larder_fs_free(fs[i]);
    tmpdir_remove(scratch);
    return rc;
}

static void put(int place, const char *path, const char *text)
{
    assert_ok(larder_pipe_file(fs[place], path, text, strlen(text), LARDER_PARENTS));
}

static void assert_text(int place, const char *path, const char *text)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs[place], path, NULL, &bytes));
    assert_string_equal(bytes.data, text);
    larder_bytes_free(&bytes);
}

static void assert_gone(int place, const char *path)
{
    assert_status(0, larder_lexists(fs[place], path));
}

static int mv(int from, const char *source, int to, const char *target)
{
    return larder_mv(fs[from], &source, 1, fs[to], target, NULL);
}

/* The places between which something moves: within each, and to another. Memory's files are COUNTED's as well. */
static const int pairs[][2] = {{MEMORY, MEMORY}, {LOCAL, LOCAL},   {COUNTED, COUNTED}, {MEMORY, LOCAL},
                               {LOCAL, MEMORY},  {COUNTED, LOCAL}, {LOCAL, COUNTED}};
static void clear_places(void)
{
    assert_ok(larder_rm(fs[MEMORY], "", true));
    assert_ok(larder_makedirs(fs[MEMORY], "", true));
    assert_ok(larder_rm(fs[LOCAL], "", true));
    assert_ok(larder_makedirs(fs[LOCAL], "", true));
}

static void a_file_moves_to_a_name_or_into_a_directory(void **state)
{
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        int a = pairs[i][0], b = pairs[i][1];
        clear_places();
        put(a, "f", "1");
        assert_ok(mv(a, "f", b, "g"));
        assert_gone(a, "f");
        assert_text(b, "g", "1");
        put(a, "f", "2");
        put(b, "d/x", "x");
        assert_ok(mv(a, "f", b, "d"));
        assert_text(b, "d/f", "2");
        put(a, "f", "3");
        assert_ok(mv(a, "f", b, "d/f")); /* in place of another */
        assert_text(b, "d/f", "3");
        put(a, "f", "4");
        assert_ok(mv(a, "f", b, "new/"));
        assert_text(b, "new/f", "4");
        assert_gone(a, "f");
        assert_status(-ENOENT, mv(a, "f", b, "h"));
        assert_gone(b, "h");
    }
}

static void a_directory_moves_whole(void **state)
{
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        int a = pairs[i][0], b = pairs[i][1];
        clear_places();
        put(a, "s/x/f", "f");
        put(a, "s/g", "g");
        assert_ok(larder_makedirs(fs[a], "s/empty", true));
        assert_ok(mv(a, "s", b, "t"));
        assert_gone(a, "s");
        assert_text(b, "t/x/f", "f");
        assert_text(b, "t/g", "g");
        assert_status(1, larder_isdir(fs[b], "t/empty"));
        put(a, "s/h", "h");
        assert_ok(mv(a, "s/", b, "t")); /* a slash behind it means nothing */
        assert_text(b, "t/s/h", "h");
        put(a, "s/h", "again");
        assert_true(mv(a, "s", b, "t") < 0); /* t/s is there, and not empty */
        assert_text(a, "s/h", "again");
        assert_text(b, "t/s/h", "h");
    }
}

static void what_moves_onto_itself_stays_and_into_itself_is_refused(void **state)
{
    for (int a = 0; a < PLACES; a++) {
        clear_places();
        put(a, "d/e/f", "f");
        assert_ok(mv(a, "d/e/f", a, "d/e/f"));
        assert_ok(mv(a, "d/e/f", a, "d/e"));
        assert_ok(mv(a, "d/e", a, "d"));
        assert_status(-EINVAL, mv(a, "d", a, "d/e"));
        assert_status(-EINVAL, mv(a, "d", a, "d/new"));
        assert_status(-ENOENT, mv(a, "none", a, "none"));
        assert_text(a, "d/e/f", "f");
    }
    /* the same files, by two handles */
    struct larder_fs *below;
    assert_ok(larder_fs_at(fs[LOCAL], "d", NULL, &below));
    put(LOCAL, "d/g", "g");
    assert_ok(larder_mv(fs[LOCAL], PATHS("d/g"), below, "g", NULL));
    assert_text(LOCAL, "d/g", "g");
    larder_fs_free(below);
}

static void several_go_into_a_directory(void **state)
{
    struct larder_copy_options options = OPTIONS(.glob = true);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        int a = pairs[i][0], b = pairs[i][1];
        clear_places();
        put(a, "a1", "1");
        put(a, "a2/f", "2");
        put(a, "b/f", "b");
        put(a, "c/f", "c");
        assert_ok(larder_mv(fs[a], PATHS("a*"), fs[b], "t", &options));
        assert_text(b, "t/a1", "1");
        assert_text(b, "t/a2/f", "2");
        assert_ok(larder_mv(fs[a], PATHS("b", "c"), fs[b], "u", NULL));
        assert_text(b, "u/b/f", "b");
        assert_text(b, "u/c/f", "c");
        put(a, "x/f", "x");
        put(a, "y/f", "y");
        options.on_error = LARDER_RETURN;
        assert_status(-EEXIST, larder_mv(fs[a], PATHS("x/f", "y/f", "none"), fs[b], "v", &options));
        assert_status(-EEXIST, larder_mv(fs[a], PATHS("[xy]/f"), fs[b], "v", &options));
        assert_text(a, "x/f", "x"); /* both would have the same name */
        assert_int_equal(larder_mv(fs[a], PATHS("x/f", "none"), fs[b], "v", &options), 1);
        assert_text(b, "v/f", "x");
        options.on_error = LARDER_RAISE;
        assert_ok(larder_mv(fs[a], PATHS("y*/f"), fs[b], "w", &options));
        assert_text(b, "w/f", "y");
    }
    options.recursive = true;
    assert_status(-EINVAL, larder_mv(fs[0], PATHS("a"), fs[0], "b", &options));
}

static void what_exists_is_spared_on_request(void **state)
{
    struct larder_copy_options options = OPTIONS(.create = true);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        int a = pairs[i][0], b = pairs[i][1];
        clear_places();
        put(a, "f", "new");
        put(b, "g", "old");
        assert_status(-EEXIST, larder_mv(fs[a], PATHS("f"), fs[b], "g", &options));
        assert_text(a, "f", "new");
        assert_text(b, "g", "old");
    }
}

static void directories_are_not_made_but_for_a_slash(void **state)
{
    put(LOCAL, "f", "f");
    put(MEMORY, "f", "f");
    assert_status(-ENOENT, mv(LOCAL, "f", LOCAL, "no/f"));
    assert_gone(LOCAL, "no");
    assert_text(LOCAL, "f", "f");
    assert_ok(mv(LOCAL, "f", LOCAL, "no/such/"));
    assert_text(LOCAL, "no/such/f", "f");
}

/* ---- what must not be lost ---- */

static void of_a_link_only_the_link_goes(void **state)
{
    char *link = tmpdir_path(scratch, "s/link"), *file = tmpdir_path(scratch, "s/file");
    put(LOCAL, "s/f", "f");
    put(LOCAL, "elsewhere/g", "g");
    assert_int_equal(symlink("../elsewhere", link), 0);
    assert_int_equal(symlink("../elsewhere/g", file), 0);
    assert_ok(mv(LOCAL, "s", MEMORY, "t"));
    assert_text(MEMORY, "t/f", "f");
    assert_text(MEMORY, "t/link/g", "g");
    assert_text(MEMORY, "t/file", "g");
    assert_gone(LOCAL, "s");
    assert_text(LOCAL, "elsewhere/g", "g");
    free(link);
    free(file);
}

static void what_cannot_be_copied_stays_with_all_the_rest(void **state)
{
    char *fifo = tmpdir_path(scratch, "s/d/fifo");
    put(LOCAL, "s/f", "f");
    put(LOCAL, "s/d/g", "g");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_status(-ENOTSUP, mv(LOCAL, "s", MEMORY, "t"));
    assert_text(LOCAL, "s/f", "f");
    assert_text(LOCAL, "s/d/g", "g");
    assert_ok(mv(LOCAL, "s", LOCAL, "t")); /* by its name it moves */
    assert_status(1, larder_exists(fs[LOCAL], "t/d/fifo"));
    free(fifo);
}

static void a_failed_copy_removes_nothing(void **state)
{
    put(MEMORY, "s/a", "a");
    put(MEMORY, "s/b", "b");
    put(LOCAL, "t/s", "in the way");
    assert_true(mv(MEMORY, "s", LOCAL, "t") < 0);
    assert_text(MEMORY, "s/a", "a");
    assert_text(MEMORY, "s/b", "b");
    assert_text(LOCAL, "t/s", "in the way");
}

static struct file_seam real;

static int rename_and_add(const char *from, const char *to)
{
    put(MEMORY, "s/late", "late");
    return real.rename(from, to);
}

static void what_comes_meanwhile_stays(void **state)
{
    put(MEMORY, "s/a", "a");
    real = file_seam;
    file_seam.rename = rename_and_add;
    int rc = mv(MEMORY, "s", LOCAL, "t");
    file_seam = real;
    assert_int_equal(rc, -ENOTEMPTY);
    assert_text(LOCAL, "t/a", "a");
    assert_text(MEMORY, "s/late", "late");
    assert_gone(MEMORY, "s/a");
}

static int task(void *arg)
{
    put(MEMORY, "s/a", "a");
    CHECK(mv(MEMORY, "s", LOCAL, "s") == 0);
    CHECK(mv(LOCAL, "s", LOCAL, "t") == 0);
    CHECK(mv(LOCAL, "t", COUNTED, "t") == 0);
    return 0;
}

static void a_task_moves_as_well(void **state)
{
    assert_ok(larder_sync(NULL, task, NULL, 0));
    assert_text(MEMORY, "t/a", "a");
    assert_gone(LOCAL, "t");
}

/* ---- what changes meanwhile ---- */

static int rewrite_when_copied(void *arg, const struct larder_copy_news *news)
{
    if (news->event == LARDER_COPY_DONE && strcmp(news->from, "s/b") == 0)
        return larder_pipe_file(fs[COUNTED], "s/b", "new", 3, 0);
    return 0;
}

static void what_changed_after_it_was_copied_stays(void **state)
{
    static const char *const sources[] = {"s/b", "s"};
    for (size_t i = 0; i < 2; i++) {
        struct larder_copy_options options = OPTIONS(.told = rewrite_when_copied);
        clear_places();
        put(COUNTED, "s/a", "1");
        put(COUNTED, "s/b", "old");
        assert_status(-ESTALE, larder_mv(fs[COUNTED], &sources[i], 1, fs[LOCAL], "t", &options));
        assert_non_null(strstr(larder_error(), "s/b: it changed"));
        assert_text(COUNTED, "s/b", "new");
        assert_text(LOCAL, i == 0 ? "t" : "t/b", "old");
    }
}

/* ---- several at once ---- */

#define MOVERS 4
#define ROUNDS 150

/* Of one round: all begin together, the reader ends after them. */
struct race {
    int place;
    bool tree;
    pthread_barrier_t begin;
    atomic_int left; /* movers under way */
    struct mover {
        struct race *race;
        pthread_t thread;
        char target[8];
        int rc;
    } movers[MOVERS];
    const char *wrong; /* what the reader saw; NULL: nothing that cannot be */
};

static void *move_source(void *arg)
{
    struct mover *mover = arg;
    struct race *race = mover->race;
    pthread_barrier_wait(&race->begin);
    mover->rc = mv(race->place, "source", race->place, mover->target);
    race->left--;
    return NULL;
}

/* 1: whole; 0: not there; else how it failed. */
static int look_at(const struct race *race, const char *name)
{
    struct larder_bytes bytes = {0};
    char path[32];
    snprintf(path, sizeof path, "%s%s", name, race->tree ? "/f" : "");
    int rc = larder_cat_file(fs[race->place], path, NULL, &bytes);
    bool whole = rc == 0 && bytes.size == 5 && memcmp(bytes.data, "whole", 5) == 0;
    larder_bytes_free(&bytes);
    return rc == -ENOENT || rc == -ENOTDIR ? 0 : rc < 0 ? rc : whole ? 1 : -EBADMSG;
}

/* Once it is gone from where it was it is at one of the others, and stays. */
static void *read_meanwhile(void *arg)
{
    struct race *race = arg;
    pthread_barrier_wait(&race->begin);
    for (bool last = false; !last && !race->wrong;) {
        last = race->left == 0;
        int found = look_at(race, "source"), there = 0;
        for (int i = 0; found == 0 && i < MOVERS; i++) {
            int rc = look_at(race, race->movers[i].target);
            there = rc < 0 ? rc : there + rc;
            if (rc < 0)
                break;
        }
        if (found < 0 || (found == 0 && there != 1))
            race->wrong = found < 0 || there < 0 ? "not whole" : there == 0 ? "nowhere" : "twice";
    }
    return NULL;
}

static void run_round(struct race *race)
{
    pthread_t reader;
    int won = 0;
    pthread_barrier_init(&race->begin, NULL, MOVERS + 1);
    race->left = MOVERS;
    for (int i = 0; i < MOVERS; i++) {
        struct mover *mover = &race->movers[i];
        *mover = (struct mover){.race = race};
        snprintf(mover->target, sizeof mover->target, "t%d", i);
        assert_int_equal(pthread_create(&mover->thread, NULL, move_source, mover), 0);
    }
    assert_int_equal(pthread_create(&reader, NULL, read_meanwhile, race), 0);
    for (int i = 0; i < MOVERS; i++) {
        pthread_join(race->movers[i].thread, NULL);
        if (race->movers[i].rc != -ENOENT)
            assert_ok(race->movers[i].rc);
        won += race->movers[i].rc == 0;
    }
    pthread_join(reader, NULL);
    pthread_barrier_destroy(&race->begin);
    assert_int_equal(won, 1);
    if (race->wrong)
        fail_msg("place %d, %s: %s", race->place, race->tree ? "a tree" : "a file", race->wrong);
}

static void of_several_who_move_a_source_one_does(void **state)
{
    for (int place = MEMORY; place <= LOCAL; place++)
        for (int tree = 0; tree < 2; tree++)
            for (int i = 0; i < ROUNDS; i++) {
                struct race race = {.place = place, .tree = tree};
                clear_places();
                put(place, tree ? "source/f" : "source", "whole");
                run_round(&race);
            }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, before_each, after_each)
    const struct CMUnitTest tests[] = {
        TEST(a_file_moves_to_a_name_or_into_a_directory),
        TEST(a_directory_moves_whole),
        TEST(what_moves_onto_itself_stays_and_into_itself_is_refused),
        TEST(several_go_into_a_directory),
        TEST(what_exists_is_spared_on_request),
        TEST(directories_are_not_made_but_for_a_slash),
        TEST(of_a_link_only_the_link_goes),
        TEST(what_cannot_be_copied_stays_with_all_the_rest),
        TEST(a_failed_copy_removes_nothing),
        TEST(what_comes_meanwhile_stays),
        TEST(what_changed_after_it_was_copied_stays),
        TEST(of_several_who_move_a_source_one_does),
        TEST(a_task_moves_as_well),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
