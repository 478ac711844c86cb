/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TASK_TEST_H
#define TESTS_TASK_TEST_H
/*
 * Tests that run in tasks. cmocka's assertions jump to the test's thread, and so must not be used on a loop: a body
 * CHECKs instead, which ends it with a failure that the thread tells.
 */
#include <errno.h>

#include "test.h"

#include "base/error.h"
#include "base/seams.h"
#include "task/loop.h"
#include "task/task.h"

#define CHECK(truth)                                                               \
    do {                                                                           \
        if (!(truth))                                                              \
            return fail(-EPROTO, "%s:%d: not so: %s", __FILE__, __LINE__, #truth); \
    } while (0)

/* Run a body on the default loop; what it CHECKs must hold. */
#define assert_task(body, arg) assert_ok(edge_run(larder_loop_default(), body, arg))

#endif
