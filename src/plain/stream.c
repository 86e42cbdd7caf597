/* stream.c -- see stream.h. */

#include "plain/stream.h"

uint8_t kc_stream_nowhere[1];

void
kc_stream_init(struct kc_stream *stream, uint32_t trace_number, uint32_t thread_number)
{
    memset(stream, 0, sizeof *stream);
    stream->trace_number = trace_number;
    stream->thread_number = thread_number;
    stream->next_node = 1;
}

void
kc_stream_give_block(struct kc_stream *stream, struct kc_block *block,
                     enum kc_block_kind kind, uint64_t now_ns)
{
    /* Nothing of the block is to be trusted before the header is whole. */
    atomic_store_explicit(&block->committed, 0, memory_order_release);
    atomic_store_explicit(&block->saved, 0, memory_order_release);
    if (now_ns > stream->last_ns) {
        stream->last_ns = now_ns;
    }
    block->kind = kind;
    block->trace_number = stream->trace_number;
    block->thread_number = stream->thread_number;
    block->start_depth = stream->depth;
    block->sequence = stream->next_sequence++;
    block->base_ns = stream->last_ns;
    block->first_node = stream->next_node;
    block->definition = 0;
    block->last_ns = stream->last_ns;
    block->node_count = 0;
    block->record_count = 0;
    block->least_depth = stream->depth;
    block->open_count = 0;
    block->magic = KC_BLOCK_MAGIC;
    atomic_store_explicit(&block->state, KC_BLOCK_FILLING, memory_order_release);
    stream->block = block;
    stream->at = block->data;
    /* Room for one more open or close always stays: 24 bytes. */
    stream->end = block->data + KC_BLOCK_DATA_BYTES - sizeof(struct kc_close);
    stream->close_count = 0;
}

struct kc_block *
kc_stream_take_block(struct kc_stream *stream, const struct kc_open *opens,
                     uint64_t definition)
{
    struct kc_block *block = stream->block;
    if (block == NULL) {
        return NULL;
    }
    /* What this block pushed lies above all that earlier ones pushed. */
    uint32_t first = opens == NULL ? stream->depth : 0;
    for (uint32_t i = stream->depth; i > first; i--) {
        if (opens[i - 1].sequence != block->sequence) {
            first = i;
            break;
        }
    }
    uint8_t *at = block->data + KC_BLOCK_DATA_BYTES -
                  kc_block_close_count(block) * sizeof(struct kc_close);
    for (uint32_t i = first; i < stream->depth; i++) {
        at -= sizeof opens[i].node;
        memcpy(at, &opens[i].node, sizeof opens[i].node);
    }
    block->open_count = stream->depth - first;
    block->definition = definition;
    stream->block = NULL;
    stream->at = NULL;
    stream->end = NULL;
    return block;
}

void
kc_stream_drop(struct kc_stream *stream, const struct kc_open *open)
{
    if (stream->block == NULL) {
        stream->depth--;
        return;
    }
    kc_stream_popped(stream, open);
}
