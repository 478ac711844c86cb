/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: options, the table of commands, and what runs them. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- options ---- */

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
    OPTION_COUNT
};
#define WITH(id) (1u << (id))

struct option_spec {
    char letter;                        /* 0: none */
    const char *name, *argument, *help; /* NULL: none */
};
static const struct option_spec specs[OPTION_COUNT] = {
    [OPTION] = {'o', "option", "KEY=VALUE", "an option of the filesystem, such as http.timeout=5"},
    [CACHE] = {0, "cache", "DIR",
               "the cache directory (else $LARDER_CACHE_DIR, $XDG_CACHE_HOME/larder, ~/.cache/larder)"},
    [OFFLINE_ONLY] = {0, "offline", NULL, "never touch the network: what is cached answers"},
    [JOBS] = {'j', "jobs", "N", "requests in flight at once"},
    [JSON] = {0, "json", NULL, "one JSON object a line instead of text"},
    [QUIET] = {'q', "quiet", NULL, "no warnings, no progress"},
    [VERBOSE] = {'v', "verbose", NULL, "a line for each request; twice: decisions too"},
    [NO_PROGRESS] = {0, "no-progress", NULL, "no progress bar"},
    [HELP] = {'h', "help", NULL, "this text, or a command's"},
    [VERSION] = {0, "version", NULL, "the version"},
    [DETAILS] = {'l', NULL, NULL, "size and time in front of each name"},
    [ZERO] = {'0', "null", NULL, "names end with NUL instead of a newline"},
    [MAXDEPTH] = {0, "maxdepth", "N", "not deeper than N levels"},
    [DIRS] = {0, "dirs", NULL, "directories too"},
    [RANGE] = {0, "range", "A-B", "only the bytes from A up to but not with B: 0-100, 5-, -100-, -100--20"},
    [LITERAL] = {0, "literal", NULL, "nothing in a name is a pattern"},
    [CREATE] = {0, "create", NULL, "fail if it exists"},
    [BYTES] = {'c', "bytes", "N", "so many bytes [1024]"},
    [ALL] = {'a', "all", NULL, "each file by itself"},
    [RECURSIVE] = {'r', "recursive", NULL, "directories, with all below them"},
    [PARENTS] = {'p', "parents", NULL, "with its parents; it may be there already"},
};

/* ---- commands ---- */

static int command_help(struct cli *cli);
static int command_version(struct cli *cli);

