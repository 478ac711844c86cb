/* SPDX-License-Identifier: Apache-2.0 */
/* What was given on the command line. */
#include "options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FLAG(field) offsetof(struct cli, field)
const struct option_spec option_specs[OPTION_COUNT] = {
    [OPTION] = {'o', "option", "KEY=VALUE", "an option of the filesystem, such as http.timeout=5"},
    [CACHE] = {0, "cache", "DIR",
               "the cache directory (else $LARDER_CACHE_DIR, $XDG_CACHE_HOME/larder, ~/.cache/larder)"},
    [OFFLINE_ONLY] = {0, "offline", NULL, "never touch the network: what is cached answers", FLAG(offline)},
    [JOBS] = {'j', "jobs", "N", "requests in flight at once"},
    [JSON] = {0, "json", NULL, "one JSON object a line instead of text", FLAG(json)},
    [QUIET] = {'q', "quiet", NULL, "no warnings, no progress"},
    [VERBOSE] = {'v', "verbose", NULL, "a line for each request; twice: decisions too"},
    [NO_PROGRESS] = {0, "no-progress", NULL, "no progress bar"},
    [HELP] = {'h', "help", NULL, "this text, or a command's"},
    [VERSION] = {0, "version", NULL, "the version"},
    [DETAILS] = {'l', NULL, NULL, "size and time in front of each name", FLAG(details)},
    [ZERO] = {'0', "null", NULL, "names end with NUL instead of a newline", FLAG(zero)},
    [MAXDEPTH] = {0, "maxdepth", "N", "not deeper than N levels"},
    [DIRS] = {0, "dirs", NULL, "directories too", FLAG(dirs)},
    [RANGE] = {0, "range", "A-B", "only the bytes from A up to but not with B: 0-100, 5-, -100-, -100--20"},
    [LITERAL] = {0, "literal", NULL, "nothing in a name is a pattern", FLAG(literal)},
    [CREATE] = {0, "create", NULL, "fail if it exists", FLAG(create)},
    [BYTES] = {'c', "bytes", "N", "so many bytes [1024]"},
    [ALL] = {'a', "all", NULL, "each file by itself (du); all that is known (stat)", FLAG(all)},
    [RECURSIVE] = {'r', "recursive", NULL, "directories, with all below them", FLAG(recursive)},
    [PARENTS] = {'p', "parents", NULL, "with its parents; it may be there already", FLAG(parents)},
    [INCLUDE] = {0, "include", "PATTERN", "only what matches, or lies in a directory that does; repeatable"},
    [EXCLUDE] = {0, "exclude", "PATTERN",
                 "nothing that matches, or lies in a directory that does; repeatable"},
    [MAX_DEPTH] = {0, "max-depth", "N", "not deeper than N levels"},
    [FROM] = {0, "from", "FILE", "the names in FILE (-: stdin), without looking at listings"},
    [LIMIT_RATE] = {0, "limit-rate", "N", "at most N bytes a second: 500K, 20M"},
    [MAX_SIZE] = {0, "max-size", "N", "down to so many bytes: 500M, 2G"},
    [EXPIRES] = {0, "expires", "SECONDS", "how long it works [3600]"},
    [ABORT] = {0, "abort", NULL, "drop them, also those that are going on", FLAG(abort)},
    [TXN] = {0, "txn", NULL, "all of it appears together, or none", FLAG(txn)},
    [THEIRS] = {0, "theirs", NULL, "where there is a conflict, what is there stays", FLAG(theirs)},
    [OURS] = {0, "ours", NULL, "where there is a conflict, what was to be written replaces it", FLAG(ours)},
    [DRY_RUN] = {0, "dry-run", NULL, "only say what would be done", FLAG(dry_run)},
    [DELETE] = {0, "delete", NULL, "remove what the source does not have", FLAG(remove_extra)},
    [CHECKSUM] = {0, "checksum", NULL, "compare the bytes of files of one size, not their times",
                  FLAG(checksum)},
    [SIZE_ONLY] = {0, "size-only", NULL, "compare nothing but sizes", FLAG(size_only)},
};

/* ---- parsing ---- */

static bool parse_count(const char *text, unsigned *out)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno != 0 || value == 0 || value > INT_MAX)
        return false;
    *out = (unsigned)value;
    return true;
}

/* K, M, G and T are powers of 1024. */
static bool parse_bytes(const char *text, int64_t *out)
{
    static const char units[] = "KMGT";
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    const char *unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    bool whole = !*end || (unit && (!end[1] || strcasecmp(end + 1, "iB") == 0));
    if (*text < '0' || *text > '9' || !whole || errno != 0)
        return false;
    return !__builtin_mul_overflow(value, unit ? 1LL << (10 * (unit - units + 1)) : 1, out);
}

static int add_word(const char ***words, const char *word)
{
    size_t count = 0;
    while (*words && (*words)[count])
        count++;
    const char **larger = reallocarray(*words, count + 2, sizeof *larger);
    if (!larger)
        return complain_of("options", -ENOMEM, NULL);
    larger[count] = word;
    larger[count + 1] = NULL;
    *words = larger;
    return DONE;
}

