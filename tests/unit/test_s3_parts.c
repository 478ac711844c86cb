/* SPDX-License-Identifier: Apache-2.0 */
/* The parts that a write to S3 is cut into: as few as it allows, and each as large. */
#include "test.h"

#include "backends/s3_parts.h"

#define MIB         ((int64_t)1 << 20)
#define OBJECT_MAX  (5 * MIB * MIB)
#define ONE_MIN     (5 * MIB)
#define ONE_MAX     (5 * 1024 * MIB)
#define SMALL_PARTS ((int64_t)S3_PARTS_MAX * 16 * MIB) /* what 10,000 of the smallest hold */

static void parts_of_a_known_size_are_alike_and_few_enough(void **state)
{
    static const int64_t sizes[] = {
        0, 1, 64 * MIB + 1, SMALL_PARTS - 1, SMALL_PARTS, SMALL_PARTS + 1, OBJECT_MAX - 1, OBJECT_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t part = s3_part_size(sizes[i], 0);
        assert_int_equal(s3_part_size(sizes[i], S3_PARTS_MAX - 1), part);
        assert_true(part >= ONE_MIN && part <= ONE_MAX);
        assert_true((sizes[i] + part - 1) / part <= S3_PARTS_MAX);
    }
    assert_int_equal(s3_part_size(SMALL_PARTS - 1, 0), 16 * MIB);
    assert_int_equal(s3_part_size(SMALL_PARTS + 1, 0), 32 * MIB);
}

static void parts_of_what_nobody_knows_the_size_of_hold_the_largest_object(void **state)
{
    int64_t total = 0, before = 0;
    for (unsigned i = 0; i < S3_PARTS_MAX; i++) {
        int64_t part = s3_part_size(-1, i);
        assert_true(part >= before && part >= ONE_MIN && part <= ONE_MAX);
        total += part;
        before = part;
    }
    assert_true(total >= OBJECT_MAX);
    assert_int_equal(s3_part_size(-1, 0), 16 * MIB); /* and a short one needs no more memory */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_known_size_are_alike_and_few_enough),
        cmocka_unit_test(parts_of_what_nobody_knows_the_size_of_hold_the_largest_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
