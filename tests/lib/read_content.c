/* SPDX-License-Identifier: Apache-2.0 */
#include "read_content.h"

#include <string.h>

#include "test.h"
#include "tree.h"

int read_content(struct larder_fs *fs, const struct larder_range *range, uint64_t seed, size_t first,
                 size_t count)
{
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, "f", range, &bytes);
    if (rc == 0) {
        assert_int_equal(bytes.size, count);
        assert_true(content_matches(bytes.data, count, seed, first));
    }
    larder_bytes_free(&bytes);
    return rc;
}

void assert_text(const char *part)
{
    if (!strstr(larder_error(), part))
        fail_msg("\"%s\" is not in \"%s\"", part, larder_error());
}
