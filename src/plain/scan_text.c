/* scan_text.c -- see scan_text.h. */

#include "plain/scan_text.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plain/wire.h"

#define SLOT_MASK (KC_TEXTS_SLOTS - 1)
#define SLOTS_FULL (KC_TEXTS_SLOTS / 2) /* a block adds a quarter at most */
#define KEYS_FULL (6u << 20)
#define KEYS_BYTES (KEYS_FULL + KC_SCAN_MAX_BYTES)
/* A byte of a bytes object takes four characters at most, a short number five. */
#define TEXT_BYTES (6 * KC_SCAN_MAX_BYTES)

enum kc_status
kc_texts_init(struct kc_texts *texts, kc_scan_double *write_double)
{
    memset(texts, 0, sizeof *texts);
    texts->write_double = write_double;
    texts->slots = calloc(KC_TEXTS_SLOTS + 256, sizeof *texts->slots);
    texts->keys = malloc(KEYS_BYTES);
    texts->text = malloc(TEXT_BYTES);
    texts->text_slots = malloc(KC_SCAN_MAX_BYTES * sizeof *texts->text_slots);
    texts->raw_slots = malloc(KC_SCAN_MAX_BYTES * sizeof *texts->raw_slots);
    texts->starts = malloc((KC_SCAN_MAX_BYTES + 1) * sizeof *texts->starts);
    if (texts->slots == NULL || texts->keys == NULL || texts->text == NULL ||
        texts->text_slots == NULL || texts->raw_slots == NULL || texts->starts == NULL)
    {
        kc_texts_destroy(texts);
        return KC_NO_MEMORY;
    }
    return KC_OK;
}

void
kc_texts_destroy(struct kc_texts *texts)
{
    free(texts->slots);
    free(texts->keys);
    free(texts->text);
    free(texts->text_slots);
    free(texts->raw_slots);
    free(texts->starts);
    memset(texts, 0, sizeof *texts);
}

void
kc_texts_begin(struct kc_texts *texts, bool forget)
{
    if (forget || texts->slots_used > SLOTS_FULL || texts->keys_used > KEYS_FULL) {
        memset(texts->slots, 0, (KC_TEXTS_SLOTS + 256) * sizeof *texts->slots);
        texts->slots_used = 0;
        texts->keys_used = 0;
    }
    texts->text_bytes = 0;
    texts->text_chars = 0;
    texts->text_count = 0;
    texts->raw_count = 0;
    texts->starts[0] = 0;
}

/* ---- writing ---- */

/* The characters of `len` bytes of UTF-8, where surrogates may stand as three bytes;
 * SIZE_MAX where it is none. */
static size_t
text_count_chars(const uint8_t *at, size_t len)
{
    size_t chars = 0;
    const uint8_t *end = at + len;
    while (at < end) {
        if (end - at >= 8) {
            uint64_t eight;
            memcpy(&eight, at, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += 8;
                chars += 8;
                continue;
            }
        }
        uint8_t first = *at;
        size_t more = first < 0x80   ? 0
                      : first < 0xc2 ? SIZE_MAX
                      : first < 0xe0 ? 1
                      : first < 0xf0 ? 2
                      : first < 0xf5 ? 3
                                     : SIZE_MAX;
        if (more == SIZE_MAX || more >= (size_t)(end - at)) {
            return SIZE_MAX;
        }
        /* Forms longer than needed, and what lies beyond U+10FFFF. */
        if ((first == 0xe0 && at[1] < 0xa0) || (first == 0xf0 && at[1] < 0x90) ||
            (first == 0xf4 && at[1] > 0x8f))
        {
            return SIZE_MAX;
        }
        for (size_t i = 1; i <= more; i++) {
            if ((at[i] & 0xc0) != 0x80) {
                return SIZE_MAX;
            }
        }
        at += more + 1;
        chars++;
    }
    return chars;
}

static size_t
text_write_uint(uint64_t value, char *out)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; i++) {
        out[i] = digits[count - 1 - i];
    }
    return count;
}

/* `value` where it is a decimal of at most 15 digits, which then is the shortest text
 * of it, too: no two of them are the same double. 0 where it is not, or too costly. */
static size_t
text_write_decimal(double value, char *out)
{
#if FLT_EVAL_METHOD == 0
    static const double powers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    double size = fabs(value);
    if (!(size < 1e15 && (size >= 1e-4 || size == 0))) {
        return 0;
    }
    for (size_t places = 0; places < sizeof powers / sizeof *powers; places++) {
        double scaled = size * powers[places];
        if (scaled >= 1e15) {
            return 0;
        }
        uint64_t digits = (uint64_t)(scaled + 0.5);
        if ((double)digits / powers[places] != size) {
            continue;
        }
        uint64_t unit = (uint64_t)powers[places];
        char *at = out;
        if (signbit(value)) {
            *at++ = '-';
        }
        at += text_write_uint(digits / unit, at);
        *at++ = '.';
        uint64_t fraction = digits % unit;
        for (uint64_t place = unit / 10; place > fraction && place > 1; place /= 10) {
            *at++ = '0';
        }
        at += text_write_uint(fraction, at);
        return (size_t)(at - out);
    }
#endif
    return 0;
}

static size_t
text_write_token(const struct kc_texts *texts, const struct kc_token *token, char *out)
{
    size_t len = 0;
    switch (token->type) {
    case KC_TOKEN_NIL:
        memcpy(out, "None", 4);
        return 4;
    case KC_TOKEN_BOOL:
        memcpy(out, token->uint ? "True" : "False", 5);
        return token->uint ? 4 : 5;
    case KC_TOKEN_UINT:
        return text_write_uint(token->uint, out);
    case KC_TOKEN_INT:
        *out = '-';
        return 1 + text_write_uint(0 - (uint64_t)token->sint, out + 1);
    case KC_TOKEN_DOUBLE:
        len = text_write_decimal(token->real, out);
        return len > 0 ? len
                       : texts->write_double(token->real, out, KC_TEXTS_NUMBER_BYTES);
    default:
        return 0;
    }
}

