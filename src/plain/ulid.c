/* ulid.c -- see ulid.h. */

#include "plain/ulid.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "plain/clock.h"

#define ULID_RANDOM_BYTES 10
#define ULID_TIME_BYTES 6
#define ULID_BYTES (ULID_TIME_BYTES + ULID_RANDOM_BYTES)
#define ULID_AT_ONCE 25 /* getentropy() gives 256 bytes at most */
#define NS_PER_MS UINT64_C(1000000)

static struct {
    uint64_t last_ms;
    uint8_t last[ULID_RANDOM_BYTES]; /* big endian */
    uint8_t random[ULID_AT_ONCE][ULID_RANDOM_BYTES];
    uint32_t left; /* of `random` */
    pid_t pid;     /* of the process that asked for them */
} ulid;

static bool
ulid_draw(uint8_t random[ULID_RANDOM_BYTES])
{
    if (ulid.left == 0) {
        if (getentropy(ulid.random, sizeof ulid.random) != 0) {
            return false;
        }
        ulid.left = ULID_AT_ONCE;
    }
    memcpy(random, ulid.random[--ulid.left], ULID_RANDOM_BYTES);
    return true;
}

/* The last one plus one. */
static void
ulid_count(void)
{
    for (int i = ULID_RANDOM_BYTES; i-- > 0;) {
        if (++ulid.last[i] != 0) {
            return;
        }
    }
    ulid.last_ms++;
}

/* The 128 bits in base 32, five at a time from their end. */
static void
ulid_write(const uint8_t bytes[ULID_BYTES], char text[KC_ULID_CHARACTERS])
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    unsigned bits = 0; /* those not written yet */
    unsigned bit_count = 0;
    int at = KC_ULID_CHARACTERS;
    for (int i = ULID_BYTES; i-- > 0;) {
        bits |= (unsigned)bytes[i] << bit_count;
        for (bit_count += 8; bit_count >= 5; bit_count -= 5) {
            text[--at] = alphabet[bits & 31];
            bits >>= 5;
        }
    }
    text[--at] = alphabet[bits & 31];
}

bool
kc_ulid_next(uint64_t after_ms, char text[KC_ULID_CHARACTERS])
{
    uint8_t bytes[ULID_BYTES];
    uint64_t now_ms = kc_clock_utc_ns() / NS_PER_MS;
    pid_t pid = getpid();
    if (pid != ulid.pid) { /* a forked child must not go on as its parent does */
        ulid.left = 0;
        after_ms = ulid.last_ms > after_ms ? ulid.last_ms : after_ms;
    }
    if (now_ms <= after_ms) {
        now_ms = after_ms + 1;
    }
    if (now_ms > ulid.last_ms) {
        if (!ulid_draw(ulid.last)) {
            return false;
        }
        ulid.last_ms = now_ms;
        ulid.pid = pid;
    }
    else {
        ulid_count();
    }
    for (int i = 0; i < ULID_TIME_BYTES; i++) {
        bytes[i] = (uint8_t)(ulid.last_ms >> (8 * (ULID_TIME_BYTES - 1 - i)));
    }
    memcpy(bytes + ULID_TIME_BYTES, ulid.last, ULID_RANDOM_BYTES);
    ulid_write(bytes, text);
    return true;
}
