/* source.h -- the text of a file of kept code: read, searched for secrets, hashed.
 *
 * A text is kept only while the file is as the program saw it (size and time of the
 * last change), and up to 4 MiB. Its hash is the 128-bit FNV-1a of the text as it is
 * stored, secrets masked, in 32 hexadecimal digits: it finds equal texts, it proves
 * nothing.
 *
 * Threads: any; the calls wait for the disk.
 * Owns:    the text, until kc_source_destroy().
 * Fails:   KC_NO_MEMORY. A file that cannot be kept is no failure: `text` is NULL and
 *          `note` says why.
 */

#ifndef KC_SOURCE_H
#define KC_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "plain/status.h"

#define KC_SOURCE_MAX_BYTES (4u * 1024 * 1024)

struct kc_source {
    char *text;
    size_t len;
    uint64_t mask_count;
    char hash[33];
    char note[64];
};

/* Read the file at `path`, as Python names it: UTF-8, undecodable bytes as the three
 * bytes of a lone surrogate. */
KC_MUST_CHECK enum kc_status kc_source_read(struct kc_source *source, const char *path,
                                            size_t path_len, uint64_t size,
                                            uint64_t mtime_ns);

/* Take a copy of a text that is in no file. */
KC_MUST_CHECK enum kc_status kc_source_copy(struct kc_source *source, const char *text,
                                            size_t len);

void kc_source_destroy(struct kc_source *source);

#endif
