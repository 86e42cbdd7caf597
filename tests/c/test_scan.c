/* test_scan.c -- a block's texts are collected once, and its hits are the right
 * records.
 */

#include "plain/scan.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "plain/wire.h"

#define ALL_KINDS 0xffffu
#define ROUNDS 20000

static uint8_t block[KC_SCAN_MAX_BYTES];
static struct kc_cursor wire;
static struct kc_scan_news news;

static size_t
write_double(double value, char *out, size_t room)
{
    int len = snprintf(out, room, "%.17g", value);
    return len > 0 && (size_t)len < room ? (size_t)len : 0;
}

static struct kc_scan *
begin(uint32_t kinds, bool numbers, bool functions)
{
    struct kc_scan_options options = {kinds, numbers, functions, write_double};
    struct kc_scan *scan = NULL;
    CHECK_EQUAL(KC_OK, kc_scan_new(&scan, &options));
    wire = (struct kc_cursor){block, block + sizeof block, block, KC_OK};
    return scan;
}

/* The head of a record with `fields` fields, then these are written. */
static void
record(enum kc_kind kind, size_t fields)
{
    kc_wire_open_record(&wire, (uint8_t)kind, fields + 2);
    kc_wire_uint(&wire, 1000);
}

static enum kc_status
walk(struct kc_scan *scan, uint64_t first_node)
{
    CHECK_EQUAL(KC_OK, wire.status);
    enum kc_status status =
        kc_scan_walk(scan, block, (size_t)(wire.at - block), first_node, &news);
    wire.at = block;
    return status;
}

static bool
text_is(const char *expected)
{
    bool same = strlen(expected) == news.text_bytes &&
                memcmp(expected, news.text, news.text_bytes) == 0;
    if (!same) {
        (void)fprintf(stderr, "got: %.*s\n", (int)news.text_bytes, news.text);
    }
    return same;
}

static void
call(uint64_t code, const char *argument)
{
    record(KC_KIND_CALL, 3);
    kc_wire_uint(&wire, code);
    kc_wire_nil(&wire);
    kc_wire_text(&wire, argument);
}

static void
ret(const char *value)
{
    record(KC_KIND_RETURN, 1);
    kc_wire_text(&wire, value);
}

static void
test_each_form_has_its_text(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, false);
    record(KC_KIND_CALL, 14);
    kc_wire_uint(&wire, 7);
    kc_wire_uint(&wire, 3);
    kc_wire_nil(&wire);
    kc_wire_bool(&wire, 1);
    kc_wire_uint(&wire, 5);
    kc_wire_int(&wire, -5);
    kc_wire_int(&wire, INT64_MIN);
    kc_wire_uint(&wire, UINT64_MAX);
    kc_wire_double(&wire, 2.0);
    kc_wire_double(&wire, -0.05);
    kc_wire_double(&wire, 19.99);
    kc_wire_text(&wire, "h\xc3\xa9");
    kc_wire_bin(&wire, "a\n\\\xff", 4);
    kc_wire_text(&wire, "");
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    CHECK(text_is("None\nTrue\n5\n-5\n-9223372036854775808\n18446744073709551615\n"
                  "2.0\n-0.05\n19.99\nh\xc3\xa9\na\\n\\\\\\xff\n\n"));
    CHECK_EQUAL(12, news.text_count);
    CHECK_EQUAL(0, news.starts[0]);
    CHECK_EQUAL(5, news.starts[1]);
    CHECK_EQUAL(3, news.starts[10] - news.starts[9]); /* in characters */
    CHECK_EQUAL(1, news.reference_count);
    CHECK_EQUAL(7, news.references[0].number);
    CHECK_EQUAL(1, news.call_count);
    CHECK_EQUAL(1, news.depth);
    kc_scan_free(scan);
}

static void
tagged(enum kc_tag tag, size_t count, const int64_t *fields)
{
    kc_wire_tag(&wire, tag, count);
    for (size_t i = 0; i < count; i++) {
        kc_wire_int(&wire, fields[i]);
    }
}

