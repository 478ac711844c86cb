/* SPDX-License-Identifier: Apache-2.0 */
#include "fault_script.h"

#include <stdlib.h>
#include <string.h>

#include "tree.h"

#define WORDS_MAX   32
#define HEADERS_MAX 1024

/* ---- words ---- */

struct line {
    char *words[WORDS_MAX];
    size_t count;
};

/* The word at `*at`, its quotes and escapes taken out, with a NUL behind; `*at` goes behind it. False: no end. */
static bool take_word(char **at)
{
    char *out = *at, *in = *at;
    bool quoted = false;
    for (; *in && (quoted || (*in != ' ' && *in != '\t' && *in != '\n')); in++) {
        if (*in == '"') {
            quoted = !quoted;
        } else if (*in == '\\' && in[1]) {
            in++;
            *out++ = *in == 'r' ? '\r' : *in == 'n' ? '\n' : *in;
        } else {
            *out++ = *in;
        }
    }
    *at = in + (*in != 0);
    *out = 0;
    return !quoted;
}

static bool split_words(char *text, struct line *line)
{
    for (line->count = 0;;) {
        text += strspn(text, " \t\n");
        if (*text == 0 || *text == '#')
            return true;
        if (line->count == WORDS_MAX)
            return false;
        line->words[line->count++] = text;
        if (!take_word(&text))
            return false;
    }
}

/* What is behind NAME= in a word; NULL: it is another one. */
static const char *value_of(const char *word, const char *name)
{
    size_t size = strlen(name);
    return strncmp(word, name, size) == 0 && word[size] == '=' ? word + size + 1 : NULL;
}

static bool number_of(const char *text, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return *text && *end == 0;
}

/* Is it NAME=NUMBER? Then the number is taken; one that is none makes the line bad. */
static bool take_number(const char *word, const char *name, uint64_t *out, bool *bad)
{
    const char *text = value_of(word, name);
    if (text && !number_of(text, out))
        *bad = true;
    return text;
}

/* ---- what is served ---- */

static bool serve_file(struct fault_server *server, const struct line *line)
{
    uint64_t size = 0, seed = 0;
    size_t read_size = 0;
    const char *text = NULL, *etag = NULL, *from = NULL;
    char *data = NULL, quoted[256] = "";
    bool bad = line->count < 3 || line->words[1][0] != '/';
    for (size_t i = 2; !bad && i < line->count; i++) {
        const char *word = line->words[i], *value;
        if (take_number(word, "size", &size, &bad) || take_number(word, "seed", &seed, &bad))
            continue;
        else if ((value = value_of(word, "text")))
            text = value;
        else if ((value = value_of(word, "from")))
            from = value;
        else if ((value = value_of(word, "etag")))
            etag = value;
        else
            bad = true;
    }
    if (bad)
        return false;
    if (etag && strcmp(etag, "none") != 0) /* weak ones are written W/v1 */
        snprintf(quoted, sizeof quoted, "%s\"%s\"", strncmp(etag, "W/", 2) == 0 ? "W/" : "",
                 etag + (strncmp(etag, "W/", 2) == 0 ? 2 : 0));
    if (from && !(data = tree_read(*from == '/' ? "" : ".", from, &read_size)))
        return false;
    if (text)
        read_size = strlen(text);
    if (!from && !text) {
        data = content_make(size, seed);
        read_size = size;
    }
    fault_file_set(server, line->words[1],
                   &(struct fault_file){.data = text ? text : data,
                                        .size = read_size,
                                        .etag = etag ? quoted : NULL});
    free(data);
    return true;
}

static bool index_as(struct fault_server *server, const struct line *line)
{
    static const char *const names[] = {
        [FAULT_INDEX_HTML] = "html", [FAULT_INDEX_JSON] = "json", [FAULT_INDEX_NONE] = "none"};
    for (size_t i = 0; line->count == 2 && i < sizeof names / sizeof *names; i++)
        if (strcmp(line->words[1], names[i]) == 0) {
            fault_index_as(server, (enum fault_index)i);
            return true;
        }
    return false;
}

static bool refuse(struct fault_server *server, const struct line *line)
{
    uint64_t count = 0, per_mille = 0;
    bool bad = false;
    for (size_t i = 1; i < line->count; i++)
        if (!take_number(line->words[i], "count", &count, &bad) &&
            !take_number(line->words[i], "per_mille", &per_mille, &bad))
            return false;
    fault_refuse(server, (unsigned)count, (unsigned)per_mille);
    return !bad;
}

static bool seed(struct fault_server *server, const struct line *line)
{
    uint64_t number;
    if (line->count != 2 || !number_of(line->words[1], &number))
        return false;
    fault_seed(server, number);
    return true;
}

static bool writable(struct fault_server *server, const struct line *line)
{
    fault_writable(server);
    return line->count == 1;
}

