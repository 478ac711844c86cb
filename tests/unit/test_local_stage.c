/* SPDX-License-Identifier: Apache-2.0 */
/* By what a publish that is repeated knows that the target is already what it was to become. */
#include "task_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder.h"

#include "backends/backends.h"
#include "base/path.h"
#include "fs/fs.h"
#include "fs/layer.h"
#include "tmpdir.h"

#define TEXT "staged"
#define SIZE (sizeof TEXT - 1)

static char *tmp;
static struct larder_fs *fs;

struct staging {
    char *path;
    struct token token;
    int rc;
};

static CO_EDGE int stage(void *arg)
{
    struct staging *staging = arg;
    staging->rc = layer_stage(fs->instance, staging->path, NULL, 1, &staging->token);
    if (staging->rc == 0)
        staging->rc = layer_stage_part(fs->instance, staging->path, &staging->token, 0, 0, TEXT, SIZE);
    return 0;
}

static CO_EDGE int publish(void *arg)
{
    struct staging *staging = arg;
    staging->rc = layer_publish(fs->instance, staging->path, &staging->token, SIZE, 0, NULL, NULL);
    return 0;
}

static void begin(struct staging *staging, const char *name)
{
    *staging = (struct staging){.path = path_join(fs->root, name)};
    assert_non_null(staging->path);
    assert_task(stage, staging);
    assert_int_equal(staging->rc, 0);
}

static int try_publish(struct staging *staging)
{
    assert_task(publish, staging);
    return staging->rc;
}

static void end(struct staging *staging)
{
    mem_free(staging->path);
    mem_free(staging->token.text);
}

/* A token as it was before it had the time: "INODE NAME". */
static void make_old(struct token *token)
{
    char *time = strchr(token->text, ' ') + 1, *name = strchr(time, ' ') + 1;
    memmove(time, name, strlen(name) + 1);
}

static void replace(const char *name, const char *text)
{
    char *there = tmpdir_path(tmp, name);
    unlink(there);
    free(there);
    assert_ok(larder_pipe_file(fs, name, text, strlen(text), 0));
}

static void assert_text(const char *name, const char *text)
{
    struct larder_bytes bytes;
    assert_ok(larder_cat_file(fs, name, NULL, &bytes));
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
    larder_bytes_free(&bytes);
}

static void a_publish_may_be_repeated(void **state)
{
    for (int old = 0; old < 2; old++) {
        struct staging staging;
        begin(&staging, "f");
        if (old)
            make_old(&staging.token);
        for (int i = 0; i < 3; i++)
            assert_int_equal(try_publish(&staging), 0);
        assert_text("f", TEXT);
        replace("f", "another's, of another size");
        assert_int_equal(try_publish(&staging), -ESTALE);
        assert_text("f", "another's, of another size");
        end(&staging);
    }
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "1 2",
                                        "1 ",
                                        "/tmp/.larder-0000000000000001",
                                        "1 x /tmp/.larder-0000000000000001",
                                        "1 2 3 /tmp/.larder-0000000000000001",
                                        "1 2 .larder-0000000000000001",
                                        "1 2 /etc/passwd",
                                        "1 /etc/passwd"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct staging staging = {.path = path_join(fs->root, "f"), .token = {mem_dup(texts[i])}};
        assert_int_equal(try_publish(&staging), -EINVAL);
        end(&staging);
    }
}

/* ---- a file of the same number, elsewhere ---- */

static struct file_seam real;
static char *twin;
static ino_t number;

static int lstat_twin(const char *name, struct stat *st)
{
    int rc = real.lstat(name, st);
    if (rc == 0 && strcmp(name, twin) == 0) {
        st->st_ino = number;
        st->st_dev++;
    }
    return rc;
}

/* As on two file systems: the target's has a file of the staged one's number, and of its size. */
static void a_number_is_a_files_only_in_its_file_system(void **state)
{
    struct staging staging;
    replace("f", "before");
    begin(&staging, "f");
    make_old(&staging.token);
    number = (ino_t)strtoull(staging.token.text, NULL, 16);
    twin = tmpdir_path(tmp, "f");
    real = file_seam;
    file_seam.lstat = lstat_twin;
    int rc = try_publish(&staging);
    file_seam = real;
    assert_int_equal(rc, 0);
    assert_text("f", TEXT);
    free(twin);
    end(&staging);
}

static int setup(void **state)
{
    tmp = tmpdir_make();
    backend_register(&local_backend);
    assert_ok(fs_open(NULL, tmp, NULL, &fs, NULL));
    return 0;
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    tmpdir_remove(tmp);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publish_may_be_repeated),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(a_number_is_a_files_only_in_its_file_system),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