static void
test_dates_times_and_uuids_are_written(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, false);
    record(KC_KIND_RETURN, 9);
    tagged(KC_TAG_DATE, 3, (int64_t[]){2024, 2, 29});
    tagged(KC_TAG_DATE, 3, (int64_t[]){2026, 2, 29}); /* there is none: for Python */
    tagged(KC_TAG_DATE, 3, (int64_t[]){0, 1, 1});
    tagged(KC_TAG_TIME, 5, (int64_t[]){1, 2, 3, 4000, 1});
    tagged(KC_TAG_TIME, 5, (int64_t[]){24, 2, 3, 0, 0});
    tagged(KC_TAG_DATETIME, 9, (int64_t[]){7, 1, 2, 23, 59, 59, 0, 0, -19800});
    tagged(KC_TAG_DATETIME, 9, (int64_t[]){9999, 12, 31, 0, 0, 0, 999999, 0, 3661});
    tagged(KC_TAG_DATETIME, 9, (int64_t[]){9999, 12, 31, 0, 0, 0, 0, 0, 86400});
    kc_wire_tag(&wire, KC_TAG_UUID, 1);
    kc_wire_bin(&wire,
                "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff", 16);
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    CHECK(text_is("2024-02-29\n01:02:03.004000\n0007-01-02 23:59:59-05:30\n"
                  "9999-12-31 00:00:00.999999+01:01:01\n"
                  "00112233-4455-6677-8899-aabbccddeeff\n"));
    CHECK_EQUAL(4, news.raw_count);
    kc_scan_free(scan);
}

static void
test_what_is_within_values_is_found(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, false);
    record(KC_KIND_RETURN, 1);
    kc_wire_map(&wire, 2);
    kc_wire_text(&wire, "key");
    kc_wire_array(&wire, 2);
    kc_wire_text(&wire, "item");
    kc_wire_tag(&wire, KC_TAG_OBJECT, 4);
    kc_wire_uint(&wire, 300); /* its type */
    kc_wire_uint(&wire, 0xdeadbeef);
    kc_wire_text(&wire, "field");
    kc_wire_tag(&wire, KC_TAG_CUT_STR, 2);
    kc_wire_text(&wire, "begins");
    kc_wire_uint(&wire, 4000);
    kc_wire_text(&wire, "day");
    kc_wire_tag(&wire, KC_TAG_TIMEDELTA, 3);
    kc_wire_uint(&wire, 2026);
    kc_wire_uint(&wire, 11);
    kc_wire_uint(&wire, 21);
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    CHECK(text_is("key\nitem\nfield\nbegins\nday\n"));
    CHECK_EQUAL(1, news.reference_count);
    CHECK_EQUAL(300, news.references[0].number);
    CHECK_EQUAL(1, news.raw_count);
    size_t len = 0;
    const uint8_t *raw = kc_scan_borrow_raw(scan, 0, &len);
    CHECK(len == 9 && memcmp(raw, "\x94\xd4\x01\x0e\xcd\x07\xea\x0b\x15", 9) == 0);
    kc_scan_free(scan);
}

static void
test_a_text_is_asked_for_once(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, false);
    size_t count = 0;
    call(1, "twice");
    ret("twice");
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    CHECK(text_is("twice\n"));
    kc_scan_match(scan, KC_SCAN_TEXTS, 0);
    const struct kc_scan_hit *hits = kc_scan_settle(scan, &count);
    CHECK_EQUAL(2, count);
    CHECK(hits[0].record == 0 && hits[0].node == 1 && hits[0].code == 1);
    CHECK(hits[1].record == 1 && hits[1].node == 1 && hits[1].code == 1);
    CHECK_EQUAL(KC_KIND_RETURN, hits[1].kind);
    call(1, "once");
    call(1, "twice");
    CHECK_EQUAL(KC_OK, walk(scan, 10));
    CHECK(text_is("once\n"));
    CHECK_EQUAL(0, news.reference_count);
    hits = kc_scan_settle(scan, &count);
    CHECK_EQUAL(1, count);
    CHECK(hits[0].record == 1 && hits[0].node == 11);
    kc_scan_free(scan);
}

static void
test_the_stack_goes_on_in_the_next_block(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, false);
    struct kc_scan_open opens[] = {{40, 4, 0}, {50, 5, 9}};
    size_t count = 0;
    CHECK_EQUAL(KC_OK, kc_scan_set_stack(scan, opens, 2));
    ret("a");
    record(KC_KIND_RESUME, 4);
    kc_wire_uint(&wire, 3); /* thread */
    kc_wire_uint(&wire, 77);
    kc_wire_uint(&wire, 6);
    kc_wire_nil(&wire);
    CHECK_EQUAL(KC_OK, walk(scan, 100));
    CHECK_EQUAL(2, news.depth);
    kc_scan_match(scan, KC_SCAN_TEXTS, 0);
    const struct kc_scan_hit *hits = kc_scan_settle(scan, &count);
    CHECK_EQUAL(1, count);
    CHECK(hits[0].node == 50 && hits[0].code == 5 && hits[0].thread == 9);
    record(KC_KIND_YIELD, 2);
    kc_wire_text(&wire, "a");
    kc_wire_uint(&wire, 8);
    ret("a");
    ret("a"); /* nothing is on the stack any more */
    CHECK_EQUAL(KC_OK, walk(scan, 100));
    hits = kc_scan_settle(scan, &count);
    CHECK_EQUAL(3, count);
    CHECK(hits[0].node == 77 && hits[0].code == 6 && hits[0].thread == 3);
    CHECK(hits[1].node == 40 && hits[1].code == 4);
    CHECK(hits[2].node == 0 && hits[2].code == 0);
    kc_scan_free(scan);
}

