/* SPDX-License-Identifier: Apache-2.0 */
#include "base/glob.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"

/* A set is followed by its members, `count` RANGEs. */
enum token_kind { CHARACTER, ANY, STAR, SET, NOT_IN_SET, RANGE };
struct token {
    enum token_kind kind;
    uint32_t count;
    uint32_t low, high; /* of a CHARACTER: low */
};

struct component {
    bool stars;       /* a "**" */
    const char *stem; /* the text in front of its magic */
    bool magic;
    struct token *tokens;
    size_t count;
};

/*
 * here[i]: the directory entered may have used up the first i components, and what is below it goes on at the i-th.
 * Where the i-th is a "**", which may stand for nothing, here[i + 1] is set as well.
 */
struct glob {
    struct component *components;
    size_t count;
    size_t stem_count, stem_size; /* components without magic in front, and their text */
    bool directories;
    bool *here, *next; /* count + 1 of each */
    struct token *tokens;
    char *stems;
};

bool glob_has_magic(const char *text)
{
    return text[strcspn(text, "*?[")] != 0;
}

char *glob_escape(const char *name)
{
    char *text = mem_alloc(3 * strlen(name) + 1), *end = text;
    if (!text)
        return NULL;
    for (; *name; name++) {
        bool magic = strchr("*?[", *name);
        if (magic)
            *end++ = '[';
        *end++ = *name;
        if (magic)
            *end++ = ']';
    }
    *end = 0;
    return text;
}

/* ---- characters ---- */

#define BROKEN 0xdc80u /* and on: bytes 0x80 and on that belong to no character, and are unlike any */

/* The character at *at, before `end`; move behind it. Overlong and surrogate forms are bytes of no character. */
static uint32_t next_character(const char **at, const char *end)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *bytes = (const unsigned char *)*at;
    unsigned char first = *bytes;
    unsigned more = first < 0xc0 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    uint32_t value = first & (0x3fu >> more);
    ++*at;
    if (first < 0x80)
        return first;
    if (more == 0 || first > 0xf4 || (size_t)(end - *at) < more)
        return BROKEN + (first & 0x7f);
    for (unsigned i = 1; i <= more; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return BROKEN + (first & 0x7f);
        value = value << 6 | (bytes[i] & 0x3f);
    }
    if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return BROKEN + (first & 0x7f);
    *at += more;
    return value;
}

/* ---- compiling ---- */

static struct token *put(struct token **end, enum token_kind kind, uint32_t low, uint32_t high)
{
    **end = (struct token){.kind = kind, .low = low, .high = high};
    return (*end)++;
}

/* The "]" that ends the set whose members begin at `at`; NULL: none, so it is no set. */
static const char *set_end(const char *at, const char *end)
{
    at += at < end && *at == '!';
    at += at < end && *at == ']';
    return at < end ? memchr(at, ']', (size_t)(end - at)) : NULL;
}

/* A "-" makes a range where something is on both its sides, which is never a member twice. */
static void compile_set(const char *at, const char *end, struct token **tokens)
{
    bool negated = at < end && *at == '!';
    struct token *set = put(tokens, negated ? NOT_IN_SET : SET, 0, 0);
    at += negated;
    while (at < end) {
        uint32_t low = next_character(&at, end), high = low;
        if (end - at > 1 && *at == '-') {
            at++;
            high = next_character(&at, end);
        }
        put(tokens, RANGE, low, high);
        set->count++;
    }
}

