/* SPDX-License-Identifier: Apache-2.0 */
#include "fault_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define PIECE_SIZE    65536
#define STALL_LOOK_MS 10
#define END_EARLY     (FAULT_NO_ANSWER | FAULT_UNANSWERED)
#define HEADERS_MAX   (sizeof(((struct fault_request *)0)->headers) / sizeof(struct fault_header))

/* ---- requests ---- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

static char *decode_path(const char *target)
{
    size_t size = strcspn(target, "?#");
    char *path = fault_copy(target, size), *out = path;
    for (const char *in = path; *in; in++) {
        int high = *in == '%' ? hex_digit(in[1]) : -1, low = high >= 0 ? hex_digit(in[2]) : -1;
        *out++ = low >= 0 ? (char)(high * 16 + low) : *in;
        in += low >= 0 ? 2 : 0;
    }
    *out = '\0';
    return path;
}

/* Takes over `text`, a request's head without its last empty line. NULL: that is none. */
static struct record *parse_request(char *text, unsigned connection)
{
    struct record *record = calloc(1, sizeof(*record));
    if (!record)
        fault_give_up("parse_request");
    struct fault_request *request = &record->request;
    record->text = text;
    char *lines = NULL, *words = NULL;
    char *line = strtok_r(text, "\r\n", &lines);
    request->method = line ? strtok_r(line, " ", &words) : NULL;
    request->target = request->method ? strtok_r(NULL, " ", &words) : NULL;
    request->connection = connection;
    if (!request->target || request->target[0] != '/') {
        free(text);
        free(record);
        return NULL;
    }
    record->path = decode_path(request->target);
    request->path = record->path;
    while ((line = strtok_r(NULL, "\r\n", &lines))) {
        char *colon = strchr(line, ':');
        if (!colon || request->header_count == HEADERS_MAX)
            continue;
        *colon = '\0';
        request->headers[request->header_count++] =
            (struct fault_header){line, colon + 1 + strspn(colon + 1, " \t")};
    }
    return record;
}

void fault_record_free(struct record *record)
{
    free(record->text);
    free(record->path);
    free(record->body);
    free(record);
}

