/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H
/* The command line: the options that there are, what was given of them, and the commands that take them. */
#include "cli.h"

/* Those behind GLOBAL_COUNT belong to the commands that name them. */
enum option_id {
    OPTION,
    CACHE,
    OFFLINE_ONLY,
    JOBS,
    JSON,
    QUIET,
    VERBOSE,
    NO_PROGRESS,
    HELP,
    VERSION,
    GLOBAL_COUNT,
    DETAILS = GLOBAL_COUNT,
    ZERO,
    MAXDEPTH,
    DIRS,
    RANGE,
    LITERAL,
    CREATE,
    BYTES,
    ALL,
    RECURSIVE,
    PARENTS,
    INCLUDE,
    EXCLUDE,
    MAX_DEPTH,
    FROM,
    LIMIT_RATE,
    DRY_RUN,
    MAX_SIZE,
    EXPIRES,
    ABORT,
    DELETE,
    CHECKSUM,
    SIZE_ONLY,
    TXN,
    THEIRS,
    OURS,
    OPTION_COUNT
};
#define WITH(id) (1ULL << (id))

struct option_spec {
    char letter;                        /* 0: none */
    const char *name, *argument, *help; /* NULL: none */
    size_t flag;                        /* what it sets: the offset of a bool in struct cli; 0: none */
};
extern const struct option_spec option_specs[OPTION_COUNT];

/* ---- options.c ---- */
struct parsed {
    struct cli cli;
    char **words; /* that are no options; room for argc of them */
    int word_count;
    uint64_t given; /* WITH(…) */
};
/* An exit code. *parsed has the defaults; it is freed with parsed_free, also after a failure. */
int parse_arguments(struct parsed *parsed, int argc, char **argv);
/* One more option for larder_open. */
int add_option(struct cli *cli, const char *text);
void parsed_free(struct parsed *parsed);

/* ---- commands.c ---- */
struct command {
    const char *name, *usage, *help;
    int (*run)(struct cli *cli);
    int args_min, args_max;
    uint64_t options; /* WITH(…) */
};
/* The command that the first words name; *words: how many they were. NULL: none. */
const struct command *find_command(char **args, int count, int *words);
/* Do commands begin with this word, as "map get" and "map set" do? */
bool is_group(const char *word);
void print_command_help(const struct command *command);
/* Of all that begin so; false: nothing does. */
bool print_group_help(const char *group);
int command_help(struct cli *cli);
int command_version(struct cli *cli);

#endif
