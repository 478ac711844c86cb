/* SPDX-License-Identifier: Apache-2.0 */
#include "net/aws_fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/seams.h"
#include "base/text.h"
#include "net/http.h"
#include "net/sigv4.h"
#include "net/uri.h"
#include "net/xml.h"

#define ANSWER_SIZE_MAX ((size_t)1 << 20)
#define TOKEN_SIZE_MAX  ((size_t)64 << 10)
#define NEAR_TIMEOUT_MS 1000  /* the metadata services are on the machine, or nowhere */
#define FAR_TIMEOUT_MS  30000 /* the token service */

void aws_keys_fini(struct aws_keys *keys)
{
    mem_free(keys->access_key);
    mem_free(keys->secret_key);
    mem_free(keys->session_token);
    *keys = (struct aws_keys){0};
}

/* ---- asking ---- */

/* The body of the answer, and its status. No text says what was sent. */
static int CO_FN ask(const struct http_request *request, struct buffer *body, int *status)
{
    const struct http_config config = {.connect_timeout_ms = FAR_TIMEOUT_MS};
    struct http_transfer *transfer = NULL;
    struct http_site *site;
    int64_t count = 0;
    int rc = http_site_new(&config, &site);
    if (rc < 0)
        return rc;
    rc = http_open(site, request, &transfer);
    if (rc == 0)
        *status = http_response(transfer)->status;
    while (rc == 0) {
        void *room = buffer_room(body, 4096);
        count = room ? http_read(transfer, room, 4096) : body->status;
        if (count <= 0)
            break;
        buffer_grew(body, (size_t)count);
    }
    http_close(transfer);
    http_site_free(site);
    return rc < 0 ? rc : (int)count;
}

static int CO_FN ask_within(uint64_t timeout_ms, const struct http_request *request, struct buffer *body,
                            int *status)
{
    struct deadline deadline;
    deadline_begin(&deadline, timeout_ms);
    int rc = ask(request, body, status);
    return deadline_end(&deadline, rc, request->url);
}

static int read_token_file(const char *path, char **out)
{
    int fd = file_seam.open(path, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return fail_errno(errno, "%s", path);
    autofree char *text = mem_alloc(TOKEN_SIZE_MAX);
    int64_t size = text ? file_read(fd, text, TOKEN_SIZE_MAX, 0) : -ENOMEM;
    file_seam.close(fd);
    if (size < 0)
        return fail_errno((int)-size, "%s", path);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        size--;
    *out = mem_dup_n(text, (size_t)size);
    return *out ? 0 : fail_memory();
}

/* ---- answers ---- */

static int take_json_text(const json_t *object, const char *name, char **out)
{
    const char *text = json_string_value(json_object_get(object, name));
    *out = text ? mem_dup(text) : NULL;
    return text && !*out ? fail_memory() : 0;
}

/* What the container's service, the instance's and a process say alike. `token`: how they call the session token. */
static int keys_from_json(const char *text, size_t size, const char *token, struct aws_keys *out)
{
    json_error_t error;
    struct aws_keys keys = {0};
    json_t *object = json_loadb(text, size, 0, &error);
    if (!json_is_object(object)) {
        json_decref(object);
        return fail(-EPROTO, "the answer is no JSON object");
    }
    int rc = take_json_text(object, "AccessKeyId", &keys.access_key);
    if (rc == 0)
        rc = take_json_text(object, "SecretAccessKey", &keys.secret_key);
    if (rc == 0)
        rc = take_json_text(object, token, &keys.session_token);
    const char *until = json_string_value(json_object_get(object, "Expiration"));
    if (rc == 0 && (!keys.access_key || !keys.secret_key))
        rc = fail(-EPROTO, "the answer has no keys");
    if (rc == 0 && until && parse_rfc3339(until, &keys.expires_ns) < 0)
        rc = fail(-EPROTO, "the answer's Expiration is no time");
    json_decref(object);
    if (rc < 0)
        aws_keys_fini(&keys);
    else
        *out = keys;
    return rc;
}

static int keys_from_xml(const char *text, size_t size, struct aws_keys *out)
{
    struct aws_keys keys = {0};
    struct xml *xml;
    bool failed = false;
    int rc = xml_parse(text, size, &xml);
    if (rc < 0)
        return rc;
    const struct xml_node *credentials = xml_find(xml_root(xml), "Credentials");
    keys.access_key = xml_text(xml_child(credentials, "AccessKeyId"), &failed);
    keys.secret_key = xml_text(xml_child(credentials, "SecretAccessKey"), &failed);
    keys.session_token = xml_text(xml_child(credentials, "SessionToken"), &failed);
    autofree char *until = xml_text(xml_child(credentials, "Expiration"), &failed);
    if (failed)
        rc = fail_memory();
    else if (!keys.access_key || !keys.secret_key || !keys.session_token)
        rc = fail(-EPROTO, "the answer has no keys");
    else if (!until || parse_rfc3339(until, &keys.expires_ns) < 0)
        rc = fail(-EPROTO, "the answer's Expiration is no time");
    xml_free(xml);
    if (rc < 0)
        aws_keys_fini(&keys);
    else
        *out = keys;
    return rc;
}

/* ---- the container's service ---- */

#define CONTAINER_HOST "http://169.254.170.2"

static bool is_loopback(const struct uri *uri)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (slice_equal(uri->host, "localhost", true) || slice_equal(uri->host, "[::1]", false))
        return true;
    if (uri->host.size >= sizeof text)
        return false;
    memcpy(text, uri->host.text, uri->host.size);
    text[uri->host.size] = 0;
    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET;
}