struct command {
    const char *name, *usage, *help;
    int (*run)(struct cli *cli);
    int args_min, args_max;
    unsigned options; /* WITH(…) */
};
static const struct command commands[] = {
    {"ls", "[-l] [-0] URL", "the entries of a directory", command_ls, 1, 1, WITH(DETAILS) | WITH(ZERO)},
    {"find", "[--maxdepth N] [--dirs] [-0] URL", "every file below", command_find, 1, 1,
     WITH(MAXDEPTH) | WITH(DIRS) | WITH(ZERO)},
    {"glob", "[--maxdepth N] [-0] PATTERN-URL", "what a pattern of * ? [set] ** matches", command_glob, 1, 1,
     WITH(MAXDEPTH) | WITH(ZERO)},
    {"stat", "URL", "what is known of one entry", command_stat, 1, 1, 0},
    {"exists", "URL", "exit 0 if it is there, 3 if not", command_exists, 1, 1, 0},
    {"du", "[-a] [-0] URL", "how many bytes are below", command_du, 1, 1, WITH(ALL) | WITH(ZERO)},
    {"cat", "[--range A-B] [--literal] URL...", "files to stdout, in this order", command_cat, 1, INT_MAX,
     WITH(RANGE) | WITH(LITERAL)},
    {"head", "[-c N] [--literal] URL...", "the first bytes of files", command_head, 1, INT_MAX,
     WITH(BYTES) | WITH(LITERAL)},
    {"tail", "[-c N] [--literal] URL...", "the last bytes of files", command_tail, 1, INT_MAX,
     WITH(BYTES) | WITH(LITERAL)},
    {"pipe", "[--create] URL", "stdin becomes the file", command_pipe, 1, 1, WITH(CREATE)},
    {"get", "[--literal] URL FILE|DIRECTORY|-", "a file to a local one", command_get, 2, 2, WITH(LITERAL)},
    {"rm", "[-r] [--literal] URL...", "remove files, or directories", command_rm, 1, INT_MAX,
     WITH(RECURSIVE) | WITH(LITERAL)},
    {"mkdir", "[-p] URL...", "make directories", command_mkdir, 1, INT_MAX, WITH(PARENTS)},
    {"rmdir", "URL...", "remove empty directories", command_rmdir, 1, INT_MAX, 0},
    {"map keys", "[-0] [PREFIX] URL", "the keys of a directory, or those below PREFIX", command_map_keys, 1,
     2, WITH(ZERO)},
    {"map get", "[-0] URL KEY...|-", "the values of keys, in this order (-: keys from stdin)",
     command_map_get, 2, INT_MAX, WITH(ZERO)},
    {"map set", "[--create] URL KEY", "stdin becomes the value", command_map_set, 2, 2, WITH(CREATE)},
    {"map del", "URL KEY...", "delete keys", command_map_del, 2, INT_MAX, 0},
    {"mirror", "URL", "a whole tree into the cache, for --offline", command_mirror, 1, 1, 0},
    {"cache stat", "", "what the cache holds", command_cache_stat, 0, 0, 0},
    {"cache clear", "[URL]", "forget what is cached, of URL or all", command_cache_clear, 0, 1, 0},
    {"help", "[COMMAND|options]", "this text, a command's, or the options for -o", command_help, 0, 2, 0},
    {"version", "", "the version", command_version, 0, 0, 0},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

/* The command that the first words name; *words: how many they were. */
static const struct command *find_command(char **args, int count, int *words)
{
    for (size_t i = 0; count > 0 && i < COMMAND_COUNT; i++) {
        const char *name = commands[i].name, *space = strchr(name, ' ');
        size_t size = space ? (size_t)(space - name) : strlen(name);
        if (strlen(args[0]) != size || memcmp(args[0], name, size) != 0)
            continue;
        if (space && (count < 2 || strcmp(args[1], space + 1) != 0))
            continue;
        *words = space ? 2 : 1;
        return &commands[i];
    }
    return NULL;
}

static void print_option(const struct option_spec *spec)
{
    char text[64];
    snprintf(text, sizeof text, "%c%c%s%s%s%s%s", spec->letter ? '-' : ' ', spec->letter ? spec->letter : ' ',
             spec->letter && spec->name ? ", " : "  ", spec->name ? "--" : "", spec->name ? spec->name : "",
             spec->argument ? " " : "", spec->argument ? spec->argument : "");
    out_format("  %-28s  %s\n", text, spec->help);
}

static void print_command_help(const struct command *command)
{
    out_format("usage: larder %s%s%s\n%s\n", command->name, *command->usage ? " " : "", command->usage,
               command->help);
    if (command->options)
        out_text("\noptions:\n");
    for (int id = GLOBAL_COUNT; id < OPTION_COUNT; id++)
        if (command->options & WITH(id))
            print_option(&specs[id]);
    out_text("\n`larder help` lists the options of all commands.\n");
}

static void print_help(void)
{
    out_text("usage: larder [OPTIONS] COMMAND [ARGUMENTS]\n\n"
             "Files of HTTP servers, disks and memory, and a cache that keeps them at hand. A URL is\n"
             "PROTOCOL://..., a chain such as cache::https://host/tree, or a plain path.\n\ncommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        out_format("  %-12s  %s\n", commands[i].name, commands[i].help);
    out_text("\noptions, before or behind the command:\n");
    for (int id = 0; id < GLOBAL_COUNT; id++)
        print_option(&specs[id]);
    out_text("\nexit: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 offline and not cached, 5 some of many "
             "failed\n"
             "`man larder` says more.\n");
}

static void print_layer_options(void)
{
    struct larder_option option = {.size = sizeof option};
    for (size_t i = 0; larder_option_at(i, &option) == 0; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s.%s", option.layer, option.name);
        out_format("  %-28s  %s%s%s%s\n", name, option.help, option.fallback ? " [" : "",
                   option.fallback ? option.fallback : "", option.fallback ? "]" : "");
    }
}

static bool in_group(const struct command *command, const char *group)
{
    size_t size = strlen(group);
    return strncmp(command->name, group, size) == 0 && command->name[size] == ' ';
}

/* "help map" is all that begins so; false: nothing does. */
static bool print_group_help(const char *group)
{
    bool found = false;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command *command = &commands[i];
        if (!in_group(command, group))
            continue;
        out_format("  larder %s%s%s\n      %s\n", command->name, *command->usage ? " " : "", command->usage,
                   command->help);
        found = true;
    }
    return found;
}

static int command_help(struct cli *cli)
{
    int words = 0;
    if (cli->arg_count == 0) {
        print_help();
        return DONE;
    }
    if (cli->arg_count == 1 && strcmp(cli->args[0], "options") == 0) {
        print_layer_options();
        return DONE;
    }
    const struct command *command = find_command(cli->args, cli->arg_count, &words);
    if (command && words == cli->arg_count) {
        print_command_help(command);
        return DONE;
    }
    if (cli->arg_count == 1 && print_group_help(cli->args[0]))
        return DONE;
    return wrong_usage("help: there is no command \"%s%s%s\"", cli->args[0], cli->arg_count > 1 ? " " : "",
                       cli->arg_count > 1 ? cli->args[1] : "");
}

static int command_version(struct cli *cli)
{
    out_format("larder %s\n", larder_version());
    return DONE;
}

/* ---- parsing ---- */

struct parsed {
    struct cli cli;
    char **words;
    int word_count;
    unsigned given; /* WITH(…) */
};

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

static bool parse_bytes(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno != 0)
        return false;
    *out = value;
    return true;
}

