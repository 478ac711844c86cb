/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_LOCAL_PARTS_H
#define BACKENDS_LOCAL_PARTS_H
/* Between local.c, which opens, reads and lists, and local_write.c, which changes. */
#include <sys/stat.h>

#include "fs/backend.h"

/* Is `name` left out of listings? */
bool local_is_hidden(const char *name);

int local_name(const char *path, char **out); /* "/" in front; mem */

#define LOCAL_VERSION_SIZE 96
/* What a file is; its version changes when the bytes do, as far as a file system tells. `out` borrows `version`. */
void local_describe(const struct stat *st, char version[LOCAL_VERSION_SIZE], struct answer *out);

/* local_write.c, as in the table */
int local_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                const char *if_match, struct answer *out);
int local_remove(struct instance *instance, const char *const paths[], size_t count, int status[]);
int local_mkdir(struct instance *instance, const char *path);
int local_rmdir(struct instance *instance, const char *path);
int local_touch(struct instance *instance, const char *path, int64_t mtime_ns);
int local_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
               const struct labels *labels);
int local_move(struct instance *instance, const char *from, const char *to, unsigned flags);
int local_stage(struct instance *instance, const char *path, const struct labels *labels, struct token *out);
int local_stage_part(struct instance *instance, const char *path, const struct token *token, uint32_t part,
                     int64_t offset, const void *data, size_t size);
int local_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                  unsigned flags, const char *if_match, struct answer *out);
int local_discard(struct instance *instance, const char *path, const struct token *token);

#endif
