/* fuzz.h -- readers of src/plain and bytes of somebody who means harm.
 *
 * A file fuzz_*.c has a target, the reader that is tried, and seeds, inputs that are
 * sound. `make fuzz` builds it with clang's libFuzzer, which learns what leads further
 * into the reader; everywhere else fuzz_main.c changes the seeds at random, the same
 * way each time. A target checks nothing but what it says with CHECK: the sanitizers
 * do.
 *
 * Threads: one.
 * Owns:    nothing.
 * Fails:   by a crash, or by a CHECK that does not hold.
 */

#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_MAX_BYTES 131072u

extern const char *const fuzz_name;
extern const unsigned fuzz_rounds; /* of fuzz_main.c, where FUZZ_ROUNDS says nothing */

/* The target. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Write seed `number` to `data`; its length, 0 where there are no more. */
size_t fuzz_seed(unsigned number, uint8_t *data, size_t room);

/* Stop at once: a fact does not hold. */
#define FUZZ_CHECK(fact)                                                               \
    do {                                                                               \
        CHECK(fact);                                                                   \
        if (atomic_load(&check_failed_count) != 0) {                                   \
            abort();                                                                   \
        }                                                                              \
    } while (0)

#endif
