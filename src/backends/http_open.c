/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How HTTP and WebDAV are opened: their options, what a URL says beside them, the identity that follows, and the site
 * with its connections. S3 has options of its own, and shares those of the transport.
 */
#include <errno.h>
#include <string.h>

#include "backends/backends.h"
#include "backends/http_parts.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/option.h"
#include "net/uri.h"

const struct option http_options[] = {
    HTTP_TRANSPORT_OPTIONS,
    {"user", OPTION_TEXT, NULL, OPTION_IDENTITY, "name for basic authentication; else that of the URL"},
    {"password", OPTION_TEXT, NULL, OPTION_SECRET, "its password; else that of the URL"},
    {"bearer", OPTION_TEXT, NULL, OPTION_IDENTITY | OPTION_SECRET, "token for bearer authentication"},
    {"query", OPTION_TEXT, NULL, OPTION_IDENTITY | OPTION_SECRET,
     "the query that each request is sent with; else that of the URL"},
    {"path", OPTION_TEXT, NULL, 0,
     "a path as it is to be sent, which a signature may depend on; else that of the URL, where it is not "
     "written as usual"},
    {"netrc", OPTION_BOOL, "false", OPTION_IDENTITY, "take name and password from ~/.netrc"},
    {"headers", OPTION_TEXT, NULL, OPTION_IDENTITY | OPTION_SECRET,
     "lines \"Name: value\" to send with each request to this origin"},
    {"client_cert", OPTION_TEXT, NULL, OPTION_IDENTITY, "PEM file of the certificate to show"},
    {"client_key", OPTION_TEXT, NULL, 0, "PEM file of its key"},
    {"client_key_password", OPTION_TEXT, NULL, OPTION_SECRET, "which that key is encrypted with"},
    {"unix_socket", OPTION_TEXT, NULL, OPTION_IDENTITY, "path of a socket to connect to instead of the host"},
    {"write", OPTION_BOOL, NULL, 0, "send what changes something: over HTTP off, over WebDAV on unless set"},
    {"replace", OPTION_TEXT, "put", 0,
     "WebDAV: put; or move: a temporary file over the old one, where a PUT is seen half done (rclone)"},
    HTTP_CONTENT_TYPE_OPTION,
    {"content_md5", OPTION_BOOL, "true", 0, "send a digest with what is written, which the server may check"},
    {0},
};

/* The origin, and a digest of what else decides which bytes come. */
static char *make_identity(const struct instance *instance)
{
    static const char *const names[] = {"query",       "user",        "bearer",    "headers",
                                        "client_cert", "unix_socket", "user_agent"};
    struct buffer said = BUFFER((size_t)16 << 20);
    bool netrc = option_bool(instance, "netrc"), any = netrc;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *text = option_text(instance, names[i]);
        buffer_add(&said, text ? text : "", text ? strlen(text) + 1 : 1);
        any |= text != NULL;
    }
    buffer_add(&said, netrc ? "netrc" : "", netrc ? 6 : 1);
    uint64_t digest = said.status == 0 ? hash_bytes(said.data, said.size) : 0;
    /* WebDAV lists, and tells of files, in another way than HTTP. */
    const char *dav = instance->backend == &http_backend ? "" : "webdav:";
    char *identity = said.status < 0 ? NULL
                     : any ? mem_format("%s%s#%016llx", dav, instance->place, (unsigned long long)digest)
                           : mem_format("%s%s", dav, instance->place);
    buffer_free(&said);
    return identity;
}

/* "user:password", decoded. */
static int split_userinfo(const struct uri *uri, char **user, char **password)
{
    const char *text = uri->userinfo.text;
    if (!text)
        return 0;
    const char *colon = memchr(text, ':', uri->userinfo.size);
    size_t size = colon ? (size_t)(colon - text) : uri->userinfo.size;
    int rc = url_decode_path(text, size, user);
    if (rc == 0 && colon)
        rc = url_decode_path(colon + 1, uri->userinfo.size - size - 1, password);
    /* The text would show what was in it. */
    return rc == -EINVAL ? fail(rc, "the user or password of a URL: broken percent-encoding") : rc;
}

/* What the URL says, mem, becomes the value of an option that was not given. */
static void say(char **values, const char *name, char *text)
{
    char **value = option_slot(&http_backend, values, name);
    if (*value)
        mem_free(text);
    else
        *value = text;
}

/* A path can be written in many ways, of which a signed URL, which has a query, knows one. */
static int take_written_path(const struct uri *uri, const char *clean, char **values)
{
    bool signs = uri->query.text && uri->path.size > 0 && uri->path.text[uri->path.size - 1] != '/';
    if (!signs)
        return 0;
    autofree char *usual = url_encode_path(clean), *written = slice_dup(uri->path);
    if (!usual || !written)
        return fail_memory();
    if (strcmp(written + (*written == '/'), usual) != 0)
        say(values, "path", take(written));
    return 0;
}

/* The password is of that user, and of nobody whom an option names. */
static int take_secrets(const struct uri *uri, char **values)
{
    autofree char *user = NULL, *password = NULL;
    int rc = split_userinfo(uri, &user, &password);
    if (rc < 0)
        return rc;
    if (!*option_slot(&http_backend, values, "user"))
        say(values, "password", take(password));
    say(values, "user", take(user));
    char *query = uri->query.text ? slice_dup(uri->query) : NULL;
    if (uri->query.text && !query)
        return fail_memory();
    say(values, "query", query);
    return 0;
}

