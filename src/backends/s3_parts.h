/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_S3_PARTS_H
#define BACKENDS_S3_PARTS_H
/*
 * What the files of the S3 backend share. A path is BUCKET/KEY; the root holds the buckets. Reading is http's
 * (http_read.c), which asks through the dialect of s3_ask.c.
 */
#include "backends/http_parts.h"
#include "net/aws_keys.h"
#include "net/sigv4.h"
#include "net/xml.h"

struct s3_instance {
    struct http_instance http;
    /* const after open */
    struct aws_provider *provider;
    char *origin, *scheme; /* of the endpoint */
    char *host;            /* the same, with its port; NULL: AWS's own, which the region is part of */
    const char *region;    /* of buckets that nobody corrected */
    bool by_host;          /* the bucket is in front of the host, else of the path */
    int64_t copy_size_max, copy_part_size; /* of one CopyObject; of the parts of what is larger */
    bool conditional;                      /* the server knows If-None-Match and If-Match of a PUT */
    /* the loop's */
    int64_t skew_ns;     /* the server's clock is so much ahead */
    struct list regions; /* of buckets that are elsewhere: s3_ask.c */
    bool unquoted_match; /* this server compares If-Match without quotes */
    bool no_copy;        /* it refused a copy as such */
};
static inline struct s3_instance *s3_of(struct instance *instance)
{
    return (struct s3_instance *)instance;
}

/* "bucket/a/b" is the key "a/b" of "bucket"; "bucket" has the key "". */
struct s3_name {
    size_t bucket_size;
    const char *key;
};
struct s3_name s3_name_of(const char *path);

#define S3_PARTS_MAX 10000 /* of an upload */
#define S3_PAIRS_MAX 8
struct s3_request {
    const char *path;                        /* BUCKET/KEY, BUCKET, or "": of the account */
    struct sigv4_pair query[S3_PAIRS_MAX];   /* ended by a NULL name */
    struct sigv4_pair headers[S3_PAIRS_MAX]; /* to be signed; names in lower case; likewise */
    const struct sigv4_pair *more;           /* of them; likewise, but any number. NULL: none */
    const void *data;                        /* the body; NULL: none */
    size_t size;
    struct http_request http; /* method, range, conditions, tries; maybe_done, which is only ever set, not
                                 cleared; the rest is made here */
};
/*
 * Sign and send. Returns when the headers of a good answer are there (2xx), or with the failure that the answer's error
 * document names; region, clock, keys and server were corrected on the way. `asked->transfer` is to be closed.
 */
int CO_FN s3_ask(struct s3_instance *s3, const struct s3_request *request, struct asked *asked);
/* The same, and its body as a tree; NULL where the body is empty. An <Error> that comes with a 200 is the failure that it
 * says, tried again as if it had come with its own status. */
int CO_FN s3_ask_xml(struct s3_instance *s3, const struct s3_request *request, struct xml **out);
/* The same, where the root must have this name: another document, or none, is -EPROTO, whatever its status. */
int CO_FN s3_ask_result(struct s3_instance *s3, const struct s3_request *request, const char *root,
                        struct xml **out);
int CO_FN s3_do_for(struct s3_instance *s3, const struct s3_request *request, const char *root);
/* The same, where the body does not matter. *etag (may be NULL): what the header says; mem, NULL when it does not. */
int CO_FN s3_do(struct s3_instance *s3, const struct s3_request *request, char **etag);
/* The failure that an error document is, with text. `status`: of the answer. */
int s3_fail_code(const char *code, const char *message, int status);

/* How http_ask asks here. */
int CO_FN s3_ask_http(struct http_instance *http, const char *path, struct http_request *request,
                      struct asked *out);
void s3_regions_free(struct s3_instance *s3);
/* A URL that works without keys; mem. */
int CO_FN s3_sign(struct instance *instance, const char *path, uint32_t expires_s, char **url);

/* Operations of the table, by file. */
int CO_FN s3_info(struct instance *instance, const char *path, const struct terms *terms, struct answer *out);
int CO_FN s3_list(struct instance *instance, const char *path, const struct terms *terms,
                  struct cursor *cursor, struct larder_entries *page, struct answer *out);
