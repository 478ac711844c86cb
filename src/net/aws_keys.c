/* SPDX-License-Identifier: Apache-2.0 */
#include "net/aws_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"
#include "net/aws_fetch.h"

#define EARLY_NS    (INT64_C(300) * 1000000000) /* before their end keys are fetched again */
#define PAUSE_NS    (UINT64_C(10) * 1000000000) /* after a failure, while the old ones still hold */
#define ROLES_MAX   8                           /* that are assumed one through the other */
#define DEFAULT_KEY "default"

struct aws_provider {
    /* const */
    char *access_key, *secret_key, *session_token, *profile, *region; /* mem; NULL: not given */
    bool anonymous;
    /* the loop's */
    struct aws_keys keys;
    bool known, fetching;
    uint64_t retry_at_ns; /* monotonic */
    struct waiters waiters;
};

/* ---- one provider ---- */

static bool copy_text(char **out, const char *text)
{
    *out = text ? mem_dup(text) : NULL;
    return !text || *out;
}

void aws_provider_free(struct aws_provider *provider)
{
    if (!provider)
        return;
    char *const texts[] = {provider->access_key, provider->secret_key, provider->session_token,
                           provider->profile, provider->region};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        mem_free(texts[i]);
    aws_keys_fini(&provider->keys);
    mem_free(provider);
}

int aws_provider_new(const struct aws_config *config, struct aws_provider **out)
{
    if (!config->access_key != !config->secret_key)
        return fail(-EINVAL, "access_key and secret_key: one without the other");
    struct aws_provider *provider = mem_zero(sizeof *provider);
    if (!provider)
        return fail_memory();
    waiters_init(&provider->waiters);
    provider->anonymous = config->anonymous;
    bool copied = copy_text(&provider->access_key, config->access_key) &&
                  copy_text(&provider->secret_key, config->secret_key) &&
                  copy_text(&provider->session_token, config->session_token) &&
                  copy_text(&provider->profile, config->profile) &&
                  copy_text(&provider->region, config->region);
    if (!copied) {
        aws_provider_free(provider);
        return fail_memory();
    }
    *out = provider;
    return 0;
}

static int copy_keys(const char *access, const char *secret, const char *token, struct aws_keys *out)
{
    struct aws_keys keys = {0};
    if (!copy_text(&keys.access_key, access) || !copy_text(&keys.secret_key, secret) ||
        !copy_text(&keys.session_token, token)) {
        aws_keys_fini(&keys);
        return fail_memory();
    }
    *out = keys;
    return 0;
}

/* ---- where keys come from: 0, AWS_NOT_THERE, or a failure ---- */

static int from_environment(struct aws_keys *out)
{
    const char *access = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    if (!access || !secret || !*access || !*secret)
        return AWS_NOT_THERE;
    return copy_keys(access, secret, getenv("AWS_SESSION_TOKEN"), out);
}

static int CO_FN from_web_identity(const char *region, struct aws_keys *out)
{
    const char *file = getenv("AWS_WEB_IDENTITY_TOKEN_FILE"), *arn = getenv("AWS_ROLE_ARN");
    if (!file || !arn)
        return AWS_NOT_THERE;
    const struct aws_role role = {.arn = arn,
                                  .session_name = getenv("AWS_ROLE_SESSION_NAME"),
                                  .region = region,
                                  .token_file = file};
    return aws_fetch_role(&role, out);
}

/* What the files' credential_source names. */
static int CO_FN from_source(const char *source, struct aws_keys *out)
{
    if (strcmp(source, "Environment") == 0)
        return from_environment(out);
    if (strcmp(source, "EcsContainer") == 0)
        return aws_fetch_container(out);
    if (strcmp(source, "Ec2InstanceMetadata") == 0)
        return aws_fetch_instance(out);
    return fail(-EINVAL, "credential_source = %s: no such source", source);
}

static int CO_FN from_profile(const char *name, const char *region, unsigned depth, struct aws_keys *out);

/* The keys that may assume the role of a profile: another profile's, or a source's. */
static int CO_FN keys_of_source(const struct aws_profile *profile, const char *name, const char *region,
                                unsigned depth, struct aws_keys *out)
{
    const char *source = profile->value[AWS_SOURCE_PROFILE];
    if (profile->value[AWS_CREDENTIAL_SOURCE])
        return from_source(profile->value[AWS_CREDENTIAL_SOURCE], out);
    if (!source)
        return fail(-EINVAL, "a role_arn without source_profile or credential_source");
    if (strcmp(source, name) == 0 && profile->value[AWS_ACCESS_KEY] && profile->value[AWS_SECRET_KEY])
        return copy_keys(profile->value[AWS_ACCESS_KEY], profile->value[AWS_SECRET_KEY],
                         profile->value[AWS_SESSION_TOKEN], out);
    return from_profile(source, region, depth + 1, out);
}

