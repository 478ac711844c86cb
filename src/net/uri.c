/* SPDX-License-Identifier: Apache-2.0 */
#include "net/uri.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/seams.h"

bool slice_equal(struct slice slice, const char *text, bool ignore_case)
{
    if (!slice.text || strlen(text) != slice.size)
        return false;
    return (ignore_case ? strncasecmp(slice.text, text, slice.size) : memcmp(slice.text, text, slice.size)) ==
           0;
}

char *slice_dup(struct slice slice)
{
    return mem_dup_n(slice.text ? slice.text : "", slice.size);
}

/* ---- cutting ---- */

static size_t scheme_size(const char *text)
{
    size_t size = 0;
    if (!isalpha((unsigned char)text[0]))
        return 0;
    while (isalnum((unsigned char)text[size]) || (text[size] && strchr("+-.", text[size])))
        size++;
    return text[size] == ':' ? size : 0;
}

/* "user:password@host:port"; an IPv6 host keeps its brackets. */
static void split_authority(const char *text, size_t size, struct uri *out)
{
    const char *at = memrchr(text, '@', size);
    if (at) {
        out->userinfo = (struct slice){text, (size_t)(at - text)};
        size -= out->userinfo.size + 1;
        text = at + 1;
    }
    const char *bracket = memrchr(text, ']', size);
    const char *from = bracket ? bracket : text;
    const char *colon = memchr(from, ':', size - (size_t)(from - text));
    if (colon) {
        out->port = (struct slice){colon + 1, size - (size_t)(colon + 1 - text)};
        size = (size_t)(colon - text);
    }
    out->host = (struct slice){text, size};
}

void uri_split(const char *text, struct uri *out)
{
    *out = (struct uri){0};
    size_t size = scheme_size(text);
    if (size > 0) {
        out->scheme = (struct slice){text, size};
        text += size + 1;
    }
    if (text[0] == '/' && text[1] == '/') {
        size = strcspn(text + 2, "/?#");
        split_authority(text + 2, size, out);
        text += size + 2;
    }
    size = strcspn(text, "?#");
    out->path = (struct slice){text, size};
    text += size;
    if (*text == '?') {
        size = strcspn(++text, "#");
        out->query = (struct slice){text, size};
        text += size;
    }
    if (*text == '#')
        out->fragment = (struct slice){text + 1, strlen(text + 1)};
}

static int refuse(const char *text, const char *why)
{
    autofree char *shown = uri_redact(text);
    return shown ? fail(-EINVAL, "%s: %s", shown, why) : fail_memory();
}

int uri_split_http(const char *text, struct uri *out)
{
    struct uri url;
    uri_split(text, &url);
    if (!slice_equal(url.scheme, "http", true) && !slice_equal(url.scheme, "https", true))
        return refuse(text, "not an http or https URL");
    if (url.host.size == 0)
        return fail(-EINVAL, "a URL without a host"); /* so nobody knows where a secret would be in it */
    unsigned port = 0;
    for (size_t i = 0; i < url.port.size; i++) {
        if (!isdigit((unsigned char)url.port.text[i]) || port > 65535)
            return refuse(text, "the port is not a number");
        port = port * 10 + (unsigned)(url.port.text[i] - '0');
    }
    if (port > 65535)
        return refuse(text, "the port is over 65535");
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return refuse(text, "a control character in a URL");
    *out = url;
    return 0;
}

/* ---- putting together ---- */

static void lower(char *text)
{
    for (; *text; text++)
        *text = (char)tolower((unsigned char)*text);
}

char *uri_origin(const struct uri *url)
{
    const char *usual = slice_equal(url->scheme, "http", true) ? "80" : "443";
    bool port = url->port.size > 0 && !slice_equal(url->port, usual, false);
    char *origin = mem_format("%.*s://%.*s%s%.*s", (int)url->scheme.size, url->scheme.text,
                              (int)url->host.size, url->host.text, port ? ":" : "",
                              port ? (int)url->port.size : 0, port ? url->port.text : "");
    if (origin)
        lower(origin);
    return origin;
}

/* RFC 3986 §5.2.4, in place; `path` begins with a slash. */
static void remove_dots(char *path)
{
    char *end = path;
    for (const char *at = path; *at;) {
        size_t size = 1 + strcspn(at + 1, "/");
        bool last = !at[size];
        if ((size == 2 && at[1] == '.') || (size == 3 && at[1] == '.' && at[2] == '.')) {
            if (size == 3)
                while (end > path && *--end != '/')
                    ;
            if (last)
                *end++ = '/';
        } else {
            memmove(end, at, size);
            end += size;
        }
        at += size;
    }
    *end = 0;
}

/* `path` of a reference on a page at `base`: RFC 3986 §5.2.3. */
static char *merge(const struct uri *base, struct slice path)
{
    size_t keep = base->path.size;
    if (path.size > 0 && path.text[0] == '/')
        keep = 0;
    while (keep > 0 && base->path.text[keep - 1] != '/')
        keep--;
    bool slash = keep == 0 && (path.size == 0 || path.text[0] != '/');
    char *merged =
        mem_format("%s%.*s%.*s", slash ? "/" : "", (int)keep, base->path.text, (int)path.size, path.text);
    if (merged)
        remove_dots(merged);
    return merged;
}

char *uri_resolve(const char *base_text, const char *reference)
{
    struct uri base, url;
    uri_split(base_text, &base);
    uri_split(reference, &url);
    struct slice scheme = url.scheme.text ? url.scheme : base.scheme;
    if (url.scheme.text && !url.host.text) /* "mailto:…": nothing to put together */
        return mem_dup_n(reference, strcspn(reference, "#"));
    struct uri *site = url.host.text ? &url : &base;
    const char *authority = site->userinfo.text ? site->userinfo.text : site->host.text;
    size_t size =
        (size_t)(site->host.text + site->host.size - authority) + (site->port.text ? site->port.size + 1 : 0);
    bool same = !url.host.text && url.path.size == 0;
    struct slice query = same && !url.query.text ? base.query : url.query;
    autofree char *path = same ? merge(&base, base.path) : merge(site == &url ? site : &base, url.path);
    if (!path)
        return NULL;
    return mem_format("%.*s://%.*s%s%s%.*s", (int)scheme.size, scheme.text, (int)size, authority, path,
                      query.text ? "?" : "", (int)query.size, query.text ? query.text : "");
}

char *uri_redact(const char *text)
{
    struct uri url;
    uri_split(text, &url);
    if (!url.host.text)
        return mem_format("%.*s%s", (int)strcspn(text, "?#"), text, url.query.text ? "?…" : "");
    return mem_format("%.*s%s//%.*s%s%.*s%.*s%s", (int)url.scheme.size,
                      url.scheme.text ? url.scheme.text : "", url.scheme.text ? ":" : "", (int)url.host.size,
                      url.host.text, url.port.text ? ":" : "", (int)url.port.size,
                      url.port.text ? url.port.text : "", (int)url.path.size, url.path.text,
                      url.query.text ? "?…" : "");
}
