/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of a program's own backend, as those of our table. What a backend gets wrong - bytes that it promised
 * and did not give, a status that is none, a name that is none - is a failure of the call, never believed.
 */
#include "fs/foreign.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "task/loop.h"

/* A program's operation that runs in a task is the caller of what it calls: callbacks run in it. */
static bool CO_EDGE program_begins(const struct instance *instance)
{
    return instance->backend->kind == ASYNC && task_own_letters(true);
}

static void CO_EDGE program_ends(const struct instance *instance, bool before)
{
    if (instance->backend->kind == ASYNC)
        task_own_letters(before);
}

/* The operation of the given table. */
#define ASK(instance, operation, ...)                                             \
    __extension__({                                                               \
        bool before_ = program_begins(instance);                                  \
        int rc_ = given_of(instance)->operation(state_of(instance), __VA_ARGS__); \
        program_ends(instance, before_);                                          \
        rc_;                                                                      \
    })

/* What an operation returned: 0 or a failure. */
static int settled(const struct instance *instance, const char *operation, int rc)
{
    return rc <= 0 ? rc : fail(-EPROTO, "%s: %s returned %d", instance->backend->name, operation, rc);
}

/* ---- facts ---- */

/* snprintf and its like leave as much as there is room for of a version that is longer; cut, it would be no validator. */
static const char *version_of(const struct larder_facts *facts)
{
    bool whole = strlen(facts->version) < sizeof facts->version - 1;
    return facts->type == LARDER_FILE && *facts->version && whole ? facts->version : NULL;
}

/* The answer borrows the version. */
static int answer_of(const struct instance *instance, const char *path, const struct larder_facts *facts,
                     struct answer *out)
{
    bool typed = facts->type >= LARDER_FILE && facts->type <= LARDER_OTHER;
    bool ended = memchr(facts->version, 0, sizeof facts->version);
    if (!typed || !ended || facts->size < LARDER_SIZE_UNKNOWN)
        return fail(-EPROTO, "%s://%s: the backend tells a type, size or version that cannot be",
                    instance->backend->name, path);
    const char *version = version_of(facts);
    *out = (struct answer){
        .info = {.type = facts->type,
                 .size = facts->type == LARDER_DIRECTORY ? 0 : facts->size,
                 .mtime_ns = facts->mtime_ns,
                 .created_ns = facts->created_ns,
                 .version = version},
        .validator = version,
        .fresh_ms = facts->fresh_ms > 0 ? facts->fresh_ms : 0,
        .stale_if_error_ms = -1,
    };
    return 0;
}

/* 0, UNCHANGED or -ESTALE. */
static int check_terms(const struct instance *instance, const char *path, const struct answer *answer,
                       const struct terms *terms)
{
    const char *version = answer->info.version ? answer->info.version : "";
    if (terms->if_match && strcmp(terms->if_match, version) != 0)
        return fail(-ESTALE, "%s://%s: it changed", instance->backend->name, path);
    return terms->if_none_match && strcmp(terms->if_none_match, version) == 0 ? UNCHANGED : 0;
}

static int foreign_info(struct instance *instance, const char *path, const struct terms *terms,
                        struct answer *out)
{
    struct larder_facts facts = {0};
    struct answer answer;
    int rc = settled(instance, "info", ASK(instance, info, path, &facts));
    if (rc == 0)
        rc = answer_of(instance, path, &facts, &answer);
    int told = rc == 0 ? check_terms(instance, path, &answer, terms) : rc;
    rc = told < 0 ? told : answer_copy(out, &answer);
    return rc < 0 ? rc : told;
}

/* ---- reading ---- */

/* The kinds that may not suspend are given sinks that do not. */
static int CO_EDGE begin_sink(struct sink *sink, const struct answer *answer, int64_t size)
{
    return sink_begin(sink, answer, size);
}

static int CO_EDGE sink_lends(struct sink *sink, size_t want, void **room, size_t *size)
{
    return sink_room(sink, want, room, size);
}

static int CO_EDGE sink_takes(struct sink *sink, size_t size)
{
    return sink_fill(sink, size);
}

