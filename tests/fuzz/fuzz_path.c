/* SPDX-License-Identifier: Apache-2.0 */
/* What a caller or a server may name: no path leaves its root, and what is encoded comes back. */
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/seams.h"

/* assert() would do, but this holds with NDEBUG too. */
#define require(condition) \
    do {                   \
        if (!(condition))  \
            abort();       \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void resolve(const char *text)
{
    autofree char *path = NULL;
    bool directory;
    if (path_resolve("root", text, &path, &directory) < 0) {
        require(!path);
        return;
    }
    require(path_is_clean(path) && path_within("root", path));
    require(path_is_key(path));
    autofree char *joined = path_join("root", path_below("root", path));
    require(joined && strcmp(joined, path) == 0);
    require(path_parent_size(path) <= strlen(path));
    require(path_is_segment(path_name(path)));
}

static void decode(const char *text, size_t size)
{
    autofree char *path = NULL, *again = NULL;
    if (url_decode_path(text, size, &path) < 0) {
        require(!path);
        return;
    }
    autofree char *encoded = url_encode_path(path);
    require(encoded && strspn(encoded, " \"<>\\^`{|}?#[]") == 0);
    require(url_decode_path(encoded, strlen(encoded), &again) == 0 && strcmp(again, path) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = mem_dup_n((const char *)data, size);
    resolve(text);
    decode((const char *)data, size);
    return 0;
}