static void
test_definitions_and_local_names_are_asked_for_apart(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, false);
    size_t count = 0;
    call(2, NULL);
    record(KC_KIND_RETURN, 2);
    kc_wire_nil(&wire);
    kc_wire_nil(&wire); /* a local */
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    CHECK_EQUAL(2, news.reference_count);
    CHECK(!news.references[0].locals && news.references[1].locals);
    kc_scan_match(scan, KC_SCAN_REFERENCES, 1);
    const struct kc_scan_hit *hits = kc_scan_settle(scan, &count);
    CHECK_EQUAL(1, count);
    CHECK_EQUAL(KC_KIND_RETURN, hits[0].kind);
    kc_scan_forget_definitions(scan);
    call(2, NULL);
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    CHECK_EQUAL(1, news.reference_count);
    CHECK(text_is(""));
    kc_scan_free(scan);
}

static void
test_functions_and_kinds_narrow_it(void)
{
    struct kc_scan *scan = begin(1u << KC_KIND_RETURN, true, true);
    size_t count = 0;
    call(2, "x");
    call(3, "x");
    ret("x");
    ret("x");
    ret("x"); /* of no known function: for the caller to find out */
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    CHECK(text_is("x\n"));
    CHECK_EQUAL(2, news.reference_count);
    kc_scan_match(scan, KC_SCAN_TEXTS, 0);
    kc_scan_match(scan, KC_SCAN_WANTED, 1);
    const struct kc_scan_hit *hits = kc_scan_settle(scan, &count);
    CHECK_EQUAL(2, count);
    CHECK(hits[0].code == 3 && hits[0].node == 2);
    CHECK(hits[1].code == 0);
    kc_scan_free(scan);
}

static void
test_numbers_can_be_left_out(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, false, false);
    record(KC_KIND_RETURN, 1);
    kc_wire_array(&wire, 5);
    kc_wire_uint(&wire, 1);
    kc_wire_double(&wire, 1.5);
    kc_wire_uint(&wire, 100000);
    kc_wire_text(&wire, "text");
    kc_wire_tag(&wire, KC_TAG_DATE, 3);
    kc_wire_uint(&wire, 2026);
    kc_wire_uint(&wire, 11);
    kc_wire_uint(&wire, 21);
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    CHECK(text_is("text\n"));
    CHECK_EQUAL(0, news.raw_count);
    kc_scan_free(scan);
}

static void
test_what_was_not_settled_is_asked_again(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, false);
    call(1, "asked");
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    call(1, "asked");
    CHECK_EQUAL(KC_OK, walk(scan, 1));
    CHECK(text_is("asked\n"));
    CHECK_EQUAL(1, news.reference_count);
    kc_scan_free(scan);
}

static void
test_damage_ends_the_block_and_keeps_what_was_before(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, false);
    size_t count = 0;
    static const struct {
        const char *bytes;
        size_t len;
    } broken[] = {
        {"\x91\x00", 2},             /* too short for a record */
        {"\x93\x10\x00\xc0", 4},     /* a kind that is none */
        {"\x93\x01\x00\xa1\xff", 5}, /* text that is no UTF-8 */
        {"\x93\x01\x00\xa2\xc0\x80", 6},
        {"\x93\x01\x00\xa3\xe0\x80\x80", 7},
        {"\x93\x01\x00\xa4\xf4\x90\x80\x80", 8},
        {"\x93\x01\x00\xdd\xff\xff\xff\xff", 8}, /* more items than bytes */
        {"\x93\x01\x00\xc1", 4},
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        ret("good");
        size_t good = (size_t)(wire.at - block);
        kc_wire_append(&wire, broken[i].bytes, broken[i].len);
        CHECK_EQUAL(KC_CORRUPT, walk(scan, 1));
        CHECK_EQUAL(good, news.read_bytes);
        if (i == 0) {
            kc_scan_match(scan, KC_SCAN_TEXTS, 0);
        }
        (void)kc_scan_settle(scan, &count);
        CHECK_EQUAL(1, count);
    }
    CHECK_EQUAL(KC_FULL, kc_scan_walk(scan, block, sizeof block + 1, 1, &news));
    kc_scan_free(scan);
}

