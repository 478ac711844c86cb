/* SPDX-License-Identifier: Apache-2.0 */
#include "odd_place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/backends.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"

struct odd_place odd;

void odd_reset(void)
{
    memset(&odd, 0, sizeof odd);
}

static int CO_FN stand_still(void)
{
    int rc = 0;
    odd.holding++;
    while (rc == 0 && odd.hold)
        rc = task_sleep(1);
    odd.holding--;
    return rc;
}

/* ---- reading ---- */

static int CO_FN pour_from(const struct bytes_sink *bytes, const struct answer *is, struct sink *sink)
{
    static unsigned versions;
    char version[32];
    struct answer answer = *is;
    int rc = sink_begin(sink, &answer, answer.info.size);
    if (rc == 0 && odd.restart_at > 0 && odd.restart_at < bytes->size) {
        rc = sink_pour(sink, bytes->data, odd.restart_at);
        snprintf(version, sizeof version, "v%u", ++versions);
        if (odd.restart_new)
            answer.info.version = version;
        if (rc == 0)
            rc = sink_begin(sink, &answer, answer.info.size);
    }
    return rc < 0 ? rc : sink_pour(sink, bytes->data, bytes->size);
}

static int CO_FN read_file(struct instance *instance, const char *path, const struct larder_range *range,
                           const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct bytes_sink bytes;
    struct answer is = {0};
    odd.reads++;
    bytes_sink_init(&bytes);
    int rc = stand_still();
    if (rc == 0 && odd.reads_max > 0 && odd.reads > odd.reads_max)
        rc = fail(-EACCES, "odd: %s: no more", path);
    if (rc == 0)
        rc = memory_backend.read(instance, path, range, terms, &bytes.sink, out);
    if (rc == 0)
        rc = memory_backend.info(instance, path, &TERMS_NONE, &is);
    if (rc == 0)
        rc = pour_from(&bytes, &is, sink);
    answer_free(&is);
    bytes_sink_fini(&bytes);
    return rc;
}

static int CO_EDGE odd_read(struct instance *instance, const char *path, const struct larder_range *range,
                            const struct terms *terms, struct sink *sink, struct answer *out)
{
    return read_file(instance, path, range, terms, sink, out);
}

/* ---- writing ---- */

static int CO_FN take_source(struct source *source, struct buffer *bytes)
{
    char piece[7777];
    for (;;) {
        if (odd.rewinds > 0 && bytes->size >= odd.rewind_at) {
            odd.rewinds--;
            bytes->size = 0;
            int rc = source_rewind(source);
            if (rc < 0)
                return rc;
        }
        if (odd.fail_at > 0 && bytes->size >= odd.fail_at)
            return fail(-ENOSPC, "piped: no space");
        int64_t got = source_read(source, piece, sizeof piece);
        if (got <= 0)
            return (int)got;
        if (buffer_add(bytes, piece, (size_t)got) < 0)
            return fail_memory();
        task_yield();
    }
}

static int CO_FN write_file(struct instance *instance, const char *path, struct source *source,
                            unsigned flags, struct answer *out)
{
    struct buffer bytes = BUFFER(SIZE_MAX);
    odd.writes++;
    int rc = stand_still();
    if (rc == 0 && source->data)
        return memory_backend.write(instance, path, source, flags, NULL, out);
    if (rc == 0)
        rc = take_source(source, &bytes);
    if (rc == 0 && source->size >= 0 && (int64_t)bytes.size != source->size)
        rc = fail(-EBADMSG, "piped: %zu bytes instead of %lld", bytes.size, (long long)source->size);
    struct source all = {.size = (int64_t)bytes.size, .data = bytes.data ? bytes.data : ""};
    if (rc == 0)
        rc = memory_backend.write(instance, path, &all, flags, NULL, out);
    buffer_free(&bytes);
    return rc;
}

static int CO_EDGE odd_write(struct instance *instance, const char *path, struct source *source,
                             unsigned flags, const char *if_match, struct answer *out)
{
    return write_file(instance, path, source, flags, out);
}

static int odd_stage_part(struct instance *instance, const char *path, const struct token *token,
                          uint32_t part, int64_t offset, const void *data, size_t size)
{
    odd.parts++;
    if (part >= instance->can.part_count_max || size > instance->can.part_size_max)
        return fail(-EINVAL, "counted: part %u of %zu bytes", part, size);
    return memory_backend.stage_part(instance, path, token, part, offset, data, size);
}

static int odd_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    atomic_fetch_add(&odd.removes, 1);
    return memory_backend.remove(instance, paths, count, status);
}

static int odd_discard(struct instance *instance, const char *path, const struct token *token)
{
    odd.discards++;
    return memory_backend.discard(instance, path, token);
}

/* ---- the tables ---- */

static int odd_locate(const struct backend *backend, const char *url, char **values, char **place,
                      char **path)
{
    return place_is_all(strstr(url, "://") + 3, place, path);
}

static int odd_open(struct instance *instance)
{
    int rc = memory_backend.open(instance);
    instance->can.copy = false;
    instance->can.stage = instance->backend->stage;
    instance->can.touch = instance->backend->touch;
    instance->can.part_size_min = 100;
    instance->can.part_size_max = 1000000;
    instance->can.part_count_max = 4;
    return rc;
}

void odd_register(void)
{
    static struct backend places[3];
    static const char *const protocols[3][2] = {{"piped"}, {"spooled"}, {"counted"}};
    for (int i = 0; i < 3; i++) {
        struct backend *place = &places[i];
        *place = memory_backend;
        place->name = protocols[i][0];
        place->protocols = protocols[i];
        place->locate = odd_locate;
        place->open = odd_open;
        place->copy = NULL;
        place->move = NULL;
        place->discard = odd_discard;
        place->remove = odd_remove;
        if (i < 2) {
            place->stage = NULL;
            place->stage_part = NULL;
        }
        if (i == 1)
            continue;
        place->kind = ASYNC;
        place->read = odd_read;
        place->write = odd_write;
        place->stage_part = i == 2 ? odd_stage_part : NULL;
    }
    places[0].touch = NULL;
    for (int i = 0; i < 3; i++)
        backend_register(&places[i]);
}
