/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/lifetime.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/glob.h"
#include "base/pattern.h"
#include "base/seams.h"
#include "base/text.h"

/* ---- rules: "PATTERN=TTL,PATTERN=TTL" ---- */

/* A pattern may have a "=" in it, a time has none. */
static int parse_rule(const char *text, size_t size, struct ttl_rule *out)
{
    const char *equals = memrchr(text, '=', size);
    if (!equals || equals == text)
        return fail(-EINVAL, "option cache.ttl_rules: \"%.*s\" is not of the form PATTERN=TIME", (int)size,
                    text);
    size_t pattern_size = (size_t)(equals - text);
    autofree char *time = mem_dup_n(equals + 1, size - pattern_size - 1);
    out->text = mem_dup_n(text, pattern_size);
    if (!time || !out->text)
        return fail_memory();
    if (parse_lifetime(time, &out->ttl_ms) < 0)
        return fail(-EINVAL, "option cache.ttl_rules: \"%s\" is not a time, such as 5, 0.5, 10m or forever",
                    time);
    int rc = pattern_new(text, pattern_size, &out->pattern);
    return rc < 0 ? fail_more(rc, "option cache.ttl_rules") : 0;
}

static int parse_rules(struct lifetimes *lifetimes, const char *text)
{
    size_t count = 1;
    for (const char *comma = text; (comma = strchr(comma, ',')); comma++)
        count++;
    lifetimes->rules = mem_array(count, sizeof *lifetimes->rules);
    if (!lifetimes->rules)
        return fail_memory();
    lifetimes->rule_count = count;
    for (size_t i = 0; i < count; i++) {
        size_t size = strcspn(text, ",");
        int rc = parse_rule(text, size, &lifetimes->rules[i]);
        if (rc < 0)
            return rc;
        text += size + 1;
    }
    return 0;
}

int lifetimes_init(struct lifetimes *lifetimes, const struct instance *instance)
{
    const char *rules = option_text(instance, "ttl_rules");
    lifetimes->ttl_ms = option_number(instance, "ttl");
    lifetimes->listing_ttl_ms = option_number(instance, "listing_ttl");
    lifetimes->absent_ttl_ms = option_number(instance, "absent_ttl");
    return rules && *rules ? parse_rules(lifetimes, rules) : 0;
}

void lifetimes_fini(struct lifetimes *lifetimes)
{
    for (size_t i = 0; i < lifetimes->rule_count; i++) {
        glob_free(lifetimes->rules[i].pattern);
        mem_free(lifetimes->rules[i].text);
    }
    mem_free(lifetimes->rules);
    *lifetimes = (struct lifetimes){0};
}

/* ---- asking them ---- */

static const struct ttl_rule *find_rule(const struct lifetimes *lifetimes, const char *path)
{
    for (size_t i = 0; i < lifetimes->rule_count; i++)
        if (pattern_matches(lifetimes->rules[i].pattern, path, false))
            return &lifetimes->rules[i];
    return NULL;
}

/* What of the cache's options is about facts of this kind only. */
static struct lifetime find_own(const struct lifetimes *lifetimes, const char *path, enum fact fact)
{
    if (fact == FACT_DIRECTORY)
        return (struct lifetime){lifetimes->listing_ttl_ms, "listing_ttl", NULL};
    if (fact == FACT_ABSENT)
        return (struct lifetime){lifetimes->absent_ttl_ms, "absent_ttl", NULL};
    const struct ttl_rule *rule = lifetimes->rule_count ? find_rule(lifetimes, path) : NULL;
    return (struct lifetime){rule ? rule->ttl_ms : -1, "ttl_rules", rule};
}

struct lifetime lifetime_find(const struct lifetimes *lifetimes, const struct terms *terms, const char *path,
                              enum fact fact, int64_t said_ms)
{
    if (terms->ttl_ms >= 0)
        return (struct lifetime){terms->ttl_ms, "handle", NULL};
    struct lifetime own = find_own(lifetimes, path, fact);
    if (own.ms >= 0)
        return own;
    if (lifetimes->ttl_ms >= 0)
        return (struct lifetime){lifetimes->ttl_ms, "ttl", NULL};
    if (said_ms >= 0 && fact != FACT_ABSENT)
        return (struct lifetime){said_ms, "answer", NULL};
    return (struct lifetime){-1, NULL, NULL};
}
