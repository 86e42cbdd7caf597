/* stream.h -- the records of one thread in one trace, written one by one into blocks.
 *
 * A record is written behind a private cursor and published by one release store of
 * `committed`; whoever reads the block, in this process or another, sees whole records
 * only. The stream also keeps what a block's header says: first node, depth, closes,
 * opens (docs/reference/wire-format.md, "Block").
 *
 *     struct kc_cursor cursor = kc_stream_begin(stream, now_ns, KC_KIND_CALL, 5);
 *     kc_wire_uint(&cursor, code);
 *     …
 *     if (cursor.status == KC_OK) {
 *         node = kc_stream_commit_push(stream, &cursor, now_ns);
 *     }
 *
 * Where cursor.status is KC_FULL the record did not fit: hand the block over with
 * kc_stream_take_block(), give the stream a new one with kc_stream_give_block(), and
 * write the record again.
 *
 * Threads: its own thread, or any that holds the GIL (or `lock`, without one).
 * Owns:    the block it fills, between give and take.
 * Fails:   kc_stream_begin() gives a cursor whose status is KC_FULL.
 */

#ifndef KC_STREAM_H
#define KC_STREAM_H

#include "plain/block.h"
#include "plain/clock.h"
#include "plain/wire.h"

struct kc_stream {
    struct kc_block *block; /* NULL: none yet */
    uint8_t *at;            /* where the next record goes; NULL without a block */
    uint8_t *end; /* it stays below: behind it are closes, and opens to come */
    uint64_t last_ns;
    uint64_t next_node; /* from 1 */
    uint32_t close_count;
    uint32_t depth; /* of the written stack */
    uint32_t trace_number;
    uint32_t thread_number;
    uint64_t next_sequence; /* of the next block */
};

/* A call on the written stack. The caller keeps these, in its own stack. */
struct kc_open {
    uint64_t node;
    uint64_t sequence; /* of the block in which it was pushed, last time */
};

extern uint8_t kc_stream_nowhere[1]; /* where a cursor without room points */

void kc_stream_init(struct kc_stream *stream, uint32_t trace_number,
                    uint32_t thread_number);

/* The stream fills `block` from now on (it must have none). Resets the block's header;
 * the next record's time counts from `now_ns`. */
void kc_stream_give_block(struct kc_stream *stream, struct kc_block *block,
                          enum kc_block_kind kind, uint64_t now_ns);

/* Take the block away, full or not; NULL where there is none. `opens` are the calls on
 * the stream's written stack, outermost first (`depth` of them): those pushed within
 * this block are written into it. */
struct kc_block *kc_stream_take_block(struct kc_stream *stream,
                                      const struct kc_open *opens, uint64_t definition);

/* The top of the stack, `open`, is gone without a record of its own: a MARK with the
 * new depth follows. */
void kc_stream_drop(struct kc_stream *stream, const struct kc_open *open);

/* A cursor at the end of the stream's records: the definitions log has neither kind nor
 * dt. KC_FULL where there is no block, or no room in it. */
static inline struct kc_cursor
kc_stream_begin_plain(struct kc_stream *stream)
{
    struct kc_cursor cursor = {stream->at, stream->at, stream->at, KC_FULL};
    ptrdiff_t room = stream->end - stream->at;
    if (KC_UNLIKELY(room <= 0)) {
        cursor.start = cursor.at = cursor.end = kc_stream_nowhere; /* never NULL */
        return cursor;
    }
    cursor.end = cursor.at + (room < KC_RECORD_MAX_BYTES ? room : KC_RECORD_MAX_BYTES);
    cursor.status = KC_OK;
    return cursor;
}

