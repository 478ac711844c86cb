/* SPDX-License-Identifier: Apache-2.0 */
/* The overlay against a model that looks at every change: random changes over a small tree of awkward names. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "base/seams.h"
#include "txn/overlay.h"

#define PATHS 80
#define STEPS 6000

static char paths[PATHS][24];
static enum change_kind model[PATHS]; /* 0: no change */
static struct overlay overlay;
static uint64_t seed = 20261125;

static unsigned draw(unsigned below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(seed >> 33) % below;
}

static bool is_below(size_t one, size_t other)
{
    return path_within(paths[one], paths[other]) && one != other;
}

static bool model_lives_below(size_t at)
{
    for (size_t i = 0; i < PATHS; i++)
        if (is_below(at, i) && (model[i] == CHANGE_WRITE || model[i] == CHANGE_MKDIR))
            return true;
    return false;
}

/* By any change above; a file's says nothing of what is below where its name may be a directory's as well. */
static bool model_is_gone(size_t at)
{
    for (size_t i = 0; i < PATHS; i++) {
        bool of_file = model[i] == CHANGE_WRITE || model[i] == CHANGE_REMOVE;
        if (model[i] && model[i] != CHANGE_TOUCH && is_below(i, at) && (overlay.real_directories || !of_file))
            return true;
    }
    return false;
}

static enum overlay_fate model_fate(size_t at)
{
    bool live = model_lives_below(at);
    switch (model[at]) {
    case CHANGE_WRITE:
        return OVERLAY_FILE;
    case CHANGE_MKDIR:
        return OVERLAY_DIRECTORY;
    case CHANGE_REMOVE:
        return live ? OVERLAY_DIRECTORY : overlay.real_directories ? OVERLAY_GONE : OVERLAY_REMOVED;
    case CHANGE_RMDIR:
        return live ? OVERLAY_DIRECTORY : OVERLAY_GONE;
    case CHANGE_TOUCH:
    case CHANGE_CHECK:
        break;
    }
    return live ? OVERLAY_IMPLIED : model_is_gone(at) ? OVERLAY_GONE : OVERLAY_UNTOUCHED;
}

/* The first of those with a change that come behind, in the order, and are not below (`outside`). */
static const char *model_next(size_t at, bool outside)
{
    const char *best = NULL;
    for (size_t i = 0; i < PATHS; i++)
        if (model[i] && path_compare(paths[i], paths[at]) > 0 && !(outside && is_below(at, i)) &&
            (!best || path_compare(paths[i], best) < 0))
            best = paths[i];
    return best;
}

static void assert_path(const struct change *change, const char *expected)
{
    if (!expected)
        assert_null(change);
    else
        assert_string_equal(change->path, expected);
}

static void compare_at(size_t at)
{
    struct change *change;
    const char *next = model_next(at, false);
    assert_int_equal(overlay_look(&overlay, paths[at], &change), model_fate(at));
    assert_int_equal(change ? change->kind : 0, model[at]);
    assert_ptr_equal(overlay_at(&overlay, paths[at]), change);
    assert_path(overlay_next(&overlay, paths[at]), next);
    assert_path(overlay_next_outside(&overlay, paths[at]), model_next(at, true));
    assert_path(overlay_first_below(&overlay, paths[at]), next && path_within(paths[at], next) ? next : NULL);
    assert_int_equal(overlay_lives_below(&overlay, paths[at]), model_lives_below(at));
}

static void step(void)
{
    size_t at = draw(PATHS);
    struct change *change, *replaced = NULL;
    if (draw(3) == 0) {
        change = overlay_take(&overlay, paths[at]);
        assert_int_equal(change ? change->kind : 0, model[at]);
        change_unref(change);
        model[at] = 0;
        return;
    }
    enum change_kind kind = (enum change_kind)(CHANGE_WRITE + draw(5));
    assert_ok(change_new(kind, paths[at], &change));
    assert_ok(overlay_put(&overlay, change, &replaced));
    assert_int_equal(replaced ? replaced->kind : 0, model[at]);
    change_unref(replaced);
    model[at] = kind;
}

/* Three levels of names that sort oddly around the slash. */
static void make_paths(void)
{
    static const char *const names[] = {"a", "a!", "a.b", "b"};
    size_t count = 0;
    for (size_t i = 0; i < 4; i++) {
        snprintf(paths[count++], sizeof paths[0], "%s", names[i]);
        for (size_t j = 0; j < 4; j++) {
            snprintf(paths[count++], sizeof paths[0], "%s/%s", names[i], names[j]);
            for (size_t k = 0; k < 4 && count < PATHS; k++)
                snprintf(paths[count++], sizeof paths[0], "%s/%s/%s", names[i], names[j], names[k]);
        }
    }
    assert_true(count <= PATHS);
    while (count < PATHS) {
        snprintf(paths[count], sizeof paths[0], "z%zu", count);
        count++;
    }
}

static void look_and_order_agree_with_a_model(void **state)
{
    make_paths();
    for (int real = 0; real < 2; real++) {
        overlay.real_directories = real;
        for (unsigned i = 0; i < STEPS; i++) {
            step();
            compare_at(draw(PATHS));
        }
        for (size_t at = 0; at < PATHS; at++)
            compare_at(at);
        overlay_fini(&overlay);
        memset(model, 0, sizeof model);
    }
}

static void a_change_takes_the_conditions_of_another(void **state)
{
    struct change *first, *second;
    assert_ok(change_new(CHANGE_WRITE, "f", &first));
    assert_ok(change_new(CHANGE_REMOVE, "f", &second));
    first->create = true;
    first->if_match = mem_dup("v1");
    assert_ok(change_take_conditions(second, first));
    assert_true(second->create);
    assert_string_equal(second->if_match, "v1");
    assert_true(first->id != second->id && first->id != 0);
    change_unref(first);
    change_unref(second);
}

/* Sorted insertions are the worst that a tree without balance meets: 200,000 of them would take minutes. */
static void many_changes_in_order_stay_cheap(void **state)
{
    char path[32];
    struct change *change, *replaced;
    for (int i = 0; i < 200000; i++) {
        snprintf(path, sizeof path, "dir/%08d", i);
        assert_ok(change_new(CHANGE_WRITE, path, &change));
        assert_ok(overlay_put(&overlay, change, &replaced));
        assert_null(replaced);
    }
    assert_int_equal(overlay.count, 200000);
    assert_true(overlay_lives_below(&overlay, "dir"));
    assert_string_equal(overlay_next(&overlay, "dir/00099999")->path, "dir/00100000");
    overlay_fini(&overlay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(look_and_order_agree_with_a_model),
        cmocka_unit_test(a_change_takes_the_conditions_of_another),
        cmocka_unit_test(many_changes_in_order_stay_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
