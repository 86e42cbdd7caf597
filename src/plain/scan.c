/* scan.c -- see scan.h. */

#include "plain/scan_state.h"

#include <stdlib.h>
#include <string.h>

enum kc_status
kc_scan_new(struct kc_scan **result, const struct kc_scan_options *options)
{
    struct kc_scan *scan = calloc(1, sizeof *scan);
    if (scan == NULL) {
        return KC_NO_MEMORY;
    }
    scan->options = *options;
    scan->references = malloc(LEAVES_MAX * sizeof *scan->references);
    scan->leaves = malloc(LEAVES_MAX * sizeof *scan->leaves);
    scan->records = malloc(KC_SCAN_MAX_BYTES * sizeof *scan->records);
    if (scan->references == NULL || scan->leaves == NULL || scan->records == NULL ||
        kc_texts_init(&scan->texts, options->write_double) != KC_OK)
    {
        kc_scan_free(scan);
        return KC_NO_MEMORY;
    }
    *result = scan;
    return KC_OK;
}

void
kc_scan_free(struct kc_scan *scan)
{
    if (scan == NULL) {
        return;
    }
    kc_texts_destroy(&scan->texts);
    free(scan->definitions);
    free(scan->references);
    free(scan->stack);
    free(scan->leaves);
    free(scan->records);
    free(scan);
}

void
kc_scan_forget_definitions(struct kc_scan *scan)
{
    if (scan->definitions_room > 0) {
        memset(scan->definitions, 0, scan->definitions_room);
    }
}

/* ---- records ---- */

static void
scan_push(struct kc_scan *scan, struct kc_scan_open call)
{
    if (scan->depth == scan->stack_room) {
        size_t room = scan->stack_room > 0 ? scan->stack_room * 2 : 256;
        struct kc_scan_open *grown =
            room <= STACK_MAX ? realloc(scan->stack, room * sizeof *grown) : NULL;
        if (grown == NULL) {
            scan->failed = true;
            return;
        }
        scan->stack = grown;
        scan->stack_room = room;
    }
    scan->stack[scan->depth++] = call;
}

enum kc_status
kc_scan_set_stack(struct kc_scan *scan, const struct kc_scan_open *opens, size_t count)
{
    scan->depth = 0;
    scan->failed = false;
    for (size_t i = 0; i < count && !scan->failed; i++) {
        scan_push(scan, opens[i]);
    }
    return scan->failed ? KC_NO_MEMORY : KC_OK;
}

static struct kc_scan_open
scan_top(const struct kc_scan *scan)
{
    return scan->depth > 0 ? scan->stack[scan->depth - 1] : (struct kc_scan_open){0};
}

/* The function of a call that is on the stack; 0 where it is not. */
static uint64_t
scan_code_of(const struct kc_scan *scan, uint32_t thread, uint64_t node)
{
    for (size_t i = scan->depth; i-- > 0;) {
        if (scan->stack[i].node == node && scan->stack[i].thread == thread) {
            return scan->stack[i].code;
        }
    }
    return 0;
}

/* Fields of which nil means that there is none, and not None. */
static void
scan_optional(struct kc_scan *scan, uint32_t count)
{
    for (uint32_t i = 0; i < count && !scan->failed; i++) {
        if (scan->walk.at < scan->walk.end && *scan->walk.at == 0xc0) {
            scan->walk.at++;
        }
        else {
            kc_scan_values(scan, 1);
        }
    }
}

/* CALL and ENTERED: code, offset, argument... */
static void
scan_call(struct kc_scan *scan, struct kc_scan_open *owner, uint32_t count)
{
    *owner = (struct kc_scan_open){scan->next_node, kc_scan_uint(scan, false), 0};
    kc_scan_definition(scan, owner->code, false);
    (void)kc_scan_uint(scan, true);
    kc_scan_values(scan, count - 2);
    scan->call_count++;
    scan_push(scan, *owner);
}

/* RETURN and RAISE: a value, for RAISE an offset, local... */
static void
scan_end(struct kc_scan *scan, struct kc_scan_open *owner, uint32_t count, bool raise)
{
    *owner = scan_top(scan);
    if (raise) {
        scan_optional(scan, 1);
        (void)kc_scan_uint(scan, true);
    }
    else {
        kc_scan_values(scan, 1);
    }
    uint32_t locals = count - (raise ? 2 : 1);
    if (locals > 0 && !scan->quiet) {
        kc_scan_definition(scan, owner->code, true);
    }
    kc_scan_values(scan, locals);
    scan->depth -= scan->depth > 0;
}

