/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_RECORDS_H
#define TXN_RECORDS_H
/* What of a transaction is written into its journal: edits, with the memory that they point into. */
#include "txn/change.h"
#include "txn/journal.h"

struct records {
    uint64_t txn;
    struct edit *edits;
    struct buffer *buffers;
    size_t count;
};
/* With room for so many. To be ended also when it fails. */
int records_init(struct records *records, uint64_t txn, size_t capacity);
void records_fini(struct records *records);
#define autorecords __attribute__((cleanup(records_fini)))

/* EDIT_PUT, or EDIT_NEW. */
int records_add_head(struct records *records, enum edit_kind kind, const struct head_record *head);
int records_add_member(struct records *records, size_t number, const char *json, const char *url);
/* `token` and `conflict` may be NULL. */
int records_add_change(struct records *records, size_t member, const struct change *change, const char *token,
                       const char *conflict);
int records_add_locks(struct records *records, const uint64_t bytes[], size_t count);
/* Something of this change is about to be staged with its place. */
int records_add_staged(struct records *records, size_t member, const struct change *change);
void records_add_delete(struct records *records, enum record_kind kind, uint64_t number);

#endif
