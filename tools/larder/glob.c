/* SPDX-License-Identifier: Apache-2.0 */
/* glob, and the patterns among the arguments of other commands. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A URL with a pattern in its path. Only those of HTTP and WebDAV are percent-encoded, and have a query behind the path. */
struct pattern {
    const char *url;
    const char *path;  /* behind "PROTOCOL://", of HTTP behind the host, too */
    const char *rest;  /* from the first component with magic on */
    const char *query; /* the path's end */
    bool http;
};

const char *leaf_of(const char *url)
{
    for (const char *colons; (colons = strstr(url, "::")); url = colons + 2)
        if (strcspn(url, "/:.") < (size_t)(colons - url))
            break;
    return url;
}

/* "http://" or "https://", for "http". */
static bool is_url_of(const char *leaf, const char *protocol)
{
    size_t size = strlen(protocol);
    if (strncasecmp(leaf, protocol, size) != 0)
        return false;
    leaf += size + (leaf[size] == 's' || leaf[size] == 'S');
    return strncmp(leaf, "://", 3) == 0;
}

static bool is_encoded(const char *leaf)
{
    return is_url_of(leaf, "http") || is_url_of(leaf, "webdav");
}

/* false: no pattern. */
static bool find_pattern(const char *url, struct pattern *out)
{
    const char *leaf = leaf_of(url), *protocol = strstr(leaf, "://");
    struct pattern pattern = {.url = url, .path = protocol ? protocol + 3 : leaf};
    pattern.http = is_encoded(leaf);
    pattern.query = leaf + (pattern.http ? strcspn(leaf, "?#") : strlen(leaf));
    if (pattern.http)
        pattern.path += strcspn(pattern.path, "/?#");
    const char *magic = pattern.path + strcspn(pattern.path, pattern.http ? "*[" : "*?[");
    if (magic >= pattern.query)
        return false;
    pattern.rest = magic;
    while (pattern.rest > pattern.path && pattern.rest[-1] != '/')
        pattern.rest--;
    *out = pattern;
    return true;
}

/* ---- percent-encoding ---- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 'a' - 'A' : c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The pattern behind the stem, decoded; an encoded * ? [ stands for itself. NULL: wrong (errno: EINVAL). malloc. */
static char *decode_rest(const struct pattern *pattern)
{
    size_t size = (size_t)(pattern->query - pattern->rest);
    char *text = calloc(size + 1, 1), *end = text;
    if (!pattern->http)
        return text ? memcpy(text, pattern->rest, size) : NULL;
    for (const char *at = pattern->rest; text && at < pattern->query; at++) {
        int high = *at == '%' ? hex_digit(at[1]) : 0, low = *at == '%' && high >= 0 ? hex_digit(at[2]) : 0;
        char c = *at == '%' ? (char)(high << 4 | low) : *at;
        if (high < 0 || low < 0 || !c || (*at == '%' && c == '/')) {
            free(text);
            errno = EINVAL;
            return NULL;
        }
        bool literal = *at == '%' && strchr("*?[", c);
        end += sprintf(end, literal ? "[%c]" : "%c", c);
        at += *at == '%' ? 2 : 0;
    }
    return text;
}

/* `name`, found below the stem, as the user would have written it. malloc. */
static char *spell(const struct pattern *pattern, const char *name)
{
    int stem = (int)(pattern->rest - pattern->url);
    if (!*name && pattern->rest - pattern->path > 1)
        stem--; /* the directory itself, without the slash */
    char *text = malloc((size_t)stem + 2 + 3 * strlen(name) + strlen(pattern->query) + 1);
    if (!text)
        return NULL;
    /* The name of a file here must not look like a URL. */
    char *end =
        text + sprintf(text, "%.*s%s", stem, pattern->url, stem == 0 && strchr(name, ':') ? "./" : "");
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~/", c);
        end += sprintf(end, plain || !pattern->http ? "%c" : "%%%02X", c);
    }
    strcpy(end, *text ? pattern->query : "."); /* "**" is the working directory, too */
    return text;
}

