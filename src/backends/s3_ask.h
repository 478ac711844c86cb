/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_S3_ASK_H
#define BACKENDS_S3_ASK_H
/*
 * What the three files share that ask an S3 server: s3_request.c makes a request, s3_ask.c sends it, and corrects it by
 * what the answer says, s3_answer.c reads that.
 */
#include "backends/s3_parts.h"
#include "base/buffer.h"
#include "base/digest.h"

/* ---- s3_request.c ---- */

struct s3_prepared {
    char *url;            /* mem */
    struct buffer lines;  /* of the headers, each ended by NUL */
    const char **headers; /* NULL-ended; mem */
    unsigned keys_serial; /* of the keys that signed it */
};
/* The SHA-256 of a request's body, which does not change from try to try. */
int CO_FN s3_hash_payload(const struct s3_request *request, char out[HEX_SIZE(SHA256_SIZE)]);
/*
 * `elsewhere`: the URL that a redirect leads to; NULL: nowhere. On a host of the endpoint's, or of AWS where there is none, it is
 * signed as if it had been meant from the first. Anywhere else it is asked as it stands, and nothing of the keys goes there.
 */
int CO_FN s3_prepare(struct s3_instance *s3, const struct s3_request *request, const char *payload,
                     const char *elsewhere, struct s3_prepared *out);
void s3_prepared_fini(struct s3_prepared *prepared);
/* The bucket of `path` is in this region. 1: that is another than was thought; 0: it is not, or is none. */
int s3_learn_region(struct s3_instance *s3, const char *path, const char *region);

/* ---- s3_answer.c ---- */

/* What an error document says; mem, NULL where it does not. */
struct s3_refusal {
    char *code, *message, *region;
};
/* A document that cannot be read says nothing, which is no failure of its own: the status stands. */
int CO_FN s3_read_refusal(const struct asked *asked, struct s3_refusal *out);
void s3_refusal_fini(struct s3_refusal *refusal);
/* The failure that it is, of the answer; worth another try where it may pass. It has a code. */
int s3_fail_refusal(const struct asked *asked, const struct s3_refusal *refusal);
/* The body as a tree, NULL where it is empty; an error document is the failure that it says. */
int CO_FN s3_read_xml(const struct asked *asked, struct xml **out);

#endif
