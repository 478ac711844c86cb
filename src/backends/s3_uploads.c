/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads that were begun and neither completed nor aborted (larder/s3.h). */
#include "larder/s3.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backends.h"
#include "backends/s3_parts.h"
#include "base/arena.h"
#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "base/text.h"
#include "fs/enter.h"

/* ---- what is found ---- */

struct found {
    struct arena texts;
    struct larder_s3_upload *upload; /* mem */
    size_t count, capacity;
};

static void found_free(struct found *found)
{
    if (!found)
        return;
    arena_free(&found->texts);
    mem_free(found->upload);
    mem_free(found);
}

void larder_s3_uploads_free(struct larder_s3_uploads *uploads)
{
    if (!uploads)
        return;
    found_free(uploads->owner);
    *uploads = (struct larder_s3_uploads){0};
}

static int found_add(struct found *found, const char *path, const char *id, int64_t begun_ns)
{
    if (found->count == found->capacity) {
        size_t capacity = found->capacity ? 2 * found->capacity : 16;
        struct larder_s3_upload *larger = mem_resize(found->upload, capacity * sizeof *larger);
        if (!larger)
            return fail_memory();
        found->upload = larger;
        found->capacity = capacity;
    }
    const struct larder_s3_upload upload = {arena_dup(&found->texts, path), arena_dup(&found->texts, id),
                                            begun_ns};
    if (!upload.path || !upload.id)
        return fail_memory();
    found->upload[found->count++] = upload;
    return 0;
}

static int by_path(const void *a, const void *b)
{
    const struct larder_s3_upload *first = a, *second = b;
    int order = strcmp(first->path, second->path);
    return order ? order : strcmp(first->id, second->id);
}

/* ---- asking ---- */

struct search {
    struct s3_instance *s3;
    const char *root; /* of the handle; paths are relative to it */
    const char *path; /* full */
    struct found *found;
};

/* Where a listing of uploads goes on; mem, both NULL at first and behind the last. */
struct marker {
    char *key, *id;
};

static void marker_fini(struct marker *marker)
{
    mem_free(marker->key);
    mem_free(marker->id);
    *marker = (struct marker){0};
}

/* `wanted`, a key, stands for itself and what is below it. Keys are encoded as they were asked for, whether or not the
 * answer says so; markers only if it does (Ceph's gateway does not). */
static int take_upload(const struct search *search, const char *bucket, const char *wanted,
                       const struct xml_node *node)
{
    bool failed = false;
    int64_t begun_ns = 0;
    autofree char *key = NULL;
    autofree char *id = xml_text(xml_child(node, "UploadId"), &failed);
    autofree char *begun = xml_text(xml_child(node, "Initiated"), &failed);
    int rc = s3_decode_key(xml_child(node, "Key"), true, &key);
    if (rc < 0)
        return rc;
    if (failed || !id)
        return failed ? fail_memory() : fail(-EPROTO, "s3://%s: an upload without an id", bucket);
    if (!path_within(wanted, key))
        return 0;
    if (begun && parse_rfc3339(begun, &begun_ns) < 0)
        begun_ns = 0;
    autofree char *path = mem_format("%s/%s", bucket, key);
    return path ? found_add(search->found, path_below(search->root, path), id, begun_ns) : fail_memory();
}

static int take_marker(const struct xml_node *root, struct marker *marker)
{
    bool failed = false, more = false, encoded = xml_child(root, "EncodingType");
    autofree char *truncated = xml_text(xml_child(root, "IsTruncated"), &failed);
    const struct xml_node *key = xml_child(root, "NextKeyMarker");
    marker_fini(marker);
    if (failed)
        return fail_memory();
    if (truncated && parse_bool(truncated, &more) < 0)
        return fail(-EPROTO, "a list of uploads that does not say whether it goes on");
    if (!more)
        return 0;
    if (!key)
        return fail(-EPROTO, "a list of uploads that does not say where it goes on");
    marker->id = xml_text(xml_child(root, "NextUploadIdMarker"), &failed);
    return failed ? fail_memory() : s3_decode_key(key, encoded, &marker->key);
}

