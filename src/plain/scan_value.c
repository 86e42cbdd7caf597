/* scan_value.c -- the values of a record, and the definitions it names, as leaves.
 * See scan_state.h. */

#include "plain/scan_state.h"

#include <stdlib.h>
#include <string.h>

static void
scan_add_leaf(struct kc_scan *scan, uint32_t leaf)
{
    if (scan->leaf_count >= LEAVES_MAX) {
        scan->failed = true;
        return;
    }
    scan->leaves[scan->leaf_count++] = leaf;
}

/* A value whose msgpack is the `len` bytes at `bytes`. */
static inline void
scan_text(struct kc_scan *scan, const uint8_t *bytes, size_t len)
{
    uint32_t slot = 0;
    if (kc_texts_find(&scan->texts, bytes, (uint32_t)len, &slot) != KC_OK) {
        scan->failed = true;
    }
    else if (scan->texts.slots[slot].verdict != KC_TEXTS_NO) {
        scan_add_leaf(scan, slot);
    }
}

static bool
scan_make_room(struct kc_scan *scan, size_t number)
{
    size_t room = scan->definitions_room > 0 ? scan->definitions_room : 1024;
    while (room <= number) {
        room *= 2;
    }
    uint8_t *grown = realloc(scan->definitions, room);
    if (grown == NULL) {
        return false;
    }
    memset(grown + scan->definitions_room, 0, room - scan->definitions_room);
    scan->definitions = grown;
    scan->definitions_room = room;
    return true;
}

/* What `number` stands for, or the local names of that code object. */
void
kc_scan_definition(struct kc_scan *scan, uint64_t number, bool locals)
{
    if (number > KC_SCAN_MAX_NUMBER) {
        return;
    }
    if (number >= scan->definitions_room && !scan_make_room(scan, (size_t)number)) {
        scan->failed = true;
        return;
    }
    uint8_t *known = &scan->definitions[number];
    unsigned shift = DEFINITION_SHIFT(locals);
    unsigned verdict = (unsigned)*known >> shift & 3u;
    if (verdict == KC_TEXTS_UNKNOWN) {
        if (scan->reference_count >= LEAVES_MAX) {
            scan->failed = true;
            return;
        }
        *known |= (uint8_t)(KC_TEXTS_ASKED << shift);
        scan->references[scan->reference_count++] =
            (struct kc_scan_reference){number, locals};
    }
    if (verdict != KC_TEXTS_NO && !scan->quiet) {
        scan_add_leaf(scan,
                      (uint32_t)number | (locals ? LEAF_LOCALS : 0u) | LEAF_DEFINITION);
    }
}

void
kc_scan_skip(struct kc_scan *scan)
{
    if (kc_walk_skip(&scan->walk) != KC_OK) {
        scan->failed = true;
    }
}

/* A number from 0; with `nil` also nil, which is 0. */
uint64_t
kc_scan_uint(struct kc_scan *scan, bool nil)
{
    struct kc_walk *walk = &scan->walk;
    if (KC_LIKELY(walk->at < walk->end && *walk->at < 0x80)) {
        return *walk->at++;
    }
    struct kc_token token;
    if (kc_walk_next(walk, &token) == KC_OK) {
        if (token.type == KC_TOKEN_UINT) {
            return token.uint;
        }
        if (nil && token.type == KC_TOKEN_NIL) {
            return 0;
        }
    }
    scan->failed = true;
    return 0;
}

/* The number of a type; what is none is stepped over. */
static void
scan_type(struct kc_scan *scan)
{
    struct kc_walk ahead = scan->walk;
    struct kc_token token;
    if (kc_walk_next(&ahead, &token) == KC_OK && token.type == KC_TOKEN_UINT) {
        scan->walk = ahead;
        kc_scan_definition(scan, token.uint, false);
        return;
    }
    kc_scan_skip(scan);
}

static void scan_value(struct kc_scan *scan, unsigned depth);

/* The elements of each tag: t a type, # nothing to search, v a value, and * for values
 * to the end; ! alone: its text takes Python. Names of fields are values here. */
