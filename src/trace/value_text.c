/* value_text.c -- see value_state.h. Strings and bytes: transcoded by ourselves, cut at
 * a character, secrets in them replaced.
 *
 * PyUnicode_AsUTF8() would keep its result in the program's string and double it.
 */

#include "plain/mask_signs.h"
#include "trace/value_state.h"

#define CUT_TEXT_BYTES 18u /* what CUT_STR adds: array, ext, str head, length */
#define CUT_TEXT_LEAST 16u /* a beginning shorter than this is not worth it */
#define SPANS_MAX 8u       /* after so many secrets the rest of a text is masked */

/* So much behind a cut there is where a text goes on: the last character may not fit.
 */
#define BEYOND_LEAST (VALUE_TEXT_BEYOND - 3u)

static const char STARS[] = "***";

/* kc_value_transcode(), made for each kind of text: this goes over every character. */
static inline size_t
text_transcode(int kind, const void *data, Py_ssize_t len, Py_ssize_t *at, char *out,
               size_t size)
{
    size_t used = 0;
    Py_ssize_t i = *at;
    while (i < len) {
        Py_ssize_t room = (Py_ssize_t)(size - used);
        Py_ssize_t end = len - i < room ? len : i + room;
        while (i < end && PyUnicode_READ(kind, data, i) < 0x80) {
            out[used++] = (char)PyUnicode_READ(kind, data, i);
            i++;
        }
        if (i == len) {
            break;
        }
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        size_t need = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (need > size - used) {
            break;
        }
        unsigned char *to = (unsigned char *)out + used;
        if (need == 2) {
            to[0] = (unsigned char)(0xc0 | c >> 6);
            to[1] = (unsigned char)(0x80 | (c & 0x3f));
        }
        else if (need == 3) {
            to[0] = (unsigned char)(0xe0 | c >> 12);
            to[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
            to[2] = (unsigned char)(0x80 | (c & 0x3f));
        }
        else {
            to[0] = (unsigned char)(0xf0 | c >> 18);
            to[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
            to[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
            to[3] = (unsigned char)(0x80 | (c & 0x3f));
        }
        used += need;
        i++;
    }
    *at = i;
    return used;
}

size_t
kc_value_transcode(PyObject *text, Py_ssize_t *at, char *out, size_t size)
{
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t len = PyUnicode_GET_LENGTH(text);
    switch ((int)PyUnicode_KIND(text)) {
    case PyUnicode_1BYTE_KIND:
        return text_transcode(PyUnicode_1BYTE_KIND, data, len, at, out, size);
    case PyUnicode_2BYTE_KIND:
        return text_transcode(PyUnicode_2BYTE_KIND, data, len, at, out, size);
    default:
        return text_transcode(PyUnicode_4BYTE_KIND, data, len, at, out, size);
    }
}

size_t
kc_value_copy_text(PyObject *text, char *buffer, size_t size)
{
    Py_ssize_t at = 0;
    if (!kc_unicode_is_ready(text)) {
        return 0;
    }
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        size_t len = (size_t)PyUnicode_GET_LENGTH(text);
        len = len < size ? len : size;
        memcpy(buffer, PyUnicode_DATA(text), len);
        return len;
    }
    return kc_value_transcode(text, &at, buffer, size);
}

/* The UTF-8 bytes that a str takes, counted up to `most`. */
static size_t
text_count_bytes(PyObject *text, size_t most)
{
    int kind = (int)PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t len = PyUnicode_GET_LENGTH(text);
    size_t count = 0;
    for (Py_ssize_t i = 0; i < len && count <= most; i++) {
        Py_UCS4 c = PyUnicode_READ(kind, data, i);
        size_t need = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (need > most - count) {
            break;
        }
        count += need;
    }
    return count;
}

void
kc_value_write_name(struct kc_cursor *cursor, PyObject *text, size_t most)
{
    if (!kc_unicode_is_ready(text)) {
        kc_wire_str(cursor, "", 0);
        return;
    }
    if (PyUnicode_IS_COMPACT_ASCII(text)) {
        size_t len = (size_t)PyUnicode_GET_LENGTH(text);
        kc_wire_str(cursor, PyUnicode_DATA(text), len < most ? len : most);
        return;
    }
    size_t len = text_count_bytes(text, most);
    kc_pack_str(cursor, len);
    uint8_t *room = kc_wire_reserve(cursor, len);
    if (room != NULL) {
        Py_ssize_t at = 0;
        (void)kc_value_transcode(text, &at, (char *)room, len);
    }
}

size_t
kc_value_name_bytes(PyObject *name)
{
    size_t len = (size_t)PyUnicode_GET_LENGTH(name);
    if (!PyUnicode_IS_COMPACT_ASCII(name)) {
        len = len < VALUE_NAME_MAX_BYTES ? len * 4 : VALUE_NAME_MAX_BYTES;
    }
    return 2 + (len < VALUE_NAME_MAX_BYTES ? len : VALUE_NAME_MAX_BYTES);
}

bool
kc_value_text_is(PyObject *text, const char *with)
{
    size_t len = strlen(with);
    return PyUnicode_CheckExact(text) && kc_unicode_is_ready(text) &&
           PyUnicode_IS_COMPACT_ASCII(text) &&
           (size_t)PyUnicode_GET_LENGTH(text) == len &&
           memcmp(PyUnicode_DATA(text), with, len) == 0;
}

/* ---- pieces: a text without its secrets ---- */

enum text_type { TEXT_STR, TEXT_BIN };

struct text_pieces {
    const char *bytes;
    size_t len; /* of it, up to the cut */
    struct kc_mask_span spans[SPANS_MAX];
    size_t span_count;
};

/* What is looked at: the first `len` bytes of a text that may go on. */
struct text_window {
    const char *bytes;
    size_t len;
    bool more;
};

/* The first secret at or after `from`: with a known shape, known from elsewhere, behind
 * its name; of those that overlap, all. */
static inline bool
text_find(const struct kc_values *values, const struct text_window *window, size_t from,
          struct kc_mask_span *span, struct kc_mask_span *named)
{
    struct kc_mask_span found[3];
    size_t count = 0;
    named->end = 0;
    if (kc_mask_has_signs(window->bytes + from, window->len - from)) {
        if (kc_mask_find_pair(values->mask, window->bytes, window->len, from, named)) {
            found[count++] = *named;
        }
        count += kc_mask_find(window->bytes, window->len, from, &found[count]);
    }
    else {
        count += kc_mask_find_run(window->bytes, window->len, from, &found[count]);
    }
    count += kc_known_find(&values->known, window->bytes, window->len, from,
                           window->more, &found[count]);
    if (KC_LIKELY(count == 0)) {
        return false;
    }
    *span = found[0];
    for (size_t i = 1; i < count; i++) {
        if (found[i].start < span->start) {
            *span = found[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (found[i].start <= span->end && found[i].end > span->end) {
            span->end = found[i].end;
        }
    }
    return true;
}

/* What stood behind a secret name in a text is masked from now on. */
static KC_COLD void
text_remember(struct kc_values *values, const struct text_window *window,
              const struct kc_mask_span *named, enum text_type type)
{
    const char *bytes = window->bytes + named->start;
    size_t len = named->end - named->start;
    if (!kc_known_tells(bytes, len) || (named->end == window->len && window->more)) {
        return;
    }
    PyObject *secret =
        type == TEXT_STR ? PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)len, "surrogatepass")
                         : PyBytes_FromStringAndSize(bytes, (Py_ssize_t)len);
    if (secret == NULL) {
        PyErr_Clear();
        return;
    }
    kc_value_remember(values, secret);
    Py_DECREF(secret);
}

/* Find the secrets that begin before the cut. */
static void
text_find_all(struct kc_values *values, struct text_pieces *pieces,
              const struct text_window *window, enum text_type type)
{
    struct kc_mask_span next;
    struct kc_mask_span named;
    size_t from = 0;
    while (text_find(values, window, from, &next, &named) && next.start < pieces->len) {
        if (named.end != 0 && named.start < next.end) {
            text_remember(values, window, &named, type);
        }
        from = next.end;
        if (pieces->span_count == SPANS_MAX - 1 || from > pieces->len) {
            next.end = pieces->len;
        }
        pieces->spans[pieces->span_count++] = next;
        if (next.end == pieces->len) {
            break;
        }
    }
}

/* Bytes that the pieces take, with the stars between them. */
static size_t
text_pieces_bytes(const struct text_pieces *pieces)
{
    size_t count = pieces->len;
    for (size_t i = 0; i < pieces->span_count; i++) {
        const struct kc_mask_span *span = &pieces->spans[i];
        size_t end = span->end < pieces->len ? span->end : pieces->len;
        count = count - (end - span->start) + (sizeof STARS - 1);
    }
    return count;
}

static void
text_write_pieces(struct kc_cursor *cursor, const struct text_pieces *pieces)
{
    size_t at = 0;
    for (size_t i = 0; i < pieces->span_count; i++) {
        const struct kc_mask_span *span = &pieces->spans[i];
        kc_wire_append(cursor, pieces->bytes + at, span->start - at);
        kc_wire_append(cursor, STARS, sizeof STARS - 1);
        at = span->end < pieces->len ? span->end : pieces->len;
    }
    kc_wire_append(cursor, pieces->bytes + at, pieces->len - at);
}

/* Write the first `keep` of `have` bytes; `total` is the length of the whole in its own
 * units, and `whole` says that nothing is missing. */
static void
text_write(struct kc_values *values, struct kc_cursor *cursor, enum text_type type,
           const char *bytes, size_t have, size_t keep, bool whole, size_t total)
{
    struct text_pieces pieces;
    pieces.bytes = bytes;
    pieces.len = keep;
    pieces.span_count = 0;
    size_t window = have - keep < VALUE_TEXT_BEYOND ? have : keep + VALUE_TEXT_BEYOND;
    text_find_all(values, &pieces,
                  &(struct text_window){bytes, window, window - keep >= BEYOND_LEAST},
                  type);
    values->counters.masked_count += pieces.span_count;
    size_t count = text_pieces_bytes(&pieces);
    if (!whole) {
        kc_wire_tag(cursor, type == TEXT_STR ? KC_TAG_CUT_STR : KC_TAG_CUT_BYTES, 2);
        values->counters.truncated_count++;
    }
    if (type == TEXT_STR) {
        kc_pack_str(cursor, count);
    }
    else {
        kc_pack_bin(cursor, count);
    }
    text_write_pieces(cursor, &pieces);
    if (!whole) {
        kc_wire_uint(cursor, total);
    }
}

/* How much of `len` bytes may be written: all of them, the beginning, or 0 for none. */
static size_t
text_keep(const struct kc_values *values, const struct kc_cursor *cursor, size_t len)
{
    size_t room = kc_value_room(values, cursor);
    size_t limit = values->record.text_limit;
    if (len <= limit && len + 5 <= room) {
        return len;
    }
    if (room < CUT_TEXT_BYTES + CUT_TEXT_LEAST) {
        return 0;
    }
    room -= CUT_TEXT_BYTES;
    limit = limit < room ? limit : room;
    return limit < len ? limit : len;
}

/* A str that is not ASCII, by way of the scratch space. */
static void
text_write_wide(struct kc_values *values, struct kc_cursor *cursor, PyObject *text)
{
    size_t len = (size_t)PyUnicode_GET_LENGTH(text);
    size_t limit = values->record.text_limit + VALUE_TEXT_BEYOND;
    Py_ssize_t at = 0;
    size_t have = kc_value_transcode(text, &at, values->scratch, limit);
    bool all = (size_t)at == len;
    size_t keep = text_keep(values, cursor, all ? have : values->record.text_limit);
    if (keep < have) {
        while (keep > 0 && ((unsigned char)values->scratch[keep] & 0xc0) == 0x80) {
            keep--; /* to where a character begins */
        }
    }
    if (keep == 0) {
        kc_value_cut(values, cursor, text, (Py_ssize_t)len);
        return;
    }
    text_write(values, cursor, TEXT_STR, values->scratch, have, keep,
               all && keep == have, len);
}

/* A whole ASCII str in which there is nothing to mask: most of them. */
static inline bool
text_write_plain(const struct kc_values *values, struct kc_cursor *cursor,
                 PyObject *text)
{
    struct kc_mask_span span;
    struct kc_mask_span named;
    size_t len = (size_t)PyUnicode_GET_LENGTH(text);
    if (len > values->record.text_limit || len + 5 > kc_value_room(values, cursor) ||
        kc_value_may_be_secret(values, (Py_ssize_t)len))
    {
        return false;
    }
    const char *bytes = (const char *)(((PyASCIIObject *)text) + 1);
    const struct text_window window = {bytes, len, false};
    if (len >= KC_KNOWN_LEAST && text_find(values, &window, 0, &span, &named)) {
        return false;
    }
    kc_wire_str(cursor, bytes, len);
    return true;
}

void
kc_value_str(struct kc_values *values, struct kc_cursor *cursor, PyObject *text)
{
    if (KC_LIKELY(PyUnicode_IS_COMPACT_ASCII(text)) &&
        KC_LIKELY(text_write_plain(values, cursor, text)))
    {
        return;
    }
    if (!kc_unicode_is_ready(text)) {
        kc_value_cut(values, cursor, text, -1);
        return;
    }
    Py_ssize_t len = PyUnicode_GET_LENGTH(text);
    if (KC_UNLIKELY(kc_value_is_known_secret(values, text, len))) {
        kc_value_masked(values, cursor, len);
    }
    else if (PyUnicode_IS_ASCII(text)) {
        kc_value_utf8(values, cursor, text, PyUnicode_DATA(text), (size_t)len,
                      (size_t)len);
    }
    else {
        text_write_wide(values, cursor, text);
    }
}

void
kc_value_utf8(struct kc_values *values, struct kc_cursor *cursor, PyObject *owner,
              const char *bytes, size_t len, size_t characters)
{
    size_t keep = text_keep(values, cursor, len);
    while (keep < len && keep > 0 && ((unsigned char)bytes[keep] & 0xc0) == 0x80) {
        keep--;
    }
    if (keep == 0 && len > 0) {
        kc_value_cut(values, cursor, owner, (Py_ssize_t)characters);
        return;
    }
    text_write(values, cursor, TEXT_STR, bytes, len, keep, keep == len, characters);
}

void
kc_value_whole_utf8(struct kc_values *values, struct kc_cursor *cursor,
                    const char *bytes, size_t len)
{
    text_write(values, cursor, TEXT_STR, bytes, len, len, true, len);
}

void
kc_value_binary(struct kc_values *values, struct kc_cursor *cursor, PyObject *value,
                bool mutable)
{
    const char *bytes =
        PyBytes_Check(value) ? PyBytes_AS_STRING(value) : PyByteArray_AS_STRING(value);
    size_t len = (size_t)Py_SIZE(value);
    if (!mutable && kc_value_is_known_secret(values, value, (Py_ssize_t)len)) {
        kc_value_masked(values, cursor, (Py_ssize_t)len);
        return;
    }
    size_t keep = text_keep(values, cursor, len);
    if (mutable && keep == len && len + 9 > kc_value_room(values, cursor)) {
        keep = 0;
    }
    if (keep == 0 && len > 0) {
        kc_value_cut(values, cursor, value, (Py_ssize_t)len);
        return;
    }
    if (mutable && keep == len) { /* what is cut is CUT_BYTES for both */
        kc_wire_tag(cursor, KC_TAG_BYTEARRAY, 1);
    }
    text_write(values, cursor, TEXT_BIN, bytes, len, keep, keep == len, len);
}

/* The text in `bytes` as a value of it would be written, as bytes. */
static PyObject *
text_masked(struct kc_values *values, PyObject *bytes)
{
    const char *text = PyBytes_AS_STRING(bytes);
    size_t len = (size_t)PyBytes_GET_SIZE(bytes);
    struct text_pieces pieces = {.bytes = text, .len = len};
    text_find_all(values, &pieces, &(struct text_window){text, len, false}, TEXT_STR);
    values->counters.masked_count += pieces.span_count;
    size_t used = text_pieces_bytes(&pieces);
    PyObject *result = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)used);
    if (result != NULL) {
        uint8_t *out = (uint8_t *)PyBytes_AS_STRING(result);
        struct kc_cursor cursor = {out, out + used, out, KC_OK};
        text_write_pieces(&cursor, &pieces);
    }
    return result;
}

bool
kc_values_has_secret(const struct kc_values *values, const char *utf8, size_t len)
{
    struct kc_mask_span span;
    struct kc_mask_span named;
    return text_find(values, &(struct text_window){utf8, len, false}, 0, &span, &named);
}

PyObject *
kc_values_masked(struct kc_values *values, PyObject *text)
{
    if (!kc_unicode_is_ready(text) ||
        kc_value_is_known_secret(values, text, PyUnicode_GET_LENGTH(text)))
    {
        return PyUnicode_FromString(STARS);
    }
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogatepass");
    PyObject *masked = bytes == NULL ? NULL : text_masked(values, bytes);
    Py_XDECREF(bytes);
    if (masked == NULL) {
        return NULL;
    }
    PyObject *result = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(masked),
                                            PyBytes_GET_SIZE(masked), "surrogatepass");
    Py_DECREF(masked);
    return result;
}
