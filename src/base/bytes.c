/* SPDX-License-Identifier: Apache-2.0 */
#include "larder/bytes.h"

#include "base/buffer.h"
#include "base/seams.h"

static void release_own(void *owner, const void *data, size_t size)
{
    mem_free(owner);
}

struct larder_bytes bytes_own(void *data, size_t size)
{
    return (struct larder_bytes){.data = data, .size = size, .release = release_own, .owner = data};
}

void larder_bytes_free(struct larder_bytes *bytes)
{
    if (!bytes)
        return;
    struct larder_bytes gone = *bytes;
    *bytes = (struct larder_bytes){0};
    if (gone.release)
        gone.release(gone.owner, gone.data, gone.size);
}
