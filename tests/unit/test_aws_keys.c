/* SPDX-License-Identifier: Apache-2.0 */
/* Where keys come from: every place by itself, the order, ends and failures. The services are played on loopback. */
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "larder.h"
#include "net/aws_keys.h"

#include "fault_server.h"
#include "task_test.h"
#include "tmpdir.h"
#include "tree.h"

static struct fault_server *server;
static char *dir;

static const char *const variables[] = {"AWS_ACCESS_KEY_ID",
                                        "AWS_SECRET_ACCESS_KEY",
                                        "AWS_SESSION_TOKEN",
                                        "AWS_PROFILE",
                                        "AWS_WEB_IDENTITY_TOKEN_FILE",
                                        "AWS_ROLE_ARN",
                                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                        "AWS_EC2_METADATA_DISABLED"};

static int clean(void **state)
{
    char path[512];
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        unsetenv(variables[i]);
    snprintf(path, sizeof path, "%s/credentials", dir);
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    unlink(path);
    snprintf(path, sizeof path, "%s/config", dir);
    setenv("AWS_CONFIG_FILE", path, 1);
    unlink(path);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", fault_server_url(server), 1);
    setenv("AWS_ENDPOINT_URL_STS", fault_server_url(server), 1);
    fault_clear(server);
    fault_forget(server);
    return 0;
}

static int setup(void **state)
{
    server = fault_server_start();
    dir = tmpdir_make();
    return 0;
}

static int teardown(void **state)
{
    fault_server_stop(server);
    tmpdir_remove(dir);
    return 0;
}

static void put(const char *name, const char *text)
{
    tree_write(dir, name, text, strlen(text));
}

static void answer(const char *method, const char *path, int status, const char *body)
{
    fault_on(server, (struct fault_match){.method = method, .path = path},
             (struct fault){.status = status, .body = body, .body_size = strlen(body)});
}

/* ---- asking a provider ---- */

struct ask {
    struct aws_provider *provider;
    char text[256]; /* "ACCESS SECRET TOKEN" */
    unsigned serial;
};

static int CO_FN do_ask(struct ask *ask)
{
    const struct aws_keys *keys;
    int rc = aws_provider_keys(ask->provider, &keys);
    if (rc < 0)
        return rc;
    snprintf(ask->text, sizeof ask->text, "%s %s %s", keys->access_key ? keys->access_key : "-",
             keys->secret_key ? keys->secret_key : "-", keys->session_token ? keys->session_token : "-");
    ask->serial = keys->serial;
    return 0;
}

static int CO_EDGE ask_task(void *arg)
{
    return do_ask(arg);
}

static int ask_once(const struct aws_config *config, char text[256])
{
    struct ask ask = {0};
    assert_ok(aws_provider_new(config, &ask.provider));
    int rc = edge_run(larder_loop_default(), ask_task, &ask);
    aws_provider_free(ask.provider);
    memcpy(text, ask.text, sizeof ask.text);
    return rc;
}

static void assert_keys(const struct aws_config *config, const char *expected)
{
    char text[256];
    assert_ok(ask_once(config, text));
    assert_string_equal(text, expected);
}

static const struct aws_config none = {0};

static const char json_keys[] = "{\"Code\":\"Success\",\"AccessKeyId\":\"AJ\",\"SecretAccessKey\":\"SJ\","
                                "\"Token\":\"TJ\",\"Expiration\":\"2999-01-01T00:00:00Z\"}";
static const char xml_keys[] =
    "<AssumeRoleResponse "
    "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><AssumedRoleUser>"
    "<Arn>x</Arn></AssumedRoleUser><Credentials><AccessKeyId>AX</AccessKeyId><SecretAccessKey>S&amp;X"
    "</SecretAccessKey><SessionToken>TX</SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration>"
    "</Credentials></AssumeRoleResult></AssumeRoleResponse>";

/* ---- places ---- */

