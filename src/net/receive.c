/* SPDX-License-Identifier: Apache-2.0 */
/* What arrives, inside curl's callbacks: the headers that somebody may ask for are kept, the body is moved on. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "net/transfer.h"

static const struct {
    const char *name;
    size_t size;
} header_names[HTTP_HEADERS] = {
#define NAME(name) {name, sizeof(name) - 1}
    [HTTP_ACCEPT_RANGES] = NAME("accept-ranges"),
    [HTTP_AGE] = NAME("age"),
    [HTTP_ALLOW] = NAME("allow"),
    [HTTP_BUCKET_REGION] = NAME("x-amz-bucket-region"),
    [HTTP_CACHE_CONTROL] = NAME("cache-control"),
    [HTTP_CONTENT_ENCODING] = NAME("content-encoding"),
    [HTTP_CONTENT_RANGE] = NAME("content-range"),
    [HTTP_CONTENT_TYPE] = NAME("content-type"),
    [HTTP_DATE] = NAME("date"),
    [HTTP_DAV] = NAME("dav"),
    [HTTP_ETAG] = NAME("etag"),
    [HTTP_EXPIRES] = NAME("expires"),
    [HTTP_LAST_MODIFIED] = NAME("last-modified"),
    [HTTP_LOCATION] = NAME("location"),
    [HTTP_RETRY_AFTER] = NAME("retry-after"),
    [HTTP_VARY] = NAME("vary"),
#undef NAME
};

static void keep_header(struct http_transfer *transfer, enum http_header header, const char *value,
                        size_t size)
{
    struct buffer *text = &transfer->text;
    size_t before = transfer->header[header], start = text->size;
    if (before) {
        size_t before_size = strlen(text->data + before);
        char *room = buffer_room(text, before_size + 2);
        if (!room)
            return;
        memcpy(room, text->data + before, before_size);
        memcpy(room + before_size, ", ", 2);
        buffer_grew(text, before_size + 2);
    }
    buffer_add(text, value, size);
    if (buffer_add(text, "", 1) == 0)
        transfer->header[header] = (uint32_t)start;
}

void receive_begin(struct http_transfer *transfer)
{
    memset(transfer->header, 0, sizeof transfer->header);
    transfer->response.status = 0;
    transfer->text.size = transfer->lines.size = 0;
    buffer_add(&transfer->text, "", 1); /* so that no offset is 0 */
}

size_t receive_header(char *data, size_t one, size_t size, void *arg)
{
    struct http_transfer *transfer = arg;
    const char *end = data + size, *space, *colon;
    transfer->exchange.moved = true;
    if (transfer->headers_done) /* a trailer */
        return size;
    while (end > data && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
        end--;
    if (end - data > 5 && memcmp(data, "HTTP/", 5) == 0) {
        receive_begin(transfer);
        space = memchr(data, ' ', (size_t)(end - data));
        for (const char *at = space ? space + 1 : end; at < end && isdigit((unsigned char)*at); at++)
            if (transfer->response.status < 1000)
                transfer->response.status = transfer->response.status * 10 + (*at - '0');
        transfer->site->multiplexed = data[5] == '2';
        return size;
    }
    if (end == data) {
        transfer->headers_done = transfer->response.status >= 200;
        if (transfer->headers_done)
            client_wake(&transfer->exchange);
        return size;
    }
    if (transfer->keep_lines) {
        buffer_add(&transfer->lines, data, (size_t)(end - data));
        buffer_add(&transfer->lines, "\n", 1);
    }
    colon = memchr(data, ':', (size_t)(end - data));
    for (unsigned i = 0; colon && i < HTTP_HEADERS; i++) {
        if (header_names[i].size != (size_t)(colon - data) ||
            (data[0] | 0x20) != (header_names[i].name[0] | 0x20) ||
            strncasecmp(data, header_names[i].name, header_names[i].size) != 0)
            continue;
        do
            colon++;
        while (colon < end && (*colon == ' ' || *colon == '\t'));
        keep_header(transfer, i, colon, (size_t)(end - colon));
        break;
    }
    return size;
}

size_t receive_body(char *data, size_t one, size_t size, void *arg)
{
    struct http_transfer *transfer = arg;
    transfer->exchange.moved = true;
    if (transfer->discard)
        return size;
    size_t lent = transfer->lent_size - transfer->lent_used;
    size_t direct = size < lent ? size : lent;
    assert(direct == 0 || transfer->held.size == transfer->held_start);
    if (size - direct > HELD_SIZE_MAX - transfer->held.size) {
        transfer->paused = true; /* curl keeps these bytes and offers them again */
        return CURL_WRITEFUNC_PAUSE;
    }
    if (direct > 0) {
        memcpy(transfer->lent + transfer->lent_used, data, direct);
        transfer->lent_used += direct;
        if (transfer->lent_used == transfer->lent_size)
            client_wake(&transfer->exchange);
    }
    if (size > direct && buffer_add(&transfer->held, data + direct, size - direct) < 0)
        return 0;
    transfer->received += (int64_t)size;
    return size;
}

int content_range_parse(const char *text, struct content_range *out)
{
    struct content_range range = {-1, -1, -1};
    char numbers[3][24] = {"", "", ""};
    if (strncasecmp(text, "bytes", 5) != 0 || (text[5] != ' ' && text[5] != '='))
        return -EPROTO;
    const char *at = text + 6;
    if (strcmp(at, "0--1/0") == 0) { /* the last bytes of an empty file, as Go's library says it */
        *out = (struct content_range){0, -1, 0};
        return 0;
    }
    if (*at == '*') {
        at++;
    } else {
        size_t first = strspn(at, "0123456789"),
               last = at[first] == '-' ? strspn(at + first + 1, "0123456789") : 0;
        if (first == 0 || first >= sizeof numbers[0] || last == 0 || last >= sizeof numbers[1])
            return -EPROTO;
        memcpy(numbers[0], at, first);
        memcpy(numbers[1], at + first + 1, last);
        at += first + 1 + last;
        if (parse_i64(numbers[0], &range.first) < 0 || parse_i64(numbers[1], &range.last) < 0)
            return -EPROTO;
    }
    if (*at++ != '/')
        return -EPROTO;
    if (strcmp(at, "*") != 0 && (!isdigit((unsigned char)*at) || parse_i64(at, &range.total) < 0))
        return -EPROTO;
    if (range.last < range.first || (range.total >= 0 && range.last >= range.total))
        return -EPROTO;
    *out = range;
    return 0;
}

bool etag_is_strong(const char *etag)
{
    int64_t time_ns;
    return etag[0] && strncmp(etag, "W/", 2) != 0 && parse_http_date(etag, &time_ns) < 0;
}

bool http_is_encoded(const struct http_response *response)
{
    const char *coding = response->header[HTTP_CONTENT_ENCODING];
    return coding && *coding && !text_equal(coding, "identity");
}
