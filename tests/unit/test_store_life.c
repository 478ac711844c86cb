/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a store, and who has which of its locks: other threads, the writer that would close it, a fork's child. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/lock.h"
#include "cache/shared.h"
#include "store_case.h"
#include "task_test.h"
#include "tmpdir.h"

/* ---- the writer closes it ---- */

static sem_t reached, let_on;

static void done_when_let(struct op *op, int status)
{
    sem_post(&reached);
    sem_wait(&let_on);
    put_done(op, status);
}

/* As when the writer saw an empty queue, and only then somebody put something, and ended. */
static void what_was_put_while_the_writer_was_closing_is_written(void **state)
{
    struct put *first = make_put("a", "v1", 1000, 1);
    sem_init(&reached, 0, 0);
    sem_init(&let_on, 0, 0);
    first->op.done = done_when_let;
    assert_ok(writer_add(store, &first->op));
    sem_wait(&reached);
    put("b", "v1", 2000, 2);
    store_unref(store);
    assert_false(store_close_now(store));
    sem_post(&let_on);
    assert_ok(store_open(case_dir, &store));
    flush();
    assert_ok(check("a", 1000, 1));
    assert_ok(check("b", 2000, 2));
}

/* ---- another is opened ---- */

static int (*real_statfs)(const char *path, struct statfs *out);

static int statfs_when_let(const char *path, struct statfs *out)
{
    sem_post(&reached);
    sem_wait(&let_on);
    return real_statfs(path, out);
}

static void *open_another(void *arg)
{
    struct store *another;
    if (store_open(arg, &another) < 0)
        return arg;
    store_unref(another);
    return NULL;
}

static void a_store_is_used_while_another_is_opened(void **state)
{
    char *dir = tmpdir_path(case_scratch, "another");
    pthread_t thread;
    void *failed;
    sem_init(&reached, 0, 0);
    sem_init(&let_on, 0, 0);
    real_statfs = file_seam.statfs;
    file_seam.statfs = statfs_when_let;
    assert_int_equal(pthread_create(&thread, NULL, open_another, dir), 0);
    sem_wait(&reached); /* it has the lock of the process's stores */
    alarm(30);
    store_unref(store_ref(store));
    alarm(0);
    sem_post(&let_on);
    pthread_join(thread, &failed);
    file_seam.statfs = real_statfs;
    assert_null(failed);
    free(dir);
}

/* ---- locks ---- */

static void lock_of(struct lock *lock, const char *path)
{
    lock_init(lock, store, KEY_RECORD, &place, path);
}

static int CO_EDGE take_lock(void *arg)
{
    return lock_wait(arg, 0, 1, 0);
}

/* As another process sees it. */
static bool is_free(const struct lock *lock)
{
    return range_is_free(store->lock_path, lock->start, lock->count) == 1;
}

static void a_forks_child_ends_no_lock_of_its_parent(void **state)
{
    struct lock lock;
    int status;
    lock_of(&lock, "a");
    assert_task(take_lock, &lock);
    assert_true(lock.held && !is_free(&lock));
    uint64_t alone = store->shared->alone[lock.hash % LOCK_SLOTS];
    pthread_mutex_lock(&store->locks.mutex); /* as another thread may have it just then */
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        lock_end(&lock, false);
        _exit(lock.held);
    }
    pthread_mutex_unlock(&store->locks.mutex);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(store->shared->alone[lock.hash % LOCK_SLOTS], alone);
    assert_false(is_free(&lock));
    lock_end(&lock, true);
    assert_true(is_free(&lock));
}

static void a_lock_that_moved_is_ended_where_it_is(void **state)
{
    struct lock first, second, unheld;
    lock_of(&first, "a");
    lock_of(&unheld, "b");
    assert_task(take_lock, &first);
    lock_move(&second, &first);
    assert_true(second.held && !first.held);
    lock_end(&first, true);
    assert_false(is_free(&second));
    lock_end(&second, true);
    assert_true(is_free(&second));
    lock_move(&second, &unheld);
    assert_false(second.held);
    assert_int_equal(second.hash, unheld.hash);
}

static int beat_once(void *arg)
{
    struct lock_beat beating;
    lock_beat_start(&beating, task_loop(task_current()), arg);
    lock_beat_stop(&beating);
    return 0;
}

/* Two paths have one slot of what is told beside the locks. */
static void a_beat_leaves_what_another_path_was_promised(void **state)
{
    struct lock last, beating;
    char path[16];
    lock_of(&last, "a");
    for (unsigned i = 0;; i++) {
        snprintf(path, sizeof path, "b%u", i);
        lock_of(&beating, path);
        if (beating.hash % LOCK_SLOTS == last.hash % LOCK_SLOTS)
            break;
    }
    atomic_uint_least64_t *slot = &store->shared->alive[last.hash % LOCK_SLOTS];
    assert_task(take_lock, &last);
    assert_task(take_lock, &beating);
    lock_last(&last);
    uint64_t promised = *slot;
    assert_true(promised > now_ns());
    assert_task(beat_once, &beating);
    assert_int_equal(*slot, promised);
    *slot = now_ns() + 3600 * 1000000000ULL; /* what nobody told: from before the machine was started */
    assert_task(beat_once, &beating);
    assert_true(*slot < promised);
    lock_end(&beating, true);
    lock_end(&last, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_put_while_the_writer_was_closing_is_written),
        CASE(a_store_is_used_while_another_is_opened),
        CASE(a_forks_child_ends_no_lock_of_its_parent),
        CASE(a_lock_that_moved_is_ended_where_it_is),
        CASE(a_beat_leaves_what_another_path_was_promised),
    };
    case_init();
    return cmocka_run_group_tests_name("store_life", tests, NULL, NULL);
}
