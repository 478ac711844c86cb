/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_CHAIN_H
#define FS_CHAIN_H
/* A chain of layers: which they are, and the instance that opens them all. */
#include "base/error.h"
#include "fs/backend.h"

#define CHAIN_MAX 8
struct chain {
    const struct backend *views[CHAIN_MAX]; /* outermost first */
    size_t view_count;
    bool dir; /* dir:: : the URL's path is the root */
    const struct backend *leaf;
    const char *url; /* the leaf's: a part of what was parsed */
    char *path;      /* the full path that it names, once the chain was opened; mem */
    bool slash;      /* there was a slash behind it, and it matters there */
};
void chain_fini(struct chain *chain);

/* "cache::https://host/tree". No text says the URL, which may hold secrets. */
int chain_parse(const char *url, struct chain *chain);
/* The instance of all its layers, with `loop` as loop_meant says. `options` as the user gave them: checked here. */
int chain_open(struct chain *chain, struct larder_loop *loop, const char *const options[],
               struct instance **out);

/* The URL of a full path, with its views in front and without secrets; mem. */
int chain_url(const struct instance *outermost, const char *path, char **url);
/* fail(), with the file's URL in front, or its name where that is a local one's. */
int fail_at(const struct instance *outermost, const char *path, int status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define fail_at(...) error_negative((fail_at)(__VA_ARGS__))

#endif
