/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_place.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

struct fake_place fake = {.cut_at = -1};
static unsigned versions; /* no two contents share one */

/* ---- what is there ---- */

static char byte_at(unsigned seed, size_t at)
{
    uint64_t mixed = ((uint64_t)seed << 40) + at / 3;
    mixed = (mixed ^ mixed >> 29) * 0xbf58476d1ce4e5b9U;
    return (char)(mixed >> 56 ^ at);
}

bool fake_is(const void *data, size_t size, unsigned seed, size_t start)
{
    const char *bytes = data;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_at(seed, start + i))
            return false;
    return true;
}

void fake_reset(void)
{
    for (unsigned i = 0; i < fake.count; i++)
        free(fake.files[i].data);
    memset(&fake, 0, sizeof fake);
    fake.cut_at = -1;
}

/* Through the link, as often as it is in the path. */
static const char *follow(const char *path, char out[256])
{
    snprintf(out, 256, "%s", path);
    while (*fake.link && path_within(fake.link, out)) {
        char rest[256];
        snprintf(rest, sizeof rest, "%s", path_below(fake.link, out));
        int size = snprintf(out, 256, "%s%s%s", fake.target, *fake.target && *rest ? "/" : "", rest);
        assert(size < 256);
    }
    return out;
}

static struct fake_file *find(const char *path)
{
    for (unsigned i = 0; i < fake.count; i++)
        if (strcmp(fake.files[i].path, path) == 0)
            return &fake.files[i];
    return NULL;
}

struct fake_file *fake_put(const char *path, size_t size, unsigned seed)
{
    struct fake_file *file = find(path);
    if (!file) {
        assert(fake.count < sizeof fake.files / sizeof fake.files[0] && strlen(path) < sizeof file->path);
        file = &fake.files[fake.count++];
        *file = (struct fake_file){.fresh_ms = -1, .stale_if_error_ms = -1};
        snprintf(file->path, sizeof file->path, "%s", path);
    }
    file->data = realloc(file->data, size + 1);
    assert(file->data);
    for (size_t i = 0; i < size; i++)
        file->data[i] = byte_at(seed, i);
    file->size = size;
    file->version = ++versions;
    return file;
}

void fake_remove(const char *path)
{
    struct fake_file *file = find(path);
    assert(file);
    free(file->data);
    *file = fake.files[--fake.count];
}

unsigned fake_asked(void)
{
    return fake.reads + fake.infos + fake.lists;
}

static bool is_directory(const char *path)
{
    for (unsigned i = 0; i < fake.count; i++)
        if (strcmp(fake.files[i].path, path) != 0 && path_within(path, fake.files[i].path))
            return true;
    return false;
}

/* ---- asking ---- */

static int CO_FN begin(const char *path)
{
    int rc = 0, status = fake.fail;
    while (rc == 0 && fake.hold)
        rc = task_sleep(1);
    return rc < 0 ? rc : status < 0 ? fail(status, "fake: %s: refused", path) : 0;
}

struct said {
    struct answer answer;
    char version[16];
};

static void say(const struct fake_file *file, struct said *said)
{
    snprintf(said->version, sizeof said->version, "v%u", file->version);
    bool weak = file->flags & ANSWER_WEAK;
    said->answer = (struct answer){
        .info = {.type = LARDER_FILE,
                 .size = file->size_unknown ? LARDER_SIZE_UNKNOWN : (int64_t)file->size,
                 .mtime_ns = file->version,
                 .version = file->no_validator || weak ? NULL : said->version},
        .validator = file->no_validator ? NULL : said->version,
        .fresh_ms = file->fresh_ms,
        .stale_if_error_ms = file->stale_if_error_ms,
        .flags = file->flags,
    };
}

static int check(const struct terms *terms, const struct said *said, struct answer *out)
{
    if (terms->if_match && strcmp(terms->if_match, said->version) != 0)
        return fail(-ESTALE, "fake: it is %s, not %s", said->version, terms->if_match);
    if (!terms->if_none_match || !said->answer.validator || strcmp(terms->if_none_match, said->version) != 0)
        return 0;
    fake.unchanged++;
    int rc = out ? answer_copy(out, &said->answer) : 0;
    return rc < 0 ? rc : UNCHANGED;
}

