/* SPDX-License-Identifier: Apache-2.0 */
#include "net/aws_profile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/seams.h"

#define FILE_SIZE_MAX ((size_t)1 << 20)

static const char *const names[AWS_SETTINGS] = {
    [AWS_ACCESS_KEY] = "aws_access_key_id",
    [AWS_SECRET_KEY] = "aws_secret_access_key",
    [AWS_SESSION_TOKEN] = "aws_session_token",
    [AWS_REGION] = "region",
    [AWS_ENDPOINT_URL] = "endpoint_url",
    [AWS_ROLE_ARN] = "role_arn",
    [AWS_SOURCE_PROFILE] = "source_profile",
    [AWS_CREDENTIAL_SOURCE] = "credential_source",
    [AWS_ROLE_SESSION_NAME] = "role_session_name",
    [AWS_EXTERNAL_ID] = "external_id",
    [AWS_WEB_IDENTITY_TOKEN_FILE] = "web_identity_token_file",
    [AWS_CREDENTIAL_PROCESS] = "credential_process",
};

void aws_profile_fini(struct aws_profile *profile)
{
    for (int i = 0; i < AWS_SETTINGS; i++)
        mem_free(profile->value[i]);
    *profile = (struct aws_profile){0};
}

/* ---- a line ---- */

struct span {
    const char *text;
    size_t size;
};

static struct span trim(const char *text, size_t size)
{
    while (size > 0 && isspace((unsigned char)text[size - 1]))
        size--;
    while (size > 0 && isspace((unsigned char)*text)) {
        text++;
        size--;
    }
    return (struct span){text, size};
}

static bool span_is(struct span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.text, text, span.size) == 0;
}

/* "[profile NAME]" of the config file, "[NAME]" of the other; "[default]" in both. */
static bool is_section(struct span title, bool config, const char *name)
{
    static const char word[] = "profile";
    size_t size = sizeof word - 1;
    if (config && title.size > size && memcmp(title.text, word, size) == 0 &&
        isspace((unsigned char)title.text[size]))
        return span_is(trim(title.text + size, title.size - size), name);
    return span_is(title, name) && (!config || strcmp(name, "default") == 0);
}

/* A "#" or ";" behind white space begins a comment. */
static struct span without_comment(struct span value)
{
    for (size_t i = 1; i < value.size; i++)
        if ((value.text[i] == '#' || value.text[i] == ';') && isspace((unsigned char)value.text[i - 1]))
            return trim(value.text, i);
    return value;
}

static int take_setting(struct aws_profile *profile, struct span line, const char *equals)
{
    struct span key = trim(line.text, (size_t)(equals - line.text));
    struct span value = without_comment(trim(equals + 1, (size_t)(line.text + line.size - equals - 1)));
    for (int i = 0; i < AWS_SETTINGS; i++) {
        if (!span_is(key, names[i]) || profile->value[i])
            continue;
        profile->value[i] = mem_dup_n(value.text, value.size);
        return profile->value[i] ? 0 : fail_memory();
    }
    return 0; /* of no interest here */
}

int aws_profile_parse(const char *text, size_t size, bool config, const char *name, const char *where,
                      struct aws_profile *profile, bool *found)
{
    const char *end = text + size;
    bool ours = false;
    for (unsigned number = 1; text < end; number++) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *next = newline ? newline + 1 : end;
        bool indented = *text == ' ' || *text == '\t'; /* more of the setting above, which is none of ours */
        struct span line = trim(text, (size_t)(next - text));
        const char *equals = line.size ? memchr(line.text, '=', line.size) : NULL;
        text = next;
        if (line.size == 0 || *line.text == '#' || *line.text == ';' || indented)
            continue;
        const char *close = *line.text == '[' ? memchr(line.text, ']', line.size) : NULL;
        if (close) {
            ours = is_section(trim(line.text + 1, (size_t)(close - line.text - 1)), config, name);
            *found |= ours;
        } else if (*line.text == '[' || !equals) {
            return fail(-EINVAL, "%s, line %u: not of the form NAME = VALUE or [SECTION]", where, number);
        } else if (ours) {
            int rc = take_setting(profile, line, equals);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}

/* ---- the files ---- */

/* $VARIABLE, else ~/.aws/NAME; mem. NULL, without a text: there is no home. */
static int file_name(const char *variable, const char *name, char **out)
{
    const char *given = getenv(variable), *home = getenv("HOME");
    if (!given && !home)
        return 0;
    *out = given ? mem_dup(given) : mem_format("%s/.aws/%s", home, name);
    return *out ? 0 : fail_memory();
}

static int load_file(const char *file, bool config, const char *name, struct aws_profile *profile,
                     bool *found)
{
    int fd = file_seam.open(file, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail_errno(errno, "%s", file);
    autofree char *text = mem_alloc(FILE_SIZE_MAX);
    int64_t size = text ? file_read(fd, text, FILE_SIZE_MAX, 0) : -ENOMEM;
    file_seam.close(fd);
    if (size < 0)
        return fail_errno((int)-size, "%s", file);
    if ((size_t)size == FILE_SIZE_MAX)
        return fail(-EFBIG, "%s: too large for a file of profiles", file);
    return aws_profile_parse(text, (size_t)size, config, name, file, profile, found);
}

int aws_profile_load(const char *name, struct aws_profile *out, bool *found)
{
    autofree char *credentials = NULL, *config = NULL;
    bool any = false;
    *out = (struct aws_profile){0};
    int rc = file_name("AWS_SHARED_CREDENTIALS_FILE", "credentials", &credentials);
    if (rc == 0)
        rc = file_name("AWS_CONFIG_FILE", "config", &config);
    if (rc == 0 && credentials)
        rc = load_file(credentials, false, name, out, &any);
    if (rc == 0 && config)
        rc = load_file(config, true, name, out, &any);
    if (rc < 0)
        aws_profile_fini(out);
    if (found)
        *found = any;
    return rc;
}
