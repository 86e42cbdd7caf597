/* fuzz_main.c -- see fuzz.h.
 *
 * fuzz_NAME               changes each seed at random, FUZZ_ROUNDS times
 * fuzz_NAME --seeds DIR   writes the seeds there, for libFuzzer to begin with
 * fuzz_NAME FILE...       tries these inputs
 */

#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static uint8_t seed[FUZZ_MAX_BYTES];
static uint64_t random_state = UINT64_C(0x20261121);

static uint64_t
below(uint64_t limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return limit == 0 ? 0 : random_state % limit;
}

/* A byte that msgpack, a length or a counter may stumble over. */
static uint8_t
odd_byte(void)
{
    static const uint8_t bytes[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                    0xc0, 0xc1, 0xc6, 0xc9, 0xcf, 0xd4, 0xdb,
                                    0xdc, 0xdd, 0xde, 0xdf, 0xff};
    return below(2) == 0 ? (uint8_t)below(256) : bytes[below(sizeof bytes)];
}

static size_t
change(uint8_t *data, size_t len)
{
    for (uint64_t i = 1 + below(below(4) == 0 ? 32 : 3); i > 0 && len > 0; i--) {
        size_t at = (size_t)below(len);
        size_t count = 1 + (size_t)below(len - at < 16 ? len - at : 16);
        switch (below(5)) {
        case 0:
            data[at] ^= (uint8_t)(1u << below(8));
            break;
        case 1:
            memset(data + at, odd_byte(), count);
            break;
        case 2: /* one part takes the place of another */
            memmove(data + at, data + below(len - count + 1), count);
            break;
        case 3: /* what follows moves up */
            memmove(data + at, data + at + count, len - at - count);
            len -= count;
            break;
        default:
            data[at] = odd_byte();
            break;
        }
    }
    return below(8) == 0 ? (size_t)below(len + 1) : len;
}

/* In memory of just this size, so that a byte too far is seen. */
static void
try_input(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    if (copy != NULL) {
        memcpy(copy, data, len);
        (void)LLVMFuzzerTestOneInput(copy, len);
    }
    free(copy);
}

static void
change_seeds(unsigned long rounds)
{
    static uint8_t changed[FUZZ_MAX_BYTES];
    size_t len;
    for (unsigned number = 0; (len = fuzz_seed(number, seed, sizeof seed)) > 0;
         number++) {
        try_input(seed, len);
        for (unsigned long i = 0; i < rounds; i++) {
            memcpy(changed, seed, len);
            try_input(changed, change(changed, len));
        }
    }
}

static void
write_seeds(const char *folder)
{
    char path[512];
    size_t len;
    for (unsigned number = 0; (len = fuzz_seed(number, seed, sizeof seed)) > 0;
         number++) {
        (void)snprintf(path, sizeof path, "%s/seed-%u", folder, number);
        FILE *file = fopen(path, "wb");
        CHECK(file != NULL && fwrite(seed, 1, len, file) == len);
        CHECK(file == NULL || fclose(file) == 0);
    }
}

static void
try_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    if (file != NULL) {
        try_input(seed, fread(seed, 1, sizeof seed, file));
        (void)fclose(file);
    }
}

int
main(int count, char **words)
{
    if (count == 3 && strcmp(words[1], "--seeds") == 0) {
        write_seeds(words[2]);
    }
    else if (count > 1) {
        for (int i = 1; i < count; i++) {
            try_file(words[i]);
        }
    }
    else {
        const char *rounds = getenv("FUZZ_ROUNDS");
        change_seeds(rounds == NULL ? fuzz_rounds : strtoul(rounds, NULL, 10));
    }
    return check_result(fuzz_name);
}
