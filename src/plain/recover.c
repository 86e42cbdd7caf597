/* recover.c -- see recover.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/recover.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plain/last_word.h"
#include "plain/mapping.h"
#include "plain/store.h"
#include "plain/wire.h"

#define RECOVER_INFO "{}" /* of a process that died before it could say more */
#define RECOVER_NUMBER_MOST ((uint64_t)INT64_MAX)

/* A block that is in use, and where it comes in the order of saving. */
struct recover_entry {
    uint64_t sequence;
    uint32_t index;
};

struct recovery {
    struct kc_mapping mapping;
    struct kc_store store;
    struct kc_recovered *recovered;
    struct kc_block
        *copy; /* what is checked is what is saved: nobody changes it between */
    struct recover_entry *entries;
    uint32_t entry_count;
    char cause[KC_CAUSE_MOST_BYTES];
    uint64_t seen_ns; /* when the process was last known to live */
};

static void
recover_note(struct kc_recovered *recovered, const char *path, const char *what)
{
    (void)snprintf(recovered->error, sizeof recovered->error, "%s: %s", path, what);
}

/* ---- checking a copied block ---- */

static void
recover_set_committed(struct kc_block *block, uint64_t bytes, uint64_t closes)
{
    atomic_store_explicit(&block->committed, closes << 32 | bytes,
                          memory_order_relaxed);
}

/* Cut counts that lead outside the block; false where there were any. */
static bool
recover_clamp_counts(struct kc_block *block)
{
    uint64_t bytes = kc_block_bytes(block);
    uint64_t closes = kc_block_close_count(block);
    bool sound = true;
    if (bytes > KC_BLOCK_DATA_BYTES) {
        bytes = KC_BLOCK_DATA_BYTES;
        sound = false;
    }
    uint64_t tail = closes * sizeof(struct kc_close);
    if (bytes + tail > KC_BLOCK_DATA_BYTES) {
        closes = 0;
        tail = 0;
        sound = false;
    }
    if (bytes + tail + (uint64_t)block->open_count * sizeof(uint64_t) >
        KC_BLOCK_DATA_BYTES) {
        block->open_count = 0;
        sound = false;
    }
    if (block->least_depth > block->start_depth) {
        block->least_depth = block->start_depth;
        sound = false;
    }
    recover_set_committed(block, bytes, closes);
    return sound;
}

/* Whether the numbers that say where the block belongs can be ours. */
static bool
recover_header_is_sound(const struct kc_block *block, enum kc_block_kind kind)
{
    return block->magic == KC_BLOCK_MAGIC && block->kind == kind &&
           block->sequence <= RECOVER_NUMBER_MOST &&
           block->base_ns <= RECOVER_NUMBER_MOST &&
           block->first_node <= RECOVER_NUMBER_MOST &&
           block->definition <= RECOVER_NUMBER_MOST;
}

/* Step over one array that starts with two unsigned numbers: a record's kind and dt, a
 * definition's kind and number. */
static bool
recover_walk_item(struct kc_walk *walk, uint64_t *kind, uint64_t *number)
{
    struct kc_walk inside = *walk;
    struct kc_token array;
    struct kc_token first;
    struct kc_token second;
    if (kc_walk_skip(walk) != KC_OK || kc_walk_next(&inside, &array) != KC_OK ||
        array.type != KC_TOKEN_ARRAY || array.count < 2 ||
        kc_walk_next(&inside, &first) != KC_OK ||
        kc_walk_next(&inside, &second) != KC_OK)
    {
        return false;
    }
    *kind = first.uint;
    *number = second.uint;
    return first.type == KC_TOKEN_UINT && second.type == KC_TOKEN_UINT;
}

static bool
recover_is_node(uint64_t kind)
{
    return kind == KC_KIND_CALL || kind == KC_KIND_ENTERED || kind == KC_KIND_REGION ||
           kind == KC_KIND_NOTE || kind == KC_KIND_LOG || kind == KC_KIND_PLUGIN;
}

/* Count the copy's records anew and cut it behind the last whole one: its header was
 * written for the next record when the process died. False where it was damaged. */
