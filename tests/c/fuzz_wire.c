/* fuzz_wire.c -- a walk over tokens: it stays inside, and always comes to an end. */

#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "plain/wire.h"

const char *const fuzz_name = "fuzz wire";
const unsigned fuzz_rounds = 50000;

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct kc_walk walk = {data, data + len};
    struct kc_token token;
    while (walk.at < walk.end) {
        const uint8_t *start = walk.at;
        struct kc_walk skip = walk;
        enum kc_status skipped = kc_walk_skip(&skip);
        FUZZ_CHECK(skipped != KC_OK || (skip.at > start && skip.at <= walk.end));
        if (kc_walk_next(&walk, &token) != KC_OK) {
            FUZZ_CHECK(skipped != KC_OK);
            break;
        }
        FUZZ_CHECK(walk.at > start && walk.at <= walk.end);
        bool lends = token.type == KC_TOKEN_STR || token.type == KC_TOKEN_BIN ||
                     token.type == KC_TOKEN_EXT;
        FUZZ_CHECK(!lends || (token.bytes >= start && token.count <= len &&
                              token.bytes + token.count <= walk.end));
    }
    return 0;
}

size_t
fuzz_seed(unsigned number, uint8_t *data, size_t room)
{
    static const char one[] =
        "\x00\x7f\xe0\xff\xc0\xc2\xc3\xcc\xff\xcd\xff\xff\xce\xff\xff\xff\xff\xcf\x01"
        "\x02\x03\x04\x05\x06\x07\x08\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00\xd3\x80"
        "\x00\x00\x00\x00\x00\x00\x00\xca\x3f\x80\x00\x00\xcb\x3f\xf0\x00\x00\x00\x00"
        "\x00\x00\xa3"
        "abc\xd9\x03"
        "abc\xda\x00\x03"
        "abc\xdb\x00\x00\x00\x03"
        "abc\xc4\x02"
        "ab\xc5\x00\x02"
        "ab\xc6\x00\x00\x00\x02"
        "ab\xd4\x01\x01\xd5\x01"
        "ab\xc7\x03\x01"
        "abc\x92\x01\x02\x81\x01\x02\xdc\x00\x01\x93\x01\x91\x02\xde\x00\x01\x01\x90";
    if (number > 0 || sizeof one - 1 > room) {
        return 0;
    }
    memcpy(data, one, sizeof one - 1);
    return sizeof one - 1;
}
