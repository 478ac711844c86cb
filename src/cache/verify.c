/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "cache/edit.h"

#define SILENCE_MS (60 * 1000) /* after which the child is going round in circles */
#define REPAIR_MAX 100000      /* more is no damage but ruin */

const char *const finding_names[FINDINGS] = {
    [FOUND_VALUE] = "S5", [FOUND_S3] = "S3", [FOUND_U1] = "U1",
    [FOUND_U2] = "U2",    [FOUND_U3] = "U3", [FOUND_U4] = "U4",
};

/* One of the child's words. -EINTR: somebody has ended it; -ETIMEDOUT. */
static int hear(int fd, struct word *out)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    size_t size = 0;
    while (size < sizeof *out) {
        int rc = poll(&poll_fd, 1, SILENCE_MS);
        if (rc < 0 && errno == EINTR)
            continue;
        if (rc <= 0)
            return rc < 0 ? -errno : -ETIMEDOUT;
        ssize_t got = read(fd, (char *)out + size, sizeof *out - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EINTR;
        size += (size_t)got;
    }
    return 0;
}

static void put_right(struct store *store, const struct word *word)
{
    struct key key = {.size = word->key_size};
    if (key.size > KEY_SIZE_MAX)
        return;
    memcpy(key.data, word->key, key.size);
    if (word->finding == FOUND_U4)
        edit_recount(store);
    else if (word->finding == FOUND_S3)
        edit_drop(store, key_number(key.data + 1));
    else
        edit_repair(store, &key);
}

/* -EBADMSG: the child died of it, or broke off. */
static int listen_to(struct store *store, int fd, struct verified *out)
{
    struct word word;
    uint64_t repairs = 0;
    int rc;
    while ((rc = hear(fd, &word)) == 0) {
        out->records = word.records;
        out->blocks = word.blocks;
        if (word.kind == WORD_DONE)
            return 0;
        if (word.kind == WORD_BROKEN || repairs > REPAIR_MAX)
            return -EBADMSG;
        if (word.kind != WORD_FOUND || word.finding >= FINDINGS)
            continue;
        out->found[word.finding]++;
        if (!store->read_only && ++repairs <= REPAIR_MAX)
            put_right(store, &word);
    }
    return rc == -ETIMEDOUT ? -EBADMSG : rc;
}

static int run(struct store *store, struct verified *out)
{
    MDB_envinfo info;
    int fds[2];
    mdb_env_info(store->env, &info);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return fail_errno(errno, "pipe");
    pid_t child = fork();
    if (child == 0)
        check_and_exit(store->file, info.me_mapsize, fds[1]);
    int rc = child < 0 ? -errno : 0;
    close(fds[1]);
    if (rc == 0)
        rc = listen_to(store, fds[0], out);
    close(fds[0]);
    if (child > 0)
        kill(child, SIGKILL);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return rc;
}

int verify_store(struct store *store, struct verified *out)
{
    *out = (struct verified){0};
    if (!store->read_only && writer_flush(store, -1) < 0)
        error_clear(); /* what cannot be written now can be looked at all the same */
    int rc = run(store, out);
    if (rc == -EBADMSG && !store->read_only) {
        out->broken = true;
        return store_set_aside(store, "its pages are damaged");
    }
    if (rc < 0)
        return fail_errno(-rc, "%s: its check", store->file);
    return store->read_only ? 0 : writer_flush(store, -1);
}
