/* test_wire.c -- each token takes its shortest form, and hostile bytes are refused. */

#include "plain/wire.h"

#include <stdlib.h>

#include "check.h"

static void
test_uint_takes_the_shortest_form(struct kc_cursor wire)
{
    CHECK_BYTES("\x00", kc_wire_uint(&wire, 0));
    CHECK_BYTES("\x7f", kc_wire_uint(&wire, 0x7f));
    CHECK_BYTES("\xcc\x80", kc_wire_uint(&wire, 0x80));
    CHECK_BYTES("\xcc\xff", kc_wire_uint(&wire, 0xff));
    CHECK_BYTES("\xcd\x01\x00", kc_wire_uint(&wire, 0x100));
    CHECK_BYTES("\xcd\xff\xff", kc_wire_uint(&wire, 0xffff));
    CHECK_BYTES("\xce\x00\x01\x00\x00", kc_wire_uint(&wire, 0x10000));
    CHECK_BYTES("\xcf\x00\x00\x00\x01\x00\x00\x00\x00",
                kc_wire_uint(&wire, UINT64_C(0x100000000)));
    CHECK_BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
                kc_wire_uint(&wire, UINT64_MAX));
}

static void
test_int_takes_the_shortest_form(struct kc_cursor wire)
{
    CHECK_BYTES("\x01", kc_wire_int(&wire, 1));
    CHECK_BYTES("\xff", kc_wire_int(&wire, -1));
    CHECK_BYTES("\xe0", kc_wire_int(&wire, -32));
    CHECK_BYTES("\xd0\xdf", kc_wire_int(&wire, -33));
    CHECK_BYTES("\xd0\x80", kc_wire_int(&wire, -128));
    CHECK_BYTES("\xd1\xff\x7f", kc_wire_int(&wire, -129));
    CHECK_BYTES("\xd2\xff\xff\x7f\xff", kc_wire_int(&wire, -32769));
    CHECK_BYTES("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", kc_wire_int(&wire, INT64_MIN));
}

static void
test_the_other_scalars(struct kc_cursor wire)
{
    CHECK_BYTES("\xc0", kc_wire_nil(&wire));
    CHECK_BYTES("\xc2", kc_wire_bool(&wire, 0));
    CHECK_BYTES("\xc3", kc_wire_bool(&wire, 7));
    CHECK_BYTES("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00", kc_wire_double(&wire, 1.5));
    CHECK_BYTES("\xa2hi", kc_wire_text(&wire, "hi"));
    CHECK_BYTES("\xc0", kc_wire_text(&wire, NULL));
    CHECK_BYTES("\xa0", kc_wire_text(&wire, ""));
    CHECK_BYTES("\xc4\x02\x00\x01", kc_wire_bin(&wire, "\x00\x01", 2));
}

static void
test_containers_and_tags(struct kc_cursor wire)
{
    CHECK_BYTES("\x90", kc_wire_array(&wire, 0));
    CHECK_BYTES("\x9f", kc_wire_array(&wire, 15));
    CHECK_BYTES("\xdc\x00\x10", kc_wire_array(&wire, 16));
    CHECK_BYTES("\xdd\x00\x01\x00\x00", kc_wire_array(&wire, 0x10000));
    CHECK_BYTES("\x8f", kc_wire_map(&wire, 15));
    CHECK_BYTES("\xde\x00\x10", kc_wire_map(&wire, 16));
    CHECK_BYTES("\x93\xd4\x01\x1e", kc_wire_tag(&wire, KC_TAG_MASKED, 2));
}

