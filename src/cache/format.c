/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/format.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/hash.h"

_Static_assert(sizeof(struct record_head) == 112, "the format's record head has no holes");
_Static_assert(sizeof(struct block_head) == 16, "the format's block head has no holes");

/* ---- keys ---- */

static void put_bytes(unsigned char *at, int size, uint64_t number)
{
    for (int i = size - 1; i >= 0; i--, number >>= 8)
        at[i] = (unsigned char)number;
}

static void put_number(unsigned char *at, uint64_t number)
{
    put_bytes(at, 8, number);
}

static uint64_t get_bytes(const unsigned char *at, int size)
{
    uint64_t number = 0;
    for (int i = 0; i < size; i++)
        number = number << 8 | at[i];
    return number;
}

uint64_t key_number(const void *at)
{
    return get_bytes(at, 8);
}

struct place place_of(const char *identity)
{
    size_t size = strlen(identity);
    return (struct place){.identity = identity, .size = size, .hash = hash_bytes(identity, size)};
}

static unsigned char *key_begin(struct key *key, enum key_type type, uint64_t number)
{
    key->data[0] = (unsigned char)type;
    put_number(key->data + 1, number);
    key->size = KEY_PATH_AT;
    return key->data + KEY_PATH_AT;
}

/* Two hashes of 64 bits: of the path, and of the path after its first hash. */
static void put_path_hash(unsigned char *at, const char *path, size_t size)
{
    uint64_t first = hash_bytes(path, size),
             tail[2] = {first, hash_bytes(path + KEY_HEAD_SIZE, size - KEY_HEAD_SIZE)};
    put_number(at, first);
    put_number(at + 8, hash_bytes(tail, sizeof tail));
}

void key_path(struct key *key, enum key_type type, const struct place *place, const char *path)
{
    unsigned char *at = key_begin(key, type, place->hash);
    size_t size = strlen(path);
    if (size <= KEY_SIZE_MAX - KEY_PATH_AT) {
        memcpy(at, path, size);
        key->size += size;
        return;
    }
    memcpy(at, path, KEY_HEAD_SIZE);
    put_path_hash(at + KEY_HEAD_SIZE, path, size);
    key->size = KEY_SIZE_MAX;
}

void key_below(struct key *key, enum key_type type, const struct place *place, const char *path, bool *exact)
{
    unsigned char *at = key_begin(key, type, place->hash);
    size_t size = strlen(path);
    *exact = size < KEY_HEAD_SIZE;
    if (!*exact)
        size = KEY_HEAD_SIZE;
    memcpy(at, path, size);
    if (*exact && size > 0)
        at[size++] = '/';
    key->size += size;
}

void key_version(struct key *key, uint64_t version)
{
    key_begin(key, KEY_BLOCK, version);
}

void key_segment(struct key *key, uint64_t version, uint64_t segment)
{
    put_bytes(key_begin(key, KEY_BLOCK, version), 6, segment);
    key->size += 6;
}

void key_block(struct key *key, uint64_t version, uint64_t number)
{
    key_segment(key, version, number / SEGMENT_BLOCKS);
    put_bytes(key->data + key->size, 2, number % SEGMENT_BLOCKS);
    key->size += 2;
}

void key_unit(struct key *key, uint64_t number)
{
    key_begin(key, KEY_UNIT, number);
}

void key_order(struct key *key, uint32_t tick, uint64_t number)
{
    key->data[0] = KEY_ORDER;
    put_bytes(key->data + 1, 4, tick);
    put_number(key->data + 5, number);
    key->size = KEY_ORDER_SIZE;
}

bool key_begins(const void *data, size_t size, const struct key *prefix)
{
    return size >= prefix->size && memcmp(data, prefix->data, prefix->size) == 0;
}

void key_staged(struct key *key, uint64_t version)
{
    key_begin(key, KEY_STAGED, version);
}

void key_meta(struct key *key, const char *name)
{
    key->data[0] = KEY_META;
    key->size = 1 + strlen(name);
    memcpy(key->data + 1, name, key->size - 1);
}