static bool
recover_check_records(struct kc_block *block)
{
    bool sound = recover_clamp_counts(block);
    struct kc_walk walk = {block->data, block->data + kc_block_bytes(block)};
    block->record_count = 0;
    block->node_count = 0;
    block->last_ns = block->base_ns;
    while (walk.at < walk.end) {
        const uint8_t *start = walk.at;
        uint64_t kind = 0;
        uint64_t dt = 0;
        if (!recover_walk_item(&walk, &kind, &dt) || kind > KC_KIND_CAUGHT ||
            dt > RECOVER_NUMBER_MOST - block->last_ns)
        {
            recover_set_committed(block, (uint64_t)(start - block->data),
                                  kc_block_close_count(block));
            return false;
        }
        block->last_ns += dt;
        block->record_count++;
        block->node_count += recover_is_node(kind);
    }
    return sound;
}

/* The whole definitions of the copy that are unsaved: bytes [*from, *to). False where
 * it was damaged. */
static bool
recover_check_definitions(struct kc_block *block, uint32_t *from, uint32_t *to)
{
    bool sound = recover_clamp_counts(block);
    uint32_t saved = atomic_load_explicit(&block->saved, memory_order_relaxed);
    struct kc_walk walk = {block->data, block->data + kc_block_bytes(block)};
    *from = saved == 0 ? 0 : UINT32_MAX;
    *to = 0;
    while (walk.at < walk.end) {
        uint64_t kind = 0;
        uint64_t number = 0;
        if (!recover_walk_item(&walk, &kind, &number)) {
            sound = false;
            break;
        }
        *to = (uint32_t)(walk.at - block->data);
        if (*to == saved) {
            *from = saved;
        }
    }
    if (*from == UINT32_MAX) {
        *from = 0; /* `saved` lies: the whole block again is better than a part */
        return false;
    }
    return sound;
}

/* ---- copying ---- */