/* ---- what matches ---- */

/* Open the directory that the pattern begins at: its path and the whole pattern below `*fs`. */
static int open_stem(struct cli *cli, const struct pattern *pattern, struct larder_fs **fs, char **path,
                     char **whole)
{
    char *url = NULL, *rest = decode_rest(pattern), *escaped = NULL;
    if (!rest)
        return errno == EINVAL ? wrong_usage("%s: a broken percent-encoding", pattern->url)
                               : complain(pattern->url, -ENOMEM);
    bool here = pattern->rest == pattern->path && !strstr(pattern->url, "://");
    int size = asprintf(&url, "%.*s%s%s", (int)(pattern->rest - pattern->url), pattern->url, here ? "." : "",
                        pattern->query);
    int code = size < 0 ? complain(pattern->url, -ENOMEM) : cli_open(cli, url, false, fs, path);
    if (code == DONE) {
        if (larder_glob_escape(*path, &escaped) < 0 ||
            asprintf(whole, "%s%s%s", escaped, **path ? "/" : "", rest) < 0) {
            larder_free(*path);
            larder_fs_free(*fs);
            code = complain(pattern->url, -ENOMEM);
        }
    }
    if (size >= 0)
        free(url);
    free(rest);
    larder_free(escaped);
    return code;
}

typedef int match_fn(struct cli *cli, void *arg, const char *url, const struct larder_info *info);

enum wanted { FILES, ALL, TREES };

static int by_name(const void *key, const void *entry)
{
    const char *name = ((const struct larder_info *)entry)->name;
    int order = strncmp(key, name, strlen(key));
    return order ? order : name[strlen(key)] ? -1 : 0;
}

/* Does it go with a directory that matches, too? `root_size` is that of the path at which the pattern begins. */
static bool is_below_match(const struct larder_entries *entries, const char *name, size_t root_size)
{
    char *above = strdup(name);
    bool below = false;
    for (char *slash; above && !below && (slash = strrchr(above, '/'));) {
        *slash = 0;
        if (strlen(above) < root_size)
            break;
        below = bsearch(above, entries->info, entries->count, sizeof *entries->info, by_name);
    }
    free(above);
    return below;
}

/* Tell `found` of all that matches: 0, or what it returns. Nothing that does is a failure. Of TREES those that are in no
 * other, and not the one at which the pattern begins where that must stay: then its entries are. */
