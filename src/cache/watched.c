/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/watched.h"

#include "base/error.h"
#include "base/list.h"
#include "base/seams.h"

static int note(struct watched *watched, int rc)
{
    if (rc < 0 && watched->status == 0) {
        watched->status = rc;
        watched->text = mem_dup(error_text());
    }
    return rc;
}

/* As instant as the sink itself. */
static int CO_EDGE watched_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct watched *watched = container_of(sink, struct watched, sink);
    watched_fini(watched);
    return note(watched, sink_begin(watched->into, answer, size));
}

static int CO_EDGE watched_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    struct watched *watched = container_of(sink, struct watched, sink);
    return note(watched, sink_room(watched->into, want, out, size));
}

static int CO_EDGE watched_fill(struct sink *sink, size_t size)
{
    struct watched *watched = container_of(sink, struct watched, sink);
    return note(watched, sink_fill(watched->into, size));
}

void watched_init(struct watched *watched, struct sink *into)
{
    *watched = (struct watched){.sink = {.instant = into->instant,
                                         .begin = watched_begin,
                                         .room = watched_room,
                                         .fill = watched_fill},
                                .into = into};
}

int watched_failure(const struct watched *watched)
{
    if (watched->status < 0)
        error_set_text(watched->text);
    return watched->status;
}

void watched_fini(struct watched *watched)
{
    mem_free(take(watched->text));
    watched->status = 0;
}
