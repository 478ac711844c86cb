/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "base/seams.h"
#include "txn/view_parts.h"

/* ---- what the overlay says ---- */

void sight_fini(struct sight *sight)
{
    answer_free(&sight->answer);
    change_unref(take(sight->change));
}

/* 0, UNCHANGED or -ESTALE. */
static int check_terms(const struct txn_view *view, const struct change *change, const struct answer *answer,
                       const struct terms *terms)
{
    const char *version = answer->info.version ? answer->info.version : "";
    if (terms->if_match && strcmp(terms->if_match, version) != 0)
        return fail_at(&view->instance, change->path, -ESTALE, "it is another by now");
    return terms->if_none_match && strcmp(terms->if_none_match, version) == 0 ? UNCHANGED : 0;
}

static int describe(const struct txn_view *view, const struct change *change, const struct terms *terms,
                    struct answer *out)
{
    char version[CHANGE_VERSION_SIZE];
    struct answer answer;
    change_describe(change, version, &answer);
    int told = check_terms(view, change, &answer, terms);
    int rc = told < 0 ? told : answer_copy(out, &answer);
    return rc < 0 ? rc : told;
}

static struct answer directory_answer(const struct change *change)
{
    return (
        struct answer){.info = {.type = LARDER_DIRECTORY,
                                .mtime_ns = change && change->kind == CHANGE_MKDIR ? change->mtime_ns : 0},
                       .fresh_ms = 0,
                       .stale_if_error_ms = -1};
}

int view_missing(const struct txn_view *view, const char *path)
{
    return fail_at(&view->instance, path, -ENOENT, "nothing is there any more, in this transaction");
}

/* What the changes say; nobody is asked. OVERLAY_FILE has its change, and every fate the rest but for `answer`. */
static int look(struct txn_view *view, const char *path, struct sight *sight)
{
    struct change *change;
    int rc = txn_lock(txn_of(view), false);
    if (rc < 0)
        return rc;
    sight->fate = overlay_look(&view->member->overlay, path, &change);
    sight->lives_below = overlay_lives_below(&view->member->overlay, path);
    sight->seen = change ? change->id : 0;
    sight->before = change ? change->before
                    : sight->fate == OVERLAY_GONE
                        ? BEFORE_NOTHING /* what was there has a change of its own */
                        : BEFORE_UNKNOWN;
    sight->touched_ns = change && change->kind == CHANGE_TOUCH ? change->mtime_ns : 0;
    if (sight->fate == OVERLAY_FILE)
        sight->change = change_ref(change);
    if (sight->fate == OVERLAY_DIRECTORY)
        sight->answer = directory_answer(change);
    txn_unlock(txn_of(view));
    return 0;
}

static bool touched_below(struct txn_view *view, const char *path)
{
    if (txn_lock(txn_of(view), false) < 0)
        return false;
    bool touched = overlay_first_below(&view->member->overlay, path);
    txn_unlock(txn_of(view));
    return touched;
}

/* ---- what the place says ---- */

static enum before before_of(enum larder_type type)
{
    return type == 0 ? BEFORE_NOTHING : type == LARDER_DIRECTORY ? BEFORE_DIRECTORY : BEFORE_FILE;
}

/* A directory that is only implied is gone when all that implied it is. */
static int CO_FN ask_place(struct txn_view *view, const char *path, const struct terms *terms,
                           struct sight *sight)
{
    int rc = layer_info(txn_view_next(view), path, terms, &sight->answer);
    sight->type = rc >= 0 ? sight->answer.info.type : 0;
    if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
        return rc;
    if (sight->seen == 0)
        sight->before = before_of(sight->type);
    if (sight->touched_ns)
        sight->answer.info.mtime_ns = sight->touched_ns;
    bool doubt = sight->type == LARDER_DIRECTORY && sight->fate == OVERLAY_UNTOUCHED && *path &&
                 !view->instance.can.real_directories && touched_below(view, path);
    int lives = doubt ? view_lives(view, path) : 1;
    if (lives == 0) {
        answer_free(&sight->answer);
        sight->type = 0;
        rc = view_missing(view, path);
    }
    if (lives == 0 && terms->directory) { /* a file may have its path, and is left */
        struct terms plain = *terms;
        plain.directory = false;
        error_clear();
        rc = ask_place(view, path, &plain, sight);
    }
    return lives < 0 ? lives : rc;
}

