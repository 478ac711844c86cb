/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_GATE_H
#define FS_GATE_H
/*
 * The gate of an instance that is not open from the first (option asynchronous=true): larder_fs_connect opens it, and
 * larder_fs_disconnect shuts it, waits for the calls that are inside, and closes the instance. Others have none.
 *
 *           connect               disconnect           the last call leaves
 *   SHUT ────────────▶ OPEN (n) ───────────────▶ DRAINING ───────────────▶ SHUT
 *                      connect: n + 1; disconnect: n - 1, the last one drains
 *
 * An instance is opened and closed under the gate's lock, which nobody holds across a wait of a task. Locks are taken
 * from the outer layer to the inner. A fork's child has its parent's gates, which let nobody through.
 */
#include "fs/backend.h"

enum gate_state { GATE_SHUT, GATE_OPEN, GATE_DRAINING };

struct gate *gate_new(void); /* NULL: out of memory */
void gate_free(struct gate *gate);

/* A call goes in: 0, else -ENOTCONN or -ECHILD, with text. Each that went in leaves. No gate: 0. */
int gate_enter(struct instance *instance);
void gate_leave(struct instance *instance);
/* One more, by who is inside, and who may leave before it. */
void gate_follow(struct instance *instance);

/* With what is behind it: the inside of larder_fs_connect. */
int gate_connect(struct instance *instance);

#endif
