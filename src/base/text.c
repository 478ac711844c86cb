/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/seams.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_equal(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) == lower(*b);
}

size_t text_cut(const char *text, size_t size)
{
    size_t lead = size;
    while (lead > 0 && size - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead == 0)
        return size;
    unsigned char c = (unsigned char)text[lead - 1];
    size_t character = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return lead - 1 + character > size ? lead - 1 : size;
}

size_t utf8_put(uint32_t point, char out[4])
{
    if (point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
        point = 0xfffd;
    if (point < 0x80) {
        out[0] = (char)point;
        return 1;
    }
    size_t more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
    for (size_t i = more; i > 0; i--, point >>= 6)
        out[i] = (char)(0x80 | (point & 0x3f));
    out[0] = (char)((0xff00 >> (more + 1) & 0xff) | point);
    return more + 1;
}

/* Decimal digits at *text, at least one, and move behind them. */
static int parse_digits(const char **text, uint64_t *out)
{
    const char *at = *text;
    uint64_t value = 0;
    for (; is_digit(*at); at++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *at - '0', &value))
            return -EINVAL;
    if (at == *text)
        return -EINVAL;
    *text = at;
    *out = value;
    return 0;
}

int parse_i64(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    if (*text == '-' || *text == '+')
        text++;
    uint64_t value;
    if (parse_digits(&text, &value) < 0 || *text || value > (uint64_t)INT64_MAX + negative)
        return -EINVAL;
    *out = negative ? (int64_t)-value : (int64_t)value;
    return 0;
}

int parse_size(const char *text, uint64_t *out)
{
    static const char units[] = "kmgt";
    uint64_t value;
    if (parse_digits(&text, &value) < 0)
        return -EINVAL;
    if (*text) {
        unsigned shift = 0;
        for (unsigned i = 0; units[i]; i++)
            if (lower(*text) == units[i])
                shift = 10 * (i + 1);
        if (shift == 0 || (text[1] && !text_equal(text + 1, "ib")) || value > UINT64_MAX >> shift)
            return -EINVAL;
        value <<= shift;
    }
    *out = value;
    return 0;
}

/* The digits behind a decimal point, at least one, in units of 10^-9. `*finer`: more was cut off. */
static int parse_fraction(const char **text, int64_t *out, bool *finer)
{
    const char *at = *text;
    int64_t value = 0, digit = 100000000;
    *finer = false;
    for (; is_digit(*at); at++, digit /= 10) {
        value += (*at - '0') * digit;
        *finer |= digit == 0 && *at != '0';
    }
    if (at == *text)
        return -EINVAL;
    *text = at;
    *out = value;
    return 0;
}

int parse_duration(const char *text, int64_t *out)
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {{"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t whole;
    int64_t fraction = 0;
    bool finer = false;
    if (parse_digits(&text, &whole) < 0 ||
        (*text == '.' && (text++, parse_fraction(&text, &fraction, &finer) < 0)))
        return -EINVAL;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!text_equal(text, units[i].name))
            continue;
        int64_t ms;
        int64_t part = (fraction * units[i].ms + 999999999 + finer) / 1000000000;
        if (__builtin_mul_overflow(whole, units[i].ms, &ms) || __builtin_add_overflow(ms, part, &ms))
            return -EINVAL;
        *out = ms;
        return 0;
    }
    return -EINVAL;
}

int parse_lifetime(const char *text, int64_t *out)
{
    if (!text_equal(text, "forever"))
        return parse_duration(text, out);
    *out = INT64_MAX;
    return 0;
}

int parse_hex(const char *text, unsigned *out)
{
    unsigned value = 0;
    size_t size = strlen(text);
    if (size == 0 || size > 8 || strspn(text, "0123456789abcdefABCDEF") != size)
        return -EINVAL;
    for (const char *at = text; *at; at++)
        value = value * 16 + (unsigned)(*at <= '9' ? *at - '0' : (*at | 0x20) - 'a' + 10);
    *out = value;
    return 0;
}

int parse_bool(const char *text, bool *out)
{
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}, {"0", "1"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (int value = 0; value < 2; value++) {
            if (text_equal(text, words[i][value])) {
                *out = value;
                return 0;
            }
        }
    }
    return -EINVAL;
}

/* ---- dates ---- */

#define DAY_S 86400
#define S_NS  INT64_C(1000000000)

/* A day and time of the Gregorian calendar, UTC; month and day from 1. */
struct date {
    int64_t year;
    int month, day, hour, minute, second;
};

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const days[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                    "Thursday", "Friday", "Saturday"};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/*
 * Days since 1970-01-01. Years are counted from March, so that a leap day is the last of its year, and a
 * month begins on day (153 * month + 2) / 5 of it; 400 years have 146,097 days.
 */
static int64_t days_of_date(const struct date *date)
{
    int64_t month = (date->month + 9) % 12;
    int64_t year = date->year - (month >= 10);
    int64_t cycle = floor_div(year, 400);
    int64_t year_of_cycle = year - cycle * 400;
    int64_t day_of_year = (153 * month + 2) / 5 + date->day - 1;
    return cycle * 146097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year -
           719468;
}

