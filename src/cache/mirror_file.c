/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/mirror.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
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

/* Is it there whole, and fresh, or of the version that the listing has just named? *ask: if not, what is there is not
 * to be used unasked. */
static bool is_present(struct mirror *mirror, const struct file *file, int64_t *size, bool *ask)
{
    struct reader *reader;
    struct record record;
    if (reader_find(mirror->store, KEY_RECORD, &mirror->view->place, file->path, &reader, &record) < 0)
        return false;
    *size = record.head.size;
    *ask = is_contradicted(file, &record);
    bool named = file->version && record_is_strong(&record);
    bool there = record.head.state == RECORD_KNOWN && record.head.type == LARDER_FILE && *size >= 0 &&
                 !*ask && (named || hit_is_fresh(mirror->view, file->path, &record, &mirror->terms)) &&
                 (record.head.body_there || record.head.version || *size == 0) &&
                 reader_has(mirror->store, reader, &record, 0, *size) == 0;
    reader_end(mirror->store, reader);
    return there;
}

static void count(struct mirror *mirror, const struct file *file, struct tally *tally)
{
    int64_t size = 0;
    bool ask = false;
    tally->files++;
    if (is_present(mirror, file, &size, &ask)) {
        tally->bytes_there += (uint64_t)size;
        tally->bytes += (uint64_t)size;
    } else if (file->size >= 0) {
        tally->bytes += (uint64_t)file->size;
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

/* `*there`: nothing had to be done. As of what is streamed, the handle's timeout does not count: large files take their
 * time. */
static int CO_FN fetch_file(struct mirror *mirror, const struct file *file, bool *there)
{
    uint64_t fetched = 0;
    int64_t size = 0;
    bool ask = false;
    *there = is_present(mirror, file, &size, &ask);
    if (*there) {
        mirror->stats.bytes_present += (uint64_t)size;
        return 0;
    }
    if (mirror->options.dry_run) {
        mirror->stats.bytes_fetched += file->size > 0 ? (uint64_t)file->size : 0;
        return 0;
    }
    struct terms terms = mirror->terms;
    if (ask)
        terms.age_max_ms = 0;
    int rc = fetch_keep(mirror->view, file->path, &terms, &mirror->throttle, &size, &fetched);
    mirror->stats.bytes_fetched += fetched;
    if (rc == 0 && (uint64_t)size > fetched)
        mirror->stats.bytes_present += (uint64_t)size - fetched;
    return error_finish(rc, file->path);
}

static int CO_FN next_file(struct mirror *mirror)
{
    struct list *node = mirror_must_stop(mirror) ? NULL : list_pop(&mirror->files);
    bool there;
    if (!node)
        return 0;
    struct file *file = container_of(node, struct file, node);
    int rc = fetch_file(mirror, file, &there);
    if (rc == 0 && mirror->partial && !mirror->options.dry_run)
        rc = pin_set(mirror->store, &mirror->view->place, file->path, true);
    if (!there || !mirror->options.dry_run)
        return settle(mirror, file, rc);
    file_free(file);
    return 0;
}

int CO_EDGE mirror_file_job(void *arg, size_t index)
{
    return next_file(arg);
}
