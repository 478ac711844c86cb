/* SPDX-License-Identifier: Apache-2.0 */
/* Links of strange pages, resolved: what comes out is a URL that stays what it is. */
#include <stdlib.h>
#include <string.h>

#include "base/seams.h"

#include "net/uri.h"

#define BASE_URL "https://user@host:8443/a/b/?q#f"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = mem_dup_n((const char *)data, size);
    struct uri uri;
    uri_split(text, &uri);
    if (!uri.path.text || uri.path.text < text || uri.path.text + uri.path.size > text + strlen(text))
        abort();

    autofree char *resolved = uri_resolve(BASE_URL, text);
    autofree char *again = resolved ? uri_resolve(BASE_URL, resolved) : NULL;
    if (!resolved || !again || strcmp(resolved, again) != 0 || strchr(resolved, '#'))
        abort();

    autofree char *shown = uri_redact(text);
    struct uri shown_uri;
    uri_split(shown, &shown_uri);
    if (shown_uri.userinfo.text)
        abort();
    if (uri_split_http(text, &uri) == 0) {
        autofree char *origin = uri_origin(&uri);
        if (!origin || strncmp(origin, "http", 4) != 0)
            abort();
    }
    return 0;
}
