/* clock.c -- see clock.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/clock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define NS_PER_S 1000000000u

struct kc_clock kc_clock = {.source = KC_CLOCK_SYSTEM};

static uint64_t
clock_read_ns(clockid_t id)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(id, &now); /* cannot fail for these two clocks */
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t
kc_clock_system_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t
kc_clock_utc_ns(void)
{
    return clock_read_ns(CLOCK_REALTIME);
}

uint64_t
kc_clock_slow_ns(void)
{
    return kc_clock.source == KC_CLOCK_TICKING ? 0 : kc_clock_system_ns();
}

void
kc_clock_anchor(uint64_t *anchor_ns, uint64_t *anchor_utc_ns)
{
    *anchor_ns = kc_clock_ns();
    *anchor_utc_ns = kc_clock_utc_ns();
}

#if defined(__x86_64__)

/* One moment on both clocks. */
struct clock_pair {
    uint64_t tsc;
    uint64_t ns;
};

static struct clock_pair clock_first; /* of the first calibration; ns 0: none yet */

/* Of several tries the one that took least: nothing came between its two reads. */
static struct clock_pair
clock_read_pair(void)
{
    struct clock_pair best = {0, 0};
    uint64_t best_width = UINT64_MAX;
    for (int i = 0; i < 16; i++) {
        uint64_t before = __rdtsc();
        uint64_t ns = kc_clock_system_ns();
        uint64_t after = __rdtsc();
        if (after - before < best_width) {
            best_width = after - before;
            best.tsc = before + best_width / 2;
            best.ns = ns;
        }
    }
    return best;
}

/* The kernel strikes the TSC off this list when it finds that cores disagree. */
static bool
clock_kernel_trusts_tsc(void)
{
    char text[256];
    int fd = open("/sys/devices/system/clocksource/clocksource0/available_clocksource",
                  O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return true; /* no Linux, or no /sys: the processor's word is all there is */
    }
    ssize_t len = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (len <= 0) {
        return true;
    }
    text[len] = '\0';
    return strstr(text, "tsc") != NULL;
}

static bool
clock_has_invariant_tsc(void)
{
    unsigned int a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(0x80000007u, &a, &b, &c, &d) || (d & (1u << 8)) == 0) {
        return false;
    }
    return clock_kernel_trusts_tsc();
}

void
kc_clock_init(uint64_t spin_ns)
{
    if (kc_clock.source == KC_CLOCK_TICKING) {
        return;
    }
    if (!clock_has_invariant_tsc()) {
        kc_clock.source = KC_CLOCK_SYSTEM;
        return;
    }
    if (clock_first.ns == 0) {
        clock_first = clock_read_pair();
    }
    struct clock_pair last = clock_read_pair();
    while (last.ns - clock_first.ns < spin_ns) {
        last = clock_read_pair();
    }
    uint64_t ticks = last.tsc - clock_first.tsc;
    uint64_t ns = last.ns - clock_first.ns;
    if (ns == 0 || ticks == 0 || ticks / ns > 100 || ns / ticks > 100) {
        kc_clock.source = KC_CLOCK_SYSTEM; /* no processor ticks like that */
        return;
    }
    kc_clock.ns_per_tick = (uint64_t)(((kc_uint128)ns << 32) / ticks);
    kc_clock.base_tsc = last.tsc;
    kc_clock.base_ns = last.ns;
    kc_clock.source = KC_CLOCK_TSC;
}

#else

void
kc_clock_init(uint64_t spin_ns)
{
    (void)spin_ns;
    if (kc_clock.source != KC_CLOCK_TICKING) {
        kc_clock.source = KC_CLOCK_SYSTEM;
    }
}

#endif

void
kc_clock_set_ticking(int ticking)
{
    kc_clock.tick_ns = ticking ? 1 : 0;
    if (ticking) {
        kc_clock.source = KC_CLOCK_TICKING;
    }
    else {
        kc_clock.source = kc_clock.ns_per_tick != 0 ? KC_CLOCK_TSC : KC_CLOCK_SYSTEM;
    }
}
