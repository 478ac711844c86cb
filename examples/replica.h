/* SPDX-License-Identifier: Apache-2.0 */
#ifndef REPLICA_H
#define REPLICA_H
#include <larder/backend.h>

/* replica:///PATH with the options first=URL and second=URL: one tree in two places. See replica.c. */
extern const struct larder_backend replica;

#endif
