/* SPDX-License-Identifier: Apache-2.0 */
/* How a file is opened: "key=value", declared as a backend's options are, of a layer that is called "file". */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "fs/compress.h"
#include "fs/file_object.h"
#include "fs/option.h"

enum {
    STRATEGY,
    BLOCK_SIZE,
    WINDOW_MAX,
    PREFETCH,
    BLOCKS_MAX,
    FOLLOW,
    PARENTS,
    SYNC,
    PART_SIZE,
    PARTS_MAX,
    COMPRESSION,
    LEVEL,
};

static const struct option declared[] = {
    [STRATEGY] = {"strategy", OPTION_TEXT, "readahead", 0, "readahead, block, whole or none"},
    [BLOCK_SIZE] = {"block_size", OPTION_SIZE, "1M", 0, "of the first window, of a block"},
    [WINDOW_MAX] = {"window_max", OPTION_SIZE, "8M", 0, "the largest window"},
    [PREFETCH] = {"prefetch", OPTION_COUNT, "1", 0, "windows fetched ahead"},
    [BLOCKS_MAX] = {"blocks_max", OPTION_COUNT, "32", 0, "blocks that are kept"},
    [FOLLOW] = {"follow", OPTION_BOOL, "false", 0, "read on when the file has changed"},
    [PARENTS] = {"parents", OPTION_BOOL, "false", 0, "make missing parent directories"},
    [SYNC] = {"sync", OPTION_BOOL, "false", 0, "on the disk when it is closed"},
    [PART_SIZE] = {"part_size", OPTION_SIZE, "0", 0, "of what is sent at a time"},
    [PARTS_MAX] = {"parts_max", OPTION_COUNT, "3", 0, "parts on their way"},
    [COMPRESSION] = {"compression", OPTION_TEXT, "none", 0, "none, gzip, zstd or auto"},
    [LEVEL] = {"level", OPTION_COUNT, NULL, 0, "of compression"},
    [LEVEL + 1] = {0},
};
static const struct backend layer = {.name = "file", .options = declared};

static const struct strategy *const strategies[] = {
    &strategy_readahead, &strategy_block, &strategy_whole, &strategy_none, NULL,
};

static const char *text_of(char *const *values, int which)
{
    return values[which] ? values[which] : declared[which].fallback;
}

static bool truth_of(char *const *values, int which)
{
    bool truth = false;
    parse_bool(text_of(values, which), &truth);
    return truth;
}

static int number_of(char *const *values, int which, int64_t min, int64_t max, int64_t *out)
{
    *out = option_value_number(&declared[which], text_of(values, which));
    if (*out >= min && *out <= max)
        return 0;
    return fail(-EINVAL, "option file.%s: from %lld to %lld", declared[which].name, (long long)min,
                (long long)max);
}

static int take_strategy(const char *name, struct file_options *out)
{
    size_t i = 0;
    while (strategies[i] && strcmp(strategies[i]->name, name) != 0)
        i++;
    out->strategy = strategies[i];
    return strategies[i] ? 0 : fail(-EINVAL, "option file.strategy: \"%s\" is none", name);
}

static int take_compression(const char *name, struct file_options *out)
{
    out->compression_auto = strcmp(name, "auto") == 0;
    if (out->compression_auto || strcmp(name, "none") == 0)
        return 0;
    out->compression = compression_find(name);
    return out->compression ? 0 : fail(-EINVAL, "option file.compression: \"%s\" is none", name);
}

#define SIZE_OPTION_MAX ((int64_t)1 << 32)

static int take_numbers(char *const *values, struct file_options *out)
{
    int64_t block, window, prefetch, blocks, part, parts, level = -1;
    int rc = number_of(values, BLOCK_SIZE, 1, SIZE_OPTION_MAX, &block);
    if (rc == 0)
        rc = number_of(values, WINDOW_MAX, 1, SIZE_OPTION_MAX, &window);
    if (rc == 0)
        rc = number_of(values, PREFETCH, 0, FILE_PREFETCH_MAX, &prefetch);
    if (rc == 0)
        rc = number_of(values, BLOCKS_MAX, 1, FILE_BLOCKS_MAX, &blocks);
    if (rc == 0)
        rc = number_of(values, PART_SIZE, 0, SIZE_OPTION_MAX, &part);
    if (rc == 0)
        rc = number_of(values, PARTS_MAX, 0, STAGER_FLIGHT_MAX, &parts);
    if (rc == 0 && values[LEVEL])
        rc = number_of(values, LEVEL, 0, 22, &level);
    if (rc < 0)
        return rc;
    out->block_size = (size_t)block;
    out->window_max = (size_t)(window < block ? block : window);
    out->prefetch = (unsigned)prefetch;
    out->blocks_max = (unsigned)blocks;
    out->part_size = (size_t)part;
    out->parts_max = (unsigned)parts;
    out->level = (int)level;
    return 0;
}

int file_options_take(const char *const options[], struct file_options *out)
{
    char **values = options_new(&layer);
    int rc = values ? options_override(&layer, options, true, false, values) : fail_memory();
    *out = (struct file_options){0};
    if (rc == 0)
        rc = take_strategy(text_of(values, STRATEGY), out);
    if (rc == 0)
        rc = take_compression(text_of(values, COMPRESSION), out);
    if (rc == 0)
        rc = take_numbers(values, out);
    if (rc == 0) {
        out->follow = truth_of(values, FOLLOW);
        out->flags =
            (truth_of(values, PARENTS) ? LARDER_PARENTS : 0) | (truth_of(values, SYNC) ? LARDER_SYNC : 0);
    }
    options_free(&layer, values);
    return rc;
}
