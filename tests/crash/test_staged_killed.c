/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that is killed while it stages a file, or publishes it: by its id the next one finds all that is left, and by
 * its token what was noted is published as if nothing had been.
 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "larder.h"

#include "base/error.h"
#include "base/seams.h"
#include "fs/fs.h"
#include "fs/layer.h"
#include "server.h"
#include "tmpdir.h"
#include "tree.h"

#define SIZE 50000
#define ID   UINT64_C(0xfeedfacecafebeef)

struct staging {
    const char *url, *path;
    const char *crash_at; /* NULL: nowhere */
    struct token token;   /* a text: it is published, not staged */
    bool sweep;
    int told; /* where the token is written to; 0: nowhere */
};

static int CO_EDGE stage(struct staging *staging, struct instance *at, const char *path)
{
    char *data = content_make(SIZE, 7);
    struct source source = {.size = SIZE, .data = data};
    int rc = layer_stage(at, path, NULL, ID, &staging->token);
    if (rc == 0)
        rc = layer_has(at, LAYER_STAGE_WHOLE) ? layer_stage_whole(at, path, &staging->token, &source)
                                              : layer_stage_part(at, path, &staging->token, 0, 0, data, SIZE);
    free(data);
    return rc;
}

static int CO_EDGE step(void *arg)
{
    struct staging *staging = arg;
    struct larder_fs *fs;
    int rc = larder_open(NULL, staging->url, NULL, &fs, NULL);
    if (rc < 0)
        return rc;
    char *path = mem_format("%s/%s", fs->root, staging->path);
    if (staging->crash_at)
        setenv("LARDER_CRASH_AT", staging->crash_at, 1);
    if (staging->sweep)
        rc = layer_sweep(fs->instance, path, ID, 0);
    else if (staging->token.text)
        rc = layer_publish(fs->instance, path, &staging->token, SIZE, 0, NULL, NULL);
    else
        rc = stage(staging, fs->instance, path);
    if (rc < 0)
        print_error("%s: %s\n", staging->path, larder_error());
    if (staging->told && write(staging->told, staging->token.text, strlen(staging->token.text)) < 0)
        rc = -EIO;
    mem_free(path);
    larder_fs_free(fs);
    return rc;
}

/* In a process of its own, where a crash strikes if it is to. */
static void run(struct staging staging)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(larder_sync(NULL, step, &staging, 0) < 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (staging.crash_at)
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    else
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void expect_swept(const char *url, const char *disk, const char *crash_at)
{
    static const char *const paths[] = {"f", "not/made/f"};
    for (int i = 0; i < 2; i++) {
        run((struct staging){.url = url, .path = paths[i], .crash_at = crash_at});
        assert_int_equal(tmpdir_count(disk), 1); /* it was staged, and nobody noted its name */
        run((struct staging){.url = url, .path = paths[i], .sweep = true});
        assert_int_equal(tmpdir_count(disk), 0);
    }
}

static void a_killed_local_stage_is_swept(void **state)
{
    char *disk = tmpdir_make();
    expect_swept(disk, disk, "local.staged");
    tmpdir_remove(disk);
}

static void a_killed_webdav_stage_is_swept(void **state)
{
    struct server *nginx = server_start("nginx", NULL);
    char *url = NULL;
    if (!nginx)
        skip();
    tree_write(server_dav_root(nginx), "stages/x", "", 0);
    char *disk = tmpdir_path(server_dav_root(nginx), "stages");
    char *file = tmpdir_path(disk, "x");
    unlink(file);
    assert_true(asprintf(&url, "webdav%s/dav/stages", server_url(nginx) + strlen("http")) > 0);
    expect_swept(url, disk, "webdav.staged");
    free(url);
    free(file);
    free(disk);
    server_stop(nginx);
}

static void a_killed_publish_is_repeated(void **state)
{
    char *disk = tmpdir_make();
    int told[2];
    char token[512] = "";
    size_t size;
    assert_int_equal(pipe(told), 0);
    run((struct staging){.url = disk, .path = "f", .told = told[1]});
    assert_true(read(told[0], token, sizeof token - 1) > 0);
    run((struct staging){.url = disk, .path = "f", .token = {token}, .crash_at = "local.before_rename"});
    for (int i = 0; i < 2; i++) { /* the second time there is nothing left to do */
        run((struct staging){.url = disk, .path = "f", .token = {token}});
        char *data = tree_read(disk, "f", &size);
        assert_true(data && size == SIZE && content_matches(data, size, 7, 0));
        free(data);
        assert_int_equal(tmpdir_count(disk), 1);
    }
    close(told[0]);
    close(told[1]);
    tmpdir_remove(disk);
}

static ino_t inode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

/* Files in the directory, until one has this inode; then it has this name. */
static bool use_again(const char *disk, ino_t inode, const char *name)
{
    char file[300], target[300];
    bool found = false;
    snprintf(target, sizeof target, "%s/%s", disk, name);
    for (int i = 0; i < 200 && !found; i++) {
        snprintf(file, sizeof file, "other-%d", i);
        tree_write(disk, file, "other", 5);
        snprintf(file, sizeof file, "%s/other-%d", disk, i);
        found = inode_of(file) == inode && rename(file, target) == 0;
    }
    return found;
}

/* What was published is gone, and another file has its inode, which file systems use again soon. */
static void another_file_with_its_inode_is_not_what_was_published(void **state)
{
    char *disk = tmpdir_make(), *file = tmpdir_path(disk, "f");
    struct larder_fs *fs;
    int told[2];
    char token[512] = "", full[600];
    size_t size;
    assert_int_equal(pipe(told), 0);
    run((struct staging){.url = disk, .path = "f", .told = told[1]});
    assert_true(read(told[0], token, sizeof token - 1) > 0);
    run((struct staging){.url = disk, .path = "f", .token = {token}});
    ino_t inode = inode_of(file);
    unlink(file);
    bool used = use_again(disk, inode, "f");
    close(told[0]);
    close(told[1]);
    if (!used) /* not by this file system */
        skip();
    assert_ok(larder_open(NULL, disk, NULL, &fs, NULL));
    snprintf(full, sizeof full, "%s/f", fs->root);
    struct layer_call call = {LAYER_PUBLISH, fs->instance, full, .token = &(struct token){token},
                              .size = SIZE};
    assert_status(-ESTALE, layer_now(&call));
    char *data = tree_read(disk, "f", &size);
    assert_int_equal(size, 5);
    free(data);
    larder_fs_free(fs);
    free(file);
    tmpdir_remove(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_file_with_its_inode_is_not_what_was_published),
        cmocka_unit_test(a_killed_local_stage_is_swept),
        cmocka_unit_test(a_killed_webdav_stage_is_swept),
        cmocka_unit_test(a_killed_publish_is_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
