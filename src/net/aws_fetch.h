/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_AWS_FETCH_H
#define NET_AWS_FETCH_H
/* Keys that somebody hands out for a while. NOT_THERE: this machine has no such thing, which is no failure. */
#include "net/aws_keys.h"

#define AWS_NOT_THERE 1

void aws_keys_fini(struct aws_keys *keys);

/* AWS_CONTAINER_CREDENTIALS_FULL_URI, or …_RELATIVE_URI at the address of ECS, with the token of
 * AWS_CONTAINER_AUTHORIZATION_TOKEN[_FILE]. */
int CO_FN aws_fetch_container(struct aws_keys *out);
/* The instance metadata service, version 2. */
int CO_FN aws_fetch_instance(struct aws_keys *out);
/* What the command prints (the shared files' credential_process). */
int CO_FN aws_fetch_process(const char *command, struct aws_keys *out);

/* The token service. `with` signs; NULL: the token in `token_file` proves who asks. */
struct aws_role {
    const char *arn, *session_name, *external_id; /* the latter two may be NULL */
    const char *region;                           /* NULL: the global service */
    const char *token_file;
    const struct aws_keys *with;
};
int CO_FN aws_fetch_role(const struct aws_role *role, struct aws_keys *out);

#endif
