/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "base/seams.h"
#include "base/text.h"

#define NS       INT64_C(1000000000)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void whole_numbers_are_exact_to_their_ends(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"+7", 7},
        {"007", 7},
        {"-12", -12},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    static const char *const bad[] = {
        "",
        "+",
        "-",
        " 1",
        "1 ",
        "1.0",
        "0x10",
        "--1",
        "+-1",
        "1a",
        "9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "99999999999999999999999999",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t value = 99;
        assert_ok(parse_i64(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t value = 99;
        assert_status(-EINVAL, parse_i64(bad[i], &value));
        assert_true(value == 99);
    }
}

static void sizes_have_binary_units_and_do_not_overflow(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"0", 0},
        {"4096", 4096},
        {"64K", 65536},
        {"64k", 65536},
        {"64KiB", 65536},
        {"2M", 2 << 20},
        {"2mib", 2 << 20},
        {"3GiB", UINT64_C(3) << 30},
        {"16T", UINT64_C(16) << 40},
        {"18446744073709551615", UINT64_MAX},
        {"18014398509481983K", UINT64_C(18014398509481983) << 10},
        {"16777215T", UINT64_C(16777215) << 40},
        {"0T", 0},
    };
    static const char *const bad[] = {
        "",
        "K",
        "-1",
        "+1",
        "1.5M",
        "1 K",
        "1KB",
        "1B",
        "1Ki",
        "1KiBs",
        "1E",
        "1P",
        "K1",
        "1KK",
        "18446744073709551616",
        "18014398509481984K",
        "16777216T",
        "1iB",
        "0x1",
        " 1",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        uint64_t value = 99;
        assert_ok(parse_size(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint64_t value = 99;
        assert_status(-EINVAL, parse_size(bad[i], &value));
        assert_true(value == 99);
    }
}

static void durations_are_milliseconds_and_never_vanish(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"0", 0},
        {"0.0", 0},
        {"1", 1000},
        {"1.5", 1500},
        {"1.5s", 1500},
        {"250ms", 250},
        {"0.5ms", 1},
        {"2m", 120000},
        {"1.5h", 5400000},
        {"7d", 604800000},
        {"0.0001", 1},
        {"1.0005", 1001},
        {"0.001", 1},
        {"10S", 10000},
        {"0.0000000000001", 1},
        {"9223372036854775807ms", INT64_MAX},
        {"0.999999999d", 86400000},
    };
    static const char *const bad[] = {
        "",
        "s",
        "-1",
        "+1",
        ".5",
        "5.",
        "1,5",
        "1.5.5",
        "1 s",
        "1sec",
        "1ms ",
        "1e3",
        "inf",
        "nan",
        "9223372036854775808ms",
        "9223372036854775807.5ms",
        "9223372036854776s",
        "106751991168d",
        "1.s",
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t ms = 99;
        assert_ok(parse_duration(good[i].text, &ms));
        if (ms != good[i].ms)
            fail_msg("%s: %lld ms", good[i].text, (long long)ms);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t ms = 99;
        assert_status(-EINVAL, parse_duration(bad[i], &ms));
        assert_status(-EINVAL, parse_lifetime(bad[i], &ms));
        assert_true(ms == 99);
    }
    int64_t ms;
    assert_ok(parse_lifetime("1.5m", &ms));
    assert_true(ms == 90000);
    assert_ok(parse_lifetime("Forever", &ms));
    assert_true(ms == INT64_MAX);
    assert_status(-EINVAL, parse_lifetime("foreverr", &ms));
}

static void yes_and_no_have_many_names(void **state)
{
    static const char *const yes[] = {"true", "yes", "on", "1", "True", "ON"};
    static const char *const no[] = {"false", "no", "off", "0", "False", "OFF"};
    static const char *const bad[] = {"", "t", "2", "01", "y", "true ", "enable"};
    for (size_t i = 0; i < COUNT(yes); i++) {
        bool value = false;
        assert_ok(parse_bool(yes[i], &value));
        assert_true(value);
    }
    for (size_t i = 0; i < COUNT(no); i++) {
        bool value = true;
        assert_ok(parse_bool(no[i], &value));
        assert_false(value);
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        bool value = true;
        assert_status(-EINVAL, parse_bool(bad[i], &value));
        assert_true(value);
    }
}

typedef int parse_date_fn(const char *text, int64_t *out);
struct date_case {
    const char *text;
    int64_t seconds;
};

static void check_dates(parse_date_fn *parse, const struct date_case *good, size_t good_count,
                        const char *const *bad, size_t bad_count)
{
    for (size_t i = 0; i < good_count; i++) {
        int64_t time_ns = 99;
        assert_ok(parse(good[i].text, &time_ns));
        if (time_ns != good[i].seconds * NS)
            fail_msg("%s: %lld ns", good[i].text, (long long)time_ns);
    }
    for (size_t i = 0; i < bad_count; i++) {
        int64_t time_ns = 99;
        if (parse(bad[i], &time_ns) != -EINVAL)
            fail_msg("\"%s\" was taken for %lld ns", bad[i], (long long)time_ns);
        assert_true(time_ns == 99);
    }
}

