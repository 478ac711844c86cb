/* SPDX-License-Identifier: Apache-2.0 */
#include "txn/journal_format.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/seams.h"

/* ---- keys ---- */

static void put_big(unsigned char *out, uint64_t number)
{
    for (int i = 7; i >= 0; i--, number >>= 8)
        out[i] = (unsigned char)number;
}

static uint64_t get_big(const unsigned char *data)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | data[i];
    return number;
}

struct journal_key journal_key(uint64_t txn, enum record_kind kind, uint64_t number)
{
    struct journal_key key;
    put_big(key.data, txn);
    key.data[8] = (unsigned char)kind;
    put_big(key.data + 9, number);
    return key;
}

uint64_t journal_key_txn(const struct journal_key *key)
{
    return get_big(key->data);
}

enum record_kind journal_key_kind(const struct journal_key *key)
{
    return key->data[8];
}

uint64_t journal_key_number(const struct journal_key *key)
{
    return get_big(key->data + 9);
}

/* ---- writing ---- */

static void put_number(struct buffer *out, uint64_t number, size_t size)
{
    unsigned char bytes[8];
    for (size_t i = 0; i < size; i++, number >>= 8)
        bytes[i] = (unsigned char)number;
    buffer_add(out, bytes, size);
}

/* A missing one is told from an empty one. */
static void put_text(struct buffer *out, const char *text)
{
    uint64_t size = text ? strlen(text) : UINT32_MAX;
    put_number(out, size, 4);
    if (text)
        buffer_add(out, text, size);
}

static uint64_t sum_of(const struct journal_key *key, const void *data, size_t size)
{
    return hash_bytes(key->data, sizeof key->data) ^ hash_bytes(data, size);
}

static int close_record(const struct journal_key *key, struct buffer *out)
{
    if (out->status == 0)
        put_number(out, sum_of(key, out->data, out->size), 8);
    return out->status;
}

int head_write(const struct journal_key *key, const struct head_record *head, struct buffer *out)
{
    put_number(out, head->state, 1);
    put_number(out, (uint64_t)head->began_ns, 8);
    put_number(out, (uint64_t)head->changed_ns, 8);
    put_number(out, head->members, 8);
    put_number(out, head->changes, 8);
    put_number(out, head->bytes, 8);
    put_text(out, head->note);
    return close_record(key, out);
}

int member_write(const struct journal_key *key, const struct member_record *member, struct buffer *out)
{
    put_text(out, member->json);
    put_text(out, member->url);
    return close_record(key, out);
}

int change_write(const struct journal_key *key, const struct change_record *change, struct buffer *out)
{
    put_number(out, change->member, 4);
    put_number(out, change->kind, 1);
    put_number(out, change->payload, 1);
    put_number(out, change->before, 1);
    put_number(out, change->create | (unsigned)change->timed << 1, 1);
    put_number(out, (uint64_t)change->mtime_ns, 8);
    put_number(out, (uint64_t)change->size, 8);
    buffer_add(out, change->digest, sizeof change->digest);
    put_text(out, change->path);
    put_text(out, change->if_match);
    put_text(out, change->token);
    put_text(out, change->conflict);
    put_text(out, change->content_type);
    put_text(out, change->cache_control);
    put_text(out, change->metadata);
    return close_record(key, out);
}

int locks_write(const struct journal_key *key, const uint64_t bytes[], size_t count, struct buffer *out)
{
    for (size_t i = 0; i < count; i++)
        put_number(out, bytes[i], 2);
    return close_record(key, out);
}

int stray_write(const struct journal_key *key, const struct stray_record *stray, struct buffer *out)
{
    put_number(out, stray->member, 4);
    put_text(out, stray->path);
    return close_record(key, out);
}

/* ---- reading ---- */

/* `texts` has room for all of them, since each loses four bytes of size and gets one of NUL. */
struct record_reader {
    const unsigned char *at, *end;
    char *texts, *room;
    bool bad;
};

static int open_record(const struct journal_key *key, const void *data, size_t size,
                       struct record_reader *reader)
{
    *reader = (struct record_reader){.at = data};
    if (size < 8)
        return fail(-EBADMSG, "a record of the journal is cut");
    reader->end = reader->at + size - 8;
    uint64_t sum = 0;
    for (int i = 7; i >= 0; i--)
        sum = sum << 8 | reader->end[i];
    if (sum != sum_of(key, data, size - 8))
        return fail(-EBADMSG, "a record of the journal is damaged");
    reader->texts = reader->room = mem_alloc(size);
    return reader->texts ? 0 : fail_memory();
}

static uint64_t get_number(struct record_reader *reader, size_t size)
{
    uint64_t number = 0;
    if ((size_t)(reader->end - reader->at) < size) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = size; i > 0; i--)
        number = number << 8 | reader->at[i - 1];
    reader->at += size;
    return number;
}

