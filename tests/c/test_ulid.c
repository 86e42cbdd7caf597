/* test_ulid.c -- identifiers sort as they are made, and no two are alike. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/ulid.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "plain/clock.h"

#define MANY 100000
#define TIME_CHARACTERS 10
#define FAR_MS (UINT64_C(1) << 47)

static void
next(uint64_t after_ms, char *text)
{
    CHECK(kc_ulid_next(after_ms, text));
    text[KC_ULID_CHARACTERS] = '\0';
}

static uint64_t
time_of(const char *text)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    uint64_t ms = 0;
    for (int i = 0; i < TIME_CHARACTERS; i++) {
        const char *found = strchr(alphabet, text[i]);
        CHECK(found != NULL);
        ms = ms << 5 | (uint64_t)(found - alphabet);
    }
    return ms;
}

static void
test_each_is_greater_than_the_one_before(void)
{
    char last[KC_ULID_CHARACTERS + 1] = "";
    char text[KC_ULID_CHARACTERS + 1];
    for (int i = 0; i < MANY; i++) {
        next(0, text);
        CHECK(strcmp(last, text) < 0);
        memcpy(last, text, sizeof last);
    }
}

static void
test_one_begins_with_the_time(void)
{
    char text[KC_ULID_CHARACTERS + 1];
    uint64_t before_ms = kc_clock_utc_ns() / 1000000;
    next(0, text);
    CHECK(time_of(text) >= before_ms);
    CHECK(time_of(text) <= kc_clock_utc_ns() / 1000000);
}

static void
test_a_forked_child_goes_on_otherwise(void)
{
    char parents[KC_ULID_CHARACTERS + 1];
    char childs[KC_ULID_CHARACTERS + 1] = "";
    int ends[2];
    next(0, parents); /* there are random bytes for more */
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        next(0, childs);
        _exit(write(ends[1], childs, sizeof childs) != sizeof childs);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(read(ends[0], childs, sizeof childs) == sizeof childs);
    next(0, parents);
    /* Within the same millisecond the last one would be counted on. */
    CHECK(strcmp(parents + TIME_CHARACTERS, childs + TIME_CHARACTERS) != 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* The last test: what follows is in the year 6429. */
static void
test_it_is_later_than_the_one_that_is_given(void)
{
    char text[KC_ULID_CHARACTERS + 1];
    next(FAR_MS, text);
    CHECK_EQUAL(FAR_MS + 1, time_of(text));
    next(0, text);
    CHECK_EQUAL(FAR_MS + 1, time_of(text));
}

int
main(void)
{
    test_each_is_greater_than_the_one_before();
    test_one_begins_with_the_time();
    test_a_forked_child_goes_on_otherwise();
    test_it_is_later_than_the_one_that_is_given();
    return check_result("ulid");
}
