/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_JOURNAL_FORMAT_H
#define TXN_JOURNAL_FORMAT_H
/*
 * What a journal holds. A directory (journal.h) of these files, for one user and one machine:
 *
 *   journal-1.mdb       LMDB's file, with the records below; the number is the format's
 *   journal-1.mdb-lock  its lock file; journal-1.mdb-new: what is not a journal yet
 *   owners              empty: the byte at id/2 is locked as long as a transaction's owner lives; ids are even
 *   conditions          empty: bytes that are locked from a prepare with conditions to its end
 *   payload/            what is too large for a record: TXN-CHANGE, both ids as 16 hexadecimal digits
 *
 * A key is the transaction's id, a letter and a number, 17 bytes, big-endian: so all of a transaction is a run of keys.
 *
 *   H 0        head: what state it is in, since when, how much it is; a note for people
 *   M number   member: a filesystem as larder_fs_to_json writes it, without secrets, and its URL for people
 *   C id       change: what becomes of one path
 *   L 0        locks: which bytes of `conditions` it holds while it is DECIDING
 *   P id       payload of a small write: just the bytes
 *   Q id       its last few, where they would have taken a page of the file for themselves
 *   S id       staged: where a place may have been asked for room for a large write of this id
 *
 * H, M, C, L and S are a sequence of little-endian numbers and texts (a 4-byte size, then the bytes), closed by XXH3 of the key
 * and all before. A journal of another format has another file name, a record that does not read is -EBADMSG, and neither
 * is ever changed.
 *
 * The states of a transaction, and what is done about one whose owner has died:
 *
 *   OPEN ────▶ SEALED ────▶ DECIDING ────▶ DECIDED ────▶ (forgotten)
 *    │            │            │              │              ▲
 *    │            ▼            │              ▼              │
 *    └──────▶ ENDING ◀─────────┘          CONFLICTED ────────┘
 *                └──────────────────────────────────────▶ (forgotten)
 *
 *   (no head)   nothing is here yet; a living owner's is listed as open                  nothing is left
 *   OPEN        payloads that did not fit into memory; large writes are being staged    rolled back
 *               with places that take them in the process's own pace
 *   SEALED      every change is here; large writes are being staged with their places   rolled back, or resumed
 *   DECIDING    conditional writes are being published, one after the other             asked: is one of them there?
 *   DECIDED     it is committed: everything is being published                          published
 *   CONFLICTED  committed and published but for the changes that say what was found     kept, until somebody says which
 *   ENDING      given up: what is staged is being discarded                             rolled back
 *
 * Invariants
 *   J1  Nothing is made at a place before the journal has either SEALED and the change that it is for, or an S with its
 *       id: by path and id a sweep finds it. What an S names, and no change that was published, is swept.
 *   J2  A token is in the journal before anything but its making was asked of the place, but where an id finds it all.
 *   J3  Nothing is visible at a place before DECIDING or DECIDED is on the disk, together with every payload.
 *   J4  From DECIDED on it is only ever published, as often as needed; each step may be repeated.
 *   J5  DECIDING becomes DECIDED when one conditional write has been seen to be there and all were tried: each is on its
 *       place's disk then, or its change says what was found in its way; and ENDING only when it is known that none is
 *       there.
 *   J6  A transaction is forgotten when what was published is on its places' disks, and its payload files are removed
 *       afterwards: a file of a transaction that has no head and no living owner is nobody's.
 *   J7  Only who holds its byte of `owners` changes a transaction's records.
 *   J8  Who is DECIDING or later holds the bytes that L says: its owner from before SEALED on, who recovers it from before
 *       he asks the places. So who holds one of them, and is not DECIDING himself, settles whoever is before he writes.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define JOURNAL_FILE    "journal-1.mdb"
#define JOURNAL_MARK    0x316c6e72756f6a4cULL /* "Ljournl1" */
#define RECORD_SIZE_TOP ((size_t)1 << 20)     /* of H, M, C, L and S */

enum record_kind {
    RECORD_CHANGE = 'C',
    RECORD_HEAD = 'H',
    RECORD_LOCKS = 'L',
    RECORD_MEMBER = 'M',
    RECORD_PAYLOAD = 'P',
    RECORD_TAIL = 'Q', /* journal.c's, as a part of P */
    RECORD_STAGED = 'S'
};

#define JOURNAL_KEY_SIZE 17
struct journal_key {
    unsigned char data[JOURNAL_KEY_SIZE];
};
struct journal_key journal_key(uint64_t txn, enum record_kind kind, uint64_t number);
uint64_t journal_key_txn(const struct journal_key *key);
enum record_kind journal_key_kind(const struct journal_key *key);
uint64_t journal_key_number(const struct journal_key *key);

enum journal_state {
    JOURNAL_OPEN = 1,
    JOURNAL_SEALED,
    JOURNAL_DECIDING,
    JOURNAL_DECIDED,
    JOURNAL_CONFLICTED,
    JOURNAL_ENDING
};
const char *journal_state_name(enum journal_state state);

struct head_record {
    enum journal_state state;
    int64_t began_ns, changed_ns;
    uint64_t members, changes, bytes;
    const char *note;
};
struct member_record {
    const char *json, *url;
};
struct change_record {
    uint32_t member;
    uint8_t kind, payload, before; /* enum change_kind, payload_kind, before */
    bool create, timed;
    int64_t mtime_ns, size;
    uint8_t digest[16];
    const char *path;
    const char *if_match, *token, *conflict;             /* NULL: none */
    const char *content_type, *cache_control, *metadata; /* likewise */
};

struct stray_record {
    uint32_t member;
    const char *path;
};

/* Make a record, with its sum; what breaks the buffer sets a text. */
int head_write(const struct journal_key *key, const struct head_record *head, struct buffer *out);
int member_write(const struct journal_key *key, const struct member_record *member, struct buffer *out);
int change_write(const struct journal_key *key, const struct change_record *change, struct buffer *out);
int locks_write(const struct journal_key *key, const uint64_t bytes[], size_t count, struct buffer *out);
int stray_write(const struct journal_key *key, const struct stray_record *stray, struct buffer *out);
/* Read one. Its texts are in *texts, one piece of mem. -EBADMSG: it is damaged; with text. */
int head_read(const struct journal_key *key, const void *data, size_t size, struct head_record *out,
              char **texts);
int member_read(const struct journal_key *key, const void *data, size_t size, struct member_record *out,
                char **texts);
int change_read(const struct journal_key *key, const void *data, size_t size, struct change_record *out,
                char **texts);
int stray_read(const struct journal_key *key, const void *data, size_t size, struct stray_record *out,
               char **texts);
/* *bytes are mem. */
int locks_read(const struct journal_key *key, const void *data, size_t size, uint64_t **bytes, size_t *count);

#endif
