/* SPDX-License-Identifier: Apache-2.0 */
/* From the command line to the command that it names. */
#include "options.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

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
    if (!is_group(first))
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
            return wrong_usage("%s: there is no option %s%s", command->name,
                               option_specs[id].name ? "--" : "-",
                               option_specs[id].name ? option_specs[id].name
                                                     : (char[]){option_specs[id].letter, 0});
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
    struct parsed parsed = {.cli = {.bytes = 1024, .size = -1, .progress = true}};
    guard_standard_files();
    signal(SIGPIPE, SIG_IGN);
    int code = parse_arguments(&parsed, argc, argv);
    if (code == DONE)
        code = run(&parsed);
    code = out_finish(code);
    parsed_free(&parsed);
    return interrupted() ? 128 + interrupted() : code;
}
