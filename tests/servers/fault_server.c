/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault_server SCRIPT: a web server on loopback that does what the script says (tests/lib/fault_script.h), until its
 * standard input ends. It prints its URL, and at the end each request that came: method, target, Range.
 */
#include <stdio.h>
#include <stdlib.h>

#include "fault_script.h"

static void print_requests(struct fault_server *server)
{
    const struct fault_request *request;
    for (size_t i = 0; (request = fault_request(server, i)); i++) {
        const char *range = fault_request_header(request, "Range");
        printf("%s %s %s\n", request->method, request->target, range ? range : "-");
    }
}

int main(int argc, char *argv[])
{
    FILE *script = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!script) {
        fprintf(stderr, argc == 2 ? "%s: cannot be read\n" : "usage: fault_server SCRIPT\n", argv[1]);
        return 2;
    }
    struct fault_server *server = fault_server_start();
    unsigned bad = fault_script_run(server, script);
    fclose(script);
    if (bad) {
        fprintf(stderr, "%s:%u: not a line of such a script\n", argv[1], bad);
    } else {
        printf("%s\n", fault_server_url(server));
        fflush(stdout);
        while (getchar() != EOF)
            ;
        print_requests(server);
    }
    fault_server_stop(server);
    return bad ? 1 : 0;
}
