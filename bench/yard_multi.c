/* SPDX-License-Identifier: Apache-2.0 */
/* yard_multi URL COUNT AT_ONCE keep|drop [CA_FILE]: the files of a directory, by bare curl multi. */
#include <stdlib.h>

#include "bench.h"
#include "yard_curl.h"

struct job {
    struct yard yard;
    char **urls;
    char **results;
    size_t count, next;
    uint64_t bytes;
};

static void start_next(struct yard_slot *slot, struct job *job)
{
    if (job->next < job->count)
        yard_start(&job->yard, slot, job->urls[job->next++]);
}

static void ended(struct yard_slot *slot, void *arg)
{
    static size_t results;
    struct job *job = arg;
    job->bytes += slot->size;
    if (slot->keep)
        job->results[results++] = slot->data;
    slot->data = NULL;
    start_next(slot, job);
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6)
        bench_die("usage: yard_multi URL COUNT AT_ONCE keep|drop [CA_FILE]");
    struct job job = {.count = bench_count(argv[2])};
    size_t at_once = bench_count(argv[3]);
    bool keep = bench_word(argv[4], (const char *const[]){"drop", "keep", NULL});
    struct yard_slot *slots = bench_alloc(at_once * sizeof *slots);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    job.urls = bench_names(argv[1], job.count);
    job.results = calloc(job.count, sizeof *job.results);
    yard_init(&job.yard);

    double start = bench_now();
    for (size_t i = 0; i < at_once; i++) {
        yard_slot_init(&slots[i], keep, argv[5]);
        slots[i].ended = ended;
        slots[i].arg = &job;
        start_next(&slots[i], &job);
    }
    while (job.yard.running > 0)
        yard_turn(&job.yard, -1);
    bench_figure(bench_now() - start, job.count, job.bytes);

    for (size_t i = 0; i < job.count; i++)
        free(job.results[i]);
    for (size_t i = 0; i < at_once; i++)
        yard_slot_fini(&slots[i]);
    yard_fini(&job.yard);
    return 0;
}
