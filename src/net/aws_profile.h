/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_AWS_PROFILE_H
#define NET_AWS_PROFILE_H
/*
 * A profile of the files that AWS's own tools share: ~/.aws/credentials ($AWS_SHARED_CREDENTIALS_FILE), whose sections
 * are [NAME], and ~/.aws/config ($AWS_CONFIG_FILE), whose sections are [profile NAME] and [default]. Where both say
 * something, the credentials file counts. (docs.aws.amazon.com: "Shared config and credentials files")
 */
#include <stdbool.h>
#include <stddef.h>

enum aws_setting {
    AWS_ACCESS_KEY,
    AWS_SECRET_KEY,
    AWS_SESSION_TOKEN,
    AWS_REGION,
    AWS_ENDPOINT_URL,
    AWS_ROLE_ARN,
    AWS_SOURCE_PROFILE,
    AWS_CREDENTIAL_SOURCE,
    AWS_ROLE_SESSION_NAME,
    AWS_EXTERNAL_ID,
    AWS_WEB_IDENTITY_TOKEN_FILE,
    AWS_CREDENTIAL_PROCESS,
    AWS_SETTINGS
};
struct aws_profile {
    char *value[AWS_SETTINGS]; /* mem; NULL: not said */
};

/*
 * Read the profile `name` out of both files; a file that is missing says nothing. *found (may be NULL): is there a
 * section of that name? Blocks. -EINVAL names file and line of what is no such file; -EACCES: it cannot be read.
 */
int aws_profile_load(const char *name, struct aws_profile *out, bool *found);
/* The same from a text: what the section `name` of it says is put where nothing is yet. `config`: sections as in the
 * config file; `where` is for error texts. */
int aws_profile_parse(const char *text, size_t size, bool config, const char *name, const char *where,
                      struct aws_profile *profile, bool *found);
void aws_profile_fini(struct aws_profile *profile);

#endif