static int CO_FN assume_role(const struct aws_profile *profile, const char *name, const char *region,
                             unsigned depth, struct aws_keys *out)
{
    struct aws_keys with = {0};
    struct aws_role role = {.arn = profile->value[AWS_ROLE_ARN],
                            .session_name = profile->value[AWS_ROLE_SESSION_NAME],
                            .external_id = profile->value[AWS_EXTERNAL_ID],
                            .region = profile->value[AWS_REGION] ? profile->value[AWS_REGION] : region,
                            .token_file = profile->value[AWS_WEB_IDENTITY_TOKEN_FILE],
                            .with = &with};
    int rc = 0;
    if (role.token_file)
        role.with = NULL;
    else
        rc = keys_of_source(profile, name, region, depth, &with);
    if (rc == AWS_NOT_THERE)
        rc = fail(-EACCES, "the source of its credentials has none");
    if (rc == 0)
        rc = aws_fetch_role(&role, out);
    aws_keys_fini(&with);
    return rc;
}

static int CO_FN from_settings(const struct aws_profile *profile, const char *name, const char *region,
                               unsigned depth, struct aws_keys *out)
{
    if (profile->value[AWS_ROLE_ARN])
        return assume_role(profile, name, region, depth, out);
    if (profile->value[AWS_ACCESS_KEY] && profile->value[AWS_SECRET_KEY])
        return copy_keys(profile->value[AWS_ACCESS_KEY], profile->value[AWS_SECRET_KEY],
                         profile->value[AWS_SESSION_TOKEN], out);
    if (profile->value[AWS_CREDENTIAL_PROCESS])
        return aws_fetch_process(profile->value[AWS_CREDENTIAL_PROCESS], out);
    return AWS_NOT_THERE;
}

struct load_call {
    const char *name;
    struct aws_profile profile;
    bool found;
};

static int load_profile(void *arg)
{
    struct load_call *call = arg;
    return aws_profile_load(call->name, &call->profile, &call->found);
}

static int CO_FN from_profile(const char *name, const char *region, unsigned depth, struct aws_keys *out)
{
    struct load_call call = {.name = name};
    if (depth == ROLES_MAX)
        return fail(-ELOOP, "profile %s: more than %d roles assume each other", name, ROLES_MAX);
    int rc = offload(load_profile, &call);
    if (rc == 0)
        rc = call.found ? from_settings(&call.profile, name, region, depth, out) : AWS_NOT_THERE;
    aws_profile_fini(&call.profile);
    return rc < 0 ? fail_more(rc, "profile %s", name) : rc;
}

/* ---- the order ---- */

static int CO_FN fetch(const struct aws_provider *provider, struct aws_keys *out)
{
    const char *named = getenv("AWS_PROFILE");
    if (provider->anonymous)
        return 0;
    if (provider->access_key)
        return copy_keys(provider->access_key, provider->secret_key, provider->session_token, out);
    if (provider->profile) {
        int rc = from_profile(provider->profile, provider->region, 0, out);
        return rc == AWS_NOT_THERE
                   ? fail(-EACCES, "profile %s: there is no such profile with keys", provider->profile)
                   : rc;
    }
    int rc = from_environment(out);
    if (rc == AWS_NOT_THERE)
        rc = from_web_identity(provider->region, out);
    if (rc == AWS_NOT_THERE)
        rc = from_profile(named ? named : DEFAULT_KEY, provider->region, 0, out);
    if (rc == AWS_NOT_THERE)
        rc = aws_fetch_container(out);
    if (rc == AWS_NOT_THERE)
        rc = aws_fetch_instance(out);
    if (rc == AWS_NOT_THERE)
        rc = fail(
            -EACCES,
            "no keys in the options, in the environment, in profile %s, from a container or an instance; "
            "anonymous=true asks without",
            named ? named : DEFAULT_KEY);
    return rc;
}

/* ---- keeping them ---- */

/* Are there keys that hold for so long still? */
static bool hold(const struct aws_provider *provider, int64_t ns)
{
    return provider->known && (provider->keys.expires_ns == 0 || provider->keys.expires_ns > wall_ns() + ns);
}

static int CO_FN refresh(struct aws_provider *provider)
{
    struct aws_keys keys = {0};
    provider->fetching = true;
    int rc = fetch(provider, &keys);
    provider->fetching = false;
    waiters_wake(&provider->waiters);
    if (rc < 0) {
        provider->retry_at_ns = now_ns() + PAUSE_NS;
        return rc;
    }
    keys.serial = provider->keys.serial + 1;
    aws_keys_fini(&provider->keys);
    provider->keys = keys;
    provider->known = true;
    return 0;
}

int CO_FN aws_provider_keys(struct aws_provider *provider, const struct aws_keys **out)
{
    int rc = 0;
    while (rc == 0 && !hold(provider, EARLY_NS)) {
        if (hold(provider, 0) && (provider->fetching || now_ns() < provider->retry_at_ns))
            break; /* they are good enough meanwhile */
        rc = provider->fetching ? waiters_wait(&provider->waiters) : refresh(provider);
    }
    if (rc < 0 && (rc == -ECANCELED || !hold(provider, 0)))
        return rc;
    error_clear();
    *out = &provider->keys;
    return 0;
}

bool aws_provider_refused(struct aws_provider *provider, unsigned serial)
{
    if (provider->keys.serial != serial)
        return true; /* another task was told so before, and others are here */
    if (provider->keys.expires_ns == 0)
        return false;
    provider->known = false;
    return true;
}