static int CO_FN look_removed(struct txn_view *view, const char *path, struct sight *sight)
{
    int lives = view_lives(view, path);
    if (lives <= 0)
        return lives < 0 ? lives : view_missing(view, path);
    sight->type = LARDER_DIRECTORY;
    sight->answer = directory_answer(NULL);
    return 0;
}

/* May a slash behind the path mean another thing than the path does without it? */
static bool may_mean_directory(const struct txn_view *view, const struct terms *terms)
{
    return terms->directory && view->instance.can.list && !view->instance.can.real_directories;
}

/* A directory of the same path as a file that the transaction wrote, or that the place has. */
static int CO_FN is_meant_directory(struct txn_view *view, const char *path, const struct terms *terms,
                                    const struct sight *sight)
{
    bool file = sight->fate == OVERLAY_FILE;
    if (!may_mean_directory(view, terms) || (!file && sight->fate != OVERLAY_IMPLIED))
        return 0;
    return sight->lives_below ? 1 : view_lives(view, path);
}

/* As the table's info: with a status and text for what is missing. */
static int CO_FN find_out(struct txn_view *view, const char *path, const struct terms *terms,
                          struct sight *sight)
{
    int rc = look(view, path, sight);
    if (rc == 0)
        rc = is_meant_directory(view, path, terms, sight);
    if (rc > 0) {
        sight->type = LARDER_DIRECTORY;
        sight->answer = directory_answer(NULL);
    }
    if (rc != 0)
        return rc < 0 ? rc : 0;
    switch (sight->fate) {
    case OVERLAY_FILE:
        sight->type = LARDER_FILE;
        return describe(view, sight->change, terms, &sight->answer);
    case OVERLAY_DIRECTORY:
        sight->type = LARDER_DIRECTORY;
        return 0;
    case OVERLAY_GONE:
        return view_missing(view, path);
    case OVERLAY_REMOVED:
        return look_removed(view, path, sight);
    case OVERLAY_UNTOUCHED:
        return ask_place(view, path, terms, sight);
    case OVERLAY_IMPLIED:
        break;
    }
    rc = ask_place(view, path, terms, sight);
    if (rc != -ENOENT && rc != -ENOTDIR)
        return rc;
    error_clear();
    sight->type = LARDER_DIRECTORY;
    sight->answer = directory_answer(NULL);
    return 0;
}

int sight_glance(struct txn_view *view, const char *path, struct sight *sight)
{
    *sight = (struct sight){0};
    return look(view, path, sight);
}

int CO_FN sight_take(struct txn_view *view, const char *path, const struct terms *terms, struct sight *sight)
{
    *sight = (struct sight){0};
    int rc = find_out(view, path, terms, sight);
    if (rc != -ENOENT && rc != -ENOTDIR)
        return rc;
    error_clear();
    return 0;
}

int CO_FN txn_info(struct instance *instance, const char *path, const struct terms *terms, struct answer *out)
{
    autosight struct sight sight = {0};
    int rc = find_out(txn_view_of(instance), path, terms, &sight);
    if (rc < 0)
        return rc;
    *out = sight.answer;
    sight.answer = (struct answer){0};
    return rc;
}

/* ---- reading ---- */

static int is_directory(const struct txn_view *view, const char *path)
{
    return fail_at(&view->instance, path, -EISDIR, "a directory");
}

static int CO_FN read_change(struct txn_view *view, const struct change *change,
                             const struct larder_range *range, const struct terms *terms, struct sink *sink,
                             struct answer *out)
{
    char version[CHANGE_VERSION_SIZE];
    struct answer answer;
    change_describe(change, version, &answer);
    int told = check_terms(view, change, &answer, terms);
    int rc = told == 0 ? payload_read(view->member, change, range, &answer, sink) : told;
    if (rc >= 0 && out && answer_copy(out, &answer) < 0)
        return -ENOMEM;
    return rc;
}

/* Was it replaced meanwhile? */
static bool is_current(struct txn_view *view, const struct change *change)
{
    if (txn_lock(txn_of(view), false) < 0)
        return true; /* who reads on will hear of it */
    bool current = overlay_at(&view->member->overlay, change->path) == change;
    txn_unlock(txn_of(view));
    return current;
}

