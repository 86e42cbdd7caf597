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

/* Up to sixteen bytes; no sign is in those that are not there. */
static inline mask_bytes
mask_load(const char *bytes, size_t len)
{
    mask_bytes loaded = {0};
    memcpy(&loaded, bytes, len);
    return loaded;
}

/* False where neither kc_mask_find_pair() can find anything in these bytes, nor
 * kc_mask_find() what kc_mask_find_run() does not. */
static inline bool
kc_mask_has_signs(const char *bytes, size_t len)
{
    const size_t most = sizeof(mask_bytes);
    size_t at = 0;
    mask_bytes found = {0};
    uint64_t halves[2];
    for (; len - at >= most; at += most) {
        found |= mask_signs_in(mask_load(bytes + at, most));
    }
    found |= mask_signs_in(mask_load(bytes + at, len - at));
    memcpy(halves, &found, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

#endif
