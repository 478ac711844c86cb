/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/seams.h"

#define PIECE_SIZE ((size_t)1 << 18)

static int gone(const struct change *change)
{
    return fail(-ESTALE, "%s: what was to be written is gone", change->path);
}

static int check_digest(const struct change *change, const void *data, size_t size)
{
    uint8_t digest[16];
    hash128_bytes(data, size, digest);
    bool same =
        (int64_t)size == change->payload.size && memcmp(digest, change->payload.digest, sizeof digest) == 0;
    return same ? 0 : fail(-EBADMSG, "%s: what was to be written is damaged", change->path);
}

static int copy_bytes(const struct larder_bytes *bytes, struct larder_bytes *out)
{
    char *copy = mem_dup_n(bytes->data ? (const char *)bytes->data : "", bytes->size);
    if (!copy)
        return fail_memory();
    *out = bytes_own(copy, bytes->size);
    return 0;
}

int vault_get(const struct vault *vault, const struct change *change, struct larder_bytes *out)
{
    if (change->payload.kind == PAYLOAD_MEMORY)
        return copy_bytes(&change->payload.bytes, out);
    struct journal_key key = journal_key(vault->txn, RECORD_PAYLOAD, change->id);
    struct larder_bytes bytes = {0};
    int rc = journal_get(vault->journal, &key, &bytes);
    if (rc == -ENOENT)
        return gone(change);
    if (rc == 0)
        rc = check_digest(change, bytes.data, bytes.size);
    if (rc < 0) {
        larder_bytes_free(&bytes);
        return rc;
    }
    *out = bytes;
    return 0;
}

/* ---- files ---- */

static int open_payload(const struct vault *vault, uint64_t change, int flags)
{
    autofree char *path = journal_payload_path(vault->journal, vault->txn, change);
    if (!path)
        return fail_memory();
    int fd = file_seam.open(path, flags | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : fail_errno(errno, "%s", path);
}

int vault_create(const struct vault *vault, uint64_t change)
{
    return open_payload(vault, change, O_CREAT | O_EXCL | O_RDWR);
}

int vault_open(const struct vault *vault, uint64_t change)
{
    int fd = open_payload(vault, change, O_RDWR);
    return fd == -ENOENT ? fail(-ESTALE, "what was to be written is gone") : fd;
}

void vault_remove(const struct vault *vault, uint64_t change)
{
    autofree char *path = journal_payload_path(vault->journal, vault->txn, change);
    if (path && file_seam.unlink(path) < 0 && errno != ENOENT)
        log_at(LARDER_LOG_WARNING, "%s: %s", path, strerror(errno));
}

int vault_measure(int fd, const char *path, int64_t size, uint8_t digest[16])
{
    autofree char *piece = mem_alloc(PIECE_SIZE);
    struct hash128 hash = {0};
    int64_t at = 0, count;
    int rc = piece ? hash128_begin(&hash) : fail_memory();
    while (rc == 0 && (count = file_read(fd, piece, PIECE_SIZE, at)) != 0) {
        rc = count < 0 ? fail_errno((int)-count, "%s", path) : 0;
        if (rc == 0)
            hash128_add(&hash, piece, (size_t)count);
        at += count;
    }
    hash128_end(&hash, digest);
    if (rc == 0 && at != size)
        rc = fail(-EBADMSG, "%s: %lld bytes were written, %lld are there", path, (long long)size,
                  (long long)at);
    return rc;
}

/* ---- sources ---- */

struct opening {
    const struct vault *vault;
    const struct change *change;
    bool stream;
    struct vault_source *out;
};

/* A FILE is as it was: its digest was compared when it was measured, and is again by who publishes after a crash. */
static int open_file(const struct opening *opening)
{
    struct vault_source *out = opening->out;
    uint8_t digest[16];
    const struct change *change = opening->change;
    out->fd = vault_open(opening->vault, change->id);
    if (out->fd < 0)
        return out->fd;
    int rc = vault_measure(out->fd, change->path, change->payload.size, digest);
    if (rc == 0 && memcmp(digest, change->payload.digest, sizeof digest) != 0)
        rc = fail(-EBADMSG, "%s: what was to be written is damaged", change->path);
    if (rc == 0)
        rc = spool_source_init(&out->spool, out->fd, change->payload.size, !opening->stream);
    out->source = &out->spool.source;
    return rc;
}

static int open_source(void *arg)
{
    const struct opening *opening = arg;
    struct vault_source *out = opening->out;
    if (opening->change->payload.kind == PAYLOAD_FILE)
        return open_file(opening);
    int rc = vault_get(opening->vault, opening->change, &out->bytes);
    out->source = &out->bytes_source;
    return rc < 0 ? rc
                  : source_of(&out->bytes_source, opening->change->path, out->bytes.data, out->bytes.size);
}

/* Nothing frees them while the commit that kept them is under way. */
int vault_source_lend(const struct change *change, struct vault_source *out)
{
    const struct larder_bytes *bytes = &change->payload.bytes;
    *out = (struct vault_source){.fd = -1, .source = &out->bytes_source};
    int rc = source_of(&out->bytes_source, change->path, bytes->data, bytes->size);
    out->bytes_source.labels = &change->labels;
    return rc;
}

static int close_source(void *arg)
{
    struct vault_source *source = arg;
    if (source->fd >= 0) {
        spool_source_fini(&source->spool);
        spool_close(source->fd);
    }
    larder_bytes_free(&source->bytes);
    return 0;
}

int CO_FN vault_source_open(const struct vault *vault, const struct change *change, bool stream,
                            struct vault_source *out)
{
    *out = (struct vault_source){.fd = -1};
    struct opening opening = {vault, change, stream, out};
    int rc;
    if (change->payload.kept)
        rc = vault_source_lend(change, out);
    else
        rc = change->payload.kind == PAYLOAD_MEMORY ? open_source(&opening) : offload(open_source, &opening);
    if (rc < 0)
        close_source(out);
    else
        out->source->labels = &change->labels;
    return rc;
}

void CO_FN vault_source_close(struct vault_source *source)
{
    close_source(source);
}
