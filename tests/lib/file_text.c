/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "file_text.h"

void put(struct larder_fs *fs, const char *path, const char *text)
{
    assert_ok(larder_pipe_file(fs, path, text, strlen(text), LARDER_PARENTS));
}

void assert_text(struct larder_fs *fs, const char *path, const char *text)
{
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, path, NULL, &bytes);
    if (!text) {
        assert_status(-ENOENT, rc);
        return;
    }
    assert_ok(rc);
    assert_int_equal(bytes.size, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.size);
    larder_bytes_free(&bytes);
}
