/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H
/*
 * The text behind a status. It lives in a slot: each task has one, and each thread one for the time it runs no task.
 * The task floor changes the thread's current slot at every switch. Whoever fails first sets the text; who passes a
 * failure on leaves it alone, or says more with fail_more.
 */
#include <stdbool.h>

#include "larder/status.h"

/* Of -ECANCELED, said by who does not know what it was that was cancelled: error_finish puts that in front. */
#define ERROR_CANCELLED "cancelled"
#define ERROR_TEXT_SIZE 1024 /* longer texts are cut, at a character */
struct error_slot {
    char text[ERROR_TEXT_SIZE];
};

/* The slot of the running task, else of the thread. */
struct error_slot *error_slot(void);
/* Make `slot` the thread's current one (NULL: its own) and return the one before. */
struct error_slot *error_slot_use(struct error_slot *slot);

/* Set the text and return `status`, which is negative: return fail(-ENOENT, "%s: no such file", path); */
int fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same from an errno: "WHAT: No such file or directory". */
int fail_errno(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* -ENOMEM and "out of memory". */
int fail_memory(void);
/* Put "WHAT: " in front of the text that is there. Returns `status`. */
int fail_more(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/*
 * They return nothing but failures. Compilers that know it see that what is set on success alone is not read after a
 * failure, and are right when they warn.
 */
static inline int error_negative(int status)
{
    if (status >= 0)
        __builtin_unreachable();
    return status;
}
#define fail(...)       error_negative((fail)(__VA_ARGS__))
#define fail_errno(...) error_negative((fail_errno)(__VA_ARGS__))
#define fail_memory()   error_negative((fail_memory)())
#define fail_more(...)  error_negative((fail_more)(__VA_ARGS__))

/* Forget the text (every public call begins so); and make sure that a failure leaves one (every public call ends so:
 * an empty text becomes the status in words, on `subject` if that is not NULL; "" is the root). Returns `status`. */
void error_clear(void);
int error_finish(int status, const char *subject);
const char *error_text(void);
void error_set_text(const char *text); /* cut where too long; NULL is "" */

/* ---- the log (larder_log_to) ---- */
bool log_wanted(enum larder_log_level level);
void log_line(enum larder_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Arguments are not evaluated when nobody listens. */
#define log_at(level, ...) (log_wanted(level) ? log_line(level, __VA_ARGS__) : (void)0)

#endif
