/* SPDX-License-Identifier: Apache-2.0 */
/* What the command writes: data on stdout, words on stderr. */
#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* ---- stdout ---- */

static char buffer[65536];
static size_t buffered;
static int out_status; /* the first failure */

int write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t count = write(fd, data, size);
        if (count < 0 && errno == EAGAIN) /* somebody else made it non-blocking */
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (count < 0 && (errno != EINTR || interrupted()))
            return errno == EINTR ? -ECANCELED : -errno;
        if (count > 0) {
            data += count;
            size -= (size_t)count;
        }
        if (interrupted())
            return -ECANCELED;
    }
    return 0;
}

int out_flush(void)
{
    if (out_status == 0)
        out_status = write_all(STDOUT_FILENO, buffer, buffered);
    buffered = 0;
    return out_status;
}

int out_bytes(const void *data, size_t size)
{
    if (size > sizeof buffer - buffered)
        out_flush();
    if (size >= sizeof buffer && out_status == 0)
        out_status = write_all(STDOUT_FILENO, data, size);
    else if (size < sizeof buffer && size > 0)
        memcpy(buffer + buffered, data, size), buffered += size;
    return out_status;
}

int out_text(const char *text)
{
    return out_bytes(text, strlen(text));
}

int out_format(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        return out_status = out_status ? out_status : -ENOMEM;
    out_bytes(text, (size_t)size);
    free(text);
    return out_status;
}

/* A server's names do not get to speak to the terminal; U+0080 to U+009F are control characters, too. */
static void defuse(char *text)
{
    for (; *text; text++) {
        unsigned char first = (unsigned char)text[0], second = (unsigned char)text[1];
        if (first < ' ' || first == 127)
            *text = '?';
        else if (first == 0xc2 && second >= 0x80 && second <= 0x9f)
            memset(text, '?', 2);
    }
}

int out_name(const struct cli *cli, const char *name, const char *suffix)
{
    char *shown = NULL;
    if (!cli->zero && isatty(STDOUT_FILENO) && (shown = strdup(name)))
        defuse(shown);
    out_text(shown ? shown : name);
    free(shown);
    out_text(suffix);
    return out_bytes(cli->zero ? "" : "\n", 1);
}

int out_json(json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (!text)
        return out_status = out_status ? out_status : -ENOMEM;
    out_text(text);
    free(text);
    return out_text("\n");
}

int out_finish(int code)
{
    out_flush();
    if (out_status == 0 && close(STDOUT_FILENO) < 0) /* a network file system tells of a full disk here */
        out_status = -errno;
    if (out_status == 0)
        return code;
    int failed = complain_of("stdout", out_status, strerror(-out_status));
    return code == DONE ? failed : code;
}

/* ---- stderr ---- */

static int code_of(int status)
{
    if (status >= 0)
        return DONE;
    return status == -ENOENT ? MISSING : status == -ENONET ? OFFLINE : FAILED;
}

/* Of these "?" is a character of names. */
static bool has_query(const char *protocol, size_t size)
{
    static const char *const literal[] = {"file", "local", "memory"};
    for (size_t i = 0; i < sizeof literal / sizeof literal[0]; i++)
        if (size == strlen(literal[i]) && strncasecmp(protocol, literal[i], size) == 0)
            return false;
    return true;
}

char *public_url(const char *url)
{
    const char *colon = strstr(url, "://"), *protocol = colon;
    if (!colon)
        return strdup(url);
    while (protocol > url && protocol[-1] != ':')
        protocol--;
    const char *authority = colon + strlen("://"), *path = authority + strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', (size_t)(path - authority)), *host = at ? at + 1 : authority;
    const char *query = has_query(protocol, (size_t)(colon - protocol)) ? strchr(path, '?') : NULL;
    int before = (int)(authority - url), shown = (int)(query ? (size_t)(query - host) : strlen(host));
    char *text;
    return asprintf(&text, "%.*s%.*s%s", before, url, shown, host, query ? "?…" : "") < 0 ? NULL : text;
}

void say(const char *text)
{
    char *shown = strdup(text);
    if (!shown)
        return;
    defuse(shown);
    fprintf(stderr, "%slarder: %s\n", progress_hide(), shown);
    free(shown);
}

/* WHY without the path that it begins with, where that is how WHAT ends. */
static const char *without_path(const char *shown, const char *why)
{
    const char *colon = strstr(why, ": ");
    size_t path = colon ? (size_t)(colon - why) : 0, size = strlen(shown);
    bool named = path > 0 && path < size && shown[size - path - 1] == '/' &&
                 memcmp(shown + size - path, why, path) == 0;
    return named ? colon + strlen(": ") : why;
}

