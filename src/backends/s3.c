/* SPDX-License-Identifier: Apache-2.0 */
/*
 * s3://BUCKET/KEY, at AWS or at any server that speaks its protocol. The place is the account: its root holds the buckets,
 * which are made and removed as directories. Directories in a bucket are implied by keys; a key that ends in "/", which some
 * tools make to mark one, is no entry of its own. A version is an object's ETag.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backends.h"
#include "backends/s3_parts.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/seams.h"
#include "net/aws_profile.h"
#include "net/uri.h"

#define PART_SIZE_MIN ((uint64_t)5 << 20)
#define PART_SIZE_MAX ((uint64_t)5 << 30)

/* ---- info ---- */

/* Keys that begin with it and a slash make a directory, and so does a marker. */
static int CO_FN find_directory(struct s3_instance *s3, const char *path, const struct terms *terms,
                                struct answer *out)
{
    bool marker = false;
    int below = s3_has_below(s3, path, &marker);
    if (below < 0)
        return below;
    if (below == 0 && !marker)
        return fail(-ENOENT, "s3://%s/: there is no such directory", path);
    *out = (struct answer){.info.type = LARDER_DIRECTORY, .fresh_ms = -1, .stale_if_error_ms = -1};
    out->flags = terms->directory ? ANSWER_SLASH : 0;
    return 0;
}

static int CO_FN find_key(struct s3_instance *s3, const char *path, const struct terms *terms,
                          struct answer *out)
{
    struct terms plain = *terms;
    plain.directory = false;
    return http_info(&s3->http.instance, path, &plain, out);
}

/* A key may be a directory's path as well, of which a slash behind it speaks; else of the key. */
int CO_FN s3_info(struct instance *instance, const char *path, const struct terms *terms, struct answer *out)
{
    struct s3_instance *s3 = s3_of(instance);
    *out = (struct answer){.info.type = LARDER_DIRECTORY, .fresh_ms = -1, .stale_if_error_ms = -1};
    if (!*path)
        return 0;
    if (!*s3_name_of(path).key) {
        const struct s3_request request = {.path = path, .http = {.method = HTTP_HEAD}};
        return s3_do(s3, &request, NULL);
    }
    int rc = terms->directory ? find_directory(s3, path, terms, out) : find_key(s3, path, terms, out);
    if (rc != -ENOENT)
        return rc;
    struct error_slot words = *error_slot();
    rc = terms->directory ? find_key(s3, path, terms, out) : find_directory(s3, path, terms, out);
    if (rc == -ENOENT)
        *error_slot() = words;
    else if (rc == 0)
        error_clear();
    return rc;
}

/* There is no such key, and perhaps some below it. */
static int CO_FN explain_missing(struct instance *instance, const char *path, int rc)
{
    if (rc != -ENOENT)
        return rc;
    struct error_slot words = *error_slot();
    int below = s3_has_below(s3_of(instance), path, NULL);
    if (below > 0)
        return fail(-EISDIR, "s3://%s: a directory", path);
    *error_slot() = words;
    return rc;
}

static int CO_FN s3_read(struct instance *instance, const char *path, const struct larder_range *range,
                         const struct terms *terms, struct sink *sink, struct answer *out)
{
    if (!*s3_name_of(path).key)
        return fail(-EISDIR, "s3://%s: a %s", path, *path ? "bucket" : "list of buckets");
    return explain_missing(instance, path, http_read_file(instance, path, range, terms, sink, out));
}

static int CO_FN s3_properties(struct instance *instance, const char *path, struct larder_properties *out)
{
    if (!*s3_name_of(path).key)
        return fail(-EISDIR, "s3://%s: a %s", path, *path ? "bucket" : "list of buckets");
    return explain_missing(instance, path, http_properties(instance, path, out));
}

/* ---- the instance ---- */