/* The bytes of a range of a file whose size nobody knows. */
static int open_range(const struct larder_reading *reading, int64_t *start, int64_t *count)
{
    const struct larder_range *range = reading->range;
    *start = range ? range->start : 0;
    *count = !range || range->end == LARDER_TO_END ? -1
             : range->end > range->start           ? range->end - range->start
                                                   : 0;
    if (range && (range->start < 0 || range->end < 0))
        return fail(-ENOTSUP, "%s://%s: a range from its end, and nobody knows its size",
                    reading->instance->backend->name, reading->path);
    return 0;
}

int larder_reading_begin(struct larder_reading *reading, const struct larder_facts *facts, int64_t *start,
                         int64_t *count)
{
    reading->facts = *facts;
    reading->passes = false;
    int rc = answer_of(reading->instance, reading->path, &reading->facts, &reading->answer);
    if (rc == 0 && facts->type == LARDER_DIRECTORY)
        rc = fail(-EISDIR, "%s://%s: a directory", reading->instance->backend->name, reading->path);
    if (rc == 0)
        rc = check_terms(reading->instance, reading->path, &reading->answer, reading->terms);
    reading->unchanged = rc == UNCHANGED;
    if (rc != 0)
        return rc;
    reading->sized = facts->size >= 0;
    if (reading->sized)
        range_resolve(reading->range, facts->size, start, count);
    else
        rc = open_range(reading, start, count);
    if (rc < 0)
        return rc;
    reading->begun = true;
    reading->left = *count;
    return begin_sink(reading->sink, &reading->answer, reading->sized ? *count : -1);
}

static int too_much(const struct larder_reading *reading)
{
    return fail(-EPROTO, "%s://%s: the backend gives more bytes than were asked for",
                reading->instance->backend->name, reading->path);
}

int larder_reading_room(struct larder_reading *reading, void **room, size_t *size)
{
    size_t want = reading->left >= 0 ? (size_t)reading->left : 65536;
    if (!reading->begun)
        return fail(-EPROTO, "%s: bytes before larder_reading_begin", reading->instance->backend->name);
    if (want == 0)
        return too_much(reading);
    int rc = sink_lends(reading->sink, want, room, size);
    if (rc == 0 && reading->left >= 0 && *size > want)
        *size = want;
    return rc;
}

int larder_reading_filled(struct larder_reading *reading, size_t size)
{
    if (reading->left >= 0 && size > (uint64_t)reading->left)
        return too_much(reading);
    if (reading->left >= 0)
        reading->left -= (int64_t)size;
    return sink_takes(reading->sink, size);
}

int larder_reading_put(struct larder_reading *reading, const void *data, size_t size)
{
    int rc = 0;
    while (rc == 0 && size > 0) {
        void *room;
        size_t room_size;
        rc = larder_reading_room(reading, &room, &room_size);
        if (rc < 0)
            break;
        if (room_size > size)
            room_size = size;
        memcpy(room, data, room_size);
        rc = larder_reading_filled(reading, room_size);
        data = (const char *)data + room_size;
        size -= room_size;
    }
    return rc;
}

const struct larder_range *larder_reading_range(const struct larder_reading *reading)
{
    return reading->range;
}

const char *larder_reading_if_match(const struct larder_reading *reading)
{
    return reading->terms->if_match;
}

const char *larder_reading_if_none_match(const struct larder_reading *reading)
{
    return reading->terms->if_none_match;
}

static int foreign_read(struct instance *instance, const char *path, const struct larder_range *range,
                        const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct larder_reading reading = {
        .instance = instance, .path = path, .range = range, .terms = terms, .sink = sink};
    int rc = ASK(instance, read, path, &reading);
    bool unchanged = rc == UNCHANGED && reading.unchanged;
    if (!unchanged)
        rc = settled(instance, "read", rc);
    if (rc == 0 && (!reading.begun || (reading.sized && reading.left > 0)))
        rc = fail(-EPROTO, "%s://%s: the backend gives fewer bytes than it promised", instance->backend->name,
                  path);
    const struct answer *answer = reading.passes ? &reading.passed : &reading.answer;
    if (rc >= 0 && out && answer_copy(out, answer) < 0)
        rc = -ENOMEM;
    answer_free(&reading.passed);
    return rc;
}

