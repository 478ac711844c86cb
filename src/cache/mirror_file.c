/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/mirror.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/cap.h"
#include "cache/pin.h"
#include "task/loop.h"

#define LETTERS_MAX 256 /* files told to the caller's side, and not looked at yet */

static void file_free(struct file *file)
{
    mem_free(file->text);
    mem_free(file->version);
    mem_free(file);
}

void mirror_free_files(struct mirror *mirror)
{
    struct list *node;
    while ((node = list_pop(&mirror->files)))
        file_free(container_of(node, struct file, node));
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
    file->size = LARDER_SIZE_UNKNOWN;
    return file;
}

/* ---- telling the caller's side ---- */

/* Its words are the current error text. */
static void note(struct mirror *mirror, int status)
{
    if (status >= 0)
        return;
    mirror->stats.failed++;
    if ((status == -ENOENT && mirror->options.on_error == LARDER_OMIT) || mirror->status < 0)
        return;
    mirror->status = status;
    mirror->text = mem_dup(error_text());
}

void mirror_wake(struct post *post)
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
    const struct larder_mirror_options *options = &mirror->options;
    if (options->progress && !atomic_load(&mirror->stopped))
        options->progress(options->arg, file->done, file->total);
    if (options->completed && !atomic_load(&mirror->stopped)) {
        error_set_text(file->text);
        mirror->stop = options->completed(options->arg, &file->item);
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
    if (status < 0)
        mirror_skip(mirror, file->path);
    if (!mirror->options.completed && !mirror->options.progress) {
        file_free(file);
        return 0;
    }
    file->text = status < 0 ? mem_dup(error_text()) : NULL;
    file->done = (int64_t)(mirror->stats.bytes_fetched + mirror->stats.bytes_present);
    file->total = mirror->plan.unknown ? -1 : (int64_t)mirror->plan.bytes;
    atomic_fetch_add(&mirror->letters, 1);
    file->letter.open = open_letter;
    edge_mail_send(&mirror->mail, &file->letter);
    while (rc == 0 && atomic_load(&mirror->letters) >= LETTERS_MAX && !mirror_must_stop(mirror))
        rc = waiters_wait(&mirror->room);
    return rc;
}

int CO_FN mirror_settle_path(struct mirror *mirror, const char *dir, const char *name, int status)
{
    struct file *file = file_new(mirror, dir, name);
    if (file)
        return settle(mirror, file, status);
    note(mirror, status);
    return 0;
}

/* ---- what is there ---- */

/* Does the listing say that the file is another than the one that is stored? */
static bool is_contradicted(const struct file *file, const struct record *record)
{
    if (file->version && record_is_strong(record))
        return strcmp(file->version, record->version) != 0;
    return (file->size >= 0 && file->size != record->head.size) || file->mtime_ns > record->head.answered_ns;
}

struct presence {
    bool there;     /* whole, and fresh or of the version that the listing has just named */
    bool ask;       /* it is not, and what is there is not to be used unasked */
    bool whole;     /* all of it is stored, be it fresh or not */
    bool pinned;    /* what is stored of it */
    int64_t size;   /* of what is stored … */
    int64_t amount; /* … and how much of that there is */
};

static struct presence look(struct mirror *mirror, const struct file *file)
{
    struct reader *reader;
    struct record record;
    struct presence found = {0};
    if (reader_find(mirror->store, KEY_RECORD, &mirror->view->place, file->path, &reader, &record) < 0)
        return found;
    bool named = file->version && record_is_strong(&record);
    found.size = record.head.size;
    found.ask = is_contradicted(file, &record);
    if (record.head.state == RECORD_KNOWN && record.head.type == LARDER_FILE)
        found.amount = reader_amount(mirror->store, reader, &record);
    found.whole =
        record.head.state == RECORD_KNOWN && record.head.type == LARDER_FILE && found.size == found.amount;
    found.there = found.whole && !found.ask &&
                  (named || hit_is_fresh(mirror->view, file->path, &record, &mirror->terms));
    reader_end(mirror->store, reader);
    found.pinned =
        (found.whole || found.amount > 0) && pin_covers(mirror->store, &mirror->view->place, file->path);
    return found;
}

/* ---- counting ---- */

#define PAGE_SIZE 4096 /* LMDB's, where that is not larger */
#define HEAD_SIZE 512  /* of a record, with its key, path and version */

