/* block.h -- a fixed run of encoded records, the unit handed between threads.
 *
 * A block belongs to exactly one party at a time: the stream filling it, the queue, or
 * the writer. It lives in the shared mapping, so it holds no pointers; its layout is
 * part of the wire format (docs/reference/wire-format.md). Records grow from the front
 * of `data`, closes and opens from the end.
 *
 * Threads: written by its owner only. `state`, `committed` and `saved` are atomic: a
 *          reader in another process trusts nothing else without looking at them again.
 * Owns:    nothing.
 * Fails:   never.
 */

#ifndef KC_BLOCK_H
#define KC_BLOCK_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define KC_BLOCK_BYTES 65536u
#define KC_BLOCK_HEADER_BYTES 96u
#define KC_BLOCK_DATA_BYTES (KC_BLOCK_BYTES - KC_BLOCK_HEADER_BYTES)
#define KC_BLOCK_MAGIC 0x6b6f6c6fu
#define KC_RECORD_MAX_BYTES 32768u

enum kc_block_state { KC_BLOCK_FREE = 0, KC_BLOCK_FILLING = 1, KC_BLOCK_FULL = 2 };
enum kc_block_kind { KC_BLOCK_RECORDS = 1, KC_BLOCK_DEFINITIONS = 2 };

struct kc_block {
    _Atomic uint32_t state;
    uint32_t kind;
    uint32_t generation;
    uint32_t trace_number;
    uint32_t thread_number;
    uint32_t start_depth;
    uint64_t sequence;
    uint64_t base_ns;
    uint64_t first_node;
    uint64_t definition;        /* highest one needed; set when handed over */
    _Atomic uint64_t committed; /* low 32 bits: bytes; high 32 bits: closes */
    uint64_t last_ns;
    uint32_t node_count;
    uint32_t record_count;
    uint32_t least_depth;
    uint32_t open_count;
    _Atomic uint32_t saved; /* definitions: bytes that SQLite has */
    uint32_t magic;
    uint8_t data[KC_BLOCK_DATA_BYTES];
};

struct kc_close {
    uint64_t node;
    uint64_t end_ns;
    uint64_t kind;
};

_Static_assert(sizeof(struct kc_block) == KC_BLOCK_BYTES,
               "the block's layout is fixed");
_Static_assert(offsetof(struct kc_block, committed) == 56, "see wire-format.md");
_Static_assert(offsetof(struct kc_block, data) == KC_BLOCK_HEADER_BYTES,
               "see wire-format.md");

static inline uint32_t
kc_block_bytes(const struct kc_block *block)
{
    return (uint32_t)atomic_load_explicit(
        (_Atomic uint64_t *)(uintptr_t)&block->committed, memory_order_acquire);
}

static inline uint32_t
kc_block_close_count(const struct kc_block *block)
{
    return (
        uint32_t)(atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)&block->committed,
                                       memory_order_acquire) >>
                  32);
}

#endif
