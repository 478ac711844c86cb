/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TXN_ROUNDS_H
#define TESTS_TXN_ROUNDS_H
/*
 * Transactions whose writers are killed, one after the other over the same files: new ones, other bytes, deletions. After
 * each round somebody recovers. Then the transaction is wholly there, or wholly not; it is there if its commit was
 * acknowledged; and nothing of it is left, neither in the journal nor beside it nor at the place.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct rounds_place {
    const char *name, *url, *journal;
    const char *tree;     /* what of it is on this machine's disk; NULL: nothing */
    bool uploads;         /* it may have unfinished ones */
    unsigned changes_max; /* of a round */
    size_t huge;          /* the size of one write in twenty; 0: of none */
};
/* `place` stays. */
void rounds_begin(const struct rounds_place *place, unsigned seed);
unsigned rounds_draw(unsigned below);
/* Ceph's gateway at `url` is the one that s3:// means from now on, and has the bucket "kill". */
void rounds_use_gateway(const char *url);
/* What the next transaction does, by chance. */
void rounds_next(void);

/* What a child process does: its exit status. */
int rounds_write(void);
int rounds_recover(void);
/* Run one, to be killed at a crash point (NULL: at none), or after some time (0: never): its wait status. */
int rounds_run(int (*fn)(void), const char *crash_at, unsigned after_us);
bool rounds_was_killed(int status);
/* A writer ended with this wait status; and now a recovery, and all that is said above. Was the writer killed? */
bool rounds_end(int status);
/* All of a round. `recovery_crash_at`: where one who recovers first is killed; NULL: nobody is. */
bool rounds_play(const char *crash_at, unsigned after_us, const char *recovery_crash_at);

struct rounds_counts {
    unsigned rounds, kills, acknowledged, there, recoveries_killed;
};
const struct rounds_counts *rounds_counts(void);
void rounds_print(void);

#endif