static void
test_a_full_cursor_stays_full(void)
{
    uint8_t buffer[4];
    struct kc_cursor wire = {buffer, buffer + sizeof buffer, buffer, KC_OK};
    kc_wire_uint(&wire, 1);
    CHECK_EQUAL(KC_OK, wire.status);
    kc_wire_str(&wire, "too long for it", 15);
    CHECK_EQUAL(KC_FULL, wire.status);
    const uint8_t *at = wire.at;
    kc_wire_uint(&wire, 1); /* it would fit, but not in its place */
    CHECK_EQUAL(KC_FULL, wire.status);
    CHECK(wire.at == at);
    wire = (struct kc_cursor){buffer, buffer + sizeof buffer, buffer, KC_OK};
    CHECK(kc_wire_reserve(&wire, SIZE_MAX) == NULL);
    CHECK_EQUAL(KC_FULL, wire.status);
}

static struct kc_token
walk_one(const char *bytes, size_t len, enum kc_status *status)
{
    struct kc_walk walk = {(const uint8_t *)bytes, (const uint8_t *)bytes + len};
    struct kc_token token;
    *status = kc_walk_next(&walk, &token);
    if (*status == KC_OK) {
        CHECK(walk.at <= walk.end);
    }
    return token;
}

#define WALK(bytes) walk_one((bytes), sizeof(bytes) - 1, &status)

static void
test_what_is_written_is_read(void)
{
    enum kc_status status = KC_OK;
    CHECK_EQUAL(KC_TOKEN_NIL, WALK("\xc0").type);
    CHECK_EQUAL(1, WALK("\xc3").uint);
    CHECK_EQUAL(0x7f, WALK("\x7f").uint);
    CHECK_EQUAL(0x8000, WALK("\xcd\x80\x00").uint);
    CHECK_EQUAL(UINT64_MAX, WALK("\xcf\xff\xff\xff\xff\xff\xff\xff\xff").uint);
    CHECK(WALK("\xff").sint == -1);
    CHECK(WALK("\xe0").sint == -32);
    CHECK(WALK("\xd0\x80").sint == -128);
    CHECK(WALK("\xd1\xff\x7f").sint == -129);
    CHECK(WALK("\xd3\x80\x00\x00\x00\x00\x00\x00\x00").sint == INT64_MIN);
    CHECK_EQUAL(KC_TOKEN_UINT, WALK("\xd0\x05").type);
    CHECK_EQUAL(5, WALK("\xd0\x05").uint);
    CHECK(WALK("\xca\x3f\xc0\x00\x00").real > 1.49);
    CHECK(WALK("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00").real < 1.51);
    CHECK_EQUAL(2, WALK("\xa2hi").count);
    CHECK_EQUAL(2, WALK("\xd9\x02hi").count);
    CHECK_EQUAL(KC_TOKEN_BIN, WALK("\xc5\x00\x02hi").type);
    CHECK_EQUAL(3, WALK("\x93").count);
    CHECK_EQUAL(KC_TOKEN_MAP, WALK("\xdf\x00\x00\x00\x03").type);
    CHECK_EQUAL(1, WALK("\xd4\x01\x1e").uint);
    CHECK_EQUAL(0x1e, WALK("\xd4\x01\x1e").bytes[0]);
    CHECK_EQUAL(16, WALK("\xd8\x05xxxxxxxxxxxxxxxx").count);
    CHECK_EQUAL(KC_TOKEN_EXT, WALK("\xc7\x02\x09hi").type);
    CHECK_EQUAL(9, WALK("\xc7\x02\x09hi").uint);
    CHECK_EQUAL(KC_OK, status);
}

