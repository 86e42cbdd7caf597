/* check.h -- what the tests in C are made of: a fact that does not hold is printed.
 *
 * A test program calls its tests and returns check_result().
 *
 * Threads: any, but a test counts on the last CHECK being its own.
 * Owns:    nothing.
 * Fails:   check_result() is 1 when a fact did not hold.
 */

#ifndef CHECK_H
#define CHECK_H

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

extern atomic_int check_failed_count; /* check.c: of all files of a program */
extern atomic_int check_count;

#define CHECK(fact) check_fact((fact) ? 1 : 0, __FILE__, __LINE__, #fact)

#define CHECK_EQUAL(expected, got)                                                     \
    check_equal((unsigned long long)(expected), (unsigned long long)(got), __FILE__,   \
                __LINE__, #got)

/* `run` writes to the cursor named `wire`; it must have written just `bytes`. */
#define CHECK_BYTES(bytes, run)                                                        \
    do {                                                                               \
        wire.at = wire.start;                                                          \
        wire.status = KC_OK;                                                           \
        run;                                                                           \
        check_bytes((bytes), sizeof(bytes) - 1, wire.start,                            \
                    (size_t)(wire.at - wire.start), __FILE__, __LINE__, #run);         \
    } while (0)

static inline void
check_fact(int holds, const char *file, int line, const char *fact)
{
    atomic_fetch_add(&check_count, 1);
    if (!holds) {
        atomic_fetch_add(&check_failed_count, 1);
        (void)fprintf(stderr, "%s:%d: not so: %s\n", file, line, fact);
    }
}

static inline void
check_equal(unsigned long long expected, unsigned long long got, const char *file,
            int line, const char *what)
{
    atomic_fetch_add(&check_count, 1);
    if (expected != got) {
        atomic_fetch_add(&check_failed_count, 1);
        (void)fprintf(stderr, "%s:%d: %s is %llu, not %llu\n", file, line, what, got,
                      expected);
    }
}

static inline void
check_bytes(const void *expected, size_t expected_len, const void *got, size_t got_len,
            const char *file, int line, const char *what)
{
    int same = expected_len == got_len && memcmp(expected, got, got_len) == 0;
    check_fact(same, file, line, what);
    if (!same) {
        for (size_t i = 0; i < got_len && i < 32; i++) {
            (void)fprintf(stderr, " %02x", ((const unsigned char *)got)[i]);
        }
        (void)fprintf(stderr, " (%zu bytes)\n", got_len);
    }
}

static inline int
check_result(const char *name)
{
    (void)printf("%-14s %d facts, %d not so\n", name, atomic_load(&check_count),
                 atomic_load(&check_failed_count));
    return atomic_load(&check_failed_count) != 0;
}

#endif