/* In the order of the table. */
enum { ENDPOINT, REGION, PROFILE };
static const struct option s3_options[] = {
    [ENDPOINT] = {"endpoint", OPTION_TEXT, NULL, OPTION_IDENTITY,
                  "URL of the server, when it is not AWS's own; else $AWS_ENDPOINT_URL_S3, the profile's"},
    [REGION] = {"region", OPTION_TEXT, NULL, 0, "of the buckets; else $AWS_REGION, the profile's, us-east-1"},
    [PROFILE] = {"profile", OPTION_TEXT, NULL, OPTION_IDENTITY, "of ~/.aws/credentials and ~/.aws/config"},
    {"path_style", OPTION_BOOL, NULL, 0,
     "the bucket in the path and not in the host name; the default where there is an endpoint"},
    {"access_key", OPTION_TEXT, NULL, OPTION_IDENTITY, "id of the key to sign with"},
    {"secret_key", OPTION_TEXT, NULL, OPTION_SECRET, "the key itself"},
    {"session_token", OPTION_TEXT, NULL, OPTION_SECRET, "what belongs to keys that end"},
    {"anonymous", OPTION_BOOL, "false", OPTION_IDENTITY, "sign nothing"},
    {"conditional_writes", OPTION_BOOL, "true", 0,
     "the server knows If-None-Match and If-Match of a PUT; false: look beforehand, which is no promise"},
    {"copy_size_max", OPTION_SIZE, "5G", 0, "what is larger is copied in parts"},
    {"copy_part_size", OPTION_SIZE, "512M", 0, "of this size each"},
    HTTP_CONTENT_TYPE_OPTION,
    {"cache_control", OPTION_TEXT, NULL, OPTION_PER_HANDLE, "the same: what caches may do with them"},
    {"metadata", OPTION_TEXT, NULL, OPTION_PER_HANDLE, "the same: lines \"name: value\" of one's own"},
    HTTP_TRANSPORT_OPTIONS,
    {0},
};

/* Keys are written in the URL as they are, not encoded, as everywhere in S3. */
static int s3_locate(const struct backend *backend, const char *url, char **values, char **place, char **path)
{
    const char *named = strstr(url, "://") + 3;
    if (memchr(named, '@', strcspn(named, "/")))
        return fail(-EINVAL, "an s3 URL is s3://BUCKET/KEY: who asks is said by options or the environment");
    return place_is_all(named, place, path);
}

/* The first of the environment's variables that says something. */
static const char *from_environment(const char *first, const char *second)
{
    const char *text = getenv(first);
    text = text && *text ? text : getenv(second);
    return text && *text ? text : NULL;
}

static int fill(char **value, const char *first, const char *second)
{
    const char *text = first ? first : second;
    if (*value || !text)
        return 0;
    *value = mem_dup(text);
    return *value ? 0 : fail_memory();
}

