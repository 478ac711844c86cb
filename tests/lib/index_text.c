/* SPDX-License-Identifier: Apache-2.0 */
#include "index_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/index.h"
#include "test.h"

static int print_entry(void *arg, const struct index_entry *entry)
{
    char time[TEXT_TIME_SIZE] = "-";
    if (entry->mtime_ns)
        format_rfc3339(entry->mtime_ns, time);
    fprintf(arg, "%s|%c|%lld|%s\n", entry->name, "?fdo"[entry->type], (long long)entry -> size, time);
    return 0;
}

int index_text(const char *url, const char *type, const char *page, size_t step, char **text)
{
    struct index *index = NULL;
    size_t size = strlen(page), text_size;
    FILE *out = open_memstream(text, &text_size);
    int rc = index_new(url, type, print_entry, out, &index);
    for (size_t at = 0; rc == 0 && at < size; at += step)
        rc = index_feed(index, page + at, size - at < step ? size - at : step);
    if (rc == 0)
        rc = index_finish(index);
    index_free(index);
    fclose(out);
    return rc;
}

void assert_lists(const char *url, const char *type, const char *page, const char *expected)
{
    static const size_t steps[] = {1 << 20, 1, 7};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char *text;
        assert_ok(index_text(url, type, page, steps[i], &text));
        assert_string_equal(text, expected);
        free(text);
    }
}