static int
recover_compare(const void *left, const void *right)
{
    const struct recover_entry *a = left;
    const struct recover_entry *b = right;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

/* List the blocks of `kind` that are in use, in the order of their sequence. */
static void
recover_list(struct recovery *recovery, enum kc_block_kind kind)
{
    recovery->entry_count = 0;
    for (uint32_t i = 0; i < recovery->mapping.block_count; i++) {
        struct kc_block *block = &recovery->mapping.blocks[i];
        uint32_t state = atomic_load_explicit(&block->state, memory_order_acquire);
        bool used = state == KC_BLOCK_FILLING || state == KC_BLOCK_FULL;
        if (!used || atomic_load(&block->committed) == 0) {
            continue;
        }
        if (kind == KC_BLOCK_RECORDS &&
            !recover_header_is_sound(block, KC_BLOCK_RECORDS) &&
            !recover_header_is_sound(block, KC_BLOCK_DEFINITIONS))
        {
            recovery->recovered->damaged++;
        }
        if (recover_header_is_sound(block, kind)) {
            recovery->entries[recovery->entry_count].sequence = block->sequence;
            recovery->entries[recovery->entry_count].index = i;
            recovery->entry_count++;
        }
    }
    qsort(recovery->entries, recovery->entry_count, sizeof *recovery->entries,
          recover_compare);
}

static void
recover_copy(struct recovery *recovery, uint32_t entry)
{
    uint32_t index = recovery->entries[entry].index;
    memcpy(recovery->copy, &recovery->mapping.blocks[index], sizeof *recovery->copy);
}

static enum kc_status
recover_definitions(struct recovery *recovery)
{
    enum kc_status status = KC_OK;
    recover_list(recovery, KC_BLOCK_DEFINITIONS);
    for (uint32_t i = 0; i < recovery->entry_count && status == KC_OK; i++) {
        uint32_t from = 0;
        uint32_t to = 0;
        recover_copy(recovery, i);
        if (!recover_check_definitions(recovery->copy, &from, &to)) {
            recovery->recovered->damaged++;
        }
        if (from < to) {
            status = kc_store_definitions(&recovery->store, recovery->copy, from, to);
            recovery->recovered->definitions++;
        }
    }
    return status;
}

static enum kc_status
recover_records(struct recovery *recovery)
{
    uint64_t highest = 0;
    enum kc_status status =
        kc_store_ask(&recovery->store, "SELECT max(last) FROM definition", &highest);
    recover_list(recovery, KC_BLOCK_RECORDS);
    for (uint32_t i = 0; i < recovery->entry_count && status == KC_OK; i++) {
        struct kc_block *block = recovery->copy;
        uint64_t before = recovery->store.block_count;
        recover_copy(recovery, i);
        if (!recover_check_records(block)) {
            recovery->recovered->damaged++;
        }
        if (block->last_ns > recovery->seen_ns) {
            recovery->seen_ns = block->last_ns;
        }
        if (block->definition == 0) {
            block->definition = highest; /* it was never handed over */
        }
        if (block->record_count == 0) {
            continue;
        }
        status = kc_store_block(&recovery->store, block);
        if (recovery->store.block_count != before) {
            recovery->recovered->blocks++;
            recovery->recovered->records += block->record_count;
        }
    }
    return status;
}

/* A segment that was never created has no row of its process. */
static enum kc_status
recover_process(struct recovery *recovery)
{
    const struct kc_mapping_header *header = recovery->mapping.header;
    uint64_t rows = 0;
    enum kc_status status =
        kc_store_ask(&recovery->store, "SELECT count(*) FROM process", &rows);
    if (status == KC_OK && rows == 0) {
        status = kc_store_process(
            &recovery->store, header->process_id, atomic_load(&header->segment),
            header->pid, header->started_ns, header->started_utc_ns, RECOVER_INFO);
        if (status == KC_OK) {
            status = kc_store_anchor(&recovery->store, atomic_load(&header->anchor_ns),
                                     atomic_load(&header->anchor_utc_ns));
        }
    }
    return status;
}

static enum kc_status
recover_end(struct recovery *recovery)
{
    uint64_t last_ns = 0;
    kc_last_word_tell(recovery->mapping.header, recovery->cause,
                      sizeof recovery->cause);
    enum kc_status status =
        kc_store_ask(&recovery->store, "SELECT max(last_ns) FROM block", &last_ns);
    if (last_ns > recovery->seen_ns && last_ns <= RECOVER_NUMBER_MOST) {
        recovery->seen_ns = last_ns;
    }
    if (status == KC_OK) {
        status =
            kc_store_interrupt(&recovery->store, recovery->seen_ns, recovery->cause);
    }
    if (status == KC_OK) {
        status =
            kc_store_process_end(&recovery->store, recovery->seen_ns, recovery->cause);
    }
    return status;
}

static enum kc_status
recover_all(struct recovery *recovery)
{
    uint64_t anchor_ns = atomic_load(&recovery->mapping.header->anchor_ns);
    recovery->seen_ns = anchor_ns <= RECOVER_NUMBER_MOST ? anchor_ns : 0;
    enum kc_status status = kc_store_begin(&recovery->store);
    if (status == KC_OK) {
        status = recover_process(recovery);
    }
    if (status == KC_OK) {
        status = recover_definitions(recovery);
    }
    if (status == KC_OK) {
        status = recover_records(recovery);
    }
    if (status == KC_OK) {
        status = kc_store_drop(&recovery->store);
    }
    if (status == KC_OK) {
        status = recover_end(recovery);
    }
    if (status == KC_OK) {
        status = kc_store_commit(&recovery->store);
    }
    if (status != KC_OK) {
        kc_store_rollback(&recovery->store);
    }
    return status;
}

/* ---- opening ---- */

static enum kc_status
recover_open_mapping(struct recovery *recovery, const char *path)
{
    enum kc_status status = kc_mapping_open_dead(&recovery->mapping, path);
    switch (status) {
    case KC_OK:
        break;
    case KC_BUSY:
        recover_note(recovery->recovered, path,
                     "its process lives, or is being recovered");
        break;
    case KC_CORRUPT:
        recover_note(recovery->recovered, path, "not a mapping of this version");
        break;
    case KC_IO:
        (void)snprintf(recovery->recovered->error, sizeof recovery->recovered->error,
                       "%s: cannot be opened (errno %d)", path, errno);
        break;
    default:
        recover_note(recovery->recovered, path, "out of memory");
        break;
    }
    return status;
}

/* <directory>/<process id>.map gives the directory; NULL where the name is another. */
static char *
recover_directory(const char *path, const char *process_id)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t len = strlen(process_id);
    if (strncmp(name, process_id, len) != 0 || strcmp(name + len, ".map") != 0) {
        return NULL;
    }
    return slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path));
}

