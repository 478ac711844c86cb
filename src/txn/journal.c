/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/journal.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/user_dir.h"
#include "cache/lmdb_file.h"
#include "task/process.h"
#include "txn/journal_parts.h"

#define READERS_MAX     512
#define FULL_BLOCKS     16 /* with fewer free ones no commit was to be had */
#define OWNERS_FILE     "owners"
#define CONDITIONS_FILE "conditions"
#define PAYLOAD_DIR     "payload"

static struct process_list *_Atomic journals;

/* ---- opening ---- */

int journal_fail(const struct journal *journal, int rc)
{
    if (rc == -EBADMSG)
        return fail(rc, "%s: no journal of this format, or a damaged one; it is left as it is",
                    journal->file);
    return fail_errno(-rc, "%s", journal->file);
}

/* It has the mark or, with `make`, gets it. */
static int open_at(struct journal *journal, const char *file, bool make)
{
    uint64_t mark = JOURNAL_MARK;
    struct journal_key key = journal_key(0, RECORD_HEAD, 0);
    MDB_val name = {sizeof key.data, key.data}, value = {sizeof mark, &mark};
    int rc = lmdb_fill_lock_file(file, READERS_MAX);
    if (rc == 0)
        rc = lmdb_status(lmdb_open(file, READERS_MAX, 0, &journal->env));
    if (rc == 0)
        rc = lmdb_check_length(journal->env, &journal->device, &journal->inode);
    return rc == 0 ? lmdb_check_mark(journal->env, &name, &value, make ? journal->dir : NULL, &journal->dbi)
                   : rc;
}

static void remove_draft(const char *draft)
{
    autofree char *lock = mem_format("%s-lock", draft);
    file_seam.unlink(draft);
    if (lock)
        file_seam.unlink(lock);
}

/* It has its name when it is whole and on the disk: what is found by that name and does not read is damaged. */
static int make_file(struct journal *journal)
{
    autofree char *draft = mem_format("%s-new", journal->file);
    if (!draft)
        return -ENOMEM;
    remove_draft(draft);
    int rc = open_at(journal, draft, true);
    if (journal->env)
        mdb_env_close(take(journal->env));
    if (rc == 0 && file_seam.rename(draft, journal->file) < 0)
        rc = -errno;
    if (rc == 0)
        rc = file_sync_directory(journal->dir);
    remove_draft(draft);
    return rc;
}

static int open_file(struct journal *journal)
{
    struct stat status;
    int dead, rc = 0;
    if (file_seam.stat(journal->file, &status) < 0)
        rc = errno == ENOENT ? make_file(journal) : -errno;
    if (rc == 0)
        rc = open_at(journal, journal->file, false);
    if (rc < 0)
        return journal_fail(journal, rc);
    mdb_reader_check(journal->env, &dead);
    return 0;
}

static int open_environment(struct journal *journal)
{
    int fd, rc = lmdb_check_directory(journal->dir, "a journal");
    if (rc == 0)
        rc = lmdb_make_directory(journal->payload);
    if (rc == 0)
        rc = lmdb_lock_directory(journal->dir, &fd);
    if (rc < 0)
        return rc;
    rc = open_file(journal);
    lmdb_unlock_directory(fd);
    return rc;
}

static void journal_free(struct journal *journal)
{
    if (journal->env)
        mdb_env_close(journal->env);
    pthread_cond_destroy(&journal->changed);
    pthread_mutex_destroy(&journal->lock);
    mem_free(journal->payload);
    mem_free(journal->conditions);
    mem_free(journal->owners);
    mem_free(journal->file);
    mem_free(journal->dir);
    mem_free(journal);
}

