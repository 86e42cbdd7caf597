/* scan_tagged.c -- the texts of dates, times and UUIDs, which are many and seldom the
 * same. See scan_text.h.
 *
 * What cannot be one is left to Python, which says the same of it as of any damage.
 */

#include "plain/scan_text.h"

#include <string.h>

#include "plain/wire.h"

#define FIELDS_MAX 9
#define DAY_SECONDS 86400

/* The elements of a tagged array. */
struct tagged {
    uint8_t tag;
    size_t count;
    int64_t fields[FIELDS_MAX];
    bool nil_last; /* the last one is nil */
    const uint8_t *bytes;
    size_t byte_count; /* of its only element, if that is bytes */
};

/* Take the array apart; false where it has another kind of element. */
static bool
tagged_read(const uint8_t *at, size_t len, struct tagged *value)
{
    struct kc_walk walk = {at, at + len};
    struct kc_token token;
    if (kc_walk_next(&walk, &token) != KC_OK || token.type != KC_TOKEN_ARRAY ||
        token.count < 1 || token.count > FIELDS_MAX + 1)
    {
        return false;
    }
    *value = (struct tagged){.count = token.count - 1};
    if (kc_walk_next(&walk, &token) != KC_OK || token.type != KC_TOKEN_EXT ||
        token.count != 1)
    {
        return false;
    }
    value->tag = token.bytes[0];
    for (size_t i = 0; i < value->count; i++) {
        if (kc_walk_next(&walk, &token) != KC_OK || value->nil_last) {
            return false;
        }
        value->nil_last = token.type == KC_TOKEN_NIL;
        if (token.type == KC_TOKEN_BIN && value->count == 1) {
            value->bytes = token.bytes;
            value->byte_count = token.count;
        }
        else if (token.type == KC_TOKEN_UINT && token.uint <= INT32_MAX) {
            value->fields[i] = (int64_t)token.uint;
        }
        else if (token.type == KC_TOKEN_INT) {
            value->fields[i] = token.sint;
        }
        else if (!value->nil_last) {
            return false;
        }
    }
    return true;
}

/* `value` in `digits` digits, with `before` before it. */
static char *
tagged_put(char *at, char before, int64_t value, int digits)
{
    if (before != '\0') {
        *at++ = before;
    }
    for (int i = digits; i-- > 0; value /= 10) {
        at[i] = (char)('0' + value % 10);
    }
    return at + digits;
}

static bool
tagged_is_date(const int64_t *fields)
{
    static const int64_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year = fields[0];
    int64_t month = fields[1];
    if (year < 1 || year > 9999 || month < 1 || month > 12 || fields[2] < 1) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return fields[2] <= days[month - 1] + (leap && month == 2);
}

/* Hour, minute, second, microsecond, fold. */
static bool
tagged_is_time(const int64_t *fields)
{
    static const int64_t limits[] = {24, 60, 60, 1000000, 2};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (fields[i] < 0 || fields[i] >= limits[i]) {
            return false;
        }
    }
    return true;
}

static char *
tagged_put_date(char *at, const int64_t *fields)
{
    at = tagged_put(at, '\0', fields[0], 4);
    at = tagged_put(at, '-', fields[1], 2);
    return tagged_put(at, '-', fields[2], 2);
}

static char *
tagged_put_time(char *at, const int64_t *fields)
{
    at = tagged_put(at, '\0', fields[0], 2);
    at = tagged_put(at, ':', fields[1], 2);
    at = tagged_put(at, ':', fields[2], 2);
    return fields[3] != 0 ? tagged_put(at, '.', fields[3], 6) : at;
}

static char *
tagged_put_offset(char *at, int64_t seconds)
{
    char sign = seconds < 0 ? '-' : '+';
    seconds = seconds < 0 ? -seconds : seconds;
    at = tagged_put(at, sign, seconds / 3600, 2);
    at = tagged_put(at, ':', seconds / 60 % 60, 2);
    return seconds % 60 != 0 ? tagged_put(at, ':', seconds % 60, 2) : at;
}

static char *
tagged_put_uuid(char *at, const uint8_t *bytes)
{
    static const char hex[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *at++ = '-';
        }
        *at++ = hex[bytes[i] >> 4];
        *at++ = hex[bytes[i] & 15];
    }
    return at;
}

size_t
kc_texts_write_tagged(const uint8_t *bytes, size_t len, char *out)
{
    struct tagged value;
    char *at = out;
    if (!tagged_read(bytes, len, &value)) {
        return 0;
    }
    const int64_t *fields = value.fields;
    bool plain = !value.nil_last;
    if (value.tag == KC_TAG_UUID && value.byte_count == 16) {
        at = tagged_put_uuid(at, value.bytes);
    }
    else if (value.bytes != NULL) {
        return 0;
    }
    else if (value.tag == KC_TAG_DATE && value.count == 3 && plain &&
             tagged_is_date(fields))
    {
        at = tagged_put_date(at, fields);
    }
    else if (value.tag == KC_TAG_TIME && value.count == 5 && plain &&
             tagged_is_time(fields))
    {
        at = tagged_put_time(at, fields);
    }
    else if (value.tag == KC_TAG_DATETIME && value.count == 9 &&
             tagged_is_date(fields) && tagged_is_time(fields + 3) &&
             fields[8] > -DAY_SECONDS && fields[8] < DAY_SECONDS)
    {
        at = tagged_put_date(at, fields);
        *at++ = ' ';
        at = tagged_put_time(at, fields + 3);
        at = plain ? tagged_put_offset(at, fields[8]) : at;
    }
    return (size_t)(at - out);
}