/* RESUME and THROW: thread, node, code, site, for THROW an exception. */
static void
scan_resume(struct kc_scan *scan, struct kc_scan_open *owner, uint32_t count)
{
    owner->thread = (uint32_t)kc_scan_uint(scan, true);
    owner->node = kc_scan_uint(scan, false);
    owner->code = kc_scan_uint(scan, false);
    (void)kc_scan_uint(scan, true);
    bool quiet = scan->quiet;
    scan->quiet = true; /* it is the call that the code's name belongs to */
    kc_scan_definition(scan, owner->code, false);
    scan->quiet = quiet;
    scan_optional(scan, count - 4);
    scan_push(scan, *owner);
}

/* HANDLED: thread, node, exception. Its code may be long forgotten. */
static void
scan_handled(struct kc_scan *scan, struct kc_scan_open *owner, uint32_t count)
{
    owner->thread = (uint32_t)kc_scan_uint(scan, true);
    owner->node = kc_scan_uint(scan, false);
    owner->code = 0;
    scan_optional(scan, count - 2);
}

/* CAUGHT: thread, node, where it was raised, where it is handled (nil: it goes on, and
 * was told before), exception. */
static void
scan_caught(struct kc_scan *scan, struct kc_scan_open *owner, uint32_t count)
{
    owner->thread = (uint32_t)kc_scan_uint(scan, true);
    owner->node = kc_scan_uint(scan, false);
    owner->code = scan_code_of(scan, owner->thread, owner->node);
    (void)kc_scan_uint(scan, true);
    bool goes_on = scan->walk.at < scan->walk.end && *scan->walk.at == 0xc0;
    (void)kc_scan_uint(scan, true);
    scan->quiet = scan->quiet || goes_on;
    scan_optional(scan, count - 4);
}

/* Fields that a newer version may have added. */
static void
scan_extra(struct kc_scan *scan, uint32_t count)
{
    for (uint32_t i = 0; i < count && !scan->failed; i++) {
        kc_scan_skip(scan);
    }
}

/* REGION: name, values; PLUGIN: kind, fields, site. They belong to the call that they
 * are in, and are on the stack. */
static void
scan_part(struct kc_scan *scan, struct kc_scan_open *owner, uint32_t count, bool plugin)
{
    *owner = (struct kc_scan_open){scan->next_node, scan_top(scan).code, 0};
    if (plugin) {
        kc_scan_definition(scan, kc_scan_uint(scan, false), false);
        scan_optional(scan, 1);
        (void)kc_scan_uint(scan, true);
    }
    else {
        scan_optional(scan, 2);
    }
    scan_extra(scan, count - (plugin ? 3 : 2));
    scan_push(scan, *owner);
}

static void
scan_mark(struct kc_scan *scan, uint32_t count)
{
    (void)kc_scan_uint(scan, false);
    kc_scan_skip(scan);
    bool untouched = scan->walk.at < scan->walk.end && *scan->walk.at == 0xc0;
    uint64_t depth = kc_scan_uint(scan, true);
    if (!untouched && depth < scan->depth) {
        scan->depth = (size_t)depth;
    }
    scan_extra(scan, count - 3);
}

