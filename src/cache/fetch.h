/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CACHE_FETCH_H
#define CACHE_FETCH_H
/* One read or info that the store could not answer at once: fetch.c decides, ask.c asks the place. */
#include "cache/flight.h"
#include "cache/throttle.h"
#include "cache/watched.h"

struct reading { /* in its task's frame */
    struct view *view;
    struct store *store;
    const char *path;
    const struct larder_range *range; /* NULL: all */
    const struct terms *terms;
    struct watched sink; /* the reader's; an info has none */
    bool keep;           /* for the store only: nobody reads the sink, and the writer's queue is waited for */
    struct throttle *throttle; /* of what comes over the network; NULL: none */

    /* what the answer is of, once something decided it */
    bool pinned;
    struct answer pin;
    uint64_t pin_id; /* of the record, if it came from the store */
    int64_t pos,
        end; /* bytes of the file that are still to be given; before it is pinned: as far as `range` says */
    bool begun; /* sink_begin was called for `pin` */

    /* what the store has, though it is not to be used without asking */
    struct answer known;
    uint64_t known_id;
    int64_t known_age_ms; /* <0: nothing is known */
    bool known_absent;
    bool known_whole; /* all that is wanted is there: it is worth while to ask whether it is still right */
    bool known_much;  /* for the store only: so much is there that it is worth while, too */

    struct seen looked; /* what was there when the store was last compared with a flight */
    uint64_t valid_id;  /* of the record that the place said is still right */
    bool ignore_store;  /* it was damaged, or the place has another version */
    bool stale_ok;      /* the place could not be asked, and stale is better than nothing */
    bool asked;         /* by us */
    bool alone;         /* others do not share what they fetch */
    struct run *joined; /* a reference: waited for or asked by us, so that it counts though it is not fresh */
    unsigned timeouts, idle; /* steps without progress */
    int failure;             /* for which stale_ok was set, … */
    char *failure_text;      /* … and its text; mem */
    uint64_t fetched;        /* bytes */
    bool gave_all;           /* ask_whole has given the bytes to the sink already */
    struct ahead *ahead;     /* what is asked for meanwhile; NULL: nothing */
};

#define PART_PATIENCE_MS 2000 /* of who wants a part, for others who fetch all of it */

/* The most that one request for a part asks for; of a file that is read whole, it is store_piece_max at a time that the
 * writer gets. */
static inline int64_t run_size_max(const struct reading *r)
{
    return 2 * store_piece_max(r->store);
}

/* Between the functions below. */
enum step {
    STEP_DONE = 0,
    STEP_UNCHANGED = UNCHANGED,
    STEP_ON,  /* something is missing still */
    STEP_OVER /* from the start: what was given is not of one version */
};

/* ---- reading.c ---- */
/* The answer is of this version from now on; the range has its bounds. */
int reading_pin(struct reading *r, const struct answer *answer);
void reading_unpin(struct reading *r);
bool reading_is_pinned(const struct reading *r, const struct record *record);
int CO_FN reading_begin(struct reading *r); /* the sink, once */
/* Take note of a record that is not to be used without asking. `reader` NULL: its bytes do not matter. */
int reading_know(struct reading *r, struct reader *reader, const struct record *record);
/* For the store only: is so much of the pinned version there that only what is missing is asked for? */
bool reading_has_much(struct reading *r);
bool reading_may_use(struct reading *r, const struct record *record);
/* No run serves, and the store is not as it was: it is to be looked at again before anybody is asked, for a run's bytes
 * may have come into it between the look and the search. */
bool reading_is_behind(struct reading *r, const struct seen *now);
bool reading_run_is_fresh(const struct reading *r, const struct run *run);
/* Would reading_give_stored bring it on? */
bool reading_can_go_on(struct reading *r);
/* As much as the store has in a row. */
int CO_FN reading_give_stored(struct reading *r);
/* The first byte from `start` on that is neither there nor being fetched; the range's end or more: there is none. */
int64_t reading_next_gap(struct reading *r, int64_t start);
/* For the run: the blocks around what is wanted next, as far as one request goes. False: it cannot be said so. */
bool reading_choose_part(struct reading *r, struct run *run);
/* Of a run without bytes: a step, or the failure with its text. */
int reading_use_outcome(struct reading *r, struct run *run, bool ours);
/* Could the place not be asked, so that stale may be better than nothing? Not if it was the reader's sink that failed. */
bool reading_is_failure_to_ask(const struct reading *r, int status);
/* To what is stale, if that may be used; the failure comes back if not. */
int reading_fall_back(struct reading *r, int status);
void reading_fini(struct reading *r);

/* ---- ask.c, whole.c ---- */
/* The whole file: given to the sink as it comes, and kept. Its outcome is in `run`, which is finished. */
int CO_FN ask_whole(struct reading *r, struct run *run);
/* Its run's bytes, into the run's memory. */
int CO_FN ask_part(struct reading *r, struct run *run);
/* What is there. */
int CO_FN ask_info(struct reading *r, struct run *run);
/* Neither from the store nor for it. */
int CO_FN ask_past(struct reading *r, struct answer *out);

bool same_version(const struct answer *a, const struct answer *b); /* both strong */

/* Of every kind of asking. `worth`: with what is known it is worth while to ask whether that is still right. */
struct terms ask_terms(struct reading *r, struct run *run, bool worth);
int ask_note_answer(struct run *run, const struct answer *answer);
bool ask_may_keep(const struct run *run);
void ask_take_unchanged(struct run *run, int rc, struct answer *said);
/* An outcome that brought no bytes. */
void ask_finish_without(struct reading *r, struct run *run, int rc);

#endif