/* Once, where WHY begins with WHAT already. */
static void say_why(const char *what, const char *why)
{
    char *shown = public_url(what), *text = NULL;
    size_t size = shown ? strlen(shown) : 0;
    bool told = size == 0 || (strncmp(why, shown, size) == 0 && strncmp(why + size, ": ", 2) == 0);
    if (asprintf(&text, "%s%s%s", told ? "" : shown, told ? "" : ": ",
                 told ? why : without_path(shown, why)) >= 0) {
        say(text);
        free(text);
    }
    free(shown);
}

int complain_of(const char *what, int status, const char *why)
{
    bool silent =
        (status == -ECANCELED && interrupted()) || (status == -EPIPE && strcmp(what, "stdout") == 0);
    if (!silent)
        say_why(what, why && *why ? why : strerror(-status));
    return code_of(status);
}

int complain(const char *what, int status)
{
    return complain_of(what, status, larder_error());
}

int wrong_usage(const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) >= 0) {
        say(text);
        free(text);
    }
    va_end(arguments);
    return USAGE;
}

void outcome_add(struct outcome *outcome, int code)
{
    outcome->done += code == DONE;
    if (code == DONE)
        return;
    if (outcome->failed++ == 0)
        outcome->code = code;
    else if (outcome->code != code)
        outcome->differs = true;
}

int outcome_code(const struct outcome *outcome)
{
    if (outcome->failed == 0)
        return DONE;
    return outcome->done > 0 || outcome->differs ? PARTLY : outcome->code;
}

/* ---- values in words ---- */

/* The size of the UTF-8 sequence at `text`, 0 where there is none (RFC 3629: no surrogates, nothing
 * overlong). */
static size_t sequence(const unsigned char *text)
{
    if (text[0] < 0x80)
        return 1;
    size_t size = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xf0 && text[1] < 0x90);
    bool beyond = (text[0] == 0xed && text[1] > 0x9f) || (text[0] == 0xf4 && text[1] > 0x8f);
    return overlong || beyond ? 0 : size;
}

json_t *json_name(const char *name)
{
    json_t *text = json_string(name);
    if (text)
        return text;
    char *clean = malloc(3 * strlen(name) + 1), *end = clean;
    if (!clean)
        return NULL;
    for (const unsigned char *at = (const unsigned char *)name; *at;) {
        size_t size = sequence(at);
        end = size > 0 ? mempcpy(end, at, size) : mempcpy(end, "\xef\xbf\xbd", 3);
        at += size > 0 ? size : 1;
    }
    text = json_stringn(clean, (size_t)(end - clean));
    free(clean);
    return text;
}

const char *type_name(enum larder_type type)
{
    return type == LARDER_FILE ? "file" : type == LARDER_DIRECTORY ? "directory" : "other";
}

json_t *json_entry(const char *name, const struct larder_info *info)
{
    json_t *object = json_object();
    char time[TIME_TEXT_SIZE];
    json_object_set_new(object, "name", json_name(name));
    json_object_set_new(object, "type", json_string(type_name(info->type)));
    if (info->size != LARDER_SIZE_UNKNOWN)
        json_object_set_new(object, "size", json_integer(info->size));
    if (info->mtime_ns != 0) {
        format_time(info->mtime_ns, true, time);
        json_object_set_new(object, "mtime", json_string(time));
    }
    if (info->version)
        json_object_set_new(object, "etag", json_name(info->version));
    return object;
}

void format_time(int64_t time_ns, bool exact, char out[TIME_TEXT_SIZE])
{
    int64_t ns = time_ns % 1000000000;
    time_t seconds = (time_t)(time_ns / 1000000000);
    struct tm tm;
    if (ns < 0) {
        ns += 1000000000;
        seconds--;
    }
    gmtime_r(&seconds, &tm);
    size_t size = strftime(out, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    if (exact && ns > 0) {
        size += (size_t)snprintf(out + size, TIME_TEXT_SIZE - size, ".%09d", (int)ns);
        while (out[size - 1] == '0')
            size--;
    }
    strcpy(out + size, "Z");
}

void format_size(uint64_t bytes, char out[SIZE_TEXT_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        snprintf(out, SIZE_TEXT_SIZE, "%u B", (unsigned)bytes);
        return;
    }
    double size = (double)bytes / 1024;
    size_t unit = 0;
    for (; size >= 1023.95; unit++)
        size /= 1024;
    snprintf(out, SIZE_TEXT_SIZE, "%.1f %s", size, units[unit]);
}
