/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/length.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/seams.h"
#include "cache/cap.h"
#include "cache/damage.h"

#define SHARE       8   /* of the cap, by which the file may be longer */
#define SPARE_STEP  256 /* of the cap, that more is spare when it was needed */
#define SPARE_MAX   4   /* of the cap, that it is at most */
#define SPARE_DECAY 64  /* of itself, by which it is less after a batch that did without */
#define TRIES_MAX   5
#define WAIT_MS     200 /* for those who read */
#define PROBE_EVERY 64  /* ops */
#define NEAR_ENOUGH 2   /* transactions behind the latest: what they hold is held in any case */

/* There is something behind the last page to be read by mistake (damage.h), also when the batch has come further; and not
 * much more than that. Nobody means to go there, so it may be cut. */
static void fit_file(const struct batch *batch, uint64_t last)
{
    struct stat status;
    int fd;
    if (mdb_env_get_fd(batch->store->env, &fd) != 0 || file_seam.fstat(fd, &status) < 0)
        return;
    uint64_t grows = BATCH_PIECES * cap_piece(batch->size_max) / batch->page_size, sizes[3];
    for (unsigned i = 0; i < 3; i++) {
        uint64_t page = last + (i + 1) * grows;
        sizes[i] =
            ((page < batch->page_max ? page : batch->page_max) + 1) * batch->page_size + VALUE_SIZE_MAX;
    }
    bool fits = (uint64_t)status.st_size >= sizes[0] && (uint64_t)status.st_size <= sizes[2];
    int rc = fits ? 0 : ftruncate(fd, (off_t)sizes[1]);
    (void)rc; /* then it is as it was, and that is all */
}

void length_begin(struct batch *batch)
{
    MDB_envinfo info;
    mdb_env_info(batch->store->env, &info);
    uint64_t last = info.me_last_pgno;
    uint64_t allowed = (batch->size_max + batch->size_max / SHARE) / batch->page_size;
    batch->page_max = last > allowed ? last : allowed;
    batch->is_long = last >= allowed;
    fit_file(batch, last);
}

int length_check(const struct batch *batch, const void *data)
{
    return !batch->refusing && pages_last_of(&batch->store->pages, data) > batch->page_max ? -EFBIG : 0;
}

int length_probe(struct batch *batch)
{
    struct key key;
    void *room;
    if (!batch->is_long || batch->refusing || batch->probed++ % PROBE_EVERY != 0)
        return 0;
    key_meta(&key, "probe");
    int rc = batch_room(batch, &key, batch->page_size / 2, &room);
    if (rc == 0)
        memset(room, 0, batch->page_size / 2);
    return rc < 0 ? rc : batch_remove(batch, &key);
}

/* ---- who reads ---- */

/* A line of mdb_reader_list: pid, thread, the snapshot or "-". */
static int note_snapshot(const char *line, void *arg)
{
    uint64_t *oldest = arg;
    char text[32];
    if (sscanf(line, "%*u %*s %31s", text) != 1 || strcmp(text, "-") == 0)
        return 0;
    uint64_t snapshot = strtoull(text, NULL, 10);
    if (snapshot < *oldest)
        *oldest = snapshot;
    return 0;
}

/* The oldest snapshot that somebody has; 0: none that matters. */
static uint64_t oldest_snapshot(MDB_env *env)
{
    MDB_envinfo info;
    uint64_t oldest = UINT64_MAX;
    mdb_reader_list(env, note_snapshot, &oldest);
    mdb_env_info(env, &info);
    return oldest != UINT64_MAX && oldest + NEAR_ENOUGH < info.me_last_txnid ? oldest : 0;
}

/* 1: somebody held something, and no longer does; 0: nobody does; -EBUSY: somebody goes on to. */
static int wait_for_readers(struct store *store)
{
    struct writer *writer = &store->writer;
    int dead = 0;
    uint64_t oldest = oldest_snapshot(store->env);
    if (oldest == 0)
        return 0;
    mdb_reader_check(store->env, &dead);
    for (unsigned waited_ms = 0, pause_ms = 1; (oldest = oldest_snapshot(store->env)) != 0; pause_ms *= 2) {
        if (waited_ms >= WAIT_MS || oldest == writer->held)
            break;
        nanosleep(&(struct timespec){.tv_nsec = pause_ms * 1000000L}, NULL);
        waited_ms += pause_ms;
    }
    writer->held = oldest;
    return oldest == 0 ? 1 : -EBUSY;
}

/* ---- once more ---- */

enum regain length_regain(struct batch *batch)
{
    struct writer *writer = &batch->store->writer;
    int rc = wait_for_readers(batch->store);
    batch->refusing = rc < 0 || ++batch->tries > TRIES_MAX;
    if (rc != 0 || batch->refusing)
        return REGAIN_RETRY;
    writer->spare += batch->size_max / SPARE_STEP + cap_piece(batch->size_max);
    if (writer->spare > batch->size_max / SPARE_MAX)
        writer->spare = batch->size_max / SPARE_MAX;
    /* At first in small steps only, which may be enough. */
    return batch->tries == 1 ? REGAIN_RETRY : REGAIN_EVICT;
}

void length_settle(struct batch *batch)
{
    if (batch->tries == 0)
        batch->store->writer.spare -= batch->store->writer.spare / SPARE_DECAY;
}