static int64_t in_2026(void)
{
    return 1795386030 * NS;
}

static void http_dates_have_three_forms(void **state)
{
    static const struct date_case good[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777}, {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},      {"sun, 06 nov 1994 08:49:37 gmt", 784111777},
        {"Sun, 06 Nov 1994 08:49:37 UTC", 784111777}, {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", -1},        {"Thu Jan  1 00:00:00 1970", 0},
        {"Tue Nov 22 22:20:30 2022", 1669155630},     {"Thu, 29 Feb 2024 12:00:00 GMT", 1709208000},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400}, {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800},
        {"Mon, 06 Nov 1994 08:49:37 GMT", 784111777}, /* it was a Sunday, which changes nothing */
    };
    static const char *const bad[] = {
        "",
        "0",
        "-1",
        "Sun",
        "Sun,",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 ",
        "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun, 06 Nov 1994 08:49:37 +0100",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Abc 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 12:00:00 GMT",
        "Thu, 29 Feb 1900 12:00:00 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun Nov  6 08:49:37 94",
        "Sun Nov   6 08:49:37 1994",
        "Sunday, 06-Nov-94 08:49:37",
        "Sunday, 06-Nov-94 08:49:37 PST",
        "Sunday 06-Nov-94 08:49:37 GMT",
    };
    int64_t (*wall)(void) = world_seam.wall_ns;
    world_seam.wall_ns = in_2026;
    check_dates(parse_http_date, good, COUNT(good), bad, COUNT(bad));
    world_seam.wall_ns = wall;
}

static int64_t in_2099(void)
{
    return 4100000000 * NS;
}

static void a_year_of_two_digits_is_at_most_fifty_years_ahead(void **state)
{
    static const struct date_case of_2026[] = {
        {"Sunday, 01-Jan-77 00:00:00 GMT", 220924800},  {"Sunday, 01-Jan-70 00:00:00 GMT", 3155760000},
        {"Sunday, 01-Jan-76 00:00:00 GMT", 3345062400}, {"Sunday, 01-Jan-26 00:00:00 GMT", 1767225600},
        {"Sunday, 01-Jan-00 00:00:00 GMT", 946684800},
    };
    static const struct date_case of_2099[] = {
        {"Sunday, 01-Jan-00 00:00:00 GMT", 4102444800},
        {"Sunday, 01-Jan-99 00:00:00 GMT", 4070908800},
        {"Sunday, 01-Jan-50 00:00:00 GMT", 2524608000},
    };
    int64_t (*wall)(void) = world_seam.wall_ns;
    world_seam.wall_ns = in_2026;
    check_dates(parse_http_date, of_2026, COUNT(of_2026), NULL, 0);
    world_seam.wall_ns = in_2099;
    check_dates(parse_http_date, of_2099, COUNT(of_2099), NULL, 0);
    world_seam.wall_ns = wall;
}