static int compile_component(const char *text, size_t size, struct component *component,
                             struct token **tokens)
{
    const char *at = text, *end = text + size;
    component->tokens = *tokens;
    component->stars = size == 2 && memcmp(text, "**", 2) == 0;
    if (component->stars) {
        component->magic = true;
        return 0;
    }
    if (memmem(text, size, "**", 2))
        return fail(-EINVAL, "%.*s: \"**\" is a whole component of a pattern or nothing", (int)size, text);
    bool no_set = false; /* no "]" is left, which need not be looked for again */
    while (at < end) {
        const char *close = *at == '[' && !no_set ? set_end(at + 1, end) : NULL;
        component->magic |= strchr("*?[", *at) != NULL;
        no_set |= *at == '[' && !close;
        if (close) {
            compile_set(at + 1, close, tokens);
            at = close + 1;
        } else if (*at == '*' || *at == '?') {
            put(tokens, *at++ == '*' ? STAR : ANY, 0, 0);
        } else {
            put(tokens, CHARACTER, next_character(&at, end), 0);
        }
    }
    component->count = (size_t)(*tokens - component->tokens);
    return 0;
}

static int compile(struct glob *glob, const char *pattern)
{
    struct token *tokens = glob->tokens;
    char *text = glob->stems;
    bool stem = true;
    for (const char *at = pattern; glob->count == 0 || at[-1] == '/';) {
        struct component *component = &glob->components[glob->count++];
        size_t size = strcspn(at, "/");
        int rc = compile_component(at, size, component, &tokens);
        if (rc < 0)
            return rc;
        component->stem = memcpy(text, at, strcspn(at, "*?[/"));
        text += size + 1;
        stem = stem && !component->magic;
        if (stem) {
            glob->stem_count++;
            glob->stem_size = (size_t)(at - pattern) + size;
        }
        at += size + 1;
    }
    return 0;
}

int glob_new(const char *pattern, bool directories, struct glob **out)
{
    size_t size = strlen(pattern), count = 1;
    assert(path_is_key(pattern));
    for (const char *at = pattern; (at = strchr(at, '/')); at++)
        count++;
    struct glob *glob = mem_zero(sizeof *glob);
    if (!glob)
        return fail_memory();
    glob->directories = directories;
    glob->components = mem_array(count, sizeof *glob->components);
    glob->tokens = mem_array(size, sizeof *glob->tokens); /* each byte makes one at most */
    glob->stems = mem_zero(size + 1);
    glob->here = mem_zero(count + 1);
    glob->next = mem_zero(count + 1);
    bool made = glob->components && glob->tokens && glob->stems && glob->here && glob->next;
    int rc = made ? compile(glob, pattern) : fail_memory();
    if (rc < 0) {
        glob_free(glob);
        return rc;
    }
    glob->next[glob->stem_count] = true;
    *out = glob;
    return 0;
}

void glob_free(struct glob *glob)
{
    if (!glob)
        return;
    mem_free(glob->components);
    mem_free(glob->tokens);
    mem_free(glob->stems);
    mem_free(glob->here);
    mem_free(glob->next);
    mem_free(glob);
}

/* ---- one component ---- */

static bool token_takes(const struct token *token, uint32_t character)
{
    if (token->kind == ANY)
        return true;
    if (token->kind == CHARACTER)
        return token->low == character;
    for (const struct token *range = token + 1; range <= token + token->count; range++)
        if (character >= range->low && character <= range->high)
            return token->kind == SET;
    return token->kind == NOT_IN_SET;
}

/* Only the last star ever takes more: what an earlier one could take instead, the last one could as well. */
static bool component_matches(const struct component *component, const char *name, size_t size)
{
    const struct token *token = component->tokens, *end = token + component->count;
    const struct token *behind_star = NULL;
    const char *at = name, *name_end = name + size, *starred = NULL;
    while (at < name_end) {
        const char *after = at;
        if (token < end && token->kind == STAR) {
            behind_star = ++token;
            starred = at;
        } else if (token < end && token_takes(token, next_character(&after, name_end))) {
            token += 1 + token->count;
            at = after;
        } else if (behind_star) {
            next_character(&starred, name_end);
            at = starred;
            token = behind_star;
        } else {
            return false;
        }
    }
    while (token < end && token->kind == STAR)
        token++;
    return token == end;
}

/* ---- paths ---- */

/*
 * Places of a path as it is followed: struct glob's own for a walk, or somebody's on the stack. They swap roles at
 * every name.
 */
struct places {
    bool *here, *next;
};

