/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_URI_H
#define NET_URI_H
/* URLs, cut and put together as RFC 3986 says. Slices point into the text that was cut. */
#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *text; /* NULL: the part is missing, where "" is an empty one */
    size_t size;
};
struct uri {
    struct slice scheme, userinfo, host,
        port;                     /* all but scheme and host may be missing; host with its brackets */
    struct slice path;            /* as written, percent-encoded; never NULL */
    struct slice query, fragment; /* without their "?" and "#" */
};

/* Every text is a URL or a reference to one: this never fails. */
void uri_split(const char *text, struct uri *out);
/* The same for what a server is asked: http or https, a host, a port that is a number. Else -EINVAL with text, in
 * which no secret is. */
int uri_split_http(const char *text, struct uri *out);

bool slice_equal(struct slice slice, const char *text, bool ignore_case);
/* The rest give memory that mem_free frees; NULL: out of memory. */
char *slice_dup(struct slice slice);
/* "https://host" or "https://host:8443": scheme and host in lower case, without the default port. */
char *uri_origin(const struct uri *url);
/* What `reference` means on the page at `base`, an absolute URL, without a fragment: RFC 3986 §5.2. */
char *uri_resolve(const char *base, const char *reference);
/* For texts: without userinfo and fragment, and "?…" for a query. */
char *uri_redact(const char *text);

#endif