static const char *get_text(struct record_reader *reader)
{
    uint64_t size = get_number(reader, 4);
    if (reader->bad || size == UINT32_MAX)
        return NULL;
    if ((uint64_t)(reader->end - reader->at) < size) {
        reader->bad = true;
        return NULL;
    }
    char *text = reader->room;
    memcpy(text, reader->at, size);
    text[size] = 0;
    reader->bad = strlen(text) != size;
    reader->room += size + 1;
    reader->at += size;
    return text;
}

/* All of it was read, and nothing that must be there is missing. */
static int end_record(struct record_reader *reader, bool whole, char **texts)
{
    if (reader->bad || !whole || reader->at != reader->end) {
        mem_free(reader->texts);
        return fail(-EBADMSG, "a record of the journal does not read");
    }
    *texts = reader->texts;
    return 0;
}

int head_read(const struct journal_key *key, const void *data, size_t size, struct head_record *out,
              char **texts)
{
    struct record_reader reader;
    int rc = open_record(key, data, size, &reader);
    if (rc < 0)
        return rc;
    out->state = (enum journal_state)get_number(&reader, 1);
    out->began_ns = (int64_t)get_number(&reader, 8);
    out->changed_ns = (int64_t)get_number(&reader, 8);
    out->members = get_number(&reader, 8);
    out->changes = get_number(&reader, 8);
    out->bytes = get_number(&reader, 8);
    out->note = get_text(&reader);
    bool known = out->state >= JOURNAL_OPEN && out->state <= JOURNAL_ENDING;
    return end_record(&reader, known && out->note, texts);
}

int member_read(const struct journal_key *key, const void *data, size_t size, struct member_record *out,
                char **texts)
{
    struct record_reader reader;
    int rc = open_record(key, data, size, &reader);
    if (rc < 0)
        return rc;
    out->json = get_text(&reader);
    out->url = get_text(&reader);
    return end_record(&reader, out->json && out->url, texts);
}

int change_read(const struct journal_key *key, const void *data, size_t size, struct change_record *out,
                char **texts)
{
    struct record_reader reader;
    int rc = open_record(key, data, size, &reader);
    if (rc < 0)
        return rc;
    out->member = (uint32_t)get_number(&reader, 4);
    out->kind = (uint8_t)get_number(&reader, 1);
    out->payload = (uint8_t)get_number(&reader, 1);
    out->before = (uint8_t)get_number(&reader, 1);
    unsigned flags = (unsigned)get_number(&reader, 1);
    out->create = flags & 1;
    out->timed = flags & 2;
    out->mtime_ns = (int64_t)get_number(&reader, 8);
    out->size = (int64_t)get_number(&reader, 8);
    for (size_t i = 0; i < sizeof out->digest; i++)
        out->digest[i] = (uint8_t)get_number(&reader, 1);
    out->path = get_text(&reader);
    out->if_match = get_text(&reader);
    out->token = get_text(&reader);
    out->conflict = get_text(&reader);
    out->content_type = get_text(&reader);
    out->cache_control = get_text(&reader);
    out->metadata = get_text(&reader);
    return end_record(&reader, out->path, texts);
}

int locks_read(const struct journal_key *key, const void *data, size_t size, uint64_t **bytes, size_t *count)
{
    struct record_reader reader;
    autofree char *texts = NULL;
    int rc = open_record(key, data, size, &reader);
    if (rc < 0)
        return rc;
    size_t found = (size_t)(reader.end - reader.at) / 2;
    uint64_t *numbers = mem_array(found + 1, sizeof *numbers);
    for (size_t i = 0; numbers && i < found; i++)
        numbers[i] = get_number(&reader, 2);
    rc = end_record(&reader, true, &texts);
    if (rc == 0 && !numbers)
        rc = fail_memory();
    if (rc < 0) {
        mem_free(numbers);
        return rc;
    }
    *bytes = numbers;
    *count = found;
    return 0;
}

int stray_read(const struct journal_key *key, const void *data, size_t size, struct stray_record *out,
               char **texts)
{
    struct record_reader reader;
    int rc = open_record(key, data, size, &reader);
    if (rc < 0)
        return rc;
    out->member = (uint32_t)get_number(&reader, 4);
    out->path = get_text(&reader);
    return end_record(&reader, out->path, texts);
}

const char *journal_state_name(enum journal_state state)
{
    static const char *const names[] = {[JOURNAL_OPEN] = "open",
                                        [JOURNAL_SEALED] = "staging",
                                        [JOURNAL_DECIDING] = "deciding",
                                        [JOURNAL_DECIDED] = "committed",
                                        [JOURNAL_CONFLICTED] = "conflicted",
                                        [JOURNAL_ENDING] = "rolling back"};
    return names[state];
}
