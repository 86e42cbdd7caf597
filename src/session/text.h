/* text.h -- Python's str as UTF-8, without caching the UTF-8 in the program's string.
 *
 * Threads: GIL.
 * Owns:    nothing.
 * Fails:   by the cursor's status.
 */

#ifndef KC_TEXT_H
#define KC_TEXT_H

#include <Python.h>

#include "plain/wire.h"

/* Write `text` (a str, borrowed) as a msgpack str; lone surrogates as three bytes each;
 * cut, without a mark, before the character that would pass `most` bytes. */
void kc_text_write(struct kc_cursor *cursor, PyObject *text, size_t most);

#endif
