/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_JUMP_CLOCK_H
#define TESTS_JUMP_CLOCK_H
/*
 * A clock that jumps to the end of what tasks sleep, so that a test of long waits takes no time. Both clocks go on as
 * usual otherwise. Set it before the first call of the library.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void jump_clock_start(void);
/* Let tasks sleep again, or jump again. */
void jump_clock_pause(bool pause);
/* The sleeps since the start or the last forgetting. */
void jump_clock_forget(void);
size_t jump_clock_count(void);
uint64_t jump_clock_sleep_ms(size_t index); /* one of the first 256 */
uint64_t jump_clock_total_ms(void);

#endif
