/* fuzz_scan.c -- a search in the records of a block: what it says of them holds.
 *
 * An input is a byte of options, one with the calls that are open, the first node's
 * number and the block. Scans go on from one input to the next, as from block to block:
 * what they remember is part of what is tried.
 */

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plain/scan.h"
#include "plain/wire.h"

#define HEAD 10u

const char *const fuzz_name = "fuzz scan";
const unsigned fuzz_rounds = 20000;

static size_t
write_double(double value, char *out, size_t room)
{
    int len = snprintf(out, room, "%.17g", value);
    return len > 0 && (size_t)len < room ? (size_t)len : 0;
}

static struct kc_scan *
scan_for(unsigned options)
{
    static struct kc_scan *scans[4];
    struct kc_scan **scan = &scans[options & 3u];
    if (*scan == NULL) {
        struct kc_scan_options wanted = {options & 1u ? 0x1ffffu : 0x55u,
                                         (options & 1u) != 0, (options & 2u) != 0,
                                         write_double};
        FUZZ_CHECK(kc_scan_new(scan, &wanted) == KC_OK);
    }
    return *scan;
}

static void
check_news(const struct kc_scan *scan, const struct kc_scan_news *news, size_t len)
{
    FUZZ_CHECK(news->read_bytes <= len);
    for (size_t i = 0; i < news->text_count; i++) {
        FUZZ_CHECK(news->starts[i] < news->starts[i + 1]);
    }
    FUZZ_CHECK(news->text_count == 0 || news->text[news->text_bytes - 1] == '\n');
    for (size_t i = 0; i < news->raw_count; i++) {
        size_t raw_len = 0;
        const uint8_t *raw = kc_scan_borrow_raw(scan, i, &raw_len);
        FUZZ_CHECK(raw_len > 0 && raw_len <= len && (raw[0] & 0x80) != 0);
    }
    for (size_t i = 0; i < news->reference_count; i++) {
        FUZZ_CHECK(news->references[i].number <= KC_SCAN_MAX_NUMBER);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len < HEAD) {
        return 0;
    }
    struct kc_scan_open opens[8];
    struct kc_scan_news news;
    struct kc_scan *scan = scan_for(data[0]);
    size_t depth = data[1] & 7u;
    uint64_t first_node = 0;
    memcpy(&first_node, data + 2, sizeof first_node);
    for (size_t i = 0; i < depth; i++) {
        opens[i] = (struct kc_scan_open){first_node + i, i, (uint32_t)i & 1u};
    }
    FUZZ_CHECK(kc_scan_set_stack(scan, opens, depth) == KC_OK);
    if (data[0] & 4u) {
        kc_scan_forget_definitions(scan);
    }
    enum kc_status status =
        kc_scan_walk(scan, data + HEAD, len - HEAD, first_node, &news);
    if (status == KC_FULL) {
        FUZZ_CHECK(len - HEAD > KC_SCAN_MAX_BYTES);
        return 0;
    }
    FUZZ_CHECK(status == KC_OK || status == KC_CORRUPT);
    check_news(scan, &news, len - HEAD);
    if (data[0] & 8u) {
        return 0; /* what was asked is never answered */
    }
    for (size_t i = 0; i < 200; i += 1 + (data[0] >> 4)) {
        kc_scan_match(scan, (enum kc_scan_list)(i & 3u),
                      i / 4); /* beyond the end, too */
    }
    size_t count = 0;
    const struct kc_scan_hit *hits = kc_scan_settle(scan, &count);
    for (size_t i = 1; i < count; i++) {
        FUZZ_CHECK(hits[i - 1].record < hits[i].record);
    }
    return 0;
}

/* Every kind of record, and of value. */
static void
seed_records(struct kc_cursor *wire)
{
    static const uint8_t fields[] = {4, 2, 3, 2, 4, 5, 2, 3, 1, 2, 1, 2, 3, 3, 2, 3, 5};
    for (uint8_t kind = 0; kind <= KC_KIND_CAUGHT; kind++) {
        kc_wire_open_record(wire, kind, fields[kind] + 2u);
        kc_wire_uint(wire, 1000);
        for (unsigned i = 0; i < fields[kind]; i++) {
            kc_wire_uint(wire, i + kind);
        }
    }
    for (unsigned tag = KC_TAG_TUPLE; tag <= KC_TAG_ERROR; tag++) {
        kc_wire_open_record(wire, KC_KIND_CALL, 6);
        kc_wire_uint(wire, 1);
        kc_wire_uint(wire, tag);
        kc_wire_nil(wire);
        kc_wire_tag(wire, 4, (enum kc_tag)tag);
        kc_wire_uint(wire, 2024);
        kc_wire_text(wire, "name");
        kc_wire_uint(wire, 7);
        kc_wire_text(wire, "text");
    }
}

size_t
fuzz_seed(unsigned number, uint8_t *data, size_t room)
{
    static const uint8_t options[] = {1, 3, 2, 0x33};
    if (number >= sizeof options) {
        return 0;
    }
    struct kc_cursor wire = {data + HEAD, data + room, data + HEAD, KC_OK};
    memset(data, 0, HEAD);
    data[0] = options[number];
    data[1] = (uint8_t)number;
    data[2] = 1;
    seed_records(&wire);
    FUZZ_CHECK(wire.status == KC_OK);
    return (size_t)(wire.at - data);
}