static int CO_FN search_page(const struct search *search, const char *bucket, const char *wanted,
                             struct marker *marker)
{
    struct s3_request request = {
        .path = bucket,
        .query = {{"uploads", ""}, {"prefix", wanted}, {"encoding-type", "url"}},
        .http = {.method = HTTP_GET},
    };
    struct xml *xml;
    if (marker->key)
        request.query[3] = (struct sigv4_pair){"key-marker", marker->key};
    if (marker->id)
        request.query[4] = (struct sigv4_pair){"upload-id-marker", marker->id};
    int rc = s3_ask_result(search->s3, &request, "ListMultipartUploadsResult", &xml);
    if (rc < 0)
        return rc;
    const struct xml_node *root = xml_root(xml), *node = xml_child(root, "Upload");
    for (; rc == 0 && node; node = xml_next(node, "Upload"))
        rc = take_upload(search, bucket, wanted, node);
    if (rc == 0)
        rc = take_marker(root, marker);
    xml_free(xml);
    return rc;
}

static int CO_FN search_bucket(const struct search *search, const char *bucket, const char *wanted)
{
    struct marker marker = {0};
    int rc;
    do
        rc = search_page(search, bucket, wanted, &marker);
    while (rc == 0 && marker.key);
    marker_fini(&marker);
    return rc;
}

static int CO_FN search_account(const struct search *search)
{
    struct larder_entries buckets = {0};
    struct cursor cursor = {0};
    int rc = s3_list(&search->s3->http.instance, "", &TERMS_NONE, &cursor, &buckets, NULL);
    for (size_t i = 0; rc == 0 && i < buckets.count; i++)
        rc = search_bucket(search, buckets.info[i].name, "");
    larder_entries_free(&buckets);
    cursor_free(&cursor);
    return rc;
}

static int CO_FN search_path(const struct search *search)
{
    if (!*search->path)
        return search_account(search);
    struct s3_name name = s3_name_of(search->path);
    autofree char *bucket = mem_dup_n(search->path, name.bucket_size);
    return bucket ? search_bucket(search, bucket, name.key) : fail_memory();
}

int CO_FN s3_find_uploads(struct s3_instance *s3, const char *path, struct larder_s3_uploads *out)
{
    struct search search = {.s3 = s3, .root = "", .path = path, .found = mem_zero(sizeof *search.found)};
    if (!search.found)
        return fail_memory();
    int rc = search_path(&search);
    if (rc < 0)
        found_free(search.found);
    else
        *out = (struct larder_s3_uploads){search.found->upload, search.found->count, search.found};
    return rc;
}

static int CO_EDGE search_task(void *arg)
{
    return search_path(arg);
}

/* ---- the calls ---- */

static int find_s3(const struct larder_fs *fs, struct s3_instance **out)
{
    struct instance *instance = fs->instance;
    while (instance->backend->view)
        instance = instance->next->instance;
    if (instance->backend != &s3_backend)
        return fail(-ENOTSUP, "%s: no place that speaks S3", instance->backend->name);
    *out = s3_of(instance);
    return 0;
}

int larder_s3_uploads(struct larder_fs *fs, const char *path, struct larder_s3_uploads *out)
{
    autofree char *full = NULL;
    struct search search = {.root = fs->root};
    error_clear();
    int rc = path_resolve(fs->root, path, &full, NULL);
    if (rc == 0)
        rc = find_s3(fs, &search.s3);
    if (rc < 0)
        return rc;
    search.path = full;
    search.found = mem_zero(sizeof *search.found);
    if (!search.found)
        return fail_memory();
    rc = enter_task(fs, path, search_task, &search);
    if (rc < 0) {
        found_free(search.found);
        return rc;
    }
    if (search.found->count > 1)
        qsort(search.found->upload, search.found->count, sizeof *search.found->upload, by_path);
    *out = (struct larder_s3_uploads){search.found->upload, search.found->count, search.found};
    return 0;
}

struct aborting {
    struct s3_instance *s3;
    const char *path, *id;
};

static int CO_EDGE abort_task(void *arg)
{
    const struct aborting *aborting = arg;
    return s3_abort(aborting->s3, aborting->path, aborting->id);
}

int larder_s3_abort(struct larder_fs *fs, const struct larder_s3_upload *upload)
{
    struct aborting aborting = {.id = upload->id};
    error_clear();
    int rc = find_s3(fs, &aborting.s3);
    if (rc < 0)
        return rc;
    /* As the server has it: not what path_resolve would allow. */
    autofree char *full = path_join(fs->root, upload->path);
    if (!full)
        return fail_memory();
    aborting.path = full;
    return enter_task(fs, upload->path, abort_task, &aborting);
}
