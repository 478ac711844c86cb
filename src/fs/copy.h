/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_COPY_H
#define FS_COPY_H
/*
 * Many files from place to place: whoever knows which (a plan, a list, a comparison of trees) is asked for the next ones
 * on the caller's side, while a crew (fs/crew.h) copies those that are known.
 *
 *     the caller's side                     the loop
 *     next, up to QUEUE_MAX times     ──▶   todo ──▶ a task takes one, and copies it
 *     next …                          ◀──   few are left
 *     told, done                      ◀──   begun, moved, ended
 *
 * Letters are opened in the order sent. So whoever is slow to be told is slow to be asked for more, and memory stays
 * bounded.
 */
#include "larder/copy.h"

/* What is known of a file that may be the same already. */
struct copy_facts {
    int64_t size, mtime_ns; /* -1, 0: unknown */
    bool exact;             /* else a listing said so that is no more than a hint */
};
/* One thing to do. */
struct copy_step {
    const char *from, *to; /* clean, relative to their handles; `to` NULL: a directory that is left out */
    enum larder_type type; /* 0: nobody looked */
    int64_t size;          /* -1: not known */
    int64_t mtime_ns;
    bool listed;                   /* found in a tree or by a pattern, not named */
    bool check;                    /* the job's `differs` is to say whether it has to be done, from: */
    struct copy_facts here, there; /* the source, the target */
    void *owner;                   /* whoever made it */
};

#define COPY_PAUSE 2
struct copy_job {
    struct larder_fs *from, *to;
    struct larder_copy_options options;
    /*
     * The caller's side. 1 and the next step, borrowed until the next call; 0: there are no more; COPY_PAUSE: there may be,
     * but let those who wait have their turn; negative: a failure of out->from, behind which it goes on; but not if that
     * is NULL, or somebody cancelled it.
     */
    int (*next)(struct copy_job *job, struct copy_step *out);
    /* In a task (CO_FN), of a step with `check` and the full paths: 1: it has to be done; 0: all is the same. */
    int (*differs)(struct copy_job *job, const struct copy_step *step, const char *from, const char *to);
    /* The caller's side: a step has ended; before it is told. `copied`: which version it was that was copied, where
     * `wants_copied` asks for it. May be NULL. */
    void (*ended)(struct copy_job *job, const struct copy_step *step, int status,
                  const struct larder_info *copied);
    bool wants_copied;
    /* What is at `from` goes to `to` by the table's move. Where that is -EXDEV or -ENOTSUP, `ended` alone is told. */
    bool moves;
    bool strict; /* what is no file is a failure, not left out */
    /* Of a source that turns out to be a directory, which else is left out; for a move, those that it lacks. */
    bool makes_dirs;
    bool keeps_times; /* a copy gets its source's */
    bool times_count; /* that it could not is a failure */
    bool dry_run;     /* steps are told, and nothing is done */

    /* set by copy_run; the caller's side */
    struct copy *copy;            /* while it runs */
    struct larder_fs *carrier;    /* the one whose loop does the work */
    struct larder_copy_news news; /* totals, to the end and behind it */
    bool stopped;                 /* the callback had enough */
};
int copy_run(struct copy_job *job, const char *subject);

/* The caller's side. Tell of something that is no step, with the job's totals; what was returned stops the copy. */
int copy_tell(struct copy_job *job, const struct larder_copy_news *about);

/* The job, with these: their statuses are set, and its next and ended. */
int copy_pairs_run(struct copy_job *job, struct larder_copy_pair *pairs, size_t count);

/* What writing calls take of larder_write_flags. */
unsigned copy_flags(const struct larder_copy_options *options);

#endif
