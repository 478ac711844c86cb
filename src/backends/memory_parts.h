/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_MEMORY_PARTS_H
#define BACKENDS_MEMORY_PARTS_H
/* What the files of memory:// share: memory.c, memory_stage.c (large writes), memory_apply.c (many changes at once). */
#include "backends/memory_tree.h"

/* With the tree's lock: the file that a write of `path` makes or replaces; its old content is still there … */
int memory_target(const char *path, unsigned flags, const char *if_match, struct node **out);
/* … and is replaced. Takes over `data`. */
int memory_put(struct node *node, char *data, size_t size, struct answer *out);

/* As in the table. */
int memory_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                 struct token *out);
int memory_stage_part(struct instance *instance, const char *path, const struct token *token, uint32_t part,
                      int64_t offset, const void *data, size_t size);
int memory_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                   unsigned flags, const char *if_match, struct answer *out);
int memory_discard(struct instance *instance, const char *path, const struct token *token);
int memory_read_staged(struct instance *instance, const char *path, const struct token *token,
                       const struct larder_range *range, struct sink *sink, struct answer *out);
int memory_apply(struct instance *instance, struct apply_item items[], size_t count, size_t *failed);

#endif
