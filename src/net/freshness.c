/* SPDX-License-Identifier: Apache-2.0 */
#include "net/freshness.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

#define SECONDS_MAX 2147483648 /* RFC 9111 §1.2.2: what is greater counts as this */
#define NS_PER_MS   1000000

struct directives {
    int64_t max_age, stale_if_error; /* seconds; -1: missing */
    bool no_store, no_cache, must_revalidate;
};

/* Digits only; a broken number is 0, so that what it guards is stale (§4.2.1). */
static int64_t delta_seconds(const char *text, size_t size)
{
    int64_t seconds = 0;
    if (size == 0)
        return 0;
    for (size_t i = 0; i < size; i++) {
        if (!isdigit((unsigned char)text[i]))
            return 0;
        seconds = seconds * 10 + (text[i] - '0');
        if (seconds > SECONDS_MAX)
            seconds = SECONDS_MAX;
    }
    return seconds;
}

/* The least of those given: when directives contradict each other the stricter one holds. */
static void keep_least(int64_t *seconds, int64_t other)
{
    if (*seconds < 0 || other < *seconds)
        *seconds = other;
}

static bool is_word(const char *word, const char *text, size_t size)
{
    return strlen(word) == size && strncasecmp(word, text, size) == 0;
}

static void take_directive(struct directives *out, const char *name, size_t name_size, const char *value,
                           size_t value_size)
{
    if (is_word("max-age", name, name_size))
        keep_least(&out->max_age, delta_seconds(value, value_size));
    else if (is_word("stale-if-error", name, name_size))
        keep_least(&out->stale_if_error, delta_seconds(value, value_size));
    else if (is_word("no-store", name, name_size))
        out->no_store = true;
    else if (is_word("no-cache", name, name_size)) /* also no-cache="field": we keep no fields apart */
        out->no_cache = true;
    else if (is_word("must-revalidate", name, name_size))
        out->must_revalidate = true;
}

/* name[=value], name[="quoted, value"], … */
static void parse_directives(const char *text, struct directives *out)
{
    *out = (struct directives){.max_age = -1, .stale_if_error = -1};
    while (text && *text) {
        text += strspn(text, " \t,");
        const char *name = text, *value = "";
        size_t name_size = strcspn(text, "=, \t"), value_size = 0;
        text += name_size;
        text += strspn(text, " \t");
        if (*text == '=') {
            text += 1 + strspn(text + 1, " \t");
            bool quoted = *text == '"';
            value = text += quoted;
            value_size = strcspn(text, quoted ? "\"" : ", \t");
            text += value_size + (quoted && text[value_size]);
        }
        take_directive(out, name, name_size, value, value_size);
    }
}

/* §4.2.3, in ms: how old the answer was when it came. */
static int64_t age_ms(const struct freshness_headers *headers, int64_t now_ns, int64_t delay_ms)
{
    int64_t date_ns, apparent_ms = 0, age = 0;
    if (headers->date && parse_http_date(headers->date, &date_ns) == 0)
        apparent_ms = now_ns / NS_PER_MS - date_ns / NS_PER_MS; /* their difference in ns may be too much */
    if (headers->age)
        age = delta_seconds(headers->age, strcspn(headers->age, ", "));
    int64_t corrected_ms = age * 1000 + delay_ms;
    /* A Date is cut to seconds: without this no answer of an exact clock would ever be of no age. */
    apparent_ms = apparent_ms > 1000 ? apparent_ms : 0;
    return apparent_ms > corrected_ms ? apparent_ms : corrected_ms;
}

/* When it was sent, in ms. */
static int64_t date_ms(const struct freshness_headers *headers, int64_t now_ns)
{
    int64_t date_ns;
    bool told = headers->date && parse_http_date(headers->date, &date_ns) == 0;
    return (told ? date_ns : now_ns) / NS_PER_MS;
}

/* §4.2.2; -1: there is nothing to guess by. */
static int64_t guessed_ms(const struct freshness_headers *headers, int64_t now_ns, int64_t guess_max_ms)
{
    int64_t modified_ns;
    if (guess_max_ms <= 0 || !headers->last_modified ||
        parse_http_date(headers->last_modified, &modified_ns) < 0)
        return -1;
    int64_t tenth_ms = (date_ms(headers, now_ns) - modified_ns / NS_PER_MS) / 10;
    return tenth_ms <= 0 ? -1 : tenth_ms < guess_max_ms ? tenth_ms : guess_max_ms;
}

/* §4.2.1; -1: nothing is said. */
static int64_t lifetime_ms(const struct freshness_headers *headers, const struct directives *directives,
                           int64_t now_ns, int64_t guess_max_ms)
{
    int64_t expires_ns;
    if (directives->max_age >= 0)
        return directives->max_age * 1000;
    if (!headers->expires)
        return guessed_ms(headers, now_ns, guess_max_ms);
    if (parse_http_date(headers->expires, &expires_ns) < 0)
        return 0; /* "0", "-1": in the past (§5.3) */
    int64_t lifetime = expires_ns / NS_PER_MS - date_ms(headers, now_ns);
    return lifetime > 0 ? lifetime : 0;
}

struct freshness freshness_of(const struct freshness_headers *headers, int64_t now_ns, int64_t delay_ms,
                              int64_t guess_max_ms)
{
    struct directives directives;
    parse_directives(headers->cache_control, &directives);
    struct freshness out = {
        .fresh_ms = lifetime_ms(headers, &directives, now_ns, guess_max_ms),
        .stale_if_error_ms = directives.stale_if_error >= 0 ? directives.stale_if_error * 1000 : -1,
        .no_store = directives.no_store || (headers->vary && strchr(headers->vary, '*')), /* §4.1 */
        .must_revalidate = directives.must_revalidate || directives.no_cache,
    };
    if (out.fresh_ms > 0) {
        int64_t age = age_ms(headers, now_ns, delay_ms);
        out.fresh_ms = out.fresh_ms > age ? out.fresh_ms - age : 0;
    }
    if (directives.no_cache || out.no_store)
        out.fresh_ms = 0;
    return out;
}
