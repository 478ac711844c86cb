/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole tree into the cache. In rounds: a page of each of some directories, then all the files of those
 * pages; so that memory is bounded by pages, whatever the tree, and files of many small directories are
 * fetched at once.
 */
#include <errno.h>
#include <string.h>

#include "larder/cache.h"

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/cache.h"
#include "cache/fetch.h"
#include "fs/enter.h"
#include "task/loop.h"

#define JOBS_DEFAULT 64
#define LIST_JOBS    16
#define LETTERS_MAX  256 /* files told to the caller's side, and not looked at yet */

struct dir {
    struct list node;
    struct cursor cursor;
    char path[]; /* full */
};
struct file {
    struct list node;
    struct mirror *mirror;
    struct letter letter;
    struct larder_item item;
    char *text; /* of a failure; mem */
    char *version;
    char path[]; /* full */
};

struct mirror {
    /* const */
    struct larder_fs *fs;
    struct view *view;
    struct store *store;
    const char *root;
    struct larder_batch batch;
    struct terms terms, list_terms;
    /* the loop's */
    struct list dirs, files; /* to do */
    struct list round;       /* directories of this round */
    struct larder_mirror_stats stats;
    int status; /* of the first failure that counts */
    char *text;
    struct larder_loop *loop;
    struct edge_mail mail;
    struct group group;
    struct waiters room;
    struct post wake;
    /* both sides */
    atomic_uint letters;
    atomic_bool wake_posted, stopped;
    int stop; /* the caller's: what `completed` returned */
};

/* ---- what is to be done ---- */

static struct dir *dir_new(const char *parent, const char *name)
{
    size_t parent_size = strlen(parent), name_size = strlen(name);
    struct dir *dir = mem_zero(sizeof *dir + parent_size + 1 + name_size + 1);
    if (!dir)
        return NULL;
    char *at = mempcpy(dir->path, parent, parent_size);
    if (parent_size && name_size)
        *at++ = '/';
    memcpy(at, name, name_size + 1);
    list_init(&dir->node);
    return dir;
}

static void dir_free(struct dir *dir)
{
    if (!dir)
        return;
    cursor_free(&dir->cursor);
    mem_free(dir);
}

static void file_free(struct file *file)
{
    mem_free(file->text);
    mem_free(file->version);
    mem_free(file);
}

static struct file *file_new(struct mirror *mirror, const char *dir, const char *name)
{
    size_t dir_size = strlen(dir), name_size = strlen(name);
    struct file *file = mem_zero(sizeof *file + dir_size + 1 + name_size + 1);
    if (!file)
        return NULL;
    char *at = mempcpy(file->path, dir, dir_size);
    if (dir_size && name_size)
        *at++ = '/';
    memcpy(at, name, name_size + 1);
    file->mirror = mirror;
    file->item.path = path_below(mirror->root, file->path);
    return file;
}

static int add_file(struct mirror *mirror, const char *dir, const struct larder_info *info)
{
    struct file *file = file_new(mirror, dir, info->name);
    if (!file)
        return fail_memory();
    file->version = info->version ? mem_dup(info->version) : NULL;
    list_push(&mirror->files, &file->node);
    mirror->stats.files++;
    return 0;
}

static bool must_stop(const struct mirror *mirror)
{
    return atomic_load(&mirror->stopped) || (mirror->status < 0 && mirror->batch.on_error != LARDER_RETURN);
}

/* Its words are the current error text. */
static void note(struct mirror *mirror, int status)
{
    if (status >= 0)
        return;
    mirror->stats.failed++;
    if ((status == -ENOENT && mirror->batch.on_error == LARDER_OMIT) || mirror->status < 0)
        return;
    mirror->status = status;
    mirror->text = mem_dup(error_text());
}

/* ---- telling the caller's side ---- */

static void wake_jobs(struct post *post)
{
    struct mirror *mirror = container_of(post, struct mirror, wake);
    atomic_store(&mirror->wake_posted, false);
    if (atomic_load(&mirror->stopped))
        group_cancel(&mirror->group);
    waiters_wake(&mirror->room);
}

static void open_letter(struct letter *letter)
{
    struct file *file = container_of(letter, struct file, letter);
    struct mirror *mirror = file->mirror;
    if (!atomic_load(&mirror->stopped)) {
        error_set_text(file->text);
        mirror->stop = mirror->batch.completed(mirror->batch.arg, &file->item);
        if (mirror->stop != 0)
            atomic_store(&mirror->stopped, true);
    }
    unsigned left = atomic_fetch_sub(&mirror->letters, 1);
    if ((left >= LETTERS_MAX || atomic_load(&mirror->stopped)) &&
        !atomic_exchange(&mirror->wake_posted, true))
        edge_mail_reply(&mirror->mail, mirror->loop, &mirror->wake);
    file_free(file);
}

