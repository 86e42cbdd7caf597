/* wire.c -- see wire.h. */

#include "plain/wire.h"

#include <stdbool.h>

/* The next `width` bytes as a big-endian number; false where the input ends before. */
static bool
walk_read(struct kc_walk *walk, size_t width, uint64_t *value)
{
    if (width > (size_t)(walk->end - walk->at)) {
        return false;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < width; i++) {
        sum = sum << 8 | walk->at[i];
    }
    walk->at += width;
    *value = sum;
    return true;
}

/* `token->count` bytes follow; they are lent to the token. */
static enum kc_status
walk_lend(struct kc_walk *walk, struct kc_token *token, enum kc_token_type type,
          uint64_t count)
{
    if (count > (size_t)(walk->end - walk->at)) {
        return KC_CORRUPT;
    }
    token->type = type;
    token->count = (uint32_t)count;
    token->bytes = walk->at;
    walk->at += count;
    return KC_OK;
}

/* Bytes, text or an extension whose length stands in `width` bytes. */
static enum kc_status
walk_sized(struct kc_walk *walk, struct kc_token *token, enum kc_token_type type,
           size_t width)
{
    uint64_t count = 0;
    if (!walk_read(walk, width, &count)) {
        return KC_CORRUPT;
    }
    if (type == KC_TOKEN_EXT && !walk_read(walk, 1, &token->uint)) {
        return KC_CORRUPT;
    }
    return walk_lend(walk, token, type, count);
}

static enum kc_status
walk_fixext(struct kc_walk *walk, struct kc_token *token, uint64_t count)
{
    if (!walk_read(walk, 1, &token->uint)) {
        return KC_CORRUPT;
    }
    return walk_lend(walk, token, KC_TOKEN_EXT, count);
}

static enum kc_status
walk_container(struct kc_walk *walk, struct kc_token *token, enum kc_token_type type,
               size_t width)
{
    uint64_t count = 0;
    if (!walk_read(walk, width, &count)) {
        return KC_CORRUPT;
    }
    token->type = type;
    token->count = (uint32_t)count;
    return KC_OK;
}

static enum kc_status
walk_double(struct kc_walk *walk, struct kc_token *token, size_t width)
{
    uint64_t bits = 0;
    if (!walk_read(walk, width, &bits)) {
        return KC_CORRUPT;
    }
    token->type = KC_TOKEN_DOUBLE;
    if (width == 4) {
        uint32_t short_bits = (uint32_t)bits;
        float real = 0;
        memcpy(&real, &short_bits, sizeof real);
        token->real = (double)real;
    }
    else {
        memcpy(&token->real, &bits, sizeof token->real);
    }
    return KC_OK;
}

static enum kc_status
walk_uint(struct kc_walk *walk, struct kc_token *token, size_t width)
{
    token->type = KC_TOKEN_UINT;
    return walk_read(walk, width, &token->uint) ? KC_OK : KC_CORRUPT;
}

static enum kc_status
walk_int(struct kc_walk *walk, struct kc_token *token, size_t width)
{
    uint64_t bits = 0;
    if (!walk_read(walk, width, &bits)) {
        return KC_CORRUPT;
    }
    uint64_t sign = UINT64_C(1) << (width * 8 - 1);
    if ((bits & sign) == 0) {
        token->type = KC_TOKEN_UINT;
        token->uint = bits;
        return KC_OK;
    }
    token->type = KC_TOKEN_INT;
    token->sint = (int64_t)(bits | ~(sign - 1)); /* the sign goes up to bit 63 */
    return KC_OK;
}

/* The forms whose whole first byte is a code: 0xc0 to 0xdf. */
static enum kc_status
walk_coded(struct kc_walk *walk, struct kc_token *token, uint8_t code)
{
    switch (code) {
    case 0xc0:
        token->type = KC_TOKEN_NIL;
        return KC_OK;
    case 0xc2:
    case 0xc3:
        token->type = KC_TOKEN_BOOL;
        token->uint = code & 1u;
        return KC_OK;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        return walk_sized(walk, token, KC_TOKEN_BIN, (size_t)1 << (code - 0xc4));
    case 0xc7:
    case 0xc8:
    case 0xc9:
        return walk_sized(walk, token, KC_TOKEN_EXT, (size_t)1 << (code - 0xc7));
    case 0xca:
    case 0xcb:
        return walk_double(walk, token, (size_t)4 << (code - 0xca));
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        return walk_uint(walk, token, (size_t)1 << (code - 0xcc));
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return walk_int(walk, token, (size_t)1 << (code - 0xd0));
    case 0xd9:
    case 0xda:
    case 0xdb:
        return walk_sized(walk, token, KC_TOKEN_STR, (size_t)1 << (code - 0xd9));
    case 0xdc:
    case 0xdd:
        return walk_container(walk, token, KC_TOKEN_ARRAY, (size_t)2 << (code - 0xdc));
    case 0xde:
    case 0xdf:
        return walk_container(walk, token, KC_TOKEN_MAP, (size_t)2 << (code - 0xde));
    default:
        if (code >= 0xd4 && code <= 0xd8) {
            return walk_fixext(walk, token, UINT64_C(1) << (code - 0xd4));
        }
        return KC_CORRUPT; /* 0xc1 is never used */
    }
}

enum kc_status
kc_walk_next(struct kc_walk *walk, struct kc_token *token)
{
    memset(token, 0, sizeof *token);
    if (walk->at >= walk->end) {
        return KC_CORRUPT;
    }
    uint8_t code = *walk->at++;
    if (code < 0x80) {
        token->type = KC_TOKEN_UINT;
        token->uint = code;
        return KC_OK;
    }
    if (code >= 0xe0) {
        token->type = KC_TOKEN_INT;
        token->sint = (int64_t)code - 0x100;
        return KC_OK;
    }
    if (code >= 0xc0) {
        return walk_coded(walk, token, code);
    }
    if (code >= 0xa0) {
        return walk_lend(walk, token, KC_TOKEN_STR, code & 0x1fu);
    }
    token->type = code >= 0x90 ? KC_TOKEN_ARRAY : KC_TOKEN_MAP;
    token->count = code & 0x0fu;
    return KC_OK;
}

enum kc_status
kc_walk_skip(struct kc_walk *walk)
{
    uint64_t left = 1;
    while (left > 0) {
        struct kc_token token;
        enum kc_status status = kc_walk_next(walk, &token);
        if (status != KC_OK) {
            return status;
        }
        left--;
        if (token.type == KC_TOKEN_ARRAY) {
            left += token.count;
        }
        else if (token.type == KC_TOKEN_MAP) {
            left += (uint64_t)token.count * 2;
        }
        /* Nothing takes less than a byte: what promises more than is there, lies. */
        if (left > (size_t)(walk->end - walk->at)) {
            return KC_CORRUPT;
        }
    }
    return KC_OK;
}