static void options_come_first_and_in_pairs(void **state)
{
    struct aws_config config = {.access_key = "A", .secret_key = "S"};
    struct aws_provider *provider;
    setenv("AWS_ACCESS_KEY_ID", "AE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "SE", 1);
    assert_keys(&config, "A S -");
    config.session_token = "T";
    assert_keys(&config, "A S T");
    assert_keys(&(struct aws_config){.anonymous = true}, "- - -");
    config.secret_key = NULL;
    assert_int_equal(aws_provider_new(&config, &provider), -EINVAL);
}

static void the_environment_and_the_profile_that_it_names(void **state)
{
    put("credentials", "[default]\naws_access_key_id=AD\naws_secret_access_key=SD\n"
                       "[p]\naws_access_key_id=AP\naws_secret_access_key=SP\naws_session_token=TP\n");
    assert_keys(&none, "AD SD -");
    setenv("AWS_PROFILE", "p", 1);
    assert_keys(&none, "AP SP TP");
    setenv("AWS_ACCESS_KEY_ID", "AE", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "SE", 1);
    assert_keys(&none, "AE SE -");
    assert_keys(&(struct aws_config){.profile = "default"},
                "AD SD -"); /* asked for: before the environment */
}

static void the_instance_is_asked_with_a_token(void **state)
{
    answer("PUT", "/latest/api/token", 200, "TOKEN");
    answer("GET", "/latest/meta-data/iam/security-credentials/", 200, "role-1\n");
    answer("GET", "/latest/meta-data/iam/security-credentials/role-1", 200, json_keys);
    assert_keys(&none, "AJ SJ TJ");
    assert_non_null(fault_request_header(fault_request(server, 0), "X-aws-ec2-metadata-token-ttl-seconds"));
    assert_string_equal(fault_request_header(fault_request(server, 2), "X-aws-ec2-metadata-token"), "TOKEN");
}

static void the_container_is_asked_with_its_token_and_only_where_that_is_safe(void **state)
{
    char url[128], text[256];
    snprintf(url, sizeof url, "%s/creds", fault_server_url(server));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret", 1);
    answer("GET", "/creds", 200, json_keys);
    assert_keys(&none, "AJ SJ TJ");
    assert_string_equal(fault_request_header(fault_request(server, 0), "Authorization"), "secret");
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.org/creds", 1);
    assert_int_equal(ask_once(&none, text), -EINVAL);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.example.org/creds", 1);
    assert_int_equal(ask_once(&none, text), -EINVAL);
}

static void a_token_follows_no_redirect(void **state)
{
    struct fault_server *other = fault_server_start();
    char url[128], text[256], location[160];
    snprintf(url, sizeof url, "%s/creds", fault_server_url(server));
    snprintf(location, sizeof location, "Location: %s/steal\r\n", fault_server_url(other));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "secret", 1);
    fault_on(server, (struct fault_match){.path = "/creds"},
             (struct fault){.status = 302, .headers = location, .body = ""});
    assert_int_equal(ask_once(&none, text), -EACCES);
    assert_int_equal(fault_count(other, NULL, NULL), 0);
    fault_server_stop(other);
}

static void a_web_identity_assumes_its_role(void **state)
{
    char path[512];
    put("token", "JWT+/=\n");
    snprintf(path, sizeof path, "%s/token", dir);
    setenv("AWS_WEB_IDENTITY_TOKEN_FILE", path, 1);
    setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r", 1);
    answer("POST", "/", 200, xml_keys);
    assert_keys(&none, "AX S&X TX");
    assert_null(fault_request_header(fault_request(server, 0), "Authorization"));
    assert_string_equal(fault_request_header(fault_request(server, 0), "Content-Type"),
                        "application/x-www-form-urlencoded");
}

static void a_role_is_assumed_with_the_keys_of_another_profile(void **state)
{
    put("credentials", "[base]\naws_access_key_id=AB\naws_secret_access_key=SB\n");
    put("config", "[profile r]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=base\nregion=eu-north-1\n");
    answer("POST", "/", 200, xml_keys);
    assert_keys(&(struct aws_config){.profile = "r"}, "AX S&X TX");
    const char *authorization = fault_request_header(fault_request(server, 0), "Authorization");
    assert_non_null(strstr(authorization, "Credential=AB/"));
    assert_non_null(strstr(authorization, "/eu-north-1/sts/aws4_request"));
}

static void a_process_prints_keys(void **state)
{
    put("config", "[default]\ncredential_process = printf '{\"Version\":1,\"AccessKeyId\":\"AC\","
                  "\"SecretAccessKey\":\"SC\",\"SessionToken\":\"TC\"}'\n");
    assert_keys(&none, "AC SC TC");
    put("config", "[default]\ncredential_process = exit 3\n");
    char text[256];
    assert_int_equal(ask_once(&none, text), -EACCES);
    assert_non_null(strstr(larder_error(), "credential_process"));
}

/* ---- failures ---- */

static void what_was_set_up_and_fails_is_not_passed_over(void **state)
{
    char url[128], text[256];
    setenv("AWS_PROFILE", "p", 1);
    put("credentials", "[p]\nrole_arn=arn:aws:iam::1:role/r\nsource_profile=p\n"
                       "aws_access_key_id=AP\naws_secret_access_key=SP\n");
    answer(
        "POST", "/", 403,
        "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>");
    answer("PUT", "/latest/api/token", 200, "TOKEN");
    answer("GET", "/latest/meta-data/iam/security-credentials/", 200, "role-1");
    answer("GET", "/latest/meta-data/iam/security-credentials/role-1", 200, json_keys);
    assert_int_equal(ask_once(&none, text), -EACCES);
    assert_non_null(strstr(larder_error(), "not you"));
    assert_null(strstr(larder_error(), "SP"));
    snprintf(url, sizeof url, "%s/creds", fault_server_url(server));
    unsetenv("AWS_PROFILE");
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    answer("GET", "/creds", 200, "{\"AccessKeyId\":\"A\"}");
    assert_int_equal(ask_once(&none, text), -EPROTO);
}

