/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/pages.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/seams.h"
#include "cache/damage.h"
#include "cache/format.h"

#define HEAD_SIZE  16
#define NODE_HEAD  8
#define META_MAGIC 0xbeefc0deU
#define NO_PAGE    UINT64_MAX /* the root of an empty tree */
#define DEPTH_MAX  32         /* LMDB's own */

enum { FLAG_BRANCH = 1, FLAG_LEAF = 2, FLAG_OVERFLOW = 4 };
enum { FREE, OURS };         /* trees */
enum { NODE_ELSEWHERE = 1 }; /* the value has pages of its own */

struct page_head {
    uint64_t number;
    uint16_t unused, flags;
    union {
        struct {
            uint16_t lower, upper;
        };
        uint32_t count;
    };
};
struct meta { /* behind the head of the first two pages */
    uint32_t magic, version;
    uint64_t address, map_size;
    struct {
        uint32_t unused;
        uint16_t flags, depth;
        uint64_t branches, leaves, overflows, entries, root;
    } trees[2];
    uint64_t last_page, transaction;
};
struct node_head {
    uint16_t low, high, flags, key_size;
};
_Static_assert(sizeof(struct page_head) == HEAD_SIZE && sizeof(struct node_head) == NODE_HEAD,
               "LMDB's format");

static struct meta read_meta(const struct pages *pages, unsigned which)
{
    struct meta meta;
    memcpy(&meta, pages->map + which * pages->page_size + HEAD_SIZE, sizeof meta);
    return meta;
}

/* Somebody may be writing one of them: what was read twice is whole. */
static struct meta latest_meta(const struct pages *pages)
{
    struct meta metas[2], again[2];
    do {
        for (unsigned i = 0; i < 2; i++)
            metas[i] = read_meta(pages, i);
        atomic_thread_fence(memory_order_seq_cst);
        for (unsigned i = 0; i < 2; i++)
            again[i] = read_meta(pages, i);
    } while (memcmp(metas, again, sizeof metas) != 0);
    return metas[metas[1].transaction > metas[0].transaction];
}

/* A map as large as LMDB's, since the file grows. */
void pages_open(struct pages *pages, MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat stat;
    int fd;
    *pages = (struct pages){0};
    if (mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &stat) != 0 || mdb_env_get_fd(env, &fd) != 0)
        return;
    void *map = mmap(NULL, info.me_mapsize, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (map == MAP_FAILED)
        return;
    *pages = (struct pages){.map = map, .map_size = info.me_mapsize, .page_size = stat.ms_psize};
    if (sizeof(size_t) != sizeof(uint64_t) || read_meta(pages, 0).magic != META_MAGIC)
        pages_close(pages); /* another format */
}

void pages_close(struct pages *pages)
{
    if (pages->map)
        munmap((void *)pages->map, pages->map_size);
    *pages = (struct pages){0};
}

void pages_begin(struct pages *pages)
{
    memset(pages->seen, 0, sizeof pages->seen);
}

/* ---- one page ---- */

struct page {
    struct page_head head;
    const char *data;
    unsigned count;
};

static struct node_head node_at(const struct page *page, unsigned index, const char **key)
{
    struct node_head head;
    uint16_t offset;
    memcpy(&offset, page->data + HEAD_SIZE + 2 * (size_t)index, sizeof offset);
    memcpy(&head, page->data + offset, sizeof head);
    *key = page->data + offset + NODE_HEAD;
    return head;
}

static uint64_t value_size(const struct node_head *node)
{
    return node->low | (uint64_t)node->high << 16;
}

