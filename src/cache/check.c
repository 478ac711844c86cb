/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child's side of a verification (verify.h). It runs in a fork of a process that may have had many threads, on
 * nothing but LMDB, hashes and memory, and says what it finds as it finds it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/path.h"
#include "base/seams.h"
#include "cache/unit.h"
#include "cache/verify.h"

#define SNAPSHOT_COUNT 2048 /* values; one that is held for long makes the file grow */
#define ALIVE_COUNT    256

struct named { /* a version, by a record of which it is */
    uint64_t version;
    bool pinned;
};
struct segment {
    uint64_t version;
    bool pinned;
};
struct array {
    void *items;
    size_t count, capacity, item_size;
};

struct check {
    int fd;
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *txn;
    struct word word; /* what is said next; its counts go on */
    unsigned steps;
    /* of the second walk */
    struct array named, segments, staged;
    struct clock clock;
    uint64_t pinned, pins;
    struct key segment; /* the last one met */
};

/* ---- saying ---- */

static void say(struct check *check, enum word_kind kind)
{
    const char *at = (const char *)&check->word;
    size_t left = sizeof check->word;
    check->word.kind = (uint8_t)kind;
    while (left > 0) {
        ssize_t wrote = write(check->fd, at, left);
        if (wrote < 0 && errno != EINTR)
            _exit(1);
        at += wrote > 0 ? wrote : 0;
        left -= wrote > 0 ? (size_t)wrote : 0;
    }
    if (kind == WORD_DONE || kind == WORD_BROKEN)
        _exit(0);
}

static void found(struct check *check, enum finding finding, const struct key *key)
{
    check->word.finding = (uint8_t)finding;
    check->word.key_size = (uint16_t)key->size;
    memcpy(check->word.key, key->data, key->size);
    say(check, WORD_FOUND);
}

static void alive(struct check *check)
{
    if (++check->steps % ALIVE_COUNT == 0)
        say(check, WORD_ALIVE);
}

/* All that LMDB may say is that it cannot go on. */
static void must(struct check *check, int rc)
{
    if (rc != 0)
        say(check, WORD_BROKEN);
}

static void *array_add(struct check *check, struct array *array)
{
    if (array->count == array->capacity) {
        size_t capacity = array->capacity ? array->capacity * 2 : 1024;
        void *items = mem_resize(array->items, capacity * array->item_size);
        if (!items)
            _exit(1);
        array->items = items;
        array->capacity = capacity;
    }
    return (char *)array->items + array->item_size * array->count++;
}

/* ---- every value ---- */

/* Does it stand where its own words say? */
static bool is_at_home(const struct key *key, const struct record *record)
{
    struct key home;
    size_t identity_size = record->head.identity_size;
    char *identity = mem_dup_n(record->path - identity_size, identity_size);
    char *path = mem_dup_n(record->path, record->head.path_size);
    if (!identity || !path)
        _exit(1);
    struct place place = place_of(identity);
    key_path(&home, key->data[0], &place, path);
    mem_free(identity);
    mem_free(path);
    return key_equals(&home, key);
}

static bool is_sound(struct check *check, const struct key *key, const MDB_val *value)
{
    struct record record;
    struct block_head head;
    const void *payload;
    switch (key->data[0]) {
    case KEY_RECORD:
    case KEY_LISTING:
    case KEY_PIN:
        check->word.records += key->data[0] != KEY_PIN;
        return record_read_any(key, value->mv_data, value->mv_size, &record) == 0 && is_at_home(key, &record);
    case KEY_BLOCK:
        if (key->size == KEY_SEGMENT_SIZE)
            return value->mv_size == sizeof(uint64_t);
        check->word.blocks++;
        return key->size == KEY_BLOCK_SIZE &&
               block_read(key, value->mv_data, value->mv_size, &head, &payload) == 0;
    case KEY_UNIT:
        return key->size == KEY_PATH_AT && value->mv_size > sizeof(struct unit_head) &&
               value->mv_size <= sizeof(struct unit_head) + KEY_SIZE_MAX;
    case KEY_ORDER:
        return key->size == KEY_ORDER_SIZE && value->mv_size == 0;
    case KEY_STAGED:
        return key->size == KEY_PATH_AT && value->mv_size == sizeof(struct staged);
    default:
        return key->data[0] == KEY_META;
    }
}

static void take_key(struct check *check, const MDB_val *name, struct key *key)
{
    if (name->mv_size == 0 || name->mv_size > KEY_SIZE_MAX)
        say(check, WORD_BROKEN);
    key->size = name->mv_size;
    memcpy(key->data, name->mv_data, name->mv_size);
}

static bool is_behind(const struct key *key, const struct key *before)
{
    size_t size = key->size < before->size ? key->size : before->size;
    int order = memcmp(key->data, before->data, size);
    return order > 0 || (order == 0 && key->size > before->size);
}

