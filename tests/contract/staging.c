/* SPDX-License-Identifier: Apache-2.0 */
/* What a transaction asks of a place below the public functions: writes that are staged by an id, found again by it, read
 * before they are published; many changes at one moment. In tasks only, as the table is used. */
#include "scenario.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/seams.h"
#include "fs/fs.h"
#include "fs/layer.h"
#include "tree.h"

#define PART ((size_t)6 << 20) /* that every place takes */
#define ID   UINT64_C(0x5eed0000c0ffee00)

struct staging {
    struct scenario_run *run;
    struct instance *at;
    char path[300];
    uint64_t id;
    struct token token;
};

static void aim(struct staging *staging, const char *path)
{
    static uint64_t ids;
    const struct larder_fs *fs = staging->run->fs;
    snprintf(staging->path, sizeof staging->path, "%s/%s", fs->root, path);
    staging->at = fs->instance;
    staging->id = ID + ++ids;
}

/* Bytes of `seed`, as the place takes them. */
static int CO_EDGE send(struct staging *staging, size_t size, uint64_t seed)
{
    char *data = content_make(size ? size : 1, seed);
    struct source source = {.size = (int64_t)size, .data = data};
    int rc = 0;
    if (layer_has(staging->at, LAYER_STAGE_WHOLE))
        rc = layer_stage_whole(staging->at, staging->path, &staging->token, &source);
    else
        for (size_t at = 0; rc == 0 && at < size; at += PART)
            rc = layer_stage_part(staging->at, staging->path, &staging->token, (uint32_t)(at / PART),
                                  (int64_t)at, data + at, size - at < PART ? size - at : PART);
    free(data);
    return rc;
}

static int CO_EDGE read_back(struct staging *staging, int64_t start, int64_t end, uint64_t seed)
{
    struct bytes_sink sink;
    struct answer answer = {0};
    bytes_sink_init(&sink);
    int rc = layer_read_staged(staging->at, staging->path, &staging->token,
                               &(struct larder_range){start, end}, &sink.sink, &answer);
    if (rc == 0 &&
        (sink.size != (size_t)(end - start) || !content_matches(sink.data, sink.size, seed, (uint64_t)start)))
        rc = -EBADMSG;
    answer_free(&answer);
    bytes_sink_fini(&sink);
    return rc;
}

static int CO_EDGE staged_shows_when_published(struct scenario_run *run)
{
    struct staging staging = {.run = run};
    const size_t size = PART + 1000;
    struct larder_entries entries;
    struct larder_bytes bytes;
    struct answer answer = {0};
    aim(&staging, "f");
    if (!run->task)
        return SCENARIO_OTHER;
    if (!layer_has(staging.at, LAYER_STAGE))
        return 0;
    REQUIRE_IS(0, put_text(run, "before", ""));
    REQUIRE_IS(0, layer_stage(staging.at, staging.path, NULL, staging.id, &staging.token));
    REQUIRE_IS(0, send(&staging, size, 1));
    REQUIRE_IS(0, larder_ls(run->fs, "", &entries));
    REQUIRE(names_are(&entries, "before"));
    if (layer_has(staging.at, LAYER_READ_STAGED)) {
        REQUIRE_IS(0, read_back(&staging, 0, 100, 1));
        REQUIRE_IS(0, read_back(&staging, (int64_t)PART - 50, (int64_t)size, 1));
    }
    REQUIRE_IS(0, layer_publish(staging.at, staging.path, &staging.token, (int64_t)size, 0, NULL, &answer));
    REQUIRE_IS((long long)size, answer.info.size);
    answer_free(&answer);
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes.size == size && content_matches(bytes.data, size, 1, 0));
    larder_bytes_free(&bytes);
    if (larder_fs_capabilities(run->fs)->persistent && !layer_has(staging.at, LAYER_APPLY)) {
        int rc = layer_publish(staging.at, staging.path, &staging.token, (int64_t)size, 0, NULL, NULL);
        REQUIRE(rc == 0 || rc == -ESTALE); /* done before; or, in a transaction, another change by now */
        REQUIRE_IS(0, layer_sync(staging.at, &(const char *){staging.path}, 1));
    }
    REQUIRE_IS(0, layer_discard(staging.at, staging.path, &staging.token));
    mem_free(staging.token.text);
    REQUIRE_IS(1, larder_exists(run->fs, "f"));
    return 0;
}

