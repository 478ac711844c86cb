/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing through a stager. Bytes are put into its part where the caller is; only a full part, a flush and the close go
 * through the edge, and a full part of a thread's local file not even that. A file that never filled one is written by
 * larder_pipe_file, as anybody would.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "fs/chain.h"
#include "fs/compress.h"
#include "fs/enter.h"
#include "fs/file_object.h"
#include "fs/layer.h"

#define PACKED_SIZE ((size_t)128 << 10)

/* The first failure is the file's. */
static int settle(struct larder_file *file, int rc)
{
    struct file_writer *writer = &file->writer;
    if (rc == 0 || file->state == FILE_FAILED)
        return rc;
    file_set_state(file, FILE_FAILED);
    writer->status = rc;
    writer->text = mem_dup(error_text());
    return rc;
}

static int failed_before(const struct larder_file *file)
{
    if (file->state != FILE_FAILED)
        return 0;
    error_set_text(file->writer.text);
    return file->writer.status;
}

/* ---- opening ---- */

static int info_of(struct larder_file *file, struct answer *out)
{
    struct layer_call call = {LAYER_INFO, .out = out};
    struct terms terms = file->fs->terms;
    terms.age_max_ms = 0; /* what a cache believes decides nothing here */
    call.terms = &terms;
    int rc = enter_call(file->fs, file->path, &call);
    if (rc != -ENOENT)
        return rc;
    error_clear();
    return -ENOENT;
}

static int open_exclusive(struct larder_file *file)
{
    struct answer answer = {0};
    int rc = info_of(file, &answer);
    answer_free(&answer);
    file->writer.flags = LARDER_CREATE;
    return rc == 0 ? fail_at(file->fs->instance, file->full, -EEXIST, "it exists") : rc == -ENOENT ? 0 : rc;
}

static int stand_behind(struct larder_file *file, const struct larder_info *info)
{
    if (info->type == LARDER_DIRECTORY)
        return fail_at(file->fs->instance, file->full, -EISDIR, "a directory");
    if (!info->version || info->size < 0)
        return fail(-ENOTSUP, "%s: nothing says which version it is, so that it cannot be appended to safely",
                    file->path);
    file->writer.old = mem_dup(info->version);
    file->position = info->size;
    file_set_state(file, FILE_APPENDING);
    return file->writer.old ? 0 : fail_memory();
}

static int open_append(struct larder_file *file)
{
    struct answer answer = {0};
    int rc = info_of(file, &answer);
    if (rc == 0)
        rc = stand_behind(file, &answer.info);
    answer_free(&answer);
    if (rc != -ENOENT)
        return rc;
    file->writer.came = true;
    file->writer.flags = LARDER_CREATE;
    return 0;
}

static int open_encoder(struct larder_file *file)
{
    const struct compression *compression = file->options.compression;
    if (file->options.compression_auto)
        compression = compression_by_suffix(file->path);
    if (!compression)
        return 0;
    file->writer.packed = mem_alloc(PACKED_SIZE);
    return file->writer.packed ? encoder_new(compression, file->options.level, &file->writer.encoder)
                               : fail_memory();
}

int file_write_open(struct larder_file *file, char mode)
{
    struct instance *instance = file->fs->instance;
    /* Parts fly in tasks of the place's loop. What has none is written by tasks of any: nothing can fly. */
    unsigned flight_max = instance->backend->kind == ASYNC ? file->options.parts_max : 0;
    stager_init(&file->writer.stager, instance, file->full, file->options.part_size, flight_max);
    file->writer.stager.labels = &file->fs->labels;
    int rc = mode == 'x' ? open_exclusive(file) : mode == 'a' ? open_append(file) : 0;
    if (rc == 0)
        rc = open_encoder(file);
    if (rc < 0)
        file_write_forget(file);
    return rc;
}

/* ---- through the edge ---- */

static int CO_EDGE turn_task(void *arg)
{
    return stager_turn(arg);
}

static int CO_EDGE flush_task(void *arg)
{
    return stager_flush(arg);
}

static int CO_FN take_old(struct larder_file *file)
{
    struct terms terms = file->fs->terms;
    terms.if_match = file->writer.old;
    return layer_read(file->fs->instance, file->full, NULL, &terms, &file->writer.stager.sink, NULL);
}

static int CO_EDGE take_old_task(void *arg)
{
    return take_old(arg);
}

/* ---- writing ---- */

static int turn(struct larder_file *file)
{
    struct stager *stager = &file->writer.stager;
    if (!enter_is_direct(file->fs))
        return enter_task(file->fs, file->path, turn_task, stager);
    int rc = enter_begin(file->fs, file->path);
    if (rc < 0)
        return rc;
    rc = stager_turn_here(stager);
    enter_end(file->fs);
    return rc;
}

/* These bytes, as they are. */
static int put(struct larder_file *file, const char *data, size_t size)
{
    while (size > 0) {
        size_t taken;
        int rc = stager_put(&file->writer.stager, data, size, &taken);
        if (rc == 0 && taken < size)
            rc = turn(file);
        if (rc < 0)
            return rc;
        data += taken;
        size -= taken;
    }
    return 0;
}

