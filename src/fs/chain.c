/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/chain.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/path.h"
#include "base/seams.h"
#include "fs/config.h"
#include "fs/fs.h"
#include "fs/instance.h"
#include "fs/option.h"

void chain_fini(struct chain *chain)
{
    mem_free(chain->path);
}

/* ---- what a URL says ---- */

/* The size of the word in front of the first "::", or 0 where the text is not that of a chain. */
static size_t view_word(const char *text)
{
    size_t size = 0;
    while (isalnum((unsigned char)text[size]) || (text[size] && strchr("+-._", text[size])))
        size++;
    return size > 0 && text[size] == ':' && text[size + 1] == ':' ? size : 0;
}

static int find_leaf(const char *url, const struct backend **out)
{
    size_t size = 0;
    while (isalnum((unsigned char)url[size]) || (url[size] && strchr("+-.", url[size])))
        size++;
    bool has_protocol = size > 0 && strncmp(url + size, "://", 3) == 0;
    *out = has_protocol ? backend_find(url, size) : backend_find("file", 4);
    if (!*out)
        return fail(-ENOTSUP, "\"%.*s\": no backend knows this protocol", (int)size, url);
    if ((*out)->view)
        return fail(-EINVAL, "\"%s\" is a view: write %s::URL", (*out)->name, (*out)->name);
    return 0;
}

static int add_view(struct chain *chain, const struct backend *view)
{
    if (chain->view_count == CHAIN_MAX)
        return fail(-EINVAL, "more than %d layers in a chain", CHAIN_MAX);
    for (size_t i = 0; i < chain->view_count; i++)
        if (chain->views[i] == view)
            return fail(-EINVAL, "\"%s\" stands twice in the chain", view->name);
    chain->views[chain->view_count++] = view;
    return 0;
}

int chain_parse(const char *url, struct chain *chain)
{
    size_t size;
    *chain = (struct chain){.url = url};
    if (!url)
        return fail(-EINVAL, "no URL");
    for (; (size = view_word(chain->url)) > 0; chain->url += size + 2) {
        if (size == 3 && strncasecmp(chain->url, "dir", 3) == 0) {
            chain->dir = true;
            continue;
        }
        const struct backend *view = backend_find(chain->url, size);
        if (!view || !view->view)
            return fail(-ENOTSUP, "no view is called \"%.*s\"", (int)size, chain->url);
        int rc = add_view(chain, view);
        if (rc < 0)
            return rc;
    }
    return *chain->url ? find_leaf(chain->url, &chain->leaf)
                       : fail(-EINVAL, "\"%s\": the URL is missing", url);
}

int place_is_all(const char *rest, char **place, char **path)
{
    int rc = path_resolve("", rest, path, NULL);
    if (rc == 0 && !(*place = mem_dup(""))) {
        mem_free(take(*path));
        rc = fail_memory();
    }
    return rc;
}

/* ---- opening ---- */

static const struct option fs_options[] = {
    {"asynchronous", OPTION_BOOL, "false", 0, "open nothing before larder_fs_connect"},
    {"skip_instance_cache", OPTION_BOOL, "false", 0, "an instance of its own, that no other handle is given"},
    {0},
};
static const char *const no_protocols[] = {NULL};
const struct backend fs_layer = {.name = "fs", .protocols = no_protocols, .options = fs_options};

static int refuse_configured(void *arg, const char *key, const char *value)
{
    return fail(-EINVAL, "option fs.%s: it is given to larder_open alone", key);
}

/* What all layers are opened with. By its caller alone: nobody else knows whether he connects. */
static int take_fs_options(const char *const options[], struct opening *opening)
{
    char **values = options_new(&fs_layer);
    int rc = values ? options_check_layers(options) : fail_memory();
    if (rc == 0)
        rc = config_each(fs_layer.name, refuse_configured, NULL);
    if (rc == 0)
        rc = options_override(&fs_layer, options, false, false, values);
    if (rc == 0) {
        opening->asynchronous = option_value_bool(*option_slot(&fs_layer, values, "asynchronous"));
        opening->unshared = option_value_bool(*option_slot(&fs_layer, values, "skip_instance_cache"));
    }
    options_free(&fs_layer, values);
    return rc;
}

static int open_leaf(struct chain *chain, struct opening *opening, const char *const options[],
                     struct instance **out)
{
    autofree char *place = NULL;
    opening->backend = chain->leaf;
    int rc = options_take(chain->leaf, options, true, &opening->values);
    if (rc < 0)
        return rc;
    rc = chain->leaf->locate(chain->leaf, chain->url, opening->values, &place, &chain->path);
    if (rc < 0) {
        options_free(chain->leaf, opening->values);
        return rc;
    }
    size_t size = strlen(chain->path);
    chain->slash = size > 0 && chain->path[size - 1] == '/';
    chain->path[size - chain->slash] = 0;
    opening->place = place;
    return instance_get(opening, out);
}

/* Takes over the reference to what is behind it. */
static int open_view(const struct backend *view, struct opening *opening, const char *const options[],
                     struct instance **instance)
{
    struct larder_fs *next;
    opening->backend = view;
    opening->place = NULL;
    int rc = fs_new(take(*instance), "", &next);
    if (rc < 0)
        return rc;
    opening->next = next;
    rc = options_take(view, options, false, &opening->values);
    if (rc == 0)
        rc = instance_get(opening, instance);
    larder_fs_free(next);
    return rc;
}

int chain_open(struct chain *chain, struct larder_loop *loop, const char *const options[],
               struct instance **out)
{
    struct opening opening = {.loop = loop};
    struct instance *instance = NULL;
    int rc = take_fs_options(options, &opening);
    if (rc == 0)
        rc = open_leaf(chain, &opening, options, &instance);
    for (size_t i = chain->view_count; rc == 0 && i > 0; i--)
        rc = open_view(chain->views[i - 1], &opening, options, &instance);
    if (rc == 0)
        *out = instance;
    return rc;
}

int chain_url(const struct instance *outermost, const char *path, char **url)
{
    const struct instance *layer = outermost;
    autofree char *chain = mem_dup("");
    for (; chain && layer->next; layer = layer->next->instance) {
        if (layer->backend->opaque) /* no URL opens it: what is behind it has one */
            continue;
        char *longer = mem_format("%s%s::", chain, layer->backend->name);
        mem_free(chain);
        chain = longer;
    }
    autofree char *leaf = layer->backend->url((struct instance *)layer, path);
    char *whole = chain && leaf ? mem_format("%s%s", chain, leaf) : NULL;
    if (!whole)
        return fail_memory();
    *url = whole;
    return 0;
}

int(fail_at)(const struct instance *outermost, const char *path, int status, const char *format, ...)
{
    static const char local[] = "file://";
    const size_t size = sizeof local - 1;
    autofree char *url = NULL;
    char words[ERROR_TEXT_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(words, sizeof words, format, values);
    va_end(values);
    if (chain_url(outermost, path, &url) < 0)
        return fail(status, "%s: %s", path, words);
    return fail(status, "%s: %s", strncmp(url, local, size) == 0 ? url + size : url, words);
}
