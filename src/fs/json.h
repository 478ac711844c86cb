/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_JSON_H
#define FS_JSON_H
/* JSON that people and other processes write: the configuration, filesystems written down. */
#include <jansson.h>
#include <stddef.h>

#include "base/buffer.h"

/* An object. -EINVAL: it is none, is broken, has a key twice, or nests deeper than any of ours; the text says "WHAT, line
 * N: …". Safe on a task's stack. Freed with json_decref. */
int json_parse(const char *text, size_t size, const char *what, json_t **out);
/* What is at `key` of an object; NULL: there is none. -EINVAL: it is of another type. */
int json_member(json_t *object, const char *key, json_type type, const char *what, json_t **out);
/* One line, with its keys sorted and without blanks: the same for the same. */
int json_write(const json_t *json, struct buffer *out);

/* Any bytes but NUL: a string where they are UTF-8, else {"percent":"%FF"}. NULL: out of memory. */
json_t *json_from_text(const char *text);
/* Such a text; mem. -EINVAL: it is none. */
int json_to_text(const json_t *json, const char *what, char **out);

#endif