/* The `count` fields of a record of `kind`; whose it is goes to *owner. */
static void
scan_kind(struct kc_scan *scan, uint8_t kind, uint32_t count,
          struct kc_scan_open *owner)
{
    switch (kind) {
    case KC_KIND_CALL:
    case KC_KIND_ENTERED:
        scan_call(scan, owner, count);
        break;
    case KC_KIND_RETURN:
    case KC_KIND_RAISE:
        scan_end(scan, owner, count, kind == KC_KIND_RAISE);
        break;
    case KC_KIND_RESUME:
    case KC_KIND_THROW:
        scan_resume(scan, owner, count);
        break;
    case KC_KIND_HANDLED:
        scan_handled(scan, owner, count);
        break;
    case KC_KIND_CAUGHT:
        scan_caught(scan, owner, count);
        break;
    case KC_KIND_REGION:
    case KC_KIND_PLUGIN:
        scan_part(scan, owner, count, kind == KC_KIND_PLUGIN);
        break;
    case KC_KIND_NOTE:
    case KC_KIND_LOG:
        *owner = (struct kc_scan_open){scan->next_node, scan_top(scan).code, 0};
        scan_optional(scan, kind == KC_KIND_NOTE ? 2 : 3);
        scan_extra(scan, count - (kind == KC_KIND_NOTE ? 2 : 3)); /* LOG: its site */
        break;
    case KC_KIND_MARK:
        scan_mark(scan, count);
        break;
    case KC_KIND_TASK:
        (void)kc_scan_uint(scan, false);
        scan_extra(scan, count - 1);
        break;
    case KC_KIND_YIELD:
        *owner = scan_top(scan);
        kc_scan_values(scan, 1);
        (void)kc_scan_uint(scan, true);
        scan_extra(scan, count - 2);
        scan->depth -= scan->depth > 0;
        break;
    default: /* REGION_END, PLUGIN_END */
        *owner = scan_top(scan);
        scan_optional(scan, count);
        scan->depth -= scan->depth > 0;
        break;
    }
}

/* The least number of fields of each kind, by enum kc_kind. */
static const uint8_t kind_fields[] = {2, 1, 2, 2, 4, 5, 2, 3, 1,
                                      2, 1, 2, 3, 3, 2, 3, 5};
_Static_assert(sizeof kind_fields == KC_KIND_CAUGHT + 1, "each kind has its number");
#define KIND_NODES                                                                     \
    (1u << KC_KIND_CALL | 1u << KC_KIND_ENTERED | 1u << KC_KIND_REGION |               \
     1u << KC_KIND_NOTE | 1u << KC_KIND_LOG | 1u << KC_KIND_PLUGIN)

/* One record; false, and nothing of it is kept, where there is none. */
static bool
scan_record(struct kc_scan *scan, uint32_t index)
{
    struct kc_token token;
    uint32_t leaves = scan->leaf_count;
    struct kc_scan_open owner = {0};
    scan->failed = kc_walk_next(&scan->walk, &token) != KC_OK ||
                   token.type != KC_TOKEN_ARRAY || token.count < 2;
    uint64_t kind = scan->failed ? UINT64_MAX : kc_scan_uint(scan, false);
    if (scan->failed || kind >= sizeof kind_fields ||
        token.count - 2 < kind_fields[kind]) {
        return false;
    }
    (void)kc_scan_uint(scan, false); /* the time since the record before */
    scan->quiet = (scan->options.kinds >> kind & 1u) == 0;
    if (!scan->failed) {
        scan_kind(scan, (uint8_t)kind, token.count - 2, &owner);
    }
    if (scan->failed) {
        scan->leaf_count = leaves;
        return false;
    }
    scan->next_node += KIND_NODES >> kind & 1u;
    if (scan->leaf_count > leaves) {
        scan->records[scan->record_count++] =
            (struct kc_scan_hit){owner.node, owner.code,       owner.thread,
                                 index,      scan->leaf_count, (uint8_t)kind};
    }
    return true;
}

enum kc_status
kc_scan_walk(struct kc_scan *scan, const uint8_t *data, size_t len, uint64_t first_node,
             struct kc_scan_news *news)
{
    if (len > KC_SCAN_MAX_BYTES) {
        return KC_FULL;
    }
    if (scan->open) { /* what was asked has not been answered */
        kc_scan_forget_definitions(scan);
    }
    kc_texts_begin(&scan->texts, scan->open);
    scan->open = true;
    scan->walk = (struct kc_walk){data, data + len};
    scan->reference_count = 0;
    scan->leaf_count = 0;
    scan->record_count = 0;
    scan->call_count = 0;
    scan->next_node = first_node;
    size_t read_bytes = 0;
    uint32_t index = 0;
    while (read_bytes < len && scan_record(scan, index)) {
        index++;
        read_bytes = (size_t)(scan->walk.at - data);
    }
    *news = (struct kc_scan_news){
        .text = scan->texts.text,
        .text_bytes = scan->texts.text_bytes,
        .starts = scan->texts.starts,
        .text_count = scan->texts.text_count,
        .raw_count = scan->texts.raw_count,
        .references = scan->references,
        .reference_count = scan->reference_count,
        .call_count = scan->call_count,
        .read_bytes = read_bytes,
        .depth = scan->depth,
    };
    return read_bytes < len ? KC_CORRUPT : KC_OK;
}

