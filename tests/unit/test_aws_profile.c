/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder/status.h"
#include "net/aws_profile.h"
#include "tmpdir.h"

static int parse(const char *text, bool config, const char *name, struct aws_profile *out, bool *found)
{
    *out = (struct aws_profile){0};
    *found = false;
    return aws_profile_parse(text, strlen(text), config, name, "FILE", out, found);
}

static const char credentials[] = "# of all machines\n"
                                  "[default]\n"
                                  "aws_access_key_id = AKDEFAULT\n"
                                  "aws_secret_access_key=se=cret/+ # with a comment\n"
                                  "\r\n"
                                  "[ other ]\n"
                                  "aws_access_key_id\t=\tAKOTHER   \r\n"
                                  "aws_session_token = a#b;c\n"
                                  "unknown_thing = 1";

static void a_section_of_the_credentials_file(void **state)
{
    struct aws_profile profile;
    bool found;
    assert_ok(parse(credentials, false, "default", &profile, &found));
    assert_true(found);
    assert_string_equal(profile.value[AWS_ACCESS_KEY], "AKDEFAULT");
    assert_string_equal(profile.value[AWS_SECRET_KEY], "se=cret/+");
    assert_null(profile.value[AWS_SESSION_TOKEN]);
    aws_profile_fini(&profile);
    assert_ok(parse(credentials, false, "other", &profile, &found));
    assert_string_equal(profile.value[AWS_ACCESS_KEY], "AKOTHER");
    assert_string_equal(profile.value[AWS_SESSION_TOKEN], "a#b;c");
    assert_null(profile.value[AWS_SECRET_KEY]);
    aws_profile_fini(&profile);
    assert_ok(parse(credentials, false, "none", &profile, &found));
    assert_false(found);
}

static void a_section_of_the_config_file(void **state)
{
    static const char config[] = "[default]\nregion = eu-west-1\n"
                                 "[profile dev]\nregion=us-west-2\n"
                                 "s3 =\n  addressing_style = path\n  region = not-this\n"
                                 "role_arn = arn:aws:iam::1:role/r\nsource_profile = default\n"
                                 "[dev]\nregion = nor-this\n[sso-session dev]\nregion = nor-that\n";
    struct aws_profile profile;
    bool found;
    assert_ok(parse(config, true, "dev", &profile, &found));
    assert_true(found);
    assert_string_equal(profile.value[AWS_REGION], "us-west-2");
    assert_string_equal(profile.value[AWS_ROLE_ARN], "arn:aws:iam::1:role/r");
    assert_string_equal(profile.value[AWS_SOURCE_PROFILE], "default");
    aws_profile_fini(&profile);
    assert_ok(parse(config, true, "default", &profile, &found));
    assert_string_equal(profile.value[AWS_REGION], "eu-west-1");
    aws_profile_fini(&profile);
}

static void what_is_no_such_file_is_told_with_its_line_and_without_its_text(void **state)
{
    static const char *const broken[] = {"[default]\nsecretsecret\n", "[default]\n[unclosed\n"};
    struct aws_profile profile;
    bool found;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(parse(broken[i], false, "default", &profile, &found), -EINVAL);
        assert_non_null(strstr(larder_error(), "FILE, line 2"));
        assert_null(strstr(larder_error(), "secretsecret"));
        aws_profile_fini(&profile);
    }
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void both_files_together_and_either_missing(void **state)
{
    char *dir = tmpdir_make(), *home = tmpdir_path(dir, "credentials"), *config = tmpdir_path(dir, "config");
    struct aws_profile profile;
    bool found;
    setenv("AWS_SHARED_CREDENTIALS_FILE", home, 1);
    setenv("AWS_CONFIG_FILE", config, 1);
    assert_ok(aws_profile_load("default", &profile, &found));
    assert_false(found);
    write_text(config, "[default]\nregion = r\naws_access_key_id = FROM_CONFIG\n");
    assert_ok(aws_profile_load("default", &profile, &found));
    assert_true(found);
    assert_string_equal(profile.value[AWS_ACCESS_KEY], "FROM_CONFIG");
    aws_profile_fini(&profile);
    write_text(home, credentials);
    assert_ok(aws_profile_load("default", &profile, &found));
    assert_string_equal(profile.value[AWS_ACCESS_KEY], "AKDEFAULT");
    assert_string_equal(profile.value[AWS_REGION], "r");
    aws_profile_fini(&profile);
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    unsetenv("AWS_CONFIG_FILE");
    free(home);
    free(config);
    tmpdir_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_of_the_credentials_file),
        cmocka_unit_test(a_section_of_the_config_file),
        cmocka_unit_test(what_is_no_such_file_is_told_with_its_line_and_without_its_text),
        cmocka_unit_test(both_files_together_and_either_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
