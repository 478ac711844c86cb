/* SPDX-License-Identifier: Apache-2.0 */
/* A program's own backend: made known, and opened. */
#include "fs/foreign.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/path.h"
#include "base/seams.h"
#include "fs/fs.h"
#include "fs/option.h"
#include "task/loop.h"

int larder_fail(int status, const char *format, ...)
{
    char text[ERROR_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return status < 0 ? fail(status, "%s", text) : fail(-EINVAL, "larder_fail(%d): %s", status, text);
}

/* ---- what is opened: a larder_place is our instance ---- */

static const struct instance *instance_of(const struct larder_place *place)
{
    return (const struct instance *)place;
}

const char *larder_place_name(const struct larder_place *place)
{
    return instance_of(place)->place;
}

const char *larder_place_text(const struct larder_place *place, const char *option)
{
    return option_is_known(instance_of(place)->backend, option) ? option_text(instance_of(place), option)
                                                                : NULL;
}

int64_t larder_place_number(const struct larder_place *place, const char *option)
{
    return option_is_known(instance_of(place)->backend, option) ? option_number(instance_of(place), option)
                                                                : -1;
}

bool larder_place_bool(const struct larder_place *place, const char *option)
{
    return option_is_known(instance_of(place)->backend, option) && option_bool(instance_of(place), option);
}

struct larder_loop *larder_place_loop(const struct larder_place *place)
{
    struct larder_loop *loop = instance_of(place)->loop;
    return loop ? loop : larder_loop_default();
}

/* ---- opening ---- */

static int foreign_locate(const struct backend *backend, const char *url, char **values, char **place,
                          char **path)
{
    const struct larder_backend *given = &container_of(backend, struct foreign, backend)->given;
    const char *rest = url + strlen(given->protocol) + strlen("://");
    size_t size = given->split ? given->split(rest) : 0;
    if (size > strlen(rest))
        return fail(-EINVAL, "%s: the place is longer than the URL", given->protocol);
    autofree char *clean = NULL;
    int rc = path_resolve("", rest + size, &clean, NULL);
    char *name = rc == 0 ? mem_dup_n(rest, size) : NULL;
    if (!name)
        return rc < 0 ? rc : fail_memory();
    *place = name;
    *path = take(clean);
    return 0;
}

static char *foreign_url(struct instance *instance, const char *path)
{
    const char *name = instance->place, *slash = *name && *path && name[strlen(name) - 1] != '/' ? "/" : "";
    return mem_format("%s://%s%s%s", instance->backend->name, name, slash, path);
}

/* What only this process has is not taken for what another one has. */
static char *make_identity(const struct instance *instance)
{
    const struct option *options = instance->backend->options;
    struct buffer said = BUFFER((size_t)16 << 20);
    uint64_t digest = instance->can.persistent ? 0 : random_u64();
    for (size_t i = 0; options[i].name; i++) {
        const char *value = instance->option_values[i];
        if ((options[i].flags & OPTION_IDENTITY) && value)
            buffer_format(&said, "%s=%s\n", options[i].name, value);
    }
    if (said.size > 0)
        digest ^= hash_bytes(said.data, said.size);
    char *identity = said.status < 0 ? NULL
                                     : mem_format("%s://%s#%016llx", instance->backend->name, instance->place,
                                                  (unsigned long long)digest);
    buffer_free(&said);
    return identity;
}

static int foreign_open(struct instance *instance)
{
    const struct larder_backend *given = given_of(instance);
    bool stages = given->stage;
    instance->can = (struct larder_capabilities){.list = given->list,
                                                 .write = given->write,
                                                 .remove_count_max = 1,
                                                 .copy = given->copy,
                                                 .stage = stages,
                                                 .sign = given->sign,
                                                 .part_size_min = stages ? 1 : 0,
                                                 .part_size_max = stages ? INT64_MAX : 0};
    void *state = NULL;
    int rc = given->open((const struct larder_place *)instance, &instance->can, &state);
    if (rc != 0)
        return rc < 0 ? rc : fail(-EPROTO, "%s: open returned %d", given->protocol, rc);
    instance->identity = make_identity(instance);
    if (!instance->identity) {
        if (given->close)
            given->close(state);
        return fail_memory();
    }
    container_of(instance, struct foreign_instance, instance)->state = state;
    return 0;
}

static void foreign_close(struct instance *instance)
{
    if (given_of(instance)->close)
        given_of(instance)->close(state_of(instance));
}

/* ---- becoming known ---- */

static int check_protocol(const char *protocol)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz",
                      all[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    if (!protocol || !*protocol || !strchr(letters, *protocol) || protocol[strspn(protocol, all)])
        return fail(-EINVAL,
                    "larder_register: \"%s\" is no protocol: a-z, 0-9 and -, beginning with a letter",
                    protocol ? protocol : "");
    if (strcmp(protocol, "dir") == 0)
        return fail(-EEXIST, "\"dir\" is known already");
    return 0;
}

static int check_options(const struct larder_backend *given)
{
    for (const struct larder_backend_option *option = given->options; option && option->name; option++) {
        if (option_is_known(&fs_layer, option->name))
            return fail(-EINVAL, "larder_register: %s.%s: every filesystem has this option", given->protocol,
                        option->name);
        if (!option->help || !*option->name || strpbrk(option->name, ".=") ||
            option->type > LARDER_OPTION_DURATION)
            return fail(-EINVAL, "larder_register: %s.%s: an option without a type, a help or a proper name",
                        given->protocol, option->name);
    }
    return 0;
}

static int check_table(const struct larder_backend *given)
{
    int rc = check_protocol(given->protocol);
    if (rc == 0 && given->kind != LARDER_INSTANT && given->kind != LARDER_BLOCKING &&
        given->kind != LARDER_TASKS)
        rc = fail(-EINVAL, "larder_register: %s: a table without a kind", given->protocol);
    if (rc == 0 && (!given->open || !given->info || !given->read))
        rc = fail(-EINVAL, "larder_register: %s: a table without open, info or read", given->protocol);
    bool some = given->stage || given->stage_part || given->publish || given->discard;
    bool all = given->stage && given->stage_part && given->publish && given->discard && given->write;
    if (rc == 0 && some && !all)
        rc = fail(-EINVAL,
                  "larder_register: %s: stage, stage_part, publish, discard and write belong together",
                  given->protocol);
    return rc == 0 ? check_options(given) : rc;
}

static void foreign_free(struct foreign *foreign)
{
    for (struct option *option = foreign->options; option && (option->name || option->help); option++) {
        mem_free((char *)option->name);
        mem_free((char *)option->fallback);
        mem_free((char *)option->help);
    }
    mem_free(foreign->options);
    mem_free((char *)foreign->backend.name);
    mem_free(foreign);
}

static bool copy_option(struct option *option, const struct larder_backend_option *given)
{
    static const enum option_type types[] = {[LARDER_OPTION_TEXT] = OPTION_TEXT,
                                             [LARDER_OPTION_BOOL] = OPTION_BOOL,
                                             [LARDER_OPTION_COUNT] = OPTION_COUNT,
                                             [LARDER_OPTION_SIZE] = OPTION_SIZE,
                                             [LARDER_OPTION_DURATION] = OPTION_DURATION};
    bool timeout = strcmp(given->name, "timeout") == 0 && given->type == LARDER_OPTION_DURATION;
    option->type = types[given->type];
    option->flags = (given->flags & LARDER_OPTION_IDENTITY ? OPTION_IDENTITY : 0) |
                    (given->flags & LARDER_OPTION_SECRET ? OPTION_SECRET : 0) |
                    (timeout ? OPTION_PER_HANDLE : 0);
    option->help = mem_dup(given->help);
    option->name = option->help ? mem_dup(given->name) : NULL;
    option->fallback = option->name && given->fallback ? mem_dup(given->fallback) : NULL;
    return option->name && (option->fallback || !given->fallback);
}

/* Fills in what refers to the caller's memory with copies of it. */
static bool copy_texts(struct foreign *foreign)
{
    const struct larder_backend_option *given = foreign->given.options;
    size_t count = 0;
    while (given && given[count].name)
        count++;
    char *name = mem_dup(foreign->given.protocol);
    foreign->backend.name = foreign->protocols[0] = foreign->given.protocol = name;
    foreign->options = mem_array(count + 1, sizeof *foreign->options);
    bool whole = name && foreign->options;
    for (size_t i = 0; whole && i < count; i++)
        whole = copy_option(&foreign->options[i], &given[i]);
    foreign->given.options = NULL;
    foreign->backend.options = foreign->options;
    return whole;
}

int foreign_register(const struct larder_backend *given)
{
    struct foreign *foreign = mem_zero(sizeof *foreign);
    if (!foreign)
        return fail_memory();
    int rc = given ? tuning_take(&foreign->given, sizeof foreign->given, given) : fail(-EINVAL, "no table");
    if (rc == 0)
        rc = check_table(&foreign->given);
    if (rc < 0) {
        mem_free(foreign);
        return rc;
    }
    struct backend *backend = &foreign->backend;
    static const enum kind kinds[] = {
        [LARDER_INSTANT] = INSTANT, [LARDER_BLOCKING] = BLOCKING, [LARDER_TASKS] = ASYNC};
    *backend = (struct backend){.protocols = foreign->protocols,
                                .kind = kinds[foreign->given.kind],
                                .size = sizeof(struct foreign_instance),
                                .locate = foreign_locate,
                                .open = foreign_open,
                                .close = foreign_close,
                                .url = foreign_url};
    foreign_fill_operations(backend, &foreign->given);
    rc = copy_texts(foreign) ? backend_register(backend) : fail_memory();
    if (rc < 0)
        foreign_free(foreign);
    return rc;
}
