/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double clock_now(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double bench_now(void)
{
    return clock_now(CLOCK_MONOTONIC);
}

void bench_figure(double seconds, uint64_t count, uint64_t bytes)
{
    printf("{\"seconds\": %.9f, \"count\": %" PRIu64 ", \"bytes\": %" PRIu64 "}\n", seconds, count, bytes);
}

uint64_t bench_peak(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        bench_die("no /proc/self/status");
    while (kib == 0 && fgets(line, sizeof line, file))
        sscanf(line, "VmHWM: %llu", &kib);
    fclose(file);
    return kib << 10;
}

void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

size_t bench_count(const char *text)
{
    char *end;
    unsigned long long count = strtoull(text, &end, 10);
    if (end == text || *end || count == 0)
        bench_die("not a count: %s", text);
    return (size_t)count;
}

unsigned bench_word(const char *text, const char *const words[])
{
    for (unsigned i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    bench_die("not known: %s", text);
}

void *bench_alloc(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        bench_die("out of memory");
    return memory;
}

void *bench_noise(size_t size, uint64_t seed)
{
    uint64_t *words = bench_alloc(size + sizeof *words);
    for (size_t at = 0; at <= size / sizeof *words; at++)
        words[at] = seed = seed * 6364136223846793005U + 1442695040888963407U;
    return words;
}

struct thread {
    pthread_t id;
    void (*run)(void *arg, size_t index);
    void *arg;
    size_t index;
};

static void *run_thread(void *arg)
{
    struct thread *thread = arg;
    thread->run(thread->arg, thread->index);
    return NULL;
}

void bench_threads(size_t count, void (*run)(void *arg, size_t index), void *arg, struct bench_time *out)
{
    struct thread *threads = bench_alloc(count * sizeof *threads);
    double start = clock_now(CLOCK_MONOTONIC), processor = clock_now(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 1; i < count; i++) {
        threads[i] = (struct thread){.run = run, .arg = arg, .index = i};
        if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) != 0)
            bench_die("no thread");
    }
    run(arg, 0);
    for (size_t i = 1; i < count; i++)
        pthread_join(threads[i].id, NULL);
    out->seconds = clock_now(CLOCK_MONOTONIC) - start;
    out->processor = clock_now(CLOCK_PROCESS_CPUTIME_ID) - processor;
    free(threads);
}

void bench_figure_of_threads(const struct bench_time *time, uint64_t count, uint64_t bytes)
{
    printf("{\"seconds\": %.9f, \"processor\": %.9f, \"count\": %" PRIu64 ", \"bytes\": %" PRIu64 "}\n",
           time->seconds, time->processor, count, bytes);
}

char **bench_names(const char *prefix, size_t count)
{
    size_t room = strlen(prefix) + NAME_SIZE + 1;
    char **names = bench_alloc(count * sizeof *names);
    for (size_t i = 0; i < count; i++) {
        names[i] = bench_alloc(room);
        int size = snprintf(names[i], room, "%s%0*zu", prefix, NAME_SIZE, i);
        if (size < 0 || (size_t)size >= room)
            bench_die("too many files: %zu", count);
    }
    return names;
}

uint32_t *bench_shuffle(size_t count)
{
    uint32_t *order = bench_alloc(count * sizeof *order);
    uint64_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        size_t at = (size_t)(state >> 33) % (i + 1);
        order[i] = order[at];
        order[at] = (uint32_t)i;
    }
    return order;
}
