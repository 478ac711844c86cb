/* SPDX-License-Identifier: Apache-2.0 */
/* Filesystems written down by somebody else: what opens is written down again as a text that opens as the same. */
#include <stdlib.h>
#include <string.h>

#include "larder.h"

#include "base/seams.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const options[] = {"cache.dir=/dev/null/larder", NULL};
    autofree char *text = mem_dup_n((const char *)data, size);
    struct larder_fs *fs = NULL, *again = NULL;
    char *written = NULL, *other = NULL;
    if (larder_fs_from_json(NULL, text, options, &fs) < 0)
        return 0;
    if (larder_fs_to_json(fs, true, &written) < 0 || larder_fs_from_json(NULL, written, NULL, &again) < 0 ||
        larder_fs_to_json(again, true, &other) < 0 || strcmp(written, other) != 0)
        abort();
    larder_free(written);
    larder_free(other);
    larder_fs_free(again);
    larder_fs_free(fs);
    return 0;
}
