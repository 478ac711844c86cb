/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_FORMAT_H
#define CACHE_FORMAT_H
/*
 * What lies in the store: keys, and values with their checksums. Numbers are in the byte order of the machine
 * that made the store (FORMAT_MARK tells), but for those in keys, which are big-endian so that they sort.
 *
 *   key                               value
 *   'R' place(8) path                 record: what is known of a path, and the bytes of a small file
 *   'L' place(8) path                 record of a listing; its pages are the bytes (listing.h)
 *   'B' version(8) segment(6)         the number of the unit that this segment's blocks are
 *   'B' version(8) segment(6) n(2)    block: BLOCK_SIZE bytes of a version of a file, the last one shorter
 *   'S' version(8)                    a version whose blocks no record names yet, or no longer; by whom, since when
 *   'P' place(8) path                 record of a pin: the tree below the path is never evicted
 *   'T' number(8)                     unit: what is evicted as one, and when it was last used (unit.h)
 *   'U' tick(4) number(8)             nothing: the units in the order of that
 *   'M' name                          of the store: "format", "epoch", "counters", "limits", "clock"
 *
 * `place` is a hash of whose files these are; the record has that text and the whole path, and both are
 * compared, so that equal hashes cost a miss and never a wrong byte. A path that makes the key too long is
 * there as its head and a hash of 16 bytes. Since the path is in the key as it is, a subtree is a range of
 * keys.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/backend.h"

/* ---- keys ---- */
#define KEY_SIZE_MAX  511 /* LMDB's */
#define KEY_PATH_AT   9   /* type and place come first */
#define KEY_HASH_SIZE 16
#define KEY_HEAD_SIZE \
    (KEY_SIZE_MAX - KEY_PATH_AT - KEY_HASH_SIZE) /* of a path too long, what is left of it */

enum key_type {
    KEY_RECORD = 'R',
    KEY_LISTING = 'L',
    KEY_PIN = 'P',
    KEY_BLOCK = 'B',
    KEY_STAGED = 'S',
    KEY_UNIT = 'T',
    KEY_ORDER = 'U',
    KEY_META = 'M'
};
struct key {
    size_t size;
    unsigned char data[KEY_SIZE_MAX];
};
/* Whose files: the identity of the instance behind the cache. */
struct place {
    const char *identity;
    size_t size;
    uint64_t hash;
};
struct place place_of(const char *identity);
void key_path(struct key *key, enum key_type type, const struct place *place, const char *path);
/* What every key of something below `path` begins with; `exact`: and nothing else does. */
void key_below(struct key *key, enum key_type type, const struct place *place, const char *path, bool *exact);
#define SEGMENT_BLOCKS   64
#define KEY_SEGMENT_SIZE (KEY_PATH_AT + 6)
#define KEY_BLOCK_SIZE   (KEY_SEGMENT_SIZE + 2)
#define KEY_ORDER_SIZE   13
void key_block(struct key *key, uint64_t version, uint64_t number);
void key_segment(struct key *key, uint64_t version, uint64_t segment); /* sorts before its blocks */
void key_version(struct key *key, uint64_t version); /* what those of its blocks and segments begin with */
void key_unit(struct key *key, uint64_t number);
void key_order(struct key *key, uint32_t tick, uint64_t number);
void key_staged(struct key *key, uint64_t version);
void key_meta(struct key *key, const char *name);
uint64_t key_number(const void *at); /* the 8 bytes at `at` of a key */
bool key_begins(const void *data, size_t size, const struct key *prefix);
bool key_equals(const struct key *a, const struct key *b);
bool key_is_segment(const struct key *key);
uint64_t key_segment_number(const struct key *key); /* of a segment's or a block's */
uint64_t key_block_number(const void *data);        /* of a block's, KEY_BLOCK_SIZE bytes */
uint32_t key_order_tick(const struct key *key);
void key_step(struct key *key); /* to the first one behind it */

/* ---- records ---- */
enum record_state {
    RECORD_KNOWN = 1, /* a file, a directory, a listing */
    RECORD_ABSENT,    /* the place said that nothing is there */
    RECORD_CHANGED,   /* it was changed through us; only `id` means something */
};
enum codec { CODEC_RAW, CODEC_ZSTD };

