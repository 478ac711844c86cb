/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LARDER_H
#define LARDER_H
/* Larder: a key-value mapper and caching storage engine. Read fs.h first. */
#include "larder/bytes.h"
#include "larder/cache.h"
#include "larder/copy.h"
#include "larder/facts.h"
#include "larder/file.h"
#include "larder/fs.h"
#include "larder/loop.h"
#include "larder/map.h"
#include "larder/rsync.h"
#include "larder/status.h"
#include "larder/txn.h"
#endif
