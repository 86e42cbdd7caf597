/* text.c -- see text.h. */

#include "session/text.h"

static size_t
text_put(uint8_t *at, Py_UCS4 character)
{
    if (character < 0x80) {
        at[0] = (uint8_t)character;
        return 1;
    }
    if (character < 0x800) {
        at[0] = (uint8_t)(0xc0 | (character >> 6));
        at[1] = (uint8_t)(0x80 | (character & 0x3f));
        return 2;
    }
    if (character < 0x10000) {
        at[0] = (uint8_t)(0xe0 | (character >> 12));
        at[1] = (uint8_t)(0x80 | ((character >> 6) & 0x3f));
        at[2] = (uint8_t)(0x80 | (character & 0x3f));
        return 3;
    }
    at[0] = (uint8_t)(0xf0 | (character >> 18));
    at[1] = (uint8_t)(0x80 | ((character >> 12) & 0x3f));
    at[2] = (uint8_t)(0x80 | ((character >> 6) & 0x3f));
    at[3] = (uint8_t)(0x80 | (character & 0x3f));
    return 4;
}

static size_t
text_width(Py_UCS4 character)
{
    return character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
}

void
kc_text_write(struct kc_cursor *cursor, PyObject *text, size_t most)
{
    size_t length = (size_t)PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_ASCII(text)) {
        kc_wire_str(cursor, (const char *)PyUnicode_1BYTE_DATA(text),
                    length < most ? length : most);
        return;
    }
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    size_t bytes = 0;
    size_t count = 0;
    for (; count < length; count++) {
        size_t width = text_width(PyUnicode_READ(kind, data, (Py_ssize_t)count));
        if (bytes + width > most) {
            break;
        }
        bytes += width;
    }
    kc_pack_str(cursor, bytes);
    uint8_t *at = kc_wire_reserve(cursor, bytes);
    for (size_t i = 0; at != NULL && i < count; i++) {
        at += text_put(at, PyUnicode_READ(kind, data, (Py_ssize_t)i));
    }
}
