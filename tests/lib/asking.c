/* SPDX-License-Identifier: Apache-2.0 */
#include "asking.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree.h"

#define OPTIONS_MAX 12

struct server *nginx;

void forget_environment(void)
{
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
                                        "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unsetenv(names[i]);
}

int asking_setup(void **state)
{
    forget_environment();
    nginx = server_start("nginx", NULL);
    if (nginx) {
        tree_write(server_root(nginx), "file", "here", 4);
        tree_write(server_root(nginx), "dir/file", "deep", 4);
    }
    return 0;
}

int asking_teardown(void **state)
{
    server_stop(nginx);
    return 0;
}

int no_environment(void **state)
{
    forget_environment();
    return 0;
}

struct larder_fs *open_with(const char *base, const char *path, const char *const given[])
{
    const char *options[OPTIONS_MAX + 1] = {0};
    char *made[OPTIONS_MAX] = {0}, *url;
    struct larder_fs *fs = NULL;
    for (size_t i = 0; given && given[i]; i++) {
        options[i] = given[i];
        if (strncmp(given[i], "FILE:", 5) != 0)
            continue;
        const char *option = given[i] + 5, *name = strchr(option, '=') + 1;
        assert_true(asprintf(&made[i], "%.*s%s/%s", (int)(name - option), option, server_dir(nginx), name) >
                    0);
        options[i] = made[i];
    }
    assert_true(asprintf(&url, "%s%s", base, path) > 0);
    assert_ok(larder_open(NULL, url, options, &fs, NULL));
    for (size_t i = 0; i < OPTIONS_MAX; i++)
        free(made[i]);
    free(url);
    return fs;
}

int cat(const char *base, const char *path, const char *const options[], char **text)
{
    if (!nginx)
        skip();
    struct larder_fs *fs = open_with(base, path, options);
    struct larder_bytes bytes = {0};
    int rc = larder_cat_file(fs, "", NULL, &bytes);
    if (rc == 0)
        *text = strndup(bytes.data, bytes.size);
    larder_bytes_free(&bytes);
    larder_fs_free(fs);
    return rc;
}

void assert_reads(const char *base, const char *path, const char *const options[], const char *expected)
{
    char *text = NULL;
    assert_ok(cat(base, path, options, &text));
    assert_string_equal(text, expected);
    free(text);
}

void assert_fails(int status, const char *base, const char *path, const char *const options[],
                  const char *why)
{
    char *text = NULL;
    assert_status(status, cat(base, path, options, &text));
    if (!strstr(larder_error(), why))
        print_error("\"%s\" is not in \"%s\"\n", why, larder_error());
    assert_non_null(strstr(larder_error(), why));
    assert_null(strstr(larder_error(), "hush"));
}

void assert_refused(const char *url, const char *option)
{
    struct larder_fs *fs = NULL;
    assert_status(-EINVAL, larder_open(NULL, url, WITH(option), &fs, NULL));
    assert_null(strstr(larder_error(), "hush"));
}

const char *plain(void)
{
    return nginx ? server_url(nginx) : "";
}

const char *tls(void)
{
    return nginx ? server_tls_url(nginx) : "";
}

size_t count_in(const char *text, const char *what)
{
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        found++;
    return found;
}