bool key_equals(const struct key *a, const struct key *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

bool key_is_segment(const struct key *key)
{
    return key->data[0] == KEY_BLOCK && key->size == KEY_SEGMENT_SIZE;
}

uint64_t key_segment_number(const struct key *key)
{
    return get_bytes(key->data + KEY_PATH_AT, 6);
}

uint64_t key_block_number(const void *data)
{
    const unsigned char *at = (const unsigned char *)data + KEY_PATH_AT;
    return get_bytes(at, 6) * SEGMENT_BLOCKS + get_bytes(at + 6, 2);
}

uint32_t key_order_tick(const struct key *key)
{
    return (uint32_t)get_bytes(key->data + 1, 4);
}

void key_step(struct key *key)
{
    if (key->size < KEY_SIZE_MAX) {
        key->data[key->size++] = 0;
        return;
    }
    while (key->size > 0 && ++key->data[key->size - 1] == 0)
        key->size--;
}

/* ---- checksums ---- */

/* Of a value without the checksum in front, and of its key: a value that lies under a wrong key is damaged
 * too. */
static uint64_t checksum(const struct key *key, const void *value, size_t size)
{
    uint64_t of_key = hash_bytes(key->data, key->size);
    return hash_bytes((const char *)value + 8, size - 8) ^ (of_key << 31 | of_key >> 33);
}

static bool is_sound(const struct key *key, const void *value, size_t size)
{
    uint64_t stored;
    memcpy(&stored, value, sizeof stored);
    return stored == checksum(key, value, size);
}

static void seal(const struct key *key, void *value, size_t size)
{
    uint64_t sum = checksum(key, value, size);
    memcpy(value, &sum, sizeof sum);
}

/* ---- records ---- */

int record_read_any(const struct key *key, const void *data, size_t size, struct record *out)
{
    return size < sizeof out->head || !is_sound(key, data, size) ? -EBADMSG : record_peek(data, size, out);
}

int record_peek(const void *data, size_t size, struct record *out)
{
    struct record_head *head = &out->head;
    if (size < sizeof *head)
        return -EBADMSG;
    memcpy(head, data, sizeof *head);
    const char *at = (const char *)data + sizeof *head;
    uint64_t sum = (uint64_t)head->identity_size + head->path_size + head->version_size +
                   head->validator_size + head->body_size;
    if (sum != size - sizeof *head)
        return -EBADMSG;
    out->path = at + head->identity_size;
    at = out->path + head->path_size;
    out->version = head->version_size ? at : NULL;
    at += head->version_size;
    out->validator = head->validator_is_version ? out->version : head->validator_size ? at : NULL;
    at += head->validator_size;
    out->body = at;
    return 0;
}

int record_read(const struct key *key, const struct place *place, const char *path, const void *data,
                size_t size, struct record *out)
{
    int rc = record_read_any(key, data, size, out);
    if (rc < 0)
        return rc;
    const char *identity = (const char *)data + sizeof out->head;
    bool same = out->head.identity_size == place->size &&
                memcmp(identity, place->identity, place->size) == 0 && strlen(path) == out->head.path_size &&
                memcmp(out->path, path, out->head.path_size) == 0;
    return same ? 0 : -ENOENT;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static bool validator_is_version(const struct record *record)
{
    return record->version && record->validator && strcmp(record->version, record->validator) == 0;
}

size_t record_size(const struct place *place, const char *path, const struct record *record)
{
    return sizeof record->head + place->size + strlen(path) + text_size(record->version) +
           (validator_is_version(record) ? 0 : text_size(record->validator)) + record->head.body_size;
}

static char *put(char *at, const void *data, size_t size)
{
    if (size)
        memcpy(at, data, size);
    return at + size;
}

void record_write(const struct key *key, const struct place *place, const char *path,
                  const struct record *record, void *out)
{
    struct record_head head = record->head;
    head.identity_size = (uint32_t)place->size;
    head.path_size = (uint32_t)strlen(path);
    head.version_size = (uint32_t)text_size(record->version);
    head.validator_is_version = validator_is_version(record);
    head.validator_size = head.validator_is_version ? 0 : (uint32_t)text_size(record->validator);
    char *at = put(out, &head, sizeof head);
    at = put(at, place->identity, place->size);
    at = put(at, path, head.path_size);
    at = put(at, record->version, head.version_size);
    at = put(at, record->validator, head.validator_size);
    at = put(at, record->body, head.body_size);
    seal(key, out, (size_t)(at - (char *)out));
}

void record_patch(const struct key *key, const struct record_head *head, void *value, size_t size)
{
    memcpy(value, head, sizeof *head);
    seal(key, value, size);
}

void record_answer(const struct record *record, struct answer *out)
{
    const struct record_head *head = &record->head;
    *out = (struct answer){
        .info = {.type = (enum larder_type)head->type,
                 .size = head->size,
                 .mtime_ns = head->mtime_ns,
                 .created_ns = head->created_ns,
                 .version = record->version},
        .validator = record->validator,
        .fresh_ms = head->fresh_ms,
        .stale_if_error_ms = head->stale_if_error_ms,
        .flags = head->flags,
    };
}

void record_from_answer(struct record *record, const struct answer *answer)
{
    *record = (struct record){
        .head = {.state = RECORD_KNOWN,
                 .type = (uint8_t)answer->info.type,
                 .size = answer->info.size,
                 .mtime_ns = answer->info.mtime_ns,
                 .created_ns = answer->info.created_ns,
                 .fresh_ms = answer->fresh_ms,
                 .stale_if_error_ms = answer->stale_if_error_ms,
                 .flags = (uint8_t)(answer->flags & ~(unsigned)ANSWER_UNRANGED)}, /* here they are */
        .version = answer->info.version,
        .validator = answer->validator,
    };
}

bool answer_is_strong(const struct answer *answer)
{
    return answer->info.version && !(answer->flags & ANSWER_WEAK) && answer->info.size >= 0;
}

bool record_is_strong(const struct record *record)
{
    return record->version && !(record->head.flags & ANSWER_WEAK) && record->head.size >= 0;
}

/* ---- blocks ---- */

int block_read(const struct key *key, const void *data, size_t size, struct block_head *head,
               const void **payload)
{
    if (size < sizeof *head || !is_sound(key, data, size))
        return -EBADMSG;
    memcpy(head, data, sizeof *head);
    *payload = (const char *)data + sizeof *head;
    bool raw = head->codec == CODEC_RAW && head->raw_size == size - sizeof *head;
    return raw || (head->codec == CODEC_ZSTD && head->raw_size <= BLOCK_SIZE) ? 0 : -EBADMSG;
}

void block_write(const struct key *key, enum codec codec, uint32_t raw_size, const void *payload, size_t size,
                 void *out)
{
    struct block_head head = {.raw_size = raw_size, .codec = codec};
    char *at = put(out, &head, sizeof head);
    at = put(at, payload, size);
    seal(key, out, (size_t)(at - (char *)out));
}
