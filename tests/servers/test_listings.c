/* SPDX-License-Identifier: Apache-2.0 */
/* One tree on disk, as every server lists it: what Larder says of it must be so. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder.h"

#include "server.h"
#include "tmpdir.h"
#include "tree.h"

#define NAMES_MAX 64
#define TIME_S    1709210096 /* 2024-02-29 12:34:56 */
#define TIME_NS   500000000
#define S_NS      1000000000LL

/* What a name may hold, on a disk: everything but "/" and NUL. */
static const char *const names[] = {
    "plain.txt",
    "a b",
    "q\"uo'te",
    "100%",
    "%41",
    "a%2Fb",
    "nul%00",
    "hash#tag",
    "what?",
    "a&b",
    "a&amp;b",
    "<lt>",
    "\xc3\xa9",
    "\xf0\x9f\x98\x80",
    "nb\xc2\xa0sp",
    "\xff\xfe",
    "new\nline",
    "cr\rx",
    "tab\tx",
    "\1control",
    "\x7f",
    "+plus",
    "semi;colon",
    "colon:x",
    "http:",
    "mailto:x",
    "back\\slash",
    ".hidden",
    "..dots",
    "~tilde",
    "*star",
    "[br]",
    "{c}",
    "^|`",
    "$d=@!(),",
    "-dash",
    " leading",
    "trailing ",
    "#",
    "?",
    "a_name_that_is_longer_than_the_fifty_characters_that_nginx_shows_and_than_a_line_of_a_terminal_is",
};
#define NAMES (sizeof names / sizeof names[0])
/* Directories, each with one of these names in it. */
static const char *const dirs[] = {"sub", "s p", "s#?%&<", "\xc3\xa9 dir", "\xfe\xff"};
#define DIRS (sizeof dirs / sizeof dirs[0])

static char *disk;

enum quirk {
    HIDES_DOTS = 1,
    HIDES_LINKS = 2,
    UTF8_ONLY = 4,           /* other names become other ones */
    NO_CONTROLS = 8,         /* control characters too */
    SERVES_NO_CONTROLS = 16, /* they are listed, but not found */
};
static const struct place {
    const char *server, *path;
    unsigned quirks;
    int64_t exact_up_to; /* greater sizes are not printed to the byte; -1: none is */
    int64_t grain_ns;    /* of times; 0: none are printed */
} places[] = {
    {"nginx", "", HIDES_DOTS, INT64_MAX, 60 * S_NS},
    {"nginx", "/json", HIDES_DOTS, INT64_MAX, S_NS},
    {"nginx", "/xml", HIDES_DOTS, INT64_MAX, S_NS},
    {"apache", "", 0, 972, 60 * S_NS},
    {"apache", "/pre", 0, 972, 60 * S_NS},
    {"apache", "/plain", 0, -1, 0},
    {"lighttpd", "", SERVES_NO_CONTROLS, -1, S_NS},
    {"caddy", "", 0, INT64_MAX, 1},
    {"caddy", "/html", 0, INT64_MAX, S_NS},
    {"rclone-http", "", HIDES_LINKS | NO_CONTROLS, INT64_MAX, 1},
    {"python", "", UTF8_ONLY, -1, 0},
};
#define PLACES (sizeof places / sizeof places[0])

/* ---- the tree ---- */

static size_t size_of_file(size_t index)
{
    return index * 37; /* on both sides of what Apache prints exactly */
}

