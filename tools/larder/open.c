/* SPDX-License-Identifier: Apache-2.0 */
/* Opening what URLs name, and the signals that end what is under way on it. */
#include "cli.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* ---- signals ---- */

static volatile sig_atomic_t caught;
static struct larder_loop *loop;

int interrupted(void)
{
    return caught;
}

/*
 * Only calls that are under way hear of a cancel, so it is said again every second until the command has
 * noticed. A signal that comes PATIENCE_MS after the first does not wait for that, and temporary files may stay:
 * so one that comes sooner (a key held down, a terminal that closes) is not a second one.
 */
#define PATIENCE_MS 2000

static void on_signal(int number)
{
    static int64_t first_ms;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_ms = now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
    if (number != SIGALRM && !caught) {
        caught = number;
        first_ms = now_ms;
    } else if (number != SIGALRM && now_ms - first_ms >= PATIENCE_MS) {
        _exit(128 + number);
    }
    larder_loop_cancel(loop);
    alarm(1);
}

static int watch_signals(void)
{
    if (loop)
        return DONE;
    loop = larder_loop_default();
    if (!loop)
        return complain_of("larder", -ENOMEM, "no thread could be had");
    struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART: reads and writes end, too */
    sigfillset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction before;
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) /* which nohup(1) wants */
        sigaction(SIGHUP, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
    return DONE;
}

/* ---- opening ---- */

static bool is_named(const char *text, size_t size, const char *name)
{
    return size == strlen(name) && strncasecmp(text, name, size) == 0;
}

static bool has_cache(const char *url)
{
    for (const char *end; (end = strstr(url, "::")); url = end + 2) {
        size_t size = (size_t)(end - url);
        if (strcspn(url, "/:.") < size)
            return false;
        if (is_named(url, size, "cache"))
            return true;
    }
    return false;
}

/* A path or URL of this machine, which no network is between. */
static bool is_here(const char *url)
{
    const char *leaf = leaf_of(url), *protocol = strstr(leaf, "://");
    size_t size = protocol ? (size_t)(protocol - leaf) : 0;
    return !protocol || strcspn(leaf, "/") < size || is_named(leaf, size, "file") ||
           is_named(leaf, size, "local") || is_named(leaf, size, "memory");
}

static char *chain(struct cli *cli, const char *url, bool cached)
{
    char *text;
    bool has = has_cache(url), adds = !has && (cached || (cli->offline && !is_here(url)));
    cli->cached = cli->cached || has || adds;
    return asprintf(&text, "%s%s", adds ? "cache::" : "", url) < 0 ? NULL : text;
}

/* What lacks then is not the file that was asked for: no MISSING. */
static int open_failed(const char *url, int status)
{
    complain(url, status);
    return status == -EINVAL || status == -ENOTSUP ? USAGE : FAILED;
}

int cli_open_local(struct cli *cli, const char *path, struct larder_fs **fs, char **full)
{
    int code = watch_signals();
    if (code != DONE)
        return code;
    char *text;
    bool odd = *path != '/' && strchr(path, ':');
    int rc = asprintf(&text, "%s%s", odd ? "./" : "", path) < 0 ? -ENOMEM : 0;
    if (rc == 0) {
        rc = larder_open(NULL, text, cli->options, fs, full);
        free(text);
    }
    return rc < 0 ? open_failed(path, rc) : DONE;
}

int cli_open(struct cli *cli, const char *url, bool cached, struct larder_fs **fs, char **path)
{
    int code = watch_signals();
    if (code != DONE)
        return code;
    char *text = chain(cli, url, cached);
    int rc = text ? larder_open(NULL, text, cli->options, fs, path) : -ENOMEM;
    free(text);
    return rc < 0 ? open_failed(url, rc) : DONE;
}

void place_close(struct place *place)
{
    for (int i = 0; i < place->count; i++)
        free(place->paths[i]);
    free(place->paths);
    larder_fs_free(place->fs);
}

int place_open(struct cli *cli, char **urls, int count, struct place *out)
{
    struct place place = {.urls = urls, .paths = calloc((size_t)count, sizeof *place.paths)};
    int code = place.paths ? cli_open_whole(cli, urls[0], &place.fs, &place.paths[0])
                           : complain_of(urls[0], -ENOMEM, NULL);
    for (place.count = code == DONE; code == DONE && place.count < count; place.count++) {
        struct larder_fs *fs;
        char *path;
        code = cli_open_whole(cli, urls[place.count], &fs, &path);
        bool same = code == DONE && larder_fs_is_same(fs, place.fs);
        if (code == DONE)
            larder_fs_free(fs);
        if (!same && code == DONE)
            free(path);
        if (!same)
            break;
        place.paths[place.count] = path;
    }
    if (code == DONE)
        *out = place;
    else
        place_close(&place);
    return code;
}

int cli_open_map(struct cli *cli, const char *url, struct larder_map **map)
{
    int code = watch_signals();
    if (code != DONE)
        return code;
    char *text = chain(cli, url, false);
    int rc = text ? larder_get_mapper(NULL, text, cli->options, 0, map) : -ENOMEM;
    free(text);
    return rc < 0 ? open_failed(url, rc) : DONE;
}

int cli_open_cache(struct cli *cli, struct larder_cache **cache)
{
    const char **options = calloc(cli->option_count + 1, sizeof *options);
    size_t count = 0;
    int code = options ? watch_signals() : complain_of("cache", -ENOMEM, NULL);
    if (code == DONE) {
        for (size_t i = 0; i < cli->option_count; i++)
            if (strncmp(cli->options[i], "cache.", 6) == 0)
                options[count++] = cli->options[i] + 6;
        int rc = larder_cache_open(options, cache);
        code = rc < 0 ? open_failed("cache", rc) : DONE;
    }
    free(options);
    return code;
}

void cli_flush_cache(struct cli *cli)
{
    const char *dir = NULL;
    struct larder_cache *cache;
    alarm(0); /* a cancel is over */
    if (!cli->cached || cli->offline)
        return;
    for (size_t i = 0; i < cli->option_count; i++)
        if (strncmp(cli->options[i], "cache.dir=", 10) == 0)
            dir = cli->options[i] + 6;
    const char *const options[] = {dir, NULL};
    larder_log_to(NULL, NULL, LARDER_LOG_WARNING); /* why the cache cannot be used was told before */
    if (larder_cache_open(options, &cache) < 0)
        return;
    int rc = larder_cache_flush(cache);
    if (rc < 0 && rc != -EROFS && cli->verbosity >= 0)
        complain("cache", -EIO);
    larder_cache_free(cache);
}