const char *fault_request_header(const struct fault_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

static bool fill_input(struct connection *connection)
{
    if (connection->size == HEAD_SIZE_MAX)
        return false;
    ssize_t n;
    do
        n = recv(connection->fd, connection->input + connection->size, HEAD_SIZE_MAX - connection->size, 0);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    connection->size += (size_t)n;
    connection->input[connection->size] = '\0';
    return true;
}

static void use_input(struct connection *connection, size_t size)
{
    connection->size -= size;
    memmove(connection->input, connection->input + size, connection->size);
    connection->input[connection->size] = '\0';
}

static bool send_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = send(fd, (const char *)data + done, size - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The next request of a connection, without its body. NULL: the connection has ended. */
static struct record *read_request(struct connection *connection)
{
    char *end;
    while (!(end = strstr(connection->input, "\r\n\r\n")))
        if (!fill_input(connection))
            return NULL;
    size_t head = (size_t)(end - connection->input) + 4;
    struct record *record = parse_request(fault_copy(connection->input, head - 2), connection->number);
    use_input(connection, head);
    return record;
}

/* `size` bytes of the body, or of what stands between its chunks. */
static bool read_bytes(struct connection *connection, size_t size, FILE *out)
{
    while (size > 0) {
        if (connection->size == 0 && !fill_input(connection))
            return false;
        size_t part = size < connection->size ? size : connection->size;
        if (out)
            fwrite(connection->input, 1, part, out);
        use_input(connection, part);
        size -= part;
    }
    return true;
}

static bool read_chunks(struct connection *connection, FILE *out)
{
    for (size_t size = 1; size > 0;) {
        char *end;
        while (!(end = strstr(connection->input, "\r\n")))
            if (!fill_input(connection))
                return false;
        size = strtoull(connection->input, NULL, 16);
        use_input(connection, (size_t)(end - connection->input) + 2);
        if (!read_bytes(connection, size, out) || !read_bytes(connection, 2, NULL))
            return false;
    }
    return true;
}

/* False: it did not come whole. */
static bool read_body(struct connection *connection, struct record *record)
{
    struct fault_request *request = &record->request;
    const char *length = fault_request_header(request, "Content-Length");
    const char *expect = fault_request_header(request, "Expect");
    bool chunked = fault_request_header(request, "Transfer-Encoding") != NULL;
    char *body = NULL;
    size_t size = 0;
    if (!length && !chunked)
        return true;
    FILE *out = open_memstream(&body, &size);
    if (!out)
        fault_give_up("open_memstream");
    if (expect && strcasecmp(expect, "100-continue") == 0)
        send_all(connection->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    bool whole =
        chunked ? read_chunks(connection, out) : read_bytes(connection, strtoull(length, NULL, 10), out);
    fclose(out);
    pthread_mutex_lock(&connection->server->lock);
    request->body = record->body = body;
    request->body_size = size;
    pthread_mutex_unlock(&connection->server->lock);
    return whole;
}

/* ---- rules ---- */

static bool rule_fits(const struct rule *rule, const struct fault_request *request)
{
    const struct fault_match *match = &rule->match;
    return !rule->cleared && (!match->method || strcmp(match->method, request->method) == 0) &&
           (!match->path || strcmp(match->path, request->path) == 0) &&
           (!match->header || fault_request_header(request, match->header));
}

static struct fault choose_fault(struct fault_server *server, const struct fault_request *request)
{
    for (struct rule *rule = server->rules; rule; rule = rule->next) {
        if (!rule_fits(rule, request))
            continue;
        unsigned seen = rule->seen++, per_mille = rule->match.per_mille;
        if (seen < rule->match.skip || (rule->match.count && seen - rule->match.skip >= rule->match.count))
            continue;
        if (!per_mille || fault_happens(server, per_mille))
            return rule->fault;
    }
    return (struct fault){0};
}

static void drop_oldest(struct fault_server *server)
{
    size_t drop = server->record_count - server->kept_count;
    for (size_t i = 0; i < drop; i++)
        fault_record_free(server->records[i]);
    memmove(server->records, server->records + drop, server->kept_count * sizeof(struct record *));
    server->record_count = server->kept_count;
}

/* Keep the request for the test, and find what to do with it. */
static struct fault admit(struct fault_server *server, struct record *record)
{
    pthread_mutex_lock(&server->lock);
    if (server->kept_count && server->record_count >= 2 * server->kept_count)
        drop_oldest(server);
    server->records = reallocarray(server->records, server->record_count + 1, sizeof(struct record *));
    if (!server->records)
        fault_give_up("admit");
    server->records[server->record_count++] = record;
    struct fault fault = choose_fault(server, &record->request);
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return fault;
}

/* ---- answers ---- */

static bool client_is_gone(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLRDHUP};
    return poll(&poll_fd, 1, 0) > 0 && poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

struct timespec fault_after_ms(long ms)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    time.tv_nsec += ms % 1000 * 1000000;
    time.tv_sec += ms / 1000 + time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* Wait for a release. False: the client or the server went instead. */
static bool stall(struct connection *connection)
{
    struct fault_server *server = connection->server;
    bool gone = false;
    pthread_mutex_lock(&server->lock);
    unsigned before = server->releases;
    server->stalled++;
    pthread_cond_broadcast(&server->changed);
    while (!gone && !server->stopping && server->releases == before) {
        struct timespec until = fault_after_ms(STALL_LOOK_MS);
        pthread_cond_timedwait(&server->changed, &server->lock, &until);
        gone = client_is_gone(connection->fd);
    }
    server->stalled--;
    gone = gone || server->stopping;
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    return !gone;
}

void fault_reset_at_close(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

/* True: go on with the answer. */
static bool meet_end(struct connection *connection, const struct fault *fault)
{
    if (fault->end == FAULT_WHOLE)
        return true;
    if (fault->end == FAULT_STALL)
        return stall(connection);
    if (fault->end == FAULT_RESET)
        fault_reset_at_close(connection->fd);
    return false;
}

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 206:
        return "Partial Content";
    case 304:
        return "Not Modified";
    case 404:
        return "Not Found";
    case 503:
        return "Service Unavailable";
    default:
        return "As Told";
    }
}

static bool send_head(int fd, const struct fault_answer *answer, const struct fault *fault)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        fault_give_up("open_memstream");
    if (fault->interim)
        fprintf(out, "HTTP/1.1 %d As Told\r\nLink: </style.css>\r\n\r\n", fault->interim);
    fprintf(out, "HTTP/1.%d %d %s\r\n", fault->flags & FAULT_HTTP_1_0 ? 0 : 1, answer->status,
            reason(answer->status));
    for (size_t i = 0; i < answer->line_count; i++)
        fprintf(out, "%s\r\n", answer->lines[i]);
    fputs("\r\n", out);
    fclose(out);
    bool sent = send_all(fd, text, size);
    free(text);
    return sent;
}

static bool send_piece(int fd, const char *data, size_t size, bool chunked)
{
    char line[32];
    int line_size = snprintf(line, sizeof(line), "%zx\r\n", size);
    if (!chunked)
        return send_all(fd, data, size);
    return send_all(fd, line, (size_t)line_size) && send_all(fd, data, size) && send_all(fd, "\r\n", 2);
}

static bool send_bytes(int fd, const char *data, size_t size, const struct fault *fault)
{
    size_t piece_max = fault->trickle_size ? fault->trickle_size : PIECE_SIZE;
    for (size_t done = 0; done < size;) {
        size_t piece = size - done < piece_max ? size - done : piece_max;
        struct timespec pause = {fault->trickle_ms / 1000, fault->trickle_ms % 1000 * 1000000L};
        if (fault->trickle_ms)
            nanosleep(&pause, NULL);
        if (!send_piece(fd, data + done, piece, fault->flags & FAULT_CHUNKED))
            return false;
        done += piece;
    }
    return true;
}

static bool send_extra(int fd, const struct fault *fault)
{
    char *junk = malloc(fault->extra + 1);
    if (!junk)
        fault_give_up("send_extra");
    memset(junk, '#', fault->extra);
    bool sent = send_bytes(fd, junk, fault->extra, fault);
    free(junk);
    return sent;
}

static bool send_body(struct connection *connection, const struct fault_answer *answer,
                      const struct fault *fault)
{
    size_t first = answer->size;
    if (fault->end != FAULT_WHOLE && !(fault->flags & END_EARLY) && fault->at < first)
        first = fault->at;
    if (!send_bytes(connection->fd, answer->body, first, fault))
        return false;
    if (!(fault->flags & END_EARLY) && !meet_end(connection, fault))
        return false;
    if (!send_bytes(connection->fd, answer->body + first, answer->size - first, fault) ||
        !send_extra(connection->fd, fault))
        return false;
    return !(fault->flags & FAULT_CHUNKED) || send_all(connection->fd, "0\r\n\r\n", 5);
}

/* What the tree says, changed as the fault wants it. */
static void make_answer(struct fault_server *server, const struct fault_request *request,
                        const struct fault *fault, struct fault_answer *answer)
{
    if (fault->status) {
        *answer = (struct fault_answer){.status = fault->status};
        fault_answer_header(answer, "Content-Length", "%zu", fault->body_size);
        fault_answer_body(answer, "", 0);
    } else {
        pthread_mutex_lock(&server->lock);
        fault_answer_make(answer, &server->tree, request, fault->flags);
        pthread_mutex_unlock(&server->lock);
    }
    if (fault->body)
        fault_answer_body(answer, fault->body, fault->body_size);
    if (fault->flags & FAULT_GZIP && answer->size > 0)
        fault_answer_gzip(answer);
    if (fault->flags & (FAULT_CHUNKED | FAULT_UNTIL_CLOSE))
        fault_answer_header(answer, "Content-Length", "%s", "");
    if (fault->flags & FAULT_CHUNKED)
        fault_answer_header(answer, "Transfer-Encoding", "chunked");
    if (fault->flags & FAULT_UNTIL_CLOSE)
        fault_answer_header(answer, "Connection", "close");
    if (fault->headers)
        fault_answer_headers(answer, fault->headers);
}

/* True: the connection goes on. */
static bool serve_request(struct connection *connection, struct record *record)
{
    const struct fault_request *request = &record->request;
    struct fault fault = admit(connection->server, record);
    if (!(fault.flags & FAULT_UNREAD) && !read_body(connection, record))
        return false;
    if (fault.hook)
        fault.hook(fault.arg, request);
    if (fault.flags & FAULT_NO_ANSWER && !meet_end(connection, &fault))
        return false;

    struct fault_answer answer;
    make_answer(connection->server, request, &fault, &answer);
    if (fault.flags & FAULT_UNANSWERED && !meet_end(connection, &fault)) {
        fault_answer_free(&answer);
        return false;
    }
    bool bodiless = strcmp(request->method, "HEAD") == 0 || answer.status == 204 || answer.status == 304;
    const char *wish = fault_request_header(request, "Connection");
    bool close_after = fault.flags & (FAULT_UNTIL_CLOSE | FAULT_HTTP_1_0 | FAULT_CLOSE_AFTER) ||
                       (wish && strcasecmp(wish, "close") == 0) || fault.flags & FAULT_UNREAD;
    /* From here on the client may have its answer, and the test may forget the request. */
    bool sent = send_head(connection->fd, &answer, &fault);
    if (sent && bodiless)
        sent = fault.flags & END_EARLY || meet_end(connection, &fault);
    else if (sent)
        sent = send_body(connection, &answer, &fault);
    fault_answer_free(&answer);
    return sent && !close_after;
}

void fault_serve(struct connection *connection)
{
    for (struct record *record; (record = read_request(connection));)
        if (!serve_request(connection, record))
            break;
}