static int CO_FN info(const char *asked, const struct terms *terms, struct answer *out)
{
    struct said said;
    char followed[256];
    const char *path = follow(asked, followed);
    fake.infos++;
    int rc = begin(path);
    struct fake_file *file = find(path);
    if (rc < 0)
        return rc;
    if (!file && !is_directory(path))
        return fail(-ENOENT, "fake: %s: no such file", path);
    if (!file) {
        *out = (struct answer){.info = {.type = LARDER_DIRECTORY}, .fresh_ms = -1, .stale_if_error_ms = -1};
        return 0;
    }
    say(file, &said);
    rc = check(terms, &said, out);
    return rc != 0 ? rc : answer_copy(out, &said.answer);
}

static int CO_EDGE fake_info(struct instance *instance, const char *path, const struct terms *terms,
                             struct answer *out)
{
    return info(path, terms, out);
}

static int CO_FN pour(const struct fake_file *file, int64_t start, int64_t count, struct sink *sink)
{
    while (count > 0) {
        void *room;
        size_t size;
        int rc = sink_room(sink, (size_t)count, &room, &size);
        if (rc < 0)
            return rc;
        if ((int64_t)size > count)
            size = (size_t)count;
        if (size > 50000)
            size = 50000;
        if (fake.cut_at >= 0 && start + (int64_t)size > fake.cut_at)
            return fail(-EPROTO, "fake: cut");
        memcpy(room, file->data + start, size);
        rc = sink_fill(sink, size);
        if (rc < 0)
            return rc;
        fake.bytes += size;
        start += (int64_t)size;
        count -= (int64_t)size;
    }
    return 0;
}

static void note(const struct larder_range *range)
{
    size_t at = strlen(fake.log), room = sizeof fake.log - at;
    if (range && range->end != LARDER_TO_END)
        snprintf(fake.log + at, room, "%lld-%lld ", (long long)range->start, (long long)range->end);
    else
        snprintf(fake.log + at, room, range && range->start ? "%lld- " : "all ",
                 range ? (long long)range->start : 0);
}

static int CO_FN read_file(const char *asked, const struct larder_range *range, const struct terms *terms,
                           struct sink *sink, struct answer *out)
{
    struct said said;
    char followed[256];
    const char *path = follow(asked, followed);
    int64_t start, count;
    unsigned reads = ++fake.reads;
    note(range);
    int rc = begin(path);
    if (rc < 0)
        return rc;
    if (fake.change_after && reads > fake.change_after)
        for (unsigned i = 0; i < fake.count; i++)
            fake.files[i].version = ++versions;
    struct fake_file *file = find(path);
    if (!file)
        return is_directory(path) ? fail(-EISDIR, "fake: %s: a directory", path)
                                  : fail(-ENOENT, "fake: %s: no such file", path);
    say(file, &said);
    rc = check(terms, &said, out);
    if (rc != 0)
        return rc;
    range_resolve(range, (int64_t)file->size, &start, &count);
    rc = sink_begin(sink, &said.answer, file->size_unknown ? -1 : count);
    if (rc == 0)
        rc = pour(file, start, count, sink);
    if (rc == 0 && out)
        rc = answer_copy(out, &said.answer);
    return rc;
}

static int CO_EDGE fake_read(struct instance *instance, const char *path, const struct larder_range *range,
                             const struct terms *terms, struct sink *sink, struct answer *out)
{
    return read_file(path, range, terms, sink, out);
}

/* ---- listing: two entries a page ---- */

static size_t name_in(const char *dir, const struct fake_file *file, const char **name)
{
    *name = path_within(dir, file->path) ? path_below(dir, file->path) : "";
    return strcspn(*name, "/");
}

