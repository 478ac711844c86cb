/* SPDX-License-Identifier: Apache-2.0 */
/* Are two files the same? By what is known of them, by what can be asked, by their bytes. */
#include <errno.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/seams.h"
#include "fs/layer.h"
#include "fs/rsync.h"

/* ---- what is known ---- */

static bool sizes_known(const struct copy_facts *here, const struct copy_facts *there)
{
    return here->size >= 0 && there->size >= 0;
}

static bool times_known(const struct copy_facts *here, const struct copy_facts *there)
{
    return here->mtime_ns != 0 && there->mtime_ns != 0;
}

/* How exactly a place tells a time, as far as the time shows it. */
static int64_t unit_of(int64_t time_ns)
{
    int64_t unit = 1000000000;
    while (time_ns % unit != 0)
        unit /= 10;
    return unit;
}

static int64_t rounded_down(int64_t value, int64_t unit)
{
    return value - (value % unit + unit) % unit;
}

/* Of times that are known. */
static bool time_is_same(const struct rsync *rsync, int64_t here_ns, int64_t there_ns)
{
    int64_t here_unit = unit_of(here_ns), there_unit = unit_of(there_ns);
    int64_t unit = here_unit > there_unit ? here_unit : there_unit;
    int64_t here = rounded_down(here_ns, unit), there = rounded_down(there_ns, unit);
    return rsync->job.keeps_times ? here == there : here <= there;
}

enum rsync_verdict rsync_judge(const struct rsync *rsync, const struct copy_facts *here,
                               const struct copy_facts *there)
{
    if (sizes_known(here, there) && here->size != there->size)
        return RSYNC_DIFFERS;
    if (rsync->options.compare == LARDER_CHECKSUM)
        return RSYNC_UNSURE;
    if (rsync->options.compare == LARDER_SIZE)
        return sizes_known(here, there) ? RSYNC_SAME : RSYNC_UNSURE;
    bool agree = sizes_known(here, there) && times_known(here, there) && rsync->job.keeps_times &&
                 here->mtime_ns == there->mtime_ns;
    if (agree)
        return RSYNC_SAME;
    if (!here->exact || !there->exact || !sizes_known(here, there))
        return RSYNC_UNSURE;
    if (!times_known(here, there))
        return RSYNC_SAME;
    return time_is_same(rsync, here->mtime_ns, there->mtime_ns) ? RSYNC_SAME : RSYNC_DIFFERS;
}

/* ---- what can be asked ---- */

static int CO_FN ask(struct larder_fs *fs, const char *path, const struct terms *terms,
                     struct copy_facts *facts)
{
    struct answer answer = {0};
    if (facts->exact && facts->size >= 0)
        return 0;
    int rc = layer_info(fs->instance, path, terms, &answer);
    if (rc == 0)
        *facts = (struct copy_facts){answer.info.size, answer.info.mtime_ns, true};
    answer_free(&answer);
    return rc;
}

/* ---- their bytes ---- */

#define PIECE_SIZE ((size_t)128 << 10)

struct digest_sink {
    struct sink sink;
    struct digest digest;
    char *piece; /* mem */
    size_t size; /* of what is added by a worker */
};

static struct digest_sink *digest_sink_of(struct sink *sink)
{
    return container_of(sink, struct digest_sink, sink);
}

static int digest_sink_begin(struct sink *sink, const struct answer *answer, int64_t size)
{
    struct digest *digest = &digest_sink_of(sink)->digest;
    digest_fini(digest);
    *digest = (struct digest){0};
    return digest_begin(digest, DIGEST_SHA256);
}

static int digest_sink_room(struct sink *sink, size_t want, void **out, size_t *size)
{
    *out = digest_sink_of(sink)->piece;
    *size = want < PIECE_SIZE ? want : PIECE_SIZE;
    return 0;
}

static int add_piece(void *arg)
{
    struct digest_sink *sink = arg;
    return digest_add(&sink->digest, sink->piece, sink->size);
}

/* A large piece would take its share of a millisecond from everybody else on the loop. */
static int CO_FN fill(struct digest_sink *sink, size_t size)
{
    sink->size = size;
    return size < PIECE_SIZE / 8 ? add_piece(sink) : offload(add_piece, sink);
}

static int CO_EDGE digest_sink_fill(struct sink *sink, size_t size)
{
    return fill(digest_sink_of(sink), size);
}

static int CO_FN digest_of_file(struct larder_fs *fs, const char *path, const struct terms *terms,
                                unsigned char out[DIGEST_SIZE_MAX])
{
    struct digest_sink sink = {.sink = {.begin = digest_sink_begin,
                                        .room = digest_sink_room,
                                        .fill = digest_sink_fill},
                               .piece = mem_alloc(PIECE_SIZE)};
    int rc = sink.piece ? layer_read(fs->instance, path, NULL, terms, &sink.sink, NULL) : fail_memory();
    if (rc == 0)
        rc = digest_end(&sink.digest, out);
    digest_fini(&sink.digest);
    mem_free(sink.piece);
    return rc;
}

/* The target has gone since it was listed. */
static int missing_differs(int rc)
{
    return rc == -ENOENT ? error_finish(1, NULL) : rc;
}

static int CO_FN bytes_differ(const struct rsync *rsync, const char *from, const char *to)
{
    unsigned char here[DIGEST_SIZE_MAX], there[DIGEST_SIZE_MAX];
    int rc = digest_of_file(rsync->job.from, from, &rsync->from_terms, here);
    if (rc < 0)
        return rc;
    rc = digest_of_file(rsync->job.to, to, &rsync->to_terms, there);
    if (rc < 0)
        return missing_differs(rc);
    return memcmp(here, there, digest_size(DIGEST_SHA256)) != 0;
}

/* ---- all of it ---- */

/* What nobody can find out differs. */
static bool facts_differ(const struct rsync *rsync, const struct copy_facts *here,
                         const struct copy_facts *there)
{
    if (rsync->options.compare == LARDER_SIZE || !times_known(here, there))
        return !sizes_known(here, there);
    return !time_is_same(rsync, here->mtime_ns, there->mtime_ns);
}

static int CO_FN differs(const struct rsync *rsync, const struct copy_step *step, const char *from,
                         const char *to)
{
    struct copy_facts here = step->here, there = step->there;
    int rc = ask(rsync->job.from, from, &rsync->from_terms, &here);
    if (rc < 0)
        return rc;
    rc = ask(rsync->job.to, to, &rsync->to_terms, &there);
    if (rc < 0)
        return missing_differs(rc);
    if (sizes_known(&here, &there) && here.size != there.size)
        return 1;
    return rsync->options.compare == LARDER_CHECKSUM ? bytes_differ(rsync, from, to)
                                                     : facts_differ(rsync, &here, &there);
}

int CO_EDGE rsync_differs(struct copy_job *job, const struct copy_step *step, const char *from,
                          const char *to)
{
    return differs(container_of(job, struct rsync, job), step, from, to);
}