static int CO_FN read_place(struct txn_view *view, const char *path, const struct larder_range *range,
                            const struct terms *terms, struct sink *sink, struct answer *out, bool implied)
{
    int rc = layer_read(txn_view_next(view), path, range, terms, sink, out);
    return implied && (rc == -ENOENT || rc == -ENOTDIR) ? is_directory(view, path) : rc;
}

static int CO_FN read_once(struct txn_view *view, const char *path, const struct larder_range *range,
                           const struct terms *terms, struct sink *sink, struct answer *out, bool *again)
{
    autosight struct sight sight = {0};
    int rc = look(view, path, &sight);
    *again = false;
    if (rc < 0)
        return rc;
    switch (sight.fate) {
    case OVERLAY_FILE:
        rc = read_change(view, sight.change, range, terms, sink, out);
        *again = rc < 0 && !is_current(view, sight.change);
        return rc;
    case OVERLAY_DIRECTORY:
        return is_directory(view, path);
    case OVERLAY_REMOVED:
        rc = view_lives(view, path);
        return rc < 0 ? rc : rc ? is_directory(view, path) : view_missing(view, path);
    case OVERLAY_GONE:
        return view_missing(view, path);
    case OVERLAY_UNTOUCHED:
    case OVERLAY_IMPLIED:
        break;
    }
    return read_place(view, path, range, terms, sink, out, sight.fate == OVERLAY_IMPLIED);
}

/* A change that is replaced while it is read may lose its bytes: then the read is of the next one. */
int CO_FN txn_read(struct instance *instance, const char *path, const struct larder_range *range,
                   const struct terms *terms, struct sink *sink, struct answer *out)
{
    bool again;
    int rc;
    do
        rc = read_once(txn_view_of(instance), path, range, terms, sink, out, &again);
    while (again && rc != -ECANCELED);
    return rc;
}

/* ---- looks ---- */

/* Of the place, where no listing is needed to know it. */
static bool is_plain(struct txn_view *view, const char *path, enum overlay_fate fate)
{
    return fate == OVERLAY_UNTOUCHED && (view->instance.can.real_directories || !touched_below(view, path));
}

int txn_look_info(struct instance *instance, const char *path, const struct terms *terms, struct answer *out)
{
    struct txn_view *view = txn_view_of(instance);
    autosight struct sight sight = {0};
    int rc = look(view, path, &sight);
    if (rc < 0)
        return rc;
    if (sight.fate == OVERLAY_FILE && !may_mean_directory(view, terms))
        return describe(view, sight.change, terms, out);
    if (sight.fate == OVERLAY_GONE)
        return view_missing(view, path);
    if (!is_plain(view, path, sight.fate))
        return -EAGAIN;
    rc = layer_look_info(txn_view_next(view), path, terms, out);
    if (rc == 0 && sight.touched_ns)
        out->info.mtime_ns = sight.touched_ns;
    return rc;
}

static int look_change(struct txn_view *view, const struct change *change, const struct larder_range *range,
                       const struct terms *terms, struct sink *sink, struct answer *out)
{
    char version[CHANGE_VERSION_SIZE];
    struct answer answer;
    change_describe(change, version, &answer);
    int told = check_terms(view, change, &answer, terms);
    int rc = told == 0 ? payload_look(view->member, change, range, &answer, sink) : told;
    if (rc < 0 && told == 0)
        return -EAGAIN; /* in a task it may be tried again */
    if (rc >= 0 && out && answer_copy(out, &answer) < 0)
        return -ENOMEM;
    return rc;
}

int txn_look_read(struct instance *instance, const char *path, const struct larder_range *range,
                  const struct terms *terms, struct sink *sink, struct answer *out)
{
    struct txn_view *view = txn_view_of(instance);
    autosight struct sight sight = {0};
    int rc = look(view, path, &sight);
    if (rc < 0)
        return rc;
    if (sight.fate == OVERLAY_FILE)
        return look_change(view, sight.change, range, terms, sink, out);
    if (sight.fate == OVERLAY_GONE)
        return view_missing(view, path);
    return is_plain(view, path, sight.fate)
               ? layer_look_read(txn_view_next(view), path, range, terms, sink, out)
               : -EAGAIN;
}