/* Directories are named by the first of the files below them. */
static int add_entry(struct entries_builder *page, const char *dir, unsigned index)
{
    struct said said;
    char name[64];
    const char *rest, *earlier;
    size_t size = name_in(dir, &fake.files[index], &rest);
    for (unsigned i = 0; i < index; i++)
        if (name_in(dir, &fake.files[i], &earlier) == size && memcmp(earlier, rest, size) == 0)
            return 0;
    if (size == 0 || fake.files[index].hidden)
        return 0;
    memcpy(name, rest, size);
    name[size] = 0;
    say(&fake.files[index], &said);
    if (rest[size])
        said.answer.info = (struct larder_info){.type = LARDER_DIRECTORY};
    said.answer.info.name = name;
    return entries_add(page, &said.answer.info);
}

static int add_link(struct entries_builder *page, const char *dir)
{
    struct larder_info info = {.name = path_name(fake.link), .type = LARDER_DIRECTORY};
    size_t size = path_parent_size(fake.link);
    bool here = *fake.link && strlen(dir) == size && memcmp(dir, fake.link, size) == 0;
    return here ? entries_add(page, &info) : 0;
}

static int CO_FN list(const char *asked, struct cursor *cursor, struct larder_entries *page,
                      struct answer *out)
{
    struct entries_builder builder = {0};
    char followed[256];
    const char *path = follow(asked, followed);
    uintptr_t at = (uintptr_t)cursor->state;
    if (at == 0)
        fake.lists++;
    int rc = begin(path);
    if (rc < 0)
        return rc;
    if (find(path))
        return fail(-ENOTDIR, "fake: %s: a file", path);
    if (!is_directory(path) && *path)
        return fail(-ENOENT, "fake: %s: no such directory", path);
    while (rc == 0 && at < fake.count && builder.count < 2)
        rc = add_entry(&builder, path, (unsigned)at++);
    cursor->state = (void *)at;
    cursor->end = at == fake.count;
    if (rc == 0 && cursor->end)
        rc = add_link(&builder, path);
    if (rc < 0) {
        entries_discard(&builder);
        return rc;
    }
    entries_finish(&builder, page);
    *out = (struct answer){.info = {.type = LARDER_DIRECTORY}, .fresh_ms = -1, .stale_if_error_ms = -1};
    return 0;
}

static int CO_EDGE fake_list(struct instance *instance, const char *path, const struct terms *terms,
                             struct cursor *cursor, struct larder_entries *page, struct answer *out)
{
    return list(path, cursor, page, out);
}

/* ---- writing ---- */

static int check_write(const struct fake_file *file, const char *path, unsigned flags, const char *if_match)
{
    struct said said;
    if ((flags & LARDER_CREATE) && file)
        return fail(-EEXIST, "fake: %s: it exists", path);
    if (if_match && !file)
        return fail(-ESTALE, "fake: %s: it is gone", path);
    if (!if_match)
        return 0;
    say(file, &said);
    return check(&(struct terms){.if_match = if_match}, &said, NULL);
}

static void put_verbatim(const char *path, const char *data, size_t size)
{
    struct fake_file *file = fake_put(path, size, 0);
    memcpy(file->data, data, size);
}

static int CO_FN write_streamed(const char *path, struct source *source)
{
    char *data = malloc((size_t)source->size + 1);
    int64_t count = 1, size = 0;
    assert(data);
    while (count > 0) {
        count = source_read(source, data + size, (size_t)(source->size - size) + 1);
        size += count > 0 ? count : 0;
    }
    if (count == 0 && size == source->size)
        put_verbatim(path, data, (size_t)size);
    free(data);
    return count < 0 ? (int)count : size == source->size ? 0 : fail(-EPROTO, "fake: %s: short", path);
}

static int CO_FN fake_write(struct instance *instance, const char *path, struct source *source,
                            unsigned flags, const char *if_match, struct answer *out)
{
    struct fake_file *file = find(path);
    int rc = begin(path);
    fake.writes++;
    if (rc == 0)
        rc = check_write(file, path, flags, if_match);
    if (rc < 0)
        return rc;
    if (!source->data)
        return write_streamed(path, source);
    if (fake.verbatim)
        put_verbatim(path, source->data, (size_t)source->size);
    else
        fake_put(path, file ? file->size : 100, (unsigned)atoi(source->data));
    return 0;
}

/* ---- in parts ---- */

static struct fake_staged {
    bool used;
    char *data;
    size_t size;
} all_staged[8];

