/* SPDX-License-Identifier: Apache-2.0 */
/* What is packed, and how often what does not shrink is tried. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "cache/edit.h"

#define SIZE ((size_t)BLOCK_SIZE)

static struct packer packer;
static char *noise, *prose;
static struct place place;

static struct packing of(const char *path)
{
    return packing_of((struct packing){.level = 3, .gain_percent = 12}, &place, path);
}

static bool is_packed(struct packing packing, const void *data, size_t size)
{
    const void *out;
    size_t out_size;
    enum codec codec = pack(&packer, packing, data, size, &out, &out_size);
    if (codec == CODEC_RAW)
        assert_ptr_equal(out, data);
    assert_true(codec == CODEC_RAW ? out_size == size : out_size < size);
    return codec == CODEC_ZSTD;
}

/* How many of `count` blocks of prose go by before one is packed. */
static unsigned passed_over(struct packing packing, unsigned count)
{
    unsigned passed = 0;
    while (passed < count && !is_packed(packing, prose, SIZE))
        passed++;
    return passed;
}

static int begin(void **state)
{
    uint64_t word = 1;
    place = place_of("fake://here");
    packer = (struct packer){0};
    noise = malloc(SIZE);
    prose = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        word = word * 6364136223846793005U + 1442695040888963407U;
        noise[i] = (char)(word >> 56);
        prose[i] = (char)('a' + word % 3);
    }
    return 0;
}

static int end(void **state)
{
    packer_fini(&packer);
    free(noise);
    free(prose);
    return 0;
}

static void what_shrinks_is_packed_every_time(void **state)
{
    struct packing packing = of("a/b.txt");
    for (unsigned i = 0; i < 100; i++)
        assert_true(is_packed(packing, prose, SIZE));
}

static void what_does_not_shrink_is_tried_less_and_less(void **state)
{
    struct packing packing = of("a/b.bin");
    assert_false(is_packed(packing, noise, SIZE));
    assert_int_equal(passed_over(packing, 100), 1);
    for (unsigned i = 0; i < 1000; i++)
        assert_false(is_packed(packing, noise, SIZE));
    unsigned passed = passed_over(packing, 100);
    assert_in_range(passed, 1, 63);
    assert_true(is_packed(packing, prose, SIZE)); /* what shrinks again is packed from then on */
}

static void one_try_in_sixty_four_is_left(void **state)
{
    struct packing packing = of("a/b.bin");
    unsigned tries = 0;
    for (unsigned i = 0; i < 6400; i++) {
        is_packed(packing, noise, SIZE);
        tries += packer.kinds[packing.kind % PACKED_KINDS].pass == 63;
    }
    assert_in_range(tries, 100, 106);
}

static void files_that_differ_in_numbers_are_of_a_kind(void **state)
{
    assert_int_equal(of("c/0/17").kind, of("c/12/3").kind);
    assert_int_equal(of("data/0001.bin").kind, of("data/2.bin").kind);
    assert_int_not_equal(of("data/1.bin").kind, of("data/1.txt").kind);
    struct place other = place_of("fake://there");
    assert_int_not_equal(of("a").kind, packing_of((struct packing){.level = 3}, &other, "a").kind);
}

static void one_kind_does_not_pay_for_another(void **state)
{
    struct packing bad = of("c/0/17"), good = of("c/zarr.json");
    for (unsigned i = 0; i < 1000; i++)
        assert_false(is_packed(bad, noise, SIZE));
    assert_int_equal(passed_over(good, 1), 0);
    assert_true(passed_over(of("c/3/4"), 100) > 0);
}

static void the_least_gain_is_kept(void **state)
{
    for (size_t i = 0; i < SIZE; i += 10) /* some of it shrinks away */
        noise[i] = 'x';
    memset(noise, 'x', 4096);
    struct packing strict = {.level = 3, .gain_percent = 90, .kind = 1};
    struct packing mild = {.level = 3, .gain_percent = 1, .kind = 2};
    assert_false(is_packed(strict, noise, 4096 * 4));
    assert_true(is_packed(mild, noise, 4096 * 4));
    struct packing none = {.level = 0, .gain_percent = 1, .kind = 3};
    assert_false(is_packed(none, prose, SIZE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_shrinks_is_packed_every_time, begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_shrink_is_tried_less_and_less, begin, end),
        cmocka_unit_test_setup_teardown(one_try_in_sixty_four_is_left, begin, end),
        cmocka_unit_test_setup_teardown(files_that_differ_in_numbers_are_of_a_kind, begin, end),
        cmocka_unit_test_setup_teardown(one_kind_does_not_pay_for_another, begin, end),
        cmocka_unit_test_setup_teardown(the_least_gain_is_kept, begin, end),
    };
    return cmocka_run_group_tests_name("pack", tests, NULL, NULL);
}