int add_option(struct cli *cli, const char *text)
{
    const char **larger = reallocarray(cli->options, cli->option_count + 2, sizeof *larger);
    char *copy = strdup(text);
    if (larger)
        cli->options = larger;
    if (!larger || !copy) {
        free(copy);
        return complain_of("options", -ENOMEM, NULL);
    }
    cli->options[cli->option_count++] = copy;
    cli->options[cli->option_count] = NULL;
    return DONE;
}

void parsed_free(struct parsed *parsed)
{
    struct cli *cli = &parsed->cli;
    for (size_t i = 0; i < cli->option_count; i++)
        free((char *)cli->options[i]);
    free(cli->options);
    free(cli->include);
    free(cli->exclude);
    free(parsed->words);
}

static int add_option_value(struct cli *cli, const char *key, const char *value)
{
    char *text;
    if (asprintf(&text, "%s=%s", key, value) < 0)
        return complain_of("options", -ENOMEM, NULL);
    int code = add_option(cli, text);
    free(text);
    return code;
}

static int apply_option(struct parsed *parsed, int id, const char *value)
{
    struct cli *cli = &parsed->cli;
    parsed->given |= WITH(id);
    if (option_specs[id].flag)
        *(bool *)((char *)cli + option_specs[id].flag) = true;
    switch (id) {
    case OPTION:
        return strchr(value, '=') ? add_option(cli, value)
                                  : wrong_usage("-o %s: not of the form KEY=VALUE", value);
    case CACHE:
        return *value ? add_option_value(cli, "cache.dir", value) : wrong_usage("--cache: no directory");
    case JOBS:
        return parse_count(value, &cli->jobs) ? DONE : wrong_usage("-j %s: not a number above 0", value);
    case MAXDEPTH:
    case MAX_DEPTH:
        return parse_count(value, &cli->maxdepth)
                   ? DONE
                   : wrong_usage("--%s %s: not a number above 0", option_specs[id].name, value);
    case EXPIRES:
        return parse_count(value, &cli->expires_s)
                   ? DONE
                   : wrong_usage("--expires %s: not a number of seconds above 0", value);
    case QUIET:
        cli->verbosity = -1;
        return DONE;
    case VERBOSE:
        cli->verbosity = cli->verbosity < 0 ? 1 : cli->verbosity + 1;
        return DONE;
    case NO_PROGRESS:
        cli->progress = false;
        return DONE;
    case RANGE:
        cli->range = value;
        return DONE;
    case INCLUDE:
        return add_word(&cli->include, value);
    case EXCLUDE:
        return add_word(&cli->exclude, value);
    case FROM:
        cli->from = value;
        return DONE;
    case LIMIT_RATE:
        return parse_bytes(value, &cli->rate) && cli->rate > 0
                   ? DONE
                   : wrong_usage("--limit-rate %s: not a number of bytes above 0", value);
    case MAX_SIZE:
        return parse_bytes(value, &cli->size) ? DONE
                                              : wrong_usage("--max-size %s: not a number of bytes", value);
    case BYTES:
        return parse_bytes(value, &cli->bytes) ? DONE : wrong_usage("-c %s: not a count of bytes", value);
    }
    return DONE; /* --help and --version are asked for by `given` */
}

#define LONG_BASE 256
static int option_of(int found)
{
    if (found >= LONG_BASE)
        return found - LONG_BASE;
    int id = 0;
    while (id < OPTION_COUNT && option_specs[id].letter != found)
        id++;
    return id;
}

static void list_options(struct option *longs, char *shorts)
{
    shorts = stpcpy(shorts, "-:"); /* words come in their place, whatever POSIXLY_CORRECT says */
    for (int id = 0; id < OPTION_COUNT; id++) {
        bool argument = option_specs[id].argument;
        if (option_specs[id].name)
            *longs++ = (struct option){option_specs[id].name, argument ? required_argument : no_argument,
                                       NULL, LONG_BASE + id};
        if (!option_specs[id].letter)
            continue;
        *shorts++ = option_specs[id].letter;
        if (argument)
            *shorts++ = ':';
    }
    *longs = (struct option){0};
    *shorts = 0;
}

/* What getopt_long did not take: a letter, a long name, or one that was given an argument too many. */
static int wrong_option(int found, const char *text)
{
    if (found >= LONG_BASE)
        return wrong_usage("--%s: it takes no argument", option_specs[option_of(found)].name);
    return found > 0 ? wrong_usage("-%c: unknown option", found) : wrong_usage("%s: unknown option", text);
}

int parse_arguments(struct parsed *parsed, int argc, char **argv)
{
    struct option longs[OPTION_COUNT + 1];
    char shorts[3 * OPTION_COUNT + 3];
    int found, code = DONE;
    parsed->words = calloc((size_t)argc + 1, sizeof *parsed->words);
    if (!parsed->words)
        return complain_of("options", -ENOMEM, NULL);
    list_options(longs, shorts);
    opterr = 0;
    while (code == DONE && (found = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        if (found == 1)
            parsed->words[parsed->word_count++] = optarg;
        else if (found == ':')
            code = wrong_usage("%s: its argument is missing", argv[optind - 1]);
        else if (found == '?')
            code = wrong_option(optopt, argv[optind - 1]);
        else
            code = apply_option(parsed, option_of(found), optarg);
    }
    for (; optind < argc; optind++) /* behind "--" */
        parsed->words[parsed->word_count++] = argv[optind];
    return code;
}