static struct journal *journal_new(const char *dir)
{
    autofree char *room = mem_alloc(PATH_MAX);
    struct journal *journal = room ? mem_zero(sizeof *journal) : NULL;
    if (!journal)
        return NULL;
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->changed, NULL);
    list_init(&journal->node);
    journal->last = &journal->first;
    journal->references = 1;
    journal->generation = process_generation();
    journal->dir = mem_dup(realpath(dir, room) ? room : dir); /* the program may change its directory */
    if (journal->dir) {
        journal->file = path_join(journal->dir, JOURNAL_FILE);
        journal->owners = path_join(journal->dir, OWNERS_FILE);
        journal->conditions = path_join(journal->dir, CONDITIONS_FILE);
        journal->payload = path_join(journal->dir, PAYLOAD_DIR);
    }
    if (journal->file && journal->owners && journal->conditions && journal->payload)
        return journal;
    journal_free(journal);
    return NULL;
}

/* ---- payload files that are nobody's ---- */

static bool read_name(const char *name, uint64_t *txn, uint64_t *change)
{
    int end = 0;
    unsigned long long first, second;
    if (sscanf(name, "%16llx-%16llx%n", &first, &second, &end) != 2 || name[end] || end != 33)
        return false;
    *txn = first;
    *change = second;
    return true;
}

/* J6. The lock is asked for last: a transaction that begins meanwhile has it before its first file. */
static bool is_nobodys(struct journal *journal, uint64_t txn)
{
    struct journal_key key = journal_key(txn, RECORD_HEAD, 0);
    struct larder_bytes head = {0};
    if (owner_lives(journal, txn))
        return false;
    int rc = journal_get(journal, &key, &head);
    larder_bytes_free(&head);
    return rc == -ENOENT;
}

static bool is_of(struct journal *journal, uint64_t txn, const uint64_t *wanted)
{
    return wanted ? txn == *wanted : is_nobodys(journal, txn);
}

/* Of one transaction or, with NULL, of nobody. */
static void remove_payloads(struct journal *journal, const uint64_t *wanted)
{
    DIR *all = file_seam.opendir(journal->payload);
    struct dirent *entry;
    uint64_t txn, change;
    while (all && (entry = file_seam.readdir(all))) {
        if (!read_name(entry->d_name, &txn, &change) || !is_of(journal, txn, wanted))
            continue;
        autofree char *path = journal_payload_path(journal, txn, change);
        if (path && file_seam.unlink(path) < 0 && errno != ENOENT)
            log_at(LARDER_LOG_WARNING, "%s: %s", path, strerror(errno));
    }
    if (all)
        file_seam.closedir(all);
}

int journal_sync_payloads(struct journal *journal)
{
    int rc = file_sync_directory(journal->payload);
    return rc < 0 ? fail_errno(-rc, "%s", journal->payload) : 0;
}

void journal_remove_payloads(struct journal *journal, uint64_t txn)
{
    remove_payloads(journal, &txn);
}

/* ---- the process's journals ---- */

/* One that is open already, in its place still. */
static struct journal *find_open(struct process_list *context, const char *dir)
{
    struct stat status;
    autofree char *file = path_join(dir, JOURNAL_FILE);
    if (!file || file_seam.stat(file, &status) < 0)
        return NULL;
    list_for_each (node, &context->list) {
        struct journal *journal = container_of(node, struct journal, node);
        if (journal->device == status.st_dev && journal->inode == status.st_ino)
            return journal;
    }
    return NULL;
}

static int open_new(struct process_list *context, const char *dir, struct journal **out)
{
    struct journal *journal = journal_new(dir);
    if (!journal)
        return fail_memory();
    int rc = open_environment(journal);
    if (rc < 0) {
        journal_free(journal);
        return rc;
    }
    list_push(&context->list, &journal->node);
    remove_payloads(journal, NULL);
    *out = journal;
    return 0;
}

static int open_in(char *dir, struct journal **out)
{
    struct process_list *context = process_list_get(&journals);
    if (!context)
        return fail_memory();
    process_exit_arm(); /* before the first lock: what forks do to them is set up there */
    pthread_mutex_lock(&context->lock);
    int rc = lmdb_make_directory(dir);
    struct journal *journal = rc == 0 ? find_open(context, dir) : NULL;
    if (journal) {
        journal->references++;
        *out = journal;
    } else if (rc == 0) {
        rc = open_new(context, dir, out);
    }
    pthread_mutex_unlock(&context->lock);
    return rc;
}

