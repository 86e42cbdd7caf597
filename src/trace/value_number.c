/* value_number.c -- see value_state.h. Ints of any size, and Decimal.
 *
 * Both are read from their digits: _PyLong_AsByteArray() is private and changed
 * in 3.13, and str() of a Decimal looks its context up and makes one where the thread
 * has none.
 */

#include "trace/value_state.h"

#define NUMBER_HEAD_BYTES 9u /* array, ext, head of bin or str */

static size_t
number_bit_length(const digit *digits, size_t count)
{
    size_t bits = (count - 1) * PyLong_SHIFT;
    for (digit top = digits[count - 1]; top != 0; top >>= 1) {
        bits++;
    }
    return bits;
}

/* The magnitude modulo 2^64. */
static uint64_t
number_low_bits(const digit *digits, size_t count)
{
    uint64_t low = 0;
    for (size_t i = 0; i < count && i * PyLong_SHIFT < 64; i++) {
        low |= (uint64_t)digits[i] << (i * PyLong_SHIFT);
    }
    return low;
}

/* `size` bytes of two's complement, least first; the magnitude has enough of them. */
static void
number_to_bytes(const digit *digits, size_t count, int sign, uint8_t *out, size_t size)
{
    uint64_t window = 0;
    unsigned bits = 0;
    unsigned carry = sign < 0;
    size_t next = 0;
    for (size_t i = 0; i < size; i++) {
        if (bits < 8 && next < count) {
            window |= (uint64_t)digits[next++] << bits;
            bits += PyLong_SHIFT;
        }
        unsigned byte = (unsigned)(window & 0xff);
        window >>= 8;
        bits = bits < 8 ? 0 : bits - 8;
        if (sign < 0) { /* ones' complement, and one */
            byte = (byte ^ 0xff) + carry;
            carry = byte >> 8;
        }
        out[i] = (uint8_t)byte;
    }
}

static void
number_big(struct kc_values *values, struct kc_cursor *cursor, PyObject *number,
           const digit *digits, size_t count, int sign)
{
    size_t bit_length = number_bit_length(digits, count);
    size_t size = bit_length / 8 + 1; /* one bit more, for the sign */
    size_t room = kc_value_room(values, cursor);
    if (room < NUMBER_HEAD_BYTES + sizeof(uint64_t)) {
        kc_value_cut(values, cursor, number, -1);
        return;
    }
    kc_wire_tag(cursor, KC_TAG_BIGINT, 1);
    if (size > values->record.text_limit || size > room - NUMBER_HEAD_BYTES) {
        kc_wire_uint(cursor, bit_length);
        values->counters.truncated_count++;
        return;
    }
    kc_pack_bin(cursor, size);
    uint8_t *out = kc_wire_reserve(cursor, size);
    if (out != NULL) {
        number_to_bytes(digits, count, sign, out, size);
    }
}

void
kc_value_int(struct kc_values *values, struct kc_cursor *cursor, PyObject *number)
{
    size_t count;
    int sign;
    const digit *digits = kc_long_borrow_digits(number, &count, &sign);
    if (count == 0 || sign == 0) {
        kc_wire_int(cursor, 0);
        return;
    }
    if (count * PyLong_SHIFT >= 64 + PyLong_SHIFT ||
        number_bit_length(digits, count) > 64) {
        number_big(values, cursor, number, digits, count, sign);
        return;
    }
    uint64_t magnitude = number_low_bits(digits, count);
    if (sign > 0) {
        kc_wire_uint(cursor, magnitude);
    }
    else if (magnitude <= (uint64_t)INT64_MAX + 1) {
        kc_wire_int(cursor, (int64_t)(0 - magnitude));
    }
    else {
        number_big(values, cursor, number, digits, count, sign);
    }
}

bool
kc_value_as_bytes(PyObject *number, uint8_t *bytes, size_t size)
{
    size_t count;
    int sign;
    const digit *digits = kc_long_borrow_digits(number, &count, &sign);
    if (sign < 0 || (count > 0 && number_bit_length(digits, count) > size * 8)) {
        return false;
    }
    number_to_bytes(digits, count, 1, bytes, size);
    return true;
}

/* ---- Decimal ---- */

/* PyDecObject of CPython's Modules/_decimal/_decimal.c, with mpd_t as in mpdecimal.h:
 * the same from 3.10 to 3.15. The type's basic size is compared before it is used. */
