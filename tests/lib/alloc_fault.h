/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_ALLOC_FAULT_H
#define TESTS_ALLOC_FAULT_H
/*
 * Every allocation fails once: SQLite's way.
 *
 * `body` is run with the n-th allocation of the whole process failing, for n = 1, 2, … until a pass meets no
 * failure; each time once with only that one failing, and once with all from that one on. A first pass, in
 * which nothing fails, makes what the process makes once. The test fails when
 *   - a pass without failures does not return 0,
 *   - a pass with one returns anything but 0 (it did without) or -ENOMEM,
 *   - a block that a pass allocated is alive when it has returned.
 * What `body` starts on other threads must have ended when it returns. It tells what goes wrong by its
 * status, not by an assertion. Returns the number of allocations of a whole pass.
 */
#include "test.h"

typedef int alloc_fault_body(void *arg);
long alloc_fault_run(alloc_fault_body *body, void *arg);

#endif