/* ---- listing ---- */

int larder_page_add(struct larder_page *page, const char *name, const struct larder_facts *facts)
{
    struct answer answer;
    if (!name || !path_is_segment(name))
        return fail(-EBADMSG, "%s://%s: \"%s\" is no name of an entry", page->instance->backend->name,
                    page->path, name ? name : "");
    int rc = answer_of(page->instance, page->path, facts, &answer);
    if (rc < 0)
        return rc;
    answer.info.name = name;
    return entries_add(&page->builder, &answer.info);
}

bool larder_page_names_only(const struct larder_page *page)
{
    return page->names_only;
}

bool larder_page_is_full(const struct larder_page *page)
{
    return page->builder.count >= PAGE_ENTRIES;
}

void larder_page_go_on(struct larder_page *page, void *position, void (*release)(void *position))
{
    page->position = position;
    page->release = release;
    page->goes_on = true;
}

void *larder_page_position(const struct larder_page *page)
{
    return page->cursor->state;
}

/* The cursor keeps the position that was put down last; an earlier one is released when another comes. */
static void keep_position(struct larder_page *page)
{
    struct cursor *cursor = page->cursor;
    if (!page->goes_on) {
        cursor->end = true;
        return;
    }
    if (cursor->state != page->position && cursor->free_state)
        cursor->free_state(cursor->state);
    cursor->state = page->position;
    cursor->free_state = page->release;
}

static int foreign_list(struct instance *instance, const char *path, const struct terms *terms,
                        struct cursor *cursor, struct larder_entries *out, struct answer *answer)
{
    struct larder_page page = {.instance = instance,
                               .path = path,
                               .cursor = cursor,
                               .names_only = terms->names_only};
    int rc = settled(instance, "list", ASK(instance, list, path, &page));
    if (rc == 0 && page.goes_on && !page.position)
        rc = fail(-EPROTO, "%s: a listing that goes on from nowhere", instance->backend->name);
    keep_position(&page);
    if (rc < 0) {
        entries_discard(&page.builder);
        return rc;
    }
    entries_finish(&page.builder, out);
    *answer = (struct answer){.info.type = LARDER_DIRECTORY, .stale_if_error_ms = -1};
    return 0;
}

/* ---- writing ---- */

static int64_t CO_EDGE source_gives(struct source *source, void *buffer, size_t size)
{
    return source_read(source, buffer, size);
}

static int CO_EDGE source_begins_again(struct source *source)
{
    return source_rewind(source);
}

const void *larder_writing_data(const struct larder_writing *writing, int64_t *size)
{
    *size = writing->source->size;
    return writing->source->data;
}

int64_t larder_writing_read(struct larder_writing *writing, void *buffer, size_t size)
{
    if (writing->source->data)
        return fail(-EINVAL, "larder_writing_read: larder_writing_data gives all of it");
    return source_gives(writing->source, buffer, size);
}

int larder_writing_rewind(struct larder_writing *writing)
{
    if (writing->whole.data) /* which is borrowed, and from the first byte on */
        return 0;
    return source_begins_again(writing->source);
}

static int tell_now(const struct instance *instance, const char *path, const struct larder_facts *now,
                    struct answer *out)
{
    struct answer answer;
    int rc = answer_of(instance, path, now, &answer);
    return rc < 0 || !out ? rc : answer_copy(out, &answer);
}

static int foreign_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                         const char *if_match, struct answer *out)
{
    struct larder_writing writing = {.source = source};
    struct larder_facts now = {.type = LARDER_FILE, .size = source->size};
    struct larder_how how = {flags, if_match};
    int rc = ASK(instance, write, path, &writing, &how, &now);
    buffer_free(&writing.whole);
    rc = settled(instance, "write", rc);
    return rc < 0 ? rc : tell_now(instance, path, &now, out);
}

/* The words of a status that one of many gets are lost with the next: as those of our own tables. */
static int foreign_remove(struct instance *instance, const char *const paths[], size_t count, int status[])
{
    for (size_t i = 0; i < count; i++)
        status[i] = settled(instance, "remove", ASK(instance, remove, paths[i]));
    return 0;
}