static void set_time(const char *path)
{
    const struct timespec times[2] = {{TIME_S, TIME_NS}, {TIME_S, TIME_NS}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void link_to(const char *target, const char *name)
{
    char *path = tmpdir_path(disk, name);
    assert_int_equal(symlink(target, path), 0);
    set_time(path);
    free(path);
}

static int setup(void **state)
{
    disk = tmpdir_make();
    for (size_t i = 0; i < NAMES; i++)
        tree_write_content(disk, names[i], size_of_file(i), i + 1);
    tree_write_content(disk, "big", 5000001, 100);
    for (size_t i = 0; i < DIRS; i++) {
        char *dir = tmpdir_path(disk, dirs[i]);
        tree_write(dir, names[i], dirs[i], strlen(dirs[i]));
        set_time(dir);
        free(dir);
    }
    for (size_t i = 0; i <= NAMES; i++) {
        char *path = tmpdir_path(disk, i < NAMES ? names[i] : "big");
        set_time(path);
        free(path);
    }
    link_to("big", "link to a file");
    link_to("sub", "link to a directory");
    return 0;
}

static int teardown(void **state)
{
    tmpdir_remove(disk);
    return 0;
}

/* ---- what is expected ---- */

static bool is_control(unsigned char c)
{
    return c < ' ' || c == 0x7f;
}

/* Strictly: no surrogates. */
static bool is_utf8(const char *name)
{
    for (const unsigned char *at = (const unsigned char *)name; *at;) {
        size_t more = *at < 0x80 ? 0 : *at >= 0xf0 ? 3 : *at >= 0xe0 ? 2 : *at >= 0xc2 ? 1 : 4;
        if (more == 4 || (at[0] == 0xed && at[1] >= 0xa0))
            return false;
        for (at++; more > 0; more--, at++)
            if ((*at & 0xc0) != 0x80)
                return false;
    }
    return true;
}

static bool has_control(const char *name)
{
    for (; *name; name++)
        if (is_control((unsigned char)*name))
            return true;
    return false;
}

/* Is a name one that this place lists as it is? What it makes of others (rclone: U+240A for a newline) is not either. */
static bool is_listed(const struct place *place, const char *name)
{
    bool control = has_control(name) || strstr(name, "\xe2\x90"); /* U+2400 … */
    if ((place->quirks & HIDES_DOTS) && name[0] == '.')
        return false;
    if ((place->quirks & HIDES_LINKS) && strncmp(name, "link to", 7) == 0)
        return false;
    return !((place->quirks & NO_CONTROLS) && control) && !((place->quirks & UTF8_ONLY) && !is_utf8(name));
}

static struct larder_fs *open_place(const struct place *place, const struct server *server, const char *path)
{
    struct larder_fs *fs = NULL;
    char *url;
    assert_true(asprintf(&url, "%s%s/%s", server_url(server), place->path, path) > 0);
    assert_ok(larder_open(NULL, url, NULL, &fs, NULL));
    free(url);
    return fs;
}

static void assert_entry(const struct place *place, const struct larder_info *info)
{
    struct stat st;
    char *path = tmpdir_path(disk, info->name);
    int found = stat(path, &st);
    bool directory = found == 0 && S_ISDIR(st.st_mode);
    int64_t mtime_ns = TIME_S * S_NS + TIME_NS, size = directory ? 0 : (int64_t)st.st_size;
    if (found < 0 || info->type != (directory ? LARDER_DIRECTORY : LARDER_FILE))
        print_error("%s%s: \"%s\", type %d\n", place->server, place->path, info->name, info->type);
    assert_int_equal(found, 0);
    assert_int_equal(info->type, directory ? LARDER_DIRECTORY : LARDER_FILE);
    assert_int_equal(info->size,
                     !directory && size > place->exact_up_to ? (int64_t)LARDER_SIZE_UNKNOWN : size);
    assert_int_equal(info->mtime_ns, place->grain_ns ? mtime_ns / place->grain_ns * place->grain_ns : 0);
    free(path);
}

static void assert_readable(struct larder_fs *fs, size_t index)
{
    struct larder_bytes bytes = {0};
    assert_ok(larder_cat_file(fs, names[index], NULL, &bytes));
    assert_int_equal(bytes.size, size_of_file(index));
    assert_true(content_matches(bytes.data, bytes.size, index + 1, 0));
    larder_bytes_free(&bytes);
}

/* In each directory lies one file, whose content is the directory's name. */
static void assert_directory(struct larder_fs *fs, const char *dir, const char *name)
{
    struct larder_entries entries;
    struct larder_bytes bytes = {0};
    char *path = tmpdir_path(dir, name);
    assert_ok(larder_ls(fs, dir, &entries));
    assert_int_equal(entries.count, 1);
    assert_string_equal(entries.info[0].name, name);
    assert_ok(larder_cat_file(fs, path, NULL, &bytes));
    assert_string_equal(bytes.data, dir);
    larder_bytes_free(&bytes);
    larder_entries_free(&entries);
    free(path);
}

static void check_place(const struct place *place, const struct server *server)
{
    struct larder_fs *fs = open_place(place, server, "");
    struct larder_entries entries;
    size_t listed = 0, expected = 1 + (place->quirks & HIDES_LINKS ? 0 : 2); /* "big", and two links */
    assert_ok(larder_ls(fs, "", &entries));
    for (size_t i = 0; i < entries.count; i++) {
        if (!is_listed(place, entries.info[i].name))
            continue;
        assert_entry(place, &entries.info[i]);
        listed++;
    }
    for (size_t i = 0; i < NAMES; i++) {
        if (is_listed(place, names[i])) {
            if (!(place->quirks & SERVES_NO_CONTROLS) || !has_control(names[i]))
                assert_readable(fs, i);
            expected++;
        }
    }
    for (size_t i = 0; i < DIRS; i++) {
        if (is_listed(place, dirs[i])) {
            assert_directory(fs, dirs[i], names[i]);
            expected++;
        }
    }
    if (listed != expected)
        print_error("%s%s: %zu names, not %zu\n", place->server, place->path, listed, expected);
    assert_int_equal(listed, expected);
    larder_entries_free(&entries);
    larder_fs_free(fs);
}

/* ---- tests ---- */

static void check_server(const char *name)
{
    struct server *server = server_start(name, disk);
    if (!server)
        skip();
    for (size_t i = 0; i < PLACES; i++)
        if (strcmp(places[i].server, name) == 0)
            check_place(&places[i], server);
    server_stop(server);
}

static void nginx_lists_what_is_there(void **state)
{
    check_server("nginx");
}

static void apache_lists_what_is_there(void **state)
{
    check_server("apache");
}

static void lighttpd_lists_what_is_there(void **state)
{
    check_server("lighttpd");
}

static void caddy_lists_what_is_there(void **state)
{
    check_server("caddy");
}

static void rclone_lists_what_is_there(void **state)
{
    check_server("rclone-http");
}

static void python_lists_what_is_there(void **state)
{
    check_server("python");
}

static void a_listing_is_one_request(void **state)
{
    static const char *const servers[] = {"nginx", "apache", "lighttpd"};
    static const char *const paths[] = {"", "sub/", "sub", "s%20p/"};
    for (size_t i = 0; i < 3; i++) {
        struct server *server = server_start(servers[i], disk);
        if (!server)
            continue;
        for (size_t j = 0; j < 4; j++) {
            struct larder_entries entries;
            struct larder_fs *fs = open_place(&(struct place){.path = ""}, server, paths[j]);
            server_log_clear(server);
            assert_ok(larder_ls(fs, "", &entries));
            assert_int_equal(server_log_connections(server, 1), 1);
            larder_entries_free(&entries);
            larder_fs_free(fs);
        }
        server_stop(server);
    }
}

#define MANY      100000
#define LINKS_MAX 50000 /* of one file: ext4 has 65,000 */

/* Links to a few files, which are made and removed sooner than as many files. */
static void make_many(const char *root)
{
    int dir = open(root, O_DIRECTORY | O_RDONLY);
    char first[32] = "", name[32];
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "f%06u", i);
        if (i % LINKS_MAX == 0) {
            int fd = openat(dir, strcpy(first, name), O_CREAT | O_WRONLY, 0600);
            assert_true(fd >= 0);
            close(fd);
        } else {
            assert_int_equal(linkat(dir, first, dir, name, 0), 0);
        }
    }
    close(dir);
}