/* A rotation that did not come to its end left a copy of what the segment before it
 * has. No block can be in it; if there is one the header lies, and nothing is removed.
 */
static void
recover_remove_stillborn(const char *path, const char *schema, int schema_version)
{
    struct kc_store store;
    uint64_t blocks = 1;
    if (access(path, F_OK) != 0) {
        return;
    }
    enum kc_status status = kc_store_open(&store, path, schema, schema_version);
    if (status == KC_OK) {
        status = kc_store_ask(&store, "SELECT count(*) FROM block", &blocks);
    }
    kc_store_close(&store);
    if (status == KC_OK && blocks == 0) {
        kc_store_remove(path);
    }
}

static enum kc_status
recover_into_segment(struct recovery *recovery, const char *directory,
                     const char *segment_path, const char *schema, int schema_version,
                     int compress)
{
    enum kc_status status =
        kc_store_open(&recovery->store, segment_path, schema, schema_version);
    if (status == KC_OK) {
        recovery->store.compress = compress;
        status = recover_all(recovery);
    }
    if (status == KC_OK) {
        const struct kc_mapping_header *header = recovery->mapping.header;
        kc_store_drop_before(&recovery->store, directory, header->process_id,
                             atomic_load(&header->segment), schema, schema_version);
    }
    if (status != KC_OK) {
        (void)snprintf(recovery->recovered->error, sizeof recovery->recovered->error,
                       "%.*s", (int)sizeof recovery->recovered->error - 1,
                       kc_store_error(&recovery->store));
    }
    kc_store_close(&recovery->store);
    return status;
}

enum kc_status
kc_recover(const char *map_path, const char *schema, int schema_version, int compress,
           struct kc_recovered *recovered)
{
    struct recovery recovery;
    char *directory = NULL;
    char *segment_path = NULL;
    char *next_path = NULL;
    memset(&recovery, 0, sizeof recovery);
    memset(recovered, 0, sizeof *recovered);
    recovery.recovered = recovered;
    enum kc_status status = recover_open_mapping(&recovery, map_path);
    if (status != KC_OK) {
        return status;
    }
    const struct kc_mapping_header *header = recovery.mapping.header;
    uint64_t segment = atomic_load(&header->segment);
    recovered->lost_records = atomic_load(&header->lost_records);
    directory = recover_directory(map_path, header->process_id);
    if (directory == NULL) {
        recover_note(recovered, map_path, "does not bear its process's name");
        status = KC_CORRUPT;
        goto done;
    }
    segment_path = kc_store_path(directory, header->process_id, segment);
    next_path = kc_store_path(directory, header->process_id, segment + 1);
    recovery.copy = malloc(sizeof *recovery.copy);
    recovery.entries = calloc(recovery.mapping.block_count, sizeof *recovery.entries);
    if (segment_path == NULL || next_path == NULL || recovery.copy == NULL ||
        recovery.entries == NULL)
    {
        recover_note(recovered, map_path, "out of memory");
        status = KC_NO_MEMORY;
        goto done;
    }
    status = recover_into_segment(&recovery, directory, segment_path, schema,
                                  schema_version, compress);
    if (status == KC_OK) {
        recover_remove_stillborn(next_path, schema, schema_version);
    }

done:
    free(recovery.entries);
    free(recovery.copy);
    free(next_path);
    free(segment_path);
    free(directory);
    kc_mapping_destroy(&recovery.mapping, status == KC_OK);
    return status;
}