static int check_number(const struct instance *instance, const char *name, int64_t least, int64_t most)
{
    int64_t number = option_number(instance, name);
    if (number >= least && number <= most)
        return 0;
    return fail(-EINVAL, "option %s.%s: from %lld to %lld", instance->backend->name, name, (long long)least,
                (long long)most);
}

int http_make_site(struct http_instance *http, struct http_config config)
{
    const struct instance *instance = &http->instance;
    config.connect_timeout_ms = option_number(instance, "connect_timeout");
    config.stall_timeout_ms = option_number(instance, "stall_timeout");
    config.tries_max = (unsigned)option_number(instance, "max_tries");
    config.retry_timeout_ms = option_number(instance, "retry_timeout");
    config.connections_max = (unsigned)option_number(instance, "max_connections");
    http->instance.connections_max = config.connections_max;
    config.http1 = !option_bool(instance, "http2");
    config.insecure = option_bool(instance, "insecure");
    config.ca_file = option_text(instance, "ca_file");
    config.proxy = option_text(instance, "proxy");
    config.no_proxy = option_text(instance, "no_proxy");
    config.user_agent = option_text(instance, "user_agent");
    http->parts = option_text(instance, "parts") ? (unsigned)option_number(instance, "parts") : 0;
    http->part_size = option_number(instance, "part_size");
    http->guess_max_ms = option_number(instance, "heuristic");
    int rc = check_number(instance, "max_connections", 1, 4096);
    if (rc == 0)
        rc = check_number(instance, "max_tries", 1, 100);
    if (rc == 0 && option_text(instance, "parts"))
        rc = check_number(instance, "parts", 1, HTTP_PARTS_MAX);
    if (rc == 0)
        rc = check_number(instance, "part_size", 64 << 10, 1 << 30);
    return rc < 0 ? rc : http_site_new(&config, &http->site);
}

static int make_site(struct http_instance *http)
{
    const struct instance *instance = &http->instance;
    const struct http_config config = {
        .netrc = option_bool(instance, "netrc"),
        .own_connections = instance->gate,
        .user = option_text(instance, "user"),
        .password = option_text(instance, "password"),
        .bearer = option_text(instance, "bearer"),
        .headers = option_text(instance, "headers"),
        .client_cert = option_text(instance, "client_cert"),
        .client_key = option_text(instance, "client_key"),
        .client_key_password = option_text(instance, "client_key_password"),
        .unix_socket = option_text(instance, "unix_socket"),
    };
    return http_make_site(http, config);
}

static int make_path(const struct uri *uri, char **out, bool *slash)
{
    autofree char *decoded = NULL;
    int rc = url_decode_path(uri->path.text, uri->path.size, &decoded);
    return rc < 0 ? rc : path_resolve("", decoded, out, slash);
}

int http_locate(const struct backend *backend, const char *url, char **values, char **place, char **path)
{
    struct uri uri;
    autofree char *clean = NULL, *origin = NULL;
    bool slash;
    int rc = uri_split_http(url, &uri);
    if (rc == 0)
        rc = make_path(&uri, &clean, &slash);
    if (rc == 0)
        rc = take_secrets(&uri, values);
    if (rc == 0)
        rc = take_written_path(&uri, clean, values);
    if (rc < 0)
        return rc;
    origin = uri_origin(&uri);
    *path = origin ? mem_format("%s%s", clean, slash && *clean ? "/" : "") : NULL;
    if (!*path)
        return fail_memory();
    *place = take(origin);
    return 0;
}

void http_close_instance(struct instance *instance)
{
    http_site_free(http_of(instance)->site);
    mem_free(http_of(instance)->written_path);
    mem_free(http_of(instance)->finite_below);
}

/* Which path the option "path" writes. */
static int decode_written(struct http_instance *http)
{
    autofree char *decoded = NULL;
    http->written = option_text(&http->instance, "path");
    if (!http->written)
        return 0;
    int rc = url_decode_path(http->written, strlen(http->written), &decoded);
    return rc < 0 ? rc : path_resolve("", decoded, &http->written_path, NULL);
}

static struct larder_capabilities capabilities(const struct http_instance *http)
{
    bool write = option_text(&http->instance, "write") ? option_bool(&http->instance, "write") : http->dav;
    return (struct larder_capabilities){.list = true,
                                        .write = write,
                                        .create_only = write && http->dav,
                                        .real_directories = http->dav || !write,
                                        .parents_required = http->dav,
                                        .persistent = true,
                                        .remove_count_max = 1,
                                        .copy = write && http->dav};
}

int http_open_instance(struct instance *instance)
{
    struct http_instance *http = http_of(instance);
    http->origin = instance->place;
    http->query = option_text(instance, "query");
    http->dav = instance->backend != &http_backend;
    instance->can = capabilities(http);
    int rc = decode_written(http);
    if (rc < 0)
        return rc;
    instance->identity = make_identity(instance);
    rc = instance->identity ? make_site(http) : fail_memory();
    if (rc < 0)
        mem_free(take(http->written_path));
    return rc;
}

char *http_url(struct instance *instance, const char *path)
{
    autofree char *encoded = url_encode_path(path);
    if (!encoded)
        return NULL;
    const char *place = instance->place;
    return instance->backend == &http_backend ? mem_format("%s/%s", place, encoded)
                                              : mem_format("webdav%s/%s", place + strlen("http"), encoded);
}
