/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_PAYLOAD_H
#define TXN_PAYLOAD_H
/*
 * The bytes of a WRITE, until they are published: in memory, in the journal, in a file beside it, or staged with the
 * place. None of these needs the transaction's lock, and none may be called with it.
 */
#include "txn/member.h"

/* All of `source` becomes the payload of `change`, which is not in the overlay yet. */
int CO_FN payload_write(struct member *member, struct change *change, struct source *source);

/*
 * The same in parts, as the table's stage, stage_part and publish: begin, parts in any order and several at once, then
 * finish. What was begun and neither finished nor dropped, the transaction's end drops.
 */
int CO_FN payload_stage(struct member *member, struct change *change);
int CO_FN payload_stage_part(struct member *member, struct change *change, uint32_t part, int64_t offset,
                             const void *data, size_t size);
int CO_FN payload_finish(struct member *member, struct change *change, int64_t size);

/* What it took is given back: of a change that is out of the overlay, or never came in. No failure: what cannot be
 * removed now is logged, and the journal knows of it. */
void CO_FN payload_drop(struct member *member, struct change *change);

/* The range of it; `answer` is told to the sink. */
int CO_FN payload_read(struct member *member, const struct change *change, const struct larder_range *range,
                       const struct answer *answer, struct sink *sink);
/* The same on any thread, without waiting, into an instant sink. -EAGAIN: not this one. */
int payload_look(struct member *member, const struct change *change, const struct larder_range *range,
                 const struct answer *answer, struct sink *sink);

#endif