static int each_match(struct cli *cli, const struct pattern *pattern, enum wanted wanted, match_fn *found,
                      void *arg)
{
    struct larder_glob_options options = {sizeof options, cli->maxdepth, wanted == FILES, cli->jobs,
                                          !cli->json};
    struct larder_entries entries = {0};
    struct larder_fs *fs;
    char *path, *whole;
    int code = open_stem(cli, pattern, &fs, &path, &whole);
    if (code != DONE)
        return code;
    int rc = larder_glob(fs, whole, &options, &entries);
    size_t below = *path ? strlen(path) + 1 : 0;
    char *root = spell(pattern, "");
    bool stays = wanted == TREES && root && tree_stays(root, path);
    if (rc == -EINVAL)
        code = wrong_usage("%s", larder_error());
    else if (rc < 0)
        code = complain(pattern->url, rc);
    size_t count = 0;
    for (size_t i = 0; code == DONE && i < entries.count; i++) {
        const char *name = entries.info[i].name;
        if (wanted == TREES &&
            ((stays && strlen(name) <= below) || is_below_match(&entries, name, stays ? below : 0)))
            continue;
        char *url = spell(pattern, strlen(name) > below ? name + below : "");
        count++;
        code = url ? found(cli, arg, url, &entries.info[i]) : complain(pattern->url, -ENOMEM);
        free(url);
    }
    if (code == DONE && count == 0)
        code = complain_of(pattern->url, -ENOENT, "nothing matches");
    larder_entries_free(&entries);
    free(root);
    free(whole);
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

static int print_match(struct cli *cli, void *arg, const char *url, const struct larder_info *info)
{
    int rc = cli->json ? out_json(json_entry(url, info)) : out_name(cli, url, "");
    return rc < 0 ? FAILED : DONE;
}

/* Without a pattern it is a path: itself, if it exists. */
static int print_existing(struct cli *cli, const char *url)
{
    struct larder_info info;
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    int rc = larder_info(fs, path, &info);
    code = rc < 0 ? complain(url, rc) : print_match(cli, NULL, url, &info);
    if (rc == 0)
        larder_info_free(&info);
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

int command_glob(struct cli *cli)
{
    struct pattern pattern;
    if (!find_pattern(cli->args[0], &pattern))
        return print_existing(cli, cli->args[0]);
    return each_match(cli, &pattern, ALL, print_match, NULL);
}

/* ---- expanding ---- */

static int keep(struct cli *cli, void *arg, const char *url, const struct larder_info *info)
{
    struct url_list *list = arg;
    char **larger = reallocarray(list->urls, (size_t)list->count + 1, sizeof *larger), *copy = strdup(url);
    if (larger)
        list->urls = larger;
    if (!larger || !copy) {
        free(copy);
        return complain(url, -ENOMEM);
    }
    list->urls[list->count++] = copy;
    return DONE;
}

void url_list_free(struct url_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->urls[i]);
    free(list->urls);
    *list = (struct url_list){0};
}

/* Add `url`, or what it matches if it is a pattern, names nothing and no --literal was given. */
static int expand_url(struct cli *cli, const char *url, struct url_list *list)
{
    struct pattern pattern;
    struct larder_fs *fs;
    char *path;
    if (cli->literal || !find_pattern(url, &pattern))
        return keep(cli, list, url, NULL);
    int code = cli_open(cli, url, false, &fs, &path);
    if (code != DONE)
        return code;
    int exists = larder_exists(fs, path);
    larder_free(path);
    larder_fs_free(fs);
    if (exists < 0)
        return complain(url, exists);
    if (exists)
        return keep(cli, list, url, NULL);
    return each_match(cli, &pattern, cli->recursive ? TREES : FILES, keep, list);
}

int expand_args(struct cli *cli, struct url_list *list, struct outcome *outcome)
{
    int code = DONE;
    for (int i = 0; code == DONE && i < cli->arg_count; i++) {
        code = expand_url(cli, cli->args[i], list);
        if (code == MISSING) {
            outcome_add(outcome, code);
            code = DONE;
        }
    }
    return code;
}

/* Is there a slash behind the path? */
static bool ends_with_slash(const char *url)
{
    const char *leaf = leaf_of(url);
    size_t size = is_encoded(leaf) ? strcspn(leaf, "?#") : strlen(leaf);
    return size > 0 && leaf[size - 1] == '/';
}

int cli_open_whole(struct cli *cli, const char *url, struct larder_fs **fs, char **path)
{
    char *opened;
    int code = cli_open(cli, url, false, fs, &opened);
    if (code != DONE)
        return code;
    int size = asprintf(path, "%s%s", opened, *opened && ends_with_slash(url) ? "/" : "");
    larder_free(opened);
    if (size >= 0)
        return DONE;
    larder_fs_free(*fs);
    *fs = NULL;
    return complain(url, -ENOMEM);
}

int open_source(struct cli *cli, const char *url, struct larder_fs **fs, char **path, bool *is_pattern)
{
    struct pattern pattern;
    char *opened;
    *is_pattern = !cli->literal && find_pattern(url, &pattern);
    int code = cli_open_whole(cli, url, fs, path);
    if (code != DONE || !*is_pattern)
        return code;
    int exists = larder_exists(*fs, *path);
    *is_pattern = exists == 0;
    if (exists > 0)
        return DONE;
    free(*path);
    larder_fs_free(*fs);
    if (exists < 0)
        return complain(url, exists);
    code = open_stem(cli, &pattern, fs, &opened, path);
    if (code == DONE)
        larder_free(opened);
    return code;
}
