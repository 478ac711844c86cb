/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H
/* The view cache::, for the table of what is built in. */
#include "fs/backend.h"

extern const struct backend cache_backend;

#endif
