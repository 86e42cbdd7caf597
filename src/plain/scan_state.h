/* scan_state.h -- a scan in the middle of a block: what scan.c and scan_value.c share.
 *
 * Threads: the scan's.
 * Owns:    as scan.h says.
 * Fails:   by scan->failed, for the rest of the record.
 */

#ifndef KC_SCAN_STATE_H
#define KC_SCAN_STATE_H

#include "plain/scan.h"
#include "plain/scan_text.h"
#include "plain/wire.h"

/* A leaf is what a record has that may match: the slot of a text, or a definition. */
#define LEAF_DEFINITION (1u << 31)
#define LEAF_LOCALS (1u << 30)
#define LEAVES_MAX (2 * KC_SCAN_MAX_BYTES) /* one a byte, one more a record */
#define VALUE_DEPTH 200
#define STACK_MAX (1u << 20)

/* A definition's byte: verdicts (enum kc_texts_verdict) of itself and of its local
 * names, and whether it is a wanted function. */
#define DEFINITION_SHIFT(locals) ((locals) ? 2u : 0u)
#define DEFINITION_WANTED 0x10u

struct kc_scan {
    struct kc_scan_options options;
    struct kc_walk walk;
    bool failed; /* sticky: the record cannot be one */
    bool quiet;  /* its kind is not searched */
    bool open;   /* walked and not settled */

    struct kc_texts texts;
    uint8_t *definitions;
    size_t definitions_room;
    struct kc_scan_reference *references;
    size_t reference_count;

    struct kc_scan_open *stack;
    size_t depth;
    size_t stack_room;

    uint32_t *leaves;
    uint32_t leaf_count;
    struct kc_scan_hit *records; /* those that have leaves */
    size_t record_count;
    uint64_t next_node;
    size_t call_count;
};

/* What definition `number` stands for, or the local names of that code object. */
void kc_scan_definition(struct kc_scan *scan, uint64_t number, bool locals);

/* Step over one value, whatever it is. */
void kc_scan_skip(struct kc_scan *scan);

/* A number from 0; with `nil` also nil, which is 0. */
uint64_t kc_scan_uint(struct kc_scan *scan, bool nil);

/* The next `count` values: searched, or stepped over where the record is quiet. */
void kc_scan_values(struct kc_scan *scan, uint32_t count);

#endif