/* ---- rules ---- */

static bool take_match(const char *word, struct fault_match *match)
{
    uint64_t number = 0;
    bool bad = false;
    const char *has = value_of(word, "has");
    if (has)
        match->header = has;
    else if (take_number(word, "skip", &number, &bad))
        match->skip = (unsigned)number;
    else if (take_number(word, "count", &number, &bad))
        match->count = (unsigned)number;
    else if (take_number(word, "per_mille", &number, &bad))
        match->per_mille = (unsigned)number;
    else
        return false;
    return !bad;
}

static bool take_flag(const char *word, struct fault *fault)
{
    static const struct {
        const char *name;
        unsigned flag;
    } flags[] = {
        {"no-answer", FAULT_NO_ANSWER},
        {"no-ranges", FAULT_NO_RANGES},
        {"no-conditions", FAULT_NO_CONDITIONS},
        {"chunked", FAULT_CHUNKED},
        {"until-close", FAULT_UNTIL_CLOSE},
        {"http-1.0", FAULT_HTTP_1_0},
        {"gzip", FAULT_GZIP},
        {"close-after", FAULT_CLOSE_AFTER},
        {"unanswered", FAULT_UNANSWERED},
        {"unread", FAULT_UNREAD},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(word, flags[i].name) == 0) {
            fault->flags |= flags[i].flag;
            return true;
        }
    return false;
}

static bool take_end(const char *name, struct fault *fault)
{
    static const char *const names[] = {
        [FAULT_WHOLE] = "whole", [FAULT_CLOSE] = "close", [FAULT_RESET] = "reset", [FAULT_STALL] = "stall"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            fault->end = (enum fault_end)i;
            return true;
        }
    return false;
}

static bool add_header(const char *header, char headers[HEADERS_MAX])
{
    size_t size = strlen(headers);
    return (size_t)snprintf(headers + size, HEADERS_MAX - size, "%s\r\n", header) < HEADERS_MAX - size;
}

static bool take_fault(const char *word, struct fault *fault, char headers[HEADERS_MAX])
{
    uint64_t number = 0;
    bool bad = false;
    const char *value;
    if (take_flag(word, fault))
        return true;
    if ((value = value_of(word, "end")))
        return take_end(value, fault);
    if ((value = value_of(word, "header")))
        return add_header(value, headers);
    if ((value = value_of(word, "trickle")))
        return sscanf(value, "%zu/%u", &fault->trickle_size, &fault->trickle_ms) == 2;
    if ((value = value_of(word, "body"))) {
        fault->body = value;
        fault->body_size = strlen(value);
    } else if (take_number(word, "status", &number, &bad)) {
        fault->status = (int)number;
    } else if (take_number(word, "interim", &number, &bad)) {
        fault->interim = (int)number;
    } else if (take_number(word, "extra", &number, &bad)) {
        fault->extra = number;
    } else if (take_number(word, "at", &number, &bad)) {
        fault->at = number;
    } else {
        return false;
    }
    return !bad;
}

static const char *unless_any(const char *word)
{
    return strcmp(word, "*") == 0 ? NULL : word;
}

static bool add_rule(struct fault_server *server, const struct line *line)
{
    struct fault_match match = {0};
    struct fault fault = {0};
    char headers[HEADERS_MAX] = "";
    size_t i = 3;
    if (line->count < 5)
        return false;
    match.method = unless_any(line->words[1]);
    match.path = unless_any(line->words[2]);
    for (; i < line->count && strcmp(line->words[i], "->") != 0; i++)
        if (!take_match(line->words[i], &match))
            return false;
    if (++i >= line->count)
        return false;
    for (; i < line->count; i++)
        if (!take_fault(line->words[i], &fault, headers))
            return false;
    fault.headers = *headers ? headers : NULL;
    fault_on(server, match, fault);
    return true;
}

/* ---- the script ---- */

static const struct {
    const char *name;
    bool (*run)(struct fault_server *server, const struct line *line);
} verbs[] = {
    {"file", serve_file}, {"writable", writable}, {"index", index_as},
    {"seed", seed},       {"refuse", refuse},     {"on", add_rule},
};

static bool run_line(struct fault_server *server, char *text)
{
    struct line line;
    if (!split_words(text, &line))
        return false;
    for (size_t i = 0; line.count > 0 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(line.words[0], verbs[i].name) == 0)
            return verbs[i].run(server, &line);
    return line.count == 0;
}

unsigned fault_script_run(struct fault_server *server, FILE *script)
{
    char *text = NULL;
    size_t size = 0;
    unsigned number = 0, bad = 0;
    while (!bad && getline(&text, &size, script) >= 0) {
        number++;
        if (!run_line(server, text))
            bad = number;
    }
    free(text);
    return bad;
}
