/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TXN_DIGEST_SINK_H
#define TXN_DIGEST_SINK_H
/* A sink that digests what it is given, and keeps nothing. */
#include "base/hash.h"
#include "fs/backend.h"

struct digest_sink {
    struct sink sink;
    struct hash128 hash;
    int64_t size;
    char *room; /* mem */
};
int digest_sink_init(struct digest_sink *digest);
/* How many bytes they were, and their digest; zeros for none. */
int64_t digest_sink_fini(struct digest_sink *digest, uint8_t out[16]);

#endif
