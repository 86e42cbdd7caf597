/* store_definitions.c -- see store.h: the definitions log, and the rows made from it.
 */

#include "plain/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "plain/row.h"
#include "plain/source.h"

#define DEFINITION_FIELDS                                                              \
    10 /* of the longest that becomes a row, kind and number too */

/* One definition: its plain fields; a container counts as nil here. */
struct definition {
    struct kc_token fields[DEFINITION_FIELDS];
    uint32_t count;
};

static enum kc_status
definition_read(struct kc_walk *walk, struct definition *definition)
{
    struct kc_token array;
    memset(definition, 0, sizeof *definition);
    enum kc_status status = kc_walk_next(walk, &array);
    if (status != KC_OK) {
        return status;
    }
    if (array.type != KC_TOKEN_ARRAY || array.count < 2) {
        return KC_CORRUPT;
    }
    definition->count = array.count;
    for (uint32_t i = 0; i < array.count; i++) {
        struct kc_walk start = *walk;
        struct kc_token token;
        status = kc_walk_next(walk, &token);
        if (status == KC_OK &&
            (token.type == KC_TOKEN_ARRAY || token.type == KC_TOKEN_MAP)) {
            *walk = start;
            status = kc_walk_skip(walk);
            memset(&token, 0, sizeof token);
        }
        if (status != KC_OK) {
            return status;
        }
        if (i < DEFINITION_FIELDS) {
            definition->fields[i] = token;
        }
    }
    bool sound = definition->fields[0].type == KC_TOKEN_UINT &&
                 definition->fields[1].type == KC_TOKEN_UINT;
    return sound ? KC_OK : KC_CORRUPT;
}

/* A text that must not be NULL in its column. */
static void
definition_bind_text(struct kc_row *row, const struct kc_token *token)
{
    if (token->type == KC_TOKEN_STR) {
        kc_row_text_token(row, token);
    }
    else {
        kc_row_text(row, "", 0);
    }
}

/* number, trace number, id, kind, name, parent, start_ns, start_utc_ns, attributes */
static enum kc_status
definition_save_trace(struct kc_store *store, const struct definition *definition)
{
    const struct kc_token *fields = definition->fields;
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_TRACE);
    kc_row_uint_token(&row, &fields[2]);
    definition_bind_text(&row, &fields[3]);
    definition_bind_text(&row, &fields[4]);
    definition_bind_text(&row, &fields[5]);
    kc_row_text_token(&row, &fields[6]);
    kc_row_uint_token(&row, &fields[7]);
    kc_row_uint_token(&row, &fields[8]);
    kc_row_text_token(&row, &fields[9]);
    return kc_row_run(&row, NULL);
}

/* number, trace number, end_ns, cause, counters, name, attributes */
static enum kc_status
definition_save_trace_end(struct kc_store *store, const struct definition *definition)
{
    const struct kc_token *fields = definition->fields;
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_TRACE_END);
    kc_row_uint_token(&row, &fields[2]);
    kc_row_uint_token(&row, &fields[3]);
    kc_row_text_token(&row, &fields[4]);
    kc_row_text_token(&row, &fields[5]);
    kc_row_text_token(&row, &fields[6]);
    kc_row_text_token(&row, &fields[7]);
    return kc_row_run(&row, NULL);
}

/* number, trace number, name, attributes */
static enum kc_status
definition_save_trace_set(struct kc_store *store, const struct definition *definition)
{
    const struct kc_token *fields = definition->fields;
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_TRACE_SET);
    kc_row_uint_token(&row, &fields[2]);
    kc_row_text_token(&row, &fields[3]);
    kc_row_text_token(&row, &fields[4]);
    return kc_row_run(&row, NULL);
}

/* number, trace number, first segment; for kc_store_drop() */
static enum kc_status
definition_note_drop(struct kc_store *store, const struct definition *definition)
{
    const struct kc_token *fields = definition->fields;
    if (fields[2].type != KC_TOKEN_UINT || fields[3].type != KC_TOKEN_UINT) {
        return KC_OK;
    }
    if (store->drop_count == store->drop_room) {
        uint32_t room = store->drop_room == 0 ? 16 : store->drop_room * 2;
        struct kc_drop *drops = realloc(store->drops, room * sizeof *drops);
        if (drops == NULL) {
            return kc_row_fail_memory(store);
        }
        store->drops = drops;
        store->drop_room = room;
    }
    struct kc_drop drop = {fields[2].uint, fields[3].uint};
    store->drops[store->drop_count++] = drop;
    return KC_OK;
}

/* number, thread number, name, ident, native id */
static enum kc_status
definition_save_thread(struct kc_store *store, const struct definition *definition)
{
    const struct kc_token *fields = definition->fields;
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_THREAD);
    kc_row_uint_token(&row, &fields[2]);
    kc_row_text_token(&row, &fields[3]);
    kc_row_uint_token(&row, &fields[4]);
    kc_row_uint_token(&row, &fields[5]);
    return kc_row_run(&row, NULL);
}

