/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <errno.h>
#include <limits.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/error.h"

static const EVP_MD *algorithm(enum digest_type type)
{
    return type == DIGEST_MD5 ? EVP_md5() : EVP_sha256();
}

size_t digest_size(enum digest_type type)
{
    return (size_t)EVP_MD_size(algorithm(type));
}

/* Without memory; or MD5, where a policy forbids it. */
static int refused(enum digest_type type)
{
    return fail(-ENOTSUP, "OpenSSL makes no %s digest", type == DIGEST_MD5 ? "MD5" : "SHA-256");
}

int digest_of(enum digest_type type, const void *data, size_t size, unsigned char out[DIGEST_SIZE_MAX])
{
    return EVP_Digest(data, size, out, NULL, algorithm(type), NULL) ? 0 : refused(type);
}

int digest_begin(struct digest *digest, enum digest_type type)
{
    digest->state = EVP_MD_CTX_new();
    if (!digest->state)
        return fail_memory();
    if (EVP_DigestInit_ex(digest->state, algorithm(type), NULL))
        return 0;
    digest_fini(digest);
    return refused(type);
}

int digest_add(struct digest *digest, const void *data, size_t size)
{
    return EVP_DigestUpdate(digest->state, data, size) ? 0 : fail_memory();
}

int digest_end(struct digest *digest, unsigned char out[DIGEST_SIZE_MAX])
{
    return EVP_DigestFinal_ex(digest->state, out, NULL) ? 0 : fail_memory();
}

void digest_fini(struct digest *digest)
{
    EVP_MD_CTX_free(digest->state);
    digest->state = NULL;
}

int hmac_sha256(const void *key, size_t key_size, const void *data, size_t size,
                unsigned char out[SHA256_SIZE])
{
    if (key_size > INT_MAX)
        return fail(-EINVAL, "a key of %zu bytes", key_size);
    return HMAC(EVP_sha256(), key, (int)key_size, data, size, out, NULL) ? 0 : refused(DIGEST_SHA256);
}

void hex_format(const void *data, size_t size, char *out)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        *out++ = "0123456789abcdef"[bytes[i] >> 4];
        *out++ = "0123456789abcdef"[bytes[i] & 15];
    }
    *out = 0;
}

void base64_format(const void *data, size_t size, char *out)
{
    EVP_EncodeBlock((unsigned char *)out, data, (int)size); /* adds the NUL; `size` is a digest's */
}