static void reach(const struct glob *glob, bool *places)
{
    for (size_t i = 0; i < glob->count; i++)
        if (places[i] && glob->components[i].stars)
            places[i + 1] = true;
}

/* From `here` to `next`, by one name. */
static void step(const struct glob *glob, const struct places *places, const char *name, size_t size)
{
    memset(places->next, 0, glob->count + 1);
    for (size_t i = 0; i < glob->count; i++) {
        if (!places->here[i])
            continue;
        if (glob->components[i].stars)
            places->next[i] = true;
        else if (component_matches(&glob->components[i], name, size))
            places->next[i + 1] = true;
    }
    reach(glob, places->next);
}

/* From the start through the directories of `dir`, which has `size` bytes. */
static void follow(const struct glob *glob, struct places *places, const char *dir, size_t size)
{
    const char *end = dir + size;
    memset(places->here, 0, glob->count + 1);
    places->here[0] = true;
    reach(glob, places->here);
    while (dir < end) {
        const char *slash = memchr(dir, '/', (size_t)(end - dir));
        size_t name_size = (size_t)((slash ? slash : end) - dir);
        step(glob, places, dir, name_size);
        *places = (struct places){places->next, places->here};
        dir += name_size + (slash != NULL);
    }
}

/* Did the last step come to the end? Nothing is below a file, not even the nothing that a "**" there may stand for. */
static bool arrived(const struct glob *glob, const struct places *places, bool directory)
{
    size_t last = glob->count - 1;
    if (directory)
        return places->next[glob->count];
    return !glob->directories &&
           (glob->components[last].stars ? places->here[last] : places->next[glob->count]);
}

void glob_enter(struct glob *glob, const char *dir)
{
    struct places places = {glob->here, glob->next};
    follow(glob, &places, dir, strlen(dir));
    glob->here = places.here;
    glob->next = places.next;
}

bool glob_match_name(struct glob *glob, const char *name, bool directory, bool *deeper)
{
    struct places places = {glob->here, glob->next};
    step(glob, &places, name, strlen(name));
    *deeper = directory && memchr(places.next, true, glob->count);
    return arrived(glob, &places, directory);
}

bool glob_wants_all(const struct glob *glob)
{
    for (size_t i = 0; i < glob->count; i++)
        if (glob->next[i] && glob->components[i].stars)
            return true;
    return false;
}

/* Without a "**", exactly one place is reached by a path. */
const char *glob_stem(const struct glob *glob)
{
    const bool *place = memchr(glob->next, true, glob->count);
    if (!place || glob_wants_all(glob))
        return NULL;
    const char *stem = glob->components[place - glob->next].stem;
    return *stem ? stem : NULL;
}

bool glob_match_path(const struct glob *glob, const char *path, size_t size, bool directory)
{
    bool here[GLOB_COMPONENTS_MAX + 1], next[GLOB_COMPONENTS_MAX + 1];
    struct places places = {here, next};
    const char *slash = memrchr(path, '/', size), *name = slash ? slash + 1 : path;
    assert(glob->count <= GLOB_COMPONENTS_MAX);
    follow(glob, &places, path, slash ? (size_t)(slash - path) : 0);
    step(glob, &places, name, (size_t)(path + size - name));
    return arrived(glob, &places, directory);
}

size_t glob_component_count(const struct glob *glob)
{
    return glob->count;
}

size_t glob_stem_size(const struct glob *glob)
{
    return glob->stem_size;
}

unsigned glob_depth(const struct glob *glob, unsigned maxdepth)
{
    size_t first = glob->stem_count;
    while (first < glob->count && !glob->components[first].stars)
        first++;
    if (first == glob->count)
        return (unsigned)(glob->count - glob->stem_count);
    return maxdepth ? (unsigned)(first - glob->stem_count) + maxdepth : 0;
}

bool glob_takes_stem(const struct glob *glob)
{
    size_t i = glob->stem_count;
    while (i < glob->count && glob->components[i].stars)
        i++;
    return i == glob->count && glob->stem_count > 0;
}