/* The text, compressed where that is shorter. */
static enum kc_status
definition_insert_source(struct kc_store *store, const struct kc_source *source)
{
    const char *stored = source->text;
    size_t stored_len = source->len;
    size_t room = ZSTD_compressBound(source->len);
    char *buffer = malloc(room);
    if (buffer == NULL) {
        return kc_row_fail_memory(store);
    }
    if (store->compress != 0) {
        size_t short_len = ZSTD_compressCCtx(store->zstd, buffer, room, source->text,
                                             source->len, store->compress);
        if (!ZSTD_isError(short_len) && short_len < source->len) {
            stored = buffer;
            stored_len = short_len;
        }
    }
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_SOURCE);
    kc_row_text(&row, source->hash, strlen(source->hash));
    kc_row_uint(&row, source->len);
    kc_row_uint(&row, source->mask_count);
    kc_row_uint(&row, stored == buffer);
    kc_row_blob(&row, stored, stored_len);
    enum kc_status status = kc_row_run(&row, NULL);
    if (status == KC_OK) {
        store->stored_bytes += stored_len;
        store->mask_count += source->mask_count;
    }
    free(buffer);
    return status;
}

static enum kc_status
definition_save_source(struct kc_store *store, const struct kc_source *source)
{
    bool found = false;
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_HAS_SOURCE);
    kc_row_text(&row, source->hash, strlen(source->hash));
    enum kc_status status = kc_row_run(&row, &found);
    if (status == KC_OK && !found) {
        status = definition_insert_source(store, source);
    }
    return status;
}

/* number, path, size, mtime_ns or nil, text or nil */
static enum kc_status
definition_save_file(struct kc_store *store, const struct definition *definition)
{
    const struct kc_token *fields = definition->fields;
    const struct kc_token *path = &fields[2];
    const struct kc_token *text = &fields[5];
    struct kc_source source = {.note = "no such file"};
    enum kc_status status = KC_OK;
    if (text->type == KC_TOKEN_STR) {
        status = kc_source_copy(&source, (const char *)text->bytes, text->count);
    }
    else if (path->type == KC_TOKEN_STR && fields[3].type == KC_TOKEN_UINT &&
             fields[4].type == KC_TOKEN_UINT)
    {
        status = kc_source_read(&source, (const char *)path->bytes, path->count,
                                fields[3].uint, fields[4].uint);
    }
    if (status == KC_NO_MEMORY) {
        return kc_row_fail_memory(store);
    }
    if (status == KC_OK && source.text != NULL) {
        status = definition_save_source(store, &source);
    }
    if (status == KC_OK) {
        struct kc_row row = kc_row_begin(store, KC_STATEMENT_FILE);
        kc_row_uint_token(&row, &fields[1]);
        definition_bind_text(&row, path);
        if (source.text != NULL) {
            kc_row_text(&row, source.hash, strlen(source.hash));
            kc_row_null(&row);
        }
        else {
            kc_row_null(&row);
            kc_row_text(&row, source.note, strlen(source.note));
        }
        status = kc_row_run(&row, NULL);
    }
    kc_source_destroy(&source);
    return status;
}

static enum kc_status
definition_save(struct kc_store *store, const struct definition *definition)
{
    switch (definition->fields[0].uint) {
    case KC_DEF_TRACE:
        return definition_save_trace(store, definition);
    case KC_DEF_TRACE_END:
        return definition_save_trace_end(store, definition);
    case KC_DEF_TRACE_SET:
        return definition_save_trace_set(store, definition);
    case KC_DEF_TRACE_DROP:
        return definition_note_drop(store, definition);
    case KC_DEF_THREAD:
        return definition_save_thread(store, definition);
    case KC_DEF_FILE:
        return definition_save_file(store, definition);
    default:
        return KC_OK; /* readers take it from the log */
    }
}

enum kc_status
kc_store_definitions(struct kc_store *store, const struct kc_block *block,
                     uint32_t from, uint32_t to)
{
    if (from > to || to > KC_BLOCK_DATA_BYTES) {
        (void)snprintf(store->error, sizeof store->error,
                       "%s: a definitions block's counts are wrong", store->path);
        return KC_CORRUPT;
    }
    if (from == to) {
        return KC_OK;
    }
    uint64_t first = 0;
    uint64_t last = 0;
    struct kc_walk walk = {block->data + from, block->data + to};
    while (walk.at < walk.end) {
        struct definition definition;
        if (definition_read(&walk, &definition) != KC_OK) {
            break;
        }
        enum kc_status status = definition_save(store, &definition);
        if (status != KC_OK) {
            return status;
        }
        uint64_t number = definition.fields[1].uint;
        first = first == 0 ? number : first;
        last = number > last ? number : last;
    }
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_DEFINITION);
    kc_row_uint(&row, block->sequence);
    kc_row_uint(&row, from);
    kc_row_uint(&row, first);
    kc_row_uint(&row, last);
    kc_row_blob(&row, block->data + from, to - from);
    enum kc_status status = kc_row_run(&row, NULL);
    if (status == KC_OK) {
        store->stored_bytes += to - from;
    }
    return status;
}
