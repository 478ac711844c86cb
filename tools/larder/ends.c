/* SPDX-License-Identifier: Apache-2.0 */
/* head and tail: the cat of a range. */
#include "cli.h"

#include <stdio.h>

static int cat_range(struct cli *cli, const char *before, const char *behind)
{
    char range[32] = "0-0";
    if (cli->bytes > 0)
        snprintf(range, sizeof range, "%s%lld%s", before, (long long)cli->bytes, behind);
    cli->range = range;
    int code = command_cat(cli);
    cli->range = NULL;
    return code;
}

int command_head(struct cli *cli)
{
    return cat_range(cli, "0-", "");
}

int command_tail(struct cli *cli)
{
    return cat_range(cli, "-", "-");
}
