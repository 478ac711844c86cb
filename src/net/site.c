/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "net/transfer.h"

#define STREAMS_MAX         100 /* of one HTTP/2 connection: curl's own limit */
#define CONNECTIONS_DEFAULT 32
#define TRIES_DEFAULT       5

/* ---- connections of its own: their client has this as its owner, for as long as it is there ---- */

struct own_connections {
    struct post post;
    struct larder_loop *loop; /* NULL: there was no request */
};

static void end_own(struct post *post)
{
    struct own_connections *own = container_of(post, struct own_connections, post);
    client_end(own->loop, own);
    mem_free(own);
}

/* A loop that takes no more posts has closed them itself. */
static void close_own(struct own_connections *own)
{
    if (!own)
        return;
    own->post.run = end_own;
    if (!own->loop || loop_post(own->loop, &own->post) < 0)
        mem_free(own);
}

int site_client(struct http_site *site, struct client **out)
{
    struct larder_loop *loop = task_loop(task_current());
    if (site->own)
        site->own->loop = loop;
    return client_get(loop, site->own, out);
}

/* ---- sites ---- */

/* What a site keeps of its config as it is. */
#define TEXT(field)    {#field, offsetof(struct http_site, field), offsetof(struct http_config, field), false}
#define IN_HEAD(field) {#field, offsetof(struct http_site, field), offsetof(struct http_config, field), true}
static const struct {
    const char *name;
    size_t site_offset, config_offset;
    bool in_head; /* of the request */
} texts[] = {
    IN_HEAD(user), IN_HEAD(password), IN_HEAD(bearer),   IN_HEAD(user_agent),
    TEXT(ca_file), TEXT(client_cert), TEXT(client_key),  TEXT(client_key_password),
    TEXT(proxy),   TEXT(no_proxy),    TEXT(unix_socket),
};
#define TEXTS (sizeof texts / sizeof texts[0])

static char **site_text(struct http_site *site, size_t index)
{
    return (char **)((char *)site + texts[index].site_offset);
}

static const char *const *config_text(const struct http_config *config, size_t index)
{
    return (const char *const *)((const char *)config + texts[index].config_offset);
}

void http_site_free(struct http_site *site)
{
    if (!site)
        return;
    assert(site->live == 0 || site->generation != process_generation());
    close_own(site->own);
    for (size_t i = 0; i < TEXTS; i++)
        mem_free(*site_text(site, i));
    curl_slist_free_all(site->headers);
    mem_free(site);
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
            return true;
    return false;
}

int header_list_add(struct curl_slist **list, const char *line)
{
    /* A value may be a server's word, such as an ETag out of XML: a line break in it would be another header. */
    if (has_control(line))
        return fail(-EPROTO, "a header with a control character in it");
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return fail_memory();
    *list = longer;
    return 0;
}

/* "Name: value". Not shown in the text: it may be a secret. */
static int add_site_header(struct http_site *site, const char *line)
{
    size_t name_size = strcspn(line, ": \t");
    if (name_size == 0 || line[name_size] != ':' || has_control(line))
        return fail(-EINVAL, "option headers: a line is not of the form \"Name: value\"");
    if (line[name_size + 1 + strspn(line + name_size + 1, " \t")])
        return header_list_add(&site->headers, line);
    autofree char *empty = mem_format("%.*s;", (int)name_size, line); /* how curl is told to send it at all */
    return empty ? header_list_add(&site->headers, empty) : fail_memory();
}

static int add_site_headers(struct http_site *site, const char *lines)
{
    while (*lines) {
        size_t size = strcspn(lines, "\n");
        size_t used = size > 0 && lines[size - 1] == '\r' ? size - 1 : size;
        autofree char *line = mem_dup_n(lines, used);
        if (!line)
            return fail_memory();
        int rc = used > 0 ? add_site_header(site, line) : 0;
        if (rc < 0)
            return rc;
        lines += size + (lines[size] == '\n');
    }
    return 0;
}

/* RFC 7617 §2; and what would end a line of the request's head would begin another. */
static int check_texts(const struct http_config *config)
{
    if (config->user && strchr(config->user, ':'))
        return fail(-EINVAL, "the user of basic authentication cannot have a colon in its name");
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *config_text(config, i);
        if (texts[i].in_head && text && has_control(text))
            return fail(-EINVAL, "option %s: a control character", texts[i].name);
    }
    return 0;
}

static bool copy_texts(struct http_site *site, const struct http_config *config)
{
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *config_text(config, i);
        *site_text(site, i) = text ? mem_dup(text) : NULL;
        if (text && !*site_text(site, i))
            return false;
    }
    if (!site->user_agent)
        site->user_agent = mem_format("larder/%s", larder_version());
    return site->user_agent;
}

int http_site_new(const struct http_config *config, struct http_site **out)
{
    static atomic_uint_fast64_t serials;
    struct http_site *site = mem_zero(sizeof *site);
    if (!site)
        return fail_memory();
    site->generation = process_generation();
    site->serial = atomic_fetch_add(&serials, 1) + 1;
    site->connect_timeout_ms = config->connect_timeout_ms > 0 ? config->connect_timeout_ms : 30000;
    site->stall_timeout_ms = config->stall_timeout_ms > 0 ? config->stall_timeout_ms : 60000;
    site->retry_timeout_ms = config->retry_timeout_ms > 0 ? config->retry_timeout_ms : 15000;
    site->tries_max = config->tries_max ? config->tries_max : TRIES_DEFAULT;
    site->connections_max = config->connections_max ? config->connections_max : CONNECTIONS_DEFAULT;
    site->http1 = config->http1;
    site->encoding_is_stored = config->encoding_is_stored;
    site->insecure = config->insecure;
    site->netrc = config->netrc;
    waiters_init(&site->turn);
    site->own = config->own_connections ? mem_zero(sizeof *site->own) : NULL;
    bool copied = copy_texts(site, config) && (site->own || !config->own_connections);
    int rc = copied ? check_texts(config) : fail_memory();
    if (rc == 0 && config->headers)
        rc = add_site_headers(site, config->headers);
    if (rc < 0) {
        http_site_free(site);
        return rc;
    }
    *out = site;
    return 0;
}

static unsigned live_max(const struct http_site *site)
{
    return site->multiplexed ? site->connections_max * STREAMS_MAX : site->connections_max;
}

/* In a fork's child none of the parent's transfers goes on, nor do those who waited for their turn. */
static void site_make_ours(struct http_site *site)
{
    if (site->generation == process_generation())
        return;
    site->generation = process_generation();
    site->live = site->parts = 0;
    site->multiplexed = site->down = false;
    waiters_init(&site->turn);
}

/* Rather than in curl's own queue: here it is known whose turn is next, and a cancel needs no curl. */
int CO_FN site_enter(struct http_site *site)
{
    site_make_ours(site);
    while (site->live >= live_max(site)) {
        int rc = waiters_wait(&site->turn);
        if (rc < 0) {
            waiters_wake_one(&site->turn); /* the turn may have been given to us */
            return rc;
        }
    }
    site->live++;
    return 0;
}

void site_leave(struct http_site *site)
{
    site->live--;
    waiters_wake_one(&site->turn);
}

unsigned http_site_take_parts(struct http_site *site, unsigned wanted, unsigned most)
{
    site_make_ours(site);
    unsigned left = site->multiplexed || site->parts >= most ? 0 : most - site->parts;
    unsigned count = wanted < left ? wanted : left;
    site->parts += count;
    return count;
}

void http_site_give_parts(struct http_site *site, unsigned count)
{
    site->parts -= count;
}