static int fake_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                      struct token *out)
{
    unsigned slot = 0;
    while (all_staged[slot].used)
        assert(++slot < sizeof all_staged / sizeof all_staged[0]);
    out->text = mem_format("%u", slot);
    if (!out->text)
        return fail_memory();
    all_staged[slot].used = true;
    fake.staged++;
    return 0;
}

static struct fake_staged *staged_of(const struct token *token)
{
    return &all_staged[atoi(token->text)];
}

static int CO_FN fake_stage_part(struct instance *instance, const char *path, const struct token *token,
                                 uint32_t part, int64_t offset, const void *data, size_t size)
{
    static unsigned live;
    struct fake_staged *staged = staged_of(token);
    unsigned number = ++fake.parts;
    if (++live > fake.parts_at_once)
        fake.parts_at_once = live;
    int rc = begin(path);
    live--;
    if (rc < 0)
        return rc;
    if (number == fake.fail_part)
        return fail(fake.fail_part_as ? fake.fail_part_as : -EIO, "fake: %s: part %u is refused", path, part);
    if ((size_t)offset + size > staged->size) {
        staged->size = (size_t)offset + size;
        staged->data = realloc(staged->data, staged->size);
        assert(staged->data);
    }
    memcpy(staged->data + offset, data, size);
    return 0;
}

static void staged_free(struct fake_staged *staged)
{
    free(staged->data);
    *staged = (struct fake_staged){0};
    fake.staged--;
}

void fake_forget_staged(void)
{
    for (size_t i = 0; i < sizeof all_staged / sizeof all_staged[0]; i++)
        if (all_staged[i].used)
            staged_free(&all_staged[i]);
}

static int CO_FN fake_publish(struct instance *instance, const char *path, const struct token *token,
                              int64_t size, unsigned flags, const char *if_match, struct answer *out)
{
    struct fake_staged *staged = staged_of(token);
    fake.publishes++;
    int rc = begin(path);
    if (rc == 0)
        rc = check_write(find(path), path, flags, if_match);
    if (rc < 0)
        return rc;
    assert((size_t)size == staged->size); /* nothing else was staged under this token */
    put_verbatim(path, staged->data, (size_t)size);
    staged_free(staged);
    return 0;
}

static int CO_FN fake_discard(struct instance *instance, const char *path, const struct token *token)
{
    int rc = begin(path);
    if (rc == 0)
        staged_free(staged_of(token));
    return rc;
}

static int fake_remove_files(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    for (size_t i = 0; i < count; i++) {
        status[i] = find(paths[i]) ? 0 : -ENOENT;
        if (status[i] == 0)
            fake_remove(paths[i]);
    }
    return 0;
}

static int fake_locate(const struct backend *backend, const char *url, char **values, char **place,
                       char **path)
{
    return place_is_all(url + strlen("fake://"), place, path);
}

static int fake_open(struct instance *instance)
{
    instance->can = (struct larder_capabilities){.list = true,
                                                 .write = true,
                                                 .create_only = true,
                                                 .if_match = true,
                                                 .remove_count_max = 1,
                                                 .stage = fake.stages,
                                                 .part_size_min = 1000,
                                                 .part_size_max = INT64_MAX,
                                                 .part_count_max = 50};
    instance->identity = mem_dup("fake://");
    return instance->identity ? 0 : fail_memory();
}

static void fake_close(struct instance *instance)
{
}

static char *fake_url(struct instance *instance, const char *path)
{
    return mem_format("fake://%s", path);
}

static const struct option options[] = {{0}};
static const char *const protocols[] = {"fake", NULL};
const struct backend fake_backend = {
    .name = "fake",
    .protocols = protocols,
    .kind = ASYNC,
    .size = sizeof(struct instance),
    .options = options,
    .locate = fake_locate,
    .open = fake_open,
    .close = fake_close,
    .url = fake_url,
    .info = fake_info,
    .list = fake_list,
    .read = fake_read,
    .write = fake_write,
    .remove = fake_remove_files,
    .stage = fake_stage,
    .stage_part = fake_stage_part,
    .publish = fake_publish,
    .discard = fake_discard,
};
