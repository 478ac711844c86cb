/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

static void a_failure_returns_its_status_and_leaves_its_text(void **state)
{
    assert_int_equal(fail(-ENOENT, "%s: no such file", "a/b"), -ENOENT);
    assert_string_equal(larder_error(), "a/b: no such file");
    assert_int_equal(fail_errno(EACCES, "open %s", "x"), -EACCES);
    assert_string_equal(larder_error(), "open x: Permission denied");
    assert_int_equal(fail_memory(), -ENOMEM);
    assert_string_equal(larder_error(), "out of memory");
}

static void more_is_said_in_front(void **state)
{
    (void)fail(-EPROTO, "no length");
    assert_int_equal(fail_more(-EPROTO, "GET %s", "https://h/x"), -EPROTO);
    assert_string_equal(larder_error(), "GET https://h/x: no length");
    error_clear();
    fail_more(-EIO, "read");
    assert_string_equal(larder_error(), "read: Input/output error");
}

static void a_text_may_quote_the_text_before_it(void **state)
{
    (void)fail(-EIO, "inner");
    (void)fail(-EIO, "outer (%s)", larder_error());
    assert_string_equal(larder_error(), "outer (inner)");
    error_set_text(larder_error() + 6);
    assert_string_equal(larder_error(), "(inner)");
}

static void errno_survives(void **state)
{
    errno = EXDEV;
    (void)fail(-ENOENT, "x");
    (void)fail_errno(123456, "x");
    fail_more(-ENOENT, "x");
    error_finish(-ENOENT, "x");
    assert_int_equal(errno, EXDEV);
}

static void a_long_text_is_cut_between_characters(void **state)
{
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x8d\x8e"};
    for (size_t i = 0; i < sizeof(characters) / sizeof(characters[0]); i++) {
        size_t size = strlen(characters[i]);
        for (int shift = 0; shift < 4; shift++) {
            char text[ERROR_TEXT_SIZE + 64] = "yyy";
            for (size_t at = (size_t)shift; at + size < sizeof(text); at += size)
                memcpy(text + at, characters[i], size + 1);
            (void)fail(-EIO, "%s", text);
            size_t cut = strlen(larder_error());
            assert_true(cut < ERROR_TEXT_SIZE && cut > ERROR_TEXT_SIZE - 1 - size);
            assert_int_equal((cut - (size_t)shift) % size, 0);
            assert_memory_equal(larder_error(), text, cut);
            error_set_text(text);
            assert_int_equal(strlen(larder_error()), cut);
            fail_more(-EIO, "z");
            assert_memory_equal(larder_error(), "z: ", 3);
            assert_int_equal((strlen(larder_error()) - 3 - (size_t)shift) % size, 0);
        }
    }
}

static void what_is_not_utf8_is_cut_where_it_must_be(void **state)
{
    assert_int_equal(text_cut("\x80\x80\x80\x80\x80\x80", 5), 5);
    assert_int_equal(text_cut("\x80", 1), 1);
    assert_int_equal(text_cut("", 0), 0);
    assert_int_equal(text_cut("a\xc3\xa9", 2), 1);
    assert_int_equal(text_cut("a\xc3\xa9", 3), 3);
    assert_int_equal(text_cut("\xf0\x9f\x8d\x8e", 3), 0);
}

static void a_public_call_ends_with_a_text_exactly_when_it_fails(void **state)
{
    (void)fail(-EIO, "made good");
    assert_int_equal(error_finish(3, "x"), 3);
    assert_string_equal(larder_error(), "");
    error_finish(-ENOENT, "a/b");
    assert_string_equal(larder_error(), "a/b: No such file or directory");
    error_clear();
    error_finish(-ENOENT, NULL);
    assert_string_equal(larder_error(), "No such file or directory");
    (void)fail(-EIO, "first");
    error_finish(-ENOENT, "a/b");
    assert_string_equal(larder_error(), "first");
}

static void a_task_has_a_text_of_its_own(void **state)
{
    static struct error_slot task;
    (void)fail(-EIO, "thread");
    assert_null(error_slot_use(&task));
    assert_string_equal(larder_error(), "");
    (void)fail(-EIO, "task");
    assert_ptr_equal(error_slot_use(NULL), &task);
    assert_string_equal(larder_error(), "thread");
    assert_string_equal(task.text, "task");
}

static void *fail_elsewhere(void *arg)
{
    const char **text = arg;
    *text = *larder_error() ? "not empty" : "empty";
    (void)fail(-EIO, "elsewhere");
    return NULL;
}