static void roles_that_assume_each_other_end(void **state)
{
    char text[256];
    put("config", "[profile a]\nrole_arn=x\nsource_profile=b\n[profile b]\nrole_arn=y\nsource_profile=a\n");
    assert_int_equal(ask_once(&(struct aws_config){.profile = "a"}, text), -ELOOP);
}

static void without_any_the_text_says_where_they_were_looked_for(void **state)
{
    char text[256];
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    assert_int_equal(ask_once(&none, text), -EACCES);
    assert_non_null(strstr(larder_error(), "anonymous=true"));
    assert_int_equal(ask_once(&(struct aws_config){.profile = "gone"}, text), -EACCES);
    assert_non_null(strstr(larder_error(), "gone"));
}

/* ---- keeping ---- */

static int64_t real_wall_ns, ahead_ns;

static int64_t shifted_wall_ns(void)
{
    return real_wall_ns + ahead_ns;
}

static int CO_EDGE ask_many(void *arg)
{
    struct group group;
    group_init(&group, GROUP_FIRST, 0);
    for (int i = 0; i < 20; i++)
        group_add(&group, ask_task, arg);
    return group_join(&group);
}

static void keys_are_fetched_once_and_again_before_their_end(void **state)
{
    static const char short_lived[] = "{\"AccessKeyId\":\"AJ\",\"SecretAccessKey\":\"SJ\",\"Token\":\"TJ\","
                                      "\"Expiration\":\"2027-01-01T01:00:00Z\"}";
    struct world_seam before = world_seam;
    struct ask ask = {0};
    char url[128];
    snprintf(url, sizeof url, "%s/creds", fault_server_url(server));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    answer("GET", "/creds", 200, short_lived);
    real_wall_ns = INT64_C(1798761600) * 1000000000; /* 2027-01-01T00:00:00Z */
    ahead_ns = 0;
    world_seam.wall_ns = shifted_wall_ns;
    assert_ok(aws_provider_new(&none, &ask.provider));
    assert_task(ask_many, &ask);
    assert_int_equal(fault_count(server, "GET", "/creds"), 1);
    ahead_ns = INT64_C(50) * 60 * 1000000000;
    assert_task(ask_task, &ask);
    assert_int_equal(fault_count(server, "GET", "/creds"), 1);
    ahead_ns = INT64_C(56) * 60 * 1000000000; /* less than five minutes are left */
    fault_clear(server);
    answer("GET", "/creds", 500, "");
    assert_task(ask_task, &ask); /* it fails, but they still hold */
    assert_string_equal(ask.text, "AJ SJ TJ");
    assert_true(fault_count(server, "GET", "/creds") > 1);
    ahead_ns = INT64_C(61) * 60 * 1000000000;
    assert_int_equal(edge_run(larder_loop_default(), ask_task, &ask), -EACCES);
    fault_clear(server);
    answer("GET", "/creds", 200, json_keys);
    assert_task(ask_task, &ask);
    size_t asked = fault_count(server, "GET", "/creds");
    unsigned serial = ask.serial;
    assert_true(aws_provider_refused(ask.provider, serial));
    assert_task(ask_task, &ask);
    assert_int_equal(fault_count(server, "GET", "/creds"), asked + 1);
    assert_true(aws_provider_refused(ask.provider, serial)); /* which was of those before */
    assert_task(ask_task, &ask);
    assert_int_equal(fault_count(server, "GET", "/creds"), asked + 1);
    world_seam = before;
    aws_provider_free(ask.provider);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(options_come_first_and_in_pairs, clean),
        cmocka_unit_test_setup(the_environment_and_the_profile_that_it_names, clean),
        cmocka_unit_test_setup(the_instance_is_asked_with_a_token, clean),
        cmocka_unit_test_setup(the_container_is_asked_with_its_token_and_only_where_that_is_safe, clean),
        cmocka_unit_test_setup(a_token_follows_no_redirect, clean),
        cmocka_unit_test_setup(a_web_identity_assumes_its_role, clean),
        cmocka_unit_test_setup(a_role_is_assumed_with_the_keys_of_another_profile, clean),
        cmocka_unit_test_setup(a_process_prints_keys, clean),
        cmocka_unit_test_setup(what_was_set_up_and_fails_is_not_passed_over, clean),
        cmocka_unit_test_setup(roles_that_assume_each_other_end, clean),
        cmocka_unit_test_setup(without_any_the_text_says_where_they_were_looked_for, clean),
        cmocka_unit_test_setup(keys_are_fetched_once_and_again_before_their_end, clean),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