static void far_dates_are_far_and_not_wrong(void **state)
{
    int64_t time_ns;
    assert_ok(parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT", &time_ns));
    assert_true(time_ns == INT64_MAX);
    assert_ok(parse_http_date("Mon, 01 Jan 0001 00:00:00 GMT", &time_ns));
    assert_true(time_ns == INT64_MIN);
    assert_ok(parse_rfc3339("2262-04-11T23:47:16.854775807Z", &time_ns));
    assert_true(time_ns == INT64_MAX);
    assert_ok(parse_rfc3339("2262-04-11T23:47:16.854775806Z", &time_ns));
    assert_true(time_ns == INT64_MAX - 1);
    assert_ok(parse_rfc3339("1677-09-21T00:12:43.145224192Z", &time_ns));
    assert_true(time_ns == INT64_MIN);
    assert_ok(parse_rfc3339("1677-09-21T00:12:43.145224193Z", &time_ns));
    assert_true(time_ns == INT64_MIN + 1);
    assert_ok(parse_rfc3339("1677-09-21T00:12:43.1Z", &time_ns));
    assert_true(time_ns == INT64_MIN);
}

static void rfc3339_has_offsets_and_fractions(void **state)
{
    static const struct date_case good[] = {
        {"1994-11-06T08:49:37Z", 784111777},          {"1994-11-06t08:49:37z", 784111777},
        {"1994-11-06 08:49:37Z", 784111777},          {"1994-11-06T08:49:37+00:00", 784111777},
        {"1994-11-06T08:49:37-00:00", 784111777},     {"1994-11-06T10:19:37+01:30", 784111777},
        {"1994-11-05T22:49:37-10:00", 784111777},     {"1994-11-06T08:49:37.0Z", 784111777},
        {"1994-11-06T10:49:37.000+02:00", 784111777}, {"2016-12-31T23:59:60Z", 1483228800},
    };
    static const char *const bad[] = {
        "",
        "1994-11-06",
        "1994-11-06T08:49:37",
        "1994-11-06T08:49Z",
        "1994-11-06T08:49:37.Z",
        "1994-11-06T08:49:37,5Z",
        "1994-11-06T08:49:37+0100",
        "1994-11-06T08:49:37+01",
        "1994-11-06T08:49:37+24:00",
        "1994-11-06T08:49:37+01:60",
        "1994-11-06T08:49:37 Z",
        "1994-11-06T08:49:37ZZ",
        "1994-11-06T08:49:37Z+01:00",
        "1994-13-06T08:49:37Z",
        "1994-00-06T08:49:37Z",
        "1994-02-29T08:49:37Z",
        "1994-1-06T08:49:37Z",
        "94-11-06T08:49:37Z",
        "-994-11-06T08:49:37Z",
        "1994-11-06T25:49:37Z",
        "1994/11/06T08:49:37Z",
    };
    static const struct {
        const char *text;
        int64_t time_ns;
    } fractions[] = {
        {"1970-01-01T00:00:01.5Z", 1500000000},
        {"1970-01-01T00:00:00.000000001Z", 1},
        {"1970-01-01T00:00:00.123456789999Z", 123456789},
        {"1969-12-31T23:59:59.25Z", -750000000},
    };
    check_dates(parse_rfc3339, good, COUNT(good), bad, COUNT(bad));
    for (size_t i = 0; i < COUNT(fractions); i++) {
        int64_t time_ns;
        assert_ok(parse_rfc3339(fractions[i].text, &time_ns));
        assert_true(time_ns == fractions[i].time_ns);
    }
}

static void index_pages_have_dates_of_many_forms(void **state)
{
    static const struct date_case good[] = {
        {"22-Nov-2022 22:20", 1669155600},         {"22-Nov-2022 22:20:30", 1669155630},
        {"2022-11-22 22:20", 1669155600},          {"2022-11-22 22:20:30", 1669155630},
        {"29-feb-2000 00:00", 951782400},          {"2022-Nov-22 22:20:30", 1669155630},
        {"2022-11-22 22:20 UTC", 1669155600},      {"2022-11-22 22:20 +0000", 1669155600},
        {"2022-11-23 07:20:30 +0900", 1669155630}, {"22-Nov-2022 16:50 -0530", 1669155600},
    };
    static const char *const bad[] = {
        "",
        "-",
        "22-Nov-2022",
        "22-Nov-22 22:20",
        "22-11-2022 22:20",
        "2022-Nov-22",
        "2022-11-22 22:20 JST",
        "2022-11-22 22:20 +09",
        "2022-11-22 22:20 +0960",
        "2022-11-22 22:20+0900",
        "2022-11-22 22:20 UTC ",
        "22-Nov-2022 22:20:",
        "2022-11-22T22:20",
        "2022-11-22 22:2",
        "30-Feb-2022 22:20",
        "22-Nov-2022 24:20",
        "22-Nov-2022 22:20 x",
        "2022-11-22  22:20",
        "2-Nov-2022 22:20",
    };
    check_dates(parse_index_date, good, COUNT(good), bad, COUNT(bad));
}

static void a_date_that_is_written_can_be_read(void **state)
{
    static const struct {
        int64_t time_ns;
        const char *rfc3339, *http;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 GMT"},
        {1795386030 * NS, "2026-11-22T22:20:30Z", "Sun, 22 Nov 2026 22:20:30 GMT"},
        {-1, "1969-12-31T23:59:59.999999999Z", "Wed, 31 Dec 1969 23:59:59 GMT"},
        {1500000000, "1970-01-01T00:00:01.5Z", "Thu, 01 Jan 1970 00:00:01 GMT"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z", "Fri, 11 Apr 2262 23:47:16 GMT"},
        {INT64_MIN, "1677-09-21T00:12:43.145224192Z", "Tue, 21 Sep 1677 00:12:43 GMT"},
    };
    char text[TEXT_TIME_SIZE];
    for (size_t i = 0; i < COUNT(cases); i++) {
        format_rfc3339(cases[i].time_ns, text);
        assert_string_equal(text, cases[i].rfc3339);
        format_http_date(cases[i].time_ns, text);
        assert_string_equal(text, cases[i].http);
    }
    /* Every day of 440 years: each leap rule, and each day of the week. */
    for (int64_t day = -106000; day < 106000; day += 1) {
        int64_t time_ns = (day * 86400 + (day & 0xffff)) * NS, back_ns;
        format_http_date(time_ns, text);
        assert_ok(parse_http_date(text, &back_ns));
        assert_true(back_ns == time_ns);
        format_rfc3339(time_ns + 120000000, text);
        assert_ok(parse_rfc3339(text, &back_ns));
        assert_true(back_ns == time_ns + 120000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_exact_to_their_ends),
        cmocka_unit_test(sizes_have_binary_units_and_do_not_overflow),
        cmocka_unit_test(durations_are_milliseconds_and_never_vanish),
        cmocka_unit_test(yes_and_no_have_many_names),
        cmocka_unit_test(http_dates_have_three_forms),
        cmocka_unit_test(a_year_of_two_digits_is_at_most_fifty_years_ahead),
        cmocka_unit_test(far_dates_are_far_and_not_wrong),
        cmocka_unit_test(rfc3339_has_offsets_and_fractions),
        cmocka_unit_test(index_pages_have_dates_of_many_forms),
        cmocka_unit_test(a_date_that_is_written_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
