/* SPDX-License-Identifier: Apache-2.0 */
/* Against the values that RFC 1321, FIPS 180-2 and RFC 4231 print. */
#include "test.h"

#include <string.h>

#include "base/digest.h"

static const struct {
    enum digest_type type;
    const char *data, *hex;
} known[] = {
    {DIGEST_MD5, "", "d41d8cd98f00b204e9800998ecf8427e"},
    {DIGEST_MD5, "message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
    {DIGEST_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {DIGEST_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
};

static void digests_are_as_published(void **state)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        unsigned char out[DIGEST_SIZE_MAX];
        char hex[HEX_SIZE(DIGEST_SIZE_MAX)];
        assert_ok(digest_of(known[i].type, known[i].data, strlen(known[i].data), out));
        hex_format(out, digest_size(known[i].type), hex);
        assert_string_equal(hex, known[i].hex);
    }
}

static void pieces_make_the_digest_of_the_whole(void **state)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct digest digest = {0};
        unsigned char out[DIGEST_SIZE_MAX];
        char hex[HEX_SIZE(DIGEST_SIZE_MAX)];
        assert_ok(digest_begin(&digest, known[i].type));
        for (const char *at = known[i].data; *at; at++)
            assert_ok(digest_add(&digest, at, 1));
        assert_ok(digest_end(&digest, out));
        digest_fini(&digest);
        hex_format(out, digest_size(known[i].type), hex);
        assert_string_equal(hex, known[i].hex);
    }
}

static void hmac_is_as_in_rfc_4231(void **state)
{
    static const struct {
        const char *key, *data, *hex;
    } cases[] = {
        {"\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b", "Hi There",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"Jefe", "what do ya want for nothing?",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    };
    for (size_t i = 0; i < 2; i++) {
        unsigned char out[SHA256_SIZE];
        char hex[HEX_SIZE(SHA256_SIZE)];
        assert_ok(hmac_sha256(cases[i].key, strlen(cases[i].key), cases[i].data, strlen(cases[i].data), out));
        hex_format(out, sizeof out, hex);
        assert_string_equal(hex, cases[i].hex);
    }
}

static void base64_is_as_in_rfc_4648(void **state)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        char out[BASE64_SIZE(6)];
        base64_format(pairs[i][0], strlen(pairs[i][0]), out);
        assert_string_equal(out, pairs[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_as_published),
        cmocka_unit_test(pieces_make_the_digest_of_the_whole),
        cmocka_unit_test(hmac_is_as_in_rfc_4231),
        cmocka_unit_test(base64_is_as_in_rfc_4648),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