struct decimal_object {
    PyObject_HEAD
    Py_hash_t hash;
    uint8_t flags;
    Py_ssize_t exponent;
    Py_ssize_t digit_count;
    Py_ssize_t word_count;
    Py_ssize_t allocated;
    size_t *words; /* least first, base 10^19 (10^9 where words have 32 bits) */
    size_t inline_words[4];
};

enum { DECIMAL_NEGATIVE = 1, DECIMAL_INFINITE = 2, DECIMAL_NAN = 4, DECIMAL_SNAN = 8 };

#define DECIMAL_WORD_DIGITS (sizeof(size_t) == 8 ? 19 : 9)
#define DECIMAL_EXTRA_BYTES 32 /* sign, point, zeros after it, exponent */

bool
kc_value_is_decimal(PyTypeObject *type)
{
    return strcmp(type->tp_name, "decimal.Decimal") == 0 &&
           type->tp_basicsize == (Py_ssize_t)sizeof(struct decimal_object);
}

/* The coefficient's digits, most significant first; `out` has room for them. */
static void
decimal_write_digits(const struct decimal_object *decimal, char *out)
{
    Py_ssize_t at = decimal->digit_count;
    for (Py_ssize_t i = 0; i < decimal->word_count && at > 0; i++) {
        size_t word = decimal->words[i];
        for (int k = 0; k < DECIMAL_WORD_DIGITS && at > 0; k++) {
            out[--at] = (char)('0' + word % 10);
            word /= 10;
        }
    }
    while (at > 0) {
        out[--at] = '0';
    }
}

static size_t
decimal_special(const struct decimal_object *decimal, char *out)
{
    size_t used = 0;
    const char *name = "Infinity";
    if ((decimal->flags & (DECIMAL_NAN | DECIMAL_SNAN)) != 0) {
        name = (decimal->flags & DECIMAL_SNAN) != 0 ? "sNaN" : "NaN";
    }
    if ((decimal->flags & DECIMAL_NEGATIVE) != 0) {
        out[used++] = '-';
    }
    memcpy(out + used, name, strlen(name));
    used += strlen(name);
    if ((decimal->flags & DECIMAL_INFINITE) == 0 && decimal->word_count > 0 &&
        decimal->digit_count > 0)
    { /* a NaN's payload */
        decimal_write_digits(decimal, out + used);
        used += (size_t)decimal->digit_count;
    }
    return used;
}

/* As str(): plain notation while the exponent is in [-6, 0], else scientific. */
static size_t
decimal_finite(const struct decimal_object *decimal, char *out)
{
    size_t used = 0;
    Py_ssize_t digits = decimal->digit_count;
    Py_ssize_t left = decimal->exponent + digits; /* digits before the point */
    Py_ssize_t point = left;
    if ((decimal->flags & DECIMAL_NEGATIVE) != 0) {
        out[used++] = '-';
    }
    if (decimal->exponent > 0 || left <= -6) {
        point = 1;
    }
    if (point <= 0) {
        memcpy(out + used, "0.00000000", (size_t)(2 - point));
        used += (size_t)(2 - point);
    }
    decimal_write_digits(decimal, out + used);
    if (point > 0 && point < digits) {
        memmove(out + used + point + 1, out + used + point, (size_t)(digits - point));
        out[used + (size_t)point] = '.';
        used++;
    }
    used += (size_t)digits;
    if (point != left) {
        used += (size_t)snprintf(out + used, DECIMAL_EXTRA_BYTES, "E%+zd", left - 1);
    }
    return used;
}

void
kc_value_decimal(struct kc_values *values, struct kc_cursor *cursor, PyObject *value)
{
    const struct decimal_object *decimal = (const struct decimal_object *)value;
    size_t digits = (size_t)decimal->digit_count;
    if (digits > values->scratch_bytes - 2 * DECIMAL_EXTRA_BYTES) {
        kc_value_cut(values, cursor, value, decimal->digit_count);
        return;
    }
    bool special = decimal->flags & (DECIMAL_INFINITE | DECIMAL_NAN | DECIMAL_SNAN);
    size_t len = special ? decimal_special(decimal, values->scratch)
                         : decimal_finite(decimal, values->scratch);
    if (len > values->record.text_limit ||
        len + NUMBER_HEAD_BYTES > kc_value_room(values, cursor))
    {
        kc_value_cut(values, cursor, value, (Py_ssize_t)len); /* no part of a number */
        return;
    }
    kc_wire_tag(cursor, KC_TAG_DECIMAL, 1);
    kc_wire_str(cursor, values->scratch, len);
}