/* Open a record of `fields` fields after kind and dt. */
static inline struct kc_cursor
kc_stream_begin(struct kc_stream *stream, uint64_t now_ns, enum kc_kind kind,
                size_t fields)
{
    struct kc_cursor cursor = kc_stream_begin_plain(stream);
    if (KC_UNLIKELY(cursor.status != KC_OK)) {
        return cursor;
    }
    kc_wire_open_record(&cursor, (uint8_t)kind, fields + 2);
    kc_wire_uint(&cursor, kc_clock_after(stream->last_ns, now_ns) - stream->last_ns);
    return cursor;
}

/* Publish what ends at `at`; nothing of it was visible before. */
static inline void
kc_stream_publish(struct kc_stream *stream, uint8_t *at, uint64_t now_ns)
{
    struct kc_block *block = stream->block;
    stream->last_ns = kc_clock_after(stream->last_ns, now_ns);
    block->last_ns = stream->last_ns;
    block->record_count++;
    stream->at = at;
    atomic_store_explicit(&block->committed,
                          (uint64_t)stream->close_count << 32 |
                              (uint64_t)(at - block->data),
                          memory_order_release);
}

/* Publish the record. */
static inline void
kc_stream_commit(struct kc_stream *stream, const struct kc_cursor *cursor,
                 uint64_t now_ns)
{
    kc_stream_publish(stream, cursor->at, now_ns);
}

/* Publish a record that is a node without a duration (NOTE, LOG). */
static inline uint64_t
kc_stream_commit_node(struct kc_stream *stream, const struct kc_cursor *cursor,
                      uint64_t now_ns)
{
    stream->block->node_count++;
    kc_stream_commit(stream, cursor, now_ns);
    return stream->next_node++;
}

/* The stack of the stream is one deeper; its block keeps room for one more open. */
static inline struct kc_open
kc_stream_pushed(struct kc_stream *stream, uint64_t node)
{
    struct kc_open open = {node, stream->block->sequence};
    stream->depth++;
    stream->end -= sizeof open.node;
    return open;
}

/* Publish a record that pushes a new node (CALL, ENTERED, REGION, PLUGIN). */
static inline struct kc_open
kc_stream_commit_push(struct kc_stream *stream, const struct kc_cursor *cursor,
                      uint64_t now_ns)
{
    return kc_stream_pushed(stream, kc_stream_commit_node(stream, cursor, now_ns));
}

/* Publish a record that pushes a node again (RESUME, THROW). */
static inline struct kc_open
kc_stream_commit_push_again(struct kc_stream *stream, const struct kc_cursor *cursor,
                            uint64_t node, uint64_t now_ns)
{
    kc_stream_commit(stream, cursor, now_ns);
    return kc_stream_pushed(stream, node);
}

/* `open`, the top of the stack, is gone. */
static inline void
kc_stream_popped(struct kc_stream *stream, const struct kc_open *open)
{
    struct kc_block *block = stream->block;
    stream->depth--;
    if (KC_LIKELY(open->sequence == block->sequence)) {
        stream->end += sizeof open->node; /* it will not stay open */
    }
    else if (stream->depth < block->least_depth) {
        block->least_depth = stream->depth;
    }
}

/* Publish a record that takes `open`, the top of the stack, off. YIELD suspends it; all
 * others end it and, if an earlier block began it, it goes to the closes. `began` is
 * the sequence of the block that has its first record. */
static inline void
kc_stream_commit_pop(struct kc_stream *stream, const struct kc_cursor *cursor,
                     const struct kc_open *open, uint64_t began, enum kc_kind kind,
                     uint64_t now_ns)
{
    struct kc_block *block = stream->block;
    kc_stream_popped(stream, open);
    if (KC_UNLIKELY(began != block->sequence && kind != KC_KIND_YIELD)) {
        uint64_t end_ns = kc_clock_after(stream->last_ns, now_ns);
        struct kc_close close = {open->node, end_ns, (uint64_t)kind};
        stream->close_count++;
        stream->end -= sizeof close;
        memcpy(block->data + KC_BLOCK_DATA_BYTES - stream->close_count * sizeof close,
               &close, sizeof close);
    }
    kc_stream_commit(stream, cursor, now_ns);
}

#endif
