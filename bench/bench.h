/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BENCH_H
#define BENCH_H
/*
 * What the programs of the bench share. Each does one measured thing, prints one line of JSON, and leaves the statistics
 * to bench/run. `larder_*.c` use the library as any program would; `yard_*.c` do the same thing with nothing in between.
 */
#include <stddef.h>
#include <stdint.h>

/* The files of the served tree: their names are numbers of NAME_SIZE digits. */
#define NAME_SIZE 5

/* Seconds of the monotonic clock. */
double bench_now(void);

/* The measured thing was done `count` times in `seconds`, and moved `bytes`. */
void bench_figure(double seconds, uint64_t count, uint64_t bytes);

/* The most memory that was resident at once, in bytes. */
uint64_t bench_peak(void);

/* Prints why, and ends the program with a failure: a figure of something that went wrong is worth nothing. */
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Of the command line: a count of at least 1, and one of the words of a NULL-ended list, as its index. */
size_t bench_count(const char *text);
unsigned bench_word(const char *text, const char *const words[]);

/* malloc that does not fail. */
void *bench_alloc(size_t size);

/* Bytes of no use to a compressor; malloc. */
void *bench_noise(size_t size, uint64_t seed);

/* `run(arg, index)` in so many threads at once; the first one is the caller's own. */
struct bench_time {
    double seconds, processor; /* the latter: of all processors */
};
void bench_threads(size_t count, void (*run)(void *arg, size_t index), void *arg, struct bench_time *out);
void bench_figure_of_threads(const struct bench_time *time, uint64_t count, uint64_t bytes);

/* `count` strings "prefix00000", "prefix00001", …; lives as long as the program. */
char **bench_names(const char *prefix, size_t count);

/* The order in which `count` things are visited: always the same, and no order at all for the processor's caches. */
uint32_t *bench_shuffle(size_t count);

#endif
