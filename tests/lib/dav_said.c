/* SPDX-License-Identifier: Apache-2.0 */
#include "dav_said.h"

#include <stdio.h>
#include <stdlib.h>

void dav_say(struct fault_server *server, const char *method, const char *path, unsigned count,
             const char *responses)
{
    char *body;
    int size = asprintf(&body, "<D:multistatus xmlns:D=\"DAV:\">%s</D:multistatus>", responses);
    if (size < 0)
        abort();
    fault_on(server, (struct fault_match){.method = method, .path = path, .count = count},
             (struct fault){.status = 207, .body = body, .body_size = (size_t)size});
    free(body);
}
