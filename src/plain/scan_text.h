/* scan_text.h -- the texts of values: those met before, and how new ones are written.
 *
 * Private to scan.c. A text is known by its msgpack, in a table of bounded size that is
 * emptied when it fills up.
 *
 * Threads: the scan's.
 * Owns:    its tables, until kc_texts_destroy().
 * Fails:   KC_NO_MEMORY at init; KC_CORRUPT for what is no UTF-8.
 */

#ifndef KC_SCAN_TEXT_H
#define KC_SCAN_TEXT_H

#include "plain/scan.h"

#define KC_TEXTS_NUMBER_BYTES 64  /* no number, date or the like is longer */
#define KC_TEXTS_SLOTS (1u << 18) /* of which a block takes a quarter at most */

enum kc_texts_verdict {
    KC_TEXTS_UNKNOWN, /* an empty slot, too */
    KC_TEXTS_NO,
    KC_TEXTS_YES,
    KC_TEXTS_ASKED
};

struct kc_texts_slot {
    uint32_t hash;
    uint32_t key; /* where its bytes stand in `keys` */
    uint32_t len;
    uint32_t verdict; /* enum kc_texts_verdict */
};

struct kc_texts {
    struct kc_texts_slot *slots; /* the hashed ones, then one for each single byte */
    uint8_t *keys;
    uint32_t slots_used;
    uint32_t keys_used;
    kc_scan_double *write_double;

    char *text; /* new ones, each with a newline */
    uint32_t text_bytes;
    uint32_t text_chars;
    uint32_t text_count;
    uint32_t raw_count;
    uint32_t *text_slots;
    uint32_t *starts;
    uint32_t *raw_slots;
};

KC_MUST_CHECK enum kc_status kc_texts_init(struct kc_texts *texts,
                                           kc_scan_double *write_double);
void kc_texts_destroy(struct kc_texts *texts);

/* Before a block: forget the news of the one before, and everything if room runs out.
 */
void kc_texts_begin(struct kc_texts *texts, bool forget);

/* The slot of the value whose msgpack is `bytes`; its verdict says what is known. A new
 * one is among the news from here on. KC_CORRUPT for text that is no UTF-8. */
KC_MUST_CHECK enum kc_status kc_texts_find(struct kc_texts *texts, const uint8_t *bytes,
                                           uint32_t len, uint32_t *slot);

/* The text of a date, a time or a UUID, into KC_TEXTS_NUMBER_BYTES; 0 for all else. */
size_t kc_texts_write_tagged(const uint8_t *bytes, size_t len, char *out);

#endif
