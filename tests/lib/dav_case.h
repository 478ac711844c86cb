/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_DAV_CASE_H
#define TESTS_DAV_CASE_H
/* What tests of half answers of WebDAV have in common: a server that is told what to say, and two places at it. */
#include "larder.h"

#include "dav_said.h"
#include "fault_server.h"

extern struct fault_server *server;
extern struct larder_fs *fs, *plain; /* over WebDAV, and over plain HTTP, which may write */

/* The group's setup and teardown. */
int dav_case_setup(void **state);
int dav_case_teardown(void **state);
/* `fs` anew: what one connection remembers of a server ends with it. */
void dav_reopen(void);
struct larder_fs *dav_open_with(const char *option);

/* Forget what was to be said, and what was asked. */
void begin(void);
/* A multistatus; an answer without one; none at all, once. */
void say(const char *method, const char *path, unsigned count, const char *responses);
void answer(const char *method, const char *path, unsigned count, int status);
void lose(const char *method, const char *path);

#endif