/* By a process that died: its token is nowhere written down. */
static int CO_EDGE stage_and_forget(struct staging *staging, const char *path, bool send_some)
{
    struct scenario_run *run = staging->run;
    aim(staging, path);
    REQUIRE_IS(0, layer_stage(staging->at, staging->path, NULL, staging->id, &staging->token));
    if (send_some)
        REQUIRE_IS(0, send(staging, 1000, 2));
    return 0;
}

static int CO_EDGE publish(struct staging *staging, size_t size)
{
    return layer_publish(staging->at, staging->path, &staging->token, (int64_t)size, 0, NULL, NULL);
}

static int CO_EDGE publish_forgotten(struct staging *staging)
{
    int rc = publish(staging, 1000);
    mem_free(take(staging->token.text));
    return rc;
}

static int CO_EDGE the_forgotten_is_swept(struct scenario_run *run)
{
    struct staging lost = {.run = run}, other = {.run = run}, deep = {.run = run};
    int64_t since = wall_ns();
    aim(&lost, "lost");
    if (!run->task)
        return SCENARIO_OTHER;
    if (!layer_has(lost.at, LAYER_SWEEP))
        return 0;
    bool named = layer_has(lost.at, LAYER_READ_STAGED); /* by the caller's id; else what has no part */
    if (stage_and_forget(&lost, "lost", named) < 0 || stage_and_forget(&other, "other", true) < 0)
        return -1;
    if (stage_and_forget(&deep, "not/made/yet", named) < 0)
        return -1;
    REQUIRE_IS(0, layer_sweep(other.at, other.path, lost.id, since)); /* of this id, there is nothing here: */
    if (named)
        REQUIRE_IS(-ENOENT, read_back(&lost, 0, 10, 2)); /* but the directory is the same */
    REQUIRE_IS(0, layer_sweep(lost.at, lost.path, lost.id, since));
    REQUIRE_IS(0, layer_sweep(lost.at, lost.path, lost.id, since));
    REQUIRE_IS(0, larder_makedirs(run->fs, "not/made", true)); /* it lies above what is there by now */
    REQUIRE_IS(0, layer_sweep(deep.at, deep.path, deep.id, since));
    REQUIRE_IS(-ESTALE, publish_forgotten(&lost));
    REQUIRE_IS(-ESTALE, publish_forgotten(&deep));
    REQUIRE_IS(0, publish_forgotten(&other));
    REQUIRE_IS(0, larder_exists(run->fs, "lost"));
    REQUIRE_IS(1, larder_exists(run->fs, "other"));
    return 0;
}

/* Discarded; or published, and replaced since: then what replaced it stays. */
static int CO_EDGE what_is_gone_is_not_published(struct scenario_run *run)
{
    struct staging staging = {.run = run};
    struct larder_bytes bytes;
    aim(&staging, "f");
    if (!run->task)
        return SCENARIO_OTHER;
    if (!layer_has(staging.at, LAYER_STAGE))
        return 0;
    REQUIRE_IS(0, layer_stage(staging.at, staging.path, NULL, staging.id, &staging.token));
    REQUIRE_IS(0, send(&staging, 1000, 1));
    REQUIRE_IS(0, layer_discard(staging.at, staging.path, &staging.token));
    REQUIRE_IS(-ESTALE, publish(&staging, 1000));
    mem_free(take(staging.token.text));
    REQUIRE_IS(0, larder_exists(run->fs, "f"));
    aim(&staging, "f");
    REQUIRE_IS(0, layer_stage(staging.at, staging.path, NULL, staging.id, &staging.token));
    REQUIRE_IS(0, send(&staging, 1000, 1));
    REQUIRE_IS(0, publish(&staging, 1000));
    REQUIRE_IS(0, put_meanwhile(run, "f", "of another"));
    REQUIRE_IS(-ESTALE, publish(&staging, 1000));
    mem_free(take(staging.token.text));
    REQUIRE_IS(0, larder_cat_file(run->fs, "f", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "of another"));
    return 0;
}

/* ---- at one moment ---- */

