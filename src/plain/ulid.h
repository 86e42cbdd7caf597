/* ulid.h -- identifiers: ULIDs (https://github.com/ulid/spec), text that sorts by time.
 *
 * Twin of kolo_c/identifiers.py, which says more.
 *
 * Threads: one at a time.
 * Owns:    the last identifier, and random bytes for some more.
 * Fails:   kc_ulid_next() with false: the system gives no random bytes.
 */

#ifndef KC_ULID_H
#define KC_ULID_H

#include <stdbool.h>
#include <stdint.h>

#include "plain/status.h"

#define KC_ULID_CHARACTERS 26

/* A new one, greater than every one before and than all of the millisecond `after_ms`,
 * into `text`, which is not terminated. */
KC_MUST_CHECK bool kc_ulid_next(uint64_t after_ms, char text[KC_ULID_CHARACTERS]);

#endif
