/* scan.h -- search the records of blocks for texts, without decoding them for Python.
 *
 * A block is searched in three steps. kc_scan_walk() goes over its records and collects
 * what has not been met before: texts, values whose text takes more than C knows, and
 * definitions. The caller looks at those, says with kc_scan_match() which ones it
 * wants, and kc_scan_settle() leaves the records that hold a wanted one. What was
 * looked at once is remembered (by its bytes, within bounds), so that a value which
 * comes a million times is searched once. Blocks of a stream are walked in their order:
 * the stack of calls goes on from one to the next.
 *
 * Threads: one at a time.
 * Owns:    everything until kc_scan_free(); the bytes of a block are borrowed while
 *          kc_scan_walk() runs, and until the next one for kc_scan_raw().
 * Fails:   KC_CORRUPT where the bytes stop being records: those before stay good;
 *          KC_FULL for more than KC_SCAN_MAX_BYTES; KC_NO_MEMORY.
 */

#ifndef KC_SCAN_H
#define KC_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plain/status.h"

#define KC_SCAN_MAX_BYTES 65536u     /* of a block's records */
#define KC_SCAN_MAX_NUMBER 0xffffffu /* of a definition; those beyond have no text */

/* The text of a double as Python has it, into `room` bytes; its length. */
typedef size_t kc_scan_double(double value, char *out, size_t room);

struct kc_scan_options {
    uint32_t kinds; /* bit k: records of enum kc_kind k are searched */
    bool numbers;   /* false: no number, date or the like can match, leave them out */
    bool functions; /* only records of calls of wanted functions are hits */
    kc_scan_double *write_double;
};

struct kc_scan;

/* A record with a hit in it. */
struct kc_scan_hit {
    uint64_t node; /* 0: not known, blocks are missing */
    uint64_t code; /* of the call it belongs to; 0: not known, or outside of calls */
    uint32_t
        thread; /* the number of the thread whose node it is; 0: the stream's own */
    uint32_t record; /* its place in the block, from 0 */
    uint32_t leaves; /* private: where its texts end in the list of all */
    uint8_t kind;
};

/* A call on the stack where a stream, or what is there of it, begins. */
struct kc_scan_open {
    uint64_t node;
    uint64_t code;
    uint32_t thread;
};

struct kc_scan_reference {
    uint64_t number;
    bool locals; /* its local names are meant, not what it stands for itself */
};

/* What a walk has found that was not known. */
struct kc_scan_news {
    const char *text; /* the texts, each with a newline behind it; UTF-8 */
    size_t text_bytes;
    const uint32_t
        *starts; /* of each text, in characters, and where the next would be */
    size_t text_count;
    size_t raw_count;
    const struct kc_scan_reference *references;
    size_t reference_count;
    size_t call_count; /* calls in the block */
    size_t read_bytes; /* of whole records */
    size_t depth;      /* of the stack after the block */
};

enum kc_scan_list { KC_SCAN_TEXTS, KC_SCAN_RAWS, KC_SCAN_REFERENCES, KC_SCAN_WANTED };

KC_MUST_CHECK enum kc_status kc_scan_new(struct kc_scan **scan,
                                         const struct kc_scan_options *options);
void kc_scan_free(struct kc_scan *scan);

/* Definitions are another process's from here on. */
void kc_scan_forget_definitions(struct kc_scan *scan);

/* The stack at the start of the next block, outermost first. */
KC_MUST_CHECK enum kc_status
kc_scan_set_stack(struct kc_scan *scan, const struct kc_scan_open *opens, size_t count);

KC_MUST_CHECK enum kc_status kc_scan_walk(struct kc_scan *scan, const uint8_t *data,
                                          size_t len, uint64_t first_node,
                                          struct kc_scan_news *news);

/* The msgpack of the `index`-th value that C has no text of, borrowed. */
const uint8_t *kc_scan_borrow_raw(const struct kc_scan *scan, size_t index,
                                  size_t *len);

/* The `index`-th item of one of the lists matches; for KC_SCAN_WANTED: the code object
 * that is the `index`-th reference belongs to a wanted function. */
void kc_scan_match(struct kc_scan *scan, enum kc_scan_list list, size_t index);

/* What was not matched does not match. The hits of the block, borrowed until the next
 * walk; with `functions` those without a known code object are among them. */
const struct kc_scan_hit *kc_scan_settle(struct kc_scan *scan, size_t *count);

#endif