const uint8_t *
kc_scan_borrow_raw(const struct kc_scan *scan, size_t index, size_t *len)
{
    const struct kc_texts_slot *slot = &scan->texts.slots[scan->texts.raw_slots[index]];
    *len = slot->len;
    return scan->texts.keys + slot->key;
}

void
kc_scan_match(struct kc_scan *scan, enum kc_scan_list list, size_t index)
{
    struct kc_texts *texts = &scan->texts;
    const struct kc_scan_reference *reference =
        &scan->references[index < scan->reference_count ? index : 0];
    switch (list) {
    case KC_SCAN_TEXTS:
        if (index < texts->text_count) {
            texts->slots[texts->text_slots[index]].verdict = KC_TEXTS_YES;
        }
        break;
    case KC_SCAN_RAWS:
        if (index < texts->raw_count) {
            texts->slots[texts->raw_slots[index]].verdict = KC_TEXTS_YES;
        }
        break;
    case KC_SCAN_REFERENCES:
        if (index < scan->reference_count) {
            unsigned shift = DEFINITION_SHIFT(reference->locals);
            uint8_t *known = &scan->definitions[reference->number];
            *known =
                (uint8_t)((*known & ~(3u << shift)) | (unsigned)KC_TEXTS_YES << shift);
        }
        break;
    case KC_SCAN_WANTED:
        if (index < scan->reference_count) {
            scan->definitions[reference->number] |= DEFINITION_WANTED;
        }
        break;
    }
}

/* What was asked for and did not match does not. */
static void
scan_answer(struct kc_scan *scan)
{
    struct kc_texts *texts = &scan->texts;
    for (uint32_t i = 0; i < texts->text_count; i++) {
        struct kc_texts_slot *slot = &texts->slots[texts->text_slots[i]];
        if (slot->verdict == KC_TEXTS_ASKED) {
            slot->verdict = KC_TEXTS_NO;
        }
    }
    for (uint32_t i = 0; i < texts->raw_count; i++) {
        struct kc_texts_slot *slot = &texts->slots[texts->raw_slots[i]];
        if (slot->verdict == KC_TEXTS_ASKED) {
            slot->verdict = KC_TEXTS_NO;
        }
    }
    for (size_t i = 0; i < scan->reference_count; i++) {
        unsigned shift = DEFINITION_SHIFT(scan->references[i].locals);
        uint8_t *known = &scan->definitions[scan->references[i].number];
        if (((unsigned)*known >> shift & 3u) == KC_TEXTS_ASKED) {
            *known =
                (uint8_t)((*known & ~(3u << shift)) | (unsigned)KC_TEXTS_NO << shift);
        }
    }
}

static bool
scan_leaf_matches(const struct kc_scan *scan, uint32_t leaf)
{
    if ((leaf & LEAF_DEFINITION) == 0) {
        return scan->texts.slots[leaf].verdict == KC_TEXTS_YES;
    }
    unsigned known = scan->definitions[leaf & KC_SCAN_MAX_NUMBER];
    return (known >> DEFINITION_SHIFT(leaf & LEAF_LOCALS) & 3u) == KC_TEXTS_YES;
}

/* Whether the record belongs to a call that was asked for, or to one that is not known:
 * that is for the caller to find out. */
static bool
scan_is_wanted(const struct kc_scan *scan, const struct kc_scan_hit *record)
{
    if (!scan->options.functions || record->code == 0) {
        return true;
    }
    return record->code < scan->definitions_room &&
           (scan->definitions[record->code] & DEFINITION_WANTED) != 0;
}

const struct kc_scan_hit *
kc_scan_settle(struct kc_scan *scan, size_t *count)
{
    size_t kept = 0;
    uint32_t leaf = 0;
    scan_answer(scan);
    scan->open = false;
    for (size_t i = 0; i < scan->record_count; i++) {
        const struct kc_scan_hit record = scan->records[i];
        bool hit = false;
        for (; leaf < record.leaves; leaf++) {
            hit = hit || scan_leaf_matches(scan, scan->leaves[leaf]);
        }
        if (hit && scan_is_wanted(scan, &record)) {
            scan->records[kept++] = record;
        }
    }
    scan->record_count = 0;
    *count = kept;
    return scan->records;
}
