/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

/* Held shared while a message is on its way, so that a log that was replaced is not called any more. */
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static larder_log_fn *log_to; /* these two under `lock` */
static void *log_arg;
static atomic_int level_max; /* 0: nobody listens */

static void forget_lock(void)
{
    /* Its holders, other threads of the parent, do not exist in the child and would never give it back. */
    lock = (pthread_rwlock_t)PTHREAD_RWLOCK_INITIALIZER;
}

__attribute__((constructor)) static void watch_forks(void)
{
    if (pthread_atfork(NULL, NULL, forget_lock) != 0)
        abort();
}

void larder_log_to(larder_log_fn *log, void *arg, enum larder_log_level level)
{
    pthread_rwlock_wrlock(&lock);
    log_to = log;
    log_arg = arg;
    atomic_store_explicit(&level_max, log ? (int)level : 0, memory_order_relaxed);
    pthread_rwlock_unlock(&lock);
}

bool log_wanted(enum larder_log_level level)
{
    return (int)level <= atomic_load_explicit(&level_max, memory_order_relaxed);
}

void log_line(enum larder_log_level level, const char *format, ...)
{
    int saved_errno = errno;
    char message[ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    assert(size >= 0);
    if ((size_t)size >= sizeof(message))
        message[text_cut(message, sizeof(message) - 1)] = 0;

    pthread_rwlock_rdlock(&lock);
    if (log_to && log_wanted(level))
        log_to(log_arg, level, message);
    pthread_rwlock_unlock(&lock);
    errno = saved_errno;
}