struct record_head {
    uint64_t checksum;   /* of the rest of the value, and of the key */
    uint64_t id;         /* random; another one when another thing is known. Never 0: that is "no record" */
    uint64_t version;    /* random; of the blocks. 0: there are none, and will not be */
    uint64_t unit;       /* its number */
    int64_t answered_ns; /* wall clock: when the place last said that this is so */
    int64_t fresh_ms, stale_if_error_ms; /* as in struct answer */
    int64_t size, mtime_ns, created_ns;
    uint32_t body_size;                                              /* of the bytes that follow */
    uint32_t body_raw;                                               /* … when unpacked */
    uint32_t path_size, identity_size, version_size, validator_size; /* the latter two with NUL; 0: NULL */
    uint8_t state, type, flags, codec;
    uint8_t body_there; /* the whole file is in the record, be it empty */
    uint8_t validator_is_version;
    uint8_t unused[2];
};
struct record {
    struct record_head head;
    const char *version, *validator, *path; /* into the value; `path` has no NUL */
    const void *body;
};
/* The most that a record holds of a file's bytes. */
#define BODY_SIZE_MAX 32768

/* -EBADMSG: damaged. -ENOENT: of another path, whose key is the same. Other than by these, no text is set. */
int record_read(const struct key *key, const struct place *place, const char *path, const void *data,
                size_t size, struct record *out);
/* The same for whoever has only the key: whatever path it is of. */
int record_read_any(const struct key *key, const void *data, size_t size, struct record *out);
/* The same without the checksum, which reads all of it: sizes that do not fit are -EBADMSG. */
int record_peek(const void *data, size_t size, struct record *out);
size_t record_size(const struct place *place, const char *path, const struct record *record);
/* Into record_size() bytes. The sizes of head are made here; body_size and body_raw are as given. */
void record_write(const struct key *key, const struct place *place, const char *path,
                  const struct record *record, void *out);
/* Another head, of the same sizes, for the value. */
void record_patch(const struct key *key, const struct record_head *head, void *value, size_t size);
/* Borrowed from the record, whose value must stay. */
void record_answer(const struct record *record, struct answer *out);
void record_from_answer(struct record *record, const struct answer *answer);
/* Do its bytes never change as long as its version text is the same? Then parts of it may be put together. */
bool record_is_strong(const struct record *record);
bool answer_is_strong(const struct answer *answer);

/* ---- blocks ---- */
struct block_head {
    uint64_t checksum;
    uint32_t raw_size;
    uint32_t codec;
};
/* With its head and LMDB's 16 bytes a block is 64 KiB: whole pages, whether they are of 4 or of 16 KiB. */
#define BLOCK_SIZE (65536 - 16 - (int)sizeof(struct block_head))

/* The payload and its head; -EBADMSG. */
int block_read(const struct key *key, const void *data, size_t size, struct block_head *head,
               const void **payload);
/* `out` has room for the head and `size` bytes. */
void block_write(const struct key *key, enum codec codec, uint32_t raw_size, const void *payload, size_t size,
                 void *out);

static inline int64_t block_count(int64_t size)
{
    return size / BLOCK_SIZE + (size % BLOCK_SIZE != 0);
}

/* ---- units ---- */
struct unit_head { /* the key of what it is of follows */
    uint64_t bytes;
    uint32_t tick;
    uint32_t unused;
};

/* ---- versions on their way in, or out ---- */
struct staged {
    int64_t touched_ns; /* wall clock; 0: it is dead */
    uint64_t owner;     /* whose lock (lock.h) says whether it lives; 0: there is none */
};

/* ---- the store itself ---- */
struct limits {
    uint64_t size_max; /* of what lies in the store, in whole pages */
    uint64_t free_min; /* of the disk */
};
struct clock {
    uint64_t number; /* of the next unit */
    uint64_t put;    /* bytes, in this tick */
    uint64_t pinned; /* bytes of the units that are never evicted */
    uint64_t pins;   /* how many */
    uint32_t tick;
    uint32_t unused;
};
#define FORMAT_MARK 0x3172656472616c02U /* of this version of the format, in this byte order */

#endif