static int CO_FN settle(struct mirror *mirror, struct file *file, int status)
{
    int rc = 0;
    file->item.status = status;
    note(mirror, status);
    if (!mirror->batch.completed) {
        file_free(file);
        return 0;
    }
    file->text = status < 0 ? mem_dup(error_text()) : NULL;
    atomic_fetch_add(&mirror->letters, 1);
    file->letter.open = open_letter;
    edge_mail_send(&mirror->mail, &file->letter);
    while (rc == 0 && atomic_load(&mirror->letters) >= LETTERS_MAX && !must_stop(mirror))
        rc = waiters_wait(&mirror->room);
    return rc;
}

/* ---- a file ---- */

/* Is it there, whole, and fresh, or of the version that the listing has just named? */
static bool is_present(struct mirror *mirror, const struct file *file, int64_t *size)
{
    struct reader *reader;
    struct record record;
    if (reader_find(mirror->store, KEY_RECORD, &mirror->view->place, file->path, &reader, &record) < 0)
        return false;
    *size = record.head.size;
    bool listed = file->version && record_is_strong(&record) && strcmp(file->version, record.version) == 0;
    bool there = record.head.state == RECORD_KNOWN && record.head.type == LARDER_FILE && *size >= 0 &&
                 (listed || hit_is_fresh(mirror->view, file->path, &record, &mirror->terms)) &&
                 (record.head.body_there || record.head.version || *size == 0) &&
                 reader_has(mirror->store, reader, &record, 0, *size) == 0;
    reader_end(mirror->store, reader);
    return there;
}

static int CO_FN fetch_file(struct mirror *mirror, const struct file *file)
{
    struct deadline deadline;
    uint64_t fetched = 0;
    int64_t size = 0;
    if (is_present(mirror, file, &size)) {
        mirror->stats.bytes_present += (uint64_t)size;
        return 0;
    }
    deadline_begin(&deadline, mirror->fs->timeout_ms > 0 ? (uint64_t)mirror->fs->timeout_ms : 0);
    int rc = fetch_keep(mirror->view, file->path, &mirror->terms, &size, &fetched);
    rc = deadline_end(&deadline, rc, file->path);
    mirror->stats.bytes_fetched += fetched;
    if (rc == 0 && (uint64_t)size > fetched)
        mirror->stats.bytes_present += (uint64_t)size - fetched;
    return error_finish(rc, file->path);
}

static int CO_FN next_file(struct mirror *mirror)
{
    struct list *node = must_stop(mirror) ? NULL : list_pop(&mirror->files);
    if (!node)
        return 0;
    struct file *file = container_of(node, struct file, node);
    int rc = fetch_file(mirror, file);
    return settle(mirror, file, rc);
}

static int CO_EDGE file_job(void *arg, size_t index)
{
    return next_file(arg);
}

/* ---- a directory ---- */

static int take_page(struct mirror *mirror, struct dir *dir, const struct larder_entries *page)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < page->count; i++) {
        const struct larder_info *info = &page->info[i];
        if (info->type == LARDER_FILE)
            rc = add_file(mirror, dir->path, info);
        if (info->type != LARDER_DIRECTORY)
            continue;
        struct dir *below = dir_new(dir->path, info->name);
        if (below)
            list_push(&mirror->dirs, &below->node);
        rc = below ? 0 : fail_memory();
    }
    return rc;
}

/* The root may be a file. */
static int CO_FN take_root(struct mirror *mirror, struct dir *dir)
{
    struct answer answer = {0};
    int rc = fetch_info(&mirror->view->instance, dir->path, &mirror->terms, &answer);
    answer.info.name = "";
    if (rc == 0 && answer.info.type == LARDER_FILE)
        rc = add_file(mirror, dir->path, &answer.info);
    else if (rc == 0)
        rc = fail(-ENOTDIR, "%s: it cannot be listed", dir->path);
    answer_free(&answer);
    return rc;
}

/* A directory that failed is told of like a file. */
static int CO_FN settle_dir(struct mirror *mirror, const char *path, int status)
{
    struct file *file = file_new(mirror, path, "");
    if (file)
        return settle(mirror, file, status);
    note(mirror, status);
    return 0;
}

static int CO_FN next_dir(struct mirror *mirror)
{
    struct list *node = must_stop(mirror) ? NULL : list_pop(&mirror->round);
    struct larder_entries page = {0};
    if (!node)
        return 0;
    struct dir *dir = container_of(node, struct dir, node);
    int rc = fetch_list_kept(mirror->view, dir->path, &mirror->list_terms, &dir->cursor, &page);
    if (rc == -ENOTDIR && strcmp(dir->path, mirror->root) == 0) {
        dir->cursor.end = true;
        rc = take_root(mirror, dir);
    }
    if (rc == 0)
        rc = take_page(mirror, dir, &page);
    larder_entries_free(&page);
    if (rc == 0 && !dir->cursor.end) {
        list_push(&mirror->dirs, &dir->node);
        return 0;
    }
    if (rc < 0 && rc != -ECANCELED)
        rc = settle_dir(mirror, dir->path, error_finish(rc, *dir->path ? dir->path : "the root"));
    dir_free(dir);
    return rc;
}