int CO_FN s3_list_tree(struct instance *instance, const char *path, const struct terms *terms,
                       struct cursor *cursor, struct larder_entries *page, struct answer *out);
/* The key in a listing's element, decoded if its answer said that it encodes; mem. */
int s3_decode_key(const struct xml_node *node, bool encoded, char **out);
/* Is there a key that begins with path + "/"? 1, 0, or a failure. `marker` (may be NULL): is that key itself there? */
int CO_FN s3_has_below(struct s3_instance *s3, const char *path, bool *marker);

int CO_FN s3_write(struct instance *instance, const char *path, struct source *source, unsigned flags,
                   const char *if_match, struct answer *out);
/* What a condition asks, looked at beforehand: -EEXIST, -ESTALE. Where the server itself does not decide. */
int CO_FN s3_check_before(struct s3_instance *s3, const char *path, unsigned flags, const char *if_match);
/* LARDER_CREATE was refused with `rc`, -ESTALE: -EEXIST where it is there. */
int CO_FN s3_refuse_create(struct s3_instance *s3, const char *path, int rc);
/* Is the path's bucket there? 1, 0, or a failure. */
int CO_FN s3_has_bucket(struct s3_instance *s3, const char *path);
/* One object, there or not. */
int CO_FN s3_delete(struct s3_instance *s3, const char *path);
int CO_FN s3_remove(struct instance *instance, const char *const paths[], size_t count, int status[]);
int CO_FN s3_mkdir(struct instance *instance, const char *path, unsigned flags);
int CO_FN s3_rmdir(struct instance *instance, const char *path);
int CO_FN s3_unmark(struct instance *instance, const char *const paths[], size_t count);
int CO_FN s3_copy(struct instance *instance, const char *from, const char *to, unsigned flags,
                  const struct labels *labels);

int CO_FN s3_stage(struct instance *instance, const char *path, const struct labels *labels, uint64_t id,
                   struct token *out);
int CO_FN s3_stage_part(struct instance *instance, const char *path, const struct token *token, uint32_t part,
                        int64_t offset, const void *data, size_t size);
int CO_FN s3_publish(struct instance *instance, const char *path, const struct token *token, int64_t size,
                     unsigned flags, const char *if_match, struct answer *out);
int CO_FN s3_discard(struct instance *instance, const char *path, const struct token *token);
/* The same with what is said of the object `as` (NULL: nothing), but for what the labels say. */
int CO_FN s3_stage_with(struct s3_instance *s3, const char *path, const char *as, const struct labels *labels,
                        struct token *out);
/* A write as an upload: of what is large, and of what comes piece by piece. */
int CO_FN s3_write_in_parts(struct s3_instance *s3, const char *path, struct source *source, unsigned flags,
                            const char *if_match, struct answer *out);
/* How large the index-th part of such a write is, so that S3_PARTS_MAX hold what S3 allows, 5 TiB; where nobody knows
 * how much it will be (size -1) the later ones are larger. */
int64_t s3_part_size(int64_t size, unsigned index);
/* Drop an upload's parts; of one that is gone: 0. -EBUSY: parts go on arriving. */
int CO_FN s3_abort(struct s3_instance *s3, const char *path, const char *upload);
/* A write failed with `rc`, or was cancelled: drop what it uploaded. Returns rc, with its text. */
int CO_FN s3_give_up(struct s3_instance *s3, const char *path, const struct token *token, int rc);
/* The uploads of `path`, in full, and of what is below it: larder_s3_uploads. */
struct larder_s3_uploads;
int CO_FN s3_find_uploads(struct s3_instance *s3, const char *path, struct larder_s3_uploads *out);
/* Has a part of this upload arrived? 1, 0 (also when it is gone), or a failure. */
int CO_FN s3_upload_has_part(struct s3_instance *s3, const char *path, const char *upload);
int CO_FN s3_sweep(struct instance *instance, const char *path, uint64_t id, int64_t since_ns);
/* What the headers of an answer to a write say of the file that is there now. */
int s3_answer_of_write(const char *etag, int64_t size, struct answer *out);

#endif