static int directory_of(const char *dir, char **out)
{
    if (!dir)
        return user_dir("LARDER_STATE_DIR", "XDG_STATE_HOME", ".local/state", "journal", out);
    *out = mem_dup(dir);
    return *out ? 0 : fail_memory();
}

int journal_open(const char *dir, struct journal **out)
{
    autofree char *copy = NULL;
    int rc = directory_of(dir, &copy);
    return rc < 0 ? rc : open_in(copy, out);
}

int journal_find(const char *dir, struct journal **out)
{
    autofree char *copy = NULL, *file = NULL;
    struct stat status;
    int rc = directory_of(dir, &copy);
    if (rc < 0)
        return rc;
    file = path_join(copy, JOURNAL_FILE);
    if (!file)
        return fail_memory();
    if (file_seam.stat(file, &status) < 0)
        return fail_errno(errno, "%s", file);
    return open_in(copy, out);
}

struct journal *journal_ref(struct journal *journal)
{
    struct process_list *context = process_list_get(&journals);
    pthread_mutex_lock(&context->lock);
    journal->references++;
    pthread_mutex_unlock(&context->lock);
    return journal;
}

/* What a fork's parent opened is not touched, as with stores. */
void journal_unref(struct journal *journal)
{
    if (!journal || journal->generation != process_generation())
        return;
    struct process_list *context = process_list_get(&journals);
    pthread_mutex_lock(&context->lock);
    if (--journal->references == 0) {
        list_remove(&journal->node);
        journal_free(journal);
    }
    pthread_mutex_unlock(&context->lock);
}

const char *journal_dir(const struct journal *journal)
{
    return journal->dir;
}

char *journal_payload_path(const struct journal *journal, uint64_t txn, uint64_t change)
{
    return mem_format("%s/%016llx-%016llx", journal->payload, (unsigned long long)txn,
                      (unsigned long long)change);
}

/* ---- writing ---- */

struct commit {
    struct commit *next;
    const struct edit *edits;
    size_t count;
    int status;
    bool done;
};

