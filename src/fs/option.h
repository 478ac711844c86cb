/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_OPTION_H
#define FS_OPTION_H
/* From "layer.key=value" to the values of a backend's declared options: one slot an option, NULL where not given. */
#include "fs/backend.h"

/* Every layer that is named is known, and has such an option and value, be it in the chain or not (-EINVAL). */
int options_check_layers(const char *const options[]);
char **options_new(const struct backend *backend); /* NULL: out of memory */
void options_free(const struct backend *backend, char **values);
/* Out of the configuration (config.h), then out of the environment, then out of `options`: those of this layer and,
 * `innermost`, the bare ones. */
int options_take(const struct backend *backend, const char *const options[], bool innermost, char ***values);
/* The same of `options` alone; `per_handle`: others than OPTION_PER_HANDLE are -EINVAL. */
int options_override(const struct backend *backend, const char *const options[], bool innermost,
                     bool per_handle, char **values);
bool option_value_bool(const char *value);                                   /* false: NULL */
int64_t option_value_number(const struct option *option, const char *value); /* -1: NULL */

bool option_is_known(const struct backend *backend, const char *name);
/* Where the value of the option `name` is, which the table declares (asserted). */
char **option_slot(const struct backend *backend, char **values, const char *name);

/* Who gives a value where no options do: "the environment", the name of a file; NULL: nobody. */
const char *option_origin(const struct backend *backend, const struct option *option);

/* "fs", no layer of a chain but what every handle is opened with, whatever it is of. */
extern const struct backend fs_layer;

/* By the layer's name, where backend_find goes by protocol. */
const struct backend *backend_by_name(const char *name, size_t size);
/* The `index`-th that is known; NULL: no more. */
const struct backend *backend_at(size_t index);

#endif
