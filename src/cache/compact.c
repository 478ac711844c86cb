/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/compact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/error.h"
#include "cache/batch.h"

#define HOLES_MAX 4096 /* that are made while others wait for the writer's lock */

static const struct stat *look_at_file(const struct store *store, struct stat *status)
{
    int fd;
    return mdb_env_get_fd(store->env, &fd) == 0 && file_seam.fstat(fd, status) == 0 ? status : NULL;
}

uint64_t store_disk_size(const struct store *store)
{
    struct stat status;
    return look_at_file(store, &status) ? (uint64_t)status.st_blocks * 512 : 0;
}

/* ---- one transaction more ---- */

/* What the last one freed may be taken after the next. */
static int apply_touch(struct op *op, struct batch *batch)
{
    struct key key;
    key_meta(&key, "epoch");
    return batch_put_number(batch, &key, batch_epoch(batch));
}

static void touched(struct op *op, int status)
{
    mem_free(op);
}

static int touch(struct store *store)
{
    struct op *op = mem_zero(sizeof *op);
    if (!op)
        return fail_memory();
    *op = (struct op){.apply = apply_touch, .done = touched};
    int rc = writer_add(store, op);
    if (rc < 0) {
        mem_free(op);
        return fail_errno(-rc, "cache %s: it cannot be written", store->dir);
    }
    return writer_flush(store, -1);
}

/* ---- holes ---- */

/* A line of mdb_reader_list: pid, thread, the snapshot or "-". */
static int note_snapshot(const char *line, void *arg)
{
    uint64_t *oldest = arg;
    unsigned long long snapshot;
    if (sscanf(line, "%*u %*s %llu", &snapshot) == 1 && snapshot < *oldest)
        *oldest = snapshot;
    return 0;
}

static bool is_free(const struct free_pages *unused, uint64_t page)
{
    return page <= unused->last && unused->named[page / 8] & 1U << page % 8;
}

static int make_hole(const struct store *store, uint64_t page, uint64_t end, size_t page_size)
{
    int fd;
    mdb_env_get_fd(store->env, &fd);
    int rc = file_seam.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(page * page_size),
                                 (off_t)((end - page) * page_size));
    if (rc == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS
               ? fail(-ENOTSUP, "cache %s: its file system makes no holes in files", store->dir)
               : fail_errno(errno, "cache %s: a hole in its file", store->dir);
}

/* Of the pages from *from on, which is then where to go on. 1: there are more. */
static int make_holes(struct store *store, const struct pages *pages, const struct free_pages *unused,
                      uint64_t *from)
{
    for (unsigned count = 0; *from <= unused->last; count++) {
        uint64_t page = *from, end;
        while (page <= unused->last && !is_free(unused, page))
            page++;
        for (end = page; is_free(unused, end);)
            end++;
        if (end > page && count == HOLES_MAX)
            return 1;
        *from = end;
        int rc = end > page ? make_hole(store, page, end, pages->page_size) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int make_some(struct store *store, struct pages *pages, uint64_t *from)
{
    struct free_pages unused = {0};
    uint64_t oldest = UINT64_MAX;
    MDB_txn *txn;
    int rc = lmdb_status(mdb_txn_begin(store->env, NULL, 0, &txn));
    if (rc < 0)
        return fail_errno(-rc, "cache %s", store->dir);
    mdb_reader_list(store->env, note_snapshot, &oldest);
    rc = pages_free_before(pages, oldest, &unused);
    if (rc < 0)
        rc = fail_errno(-rc, "cache %s: its list of free pages", store->dir);
    else
        rc = make_holes(store, pages, &unused, from);
    mem_free(unused.named);
    mdb_txn_abort(txn);
    return rc;
}

int store_compact(struct store *store)
{
    struct pages *pages = mem_zero(sizeof *pages); /* of our own: the store's are the writer's */
    uint64_t from = 0;
    int dead, rc = pages ? touch(store) : fail_memory();
    if (rc == 0) {
        mdb_reader_check(store->env, &dead);
        pages_open(pages, store->env);
        do
            rc = make_some(store, pages, &from);
        while (rc > 0);
        pages_close(pages);
    }
    mem_free(pages);
    return rc;
}