/* All records of a transaction: what the cursor stands on is deleted, and it then stands on what was behind. */
static int forget(MDB_txn *txn, MDB_dbi dbi, const struct journal_key *key)
{
    MDB_cursor *cursor;
    MDB_val name = {8, (void *)key->data}, value;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0)
        return rc;
    rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    while (rc == 0 && memcmp(name.mv_data, key->data, 8) == 0) {
        rc = mdb_cursor_del(cursor, 0);
        if (rc == 0)
            rc = mdb_cursor_get(cursor, &name, &value, MDB_GET_CURRENT);
        if (rc == EINVAL) /* it was the last of its page */
            rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

struct journal_key journal_tail_key(const struct journal_key *key)
{
    return journal_key(journal_key_txn(key), RECORD_TAIL, journal_key_number(key));
}

/* How much of the end of it is a record of its own. */
static size_t tail_size(const struct edit *edit)
{
    size_t over = (edit->size + JOURNAL_PAGE_HEADER) % JOURNAL_PAGE;
    bool payload = journal_key_kind(&edit->key) == RECORD_PAYLOAD && edit->size >= JOURNAL_PAGE;
    return payload && over <= JOURNAL_TAIL_MAX ? over : 0;
}

static int put(MDB_txn *txn, MDB_dbi dbi, const struct edit *edit)
{
    size_t tail = tail_size(edit), head = edit->size - tail;
    struct journal_key key = journal_tail_key(&edit->key);
    MDB_val name = {sizeof edit->key.data, (void *)edit->key.data}, value = {head, (void *)edit->data};
    MDB_val tail_name = {sizeof key.data, key.data}, tail_value = {tail, (char *)edit->data + head};
    int rc = mdb_put(txn, dbi, &name, &value, 0);
    return rc == 0 && tail > 0 ? mdb_put(txn, dbi, &tail_name, &tail_value, 0) : rc;
}

static int delete(MDB_txn *txn, MDB_dbi dbi, const struct journal_key *key)
{
    MDB_val name = {sizeof key->data, (void *)key->data};
    int rc = mdb_del(txn, dbi, &name, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int apply(MDB_txn *txn, MDB_dbi dbi, const struct edit *edit)
{
    MDB_val name = {sizeof edit->key.data, (void *)edit->key.data}, value = {edit->size, (void *)edit->data};
    struct journal_key tail = journal_tail_key(&edit->key);
    int rc;
    switch (edit->kind) {
    case EDIT_PUT:
        return put(txn, dbi, edit);
    case EDIT_NEW:
        rc = mdb_put(txn, dbi, &name, &value, MDB_NOOVERWRITE);
        return rc == MDB_KEYEXIST ? 0 : rc;
    case EDIT_DELETE:
        rc = delete (txn, dbi, &edit->key);
        return rc == 0 && journal_key_kind(&edit->key) == RECORD_PAYLOAD ? delete (txn, dbi, &tail) : rc;
    case EDIT_FORGET:
        return forget(txn, dbi, &edit->key);
    }
    return EINVAL;
}

/* A write that a full disk cut short is LMDB's EIO. */
static bool is_full(const struct journal *journal)
{
    struct statfs status;
    return file_seam.statfs(journal->dir, &status) == 0 && status.f_bavail < FULL_BLOCKS;
}

/* What these commits, up to `end`, have, in one synced transaction. */
static int write_commits(struct journal *journal, const struct commit *first, const struct commit *end)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(journal->env, NULL, 0, &txn);
    if (rc != 0)
        return lmdb_status(rc);
    for (const struct commit *commit = first; rc == 0 && commit != end; commit = commit->next)
        for (size_t i = 0; rc == 0 && i < commit->count; i++)
            rc = apply(txn, journal->dbi, &commit->edits[i]);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return lmdb_status(rc);
    }
    CRASH_POINT("journal.before_commit");
    rc = lmdb_status(mdb_txn_commit(txn));
    if (rc == -EIO && is_full(journal))
        rc = -ENOSPC;
    CRASH_POINT("journal.after_commit");
    return rc;
}

/* A failure of all may be the fault of one: then each is tried by itself. */
static void write_group(struct journal *journal, struct commit *first)
{
    int rc = write_commits(journal, first, NULL);
    bool several = first->next;
    for (struct commit *commit = first; commit; commit = commit->next)
        commit->status = rc < 0 && several ? write_commits(journal, commit, commit->next) : rc;
}

/* Under the lock, which is not held while it writes. */
static void lead(struct journal *journal)
{
    struct commit *first = journal->first;
    journal->first = NULL;
    journal->last = &journal->first;
    journal->leading = true;
    pthread_mutex_unlock(&journal->lock);
    write_group(journal, first);
    pthread_mutex_lock(&journal->lock);
    for (struct commit *commit = first, *next; commit; commit = next) {
        next = commit->next; /* who is done is gone */
        commit->done = true;
    }
    journal->leading = false;
    pthread_cond_broadcast(&journal->changed);
}

int journal_write(struct journal *journal, const struct edit edits[], size_t count)
{
    struct commit mine = {.edits = edits, .count = count};
    if (journal->generation != process_generation())
        return fail(-ECHILD, "%s: it is open in the parent process", journal->file);
    pthread_mutex_lock(&journal->lock);
    *journal->last = &mine;
    journal->last = &mine.next;
    while (!mine.done && journal->leading)
        pthread_cond_wait(&journal->changed, &journal->lock);
    if (!mine.done)
        lead(journal);
    pthread_mutex_unlock(&journal->lock);
    return mine.status < 0 ? journal_fail(journal, mine.status) : 0;
}