static int CO_EDGE dir_job(void *arg, size_t index)
{
    return next_dir(arg);
}

/* ---- the whole ---- */

static size_t take_round(struct mirror *mirror)
{
    size_t count = 0;
    while (count < LIST_JOBS && !list_empty(&mirror->dirs)) {
        struct list *node = mirror->dirs.prev; /* the latest: depth first keeps the list short */
        list_remove(node);
        list_push(&mirror->round, node);
        count++;
    }
    return count;
}

static size_t count_files(const struct mirror *mirror)
{
    size_t count = 0;
    list_for_each (node, &mirror->files)
        count++;
    return count;
}

static int CO_FN work(struct mirror *mirror)
{
    unsigned jobs_max = mirror->batch.jobs_max ? mirror->batch.jobs_max : JOBS_DEFAULT;
    size_t count;
    int rc = 0;
    while (rc == 0 && !must_stop(mirror) && (count = take_round(mirror)) > 0) {
        rc = group_each(count, LIST_JOBS, GROUP_FIRST, dir_job, mirror);
        if (rc == 0)
            rc = group_each(count_files(mirror), jobs_max, GROUP_FIRST, file_job, mirror);
    }
    return rc;
}

static int CO_EDGE work_task(void *arg)
{
    return work(arg);
}

static int CO_FN run(struct mirror *mirror)
{
    mirror->loop = task_loop(task_current());
    edge_mail_open(&mirror->mail);
    group_init(&mirror->group, GROUP_FIRST, 0);
    waiters_init(&mirror->room);
    int rc = group_add(&mirror->group, work_task, mirror);
    int served = edge_mail_serve(&mirror->mail, &mirror->group);
    int flushed = writer_flush_wait(mirror->store);
    if (must_stop(mirror))
        return 0; /* the mirror's own status says why */
    return served < 0 ? served : rc < 0 ? rc : flushed;
}

static int CO_EDGE run_task(void *arg)
{
    return run(arg);
}

static void mirror_fini(struct mirror *mirror)
{
    struct list *node;
    while ((node = list_pop(&mirror->dirs)) || (node = list_pop(&mirror->round)))
        dir_free(container_of(node, struct dir, node));
    while ((node = list_pop(&mirror->files)))
        file_free(container_of(node, struct file, node));
    mem_free(mirror->text);
}

static int outcome(struct mirror *mirror, int rc)
{
    if (mirror->stop != 0)
        return mirror->stop;
    if (rc < 0)
        return rc;
    if (mirror->batch.on_error == LARDER_RETURN)
        return mirror->stats.failed > INT32_MAX ? INT32_MAX : (int)mirror->stats.failed;
    if (mirror->status < 0)
        error_set_text(mirror->text);
    return mirror->status;
}

/* The cache that `fs` goes through. */
static struct view *find_view(const struct larder_fs *fs)
{
    for (struct instance *layer = fs->instance; layer; layer = layer->next ? layer->next->instance : NULL)
        if (layer->backend == &cache_backend)
            return container_of(layer, struct view, instance);
    return NULL;
}

static int mirror_begin(struct mirror *mirror, struct larder_fs *fs)
{
    mirror->fs = fs;
    mirror->view = find_view(fs);
    if (!mirror->view)
        return fail(-EINVAL, "not a filesystem through a cache");
    if (mirror->view->mode == MODE_OFFLINE)
        return fail(-ENONET, "offline: nothing can be fetched");
    mirror->store = view_store(mirror->view);
    if (!mirror->store || mirror->store->read_only)
        return fail(-EROFS, "%s: the cache cannot be written", mirror->view->dir);
    mirror->terms = mirror->list_terms = fs->terms;
    mirror->list_terms.age_max_ms = 0;
    struct dir *root = dir_new(mirror->root, "");
    if (!root)
        return fail_memory();
    list_push(&mirror->dirs, &root->node);
    return 0;
}

int larder_mirror(struct larder_fs *fs, const char *path, const struct larder_batch *batch,
                  struct larder_mirror_stats *out)
{
    struct mirror mirror = {.wake = {.run = wake_jobs}};
    autofree char *root = NULL;
    error_clear();
    int rc = path_resolve(fs->root, path, &root, NULL);
    if (rc == 0)
        rc = tuning_take(&mirror.batch, sizeof mirror.batch, batch);
    if (rc < 0)
        return rc;
    mirror.root = root;
    list_init(&mirror.dirs);
    list_init(&mirror.files);
    list_init(&mirror.round);
    rc = enter_check(fs, path);
    if (rc == 0)
        rc = mirror_begin(&mirror, fs);
    if (rc == 0)
        rc = enter_task_untimed(fs, *root ? root : "the root", run_task, &mirror);
    rc = outcome(&mirror, rc);
    if (out) {
        mirror.stats.size = out->size;
        memcpy(out, &mirror.stats, out->size < sizeof mirror.stats ? out->size : sizeof mirror.stats);
    }
    mirror_fini(&mirror);
    return error_finish(rc, path);
}