/* From `*at` on, and not it; false: that was all. */
static __attribute__((noinline)) bool check_some(struct check *check, struct key *at)
{
    MDB_cursor *cursor;
    struct key key = *at;
    MDB_val name = {key.size, key.data}, value;
    must(check, mdb_txn_renew(check->txn));
    must(check, mdb_cursor_open(check->txn, check->dbi, &cursor));
    int rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
    for (unsigned i = 0; rc == 0 && i < SNAPSHOT_COUNT; i++) {
        take_key(check, &name, &key);
        if (i > 0 && !is_behind(&key, at))
            say(check, WORD_BROKEN); /* round in circles */
        *at = key;
        if (!is_sound(check, &key, &value))
            found(check, FOUND_VALUE, &key);
        alive(check);
        rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    mdb_txn_reset(check->txn);
    must(check, rc == MDB_NOTFOUND ? 0 : rc);
    key_step(at);
    return rc == 0;
}

/* ---- how they hang together ---- */

static int get(struct check *check, const struct key *key, MDB_val *value)
{
    MDB_val name = {key->size, (void *)key->data};
    int rc = mdb_get(check->txn, check->dbi, &name, value);
    must(check, rc == MDB_NOTFOUND ? 0 : rc);
    return rc;
}

/* False: there is none, which is found where it matters. */
static bool get_unit(struct check *check, uint64_t number, struct unit_head *head, struct key *of)
{
    struct key key;
    MDB_val value;
    key_unit(&key, number);
    if (get(check, &key, &value) != 0 || value.mv_size <= sizeof *head ||
        value.mv_size > sizeof *head + KEY_SIZE_MAX)
        return false;
    memcpy(head, value.mv_data, sizeof *head);
    of->size = value.mv_size - sizeof *head;
    memcpy(of->data, (const char *)value.mv_data + sizeof *head, of->size);
    return true;
}

static bool has_unit(struct check *check, const struct key *key, uint64_t number, bool *pinned)
{
    struct unit_head head;
    struct key of;
    if (!get_unit(check, number, &head, &of) || !key_equals(&of, key)) {
        found(check, FOUND_U2, key);
        return false;
    }
    *pinned = head.tick == TICK_PINNED;
    return true;
}

static bool is_covered(struct check *check, const struct record *record)
{
    struct key key;
    struct record pin;
    MDB_val value;
    size_t identity_size = record->head.identity_size;
    char *identity = mem_dup_n(record->path - identity_size, identity_size);
    char *path = mem_dup_n(record->path, record->head.path_size);
    bool covered = false, top = false;
    if (!identity || !path)
        _exit(1);
    struct place place = place_of(identity);
    while (check->pins && !covered && !top) {
        key_path(&key, KEY_PIN, &place, path);
        covered = get(check, &key, &value) == 0 &&
                  record_read(&key, &place, path, value.mv_data, value.mv_size, &pin) == 0;
        top = !*path;
        path[path_parent_size(path)] = 0;
    }
    mem_free(identity);
    mem_free(path);
    return covered;
}

static void check_record(struct check *check, const struct key *key, const MDB_val *value)
{
    struct record record;
    bool pinned;
    /* Damage was found before; here only its first page is touched. */
    if (record_peek(value->mv_data, value->mv_size, &record) < 0 ||
        !has_unit(check, key, record.head.unit, &pinned))
        return;
    if (pinned != is_covered(check, &record))
        found(check, FOUND_U3, key);
    if (record.head.version == 0)
        return;
    struct named *named = array_add(check, &check->named);
    *named = (struct named){record.head.version, pinned};
}

static void check_segment(struct check *check, const struct key *key, const MDB_val *value)
{
    struct segment *segment;
    bool pinned;
    check->segment = *key;
    if (!has_unit(check, key, value_number(value), &pinned))
        return;
    segment = array_add(check, &check->segments);
    *segment = (struct segment){key_number(key->data + 1), pinned};
}

static void check_unit(struct check *check, const struct key *key, const MDB_val *value)
{
    struct unit_head head;
    struct record_head record;
    struct key of, order;
    MDB_val there;
    uint64_t number = key_number(key->data + 1), points = 0;
    if (!get_unit(check, number, &head, &of))
        return;
    if (get(check, &of, &there) == 0 && key_is_segment(&of)) {
        points = value_number(&there);
    } else if (of.data[0] != KEY_BLOCK && get(check, &of, &there) == 0 && there.mv_size >= sizeof record) {
        memcpy(&record, there.mv_data, sizeof record);
        points = record.unit;
    }
    key_order(&order, head.tick, number);
    if (points != number || get(check, &order, &there) != 0)
        found(check, FOUND_U1, key);
    if (head.tick == TICK_PINNED)
        check->pinned += head.bytes;
}

static void check_order(struct check *check, const struct key *key, const MDB_val *value)
{
    struct unit_head head;
    struct key of;
    if (!get_unit(check, key_number(key->data + 5), &head, &of) || head.tick != key_order_tick(key))
        found(check, FOUND_U1, key);
}

static __attribute__((noinline)) void check_place(struct check *check, const struct key *key,
                                                  const MDB_val *value)
{
    switch (key->data[0]) {
    case KEY_BLOCK:
        if (key->size == KEY_SEGMENT_SIZE)
            check_segment(check, key, value);
        else if (!key_begins(key->data, key->size, &check->segment))
            found(check, FOUND_U2, key);
        return;
    case KEY_RECORD:
    case KEY_LISTING:
        check_record(check, key, value);
        return;
    case KEY_UNIT:
        check_unit(check, key, value);
        return;
    case KEY_ORDER:
        check_order(check, key, value);
        return;
    case KEY_STAGED:
        *(uint64_t *)array_add(check, &check->staged) = key_number(key->data + 1);
        return;
    default:
        return;
    }
}

static int by_version(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b; /* the first field of all of them */
    return *x < *y ? -1 : *x > *y;
}

static void check_versions(struct check *check)
{
    struct key key;
    const struct segment *segment = check->segments.items;
    struct array *named = &check->named, *staged = &check->staged;
    if (named->count)
        qsort(named->items, named->count, named->item_size, by_version);
    for (size_t i = 0; i < check->segments.count; i++, segment++) {
        const struct named *of =
            named->count ? bsearch(segment, named->items, named->count, named->item_size, by_version) : NULL;
        bool on_its_way =
            staged->count && bsearch(segment, staged->items, staged->count, staged->item_size, by_version);
        key_version(&key, segment->version);
        if (!of && !on_its_way)
            found(check, FOUND_S3, &key);
        else if (segment->pinned != (of && of->pinned))
            found(check, FOUND_U3, &key);
    }
}

static void read_clock(struct check *check)
{
    struct key key;
    MDB_val value;
    key_meta(&key, "clock");
    if (get(check, &key, &value) == 0 && value.mv_size == sizeof check->clock)
        memcpy(&check->clock, value.mv_data, sizeof check->clock);
    check->pins = check->clock.pins;
}

static void check_structure(struct check *check)
{
    MDB_cursor *cursor;
    MDB_val name, value;
    struct key key;
    uint64_t pins = 0;
    must(check, mdb_txn_renew(check->txn));
    must(check, mdb_cursor_open(check->txn, check->dbi, &cursor));
    read_clock(check);
    int rc;
    while ((rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) == 0) {
        take_key(check, &name, &key);
        pins += key.data[0] == KEY_PIN;
        check_place(check, &key, &value);
        alive(check);
    }
    must(check, rc == MDB_NOTFOUND ? 0 : rc);
    check_versions(check);
    if (check->pinned != check->clock.pinned || pins != check->clock.pins)
        found(check, FOUND_U4, &(struct key){0});
    mdb_cursor_close(cursor);
    mdb_txn_reset(check->txn);
}

/* ---- the pages ---- */

static void check_pages(struct check *check)
{
    static struct pages pages; /* too large for the stack */
    must(check, mdb_txn_renew(check->txn));
    pages_open(&pages, check->env);
    if (!pages_tree_is_sound(&pages) || !pages_free_list_is_sound(&pages))
        say(check, WORD_BROKEN);
    mdb_txn_reset(check->txn);
}

/* ---- the whole ---- */

static struct check *dying;

static void die(int signal)
{
    say(dying, WORD_BROKEN);
}

/* What kills whoever touches a damaged page is to be told. On a stack of its own. */
static void catch_signals(struct check *check)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    static char room[65536];
    struct sigaction action = {.sa_handler = die, .sa_flags = SA_ONSTACK};
    sigset_t none;
    dying = check;
    sigaltstack(&(stack_t){.ss_sp = room, .ss_size = sizeof room}, NULL);
    for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

void check_and_exit(const char *file, size_t map_size, int fd)
{
    static struct check check;
    struct key at = {.size = 1};
    check.fd = fd;
    check.named.item_size = sizeof(struct named);
    check.segments.item_size = sizeof(struct segment);
    check.staged.item_size = sizeof(uint64_t);
    catch_signals(&check);
    if (mdb_env_create(&check.env) != 0)
        _exit(1);
    mdb_env_set_mapsize(check.env, map_size);
    int rc = mdb_env_open(check.env, file, MDB_NOSUBDIR | MDB_NOTLS | MDB_RDONLY, 0600);
    if (rc == 0)
        rc = mdb_txn_begin(check.env, NULL, MDB_RDONLY, &check.txn);
    if (rc == 0)
        rc = mdb_dbi_open(check.txn, NULL, 0, &check.dbi);
    if (rc != 0)
        _exit(1); /* no slot, or no memory: that says nothing of the store */
    mdb_txn_reset(check.txn);
    check_pages(&check);
    while (check_some(&check, &at))
        ;
    check_structure(&check);
    say(&check, WORD_DONE);
    abort();
}