static int foreign_mkdir(struct instance *instance, const char *path, unsigned flags)
{
    return settled(instance, "mkdir", ASK(instance, mkdir, path));
}

static int foreign_rmdir(struct instance *instance, const char *path)
{
    return settled(instance, "rmdir", ASK(instance, rmdir, path));
}

static int foreign_touch(struct instance *instance, const char *path, int64_t mtime_ns)
{
    return settled(instance, "touch", ASK(instance, touch, path, mtime_ns));
}

static int foreign_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
                        const struct labels *labels)
{
    struct larder_how how = {.flags = flags};
    return settled(instance, "copy", ASK(instance, copy, from, to, &how));
}

static int foreign_move(struct instance *instance, const char *from, const char *to, unsigned flags)
{
    struct larder_how how = {.flags = flags};
    return settled(instance, "move", ASK(instance, move, from, to, &how));
}

/* ---- texts ---- */

struct larder_text {
    char *value; /* mem */
};

int larder_text_set(struct larder_text *text, const char *value)
{
    char *copy = mem_dup(value);
    if (!copy)
        return fail_memory();
    mem_free(text->value);
    text->value = copy;
    return 0;
}

/* Hands the text over when all went well. */
static int text_settle(const struct instance *instance, const char *operation, int rc,
                       struct larder_text *text, char **out)
{
    rc = settled(instance, operation, rc);
    if (rc == 0 && !text->value)
        rc = fail(-EPROTO, "%s: %s gave no text", instance->backend->name, operation);
    if (rc == 0)
        *out = text->value;
    else
        mem_free(text->value);
    return rc;
}

static int foreign_sign(struct instance *instance, const char *path, uint32_t expires_s, char **url)
{
    struct larder_text text = {NULL};
    int rc = ASK(instance, sign, path, expires_s, &text);
    return text_settle(instance, "sign", rc, &text, url);
}

/* ---- in parts ---- */

static int foreign_stage(struct instance *instance, const char *path, const struct labels *labels,
                         uint64_t id, struct token *out)
{
    struct larder_text text = {NULL};
    int rc = ASK(instance, stage, path, &text);
    return text_settle(instance, "stage", rc, &text, &out->text);
}

static int foreign_stage_part(struct instance *instance, const char *path, const struct token *token,
                              uint32_t part, int64_t offset, const void *data, size_t size)
{
    int rc = ASK(instance, stage_part, path, token->text, part, offset, data, size);
    return settled(instance, "stage_part", rc);
}

static int foreign_publish(struct instance *instance, const char *path, const struct token *token,
                           int64_t size, unsigned flags, const char *if_match, struct answer *out)
{
    struct larder_facts now = {.type = LARDER_FILE, .size = size};
    struct larder_how how = {flags, if_match};
    int rc = ASK(instance, publish, path, token->text, size, &how, &now);
    rc = settled(instance, "publish", rc);
    return rc < 0 ? rc : tell_now(instance, path, &now, out);
}

static int foreign_discard(struct instance *instance, const char *path, const struct token *token)
{
    return settled(instance, "discard", ASK(instance, discard, path, token->text));
}

void foreign_fill_operations(struct backend *backend, const struct larder_backend *given)
{
    backend->info = foreign_info;
    backend->read = foreign_read;
    backend->list = given->list ? foreign_list : NULL;
    backend->write = given->write ? foreign_write : NULL;
    backend->remove = given->remove ? foreign_remove : NULL;
    backend->mkdir = given->mkdir ? foreign_mkdir : NULL;
    backend->rmdir = given->rmdir ? foreign_rmdir : NULL;
    backend->touch = given->touch ? foreign_touch : NULL;
    backend->copy = given->copy ? foreign_copy : NULL;
    backend->move = given->move ? foreign_move : NULL;
    backend->sign = given->sign ? foreign_sign : NULL;
    backend->stage = given->stage ? foreign_stage : NULL;
    backend->stage_part = given->stage_part ? foreign_stage_part : NULL;
    backend->publish = given->publish ? foreign_publish : NULL;
    backend->discard = given->discard ? foreign_discard : NULL;
}
