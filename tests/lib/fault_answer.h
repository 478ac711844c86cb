/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAULT_ANSWER_H
#define TESTS_FAULT_ANSWER_H
/* The proper half of the fault server: what a good server answers from its files (RFC 9110). No threads, no sockets. */
#include <stdio.h>

#include "fault_server.h"

struct fault_entry {
    struct fault_entry *next; /* by path, in byte order */
    char *path, *etag, *headers;
    void *data;
    size_t size;
    int64_t mtime;
};
struct fault_tree {
    struct fault_entry *entries;
    enum fault_index index;
    bool writable;
};
void fault_tree_set(struct fault_tree *tree, const char *path, const struct fault_file *file);
void fault_tree_remove(struct fault_tree *tree, const char *path);

#define ANSWER_LINES_MAX 64
struct fault_answer {
    int status;
    char *lines[ANSWER_LINES_MAX]; /* headers, "Name: value" */
    size_t line_count;
    char *body;
    size_t size;
};
/* The answer of the tree, which a PUT or DELETE changes; `flags` of enum fault_flags that concern it. A copy: the tree
 * may change afterwards. */
void fault_answer_make(struct fault_answer *answer, struct fault_tree *tree,
                       const struct fault_request *request, unsigned flags);
/* Set or replace one header; an empty value takes it out. */
void fault_answer_header(struct fault_answer *answer, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same for every line of "Name: value\r\n…". */
void fault_answer_headers(struct fault_answer *answer, const char *lines);
void fault_answer_body(struct fault_answer *answer, const void *data, size_t size); /* copies */
void fault_answer_gzip(struct fault_answer *answer);
void fault_answer_free(struct fault_answer *answer);

/* The entries below `dir`, which ends in "/", without what stands around them. False: there is no such directory. */
bool fault_index_print(FILE *out, const struct fault_tree *tree, const char *dir);

void *fault_copy(const void *data, size_t size); /* with a NUL behind; aborts without memory */
_Noreturn void fault_give_up(const char *what);  /* prints it with errno, and aborts */

#endif
