/* SPDX-License-Identifier: Apache-2.0 */
#include "s3_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jump_clock.h"

struct fault_server *s3_server, *s3_other;
struct larder_fs *s3_fs;

struct larder_fs *s3_open_store(const char *const more[])
{
    char endpoint[128];
    const char *options[8] = {endpoint, "access_key=AK", "secret_key=SK", "region=us-east-1"};
    struct larder_fs *store;
    snprintf(endpoint, sizeof endpoint, "endpoint=%s", fault_server_url(s3_server));
    for (size_t i = 0; more && more[i]; i++)
        options[4 + i] = more[i];
    assert_ok(larder_open(NULL, "s3://b", options, &store, NULL));
    return store;
}

int s3_setup(void **state)
{
    s3_server = fault_server_start();
    s3_other = fault_server_start();
    fault_writable(s3_server);
    fault_writable(s3_other);
    s3_fs = s3_open_store(NULL);
    jump_clock_forget();
    return 0;
}

int s3_teardown(void **state)
{
    larder_fs_free(s3_fs);
    fault_server_stop(s3_server);
    fault_server_stop(s3_other);
    return 0;
}

void s3_prepare_tests(void)
{
    unsetenv("AWS_ENDPOINT_URL_S3");
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("HOME", "/nonexistent", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    jump_clock_start();
}

void s3_answer(const char *method, const char *path, unsigned count, int status, const char *headers,
               const char *body)
{
    fault_on(s3_server, (struct fault_match){.method = method, .path = path, .count = count},
             (struct fault){
                 .status = status, .headers = headers, .body = body, .body_size = body ? strlen(body) : 0});
}

const char *s3_sent_header(size_t index, const char *name)
{
    const struct fault_request *request = fault_request(s3_server, index);
    assert_non_null(request);
    return fault_request_header(request, name);
}

size_t s3_count_targets(const char *part)
{
    size_t count = 0;
    const struct fault_request *request;
    for (size_t i = 0; (request = fault_request(s3_server, i)); i++)
        count += strstr(request->target, part) != NULL;
    return count;
}

int s3_put(const char *path, unsigned flags)
{
    return larder_pipe_file(s3_fs, path, "text", 4, flags);
}
