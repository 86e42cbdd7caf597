/* mask_signs.h -- a first look at a text: most have no sign of a secret in them.
 *
 * Threads: any. Owns: nothing. Fails: never.
 */

#ifndef KC_MASK_SIGNS_H
#define KC_MASK_SIGNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Sixteen bytes, compared at once: a vector of GCC's and Clang's. */
typedef uint8_t mask_bytes __attribute__((vector_size(16)));

static inline mask_bytes
mask_signs_in(mask_bytes bytes)
{
    return (mask_bytes)((bytes == '=') | (bytes == ':') | (bytes == '-') |
                        (bytes == '@') | (bytes == 'B'));
}

static inline mask_bytes
mask_load(const char *bytes)
{
    mask_bytes loaded;
    memcpy(&loaded, bytes, sizeof loaded);
    return loaded;
}

/* The first and the last eight bytes, or four, of fewer than sixteen: they overlap. */
static inline mask_bytes
mask_load_short(const char *bytes, size_t len)
{
    mask_bytes loaded;
    uint64_t halves[2];
    if (len >= sizeof halves[0]) {
        memcpy(&halves[0], bytes, sizeof halves[0]);
        memcpy(&halves[1], bytes + len - sizeof halves[1], sizeof halves[1]);
    }
    else {
        uint32_t quarters[2];
        memcpy(&quarters[0], bytes, sizeof quarters[0]);
        memcpy(&quarters[1], bytes + len - sizeof quarters[1], sizeof quarters[1]);
        memcpy(&halves[0], quarters, sizeof quarters);
        halves[1] = halves[0];
    }
    memcpy(&loaded, halves, sizeof loaded);
    return loaded;
}

/* False where neither kc_mask_find_pair() can find anything in these bytes, nor
 * kc_mask_find() what kc_mask_find_run() does not. */
static inline bool
kc_mask_has_signs(const char *bytes, size_t len)
{
    mask_bytes found;
    uint64_t halves[2];
    if (len < sizeof(uint32_t)) {
        return true; /* too few to be worth it */
    }
    if (len < sizeof found) {
        found = mask_signs_in(mask_load_short(bytes, len));
    }
    else {
        found = mask_signs_in(mask_load(bytes + len - sizeof found));
        for (size_t at = 0; at < len - sizeof found; at += sizeof found) {
            found |= mask_signs_in(mask_load(bytes + at));
        }
    }
    memcpy(halves, &found, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

#endif
