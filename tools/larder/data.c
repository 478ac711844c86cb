/* SPDX-License-Identifier: Apache-2.0 */
/* cat, pipe, get: bytes. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_SIZE (256 << 10)

/* ---- cat ---- */

/* A number at *text, and move behind it. */
static bool parse_bound(const char **text, int64_t *out)
{
    char *end;
    if (strspn(*text + (**text == '-'), "0123456789") == 0)
        return false;
    errno = 0;
    long long value = strtoll(*text, &end, 10);
    if (errno != 0)
        return false;
    *text = end;
    *out = value;
    return true;
}

/* A-B, each of them optional and signed: the first number counts as A only where a "-" is behind it. */
static bool parse_range(const char *text, struct larder_range *out)
{
    const char *at = text;
    struct larder_range range = {0, LARDER_TO_END};
    if (!parse_bound(&at, &range.start) || *at != '-') {
        range.start = 0;
        at = text;
    }
    if (*at++ != '-')
        return false;
    if (*at && !parse_bound(&at, &range.end))
        return false;
    *out = range;
    return !*at;
}

static int cat_place(struct cli *cli, const struct place *place, const struct larder_range *range,
                     struct outcome *outcome)
{
    struct values values = {.cli = cli,
                            .fs = place->fs,
                            .range = range,
                            .names = (const char *const *)place->paths,
                            .labels = (const char *const *)place->urls,
                            .count = (size_t)place->count};
    return values_write(&values, outcome) < 0 ? FAILED : DONE;
}

int command_cat(struct cli *cli)
{
    struct larder_range range;
    struct outcome outcome = {0};
    if (cli->range && !parse_range(cli->range, &range))
        return wrong_usage("cat: \"%s\" is not a range such as 0-100, 5-, -100- or -100--20", cli->range);
    struct url_list list = {0};
    int code = expand_args(cli, &list, &outcome);
    progress_begin_output(cli, "cat");
    for (int i = 0; code == DONE && i < list.count;) {
        struct place place;
        code = place_open(cli, list.urls + i, list.count - i, &place);
        if (code == DONE) {
            code = cat_place(cli, &place, cli->range ? &range : NULL, &outcome);
            i += place.count;
            place_close(&place);
        }
    }
    progress_end();
    url_list_free(&list);
    return code == DONE ? outcome_code(&outcome) : code;
}

/* ---- pipe ---- */

/* All of stdin. An exit code; what is stopped, or cannot be read, is no end, whatever it looks like. */
static int pour_stdin(const char *url, struct larder_file *file)
{
    static char buffer[PIECE_SIZE];
    for (ssize_t got = 1; got != 0;) {
        got = read(STDIN_FILENO, buffer, sizeof buffer);
        if (interrupted() || (got < 0 && errno != EINTR)) {
            int error = interrupted() ? ECANCELED : errno;
            return complain_of("stdin", -error, strerror(error));
        }
        int rc = got > 0 ? larder_file_write(file, buffer, (size_t)got) : 0;
        if (rc < 0)
            return complain(url, rc);
        progress_more(got > 0 ? (uint64_t)got : 0);
    }
    return DONE;
}

static int pipe_into(const char *url, struct larder_fs *fs, const char *path, const char *mode)
{
    struct larder_file *file;
    int rc = larder_file_open(fs, path, mode, NULL, &file);
    if (rc < 0)
        return complain(url, rc);
    int code = pour_stdin(url, file);
    if (code != DONE) {
        larder_file_discard(file);
        return code;
    }
    rc = larder_file_close(file);
    return rc < 0 ? complain(url, rc) : DONE;
}

int command_pipe(struct cli *cli)
{
    const char *url = cli->args[0];
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    if (!isatty(STDIN_FILENO))
        progress_begin(cli, url);
    code = pipe_into(url, fs, path, cli->create ? "x" : "w");
    progress_end();
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

/* ---- get ---- */

struct pour {
    int fd, status;
};

static int pour_piece(void *arg, const void *data, size_t size)
{
    struct pour *pour = arg;
    pour->status = write_all(pour->fd, data, size);
    progress_more(size);
    return pour->status;
}

static int get_into(const char *url, struct larder_fs *fs, const char *path, const char *local)
{
    struct pour pour = {.fd = open(local, O_WRONLY | O_CLOEXEC)};
    if (pour.fd < 0)
        return complain_of(local, interrupted() ? -ECANCELED : -EIO, strerror(errno));
    int64_t rc = larder_cat_to(fs, path, NULL, pour_piece, &pour);
    if (close(pour.fd) < 0 && pour.status == 0)
        pour.status = -errno;
    progress_end();
    if (pour.status < 0)
        return complain_of(local, pour.status, strerror(-pour.status));
    return rc < 0 ? complain(url, (int)rc) : DONE;
}

/* Into what cannot be replaced, since it is no file: a device, a pipe with a name. */
static int get_to_device(struct cli *cli, const char *url, const char *local)
{
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    progress_begin(cli, url);
    code = get_into(url, fs, path, local);
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

int command_get(struct cli *cli)
{
    const char *target = cli->args[cli->arg_count - 1];
    struct stat st;
    if (strcmp(target, "-") == 0) {
        cli->arg_count--;
        return command_cat(cli);
    }
    if (cli->arg_count == 2 && stat(target, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return get_to_device(cli, cli->args[0], target);
    return copy_to_local(cli);
}
