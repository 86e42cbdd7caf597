/* definitions_write.h -- how a definition gets into the log; for definitions*.c alone.
 *
 * Threads: as definitions.h.
 * Owns:    nothing.
 * Fails:   kc_definitions_write() with 0, where no block is left.
 */

#ifndef KC_DEFINITIONS_WRITE_H
#define KC_DEFINITIONS_WRITE_H

#include "session/definitions.h"

#include "plain/stream.h"

#define KC_NAME_MAX_BYTES 1024u

/* Each definition is written by one function of this shape, at most twice: the second
 * time in a new block. */
typedef void (*kc_write_fields)(struct kc_cursor *cursor, const void *facts);

/* Write definition `kind` with `fields` fields after its number; the number. */
uint64_t kc_definitions_write(struct kc_definitions *definitions,
                              enum kc_definition kind, size_t fields,
                              kc_write_fields write, const void *facts);

/* A text, cut to `most` bytes; nil where `text` is none, or NULL. */
void kc_definitions_write_name(struct kc_cursor *cursor, PyObject *text, size_t most);

#endif
