/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TXN_PLACES_H
#define TESTS_TXN_PLACES_H
/* Each kind of place that a transaction may have, plain, behind a cache, and under a root; for scenarios that run at all. */
#include "larder.h"

#include "file_text.h"

struct server;

struct place {
    const char *server, *scheme, *path; /* NULL: none is needed */
    const char *name, *option;
    bool no_directories; /* of its own */
};

extern char *scratch;
/* Of the scenario: */
extern const struct place *place;
extern unsigned turn;           /* its directory's name */
extern struct larder_fs *fs;    /* as the transaction has it: perhaps through a cache, perhaps under a root */
extern struct larder_fs *other; /* the same directory, as others see it */
extern struct larder_fs *view;
extern struct larder_txn *txn;

struct places_scenario {
    const char *name;
    void (*run)(void);
};
/* The program's status. */
int places_run(const struct places_scenario scenarios[], size_t scenario_count);

const struct server *server_of(const struct place *of); /* NULL: it needs none, or has none here */

void begin(void);
int commit(void);
void expect_names(struct larder_fs *from, const char *dir, const char *names);
void assert_nothing_pending(void);

#endif
