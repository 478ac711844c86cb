/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_AWS_KEYS_H
#define NET_AWS_KEYS_H
/*
 * With which keys requests to AWS are signed. The first place that says something is believed, and its failure is the
 * answer: nobody signs with another identity than the one that was set up. The order is that of AWS's own tools:
 *
 *   options        access_key, secret_key, session_token; or anonymous
 *   `profile`      when given: that profile of the shared files, and nothing below
 *   environment    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   web identity   AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN
 *   profile        $AWS_PROFILE, else "default": a role of another profile or source, a web identity, keys, a process
 *   container      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, …_FULL_URI
 *   instance       the metadata service (IMDSv2), unless AWS_EC2_METADATA_DISABLED
 *
 * Keys that end are fetched again five minutes before; while that fails, they are used to their end. One provider is
 * used by the tasks of one loop.
 */
#include "net/aws_profile.h"
#include "task/task.h"

struct aws_keys {
    char *access_key, *secret_key; /* mem; NULL: unsigned */
    char *session_token;           /* NULL: none */
    int64_t expires_ns;            /* wall clock; 0: never */
    unsigned serial;               /* those that a provider fetches anew have another */
};

struct aws_config { /* copied; NULL: not given */
    const char *access_key, *secret_key, *session_token, *profile;
    const char *region; /* of the token service; NULL: the global one */
    bool anonymous;
};
struct aws_provider;
/* -EINVAL: half a pair of keys. Nothing is looked up yet. */
int aws_provider_new(const struct aws_config *config, struct aws_provider **out);
void aws_provider_free(struct aws_provider *provider); /* NULL is fine; nobody waits in it */
/* Borrowed until the caller next waits. -EACCES: none are found, and the text says where they were looked for. */
int CO_FN aws_provider_keys(struct aws_provider *provider, const struct aws_keys **out);
/* A server refused the keys of this serial: the next call fetches others. False: it would be the same ones again. */
bool aws_provider_refused(struct aws_provider *provider, unsigned serial);

#endif