static int add_option(struct cli *cli, const char *text)
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

static void free_options(struct cli *cli)
{
    for (size_t i = 0; i < cli->option_count; i++)
        free((char *)cli->options[i]);
    free(cli->options);
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
    switch (id) {
    case OPTION:
        return strchr(value, '=') ? add_option(cli, value)
                                  : wrong_usage("-o %s: not of the form KEY=VALUE", value);
    case CACHE:
        return *value ? add_option_value(cli, "cache.dir", value) : wrong_usage("--cache: no directory");
    case OFFLINE_ONLY:
        cli->offline = true;
        return DONE;
    case JOBS:
        return parse_count(value, &cli->jobs) ? DONE : wrong_usage("-j %s: not a number above 0", value);
    case MAXDEPTH:
        return parse_count(value, &cli->maxdepth) ? DONE
                                                  : wrong_usage("--maxdepth %s: not a number above 0", value);
    case JSON:
        cli->json = true;
        return DONE;
    case QUIET:
        cli->verbosity = -1;
        return DONE;
    case VERBOSE:
        cli->verbosity = cli->verbosity < 0 ? 1 : cli->verbosity + 1;
        return DONE;
    case NO_PROGRESS:
        cli->progress = false;
        return DONE;
    case DETAILS:
        cli->details = true;
        return DONE;
    case ZERO:
        cli->zero = true;
        return DONE;
    case DIRS:
        cli->dirs = true;
        return DONE;
    case RANGE:
        cli->range = value;
        return DONE;
    case LITERAL:
        cli->literal = true;
        return DONE;
    case CREATE:
        cli->create = true;
        return DONE;
    case BYTES:
        return parse_bytes(value, &cli->bytes) ? DONE : wrong_usage("-c %s: not a count of bytes", value);
    case ALL:
        cli->all = true;
        return DONE;
    case RECURSIVE:
        cli->recursive = true;
        return DONE;
    case PARENTS:
        cli->parents = true;
        return DONE;
    }
    return DONE; /* --help and --version are asked for by `given` */
}

#define LONG_BASE 256
static int option_of(int found)
{
    if (found >= LONG_BASE)
        return found - LONG_BASE;
    int id = 0;
    while (id < OPTION_COUNT && specs[id].letter != found)
        id++;
    return id;
}

