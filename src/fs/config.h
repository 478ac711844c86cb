/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FS_CONFIG_H
#define FS_CONFIG_H
/*
 * The user's defaults for options, by layer:
 *
 *     {"http": {"timeout": "30s", "max_connections": 8}, "cache": {"dir": "/var/cache/larder"}}
 *
 * in $XDG_CONFIG_HOME/larder/config.json, else ~/.config/larder/config.json. Read once a process, when first asked for.
 * No file is no defaults; one that cannot be read, or is broken, is a failure of every call that asks. Layers that
 * nobody knows are for programs that bring them.
 */
#include <stddef.h>

typedef int config_fn(void *arg, const char *key, const char *value);
/* fn of each default for `layer`. When fn fails, the text gets the file and the line in front. */
int config_each(const char *layer, config_fn *fn, void *arg);
/* The file's name, where it says something of that option; NULL: it does not, or cannot be read. */
const char *config_says(const char *layer, const char *key);
/* Tests: read it anew. Nobody may be asking. */
void config_forget(void);

#endif
