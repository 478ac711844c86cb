/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings: buckets, what begins with a prefix up to the next slash, and all that begins with it. Keys come percent-encoded
 * (encoding-type=url), since XML cannot say all that a key can. What no path can name is left out: an empty segment, "." and
 * ".."; the directories in front of it are there all the same.
 *
 * Keys come sorted by their bytes: what is below one directory is one run of them, but for servers that sort otherwise:
 * nothing here depends on it, only that a directory is then told twice.
 */
#include <errno.h>
#include <string.h>

#include "backends/s3_parts.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/text.h"

/* ---- a page ---- */

struct page {
    const char *prefix; /* of the keys, with its slash; "" */
    const char *stem;   /* of the names that are asked for, behind it; "" */
    bool tree;          /* all that begins with it */
    bool encoded;       /* the server did as encoding-type says */
    bool any;           /* something begins with it, if only the prefix itself */
    char *before;       /* tree: the key before; mem, NULL: none */
    struct entries_builder builder;
};

/* "+" is a space where servers encode as forms do. */
int s3_decode_key(const struct xml_node *node, bool encoded, char **out)
{
    bool failed = false;
    char *text = xml_text(node, &failed);
    if (!text)
        return failed ? fail_memory() : fail(-EPROTO, "a listing with an entry without a key");
    *out = text;
    if (!encoded)
        return 0;
    char *to = text;
    for (const char *at = text; *at; at++) {
        unsigned value;
        char digits[3] = {at[0] == '%' ? at[1] : 0, at[0] == '%' && at[1] ? at[2] : 0, 0};
        if (digits[0] && digits[1] && parse_hex(digits, &value) == 0) {
            *to++ = (char)value;
            at += 2;
        } else {
            *to++ = *at == '+' ? ' ' : *at;
        }
    }
    *to = 0;
    return 0;
}

static void take_metadata(const struct xml_node *node, struct larder_info *info, char **etag, bool *failed)
{
    autofree char *size = xml_text(xml_child(node, "Size"), failed);
    autofree char *time = xml_text(xml_child(node, "LastModified"), failed);
    *etag = xml_text(xml_child(node, "ETag"), failed);
    info->version = *etag;
    if (!size || parse_i64(size, &info->size) < 0 || info->size < 0)
        info->size = LARDER_SIZE_UNKNOWN;
    if (!time || parse_rfc3339(time, &info->mtime_ns) < 0)
        info->mtime_ns = 0;
}

static int add_named(struct page *page, const struct xml_node *node, const char *name, enum larder_type type)
{
    struct larder_info info = {.name = name, .type = type};
    autofree char *etag = NULL;
    bool failed = false;
    if (type == LARDER_FILE)
        take_metadata(node, &info, &etag, &failed);
    return failed ? fail_memory() : entries_add(&page->builder, &info);
}

/* An object somewhere below; the key is taken over. What no path can name, a marker too, tells of the directory that it is in,
 * if the key before it did not. */
static int add_below(struct page *page, const struct xml_node *node, char *key)
{
    autofree char *before = take(page->before);
    size_t size = strlen(page->prefix);
    page->before = key;
    if (path_is_key(key + size))
        return add_named(page, node, key + size, LARDER_FILE);
    autofree char *directory = mem_dup(key + size);
    if (!directory)
        return fail_memory();
    while (*directory && !path_is_key(directory))
        directory[path_parent_size(directory)] = 0;
    size_t told = strlen(directory);
    bool is_below = before && strlen(before) > size; /* "": nothing came before */
    if (told == 0 || (is_below && strncmp(before + size, directory, told) == 0 && before[size + told] == '/'))
        return 0;
    return add_named(page, node, directory, LARDER_DIRECTORY);
}

static int add_entry(struct page *page, const struct xml_node *node, enum larder_type type)
{
    autofree char *key = NULL;
    int rc = s3_decode_key(xml_child(node, type == LARDER_FILE ? "Key" : "Prefix"), page->encoded, &key);
    if (rc < 0)
        return rc;
    size_t size = strlen(page->prefix), key_size = strlen(key);
    if (strncmp(key, page->prefix, size) != 0)
        return fail(-EPROTO, "a listing of \"%s\" with the key \"%s\"", page->prefix, key);
    page->any = true;
    if (key_size == size)
        return 0;
    if (page->tree)
        return add_below(page, node, take(key));
    if (type == LARDER_DIRECTORY && key[key_size - 1] == '/')
        key[key_size - 1] = 0;
    if (path_is_segment(key + size))
        return add_named(page, node, key + size, type);
    log_at(LARDER_LOG_INFO, "the key \"%s\" is left out: no path can name it", key);
    return 0;
}

