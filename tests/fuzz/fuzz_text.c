/* SPDX-License-Identifier: Apache-2.0 */
/* Every parser takes any text, and what a formatter writes is read back as the same time. */
#include <stdlib.h>
#include <string.h>

#include "base/seams.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_back(int64_t time_ns)
{
    char text[TEXT_TIME_SIZE];
    int64_t again;
    format_rfc3339(time_ns, text);
    /* Years of five digits can be printed and not parsed. */
    if (parse_rfc3339(text, &again) == 0 && again != time_ns)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    autofree char *text = mem_dup_n((const char *)data, size);
    int64_t number;
    uint64_t count;
    bool flag;
    parse_i64(text, &number);
    parse_size(text, &count);
    parse_duration(text, &number);
    parse_bool(text, &flag);
    if (parse_http_date(text, &number) == 0)
        read_back(number);
    if (parse_rfc3339(text, &number) == 0)
        read_back(number);
    if (parse_index_date(text, &number) == 0)
        read_back(number);
    return 0;
}
