/* test_clock.c -- the clock goes on, at the right rate, and ticks when told to. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/clock.h"

#include "check.h"

static void
test_the_clock_never_goes_back_on_a_thread(void)
{
    uint64_t last_ns = kc_clock_ns();
    for (int i = 0; i < 200000; i++) {
        uint64_t now_ns = kc_clock_ns();
        CHECK(now_ns >= last_ns);
        last_ns = now_ns;
    }
}

static void
test_the_clock_is_that_of_the_system(void)
{
    struct timespec pause = {0, 30000000};
    for (int i = 0; i < 3; i++) {
        uint64_t before_ns = kc_clock_system_ns();
        uint64_t now_ns = kc_clock_ns();
        uint64_t after_ns = kc_clock_system_ns();
        /* 30 ms at 500 ppm is 15 us; the rest is for a machine that is busy. */
        CHECK(now_ns + 100000 >= before_ns);
        CHECK(now_ns <= after_ns + 100000);
        (void)nanosleep(&pause, NULL);
    }
}

static void
test_measuring_again_changes_the_rate_by_little(void)
{
    uint64_t rate = kc_clock.ns_per_tick;
    kc_clock_init(0);
    if (kc_clock.source == KC_CLOCK_TSC) {
        uint64_t step = rate > kc_clock.ns_per_tick ? rate - kc_clock.ns_per_tick
                                                    : kc_clock.ns_per_tick - rate;
        CHECK(step < rate / 1000);
    }
}

static void
test_a_ticking_clock_counts_records(void)
{
    uint64_t anchor_ns = 1;
    uint64_t utc_ns = 0;
    kc_clock_set_ticking(1);
    CHECK_EQUAL(0, kc_clock_ns());
    CHECK_EQUAL(1, kc_clock_after(0, kc_clock_ns()));
    CHECK_EQUAL(8, kc_clock_after(7, kc_clock_ns()));
    kc_clock_init(0);
    CHECK_EQUAL(KC_CLOCK_TICKING, kc_clock.source);
    kc_clock_anchor(&anchor_ns, &utc_ns);
    CHECK_EQUAL(0, anchor_ns);
    CHECK(utc_ns > 0);
    kc_clock_set_ticking(0);
    CHECK_EQUAL(7, kc_clock_after(7, 6));
    CHECK_EQUAL(7, kc_clock_after(7, 7));
    CHECK_EQUAL(8, kc_clock_after(7, 8));
    CHECK(kc_clock.source != KC_CLOCK_TICKING);
    CHECK(kc_clock_ns() > 1000000);
}

static void
test_an_anchor_has_both_clocks(void)
{
    uint64_t anchor_ns = 0;
    uint64_t utc_ns = 0;
    uint64_t before_ns = kc_clock_utc_ns();
    kc_clock_anchor(&anchor_ns, &utc_ns);
    CHECK(utc_ns >= before_ns);
    CHECK(anchor_ns <= kc_clock_ns());
    CHECK(anchor_ns + 1000000000 > kc_clock_ns());
}

int
main(void)
{
    CHECK_EQUAL(KC_CLOCK_SYSTEM, kc_clock.source);
    CHECK(kc_clock_ns() > 0);
    kc_clock_init(2000000);
    test_the_clock_never_goes_back_on_a_thread();
    test_the_clock_is_that_of_the_system();
    test_measuring_again_changes_the_rate_by_little();
    test_the_clock_is_that_of_the_system();
    test_a_ticking_clock_counts_records();
    test_an_anchor_has_both_clocks();
    return check_result("clock");
}
