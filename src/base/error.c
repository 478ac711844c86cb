/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static _Thread_local struct error_slot thread_slot;
static _Thread_local struct error_slot *current_slot; /* NULL: thread_slot */

/*
 * The slot changes when a task switches, that is inside calls that the compiler takes for ordinary ones.
 * Never inlined and with memory clobbered, these two are asked afresh each time.
 */
__attribute__((noinline)) struct error_slot *error_slot(void)
{
    __asm__ volatile("" ::: "memory");
    return current_slot ? current_slot : &thread_slot;
}

__attribute__((noinline)) struct error_slot *error_slot_use(struct error_slot *slot)
{
    __asm__ volatile("" ::: "memory");
    struct error_slot *before = current_slot;
    current_slot = slot;
    return before;
}

/* The text becomes FORMAT, or "FORMAT: TAIL". The slot's own text may be among the arguments. */
__attribute__((format(printf, 2, 0))) static void set_text(const char *tail, const char *format,
                                                           va_list arguments)
{
    int saved_errno = errno;
    char text[ERROR_TEXT_SIZE];
    int size = vsnprintf(text, sizeof(text), format, arguments);
    assert(size >= 0);
    if (tail && (size_t)size < sizeof(text))
        size += snprintf(text + size, sizeof(text) - (size_t)size, ": %s", tail);
    if ((size_t)size >= sizeof(text))
        size = (int)text_cut(text, sizeof(text) - 1);
    text[size] = 0;
    memcpy(error_slot()->text, text, (size_t)size + 1);
    errno = saved_errno;
}

int(fail)(int status, const char *format, ...)
{
    assert(status < 0);
    va_list arguments;
    va_start(arguments, format);
    set_text(NULL, format, arguments);
    va_end(arguments);
    return status;
}

int(fail_errno)(int error, const char *format, ...)
{
    assert(error > 0);
    int saved_errno = errno;
    const char *words = strerror(error);
    errno = saved_errno;
    va_list arguments;
    va_start(arguments, format);
    set_text(words, format, arguments);
    va_end(arguments);
    return -error;
}

int(fail_memory)(void)
{
    return fail(-ENOMEM, "out of memory");
}

int(fail_more)(int status, const char *format, ...)
{
    assert(status < 0);
    int saved_errno = errno;
    const char *tail = error_slot()->text;
    if (!*tail)
        tail = strerror(-status);
    errno = saved_errno;
    va_list arguments;
    va_start(arguments, format);
    set_text(tail, format, arguments);
    va_end(arguments);
    return status;
}

void error_clear(void)
{
    error_slot()->text[0] = 0;
}

int error_finish(int status, const char *subject)
{
    if (subject && !*subject)
        subject = "the root";
    if (status >= 0)
        error_clear(); /* of a failure on the way that was made good */
    else if (!*error_text() && subject)
        fail_errno(-status, "%s", subject);
    else if (subject && strcmp(error_text(), ERROR_CANCELLED) == 0)
        fail_more(status, "%s", subject);
    else if (!*error_text())
        fail(status, "%s", strerror(-status));
    return status;
}

const char *error_text(void)
{
    return error_slot()->text;
}

void error_set_text(const char *text)
{
    char *slot_text = error_slot()->text;
    size_t size = text ? strnlen(text, ERROR_TEXT_SIZE) : 0;
    if (size == ERROR_TEXT_SIZE)
        size = text_cut(text, ERROR_TEXT_SIZE - 1);
    if (size > 0)
        memmove(slot_text, text, size); /* `text` may be this very slot's */
    slot_text[size] = 0;
}

const char *larder_error(void)
{
    return error_text();
}