static int add_entries(struct page *page, const struct xml_node *root)
{
    int rc = 0;
    const struct xml_node *node = xml_child(root, NULL);
    for (; rc == 0 && node; node = xml_next(node, NULL)) {
        if (xml_is(node, "Contents"))
            rc = add_entry(page, node, LARDER_FILE);
        else if (xml_is(node, "CommonPrefixes"))
            rc = add_entry(page, node, LARDER_DIRECTORY);
    }
    return rc;
}

/* ---- one request ---- */

struct listing {
    const char *bucket; /* its path */
    const char *prefix; /* "": all keys */
    const char *token;  /* NULL: from the start */
    const char *count;  /* at most; NULL: as many as the server likes */
    bool flat;
};

static int CO_FN ask_page(struct s3_instance *s3, const struct listing *listing, struct xml **out)
{
    struct s3_request request = {.path = listing->bucket, .http = {.method = HTTP_GET}};
    size_t count = 0;
    request.query[count++] = (struct sigv4_pair){"list-type", "2"};
    request.query[count++] = (struct sigv4_pair){"prefix", listing->prefix};
    request.query[count++] = (struct sigv4_pair){"encoding-type", "url"};
    if (!listing->flat)
        request.query[count++] = (struct sigv4_pair){"delimiter", "/"};
    if (listing->token)
        request.query[count++] = (struct sigv4_pair){"continuation-token", listing->token};
    if (listing->count)
        request.query[count++] = (struct sigv4_pair){"max-keys", listing->count};
    int rc = s3_ask_xml(s3, &request, out);
    if (rc == 0 && (!*out || !xml_is(xml_root(*out), "ListBucketResult"))) {
        xml_free(*out);
        rc = fail(-EPROTO, "the answer to a listing of %s is none", listing->bucket);
    }
    return rc;
}

/* The token of the page behind this one; mem. NULL, without a failure: there is none. */
static int next_token(const struct xml_node *root, char **out)
{
    bool failed = false, more;
    autofree char *truncated = xml_text(xml_child(root, "IsTruncated"), &failed);
    *out = NULL;
    if (failed)
        return fail_memory();
    if (!truncated || parse_bool(truncated, &more) < 0)
        return fail(-EPROTO, "a listing that does not say whether it goes on");
    if (!more)
        return 0;
    *out = xml_text(xml_child(root, "NextContinuationToken"), &failed);
    return *out     ? 0
           : failed ? fail_memory()
                    : fail(-EPROTO, "a listing that goes on, and does not say where");
}

int CO_FN s3_has_below(struct s3_instance *s3, const char *path, bool *marker)
{
    struct s3_name name = s3_name_of(path);
    autofree char *bucket = mem_dup_n(path, name.bucket_size), *prefix = mem_format("%s/", name.key);
    struct xml *xml;
    if (!bucket || !prefix)
        return fail_memory();
    const struct listing listing = {.bucket = bucket, .prefix = prefix, .count = "2", .flat = true};
    int rc = ask_page(s3, &listing, &xml);
    if (rc < 0)
        return rc;
    bool encoded = xml_child(xml_root(xml), "EncodingType"), itself = false;
    unsigned count = 0;
    const struct xml_node *node = xml_child(xml_root(xml), "Contents");
    for (; rc == 0 && node; node = xml_next(node, "Contents")) {
        autofree char *key = NULL;
        rc = s3_decode_key(xml_child(node, "Key"), encoded, &key);
        if (rc == 0 && strcmp(key, prefix) == 0)
            itself = true;
        else if (rc == 0)
            count++;
    }
    xml_free(xml);
    if (marker)
        *marker = itself;
    return rc < 0 ? rc : count > 0;
}

/* ---- the operation ---- */

static int list_buckets(const struct xml_node *root, struct entries_builder *builder)
{
    int rc = 0;
    const struct xml_node *bucket = xml_child(xml_child(root, "Buckets"), "Bucket");
    for (; rc == 0 && bucket; bucket = xml_next(bucket, "Bucket")) {
        bool failed = false;
        autofree char *name = xml_text(xml_child(bucket, "Name"), &failed);
        autofree char *created = xml_text(xml_child(bucket, "CreationDate"), &failed);
        struct larder_info info = {.name = name, .type = LARDER_DIRECTORY};
        if (created && parse_rfc3339(created, &info.created_ns) < 0)
            info.created_ns = 0;
        if (!name)
            rc = failed ? fail_memory() : fail(-EPROTO, "a list of buckets with one without a name");
        else if (path_is_segment(name))
            rc = entries_add(builder, &info);
    }
    return rc;
}