static int CO_EDGE apply(struct staging *staging, struct apply_item items[], size_t count, size_t *failed)
{
    char paths[8][320];
    const char *root = staging->run->fs->root;
    for (size_t i = 0; i < count; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", root, items[i].path);
        items[i].path = paths[i];
    }
    int rc = layer_apply(staging->at, items, count, failed);
    for (size_t i = 0; i < count; i++)
        answer_free(&items[i].answer);
    return rc;
}

static int changes_apply_together(struct scenario_run *run)
{
    struct staging staging = {.run = run};
    struct larder_entries entries;
    struct larder_bytes bytes;
    size_t failed = 99;
    aim(&staging, "");
    if (!run->task)
        return SCENARIO_OTHER;
    if (!layer_has(staging.at, LAYER_APPLY))
        return 0;
    REQUIRE_IS(0, put_text(run, "old", "old"));
    REQUIRE_IS(0, put_text(run, "gone", "gone"));
    REQUIRE_IS(0, put_text(run, "dir/x", "x"));
    struct apply_item wrong[] = {{CHANGE_WRITE, false, "old", "NEW", 3},
                                 {CHANGE_REMOVE, false, "dir/x"},
                                 {CHANGE_RMDIR, false, "dir"},
                                 {CHANGE_WRITE, false, "dir", "file", 4},
                                 {CHANGE_WRITE, false, "a/b/c", "made", 4},
                                 {CHANGE_MKDIR, false, "a/b/d"},
                                 {CHANGE_REMOVE, false, "gone"},
                                 {CHANGE_WRITE, false, "old", "twice", 5, LARDER_CREATE}};
    struct apply_item right[8];
    memcpy(right, wrong, sizeof right);
    right[7].flags = 0;
    REQUIRE_IS(-EEXIST, apply(&staging, wrong, 8, &failed));
    REQUIRE_IS(7, (long long)failed);
    REQUIRE_IS(0, larder_find(run->fs, "", NULL, &entries));
    REQUIRE(names_are(&entries, "dir/x gone old"));
    REQUIRE_IS(0, larder_cat_file(run->fs, "old", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "old"));
    REQUIRE_IS(0, apply(&staging, right, 8, &failed));
    REQUIRE_IS(0, larder_find(run->fs, "", NULL, &entries));
    REQUIRE(names_are(&entries, "a/b/c dir old"));
    REQUIRE_IS(1, larder_isdir(run->fs, "a/b/d"));
    REQUIRE_IS(0, larder_cat_file(run->fs, "old", NULL, &bytes));
    REQUIRE(bytes_are(&bytes, "twice"));
    struct apply_item turned[] = {{CHANGE_WRITE, true, "a", "file", 4}, {CHANGE_MKDIR, true, "dir"}};
    REQUIRE_IS(-ENOTEMPTY, apply(&staging, turned, 1, &failed)); /* a directory goes when it is empty */
    struct apply_item emptied[] = {{CHANGE_REMOVE, false, "a/b/c"}, {CHANGE_RMDIR, false, "a/b/d"},
                                   {CHANGE_RMDIR, false, "a/b"},    {CHANGE_WRITE, true, "a", "file", 4},
                                   {CHANGE_MKDIR, true, "dir"},     {CHANGE_WRITE, false, "dir/y", "y", 1}};
    REQUIRE_IS(0, apply(&staging, emptied, 6, &failed));
    REQUIRE_IS(0, larder_find(run->fs, "", NULL, &entries));
    REQUIRE(names_are(&entries, "a dir/y old"));
    REQUIRE_IS(0, larder_rm(run->fs, "dir", true));
    REQUIRE_IS(0, put_text(run, "dir", "file"));
    struct apply_item stale[] = {{CHANGE_REMOVE, false, "old"},
                                 {CHANGE_REMOVE, false, "dir", .if_match = "another"}};
    REQUIRE_IS(-ESTALE, apply(&staging, stale, 2, &failed));
    REQUIRE_IS(1, larder_exists(run->fs, "old"));
    return 0;
}

const struct scenario staging_scenarios[] = {
    {"what is staged shows when published", NEED_WRITE, staged_shows_when_published},
    {"what is staged and forgotten is swept", NEED_WRITE, the_forgotten_is_swept},
    {"what is gone is not published", NEED_WRITE, what_is_gone_is_not_published},
    {"changes apply together", NEED_WRITE, changes_apply_together},
    {0},
};
