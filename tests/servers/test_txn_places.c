/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transactions at each kind of place, behind a cache, and under a root: every way to change something works in a view, is
 * seen there at once and by nobody else, and is there after the commit.
 */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "larder.h"

#include "tmpdir.h"
#include "tree.h"
#include "txn_places.h"

#define LARGE ((size_t)9 << 20) /* an upload of two parts on S3 */

/* ---- every way to change something ---- */

static void write_large(const char *path)
{
    struct larder_file *file;
    char *piece = malloc(LARGE);
    assert_non_null(piece);
    memset(piece, 'x', LARGE);
    assert_ok(larder_file_open(view, path, "w", NULL, &file));
    assert_ok(larder_file_write(file, piece, LARGE));
    assert_ok(larder_file_close(file));
    free(piece);
}

static void change_everything(void)
{
    const char *const local[] = {tmpdir_path(scratch, "sent")}, *const moved[] = {"d/move"};
    struct larder_map *map;
    put(view, "piped", "piped");
    put(view, "d/over", "over and over");
    assert_ok(larder_map_new(view, "m", LARDER_MAP_CREATE, &map));
    assert_ok(larder_map_set(map, "k/1", "one", 3));
    assert_ok(larder_map_delete(map, "gone"));
    larder_map_free(map);
    assert_ok(larder_put(local, 1, view, "sent", NULL));
    write_large("large");
    assert_ok(larder_cp_file(view, "d/copy", view, "copied", 0, NULL, NULL));
    assert_ok(larder_mv(view, moved, 1, view, "moved", NULL));
    assert_ok(larder_rm_file(view, "d/rm"));
    assert_ok(larder_rm(view, "tree", true));
    free((char *)local[0]);
}

static void expect_before(struct larder_fs *from)
{
    assert_text(from, "piped", NULL);
    assert_text(from, "d/over", "over");
    assert_text(from, "m/gone", "gone");
    assert_text(from, "d/move", "move");
    assert_text(from, "tree/deep/1", "1");
    expect_names(from, "", "d/ m/ tree/");
    expect_names(from, "d", "copy move over rm");
}

static void expect_after(struct larder_fs *from)
{
    struct larder_info info;
    assert_text(from, "piped", "piped");
    assert_text(from, "d/over", "over and over");
    assert_text(from, "m/k/1", "one");
    assert_text(from, "m/gone", NULL);
    assert_text(from, "sent", "sent");
    assert_text(from, "copied", "copy");
    assert_text(from, "d/copy", "copy");
    assert_text(from, "moved", "move");
    assert_text(from, "d/move", NULL);
    assert_text(from, "d/rm", NULL);
    assert_text(from, "tree/deep/1", NULL);
    assert_ok(larder_info(from, "large", &info));
    assert_int_equal(info.size, LARGE);
    larder_info_free(&info);
    assert_int_equal(larder_exists(from, "m/k"), 1);
    expect_names(from, "d", "copy over");
}

static void every_way_to_change_something(void)
{
    static const char *const names[] = {"d/copy", "d/move",      "d/over", "d/rm",
                                        "m/gone", "tree/deep/1", "tree/2"};
    struct larder_entries found;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        put(other, names[i], strrchr(names[i], '/') + 1);
    tree_write(scratch, "sent", "sent", 4);
    expect_before(fs); /* which a cache now has */
    begin();
    change_everything();
    expect_after(view);
    expect_before(fs);
    expect_before(other);
    assert_ok(larder_glob(view, "*ed", NULL, &found));
    assert_int_equal(found.count, 3); /* copied moved piped */
    larder_entries_free(&found);
    assert_ok(commit());
    expect_after(fs);
    expect_after(other);
    assert_status(-EBADF, larder_exists(view, "piped"));
    assert_nothing_pending();
}

static const char *property_of(const struct larder_properties *properties, const char *name)
{
    for (size_t i = 0; i < properties->count; i++)
        if (strcasecmp(properties->property[i].name, name) == 0)
            return properties->property[i].value;
    return "";
}

static void expect_labels(const char *path, const char *type, const char *color)
{
    struct larder_properties properties = {0};
    assert_ok(larder_properties(other, path, &properties));
    assert_string_equal(property_of(&properties, "content-type"), type);
    assert_string_equal(property_of(&properties, "metadata.color"), color);
    larder_properties_free(&properties);
}

/* Of a small one, and of an upload in parts; each has its own. */
static void each_file_has_its_type_and_metadata(void)
{
    static const char *const red[] = {"s3.content_type=auto", "s3.metadata=color: red", NULL},
                             *const blue[] = {"s3.content_type=image/x-test", "s3.metadata=color: blue",
                                              NULL};
    struct larder_fs *whole, *said;
    if (!place->server || strcmp(place->server, "rgw") != 0)
        skip(); /* few other places keep any */
    begin();
    whole = view;
    assert_ok(larder_fs_at(whole, NULL, red, &said));
    put(said, "page.html", "<p>");
    larder_fs_free(said);
    assert_ok(larder_fs_at(whole, NULL, blue, &view));
    write_large("large");
    larder_fs_free(view);
    view = whole;
    assert_ok(commit());
    expect_labels("page.html", "text/html", "red");
    expect_labels("large", "image/x-test", "blue");
}

static void nothing_is_left_of_a_rollback(void)
{
    static const char *const names[] = {"d/copy", "d/move",      "d/over", "d/rm",
                                        "m/gone", "tree/deep/1", "tree/2"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        put(other, names[i], strrchr(names[i], '/') + 1);
    tree_write(scratch, "sent", "sent", 4);
    begin();
    change_everything();
    assert_ok(larder_txn_rollback(txn));
    txn = NULL;
    expect_before(other);
    expect_before(fs);
    assert_nothing_pending();
}

int main(void)
{
    static const struct places_scenario scenarios[] = {
        {"every way to change something", every_way_to_change_something},
        {"each file has its type and metadata", each_file_has_its_type_and_metadata},
        {"nothing is left of a rollback", nothing_is_left_of_a_rollback},
    };
    return places_run(scenarios, sizeof scenarios / sizeof scenarios[0]);
}