static void list_options(struct option *longs, char *shorts)
{
    shorts = stpcpy(shorts, "-:"); /* words come in their place, whatever POSIXLY_CORRECT says */
    for (int id = 0; id < OPTION_COUNT; id++) {
        bool argument = specs[id].argument;
        if (specs[id].name)
            *longs++ = (struct option){specs[id].name, argument ? required_argument : no_argument, NULL,
                                       LONG_BASE + id};
        if (!specs[id].letter)
            continue;
        *shorts++ = specs[id].letter;
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
        return wrong_usage("--%s: it takes no argument", specs[option_of(found)].name);
    return found > 0 ? wrong_usage("-%c: unknown option", found) : wrong_usage("%s: unknown option", text);
}

static int parse(struct parsed *parsed, int argc, char **argv)
{
    struct option longs[OPTION_COUNT + 1];
    char shorts[3 * OPTION_COUNT + 3];
    int found, code = DONE;
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

/* ---- main ---- */

static void log_message(void *arg, enum larder_log_level level, const char *message)
{
    say(message);
}

/* A file that is opened later must not become stdout: a closed one fails to be written, with EBADF. */
static void guard_standard_files(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", fd == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
}

static int no_command(const struct parsed *parsed)
{
    const char *first = parsed->words[0];
    bool group = false;
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        group = group || in_group(&commands[i], first);
    if (!group)
        return wrong_usage("%s: no such command; `larder help` lists them", first);
    if (parsed->given & WITH(HELP))
        return print_group_help(first) ? DONE : FAILED;
    if (parsed->word_count == 1)
        return wrong_usage("%s: which of its commands? `larder help %s` lists them", first, first);
    return wrong_usage("%s %s: no such command; `larder help %s` lists them", first, parsed->words[1], first);
}

static int run(struct parsed *parsed)
{
    struct cli *cli = &parsed->cli;
    int words = 0;
    const struct command *command = find_command(parsed->words, parsed->word_count, &words);
    if (parsed->given & WITH(VERSION))
        return command_version(cli);
    if (parsed->word_count == 0 && (parsed->given & WITH(HELP)))
        return command_help(cli);
    if (parsed->word_count == 0)
        return wrong_usage("no command; `larder help` lists them");
    if (!command)
        return no_command(parsed);
    if (parsed->given & WITH(HELP)) {
        print_command_help(command);
        return DONE;
    }
    for (int id = GLOBAL_COUNT; id < OPTION_COUNT; id++)
        if (parsed->given & WITH(id) & ~command->options)
            return wrong_usage("%s: there is no option %s%s", command->name, specs[id].name ? "--" : "-",
                               specs[id].name ? specs[id].name : (char[]){specs[id].letter, 0});
    cli->args = parsed->words + words;
    cli->arg_count = parsed->word_count - words;
    if (cli->arg_count < command->args_min || cli->arg_count > command->args_max)
        return wrong_usage("usage: larder %s %s", command->name, command->usage);
    if (cli->verbosity >= 0)
        larder_log_to(log_message, NULL,
                      cli->verbosity < 2 ? LARDER_LOG_WARNING + (unsigned)cli->verbosity : LARDER_LOG_DEBUG);
    if (cli->offline && add_option(cli, "cache.mode=offline") != DONE)
        return FAILED;
    int code = command->run(cli);
    cli_flush_cache(cli);
    return code;
}

int main(int argc, char **argv)
{
    struct parsed parsed = {.cli = {.bytes = 1024, .progress = true}};
    guard_standard_files();
    signal(SIGPIPE, SIG_IGN);
    parsed.words = calloc((size_t)argc + 1, sizeof *parsed.words);
    if (!parsed.words)
        return FAILED;
    int code = parse(&parsed, argc, argv);
    if (code == DONE)
        code = run(&parsed);
    code = out_finish(code);
    free(parsed.words);
    free_options(&parsed.cli);
    return interrupted() ? 128 + interrupted() : code;
}
