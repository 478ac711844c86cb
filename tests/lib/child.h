/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

/* In a fork's child: _exit, as another program. A leak checker would count what the child has of its parent's threads, which
 * nobody in it knows of. */
_Noreturn void child_end(int status);

#endif
