/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_COPY_FILE_H
#define FS_COPY_FILE_H
/* The inside of a copy (fs/copy.h): the call, and one of its steps while somebody has it. */
#include "fs/copy.h"
#include "fs/crew.h"

struct copy;

struct copy_file {
    struct list node;
    struct copy *copy;
    struct copy_step step; /* its strings lie behind */
    /* the loop's, and the caller's side's once it has ended */
    int status;                /* known beforehand, or how it ended */
    enum larder_type type;     /* as it turned out */
    char *text;                /* of a failure; mem */
    struct larder_info copied; /* if the job wants it */
    bool skipped;
    bool same;     /* as the target: nothing was done */
    bool last;     /* its failure is the call's end */
    bool deferred; /* this place cannot move it: the caller sees to that */
    uint64_t held;
    /* to the caller's side */
    struct letter begun, moved, ended;
    atomic_bool moved_posted;
    _Atomic int64_t done, size;
    int64_t told; /* the caller's: of done */
    char names[];
};

struct copy {
    struct crew crew;
    struct copy_job *job;
    /* the calling thread before the tasks begin, then the loop's */
    struct list todo;
    size_t todo_count;
    bool all_known; /* nothing comes behind todo */
    bool asking;    /* for more */
    struct waiters more;

    /* whose turn it is: the caller's from the letter to the reply */
    struct letter ask;
    struct post answer;
    struct list found;
    size_t found_count;
    bool found_all;
};

/* In a task, of a step with `check`: 1: it has to be done; 0: all is the same. */
int CO_FN copy_file_differs(struct copy_file *file);
/* In a task: do the step, to its end. Sets what it turned out to be. */
int CO_FN copy_file_act(struct copy_file *file);

#endif
