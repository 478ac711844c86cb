/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/seams.h"

#include "alloc_fault.h"

/* Run body() in a forked child; its result is the exit status. */
static int in_child(int (*body)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(body());
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int use_all_of_memory(void *arg)
{
    autofree char *copy = mem_dup("abc");
    autofree char *part = mem_dup_n("abc", 2);
    autofree char *text = mem_format("%s/%d", "abc", 7);
    autofree char *zero = mem_zero(100);
    autofree char *array = mem_array(10, 10);
    autofree char *none = mem_alloc(0);
    if (!copy || !part || !text || !zero || !array || !none)
        return -ENOMEM;
    if (strcmp(copy, "abc") != 0 || strcmp(part, "ab") != 0 || strcmp(text, "abc/7") != 0)
        return -EBADMSG;
    for (int i = 0; i < 100; i++)
        if (zero[i] || array[i])
            return -EBADMSG;
    char *more = mem_resize(copy, 1000);
    if (!more)
        return -ENOMEM; /* `copy` is as it was, and still freed once */
    copy = more;
    char *taken = take(copy);
    mem_free(taken);
    return copy ? -EBADMSG : 0;
}

static void every_allocation_may_fail(void **state)
{
    assert_int_equal(alloc_fault_run(use_all_of_memory, NULL), 7);
}

static void sizes_that_overflow_are_not_memory(void **state)
{
    assert_null(mem_array(SIZE_MAX / 2, 3));
    assert_null(mem_dup_n("", SIZE_MAX));
    mem_free(NULL);
    larder_free(NULL);
}

static int generation_of_child(void)
{
    return (int)process_generation();
}

static int generation_of_grandchild(void)
{
    return in_child(generation_of_child);
}

static void each_fork_is_a_generation(void **state)
{
    assert_int_equal(process_generation(), 0);
    assert_int_equal(in_child(generation_of_child), 1);
    assert_int_equal(in_child(generation_of_grandchild), 2);
    assert_int_equal(process_generation(), 0);
}

static int pipe_ends[2];

static int tell_random(void)
{
    uint64_t number = random_u64();
    return write(pipe_ends[1], &number, sizeof(number)) == sizeof(number) ? 0 : 1;
}

static void parent_and_child_draw_other_numbers(void **state)
{
    assert_int_equal(pipe(pipe_ends), 0);
    (void)random_u64();
    uint64_t of_child;
    assert_int_equal(in_child(tell_random), 0);
    assert_int_equal(read(pipe_ends[0], &of_child, sizeof(of_child)), sizeof(of_child));
    for (int i = 0; i < 64; i++)
        assert_true(random_u64() != of_child);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void all_sevens(void *out, size_t size)
{
    memset(out, 7, size);
}

static void a_test_owns_chance(void **state)
{
    void (*random)(void *, size_t) = world_seam.random;
    (void)random_u64();
    world_seam.random = all_sevens;
    assert_true(random_u64() == 0x0707070707070707);
    world_seam.random = random;
    assert_true(random_u64() != 0x0707070707070707);
}

static void the_clocks_run(void **state)
{
    uint64_t before = now_ns();
    assert_true(before > 0 && now_ns() >= before);
    assert_true(wall_ns() > INT64_C(1600000000000000000));
}

static int calls;

/* Every other call is interrupted; the others move three bytes at most. */
static ssize_t short_pread(int fd, void *buffer, size_t size, off_t offset)
{
    if (calls++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return pread(fd, buffer, size < 3 ? size : 3, offset);
}

static ssize_t short_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if (calls++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return pwrite(fd, data, size < 3 ? size : 3, offset);
}

static size_t longest;

static ssize_t watched_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    longest = size > longest ? size : longest;
    return pwrite(fd, data, size, offset);
}

static void what_is_long_is_written_in_pieces_of_pages_at_hand(void **state)
{
    static char data[(1 << 20) + 5], back[sizeof data + 1];
    struct file_seam before = file_seam;
    char name[] = "/tmp/larder-test-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 31 >> 3);
    file_seam.pwrite = watched_pwrite;
    assert_ok(file_write(fd, data, sizeof data, 3));
    file_seam = before;
    assert_int_equal(longest, 32 << 10);
    assert_int_equal(file_read(fd, back, sizeof back, 3), sizeof data);
    assert_memory_equal(back, data, sizeof data);
    close(fd);
}

static ssize_t no_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    return 0;
}

static void transfers_are_whole_however_short_the_calls(void **state)
{
    struct file_seam before = file_seam;
    char name[] = "/tmp/larder-test-XXXXXX", text[32] = "";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    file_seam.pread = short_pread;
    file_seam.pwrite = short_pwrite;
    assert_ok(file_write(fd, "0123456789", 10, 5));
    assert_int_equal(file_read(fd, text, 8, 6), 8);
    assert_string_equal(text, "12345678");
    assert_int_equal(file_read(fd, text, sizeof(text), 12), 3);
    assert_int_equal(file_read(fd, text, sizeof(text), 100), 0);
    assert_int_equal(file_read(fd, text, 0, 0), 0);
    file_seam.pwrite = no_pwrite;
    assert_int_equal(file_write(fd, "a", 1, 0), -EIO);
    file_seam = before;
    close(fd);
    assert_int_equal(file_read(fd, text, 1, 0), -EBADF);
    assert_int_equal(file_write(fd, "a", 1, 0), -EBADF);
}

#ifdef LARDER_CRASH_POINTS
static int pass_crash_points(void)
{
    for (int i = 0; i < 3; i++) {
        CRASH_POINT("test.other");
        CRASH_POINT("test.poin");
        CRASH_POINT("test.point.further");
        CRASH_POINT("test.point");
    }
    return 7;
}

static void a_process_ends_at_the_crash_point_that_was_named(void **state)
{
    assert_int_equal(in_child(pass_crash_points), 7);
    setenv("LARDER_CRASH_AT", "test.point", 1);
    assert_int_equal(in_child(pass_crash_points), -SIGKILL);
    setenv("LARDER_CRASH_AT", "test.point:3", 1);
    assert_int_equal(in_child(pass_crash_points), -SIGKILL);
    setenv("LARDER_CRASH_AT", "test.point:4", 1);
    assert_int_equal(in_child(pass_crash_points), 7);
    unsetenv("LARDER_CRASH_AT");
}
#endif

static void hashes_are_those_that_stored_data_carries(void **state)
{
    assert_true(hash_bytes("", 0) == UINT64_C(0x2d06800538d394c2));
    assert_true(hash_bytes("a", 1) != hash_bytes("b", 1));
}

/* ---- the place of a file ---- */

static unsigned interrupted;

static int refuse_to_allocate(int fd, int mode, off_t offset, off_t size)
{
    errno = interrupted > 0 ? EINTR : EOPNOTSUPP;
    interrupted -= interrupted > 0;
    return -1;
}

static void a_file_gets_its_place_and_keeps_what_is_there(void **state)
{
    struct file_seam real = file_seam;
    for (int refused = 0; refused < 2; refused++) {
        char path[] = "/tmp/larder-seams-XXXXXX", there[10], expected[10] = "\0\0abc";
        int fd = mkstemp(path);
        struct stat status;
        assert_true(fd >= 0);
        unlink(path);
        assert_int_equal(file_write(fd, "abc", 3, 2), 0);
        interrupted = 2;
        if (refused)
            file_seam.fallocate = refuse_to_allocate;
        assert_int_equal(file_allocate(fd, 100000), 0);
        assert_int_equal(file_allocate(fd, 50000), 0);
        file_seam = real;
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_size, 100000);
        assert_true(status.st_blocks * 512 >= 100000);
        assert_int_equal(file_read(fd, there, sizeof there, 0), sizeof there);
        assert_memory_equal(there, expected, sizeof there);
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(sizes_that_overflow_are_not_memory),
        cmocka_unit_test(each_fork_is_a_generation),
        cmocka_unit_test(parent_and_child_draw_other_numbers),
        cmocka_unit_test(a_test_owns_chance),
        cmocka_unit_test(the_clocks_run),
        cmocka_unit_test(transfers_are_whole_however_short_the_calls),
        cmocka_unit_test(what_is_long_is_written_in_pieces_of_pages_at_hand),
        cmocka_unit_test(a_file_gets_its_place_and_keeps_what_is_there),
#ifdef LARDER_CRASH_POINTS
        cmocka_unit_test(a_process_ends_at_the_crash_point_that_was_named),
#endif
        cmocka_unit_test(hashes_are_those_that_stored_data_carries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