static int s3_complete(char **values)
{
    struct aws_profile profile;
    const char *named =
        values[PROFILE] ? values[PROFILE] : from_environment("AWS_PROFILE", "AWS_DEFAULT_PROFILE");
    int rc = aws_profile_load(named ? named : "default", &profile, NULL);
    if (rc < 0)
        return rc;
    rc = fill(&values[ENDPOINT], from_environment("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
              profile.value[AWS_ENDPOINT_URL]);
    if (rc == 0)
        rc = fill(&values[REGION], from_environment("AWS_REGION", "AWS_DEFAULT_REGION"),
                  profile.value[AWS_REGION]);
    aws_profile_fini(&profile);
    return rc;
}

static int take_endpoint(struct s3_instance *s3, const char *endpoint)
{
    struct uri uri;
    int rc = uri_split_http(endpoint ? endpoint : "https://s3.amazonaws.com", &uri);
    if (rc < 0)
        return fail_more(rc, "option s3.endpoint");
    if ((uri.path.size > 0 && !slice_equal(uri.path, "/", false)) || uri.query.text || uri.userinfo.text)
        return fail(-EINVAL, "option s3.endpoint: more than a host");
    s3->origin = uri_origin(&uri);
    s3->scheme = s3->origin ? mem_dup_n(uri.scheme.text, uri.scheme.size) : NULL;
    s3->host = s3->scheme && endpoint ? mem_dup(strstr(s3->origin, "://") + 3) : NULL;
    s3->http.origin = s3->origin;
    return s3->scheme && (s3->host || !endpoint) ? 0 : fail_memory();
}

/* Whose objects: of which server, seen with which keys. */
static char *make_identity(const struct s3_instance *s3)
{
    const struct instance *instance = &s3->http.instance;
    const char *key = option_text(instance, "access_key"), *profile = option_text(instance, "profile");
    if (!key && !profile) {
        key = getenv("AWS_ACCESS_KEY_ID");
        profile = key ? NULL : from_environment("AWS_PROFILE", "AWS_DEFAULT_PROFILE");
    }
    autofree char *said =
        mem_format("%s\n%s\n%d", key ? key : "", profile ? profile : "", option_bool(instance, "anonymous"));
    return said ? mem_format("s3+%s#%016llx", s3->origin, (unsigned long long)hash_bytes(said, strlen(said)))
                : NULL;
}

static void s3_close(struct instance *instance)
{
    struct s3_instance *s3 = s3_of(instance);
    s3_regions_free(s3);
    aws_provider_free(s3->provider);
    mem_free(s3->origin);
    mem_free(s3->scheme);
    mem_free(s3->host);
    http_site_free(s3->http.site);
}

static int set_up(struct s3_instance *s3)
{
    struct instance *instance = &s3->http.instance;
    const char *endpoint = option_text(instance, "endpoint"), *region = option_text(instance, "region");
    const struct aws_config config = {.access_key = option_text(instance, "access_key"),
                                      .secret_key = option_text(instance, "secret_key"),
                                      .session_token = option_text(instance, "session_token"),
                                      .profile = option_text(instance, "profile"),
                                      .region = region,
                                      .anonymous = option_bool(instance, "anonymous")};
    int rc = take_endpoint(s3, endpoint);
    if (rc < 0)
        return rc;
    s3->region = region ? region : "us-east-1";
    s3->by_host = option_text(instance, "path_style") ? !option_bool(instance, "path_style") : !endpoint;
    s3->conditional = option_bool(instance, "conditional_writes");
    s3->copy_size_max = option_number(instance, "copy_size_max");
    s3->copy_part_size = option_number(instance, "copy_part_size");
    instance->identity = make_identity(s3);
    if (!instance->identity)
        return fail_memory();
    rc = aws_provider_new(&config, &s3->provider);
    return rc < 0 ? rc : http_make_site(&s3->http, (struct http_config){.encoding_is_stored = true});
}

static int s3_open(struct instance *instance)
{
    struct s3_instance *s3 = s3_of(instance);
    list_init(&s3->regions);
    s3->http.ask = s3_ask_http;
    int rc = set_up(s3);
    if (rc < 0) {
        s3_close(instance);
        return rc;
    }
    instance->can = (struct larder_capabilities){.list = true,
                                                 .write = true,
                                                 .create_only = s3->conditional,
                                                 .if_match = s3->conditional,
                                                 .persistent = true,
                                                 .remove_count_max = 1000,
                                                 .copy = true,
                                                 .stage = true,
                                                 .sign = true,
                                                 .part_size_min = PART_SIZE_MIN,
                                                 .part_size_max = PART_SIZE_MAX,
                                                 .part_count_max = S3_PARTS_MAX};
    return 0;
}

static char *s3_url(struct instance *instance, const char *path)
{
    return mem_format("s3://%s", path);
}

static const char *const protocols[] = {"s3", NULL};

const struct backend s3_backend = {
    .name = "s3",
    .protocols = protocols,
    .kind = ASYNC,
    .size = sizeof(struct s3_instance),
    .options = s3_options,
    .locate = s3_locate,
    .complete = s3_complete,
    .open = s3_open,
    .close = s3_close,
    .url = s3_url,
    .info = s3_info,
    .list = s3_list,
    .list_tree = s3_list_tree,
    .properties = s3_properties,
    .read = s3_read,
    .write = s3_write,
    .remove = s3_remove,
    .mkdir = s3_mkdir,
    .rmdir = s3_rmdir,
    .unmark = s3_unmark,
    .copy = s3_copy,
    .sign = s3_sign,
    .stage = s3_stage,
    .stage_part = s3_stage_part,
    .publish = s3_publish,
    .discard = s3_discard,
    .sweep = s3_sweep,
};
