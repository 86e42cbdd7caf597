/* recover.h -- copy what a dead process left in its mapping into its segment.
 *
 * Safe to be killed at any point and run again, and to run twice at once: the mapping's
 * lock lets one in. The mapping is removed only after the commit.
 *
 * Threads: any, one call at a time per mapping. Without the GIL.
 * Owns:    what it opens, until it returns.
 * Fails:   KC_BUSY (owner lives, or another recovery), KC_CORRUPT, KC_STORE, KC_IO; the
 *          reason is in `error`.
 */

#ifndef KC_RECOVER_H
#define KC_RECOVER_H

#include "plain/status.h"

#include <stddef.h>
#include <stdint.h>

struct kc_recovered {
    uint32_t blocks; /* copied into the segment */
    uint32_t records;
    uint32_t definitions; /* pieces */
    uint32_t damaged;     /* blocks that were not decodable to their committed end */
    uint64_t lost_records;
    char error[256];
};

/* Recover `map_path` (<directory>/<process id>.map). `schema` as for kc_store_open(): a
 * segment that was never created is created. */
KC_MUST_CHECK enum kc_status kc_recover(const char *map_path, const char *schema,
                                        int schema_version, int compress,
                                        struct kc_recovered *recovered);

#endif
