/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/listing.h"

#include <errno.h>
#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"
#include "cache/edit.h"
#include "cache/view.h"

struct page_head {
    uint32_t packed_size, raw_size, count;
};
struct entry_head {
    int64_t size, mtime_ns, created_ns;
    uint32_t type, name_size, version_size;
};
#define ENTRY_HEAD_SIZE (3 * 8 + 3 * 4)

#define PACK_SIZE_MIN 512

void listing_free(struct listing *listing)
{
    mem_free(listing->data);
    *listing = (struct listing){0};
}

/* ---- writing ---- */

static int write_entries(struct buffer *raw, const struct larder_entries *page)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct larder_info *info = &page->info[i];
        struct entry_head head = {.size = info->size,
                                  .mtime_ns = info->mtime_ns,
                                  .created_ns = info->created_ns,
                                  .type = info->type,
                                  .name_size = (uint32_t)strlen(info->name),
                                  .version_size = info->version ? (uint32_t)strlen(info->version) : 0};
        buffer_add(raw, &head, ENTRY_HEAD_SIZE);
        buffer_add(raw, info->name, head.name_size);
        buffer_add(raw, info->version ? info->version : "", head.version_size);
    }
    return raw->status;
}

static int reserve(struct listing *listing, size_t more)
{
    size_t need = listing->size + more, capacity = listing->capacity ? listing->capacity : 1024;
    if (need > LISTING_SIZE_MAX)
        return -EFBIG;
    while (capacity < need)
        capacity *= 2;
    if (capacity == listing->capacity)
        return 0;
    char *data = mem_resize(listing->data, capacity);
    if (!data)
        return -ENOMEM;
    listing->data = data;
    listing->capacity = capacity;
    return 0;
}

static size_t pack_page(const struct buffer *raw, int level, char *out, size_t room)
{
    static const ZSTD_customMem memory = {mem_library_alloc, mem_library_free, NULL};
    if (level == 0 || raw->size < PACK_SIZE_MIN)
        return 0;
    ZSTD_CCtx *context = ZSTD_createCCtx_advanced(memory);
    size_t size = context ? ZSTD_compressCCtx(context, out, room, raw->data, raw->size, level) : 0;
    ZSTD_freeCCtx(context);
    return ZSTD_isError(size) || size >= raw->size ? 0 : size;
}

int listing_add(struct listing *listing, const struct larder_entries *page, int level)
{
    struct buffer raw = BUFFER(LISTING_PAGE_MAX);
    int rc = write_entries(&raw, page);
    if (rc == 0)
        rc = reserve(listing, sizeof(struct page_head) + raw.size);
    if (rc == 0) {
        char *at = listing->data + listing->size;
        struct page_head head = {.raw_size = (uint32_t)raw.size, .count = (uint32_t)page->count};
        head.packed_size = (uint32_t)pack_page(&raw, level, at + sizeof head, raw.size);
        if (head.packed_size == 0 && raw.size > 0) {
            memcpy(at + sizeof head, raw.data, raw.size);
            head.packed_size = head.raw_size;
        }
        memcpy(at, &head, sizeof head);
        listing->size += sizeof head + head.packed_size;
    }
    buffer_free(&raw);
    return rc;
}

/* ---- reading ---- */

/* The raw bytes of the page at *offset: in place, or in *unpacked, which is then to be freed. */
static int open_page(const struct listing *listing, size_t *offset, struct page_head *head, const char **raw,
                     char **unpacked)
{
    if (listing->size - *offset < sizeof *head)
        return -EBADMSG;
    memcpy(head, listing->data + *offset, sizeof *head);
    *raw = listing->data + *offset + sizeof *head;
    if (head->packed_size > listing->size - *offset - sizeof *head || head->raw_size > LISTING_PAGE_MAX)
        return -EBADMSG;
    *offset += sizeof *head + head->packed_size;
    if (head->packed_size == head->raw_size)
        return 0;
    char *room = mem_alloc(head->raw_size);
    if (!room)
        return fail_memory();
    if (ZSTD_decompress(room, head->raw_size, *raw, head->packed_size) != head->raw_size) {
        mem_free(room);
        return -EBADMSG;
    }
    *raw = *unpacked = room;
    return 0;
}

static int next_entry(const char **at, size_t *left, struct entry_head *head, const char **name,
                      const char **version)
{
    if (*left < ENTRY_HEAD_SIZE)
        return -EBADMSG;
    memcpy(head, *at, ENTRY_HEAD_SIZE);
    uint64_t size = ENTRY_HEAD_SIZE + (uint64_t)head->name_size + head->version_size;
    if (size > *left)
        return -EBADMSG;
    *name = *at + ENTRY_HEAD_SIZE;
    *version = *name + head->name_size;
    *at += size;
    *left -= size;
    return 0;
}

