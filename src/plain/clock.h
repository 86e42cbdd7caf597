/* clock.h -- one monotonic clock in nanoseconds, read from the TSC where that is safe.
 *
 * kc_clock_init() reads the processor's promise of an invariant TSC and measures its
 * rate against CLOCK_MONOTONIC; where there is no such promise (or no x86-64) each read
 * is a clock_gettime(). The values are those of CLOCK_MONOTONIC either way, so that
 * processes of one machine can be compared.
 *
 * For the comparison of cores and hooks the clock may be set to tick: it then stands
 * at 0, and each record is one nanosecond later than the one before it in its stream
 * (kc_clock_after()). The first record of a stream is at 1, whatever other threads do.
 *
 * Threads: kc_clock_init() and kc_clock_set_ticking() before any other; then from any
 *          thread.
 * Owns:    nothing.
 * Fails:   never.
 */

#ifndef KC_CLOCK_H
#define KC_CLOCK_H

#include <stdint.h>
#include <time.h>

#if defined(__x86_64__)
#include <x86intrin.h>

__extension__ typedef unsigned __int128 kc_uint128; /* ISO C has none so wide */
#endif

enum kc_clock_source { KC_CLOCK_SYSTEM = 0, KC_CLOCK_TSC = 1, KC_CLOCK_TICKING = 2 };

struct kc_clock {
    enum kc_clock_source source;
    uint64_t base_tsc;
    uint64_t base_ns;
    uint64_t ns_per_tick; /* fixed point, 32 bits of fraction */
    uint64_t tick_ns;     /* from a record to the next where time stands: 0, or 1 */
};

extern struct kc_clock kc_clock;

/* Measure for about `spin_ns` (1 ms is good for 50 ppm). Called again it measures from
 * the first call on, which is better the later; nobody may read the clock meanwhile. */
void kc_clock_init(uint64_t spin_ns);

/* Count records instead of time. */
void kc_clock_set_ticking(int ticking);

uint64_t kc_clock_system_ns(void); /* CLOCK_MONOTONIC */
uint64_t kc_clock_utc_ns(void);    /* CLOCK_REALTIME */
uint64_t kc_clock_slow_ns(void);   /* not the TSC: system or ticking */

/* This clock and the wall clock read together. */
void kc_clock_anchor(uint64_t *anchor_ns, uint64_t *anchor_utc_ns);

static inline uint64_t
kc_clock_ns(void)
{
#if defined(__x86_64__)
    if (__builtin_expect(kc_clock.source == KC_CLOCK_TSC, 1)) {
        uint64_t elapsed = __rdtsc() - kc_clock.base_tsc;
        kc_uint128 product = (kc_uint128)elapsed * kc_clock.ns_per_tick;
        return kc_clock.base_ns + (uint64_t)(product >> 32);
    }
#endif
    return kc_clock_slow_ns();
}

/* The time of a record that was begun at `now_ns`, behind one of `last_ns`. A clock
 * that steps back (another core's TSC) never makes it earlier than that. */
static inline uint64_t
kc_clock_after(uint64_t last_ns, uint64_t now_ns)
{
    if (__builtin_expect(now_ns > last_ns, 1)) {
        return now_ns;
    }
    return last_ns + kc_clock.tick_ns;
}

#endif
