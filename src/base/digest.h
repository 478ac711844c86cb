/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H
/* Digests that protocols ask for (OpenSSL's), and how they are written. Failures set a text. */
#include <stddef.h>
#include <stdint.h>

enum digest_type { DIGEST_MD5, DIGEST_SHA256 };
#define DIGEST_SIZE_MAX 32
size_t digest_size(enum digest_type type); /* bytes: 16, 32 */

/* Of all at once … */
int digest_of(enum digest_type type, const void *data, size_t size, unsigned char out[DIGEST_SIZE_MAX]);
/* … or piece by piece. Zero is not begun; begin and fini in pairs. */
struct digest {
    void *state;
};
int digest_begin(struct digest *digest, enum digest_type type);
int digest_add(struct digest *digest, const void *data, size_t size);
int digest_end(struct digest *digest, unsigned char out[DIGEST_SIZE_MAX]);
void digest_fini(struct digest *digest);

#define SHA256_SIZE 32
int hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                unsigned char out[SHA256_SIZE]);

#define HEX_SIZE(size)    (2 * (size) + 1)
#define BASE64_SIZE(size) (((size) + 2) / 3 * 4 + 1)
/* NUL-ended; lower-case hexadecimal; RFC 4648 §4 with its padding. */
void hex_format(const void *data, size_t size, char *out);
void base64_format(const void *data, size_t size, char *out);

#endif