static struct larder_info entry_info(const struct entry_head *head)
{
    return (struct larder_info){.type = (enum larder_type)head->type,
                                .size = head->size,
                                .mtime_ns = head->mtime_ns,
                                .created_ns = head->created_ns};
}

static int add_entry(struct entries_builder *builder, const struct entry_head *head, const char *name_at,
                     const char *version_at)
{
    struct larder_info info = entry_info(head);
    autofree char *name = mem_dup_n(name_at, head->name_size);
    autofree char *version = head->version_size ? mem_dup_n(version_at, head->version_size) : NULL;
    if (!name || (head->version_size && !version))
        return fail_memory();
    info.name = name;
    info.version = version;
    return entries_add(builder, &info);
}

int listing_page(const struct listing *listing, size_t *offset, struct larder_entries *page)
{
    struct entries_builder builder = {0};
    struct page_head head;
    struct entry_head entry;
    const char *at, *name, *version;
    autofree char *unpacked = NULL;
    int rc = open_page(listing, offset, &head, &at, &unpacked);
    size_t left = head.raw_size;
    for (uint32_t i = 0; rc == 0 && i < head.count; i++) {
        rc = next_entry(&at, &left, &entry, &name, &version);
        if (rc == 0)
            rc = add_entry(&builder, &entry, name, version);
    }
    if (rc < 0)
        entries_discard(&builder);
    else
        entries_finish(&builder, page);
    return rc;
}

static int find_in_page(const struct page_head *head, const char *at, const char *name, size_t name_size,
                        struct answer *out)
{
    struct entry_head entry;
    const char *entry_name, *version;
    size_t left = head->raw_size;
    for (uint32_t i = 0; i < head->count; i++) {
        int rc = next_entry(&at, &left, &entry, &entry_name, &version);
        if (rc < 0)
            return rc;
        if (entry.name_size != name_size || memcmp(entry_name, name, name_size) != 0)
            continue;
        struct answer found = {.info = entry_info(&entry), .fresh_ms = -1, .stale_if_error_ms = -1};
        autofree char *text = entry.version_size ? mem_dup_n(version, entry.version_size) : NULL;
        if (entry.version_size && !text)
            return fail_memory();
        found.info.version = found.validator = text;
        return answer_copy(out, &found);
    }
    return -ENOENT;
}

/* ---- stored ones ---- */

bool listing_is_there(struct store *store, const struct place *place, const char *path,
                      const struct terms *terms)
{
    struct reader *reader;
    struct record record;
    if (reader_find(store, KEY_LISTING, place, path, &reader, &record) < 0)
        return false;
    reader_end(store, reader);
    return record.head.state == RECORD_KNOWN && hit_is_young(record.head.answered_ns, terms);
}

int listing_load(struct store *store, const struct place *place, const char *path, struct listing *out)
{
    struct reader *reader;
    struct record record;
    struct answer answer;
    struct bytes_sink sink;
    if (reader_find(store, KEY_LISTING, place, path, &reader, &record) < 0)
        return -EAGAIN;
    bytes_sink_init(&sink);
    record_answer(&record, &answer);
    int64_t size = record.head.size;
    bool there =
        record.head.state == RECORD_KNOWN && size >= 0 && reader_has(store, reader, &record, 0, size) == 0;
    int rc = there ? sink_begin_now(&sink.sink, &answer, size) : -EAGAIN;
    if (rc == 0)
        rc = reader_put(store, reader, &record, 0, size, &sink.sink);
    reader_end(store, reader);
    if (rc == 0)
        *out = (struct listing){.data = take(sink.data), .size = (size_t)size, .capacity = sink.capacity};
    bytes_sink_fini(&sink);
    return rc == -EBADMSG ? -EAGAIN : rc;
}

int listing_find(struct store *store, const struct place *place, const char *dir, const char *name,
                 size_t name_size, struct answer *out)
{
    struct listing listing = {0};
    size_t offset = 0;
    int rc = listing_load(store, place, dir, &listing);
    if (rc < 0)
        return rc;
    rc = -ENOENT;
    while (rc == -ENOENT && offset < listing.size) {
        struct page_head head;
        const char *at;
        autofree char *unpacked = NULL;
        rc = open_page(&listing, &offset, &head, &at, &unpacked);
        if (rc == 0)
            rc = find_in_page(&head, at, name, name_size, out);
    }
    listing_free(&listing);
    return rc == -EBADMSG ? -EAGAIN : rc;
}