static struct date date_of_seconds(int64_t seconds)
{
    int64_t day = floor_div(seconds, DAY_S);
    int second = (int)(seconds - day * DAY_S);
    day += 719468;
    int64_t cycle = floor_div(day, 146097);
    int64_t day_of_cycle = day - cycle * 146097;
    int64_t year = (day_of_cycle - day_of_cycle / 1460 + day_of_cycle / 36524 - day_of_cycle / 146096) / 365;
    int64_t day_of_year = day_of_cycle - (365 * year + year / 4 - year / 100);
    int month = (int)(5 * day_of_year + 2) / 153;
    return (struct date){
        .year = cycle * 400 + year + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = (int)(day_of_year - (153 * month + 2) / 5 + 1),
        .hour = second / 3600,
        .minute = second / 60 % 60,
        .second = second % 60,
    };
}

static bool date_is_valid(const struct date *date)
{
    static const int sizes[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date->month < 1 || date->month > 12)
        return false;
    bool leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);
    int size = sizes[date->month - 1] + (date->month == 2 && leap);
    /* 60 is a leap second; it is told as the second behind it. */
    return date->day >= 1 && date->day <= size && date->hour <= 23 && date->minute <= 59 &&
           date->second <= 60;
}

/* Years that 64 bits of ns cannot tell (before 1678, after 2261) become the nearest time that they can: a
 * server's "31 Dec 9999" is far away, not wrong. */
static int finish_date(const struct date *date, int64_t offset_s, int64_t fraction_ns, int64_t *out)
{
    if (!date_is_valid(date))
        return -EINVAL;
    int64_t seconds =
        days_of_date(date) * DAY_S + date->hour * 3600 + date->minute * 60 + date->second - offset_s;
    bool past = seconds < 0;
    if (past) { /* towards 0, so that the product is in reach whenever the sum is */
        seconds++;
        fraction_ns -= S_NS;
    }
    int64_t time_ns;
    if (__builtin_mul_overflow(seconds, S_NS, &time_ns) ||
        __builtin_add_overflow(time_ns, fraction_ns, &time_ns))
        time_ns = past ? INT64_MIN : INT64_MAX;
    *out = time_ns;
    return 0;
}

/* ---- the pieces of a date: each moves *text behind itself, or says no ---- */

static bool skip(const char **text, const char *word)
{
    const char *at = *text;
    for (; *word; word++, at++)
        if (lower(*at) != lower(*word))
            return false;
    *text = at;
    return true;
}

static bool take_number(const char **text, int digit_count, int *out)
{
    int value = 0;
    for (int i = 0; i < digit_count; i++) {
        if (!is_digit((*text)[i]))
            return false;
        value = 10 * value + ((*text)[i] - '0');
    }
    *text += digit_count;
    *out = value;
    return true;
}

static bool take_year(const char **text, struct date *date)
{
    int year;
    if (!take_number(text, 4, &year))
        return false;
    date->year = year;
    return true;
}

static bool take_month_name(const char **text, struct date *date)
{
    for (date->month = 1; date->month <= 12; date->month++)
        if (skip(text, months[date->month - 1]))
            return true;
    return false;
}

static bool take_minute(const char **text, struct date *date) /* 22:20 */
{
    return take_number(text, 2, &date->hour) && skip(text, ":") && take_number(text, 2, &date->minute);
}

static bool take_second(const char **text, struct date *date) /* 22:20:30 */
{
    return take_minute(text, date) && skip(text, ":") && take_number(text, 2, &date->second);
}

static bool take_zone(const char **text) /* RFC 9111 §4.2: others make the date invalid */
{
    return skip(text, " GMT") || skip(text, " UTC");
}

static bool take_fixdate(const char **text, struct date *date) /* ", 06 Nov 1994 08:49:37 GMT" */
{
    return skip(text, ", ") && take_number(text, 2, &date->day) && skip(text, " ") &&
           take_month_name(text, date) && skip(text, " ") && take_year(text, date) && skip(text, " ") &&
           take_second(text, date) && take_zone(text);
}

static bool take_asctime(const char **text, struct date *date) /* " Nov  6 08:49:37 1994" */
{
    return skip(text, " ") && take_month_name(text, date) && skip(text, " ") &&
           (skip(text, " ") ? take_number(text, 1, &date->day) : take_number(text, 2, &date->day)) &&
           skip(text, " ") && take_second(text, date) && skip(text, " ") && take_year(text, date);
}

static bool take_rfc850(const char **text, struct date *date) /* ", 06-Nov-94 08:49:37 GMT" */
{
    int year;
    if (!(skip(text, ", ") && take_number(text, 2, &date->day) && skip(text, "-") &&
          take_month_name(text, date) && skip(text, "-") && take_number(text, 2, &year) && skip(text, " ") &&
          take_second(text, date) && take_zone(text)))
        return false;
    /* RFC 9110 §5.6.7: the latest such year that is not more than 50 years ahead. */
    int64_t latest = date_of_seconds(floor_div(wall_ns(), S_NS)).year + 50;
    date->year = latest - ((latest - year) % 100 + 100) % 100;
    return true;
}

