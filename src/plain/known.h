/* known.h -- the newest secrets, to be found again inside longer texts.
 *
 * Kept as keyed hashes: of a secret's first bytes, of all of it, and of its first pairs
 * of bytes, by which a text is searched in leaps (Wu and Manber's search for many words
 * at once): most texts are left after a look at every fifth byte.
 *
 * A secret that could be an ordinary word (`github`) is none here: kc_known_tells().
 * What is found stands between characters that are no letters or digits.
 *
 * Threads: GIL or lock of its owner.
 * Owns:    nothing.
 * Fails:   never.
 */

#ifndef KC_KNOWN_H
#define KC_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plain/mask.h"

#define KC_KNOWN_LEAST 6u
#define KC_KNOWN_MAX 64u /* secrets: of more the oldest is forgotten */
#define KC_KNOWN_SHIFTS 4096u

struct kc_known_secret {
    uint64_t head; /* hash of its first KC_KNOWN_LEAST bytes */
    uint64_t hash;
    size_t len;
    uint16_t pairs[KC_KNOWN_LEAST - 1];
};

struct kc_known {
    uint64_t key;
    size_t count;
    size_t oldest;
    struct kc_known_secret secrets[KC_KNOWN_MAX];
    uint8_t leaps[KC_KNOWN_SHIFTS]; /* by a pair's hash: how far to go on */
};

void kc_known_init(struct kc_known *known, uint64_t key);

/* Whether a text is a secret for certain, no word that other texts may have: it has a
 * digit or mixed case, or is long. */
bool kc_known_tells(const char *text, size_t len);

/* Remember `secret`, if it tells. */
void kc_known_add(struct kc_known *known, const char *secret, size_t len);

/* The first secret at or after `from`. Where the text goes on (`more`), one that may
 * go on too is taken for found. */
bool kc_known_find(const struct kc_known *known, const char *text, size_t len,
                   size_t from, bool more, struct kc_mask_span *span);

#endif