static uint64_t pages(uint64_t size)
{
    return (size + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
}

/* What a file of so many bytes takes when nothing of it shrinks: it lies in its record, or in blocks. */
static uint64_t cost_of(int64_t size)
{
    if (size <= BODY_SIZE_MAX)
        return pages((uint64_t)size + HEAD_SIZE);
    uint64_t blocks = (uint64_t)(size / BLOCK_SIZE), rest = (uint64_t)(size % BLOCK_SIZE);
    return blocks * pages(BLOCK_SIZE) + pages(rest) + PAGE_SIZE;
}

static void count(struct mirror *mirror, const struct file *file, struct tally *tally)
{
    struct presence found = look(mirror, file);
    int64_t size = found.there ? found.size : file->size;
    tally->files++;
    if (found.pinned)
        tally->took += cost_of(found.amount);
    if (size >= 0) {
        tally->bytes += (uint64_t)size;
        tally->takes += cost_of(size);
    } else {
        tally->unknown = true;
    }
}

int mirror_add_file(struct mirror *mirror, const char *dir, const struct larder_info *info,
                    struct tally *tally)
{
    struct file *file = file_new(mirror, dir, info->name);
    if (!file)
        return fail_memory();
    file->size = info->size;
    file->mtime_ns = info->mtime_ns;
    file->version = info->version ? mem_dup(info->version) : NULL;
    bool wanted = !*file->item.path || filter_wants(&mirror->filter, file->item.path, false);
    if (wanted && !tally) {
        list_push(&mirror->files, &file->node);
        return 0;
    }
    if (wanted)
        count(mirror, file, tally);
    file_free(file);
    return 0;
}

/* ---- what is fetched ---- */

/* As of what is streamed, the handle's timeout does not count: large files take their time. */
static int CO_FN fetch_file(struct mirror *mirror, const struct file *file, bool ask)
{
    uint64_t fetched = 0;
    int64_t size = 0;
    struct terms terms = mirror->terms;
    if (ask)
        terms.age_max_ms = 0;
    int rc = fetch_keep(mirror->view, file->path, &terms, &mirror->throttle, &size, &fetched);
    mirror->stats.bytes_fetched += fetched;
    if (rc == 0 && (uint64_t)size > fetched)
        mirror->stats.bytes_present += (uint64_t)size - fetched;
    if (rc == 0 && mirror->partial)
        rc = pin_set(mirror->store, &mirror->view->place, file->path, true);
    return error_finish(rc, file->path);
}

static int no_room(const struct file *file, const char *what)
{
    return fail(-ENOSPC, "%s: not %s, for want of room beside what is pinned (cache.max_size)", file->path,
                what);
}

/* Beside what else is pinned; another version that is whole stays until this one is. */
static bool may_fit(const struct mirror *mirror, const struct file *file, const struct presence *found)
{
    uint64_t cost = cost_of(file->size > 0 ? file->size : 0);
    uint64_t has = found->pinned && !found->whole ? cost_of(found->amount) : 0;
    return cap_may_fit(mirror->store, cost > has ? cost - has : 0);
}

/* A dry run: what would be fetched of it. */
static int plan_file(struct mirror *mirror, const struct file *file, const struct presence *found)
{
    int64_t there = found->ask || (found->whole && !found->there) ? 0 : found->amount;
    mirror->stats.bytes_present += (uint64_t)there;
    if (!found->there && file->size > there)
        mirror->stats.bytes_fetched += (uint64_t)(file->size - there);
    return found->there;
}

/* 1: there is nothing to be told of it. */
static int CO_FN do_file(struct mirror *mirror, const struct file *file)
{
    struct presence found = look(mirror, file);
    if (mirror->pass == PASS_CHECK)
        return found.whole || mirror_is_skipped(mirror, file->path) ? 1 : no_room(file, "kept");
    if (mirror->options.dry_run)
        return plan_file(mirror, file, &found);
    if (!found.there && !may_fit(mirror, file, &found))
        return no_room(file, "fetched");
    if (!found.there)
        return fetch_file(mirror, file, found.ask);
    mirror->stats.bytes_present += (uint64_t)found.size;
    return mirror->partial ? pin_set(mirror->store, &mirror->view->place, file->path, true) : 0;
}

static int CO_FN next_file(struct mirror *mirror)
{
    struct list *node = mirror_must_stop(mirror) ? NULL : list_pop(&mirror->files);
    if (!node)
        return 0;
    struct file *file = container_of(node, struct file, node);
    int rc = do_file(mirror, file);
    if (rc <= 0)
        return settle(mirror, file, rc);
    file_free(file);
    return 0;
}

int CO_EDGE mirror_file_job(void *arg, size_t index)
{
    return next_file(arg);
}
