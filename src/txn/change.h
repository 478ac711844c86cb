/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_CHANGE_H
#define TXN_CHANGE_H
/*
 * What a transaction does to one path. A change is const once it is in an overlay (overlay.h); a later one of the same
 * path takes its place, and the payload of the earlier is then dropped (payload.h). Who reads a payload holds a
 * reference to its change; a payload that goes meanwhile fails the read, and the reader looks at the overlay again.
 */
#include <stdatomic.h>

#include "base/list.h"
#include "fs/backend.h"
#include "fs/labels.h"

/* What the place has at a path, as far as the transaction saw before its first change there. */
enum before { BEFORE_UNKNOWN, BEFORE_NOTHING, BEFORE_FILE, BEFORE_DIRECTORY };

enum payload_kind {
    PAYLOAD_NONE,    /* of all but a write */
    PAYLOAD_MEMORY,  /* `bytes` */
    PAYLOAD_JOURNAL, /* a record of the journal */
    PAYLOAD_FILE,    /* a file beside the journal */
    PAYLOAD_STAGED,  /* staged with its place, by `token` */
};
struct payload {
    enum payload_kind kind;
    int64_t size;
    uint8_t digest[16];        /* XXH3-128 of the bytes */
    struct token token;        /* STAGED; mem */
    struct larder_bytes bytes; /* MEMORY; JOURNAL while it is pending, under the transaction's lock. Owned */
    /* JOURNAL, of pending.c under that lock */
    enum { PHASE_NONE, PHASE_PENDING, PHASE_WRITING, PHASE_WRITTEN } phase;
    bool kept; /* also when it is WRITTEN: for the commit that wrote it */
    bool dropped;
    struct list node;
};

struct change {
    atomic_uint references;
    uint64_t id; /* random, not 0; names the payload, the temporary file, the write */
    enum change_kind kind;
    char *path; /* full; mem */
    /* What must hold at the place when it is published: as the first change of the path asked, or larder_txn_if_match;
     * under the lock. */
    bool create;
    char *if_match; /* mem, or NULL */
    /* A WRITE where a DIRECTORY was and a MKDIR where a FILE was clear it away first. */
    enum before before;
    _Atomic int64_t mtime_ns; /* of the change */
    bool timed;               /* which is to be the file's, and not when it is published; under the lock */
    /* of a WRITE */
    struct labels labels;
    struct payload payload;
};

/* With one reference, an id and the time. */
int change_new(enum change_kind kind, const char *path, struct change **out);
/* What must hold at the place, as another change of the same path has it. Of one in an overlay: under the lock. */
int change_take_conditions(struct change *change, const struct change *other);
/* The same by word; `if_match` (mem, or NULL) is taken over. */
void change_set_conditions(struct change *change, bool create, char *if_match);
bool change_is_conditional(const struct change *change);
/* What is said of a write, beside its bytes; `labels` may be NULL. Before it is put. */
int change_label(struct change *change, const struct labels *labels);
struct change *change_ref(struct change *change);
/* The last one frees the memory, but nothing that is beside the journal or with the place. NULL is fine. */
void change_unref(struct change *change);

/* What info says of a WRITE: its version is the id. `version` is lent to `out`. */
#define CHANGE_VERSION_SIZE 24
void change_describe(const struct change *change, char version[CHANGE_VERSION_SIZE], struct answer *out);

#endif
