/* SPDX-License-Identifier: Apache-2.0 */
/* cache why, cache ls: what is known of one path, and of all. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static const char *kind_name(enum larder_cache_kind kind)
{
    static const char *const names[] = {[LARDER_CACHE_NOTHING] = "nothing",
                                        [LARDER_CACHE_FILE] = "file",
                                        [LARDER_CACHE_DIRECTORY] = "directory",
                                        [LARDER_CACHE_LISTING] = "listing",
                                        [LARDER_CACHE_ABSENCE] = "absence"};
    return names[kind];
}

static bool is_partial(const struct larder_cache_entry *entry)
{
    return entry->kind == LARDER_CACHE_FILE && entry->bytes_there != entry->file_size;
}

/* ---- JSON ---- */

static void set_number(json_t *object, const char *name, int64_t number)
{
    json_object_set_new(object, name, json_integer(number));
}

static void set_lifetime(json_t *object, const struct larder_cache_entry *entry)
{
    if (entry->lifetime_ms == INT64_MAX)
        json_object_set_new(object, "lifetime", json_string("forever"));
    else if (entry->lifetime_ms >= 0)
        json_object_set_new(object, "lifetime", json_real((double)entry->lifetime_ms / 1000));
    if (entry->lifetime_by)
        json_object_set_new(object, "lifetime_by", json_string(entry->lifetime_by));
    if (entry->rule)
        json_object_set_new(object, "rule", json_name(entry->rule));
}

/* What is unknown, or makes no sense of this kind, is left out. */
static json_t *json_cached(const struct larder_cache_entry *entry)
{
    json_t *object = json_object();
    char time[TIME_TEXT_SIZE];
    json_object_set_new(object, "url", json_name(entry->url));
    json_object_set_new(object, "kind", json_string(kind_name(entry->kind)));
    json_object_set_new(object, "fresh", json_boolean(entry->fresh));
    json_object_set_new(object, "pinned", json_boolean(entry->pinned));
    set_lifetime(object, entry);
    if (entry->kind == LARDER_CACHE_NOTHING)
        return object;
    format_time(entry->fetched_ns, true, time);
    json_object_set_new(object, "fetched", json_string(time));
    if (entry->kind == LARDER_CACHE_FILE) {
        if (entry->file_size != LARDER_SIZE_UNKNOWN)
            set_number(object, "size", entry->file_size);
        set_number(object, "bytes_there", entry->bytes_there);
        set_number(object, "blocks", (int64_t)entry->blocks);
        set_number(object, "blocks_there", (int64_t)entry->blocks_there);
    }
    set_number(object, "bytes_stored", (int64_t)entry->bytes_stored);
    if (entry->validator) {
        json_object_set_new(object, "validator", json_name(entry->validator));
        json_object_set_new(object, "strong", json_boolean(entry->strong));
    }
    return object;
}

/* ---- why ---- */

#define AGE_TEXT_SIZE 32
/* "12.5 s", "3 d": as much as one wants to know. */
static void format_age(double seconds, char out[AGE_TEXT_SIZE])
{
    static const struct {
        double seconds;
        const char *name;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds)
        i++;
    snprintf(out, AGE_TEXT_SIZE, "%.4g %s", seconds / units[i].seconds, units[i].name);
}

static void out_fetched(const struct larder_cache_entry *entry)
{
    char time[TIME_TEXT_SIZE], age[AGE_TEXT_SIZE];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    format_time(entry->fetched_ns, false, time);
    format_age((double)(now.tv_sec - entry->fetched_ns / 1000000000), age);
    out_format("fetched     %s, %s ago\n", time, age);
}