static uint32_t
next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* A block with one of everything, to be damaged. */
static size_t
write_everything(void)
{
    wire.at = block;
    call(2, "argument");
    record(KC_KIND_NOTE, 2);
    kc_wire_text(&wire, "note");
    kc_wire_map(&wire, 1);
    kc_wire_text(&wire, "key");
    kc_wire_double(&wire, 0.1 + 0.2);
    for (uint8_t tag = KC_TAG_TUPLE; tag <= KC_TAG_ERROR; tag++) {
        record(KC_KIND_RAISE, 3);
        kc_wire_tag(&wire, (enum kc_tag)tag, 3);
        kc_wire_uint(&wire, 1000);
        kc_wire_text(&wire, "text");
        kc_wire_bin(&wire, "bin", 3);
        kc_wire_uint(&wire, 4);
        kc_wire_int(&wire, -70000);
    }
    for (uint8_t kind = KC_KIND_CALL; kind <= KC_KIND_MARK; kind++) {
        record((enum kc_kind)kind, 5);
        for (uint64_t i = 0; i < 5; i++) {
            kc_wire_uint(&wire, i * 300);
        }
    }
    return (size_t)(wire.at - block);
}

static void
test_hostile_bytes_do_no_harm(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, true);
    uint32_t state = 20261121;
    size_t whole = write_everything();
    uint8_t *copy = malloc(whole);
    CHECK(copy != NULL);
    for (unsigned round = 0; copy != NULL && round < ROUNDS; round++) {
        size_t len = round % 2 ? whole : next_random(&state) % (whole + 1);
        uint8_t *bytes = malloc(len + 1); /* just as long, for the sanitizer to see */
        if (bytes == NULL) {
            break;
        }
        memcpy(bytes, block, len);
        for (uint32_t changes = next_random(&state) % 8; len > 0 && changes > 0;
             changes--) {
            bytes[next_random(&state) % len] = (uint8_t)next_random(&state);
        }
        size_t count = 0;
        size_t raw_len = 0;
        (void)!kc_scan_walk(scan, bytes, len, 1, &news);
        CHECK(news.read_bytes <= len);
        CHECK(news.starts[news.text_count] <= news.text_bytes);
        for (size_t i = 0; i < news.raw_count; i++) {
            (void)kc_scan_borrow_raw(scan, i, &raw_len);
            CHECK(raw_len <= len);
            kc_scan_match(scan, KC_SCAN_RAWS, i);
        }
        for (size_t i = 0; i < news.text_count + 2; i++) {
            kc_scan_match(scan, KC_SCAN_TEXTS, i);
            kc_scan_match(scan, KC_SCAN_REFERENCES, i);
            kc_scan_match(scan, KC_SCAN_WANTED, i);
        }
        if (round % 5 != 0) {
            (void)kc_scan_settle(scan, &count);
            CHECK(count <= len);
        }
        free(bytes);
    }
    free(copy);
    kc_scan_free(scan);
}

/* Every text new, in more blocks than the table has room for. */
static void
test_the_table_is_emptied_when_it_is_full(void)
{
    struct kc_scan *scan = begin(ALL_KINDS, true, false);
    uint64_t number = 1000000;
    size_t count = 0;
    for (int turn = 0; turn < 60; turn++) {
        size_t written = 0;
        while (wire.end - wire.at > 64) {
            record(KC_KIND_RETURN, 1);
            kc_wire_uint(&wire, number++);
            written++;
        }
        CHECK_EQUAL(KC_OK, walk(scan, 1));
        CHECK_EQUAL(written, news.text_count);
        kc_scan_match(scan, KC_SCAN_TEXTS, written - 1);
        (void)kc_scan_settle(scan, &count);
        CHECK_EQUAL(1, count);
    }
    kc_scan_free(scan);
}

int
main(void)
{
    test_each_form_has_its_text();
    test_dates_times_and_uuids_are_written();
    test_what_is_within_values_is_found();
    test_a_text_is_asked_for_once();
    test_the_stack_goes_on_in_the_next_block();
    test_definitions_and_local_names_are_asked_for_apart();
    test_functions_and_kinds_narrow_it();
    test_numbers_can_be_left_out();
    test_what_was_not_settled_is_asked_again();
    test_damage_ends_the_block_and_keeps_what_was_before();
    test_hostile_bytes_do_no_harm();
    test_the_table_is_emptied_when_it_is_full();
    return check_result("scan");
}
