/* known.c -- see known.h. */

#include "plain/known.h"

#include <string.h>

#define TELLS_LEAST 16u /* longer ones are no words */
#define LEAP_MAX (KC_KNOWN_LEAST - 1)
#define PRIME UINT64_C(0x9e3779b97f4a7c15)

void
kc_known_init(struct kc_known *known, uint64_t key)
{
    known->key = key;
    known->count = 0;
    known->oldest = 0;
    memset(known->leaps, LEAP_MAX, sizeof known->leaps);
}

static bool
known_is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (unsigned char)c >= 0x80;
}

bool
kc_known_tells(const char *text, size_t len)
{
    bool lower = false;
    if (len < KC_KNOWN_LEAST) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if ((c >= '0' && c <= '9') || (lower && c >= 'A' && c <= 'Z')) {
            return true;
        }
        lower = lower || (c >= 'a' && c <= 'z');
    }
    return len >= TELLS_LEAST;
}

static uint64_t
known_hash(const struct kc_known *known, const char *text, size_t len)
{
    uint64_t hash = known->key ^ len;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (uint8_t)text[i]) * PRIME;
        hash ^= hash >> 29;
    }
    return hash ^ known->key;
}

static uint16_t
known_pair(const struct kc_known *known, const char *text)
{
    unsigned pair = (unsigned)(uint8_t)text[0] << 5 ^ (uint8_t)text[1];
    return (uint16_t)((pair ^ known->key) & (KC_KNOWN_SHIFTS - 1));
}

static void
known_set_leaps(struct kc_known *known, const struct kc_known_secret *secret)
{
    for (size_t i = 0; i < LEAP_MAX; i++) {
        uint8_t *leap = &known->leaps[secret->pairs[i]];
        uint8_t least = (uint8_t)(LEAP_MAX - 1 - i);
        *leap = *leap < least ? *leap : least;
    }
}

/* The place of a new secret: that of the oldest, where there are too many. */
static struct kc_known_secret *
known_place(struct kc_known *known)
{
    if (known->count < KC_KNOWN_MAX) {
        return &known->secrets[known->count++];
    }
    struct kc_known_secret *place = &known->secrets[known->oldest];
    known->oldest = (known->oldest + 1) % KC_KNOWN_MAX;
    memset(known->leaps, LEAP_MAX, sizeof known->leaps);
    for (size_t i = 0; i < KC_KNOWN_MAX; i++) {
        if (&known->secrets[i] != place) {
            known_set_leaps(known, &known->secrets[i]);
        }
    }
    return place;
}

void
kc_known_add(struct kc_known *known, const char *secret, size_t len)
{
    if (!kc_known_tells(secret, len)) {
        return;
    }
    uint64_t hash = known_hash(known, secret, len);
    for (size_t i = 0; i < known->count; i++) {
        if (known->secrets[i].hash == hash && known->secrets[i].len == len) {
            return;
        }
    }
    struct kc_known_secret *place = known_place(known);
    place->head = known_hash(known, secret, KC_KNOWN_LEAST);
    place->hash = hash;
    place->len = len;
    for (size_t i = 0; i < LEAP_MAX; i++) {
        place->pairs[i] = known_pair(known, secret + i);
    }
    known_set_leaps(known, place);
}

/* Whether a word goes on from text[at - 1] to text[at]. */
static bool
known_within(const char *text, size_t len, size_t at)
{
    return at > 0 && at < len && known_is_alnum(text[at - 1]) &&
           known_is_alnum(text[at]);
}

/* The longest secret that begins at `start`. */
static bool
known_at(const struct kc_known *known, const char *text, size_t len, size_t start,
         bool more, struct kc_mask_span *span)
{
    bool found = false;
    if (known_within(text, len, start)) {
        return false;
    }
    uint64_t head = known_hash(known, text + start, KC_KNOWN_LEAST);
    for (size_t i = 0; i < known->count; i++) {
        const struct kc_known_secret *secret = &known->secrets[i];
        if (secret->head != head || (found && secret->len <= span->end - start)) {
            continue;
        }
        size_t left = len - start;
        if (secret->len > left
                ? more
                : !known_within(text, len, start + secret->len) &&
                      known_hash(known, text + start, secret->len) == secret->hash)
        {
            span->start = start;
            span->end = secret->len > left ? len : start + secret->len;
            span->shape = "known";
            found = true;
        }
    }
    return found;
}

bool
kc_known_find(const struct kc_known *known, const char *text, size_t len, size_t from,
              bool more, struct kc_mask_span *span)
{
    if (known->count == 0 || len < KC_KNOWN_LEAST) {
        return false;
    }
    /* `at` is where the last pair of a secret's head would begin. */
    for (size_t at = from + LEAP_MAX - 1; at + 2 <= len;) {
        uint8_t leap = known->leaps[known_pair(known, text + at)];
        if (leap == 0) {
            if (known_at(known, text, len, at + 1 - LEAP_MAX, more, span)) {
                return true;
            }
            leap = 1;
        }
        at += leap;
    }
    return false;
}
