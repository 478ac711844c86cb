/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H
/* What every test includes: cmocka without its fail(), which is the name of ours (base/error.h). */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "larder/status.h"

#undef fail
#undef fail_msg
#define fail_msg(...)              \
    do {                           \
        print_error(__VA_ARGS__);  \
        print_error("\n");         \
        _fail(__FILE__, __LINE__); \
    } while (0)

/* A call's status, told by name, and with the error text where it is not what was expected. */
#define assert_status(expected, call)                                                          \
    do {                                                                                       \
        int expected_ = (expected);                                                            \
        int status_ = (call);                                                                  \
        if (status_ != expected_)                                                              \
            fail_msg("%s: %d %s (%s), not %d %s", #call, status_, larder_status_name(status_), \
                     larder_error(), expected_, larder_status_name(expected_));                \
    } while (0)
#define assert_ok(call) assert_status(0, call)

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define UNDER_TSAN 1
#endif
#ifdef __SANITIZE_ADDRESS__
#define UNDER_ASAN 1
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0 /* allows no threads in a fork's child */
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

#endif