static void a_thread_has_a_text_of_its_own(void **state)
{
    const char *seen = NULL;
    pthread_t thread;
    (void)fail(-EIO, "here");
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, &seen), 0);
    pthread_join(thread, NULL);
    assert_string_equal(seen, "empty");
    assert_string_equal(larder_error(), "here");
}

static void every_status_has_a_name(void **state)
{
    assert_string_equal(larder_status_name(0), "OK");
    assert_string_equal(larder_status_name(7), "OK");
    assert_string_equal(larder_status_name(-ENOENT), "ENOENT");
    assert_string_equal(larder_status_name(-ENONET), "ENONET");
    assert_string_equal(larder_status_name(-ECANCELED), "ECANCELED");
    assert_string_equal(larder_status_name(-EDEADLK), "EDEADLK");
    assert_string_equal(larder_status_name(-4095), "E4095");
    assert_string_equal(larder_status_name(INT32_MIN), "E2147483648");
}

struct heard {
    int count;
    enum larder_log_level level;
    char message[ERROR_TEXT_SIZE];
};

static void hear(void *arg, enum larder_log_level level, const char *message)
{
    struct heard *heard = arg;
    heard->count++;
    heard->level = level;
    strcpy(heard->message, message);
    errno = 0;
}

static int evaluated(int *count)
{
    return ++*count;
}

static void the_log_speaks_up_to_its_level_and_costs_nothing_beyond(void **state)
{
    struct heard heard = {0};
    int count = 0;
    log_at(LARDER_LOG_WARNING, "%d", evaluated(&count));
    assert_int_equal(count, 0);
    larder_log_to(hear, &heard, LARDER_LOG_INFO);
    errno = EXDEV;
    log_at(LARDER_LOG_INFO, "%d", evaluated(&count));
    assert_int_equal(errno, EXDEV);
    log_at(LARDER_LOG_DEBUG, "%d", evaluated(&count));
    assert_int_equal(count, 1);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.level, LARDER_LOG_INFO);
    assert_string_equal(heard.message, "1");
    larder_log_to(NULL, NULL, LARDER_LOG_DEBUG);
    log_at(LARDER_LOG_WARNING, "%d", evaluated(&count));
    assert_int_equal(heard.count, 1);
    assert_int_equal(count, 1);
}

static int blocked_pipe[2], free_pipe[2];

static void hear_slowly(void *arg, enum larder_log_level level, const char *message)
{
    char byte = 0;
    assert_int_equal(write(blocked_pipe[1], &byte, 1), 1);
    assert_int_equal(read(free_pipe[0], &byte, 1), 1);
}

static void *speak(void *arg)
{
    log_at(LARDER_LOG_WARNING, "slow");
    return NULL;
}

static void a_message_on_its_way_does_not_lock_a_forked_child(void **state)
{
    pthread_t thread;
    char byte;
    assert_int_equal(pipe(blocked_pipe), 0);
    assert_int_equal(pipe(free_pipe), 0);
    larder_log_to(hear_slowly, NULL, LARDER_LOG_WARNING);
    assert_int_equal(pthread_create(&thread, NULL, speak, NULL), 0);
    assert_int_equal(read(blocked_pipe[0], &byte, 1), 1);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(30); /* ends a child that hangs */
        larder_log_to(NULL, NULL, LARDER_LOG_WARNING);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(write(free_pipe[1], &byte, 1), 1);
    pthread_join(thread, NULL);
    larder_log_to(NULL, NULL, LARDER_LOG_WARNING);
    for (int i = 0; i < 2; i++) {
        close(blocked_pipe[i]);
        close(free_pipe[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_returns_its_status_and_leaves_its_text),
        cmocka_unit_test(more_is_said_in_front),
        cmocka_unit_test(a_text_may_quote_the_text_before_it),
        cmocka_unit_test(errno_survives),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
        cmocka_unit_test(what_is_not_utf8_is_cut_where_it_must_be),
        cmocka_unit_test(a_public_call_ends_with_a_text_exactly_when_it_fails),
        cmocka_unit_test(a_task_has_a_text_of_its_own),
        cmocka_unit_test(a_thread_has_a_text_of_its_own),
        cmocka_unit_test(every_status_has_a_name),
        cmocka_unit_test(a_message_on_its_way_does_not_lock_a_forked_child),
        cmocka_unit_test(the_log_speaks_up_to_its_level_and_costs_nothing_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
