/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_BYTES_H
#define LARDER_BYTES_H
#include <stdint.h>

#include "larder/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A run of bytes and what frees it. All zero is the empty run and owns nothing. It is moved by plain copy: of all the
 * copies, one is freed. `data` of a result has one more byte behind it, a NUL that `size` does not count, so that a
 * text can be used as a string.
 */
struct larder_bytes {
    const void *data;
    size_t size;
    void (*release)(void *owner, const void *data, size_t size); /* NULL: borrowed */
    void *owner;
};

/* Free what `bytes` owns, and make it the empty run. NULL and the empty run are fine. */
LARDER_API void larder_bytes_free(struct larder_bytes *bytes);

/*
 * The bytes [start, end) of a file, as Python slices them: a negative bound counts from the end, a bound beyond an end
 * is cut there, and a range that ends before it starts is empty. {-100, LARDER_TO_END} is the last hundred bytes, and
 * one request. Where a range is taken by pointer, NULL is the whole file.
 */
struct larder_range {
    int64_t start;
    int64_t end;
};
#define LARDER_TO_END INT64_MAX

#ifdef __cplusplus
}
#endif
#endif
