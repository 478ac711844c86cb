/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/archive.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/format.h"

#define TEXT_NULL 0xffff

/* ---- numbers ---- */

static void encode(unsigned char *at, uint64_t number, unsigned size)
{
    for (unsigned i = 0; i < size; i++, number >>= 8)
        at[i] = (unsigned char)number;
}

static uint64_t decode(const unsigned char *at, unsigned size)
{
    uint64_t number = 0;
    for (unsigned i = size; i > 0; i--)
        number = number << 8 | at[i - 1];
    return number;
}

static void put_number(struct buffer *out, uint64_t number, unsigned size)
{
    unsigned char bytes[8];
    encode(bytes, number, size);
    buffer_add(out, bytes, size);
}

void put_u64(struct buffer *out, uint64_t number)
{
    put_number(out, number, 8);
}

void put_u32(struct buffer *out, uint32_t number)
{
    put_number(out, number, 4);
}

static uint64_t take_number(struct span *span, unsigned size)
{
    span->broken |= span->left < size;
    if (span->broken)
        return 0;
    uint64_t number = decode(span->at, size);
    span->at += size;
    span->left -= size;
    return number;
}

uint64_t take_u64(struct span *span)
{
    return take_number(span, 8);
}

uint32_t take_u32(struct span *span)
{
    return (uint32_t)take_number(span, 4);
}

/* ---- texts ---- */

void put_text(struct buffer *out, const char *text, size_t size)
{
    put_number(out, text ? size : TEXT_NULL, 2);
    if (text)
        buffer_add(out, text, size);
}

static void put_string(struct buffer *out, const char *text)
{
    put_text(out, text, text ? strlen(text) : 0);
}

char *take_text(struct span *span)
{
    size_t size = (size_t)take_number(span, 2);
    if (span->broken || size == TEXT_NULL)
        return NULL;
    span->broken = span->left < size || memchr(span->at, 0, size);
    char *text = span->broken ? NULL : mem_dup_n((const char *)span->at, size);
    if (!text) {
        span->broken = true;
        return NULL;
    }
    span->at += size;
    span->left -= size;
    return text;
}

void texts_free(struct archive_texts *texts)
{
    mem_free(texts->path);
    mem_free(texts->version);
    mem_free(texts->validator);
    *texts = (struct archive_texts){0};
}

/* ---- entries ---- */

void put_entry(struct buffer *out, const struct archive_entry *entry)
{
    const struct answer *answer = &entry->answer;
    put_number(out, entry->state, 1);
    put_number(out, answer->info.type, 1);
    put_number(out, answer->flags, 1);
    put_u64(out, (uint64_t)answer->info.size);
    put_u64(out, (uint64_t)answer->info.mtime_ns);
    put_u64(out, (uint64_t)answer->info.created_ns);
    put_u64(out, (uint64_t)entry->answered_ns);
    put_u64(out, (uint64_t)answer->fresh_ms);
    put_u64(out, (uint64_t)answer->stale_if_error_ms);
    put_string(out, entry->path);
    put_string(out, answer->info.version);
    put_string(out, answer->validator);
}

static bool is_type(enum larder_type type)
{
    return type == LARDER_FILE || type == LARDER_DIRECTORY || type == LARDER_OTHER;
}

static bool makes_sense(const struct archive_entry *entry)
{
    bool known = entry->state == RECORD_KNOWN && is_type(entry->answer.info.type);
    return (known || entry->state == RECORD_ABSENT) && entry->answer.info.size >= LARDER_SIZE_UNKNOWN &&
           entry->path && path_is_clean(entry->path);
}

void take_entry(struct span *span, struct archive_entry *entry, struct archive_texts *texts)
{
    struct answer *answer = &entry->answer;
    *entry = (struct archive_entry){.state = (uint8_t)take_number(span, 1)};
    answer->info.type = (enum larder_type)take_number(span, 1);
    answer->flags = (unsigned)take_number(span, 1) & (ANSWER_MUST_REVALIDATE | ANSWER_WEAK | ANSWER_SLASH);
    answer->info.size = (int64_t)take_u64(span);
    answer->info.mtime_ns = (int64_t)take_u64(span);
    answer->info.created_ns = (int64_t)take_u64(span);
    entry->answered_ns = (int64_t)take_u64(span);
    answer->fresh_ms = (int64_t)take_u64(span);
    answer->stale_if_error_ms = (int64_t)take_u64(span);
    entry->path = texts->path = take_text(span);
    answer->info.version = texts->version = take_text(span);
    answer->validator = texts->validator = take_text(span);
    span->broken |= span->left > 0 || !makes_sense(entry);
}

void put_info(struct buffer *out, const struct larder_info *info)
{
    put_u64(out, (uint64_t)info->size);
    put_u64(out, (uint64_t)info->mtime_ns);
    put_u64(out, (uint64_t)info->created_ns);
    put_number(out, info->type, 1);
    put_string(out, info->name);
    put_string(out, info->version);
}

void take_info(struct span *span, struct larder_info *info, struct archive_texts *texts)
{
    *info = (struct larder_info){.size = (int64_t)take_u64(span)};
    info->mtime_ns = (int64_t)take_u64(span);
    info->created_ns = (int64_t)take_u64(span);
    info->type = (enum larder_type)take_number(span, 1);
    info->name = texts->path = take_text(span);
    info->version = texts->version = take_text(span);
    span->broken |= !is_type(info->type) || info->size < LARDER_SIZE_UNKNOWN || !info->name ||
                    !path_is_segment(info->name);
}

/* ---- frames ---- */

size_t frame_begin(struct buffer *out, enum frame_kind kind)
{
    size_t begun = out->size;
    put_u32(out, 0);
    put_number(out, kind, 1);
    return begun;
}

void frame_end(struct buffer *out, size_t begun)
{
    if (out->status < 0)
        return;
    unsigned char *frame = (unsigned char *)out->data + begun;
    size_t size = out->size - begun - FRAME_HEAD;
    encode(frame, size, 4);
    put_u64(out, hash_bytes(frame + 4, size + 1));
}

int64_t frame_size(const void *data, size_t size)
{
    if (size < FRAME_HEAD)
        return 0;
    uint64_t body = decode(data, 4);
    return body > FRAME_SIZE_MAX ? -EBADMSG : (int64_t)(FRAME_HEAD + body + FRAME_TAIL);
}

int frame_open(const void *data, enum frame_kind *kind, struct span *body)
{
    const unsigned char *frame = data;
    size_t size = (size_t)decode(frame, 4);
    if (decode(frame + FRAME_HEAD + size, FRAME_TAIL) != hash_bytes(frame + 4, size + 1))
        return -EBADMSG;
    *kind = (enum frame_kind)frame[4];
    *body = (struct span){.at = frame + FRAME_HEAD, .left = size};
    return 0;
}
