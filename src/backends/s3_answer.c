/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in XML: what was asked for, or the failure that an error document names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/s3_ask.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/seams.h"
#include "net/http_status.h"

#define ERROR_SIZE_MAX ((size_t)64 << 10) /* of an error document */
#define HERE_SIZE_MAX  ((size_t)64 << 10) /* up to that XML is parsed in the task itself */

/* ---- refusals ---- */

int s3_fail_code(const char *code, const char *message, int status)
{
    static const struct {
        const char *code;
        int status;
    } codes[] = {
        {"NoSuchKey", -ENOENT},
        {"NoSuchBucket", -ENOENT},
        {"NoSuchUpload", -ESTALE},
        {"NoSuchVersion", -ENOENT},
        {"NotFound", -ENOENT},
        {"AccessDenied", -EACCES},
        {"AllAccessDisabled", -EACCES},
        {"AccountProblem", -EACCES},
        {"ExpiredToken", -EACCES},
        {"InvalidAccessKeyId", -EACCES},
        {"InvalidToken", -EACCES},
        {"RequestTimeTooSkewed", -EACCES},
        {"SignatureDoesNotMatch", -EACCES},
        {"BucketAlreadyExists", -EEXIST},
        {"BucketAlreadyOwnedByYou", -EEXIST},
        {"BucketNotEmpty", -ENOTEMPTY},
        {"PreconditionFailed", -ESTALE},
        {"ConditionalRequestConflict", -EBUSY},
        {"OperationAborted", -EBUSY},
        {"SlowDown", -EBUSY},
        {"ServiceUnavailable", -EBUSY},
        {"InternalError", -EIO},
        {"RequestTimeout", -ETIMEDOUT},
        {"BadDigest", -EBADMSG},
        {"XAmzContentSHA256Mismatch", -EBADMSG},
        {"EntityTooLarge", -EFBIG},
        {"InvalidBucketName", -EINVAL},
        {"KeyTooLongError", -ENAMETOOLONG},
        {"QuotaExceeded", -EDQUOT},
        {"InvalidObjectState", -ENOTSUP},
        {"NotImplemented", -ENOTSUP},
        {"MethodNotAllowed", -ENOTSUP},
    };
    int rc = status >= 400 ? http_status(status)->rc : -EIO;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(code, codes[i].code) == 0)
            rc = codes[i].status;
    return fail(rc, "%s%s%s", code, message && *message ? ": " : "", message ? message : "");
}

static bool may_pass(const char *code)
{
    static const char *const codes[] = {"SlowDown",         "ServiceUnavailable",
                                        "InternalError",    "RequestTimeout",
                                        "OperationAborted", "ConditionalRequestConflict",
                                        "BadDigest",        "XAmzContentSHA256Mismatch"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(code, codes[i]) == 0)
            return true;
    return false;
}

void s3_refusal_fini(struct s3_refusal *refusal)
{
    mem_free(refusal->code);
    mem_free(refusal->message);
    mem_free(refusal->region);
}

static int refusal_parse(const struct xml_node *error, struct s3_refusal *out)
{
    bool failed = false;
    *out = (struct s3_refusal){.code = xml_text(xml_child(error, "Code"), &failed),
                               .message = xml_text(xml_child(error, "Message"), &failed),
                               .region = xml_text(xml_child(error, "Region"), &failed)};
    if (failed)
        s3_refusal_fini(out);
    return failed ? fail_memory() : 0;
}

int CO_FN s3_read_refusal(const struct asked *asked, struct s3_refusal *out)
{
    autofree char *body = mem_alloc(ERROR_SIZE_MAX);
    struct xml *xml = NULL;
    int rc = 0;
    if (!body)
        return fail_memory();
    int64_t size = http_read(asked->transfer, body, ERROR_SIZE_MAX);
    if (size == -ECANCELED)
        return -ECANCELED;
    if (size > 0 && xml_parse(body, (size_t)size, &xml) == 0 && xml_is(xml_root(xml), "Error"))
        rc = refusal_parse(xml_root(xml), out);
    else
        error_clear();
    xml_free(xml);
    return rc;
}

int s3_fail_refusal(const struct asked *asked, const struct s3_refusal *refusal)
{
    const char *code = refusal->code ? refusal->code : "Error";
    int rc = s3_fail_code(code, refusal->message, asked->response->status);
    return may_pass(code) ? http_doubt(asked->transfer, rc, "%s", error_text())
                          : http_fail(asked->transfer, rc, "%s", error_text());
}

/* ---- answers in XML ---- */

struct parse_call {
    const struct buffer *body;
    struct xml *xml;
};

static int parse_body(void *arg)
{
    struct parse_call *call = arg;
    return xml_parse(call->body->data, call->body->size, &call->xml);
}

static int CO_FN read_body(const struct asked *asked, struct buffer *body)
{
    for (;;) {
        void *room = buffer_room(body, (size_t)32 << 10);
        int64_t count = room ? http_read(asked->transfer, room, (size_t)32 << 10) : body->status;
        if (count <= 0)
            return (int)count;
        buffer_grew(body, (size_t)count);
    }
}

/*
 * Keys are encoded, but servers repeat what they were asked in the same answer as it is (Ceph's gateway: the prefix), also
 * what no XML may hold. Nobody reads that.
 */
static bool is_illegal(unsigned long character)
{
    return character < 0x20 && character != '\t' && character != '\n' && character != '\r';
}

static void blank_controls(char *text)
{
    for (char *at = text; *at; at++) {
        bool reference = at[0] == '&' && at[1] == '#', hex = reference && (at[2] | 0x20) == 'x';
        char *end = at;
        if (is_illegal((unsigned char)*at))
            *at = '?';
        else if (reference && is_illegal(strtoul(at + 2 + hex, &end, hex ? 16 : 10)) && *end == ';')
            memset(at, '?', (size_t)(end - at + 1));
    }
}

int CO_FN s3_read_xml(const struct asked *asked, struct xml **out)
{
    struct buffer body = BUFFER(XML_SIZE_MAX);
    struct parse_call call = {&body, NULL};
    struct s3_refusal refusal = {0};
    int rc = read_body(asked, &body);
    *out = NULL;
    if (rc == 0 && body.size > 0)
        blank_controls(body.data);
    if (rc == 0 && body.size > 0)
        rc = body.size > HERE_SIZE_MAX ? offload(parse_body, &call) : parse_body(&call);
    if (rc == -EPROTO)
        rc = http_doubt(asked->transfer, rc, "%s", error_text());
    buffer_free(&body);
    if (rc < 0 || !call.xml || !xml_is(xml_root(call.xml), "Error")) {
        *out = call.xml;
        return rc;
    }
    rc = refusal_parse(xml_root(call.xml), &refusal);
    xml_free(call.xml);
    if (rc == 0)
        rc = s3_fail_refusal(asked, &refusal);
    s3_refusal_fini(&refusal);
    return rc;
}
