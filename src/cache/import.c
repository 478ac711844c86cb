/* SPDX-License-Identifier: Apache-2.0 */
#define ZSTD_STATIC_LINKING_ONLY
#include "cache/import.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "cache/edit.h"
#include "cache/pin.h"
#include "fs/fs.h"

#define WINDOW_LOG_MAX 25 /* of zstd: so much memory may an archive want, 32 MiB */

int import_broken(const char *what)
{
    return fail(-EBADMSG, "no sound archive: %s", what);
}

/* ---- frames ---- */

static int take_names(struct importer *import, struct span *body)
{
    struct entries_builder builder = {0};
    struct larder_entries page;
    int rc = import->open && import->listing ? 0 : import_broken("names that are out of place");
    while (rc == 0 && body->left > 0 && !body->broken) {
        struct larder_info info;
        struct archive_texts texts = {0};
        take_info(body, &info, &texts);
        rc = body->broken ? import_broken("a name that makes no sense") : entries_add(&builder, &info);
        texts_free(&texts);
    }
    if (rc < 0) {
        entries_discard(&builder);
        return rc;
    }
    entries_finish(&builder, &page);
    rc = import->skip ? 0 : listing_add(&import->names, &page, LISTING_LEVEL);
    larder_entries_free(&page);
    return rc == -EFBIG ? import_broken("a listing that is too large") : rc == -ENOMEM ? fail_memory() : rc;
}

static char *take_all(struct span *body)
{
    char *text = memchr(body->at, 0, body->left) ? NULL : mem_dup_n((const char *)body->at, body->left);
    body->left = 0;
    return text;
}

static int take_place(struct importer *import, struct span *body)
{
    char *identity = body->left <= TEXT_SIZE_MAX ? take_all(body) : NULL;
    if (!identity)
        return import_broken("a place that makes no sense");
    mem_free(import->identity);
    import->identity = identity;
    import->place = place_of(identity);
    return 0;
}

static int take_pin(struct importer *import, struct span *body)
{
    autofree char *path = body->left <= TEXT_SIZE_MAX ? take_all(body) : NULL;
    if (!path || !path_is_clean(path) || !import->identity)
        return import_broken("a pin that makes no sense");
    import->stats.pins++;
    return pin_set(import->store, &import->place, path, true);
}

static int take_head(struct importer *import, struct span *body)
{
    size_t magic = strlen(ARCHIVE_MAGIC);
    if (body->left < magic || memcmp(body->at, ARCHIVE_MAGIC, magic) != 0)
        return import_broken("it does not begin as one");
    body->at += magic;
    body->left -= magic;
    uint32_t version = take_u32(body);
    import->headed = true;
    if (!body->broken && version != ARCHIVE_VERSION)
        return fail(-ENOTSUP, "an archive of version %u; this Larder reads version %d", version,
                    ARCHIVE_VERSION);
    return body->broken || body->left > 0 ? import_broken("its head") : 0;
}

static int take_end(struct importer *import, struct span *body)
{
    uint64_t entries = take_u64(body);
    import->ended = true;
    return body->broken || body->left > 0 || entries != import->entries ? import_broken("entries are missing")
                                                                        : 0;
}

static int take_frame(struct importer *import, enum frame_kind kind, struct span *body)
{
    if (import->ended)
        return import_broken("something stands behind its end");
    if (!import->headed)
        return kind == FRAME_HEADER ? take_head(import, body) : import_broken("it does not begin as one");
    if (kind == FRAME_DATA)
        return import_data(import, body);
    if (kind == FRAME_NAMES)
        return take_names(import, body);
    if (kind == FRAME_VOID) {
        import_drop_entry(import);
        return body->left > 0 ? import_broken("a frame that is too long") : 0;
    }
    int rc = import_end_entry(import);
    if (rc < 0)
        return rc;
    switch (kind) {
    case FRAME_PLACE:
        return take_place(import, body);
    case FRAME_PIN:
        return take_pin(import, body);
    case FRAME_FILE:
    case FRAME_LISTING:
        return import_begin_entry(import, body, kind == FRAME_LISTING);
    case FRAME_END:
        return take_end(import, body);
    default:
        return import_broken("a frame of an unknown kind");
    }
}