static bool nodes_are_sound(const struct page *page, size_t page_size)
{
    size_t sum = 0;
    bool leaf = page->head.flags == FLAG_LEAF;
    for (unsigned i = 0; i < page->count; i++) {
        struct node_head node;
        uint16_t offset;
        memcpy(&offset, page->data + HEAD_SIZE + 2 * (size_t)i, sizeof offset);
        if (offset < page->head.upper || offset + (size_t)NODE_HEAD > page_size)
            return false;
        memcpy(&node, page->data + offset, sizeof node);
        size_t value = !leaf ? 0 : node.flags & NODE_ELSEWHERE ? sizeof(uint64_t) : value_size(&node);
        size_t size = NODE_HEAD + node.key_size + value;
        if (offset + size > page_size || node.key_size > KEY_SIZE_MAX ||
            (leaf && node.flags > NODE_ELSEWHERE))
            return false;
        sum += (size + 1) & ~(size_t)1;
    }
    return sum == page_size - page->head.upper;
}

static bool was_seen(struct pages *pages, uint64_t number)
{
    return pages->seen[number % PAGES_SEEN] == number;
}

/* Of the tree. */
static bool read_page(struct pages *pages, uint64_t number, uint64_t last_page, struct page *out)
{
    size_t page_size = pages->page_size;
    if (number < 2 || number > last_page)
        return false;
    out->data = pages->map + number * page_size;
    memcpy(&out->head, out->data, sizeof out->head);
    const struct page_head *head = &out->head;
    out->count = (unsigned)(head->lower - HEAD_SIZE) / 2;
    if (was_seen(pages, number))
        return true;
    bool kind = head->flags == FLAG_BRANCH || head->flags == FLAG_LEAF;
    bool shape = head->lower >= HEAD_SIZE && head->lower % 2 == 0 && head->lower <= head->upper &&
                 head->upper <= page_size;
    if (head->number != number || !kind || !shape || !nodes_are_sound(out, page_size) ||
        (head->flags == FLAG_BRANCH && out->count < 2))
        return false;
    pages->seen[number % PAGES_SEEN] = number;
    return true;
}

static bool overflow_is_sound(struct pages *pages, const struct node_head *node, const char *at,
                              uint64_t last_page)
{
    uint64_t number, count = (HEAD_SIZE + value_size(node) + pages->page_size - 1) / pages->page_size;
    struct page_head head;
    memcpy(&number, at, sizeof number);
    if (number < 2 || number > last_page)
        return false;
    memcpy(&head, pages->map + number * pages->page_size, sizeof head);
    /* More than it needs, when a larger value was there in the transaction that wrote it. */
    return head.number == number && head.flags == FLAG_OVERFLOW && head.count >= count &&
           head.count <= last_page - number + 1 && head.count <= VALUE_SIZE_MAX / pages->page_size + 1;
}

/* ---- the way to a key ---- */

static int compare(const struct key *key, const char *data, size_t size)
{
    int order = memcmp(key->data, data, key->size < size ? key->size : size);
    return order ? order : key->size < size ? -1 : key->size > size;
}

/* The last node from `first` on whose key is not behind `key`; first - 1: there is none. */
static unsigned find_node(const struct page *page, const struct key *key, unsigned first)
{
    unsigned low = first, high = page->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        const char *data;
        struct node_head node = node_at(page, middle, &data);
        if (compare(key, data, node.key_size) >= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low - 1;
}

static uint64_t page_below(const struct page *page, unsigned index)
{
    const char *key;
    struct node_head node = node_at(page, index, &key);
    return node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32;
}

/* Where the tree below a page begins: from there LMDB takes the page's least key. */
static bool first_is_sound(struct pages *pages, const struct page *page, uint64_t last_page)
{
    struct page at = *page;
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        if (at.head.flags == FLAG_LEAF)
            return true;
        if (!read_page(pages, page_below(&at, 0), last_page, &at))
            return false;
    }
    return false;
}

static bool value_is_sound(struct pages *pages, const struct page *leaf, const struct key *key,
                           uint64_t last_page)
{
    const char *data;
    unsigned index = find_node(leaf, key, 0);
    if (index >= leaf->count)
        return true;
    struct node_head node = node_at(leaf, index, &data);
    return !(node.flags & NODE_ELSEWHERE) || compare(key, data, node.key_size) != 0 ||
           overflow_is_sound(pages, &node, data + node.key_size, last_page);
}

