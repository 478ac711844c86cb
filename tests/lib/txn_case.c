/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tmpdir.h"
#include "txn_case.h"

char *scratch, *tree, *journal;
struct larder_fs *local, *memory, *view;
struct larder_txn *txn;

int begin(void **state)
{
    scratch = tmpdir_make();
    tree = tmpdir_path(scratch, "tree");
    journal = tmpdir_path(scratch, "journal");
    if (mkdir(tree, 0700) < 0 || larder_open(NULL, tree, NULL, &local, NULL) < 0)
        return -1;
    return larder_open(NULL, "memory://test_txn", NULL, &memory, NULL);
}

int end(void **state)
{
    larder_fs_free(view);
    larder_txn_rollback(txn);
    larder_rm(memory, "", true);
    larder_fs_free(local);
    larder_fs_free(memory);
    view = NULL;
    txn = NULL;
    free(journal);
    free(tree);
    tmpdir_remove(scratch);
    return 0;
}

void start(struct larder_fs *fs)
{
    char option[300];
    snprintf(option, sizeof option, "journal=%s", journal);
    const char *const options[] = {option, "note=a test", NULL};
    assert_ok(larder_txn_begin(options, &txn));
    assert_ok(larder_txn_fs(txn, fs, &view));
}

int commit(void)
{
    int rc = larder_txn_commit(txn, NULL);
    if (rc == 0 || rc == -EINPROGRESS)
        txn = NULL;
    return rc;
}

static int count_one(void *arg, const struct larder_txn_info *info)
{
    ++*(int *)arg;
    return 0;
}

int listed(void)
{
    int count = 0;
    assert_ok(larder_txn_list(journal, count_one, &count));
    return count;
}

/* Nothing of it in the journal, nor beside it, nor a temporary file. */
void assert_clean(int files)
{
    char *payload = tmpdir_path(journal, "payload");
    assert_int_equal(listed(), 0);
    assert_int_equal(tmpdir_count(payload), 0);
    assert_int_equal(tmpdir_count(tree), files);
    free(payload);
}

int pipe_text(struct larder_fs *fs, const char *path, const char *text, unsigned flags)
{
    return larder_pipe_file(fs, path, text, strlen(text), flags);
}