static const char *const tag_elements[] = {
    [KC_TAG_TUPLE] = "*",     [KC_TAG_SET] = "*",         [KC_TAG_FROZENSET] = "*",
    [KC_TAG_CUT_STR] = "v#",  [KC_TAG_CUT_BYTES] = "v#",  [KC_TAG_CUT_ITEMS] = "##*",
    [KC_TAG_CUT] = "t#",      [KC_TAG_BIGINT] = "!",      [KC_TAG_COMPLEX] = "!",
    [KC_TAG_RANGE] = "!",     [KC_TAG_DATETIME] = "!",    [KC_TAG_DATE] = "!",
    [KC_TAG_TIME] = "!",      [KC_TAG_TIMEDELTA] = "!",   [KC_TAG_DECIMAL] = "v",
    [KC_TAG_UUID] = "!",      [KC_TAG_PATH] = "tv",       [KC_TAG_ENUM] = "tvv",
    [KC_TAG_BYTEARRAY] = "v", [KC_TAG_DICT] = "t##*",     [KC_TAG_OBJECT] = "t#*",
    [KC_TAG_REF] = "t#",      [KC_TAG_NAMEDTUPLE] = "t*", [KC_TAG_EXCEPTION] = "t#v",
    [KC_TAG_FUNCTION] = "v",  [KC_TAG_CLASS] = "t",       [KC_TAG_MODULE] = "v",
    [KC_TAG_NDARRAY] = "t#v", [KC_TAG_CYCLE] = "#",       [KC_TAG_MASKED] = "#",
    [KC_TAG_UNBOUND] = "",    [KC_TAG_SUBCLASS] = "t#v",  [KC_TAG_REPR] = "t#v",
    [KC_TAG_VIEW] = "t#",     [KC_TAG_ERROR] = "v",
};

/* The `count` elements behind the tag of an array that began at `start`. */
static void
scan_tagged(struct kc_scan *scan, uint8_t tag, uint32_t count, const uint8_t *start,
            unsigned depth)
{
    size_t tags = sizeof tag_elements / sizeof *tag_elements;
    const char *what = tag < tags && tag_elements[tag] != NULL ? tag_elements[tag] : "";
    bool whole = *what == '!';
    for (uint32_t i = 0; i < count && !scan->failed; i++) {
        if (*what == 'v' || *what == '*') {
            scan_value(scan, depth + 1);
        }
        else if (*what == 't') {
            scan_type(scan);
        }
        else {
            kc_scan_skip(scan);
        }
        what += *what != '\0' && *what != '*' && !whole;
    }
    if (whole && !scan->failed && scan->options.numbers) {
        scan_text(scan, start, (size_t)(scan->walk.at - start));
    }
}

static void
scan_array(struct kc_scan *scan, uint32_t count, const uint8_t *start, unsigned depth)
{
    struct kc_walk *walk = &scan->walk;
    if (depth >= VALUE_DEPTH) {
        scan->failed = true;
        return;
    }
    if (count > 0 && walk->end - walk->at >= 3 && walk->at[0] == 0xd4 &&
        walk->at[1] == KC_WIRE_TAG_EXTENSION)
    {
        uint8_t tag = walk->at[2];
        walk->at += 3;
        scan_tagged(scan, tag, count - 1, start, depth);
        return;
    }
    for (uint32_t i = 0; i < count && !scan->failed; i++) {
        scan_value(scan, depth + 1);
    }
}

/* A value of one of the longer forms. */
static void
scan_long_value(struct kc_scan *scan, unsigned depth)
{
    struct kc_walk *walk = &scan->walk;
    const uint8_t *start = walk->at;
    struct kc_token token;
    if (kc_walk_next(walk, &token) != KC_OK) {
        scan->failed = true;
        return;
    }
    switch (token.type) {
    case KC_TOKEN_UINT:
    case KC_TOKEN_INT:
    case KC_TOKEN_DOUBLE:
        if (!scan->options.numbers) {
            return;
        }
        scan_text(scan, start, (size_t)(walk->at - start));
        return;
    case KC_TOKEN_NIL:
    case KC_TOKEN_BOOL:
    case KC_TOKEN_STR:
    case KC_TOKEN_BIN:
        scan_text(scan, start, (size_t)(walk->at - start));
        return;
    case KC_TOKEN_ARRAY:
        scan_array(scan, token.count, start, depth);
        return;
    case KC_TOKEN_MAP:
        if (depth >= VALUE_DEPTH) {
            scan->failed = true;
        }
        for (uint64_t i = 0; i < (uint64_t)token.count * 2 && !scan->failed; i++) {
            scan_value(scan, depth + 1);
        }
        return;
    case KC_TOKEN_EXT:
        return;
    }
}

static void
scan_value(struct kc_scan *scan, unsigned depth)
{
    struct kc_walk *walk = &scan->walk;
    const uint8_t *start = walk->at;
    size_t left = (size_t)(walk->end - start);
    if (left == 0) {
        scan->failed = true;
        return;
    }
    uint8_t code = *start;
    if (code < 0x80 || code >= 0xe0) {
        walk->at++;
        if (scan->options.numbers) {
            scan_text(scan, start, 1);
        }
        return;
    }
    size_t len = (code & 0xe0) == 0xa0 ? 1 + (size_t)(code & 0x1f) : 0;
    if (len > 0 && len <= left) {
        walk->at += len;
        scan_text(scan, start, len);
        return;
    }
    scan_long_value(scan, depth);
}

void
kc_scan_values(struct kc_scan *scan, uint32_t count)
{
    for (uint32_t i = 0; i < count && !scan->failed; i++) {
        if (scan->quiet) {
            kc_scan_skip(scan);
        }
        else {
            scan_value(scan, 0);
        }
    }
}