/* A level of the tree: the page on the way to a key, and the pages beside it, whatever they are below. */
enum { LEFT, WAY, RIGHT, BESIDE };

static bool level_is_sound(struct pages *pages, const uint64_t numbers[BESIDE], uint64_t last_page,
                           bool beside, struct page out[BESIDE])
{
    for (unsigned i = 0; i < BESIDE; i++) {
        if ((i != WAY && !beside) || numbers[i] == NO_PAGE)
            continue;
        if (!read_page(pages, numbers[i], last_page, &out[i]) ||
            (beside && !first_is_sound(pages, &out[i], last_page)))
            return false;
    }
    for (unsigned i = 0; beside && i < BESIDE; i++)
        if (numbers[i] != NO_PAGE && out[i].head.flags != out[WAY].head.flags)
            return false;
    return true;
}

static void go_down(const struct page page[BESIDE], const struct key *key, bool beside,
                    uint64_t numbers[BESIDE])
{
    unsigned index = find_node(&page[WAY], key, 1); /* the first node's key stands for all before */
    numbers[WAY] = page_below(&page[WAY], index);
    if (!beside)
        return;
    if (index > 0)
        numbers[LEFT] = page_below(&page[WAY], index - 1);
    else if (numbers[LEFT] != NO_PAGE)
        numbers[LEFT] = page_below(&page[LEFT], page[LEFT].count - 1);
    if (index + 1 < page[WAY].count)
        numbers[RIGHT] = page_below(&page[WAY], index + 1);
    else if (numbers[RIGHT] != NO_PAGE)
        numbers[RIGHT] = page_below(&page[RIGHT], 0);
}

static bool way_is_sound(struct pages *pages, const struct key *key, bool beside)
{
    if (!pages->map)
        return true;
    struct meta meta = latest_meta(pages);
    uint64_t numbers[BESIDE] = {NO_PAGE, meta.trees[OURS].root, NO_PAGE};
    struct page page[BESIDE];
    if (numbers[WAY] == NO_PAGE)
        return true;
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        if (!level_is_sound(pages, numbers, meta.last_page, beside, page))
            return false;
        if (page[WAY].head.flags == FLAG_LEAF)
            return value_is_sound(pages, &page[WAY], key, meta.last_page);
        go_down(page, key, beside, numbers);
    }
    return false;
}

bool pages_are_sound(struct pages *pages, const struct key *key)
{
    return way_is_sound(pages, key, false);
}

bool pages_beside_are_sound(struct pages *pages, const struct key *key)
{
    return way_is_sound(pages, key, true);
}

/* ---- all of them ---- */

struct walk {
    struct pages *pages;
    uint64_t last_page, left; /* of the pages that there can be; so a ring of them ends */
    unsigned char *named;     /* a bit a page; NULL: this is no list of free pages */
    uint64_t before;          /* of such a list: what transactions freed before this one */
};

/* One of the list's values: a count, then so many pages. */
static bool note_free(struct walk *walk, const char *value, uint64_t size)
{
    uint64_t count, number;
    if (size < sizeof count)
        return false;
    memcpy(&count, value, sizeof count);
    if (count > size / sizeof count - 1)
        return false;
    for (uint64_t i = 1; i <= count; i++) {
        memcpy(&number, value + i * sizeof number, sizeof number);
        if (number < 2 || number > walk->last_page || walk->named[number / 8] & 1U << number % 8)
            return false;
        walk->named[number / 8] |= (unsigned char)(1U << number % 8);
    }
    return true;
}

