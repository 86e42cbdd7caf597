/* wait.h -- condition variables that wait until a time of CLOCK_MONOTONIC.
 *
 * The wall clock may be set while somebody waits; macOS has no
 * pthread_condattr_setclock and waits for a span instead.
 *
 * Threads: as pthread's.
 * Owns:    nothing.
 * Fails:   kc_wait_init() with false.
 */

#ifndef KC_WAIT_H
#define KC_WAIT_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "plain/clock.h"

static inline bool
kc_wait_init(pthread_cond_t *cond)
{
#if defined(__APPLE__)
    return pthread_cond_init(cond, NULL) == 0;
#else
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0) {
        return false;
    }
    bool done = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(cond, &attributes) == 0;
    (void)pthread_condattr_destroy(&attributes);
    return done;
#endif
}

/* Wait for a signal; false when `deadline_ns` has come instead. May wake for no reason.
 */
static inline bool
kc_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t deadline_ns)
{
    uint64_t ns = deadline_ns;
#if defined(__APPLE__)
    uint64_t now_ns = kc_clock_system_ns();
    ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
#endif
    struct timespec until = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
#if defined(__APPLE__)
    return pthread_cond_timedwait_relative_np(cond, lock, &until) != ETIMEDOUT;
#else
    return pthread_cond_timedwait(cond, lock, &until) != ETIMEDOUT;
#endif
}

#endif
