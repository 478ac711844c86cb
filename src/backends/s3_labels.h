/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BACKENDS_S3_LABELS_H
#define BACKENDS_S3_LABELS_H
/*
 * What is said of an object when it is made, as headers to be signed: the type and so on of a handle (fs/labels.h), or of
 * an object that is copied; and the write id.
 *
 * A write id is a random text that an object keeps as one more entry of its metadata, which nobody is shown. By it one
 * knows, after an answer that was lost, whether what is there now is what this very write made: its ETag would be the
 * same for another's equal bytes. Uploads have one, and writes under a condition.
 */
#include "backends/s3_parts.h"
#include "fs/labels.h"

#define S3_WRITE_ID_SIZE 33

struct s3_headers {
    struct sigv4_pair *pair; /* ended by a NULL name; the texts too are mem */
    size_t count;
};
void s3_headers_fini(struct s3_headers *headers);
/* In place of one of this name (in lower case). */
int s3_headers_set(struct s3_headers *headers, const char *name, const char *value);
/* As a handle says of the file at `path`; `labels` may be NULL. */
int s3_headers_say(struct s3_headers *headers, const struct labels *labels, const char *path);
/* As an object's own, by HEAD. */
int CO_FN s3_headers_of(struct s3_instance *s3, const char *path, struct s3_headers *out);

void s3_write_id_make(char out[S3_WRITE_ID_SIZE]);
/* Was the object at `path` made by this write? 1, and what it is (`out` may be NULL); 0, or there is none; a failure to
 * find out. The error text stays as it is. */
int CO_FN s3_is_written(struct s3_instance *s3, const char *path, const char *write_id, struct answer *out);

#endif
