/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_STAGED_H
#define TXN_STAGED_H
/*
 * Payloads that are staged with their place while the transaction is open, and so are written only once: where a place
 * takes them in parts, finds them by an id, and reads them back. J1: the journal knows of each before the place does.
 */
#include "txn/member.h"

bool member_stages(const struct member *member);

/* As payload.h's, of a change that becomes a STAGED one. */
int CO_FN staged_begin(struct member *member, struct change *change);
int CO_FN staged_part(struct member *member, struct change *change, uint32_t part, int64_t offset,
                      const void *data, size_t size);
int CO_FN staged_finish(struct member *member, struct change *change);
int CO_FN staged_drop(struct member *member, struct change *change);
int CO_FN staged_read(struct member *member, const struct change *change, int64_t start, int64_t count,
                      const struct answer *answer, struct sink *sink);

#endif