static int CO_FN list_account(struct s3_instance *s3, struct cursor *cursor, struct larder_entries *page)
{
    const struct s3_request request = {.path = "", .http = {.method = HTTP_GET}};
    struct entries_builder builder = {0};
    struct xml *xml;
    int rc = s3_ask_xml(s3, &request, &xml);
    if (rc < 0)
        return rc;
    rc = xml && xml_is(xml_root(xml), "ListAllMyBucketsResult")
             ? list_buckets(xml_root(xml), &builder)
             : fail(-EPROTO, "%s: the answer is no list of buckets", s3->http.origin);
    xml_free(xml);
    if (rc < 0)
        entries_discard(&builder);
    else
        entries_finish(&builder, page);
    cursor->end = true;
    return rc;
}

/* Nothing begins so. A bucket may be empty, which it has said by answering at all. */
static int CO_FN explain_nothing(struct s3_instance *s3, const char *path)
{
    struct answer answer = {0};
    if (!*s3_name_of(path).key)
        return 0;
    int rc = http_info(&s3->http.instance, path, &TERMS_NONE, &answer);
    answer_free(&answer);
    return rc < 0 ? rc : fail(-ENOTDIR, "s3://%s: not a directory", path);
}

/* Of a listing that goes on. */
struct position {
    char *token;  /* opaque: only what the server said itself is said to it */
    char *before; /* the page's last key; "" where that does not matter */
};

static void position_free(void *state)
{
    struct position *position = state;
    mem_free(position->token);
    mem_free(position->before);
    mem_free(position);
}

/* `token` is taken over; NULL: the listing is at its end. */
static int go_on(struct cursor *cursor, const struct page *page, char *token)
{
    struct position *position = mem_zero(sizeof *position);
    if (!position) {
        mem_free(token);
        return fail_memory();
    }
    *position = (struct position){token, mem_dup(page->before ? page->before : "")};
    if (!position->before) {
        position_free(position);
        return fail_memory();
    }
    cursor_free(cursor);
    *cursor = (struct cursor){position, position_free, .end = !token};
    return 0;
}

static int CO_FN list_page(struct s3_instance *s3, const char *path, struct cursor *cursor, struct page *page)
{
    struct s3_name name = s3_name_of(path);
    struct position *position = cursor->state;
    autofree char *bucket = mem_dup_n(path, name.bucket_size);
    autofree char *prefix = mem_format("%s%s", page->prefix, page->stem);
    if (!bucket || !prefix)
        return fail_memory();
    const struct listing listing = {.bucket = bucket,
                                    .prefix = prefix,
                                    .token = position ? position->token : NULL,
                                    .flat = page->tree};
    struct xml *xml;
    autofree char *token = NULL;
    int rc = ask_page(s3, &listing, &xml);
    if (rc < 0)
        return rc;
    page->encoded = xml_child(xml_root(xml), "EncodingType");
    page->before = position ? mem_dup(position->before) : NULL;
    rc = position && !page->before ? fail_memory() : add_entries(page, xml_root(xml));
    if (rc == 0)
        rc = next_token(xml_root(xml), &token);
    if (rc == 0 && token && position && strcmp(token, position->token) == 0)
        rc = fail(-EPROTO, "s3://%s: a listing that goes on where it was", path);
    xml_free(xml);
    if (rc == 0 && !position && !token && !page->any && !*page->stem)
        rc = explain_nothing(s3, path);
    return rc < 0 ? rc : go_on(cursor, page, take(token));
}

/* `stem` NULL: all that is below. */
static int CO_FN list(struct s3_instance *s3, const char *path, const char *stem, struct cursor *cursor,
                      struct larder_entries *entries)
{
    const char *key = s3_name_of(path).key;
    autofree char *prefix = mem_format("%s%s", key, *key ? "/" : "");
    struct page page = {.prefix = prefix, .stem = stem ? stem : "", .tree = !stem};
    int rc = prefix ? list_page(s3, path, cursor, &page) : fail_memory();
    mem_free(page.before);
    if (rc < 0)
        entries_discard(&page.builder);
    else
        entries_finish(&page.builder, entries);
    return rc;
}

static void answer_listing(struct answer *out, unsigned flags)
{
    if (out)
        *out = (struct answer){.info.type = LARDER_DIRECTORY,
                               .fresh_ms = -1,
                               .stale_if_error_ms = -1,
                               .flags = flags};
}

int CO_FN s3_list(struct instance *instance, const char *path, const struct terms *terms,
                  struct cursor *cursor, struct larder_entries *entries, struct answer *out)
{
    struct s3_instance *s3 = s3_of(instance);
    answer_listing(out, 0);
    const char *stem = terms->stem ? terms->stem : "";
    return *path ? list(s3, path, stem, cursor, entries) : list_account(s3, cursor, entries);
}

/* Buckets are told by name: each is a listing of its own. */
int CO_FN s3_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                       struct cursor *cursor, struct larder_entries *entries, struct answer *out)
{
    struct s3_instance *s3 = s3_of(instance);
    answer_listing(out, *path ? 0 : ANSWER_SHALLOW);
    return *path ? list(s3, path, NULL, cursor, entries) : list_account(s3, cursor, entries);
}
