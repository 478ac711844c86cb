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

void http_site_free(struct http_site *site)
{
    if (!site)
        return;
    assert(site->live == 0 || site->generation != process_generation());
    close_own(site->own);
    char *const texts[] = {site->user,    site->password,    site->bearer,
                           site->ca_file, site->client_cert, site->client_key,
                           site->proxy,   site->unix_socket, site->user_agent};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        mem_free(texts[i]);
    curl_slist_free_all(site->headers);
    mem_free(site);
}

int header_list_add(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        return fail_memory();
    *list = longer;
    return 0;
}

static int add_site_headers(struct http_site *site, const char *lines)
{
    while (*lines) {
        size_t size = strcspn(lines, "\n");
        size_t used = size > 0 && lines[size - 1] == '\r' ? size - 1 : size;
        autofree char *line = mem_dup_n(lines, used);
        if (!line)
            return fail_memory();
        if (used > 0 && (!strchr(line, ':') || line[0] == ':'))
            return fail(-EINVAL, "option headers: a line is not of the form \"Name: value\"");
        int rc = used > 0 ? header_list_add(&site->headers, line) : 0;
        if (rc < 0)
            return rc;
        lines += size + (lines[size] == '\n');
    }
    return 0;
}

static bool copy_text(char **out, const char *text)
{
    *out = text ? mem_dup(text) : NULL;
    return !text || *out;
}

int http_site_new(const struct http_config *config, struct http_site **out)
{
    static atomic_uint_fast64_t serials;
    struct http_site *site = mem_zero(sizeof *site);
    autofree char *agent = mem_format("larder/%s", larder_version());
    if (!site || !agent) {
        mem_free(site);
        return fail_memory();
    }
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
    bool copied = copy_text(&site->user, config->user) && copy_text(&site->password, config->password) &&
                  copy_text(&site->bearer, config->bearer) && copy_text(&site->ca_file, config->ca_file) &&
                  copy_text(&site->client_cert, config->client_cert) &&
                  copy_text(&site->client_key, config->client_key) &&
                  copy_text(&site->proxy, config->proxy) &&
                  copy_text(&site->unix_socket, config->unix_socket) &&
                  copy_text(&site->user_agent, config->user_agent ? config->user_agent : agent);
    site->own = config->own_connections ? mem_zero(sizeof *site->own) : NULL;
    copied = copied && (site->own || !config->own_connections);
    int rc = copied ? add_site_headers(site, config->headers ? config->headers : "") : fail_memory();
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
    site->live = 0;
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