static void out_lifetime(const struct larder_cache_entry *entry)
{
    char text[AGE_TEXT_SIZE] = "forever";
    if (entry->lifetime_ms >= 0 && entry->lifetime_ms != INT64_MAX)
        format_age((double)entry->lifetime_ms / 1000, text);
    out_format("fresh       %s\n", entry->fresh ? "yes" : "no");
    if (!entry->lifetime_by)
        out_text("lifetime    nobody says: the server is asked at each read\n");
    else if (entry->rule)
        out_format("lifetime    %s, by cache.ttl_rules: %s\n", text, entry->rule);
    else
        out_format("lifetime    %s, by %s\n", text, entry->lifetime_by);
}

static void out_bytes_there(const struct larder_cache_entry *entry)
{
    if (entry->file_size != LARDER_SIZE_UNKNOWN)
        out_format("size        %lld\n", (long long)entry->file_size);
    if (!is_partial(entry))
        out_text("there       all of it");
    else
        out_format("there       %lld bytes", (long long)entry->bytes_there);
    if (entry->blocks > 0)
        out_format(", %llu of %llu blocks", (unsigned long long)entry->blocks_there,
                   (unsigned long long)entry->blocks);
    out_text("\n");
}

static void out_entry(const struct larder_cache_entry *entry)
{
    out_format("url         %s\nkind        %s\n", entry->url, kind_name(entry->kind));
    out_lifetime(entry);
    if (entry->kind != LARDER_CACHE_NOTHING) {
        out_fetched(entry);
        if (entry->validator)
            out_format("validator   %s, %s\n", entry->validator, entry->strong ? "strong" : "weak");
    }
    if (entry->kind == LARDER_CACHE_FILE)
        out_bytes_there(entry);
    if (entry->kind != LARDER_CACHE_NOTHING)
        out_format("takes       %llu bytes\n", (unsigned long long)entry->bytes_stored);
    out_format("pinned      %s\n", entry->pinned ? "yes" : "no");
}

/* What the cache knows nothing of is missing, and told of all the same. */
int command_cache_why(struct cli *cli)
{
    struct larder_cache_entry entry = {.size = sizeof entry};
    struct larder_fs *fs;
    char *path;
    int code = cli_open(cli, cli->args[0], true, &fs, &path);
    if (code != DONE)
        return code;
    int rc = larder_cache_why(fs, path, &entry);
    if (rc < 0)
        code = complain(cli->args[0], rc);
    else if (cli->json)
        out_json(json_cached(&entry));
    else
        out_entry(&entry);
    if (rc == 0 && entry.kind == LARDER_CACHE_NOTHING)
        code = complain_of(cli->args[0], -ENOENT, "not in the cache");
    larder_cache_entry_free(&entry);
    larder_free(path);
    larder_fs_free(fs);
    return code;
}

/* ---- ls ---- */

static int out_line(void *arg, const struct larder_cache_entry *entry)
{
    const struct cli *cli = arg;
    char size[32] = "-";
    if (interrupted())
        return -ECANCELED;
    if (cli->json)
        return out_json(json_cached(entry));
    if (entry->kind == LARDER_CACHE_FILE && entry->file_size != LARDER_SIZE_UNKNOWN)
        snprintf(size, sizeof size, "%lld", (long long)entry->file_size);
    out_format("%12s  %-9s  %-5s  %-6s  %-7s  ", size, kind_name(entry->kind),
               entry->fresh ? "fresh" : "stale", entry->pinned ? "pinned" : "-",
               is_partial(entry) ? "partial" : "-");
    return out_name(cli, entry->url, "");
}

int command_cache_ls(struct cli *cli)
{
    struct larder_cache *cache;
    struct larder_fs *fs = NULL;
    char *path = NULL;
    int code = cli->arg_count ? cli_open(cli, cli->args[0], false, &fs, &path) : DONE;
    if (code != DONE)
        return code;
    code = cli_open_cache(cli, &cache);
    if (code == DONE) {
        int rc = larder_cache_list(cache, fs, path ? path : "", out_line, cli);
        if (rc < 0 && out_bytes(NULL, 0) == 0)
            code = complain("cache", rc);
        larder_cache_free(cache);
    }
    larder_free(path);
    larder_fs_free(fs);
    return code;
}
