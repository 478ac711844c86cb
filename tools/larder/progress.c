/* SPDX-License-Identifier: Apache-2.0 */
/* The progress line. Drawn by the main thread, and hidden by any that has something to say. */
#include "cli.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define DRAW_AFTER_MS 1000
#define DRAW_EVERY_MS 100

static atomic_bool drawn;
static struct {
    bool wanted;
    char *url; /* malloc */
    const char *what;
    int64_t begun_ms, drawn_ms;
    uint64_t files, bytes;
    int64_t total;
} line;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_begin(const struct cli *cli, const char *what)
{
    memset(&line, 0, sizeof line);
    line.wanted = cli->progress && cli->verbosity >= 0 && isatty(STDERR_FILENO);
    line.url = public_url(what);
    const char *shown = line.url ? line.url : "", *slash = strrchr(shown, '/');
    line.what = slash && slash[1] ? slash + 1 : shown;
    line.begun_ms = now_ms();
    line.total = -1;
}

void progress_begin_output(const struct cli *cli, const char *what)
{
    progress_begin(cli, what);
    line.wanted = line.wanted && !isatty(STDOUT_FILENO);
}

static void draw_bar(char *out, size_t size)
{
    char bar[31];
    size_t filled = line.total > 0 ? (size_t)((double)line.bytes / (double)line.total * 30) : 30;
    memset(bar, ' ', 30);
    memset(bar, '=', filled < 30 ? filled : 30);
    bar[30] = 0;
    snprintf(out, size, " %3u%% [%s]", line.total > 0 ? (unsigned)(filled * 100 / 30) : 100, bar);
}

static void draw(int64_t now)
{
    char text[512], bar[64] = "", bytes[SIZE_TEXT_SIZE], rate[SIZE_TEXT_SIZE];
    double seconds = (double)(now - line.begun_ms) / 1000;
    struct winsize window = {0};
    format_size(line.bytes, bytes);
    format_size((uint64_t)((double)line.bytes / seconds), rate);
    if (line.total >= 0)
        draw_bar(bar, sizeof bar);
    if (line.files > 0 && line.bytes > 0)
        snprintf(text, sizeof text, "%.200s%s  %llu files, %s, %s/s", line.what, bar,
                 (unsigned long long)line.files, bytes, rate);
    else if (line.files > 0)
        snprintf(text, sizeof text, "%.200s  %llu files, %.0f/s", line.what, (unsigned long long)line.files,
                 (double)line.files / seconds);
    else
        snprintf(text, sizeof text, "%.200s%s  %s, %s/s", line.what, bar, bytes, rate);
    ioctl(STDERR_FILENO, TIOCGWINSZ, &window);
    int width = window.ws_col > 1 ? window.ws_col - 1 : 79;
    atomic_store(&drawn, true);
    fprintf(stderr, "\r\033[K%.*s", width, text);
    fflush(stderr);
    line.drawn_ms = now;
}

static void update(void)
{
    if (!line.wanted)
        return;
    int64_t now = now_ms();
    if (now - line.begun_ms >= DRAW_AFTER_MS && now - line.drawn_ms >= DRAW_EVERY_MS)
        draw(now);
}

void progress_bytes(uint64_t done, int64_t total)
{
    line.bytes = done;
    line.total = total;
    update();
}

void progress_more(uint64_t bytes)
{
    line.bytes += bytes;
    update();
}

void progress_files(uint64_t files)
{
    line.files = files;
    update();
}

const char *progress_hide(void)
{
    return atomic_exchange(&drawn, false) ? "\r\033[K" : "";
}

void progress_end(void)
{
    fputs(progress_hide(), stderr);
    free(line.url);
    line.url = NULL;
    line.wanted = false;
}