static void a_hundred_thousand_files_are_listed(void **state)
{
    static const char *const formats[] = {"", "/json"};
    struct server *nginx = server_start("nginx", NULL);
    if (!nginx)
        skip();
    make_many(server_root(nginx));
    for (size_t i = 0; i < 2; i++) {
        struct larder_entries entries;
        struct larder_fs *fs = open_place(&(struct place){.path = formats[i]}, nginx, "");
        assert_ok(larder_ls(fs, "", &entries));
        assert_int_equal(entries.count, MANY);
        for (size_t j = 0; j < MANY; j++)
            if (strtoul(entries.info[j].name + 1, NULL, 10) != j || entries.info[j].size != 0)
                fail_msg("%zu: %s of %lld", j, entries.info[j].name, (long long)entries.info[j].size);
        larder_entries_free(&entries);
        larder_fs_free(fs);
    }
    server_stop(nginx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nginx_lists_what_is_there),    cmocka_unit_test(apache_lists_what_is_there),
        cmocka_unit_test(lighttpd_lists_what_is_there), cmocka_unit_test(caddy_lists_what_is_there),
        cmocka_unit_test(rclone_lists_what_is_there),   cmocka_unit_test(python_lists_what_is_there),
        cmocka_unit_test(a_listing_is_one_request),     cmocka_unit_test(a_hundred_thousand_files_are_listed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