static void
test_a_token_cut_short_is_corrupt(void)
{
    static const char *const whole[] = {
        "\xcc\x01",                             /* one byte of number */
        "\xcd\x01\x01",                         /* two */
        "\xce\x01\x01\x01\x01",                 /* four */
        "\xcf\x01\x01\x01\x01\x01\x01\x01\x01", /* eight */
        "\xcb\x01\x01\x01\x01\x01\x01\x01\x01", /* a double */
        "\xa3hey",                              /* text */
        "\xd9\x03hey",                          /* text with a length */
        "\xc4\x03hey",                          /* bytes */
        "\xd5\x01hi",                           /* an extension of fixed length */
        "\xc7\x02\x01hi",                       /* one with a length */
        "\xdc\x01\x01",                         /* an array's head */
        "\xdf\x01\x01\x01\x01",                 /* a map's head */
    };
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        for (size_t len = 0; len < strlen(whole[i]); len++) {
            enum kc_status status = KC_OK;
            (void)walk_one(whole[i], len, &status);
            CHECK_EQUAL(KC_CORRUPT, status);
        }
    }
    enum kc_status status = KC_OK;
    (void)WALK("\xc1");
    CHECK_EQUAL(KC_CORRUPT, status);
    (void)WALK("\xdb\xff\xff\xff\xffx");
    CHECK_EQUAL(KC_CORRUPT, status);
}

static enum kc_status
skip(const uint8_t *bytes, size_t len, size_t *taken)
{
    struct kc_walk walk = {bytes, bytes + len};
    enum kc_status status = kc_walk_skip(&walk);
    *taken = (size_t)(walk.at - bytes);
    return status;
}

static void
test_skip_takes_one_whole_object(void)
{
    size_t taken = 0;
    CHECK_EQUAL(KC_OK,
                skip((const uint8_t *)"\x93\x01\x92\x02\xa1x\x03\x04", 8, &taken));
    CHECK_EQUAL(7, taken);
    CHECK_EQUAL(KC_OK, skip((const uint8_t *)"\x82\x01\x90\xa1y\x80\x05", 7, &taken));
    CHECK_EQUAL(6, taken);
    CHECK_EQUAL(KC_CORRUPT, skip((const uint8_t *)"\x93\x01\x02", 3, &taken));
}

/* A million arrays in each other would end a walk that calls itself. */
static void
test_skip_survives_a_deep_nest(void)
{
    size_t len = 1000000;
    size_t taken = 0;
    uint8_t *bytes = malloc(len);
    CHECK(bytes != NULL);
    if (bytes == NULL) {
        return;
    }
    memset(bytes, 0x91, len);
    CHECK_EQUAL(KC_CORRUPT, skip(bytes, len, &taken));
    bytes[len - 1] = 0x01;
    CHECK_EQUAL(KC_OK, skip(bytes, len, &taken));
    CHECK_EQUAL(len, taken);
    /* Maps that each promise four thousand million pairs. */
    for (size_t i = 0; i + 5 <= len; i += 5) {
        memcpy(bytes + i, "\xdf\xff\xff\xff\xff", 5);
    }
    CHECK_EQUAL(KC_CORRUPT, skip(bytes, len, &taken));
    free(bytes);
}

static void
test_random_bytes_never_lead_outside(void)
{
    uint8_t *bytes = malloc(64); /* on the heap: a step outside is seen */
    unsigned int seed = 1;
    for (int round = 0; round < 100000 && bytes != NULL; round++) {
        for (size_t i = 0; i < 64; i++) {
            seed = seed * 1103515245u + 12345u;
            bytes[i] = (uint8_t)(seed >> 16);
        }
        struct kc_walk walk = {bytes, bytes + 64};
        while (kc_walk_skip(&walk) == KC_OK) {
        }
        check_fact(walk.at <= bytes + 64, __FILE__, __LINE__, "the walk stays inside");
    }
    free(bytes);
}

int
main(void)
{
    uint8_t buffer[64];
    struct kc_cursor wire = {buffer, buffer + sizeof buffer, buffer, KC_OK};
    test_uint_takes_the_shortest_form(wire);
    test_int_takes_the_shortest_form(wire);
    test_the_other_scalars(wire);
    test_containers_and_tags(wire);
    test_a_full_cursor_stays_full();
    test_what_is_written_is_read();
    test_a_token_cut_short_is_corrupt();
    test_skip_takes_one_whole_object();
    test_skip_survives_a_deep_nest();
    test_random_bytes_never_lead_outside();
    return check_result("wire");
}
