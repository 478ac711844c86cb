/* SPDX-License-Identifier: Apache-2.0 */
/* yard_easy URL FILES COUNT: one file after the other, by a bare curl easy handle. */
#include <stdlib.h>

#include "bench.h"
#include "yard_curl.h"

int main(int argc, char **argv)
{
    if (argc != 4)
        bench_die("usage: yard_easy URL FILES COUNT");
    size_t files = bench_count(argv[2]), count = bench_count(argv[3]);
    uint64_t bytes = 0;
    struct yard_slot slot;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    char **urls = bench_names(argv[1], files);
    yard_slot_init(&slot, true, NULL);

    double start = bench_now();
    for (size_t i = 0; i < count; i++) {
        slot.size = 0;
        curl_easy_setopt(slot.easy, CURLOPT_URL, urls[i % files]);
        yard_slot_check(&slot, curl_easy_perform(slot.easy));
        bytes += slot.size;
        free(slot.data);
        slot.data = NULL;
    }
    bench_figure(bench_now() - start, count, bytes);
    yard_slot_fini(&slot);
    return 0;
}