static bool leaf_is_sound(struct walk *walk, const struct page *page)
{
    for (unsigned i = 0; i < page->count; i++) {
        const char *key;
        struct node_head node = node_at(page, i, &key);
        const char *value = key + node.key_size;
        uint64_t number;
        if (node.flags & NODE_ELSEWHERE) {
            if (!overflow_is_sound(walk->pages, &node, value, walk->last_page))
                return false;
            memcpy(&number, value, sizeof number);
            value = walk->pages->map + number * walk->pages->page_size + HEAD_SIZE;
        }
        if (walk->named && node.key_size != sizeof number)
            return false;
        if (walk->named)
            memcpy(&number, key, sizeof number);
        if (walk->named && number < walk->before && !note_free(walk, value, value_size(&node)))
            return false;
    }
    return true;
}

/* The first of a branch has none that counts. The list's are numbers. */
static bool is_in_order(const struct walk *walk, const struct page *page)
{
    struct key before = {0};
    for (unsigned i = page->head.flags == FLAG_BRANCH; !walk->named && i < page->count; i++) {
        const char *data;
        struct node_head node = node_at(page, i, &data);
        if (node.key_size == 0 || compare(&before, data, node.key_size) >= 0)
            return false;
        before.size = node.key_size;
        memcpy(before.data, data, node.key_size);
    }
    return true;
}

static __attribute__((noinline)) bool walk_from(struct walk *walk, uint64_t number, unsigned depth)
{
    struct page page;
    if (walk->left-- == 0 || depth == DEPTH_MAX || !read_page(walk->pages, number, walk->last_page, &page) ||
        !is_in_order(walk, &page))
        return false;
    if (page.head.flags == FLAG_LEAF)
        return leaf_is_sound(walk, &page);
    for (unsigned i = 0; i < page.count; i++)
        if (!walk_from(walk, page_below(&page, i), depth + 1))
            return false;
    return true;
}

static bool walk_tree(struct pages *pages, const struct meta *meta, unsigned tree, unsigned char *named,
                      uint64_t before)
{
    struct walk walk = {.pages = pages,
                        .last_page = meta->last_page,
                        .left = meta->last_page,
                        .named = named,
                        .before = before};
    pages_begin(pages);
    return meta->trees[tree].root == NO_PAGE || walk_from(&walk, meta->trees[tree].root, 0);
}

bool pages_tree_is_sound(struct pages *pages)
{
    if (!pages->map)
        return true;
    struct meta meta = latest_meta(pages);
    return walk_tree(pages, &meta, OURS, NULL, 0);
}

static int read_free_list(struct pages *pages, const struct meta *meta, uint64_t before, unsigned char **out)
{
    if (meta->last_page > pages->map_size / pages->page_size)
        return -EBADMSG;
    unsigned char *named = mem_zero(meta->last_page / 8 + 1);
    if (!named)
        return -ENOMEM;
    if (!walk_tree(pages, meta, FREE, named, before)) {
        mem_free(named);
        return -EBADMSG;
    }
    *out = named;
    return 0;
}

bool pages_free_list_is_sound(struct pages *pages)
{
    unsigned char *named = NULL;
    if (!pages->map)
        return true;
    struct meta meta = latest_meta(pages);
    int rc = read_free_list(pages, &meta, UINT64_MAX, &named);
    mem_free(named);
    return rc != -EBADMSG;
}

int pages_free_before(struct pages *pages, uint64_t oldest, struct free_pages *out)
{
    if (!pages->map)
        return -ENOTSUP;
    if (!pages_free_list_is_sound(pages))
        return -EBADMSG;
    struct meta meta = latest_meta(pages);
    out->last = meta.last_page;
    return read_free_list(pages, &meta, oldest < meta.transaction ? oldest : meta.transaction, &out->named);
}

/* ---- where a value came to lie ---- */

uint64_t pages_last_of(const struct pages *pages, const void *value)
{
    struct page_head head;
    if (!pages->map)
        return 0;
    memcpy(&head, (const char *)value - HEAD_SIZE, sizeof head);
    return head.number + head.count - 1;
}