struct encoding {
    struct encoder *encoder;
    struct run run;
    bool finish;
    int rc;
};

static int encode_some(void *arg)
{
    struct encoding *encoding = arg;
    encoding->rc = encoder_step(encoding->encoder, &encoding->run, encoding->finish);
    return encoding->rc < 0 ? encoding->rc : 0;
}

static int encode(struct larder_file *file, const void *data, size_t size, bool finish)
{
    struct encoding encoding = {file->writer.encoder, {.in = data, .in_size = size}, finish, 0};
    int rc = 0;
    do {
        encoding.run.out = file->writer.packed;
        encoding.run.out_size = PACKED_SIZE;
        rc = enter_work(encode_some, &encoding);
        if (rc == 0)
            rc = put(file, file->writer.packed, PACKED_SIZE - encoding.run.out_size);
    } while (rc == 0 && (encoding.rc > 0 || encoding.run.out_size == 0));
    return rc;
}

/* What is there already comes first. */
static int begin(struct larder_file *file)
{
    int rc = failed_before(file);
    if (rc < 0 || file->state != FILE_APPENDING)
        return rc;
    rc = enter_task(file->fs, file->path, take_old_task, file);
    if (rc == 0)
        file_set_state(file, FILE_WRITING);
    return settle(file, rc);
}

struct writing {
    struct larder_file *file;
    const void *data;
    size_t size;
};

static int write_now(void *arg)
{
    const struct writing *writing = arg;
    struct larder_file *file = writing->file;
    return file->writer.encoder ? encode(file, writing->data ? writing->data : "", writing->size, false)
                                : put(file, writing->data, writing->size);
}

/* What a thread does of it by itself, a cancel of the loop in use stops between two parts. */
int file_write_bytes(struct larder_file *file, const void *data, size_t size)
{
    struct writing writing = {file, data, size};
    int rc = begin(file);
    if (rc == 0)
        rc = settle(file, enter_is_direct(file->fs) ? work_here(write_now, &writing) : write_now(&writing));
    if (rc == 0)
        file->position += (int64_t)size;
    return rc;
}

int file_write_flush(struct larder_file *file)
{
    int rc = begin(file);
    return rc < 0 ? rc : settle(file, enter_task(file->fs, file->path, flush_task, &file->writer.stager));
}

/* ---- the end ---- */

struct ending {
    struct larder_file *file;
    bool publish;
    bool ran;
};

static int CO_FN end(struct ending *ending)
{
    struct larder_file *file = ending->file;
    struct file_writer *writer = &file->writer;
    int rc = 0;
    ending->ran = true;
    if (ending->publish)
        rc = stager_publish(&writer->stager, writer->flags | file->options.flags, writer->old, NULL);
    stager_fini(&writer->stager);
    return rc;
}

static int CO_EDGE end_task(void *arg)
{
    return end(arg);
}

static int end_apart(struct larder_file *file, bool publish)
{
    struct ending ending = {file, publish, false};
    bool nothing = !publish && file->writer.stager.state == STAGER_EMPTY;
    int rc = nothing ? 0 : enter_task(file->fs, file->path, end_task, &ending);
    if (!ending.ran) /* or the loop is gone, and all that flew with it */
        stager_abandon(&file->writer.stager);
    return rc;
}

/* Of one part: a write as any other. */
static int end_here(struct larder_file *file)
{
    const struct file_writer *writer = &file->writer;
    const struct stager_part *part = writer->stager.current;
    unsigned flags = writer->flags | file->options.flags;
    return writer->old ? larder_replace_file(file->fs, file->path, part->data, part->size, writer->old, flags)
                       : larder_pipe_file(file->fs, file->path, part->data, part->size, flags);
}

static int publish(struct larder_file *file)
{
    struct file_writer *writer = &file->writer;
    int rc = writer->encoder ? settle(file, encode(file, "", 0, true)) : 0;
    if (rc < 0) {
        end_apart(file, false);
        return failed_before(file);
    }
    if (writer->stager.state != STAGER_EMPTY)
        return end_apart(file, true);
    rc = end_here(file);
    stager_forget(&writer->stager);
    return rc;
}

static void free_rest(struct larder_file *file)
{
    struct file_writer *writer = &file->writer;
    encoder_free(writer->encoder);
    mem_free(writer->packed);
    mem_free(writer->old);
    mem_free(writer->text);
}

int file_write_close(struct larder_file *file)
{
    int rc = 0;
    if (file->state == FILE_WRITING)
        rc = publish(file);
    else
        end_apart(file, false);
    if (rc == -EEXIST && file->writer.came)
        rc = fail(-ESTALE, "%s: it has come meanwhile", file->path);
    if (file->state == FILE_FAILED)
        rc = failed_before(file);
    free_rest(file);
    return rc;
}

void file_write_discard(struct larder_file *file)
{
    end_apart(file, false);
    free_rest(file);
}

void file_write_forget(struct larder_file *file)
{
    stager_forget(&file->writer.stager);
    free_rest(file);
}