/* As repr() has them, without quotes. */
static size_t
text_write_bytes(const uint8_t *bytes, size_t len, char *out)
{
    static const char hex[] = "0123456789abcdef";
    char *at = out;
    for (size_t i = 0; i < len; i++) {
        uint8_t byte = bytes[i];
        char named = byte == '\n'   ? 'n'
                     : byte == '\r' ? 'r'
                     : byte == '\t' ? 't'
                     : byte == '\\' ? '\\'
                                    : 0;
        if (named != 0) {
            *at++ = '\\';
            *at++ = named;
        }
        else if (byte >= 0x20 && byte < 0x7f) {
            *at++ = (char)byte;
        }
        else {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = hex[byte >> 4];
            *at++ = hex[byte & 15];
        }
    }
    return (size_t)(at - out);
}

/* What was written behind the other texts is that of `slot`. */
static void
text_end(struct kc_texts *texts, uint32_t slot, size_t written, size_t chars)
{
    texts->text[texts->text_bytes + written] = '\n';
    texts->text_bytes += (uint32_t)written + 1;
    texts->text_chars += (uint32_t)chars + 1;
    texts->text_slots[texts->text_count++] = slot;
    texts->starts[texts->text_count] = texts->text_chars;
}

/* Put the text of a new value behind the others. */
static enum kc_status
text_add(struct kc_texts *texts, const uint8_t *bytes, uint32_t len, uint32_t slot)
{
    struct kc_walk walk = {bytes, bytes + len};
    struct kc_token token;
    if (kc_walk_next(&walk, &token) != KC_OK) {
        return KC_CORRUPT;
    }
    size_t need = 1 + (token.type == KC_TOKEN_STR   ? (size_t)token.count
                       : token.type == KC_TOKEN_BIN ? (size_t)token.count * 4
                                                    : KC_TEXTS_NUMBER_BYTES);
    if (need > TEXT_BYTES - texts->text_bytes) {
        return KC_CORRUPT;
    }
    char *out = texts->text + texts->text_bytes;
    size_t written = 0;
    if (token.type == KC_TOKEN_STR) {
        size_t chars = text_count_chars(token.bytes, token.count);
        if (chars == SIZE_MAX) {
            return KC_CORRUPT;
        }
        memcpy(out, token.bytes, token.count);
        text_end(texts, slot, token.count, chars);
        return KC_OK;
    }
    if (token.type == KC_TOKEN_ARRAY) {
        written = kc_texts_write_tagged(bytes, len, out);
        if (written == 0) {
            texts->raw_slots[texts->raw_count++] = slot;
            return KC_OK;
        }
    }
    else if (token.type == KC_TOKEN_BIN) {
        written = text_write_bytes(token.bytes, token.count, out);
    }
    else {
        written = text_write_token(texts, &token, out);
    }
    text_end(texts, slot, written, written);
    return KC_OK;
}

/* ---- looking up ---- */

static inline uint64_t
text_mix(uint64_t one, uint64_t other)
{
    uint64_t mixed = (one ^ other) * UINT64_C(0x9e3779b97f4a7c15);
    return mixed ^ (mixed >> 32);
}

static inline uint32_t
text_hash(const uint8_t *bytes, uint32_t len)
{
    uint64_t hash = len;
    uint64_t part = 0;
    while (len > 8) {
        memcpy(&part, bytes, 8);
        hash = text_mix(hash, part);
        bytes += 8;
        len -= 8;
    }
    part = 0;
    memcpy(&part, bytes, len);
    hash = text_mix(hash, part);
    return (uint32_t)(hash ^ (hash >> 29));
}

static enum kc_status
text_insert(struct kc_texts *texts, const uint8_t *bytes, uint32_t len, uint32_t slot,
            uint32_t hash)
{
    /* kc_texts_begin() has made room for a whole block. */
    if (texts->keys_used + len > KEYS_BYTES) {
        return KC_CORRUPT;
    }
    enum kc_status status = text_add(texts, bytes, len, slot);
    if (status == KC_OK) {
        texts->slots[slot] =
            (struct kc_texts_slot){hash, texts->keys_used, len, KC_TEXTS_ASKED};
        memcpy(texts->keys + texts->keys_used, bytes, len);
        texts->keys_used += len;
        texts->slots_used++;
    }
    return status;
}

enum kc_status
kc_texts_find(struct kc_texts *texts, const uint8_t *bytes, uint32_t len,
              uint32_t *slot)
{
    if (len == 1) {
        *slot = KC_TEXTS_SLOTS + *bytes;
        if (texts->slots[*slot].verdict != KC_TEXTS_UNKNOWN) {
            return KC_OK;
        }
        return text_insert(texts, bytes, len, *slot, 0);
    }
    uint32_t hash = text_hash(bytes, len);
    uint32_t at = hash & SLOT_MASK;
    for (;; at = (at + 1) & SLOT_MASK) {
        const struct kc_texts_slot *found = &texts->slots[at];
        if (found->verdict == KC_TEXTS_UNKNOWN) {
            break;
        }
        if (found->hash == hash && found->len == len &&
            memcmp(texts->keys + found->key, bytes, len) == 0)
        {
            *slot = at;
            return KC_OK;
        }
    }
    *slot = at;
    return text_insert(texts, bytes, len, at, hash);
}