int parse_http_date(const char *text, int64_t *out)
{
    for (int i = 0; i < 7; i++) {
        const char short_name[] = {days[i][0], days[i][1], days[i][2], 0};
        struct date date = {0};
        const char *at = text;
        bool taken;
        if (skip(&at, days[i]))
            taken = take_rfc850(&at, &date);
        else if (skip(&at, short_name))
            taken = *at == ',' ? take_fixdate(&at, &date) : take_asctime(&at, &date);
        else
            continue;
        return taken && !*at ? finish_date(&date, 0, 0, out) : -EINVAL;
    }
    return -EINVAL;
}

int parse_rfc3339(const char *text, int64_t *out)
{
    struct date date = {0}, offset = {0};
    int64_t fraction_ns = 0;
    bool finer;
    if (!(take_year(&text, &date) && skip(&text, "-") && take_number(&text, 2, &date.month) &&
          skip(&text, "-") && take_number(&text, 2, &date.day) && (skip(&text, "T") || skip(&text, " ")) &&
          take_second(&text, &date)))
        return -EINVAL;
    if (skip(&text, ".") && parse_fraction(&text, &fraction_ns, &finer) < 0)
        return -EINVAL;
    int sign = *text == '-' ? -1 : 1;
    if (!skip(&text, "Z") && (!(skip(&text, "+") || skip(&text, "-")) || !take_minute(&text, &offset) ||
                              offset.hour > 23 || offset.minute > 59))
        return -EINVAL;
    return *text ? -EINVAL
                 : finish_date(&date, sign * (offset.hour * 3600 + offset.minute * 60), fraction_ns, out);
}

static bool take_index_day(const char **text, struct date *date)
{
    if (is_digit((*text)[0]) && is_digit((*text)[1]) && (*text)[2] == '-')
        return take_number(text, 2, &date->day) && skip(text, "-") && take_month_name(text, date) &&
               skip(text, "-") && take_year(text, date);
    return take_year(text, date) && skip(text, "-") &&
           (is_digit(**text) ? take_number(text, 2, &date->month) : take_month_name(text, date)) &&
           skip(text, "-") && take_number(text, 2, &date->day);
}

/* Nothing, " UTC" or " +0200". */
static bool take_index_zone(const char **text, int *offset_s)
{
    struct date offset = {0};
    *offset_s = 0;
    if (!**text || take_zone(text))
        return true;
    int sign = skip(text, " +") ? 1 : skip(text, " -") ? -1 : 0;
    if (sign == 0 || !take_number(text, 2, &offset.hour) || !take_number(text, 2, &offset.minute) ||
        offset.hour > 23 || offset.minute > 59)
        return false;
    *offset_s = sign * (offset.hour * 3600 + offset.minute * 60);
    return true;
}

int parse_index_date(const char *text, int64_t *out)
{
    struct date date = {0};
    int64_t fraction_ns = 0;
    bool finer;
    int offset_s;
    if (!take_index_day(&text, &date) || !skip(&text, " ") || !take_minute(&text, &date))
        return -EINVAL;
    if (skip(&text, ":") && (!take_number(&text, 2, &date.second) ||
                             (skip(&text, ".") && parse_fraction(&text, &fraction_ns, &finer) < 0)))
        return -EINVAL;
    return take_index_zone(&text, &offset_s) && !*text ? finish_date(&date, offset_s, fraction_ns, out)
                                                       : -EINVAL;
}

void format_rfc3339(int64_t time_ns, char out[TEXT_TIME_SIZE])
{
    int64_t seconds = floor_div(time_ns, S_NS);
    int fraction_ns = (int)((time_ns % S_NS + S_NS) % S_NS);
    struct date date = date_of_seconds(seconds);
    int size = snprintf(out, TEXT_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d", (int)date.year, date.month,
                        date.day, date.hour, date.minute, date.second);
    if (fraction_ns > 0) {
        size += snprintf(out + size, TEXT_TIME_SIZE - (size_t)size, ".%09d", fraction_ns);
        while (out[size - 1] == '0')
            size--;
    }
    out[size++] = 'Z';
    out[size] = 0;
}

void format_http_date(int64_t time_ns, char out[TEXT_TIME_SIZE])
{
    int64_t seconds = floor_div(time_ns, S_NS);
    struct date date = date_of_seconds(seconds);
    int64_t day = floor_div(seconds, DAY_S) + 4; /* 1970-01-01 was a Thursday */
    snprintf(out, TEXT_TIME_SIZE, "%.3s, %02d %s %04d %02d:%02d:%02d GMT", days[day - floor_div(day, 7) * 7],
             date.day, months[date.month - 1], (int)date.year, date.hour, date.minute, date.second);
}