/* The token must not travel in the open: without TLS only to this machine, and to where ECS and EKS answer. */
static int check_container_url(const char *url)
{
    static const char *const known[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    struct uri uri;
    int rc = uri_split_http(url, &uri);
    if (rc < 0)
        return fail_more(rc, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    bool safe = slice_equal(uri.scheme, "https", true) || is_loopback(&uri);
    for (size_t i = 0; i < 3; i++)
        safe |= slice_equal(uri.host, known[i], true);
    return safe ? 0 : fail(-EINVAL, "AWS_CONTAINER_CREDENTIALS_FULL_URI: neither https nor of this machine");
}

static int container_token(char **out)
{
    const char *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (file)
        return read_token_file(file, out);
    *out = token ? mem_dup(token) : NULL;
    return token && !*out ? fail_memory() : 0;
}

int CO_FN aws_fetch_container(struct aws_keys *out)
{
    const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    autofree char *url = NULL, *token = NULL, *line = NULL;
    struct buffer body = BUFFER(ANSWER_SIZE_MAX);
    int status = 0;
    if (!relative && !full)
        return AWS_NOT_THERE;
    url = relative ? mem_format(CONTAINER_HOST "%s", relative) : mem_dup(full);
    int rc = url ? check_container_url(url) : fail_memory();
    if (rc == 0)
        rc = container_token(&token);
    if (rc == 0 && token)
        line = mem_format("Authorization: %s", token);
    if (rc < 0 || (token && !line))
        return rc < 0 ? rc : fail_memory();
    const char *const headers[] = {line, NULL};
    const struct http_request request = {.method = HTTP_GET,
                                         .url = url,
                                         .headers = line ? headers : NULL,
                                         .stay = true};
    rc = ask_within(NEAR_TIMEOUT_MS * 5, &request, &body, &status);
    if (rc == 0 && status != 200)
        rc = fail(-EACCES, "it answered %d", status);
    if (rc == 0)
        rc = keys_from_json(body.data ? body.data : "", body.size, "Token", out);
    buffer_free(&body);
    return rc < 0 ? fail_more(rc, "the container's credentials") : 0;
}

/* ---- the instance's service ---- */

#define INSTANCE_HOST "http://169.254.169.254"
#define INSTANCE_PATH "/latest/meta-data/iam/security-credentials/"

static int CO_FN ask_instance(const char *host, enum http_method method, const char *path, const char *header,
                              struct buffer *body, int *status)
{
    const char *const headers[] = {header, NULL};
    struct http_body nothing = {.data = ""};
    autofree char *url = mem_format("%s%s", host, path);
    const struct http_request request = {.method = method,
                                         .url = url,
                                         .headers = headers,
                                         .body = method == HTTP_PUT ? &nothing : NULL,
                                         .stay = true}; /* the token is for this host */
    body->size = 0;
    return url ? ask_within(NEAR_TIMEOUT_MS, &request, body, status) : fail_memory();
}

static int CO_FN instance_keys(const char *host, const char *token_line, struct buffer *body,
                               struct aws_keys *out)
{
    int status = 0;
    int rc = ask_instance(host, HTTP_GET, INSTANCE_PATH, token_line, body, &status);
    if (rc == 0 && status == 404)
        return AWS_NOT_THERE; /* an instance without a role */
    if (rc == 0 && status != 200)
        rc = fail(-EACCES, "it answered %d", status);
    if (rc < 0)
        return rc;
    size_t size = body->data ? strcspn(body->data, "\r\n") : 0;
    autofree char *path = mem_format(INSTANCE_PATH "%.*s", (int)size, body->data ? body->data : "");
    if (!path)
        return fail_memory();
    rc = ask_instance(host, HTTP_GET, path, token_line, body, &status);
    if (rc == 0 && status != 200)
        rc = fail(-EACCES, "it answered %d", status);
    return rc < 0 ? rc : keys_from_json(body->data ? body->data : "", body->size, "Token", out);
}

int CO_FN aws_fetch_instance(struct aws_keys *out)
{
    const char *disabled = getenv("AWS_EC2_METADATA_DISABLED");
    const char *host = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    struct buffer body = BUFFER(ANSWER_SIZE_MAX);
    int status = 0;
    if (disabled && strcasecmp(disabled, "true") == 0)
        return AWS_NOT_THERE;
    host = host ? host : INSTANCE_HOST;
    int rc = ask_instance(host, HTTP_PUT, "/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600",
                          &body, &status);
    if (rc < 0 && rc != -ECANCELED && rc != -ENOMEM)
        rc = AWS_NOT_THERE; /* nobody is there */
    else if (rc == 0 && status != 200)
        rc = AWS_NOT_THERE; /* somebody, but no such service */
    if (rc == 0) {
        autofree char *line =
            mem_format("X-aws-ec2-metadata-token: %.*s", (int)body.size, body.data ? body.data : "");
        rc = line ? instance_keys(host, line, &body, out) : fail_memory();
    }
    buffer_free(&body);
    return rc < 0 ? fail_more(rc, "the instance's credentials") : rc;
}

/* ---- a process ---- */

struct process_call {
    const char *command;
    struct buffer out;
    int status;
};

static int start_process(const char *command, int pipe_end, pid_t *pid)
{
    char *const arguments[] = {(char *)"sh", (char *)"-c", (char *)command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, pipe_end, 1);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int error = posix_spawn(pid, "/bin/sh", &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error ? fail_errno(error, "/bin/sh") : 0;
}

static void read_all(int fd, struct buffer *out)
{
    for (;;) {
        void *room = buffer_room(out, 4096);
        ssize_t count = room ? read(fd, room, 4096) : -1;
        if (count < 0 && room && errno == EINTR)
            continue;
        if (count <= 0)
            return;
        buffer_grew(out, (size_t)count);
    }
}

/* On a worker. Its stderr is the caller's, where the command may say what is wrong. */
static int run_process(void *arg)
{
    struct process_call *call = arg;
    int ends[2];
    pid_t pid;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail_errno(errno, "pipe");
    int rc = start_process(call->command, ends[1], &pid);
    close(ends[1]);
    if (rc == 0) {
        read_all(ends[0], &call->out);
        while (waitpid(pid, &call->status, 0) < 0 && errno == EINTR)
            ;
        rc = call->out.status;
    }
    close(ends[0]);
    return rc;
}

int CO_FN aws_fetch_process(const char *command, struct aws_keys *out)
{
    struct process_call call = {.command = command, .out = BUFFER(ANSWER_SIZE_MAX)};
    int rc = offload(run_process, &call);
    if (rc == 0 && call.status != 0)
        rc = fail(-EACCES, "it failed");
    if (rc == 0)
        rc = keys_from_json(call.out.data ? call.out.data : "", call.out.size, "SessionToken", out);
    buffer_free(&call.out);
    return rc < 0 ? fail_more(rc, "credential_process") : 0;
}

/* ---- the token service ---- */

static char *token_service(const char *region)
{
    const char *given = getenv("AWS_ENDPOINT_URL_STS");
    if (given)
        return mem_format("%s%s", given, given[0] && given[strlen(given) - 1] == '/' ? "" : "/");
    if (!region)
        return mem_dup("https://sts.amazonaws.com/");
    return mem_format("https://sts.%s.amazonaws.com%s/", region, strncmp(region, "cn-", 3) == 0 ? ".cn" : "");
}

static int role_form(const struct aws_role *role, const char *token, struct buffer *out)
{
    struct sigv4_pair pairs[6];
    size_t count = 0;
    pairs[count++] = (struct sigv4_pair){"Action", token ? "AssumeRoleWithWebIdentity" : "AssumeRole"};
    pairs[count++] = (struct sigv4_pair){"Version", "2011-06-15"};
    pairs[count++] = (struct sigv4_pair){"RoleArn", role->arn};
    pairs[count++] =
        (struct sigv4_pair){"RoleSessionName", role->session_name ? role->session_name : "larder"};
    if (role->external_id && !token)
        pairs[count++] = (struct sigv4_pair){"ExternalId", role->external_id};
    if (token)
        pairs[count++] = (struct sigv4_pair){"WebIdentityToken", token};
    return sigv4_query(out, pairs, count);
}

#define FORM_TYPE "application/x-www-form-urlencoded"

/* The lines of the request's headers, "\n" behind each. */
static int role_headers(const struct aws_role *role, const char *url, const struct buffer *form,
                        struct buffer *lines)
{
    static const struct sigv4_pair type = {"content-type", FORM_TYPE};
    unsigned char hash[DIGEST_SIZE_MAX];
    char payload[HEX_SIZE(SHA256_SIZE)];
    struct uri uri;
    buffer_add_text(lines, "content-type: " FORM_TYPE "\n");
    int rc = uri_split_http(url, &uri);
    if (rc < 0 || !role->with)
        return rc;
    autofree char *origin = uri_origin(&uri);
    rc = origin ? digest_of(DIGEST_SHA256, form->data, form->size, hash) : fail_memory();
    if (rc < 0)
        return rc;
    hex_format(hash, SHA256_SIZE, payload);
    const struct sigv4_signer signer = {role->with->access_key, role->with->secret_key,
                                        role->with->session_token, role->region ? role->region : "us-east-1",
                                        "sts"};
    const struct sigv4_request request = {.method = "POST",
                                          .host = strstr(origin, "://") + 3,
                                          .path = "/",
                                          .headers = &type,
                                          .header_count = 1,
                                          .payload = payload,
                                          .time_ns = wall_ns()};
    return sigv4_sign(&signer, &request, lines);
}

static int CO_FN post(const char *url, struct buffer *lines, const struct buffer *form, struct buffer *answer,
                      int *status)
{
    const char *headers[8];
    size_t count = 0;
    for (char *line = lines->data; *line && count < 7; count++) {
        char *end = strchr(line, '\n');
        headers[count] = line;
        *end = 0;
        line = end + 1;
    }
    headers[count] = NULL;
    struct http_body body = {.size = (int64_t)form->size, .data = form->data};
    const struct http_request request = {.method = HTTP_POST, .url = url, .headers = headers, .body = &body};
    return ask_within(FAR_TIMEOUT_MS, &request, answer, status);
}

/* Its <Message>; the answer to a wrong request says in it what was wrong. */
static int refused(const struct buffer *answer, int status)
{
    struct xml *xml = NULL;
    bool failed = false;
    if (answer->data && xml_parse(answer->data, answer->size, &xml) < 0)
        error_clear();
    autofree char *message = xml ? xml_text(xml_find(xml_root(xml), "Message"), &failed) : NULL;
    xml_free(xml);
    return fail(status >= 500 ? -EBUSY : -EACCES, "%d%s%s", status, message ? ": " : "",
                message ? message : "");
}

int CO_FN aws_fetch_role(const struct aws_role *role, struct aws_keys *out)
{
    struct buffer form = BUFFER(ANSWER_SIZE_MAX), lines = BUFFER(ANSWER_SIZE_MAX),
                  answer = BUFFER(ANSWER_SIZE_MAX);
    autofree char *token = NULL, *url = token_service(role->region);
    int status = 0;
    int rc = url ? 0 : fail_memory();
    if (rc == 0 && !role->with)
        rc = read_token_file(role->token_file, &token);
    if (rc == 0)
        rc = role_form(role, token, &form);
    if (rc == 0)
        rc = role_headers(role, url, &form, &lines);
    if (rc == 0)
        rc = post(url, &lines, &form, &answer, &status);
    if (rc == 0)
        rc = status == 200 ? keys_from_xml(answer.data ? answer.data : "", answer.size, out)
                           : refused(&answer, status);
    buffer_free(&form);
    buffer_free(&lines);
    buffer_free(&answer);
    return rc < 0 ? fail_more(rc, "the role %s", role->arn) : 0;
}