/* ---- the stream ---- */

/* All frames that are whole; what is left moves to the front. */
static int take_frames(struct importer *import)
{
    size_t done = 0;
    int rc = 0;
    while (rc == 0) {
        enum frame_kind kind;
        struct span body;
        const char *at = import->raw.data + done;
        int64_t size = frame_size(at, import->raw.size - done);
        if (size < 0)
            rc = import_broken("a frame that is too large");
        if (size <= 0 || (size_t)size > import->raw.size - done)
            break;
        rc = frame_open(at, &kind, &body) < 0 ? import_broken("a checksum is wrong")
                                              : take_frame(import, kind, &body);
        done += (size_t)size;
    }
    memmove(import->raw.data, import->raw.data + done, import->raw.size - done);
    import->raw.size -= done;
    return rc;
}

/* What was read last. */
static int feed(void *arg)
{
    struct importer *import = arg;
    ZSTD_inBuffer in = {import->packed, import->packed_size, 0};
    int rc = 0;
    while (rc == 0) {
        void *room = buffer_room(&import->raw, READ_SIZE);
        if (!room)
            return import->raw.status;
        ZSTD_outBuffer out = {room, READ_SIZE, 0};
        size_t left = ZSTD_decompressStream(import->unpacker, &out, &in);
        if (ZSTD_isError(left))
            return fail(-EBADMSG, "no sound archive: %s", ZSTD_getErrorName(left));
        buffer_grew(&import->raw, out.pos);
        import->packed_end = left == 0;
        rc = take_frames(import);
        if (in.pos == in.size && out.pos < READ_SIZE)
            break;
    }
    return rc;
}

static int finish(void *arg)
{
    struct importer *import = arg;
    if (!import->ended || !import->packed_end || import->raw.size > 0)
        return import_broken(import->headed ? "it is cut: the end is missing" : "it is empty, or cut");
    int rc = writer_flush(import->store, -1);
    uint64_t refused = store_counted(import->store, COUNT_REFUSED) - import->refused;
    if (rc < 0 || refused == 0)
        return rc;
    return fail(-ENOSPC, "cache %s: %llu parts of it were not kept, for want of room (cache.max_size)",
                import->store->dir, (unsigned long long)refused);
}

static int begin(struct importer *import)
{
    static const ZSTD_customMem memory = {mem_library_alloc, mem_library_free, NULL};
    import->unpacker = ZSTD_createDCtx_advanced(memory);
    import->packed = mem_alloc(READ_SIZE);
    import->raw = BUFFER(2 * FRAME_SIZE_MAX + READ_SIZE);
    import->refused = store_counted(import->store, COUNT_REFUSED);
    if (!import->unpacker || !import->packed)
        return fail_memory();
    ZSTD_DCtx_setParameter(import->unpacker, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return 0;
}

static void fini(struct importer *import)
{
    import_drop_entry(import);
    ZSTD_freeDCtx(import->unpacker);
    buffer_free(&import->raw);
    mem_free(import->packed);
    mem_free(import->chunk);
    mem_free(import->identity);
}

static int read_all(struct importer *import, larder_give_fn *give, void *arg)
{
    const char *dir = import->cache->dir;
    while (true) {
        int64_t size = give(arg, import->packed, READ_SIZE);
        if (size < 0)
            return (int)size;
        if (size == 0)
            return cache_blocking(finish, import, dir);
        import->packed_size = (size_t)size;
        int rc = cache_blocking(feed, import, dir);
        if (rc < 0)
            return rc;
    }
}

int larder_cache_import(struct larder_cache *cache, larder_give_fn *give, void *arg,
                        struct larder_archive_stats *out)
{
    struct importer *import = mem_zero(sizeof *import);
    error_clear();
    int rc = import ? tuning_check(out) : fail_memory();
    if (rc == 0)
        rc = cache_store(cache, true, &import->store);
    if (rc < 0) {
        mem_free(import);
        return rc;
    }
    import->cache = cache;
    rc = begin(import);
    if (rc == 0)
        rc = read_all(import, give, arg);
    tuning_give(out, &import->stats, sizeof import->stats);
    fini(import);
    mem_free(import);
    return rc;
}
