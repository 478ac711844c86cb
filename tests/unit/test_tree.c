/* SPDX-License-Identifier: Apache-2.0 */
/* Whole trees away, and what links lead to stays. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "larder.h"

#include "backends/backends.h"
#include "fs/fs.h"
#include "tmpdir.h"
#include "tree.h"

static char *scratch;
static struct larder_fs *fs;

static void link_in(const char *target, const char *name)
{
    char *to = tmpdir_path(scratch, target), *at = tmpdir_path(scratch, name);
    assert_int_equal(symlink(to, at), 0);
    free(to);
    free(at);
}

static int setup(void **state)
{
    scratch = tmpdir_make();
    tree_write(scratch, "kept/file", "x", 1);
    tree_write(scratch, "kept/dir/file", "x", 1);
    tree_write(scratch, "d/e/file", "x", 1);
    link_in("kept", "d/link");
    link_in("kept/dir", "d/e/link");
    link_in("kept/file", "d/file");
    link_in("nowhere", "d/broken");
    link_in("kept", "top");
    return fs_open(NULL, scratch, NULL, &fs, NULL);
}

static int teardown(void **state)
{
    larder_fs_free(fs);
    tmpdir_remove(scratch);
    return 0;
}

static int remove_all(void *arg)
{
    int rc = larder_rm(fs, "d/e", true);
    if (rc == 0)
        rc = larder_rm(fs, "d/link", true);
    return rc == 0 ? larder_rm(fs, "top", true) : rc;
}

static void assert_links_went_alone(void)
{
    assert_int_equal(larder_exists(fs, "d/e"), 0);
    assert_int_equal(larder_exists(fs, "d/link"), 0);
    assert_int_equal(larder_exists(fs, "top"), 0);
    assert_int_equal(larder_isfile(fs, "kept/file"), 1);
    assert_int_equal(larder_isfile(fs, "kept/dir/file"), 1);
}

static void rm_takes_links_and_leaves_what_they_lead_to(void **state)
{
    assert_ok(remove_all(NULL));
    assert_links_went_alone();
}

static void so_it_does_in_a_task(void **state)
{
    assert_ok(larder_sync(NULL, remove_all, NULL, 0));
    assert_links_went_alone();
}

static void what_cannot_be_looked_into_is_said(void **state)
{
    assert_int_equal(larder_rm(fs, "none", true), -ENOENT);
    assert_int_equal(larder_rm(fs, "d", false), -EISDIR);
    assert_int_equal(larder_rm(fs, "..", true), -EINVAL);
    assert_int_equal(larder_isdir(fs, "d/e"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rm_takes_links_and_leaves_what_they_lead_to, setup, teardown),
        cmocka_unit_test_setup_teardown(so_it_does_in_a_task, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_looked_into_is_said, setup, teardown),
    };
    backend_register(&local_backend);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
