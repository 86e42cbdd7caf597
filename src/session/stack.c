/* stack.c -- see stack.h. */

#include "session/stack.h"

#define STACK_INITIAL 64u
#define WAITING_INITIAL 64u

bool
kc_stack_grow(struct kc_stack *stack)
{
    uint32_t capacity = stack->capacity == 0 ? STACK_INITIAL : stack->capacity * 2;
    struct kc_entry *entries =
        PyMem_RawRealloc(stack->entries, capacity * sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    stack->entries = entries;
    stack->capacity = capacity;
    return true;
}

void
kc_stack_destroy(struct kc_stack *stack)
{
    while (stack->depth != 0) {
        struct kc_entry *entry = &stack->entries[--stack->depth];
        if (entry->plugin != NULL) {
            Py_CLEAR(entry->started);
        }
    }
    PyMem_RawFree(stack->entries);
    stack->entries = NULL;
    stack->depth = 0;
    stack->capacity = 0;
}

static uint32_t
waiting_home(const struct kc_waiting_table *table, const kc_frame *frame)
{
    return (uint32_t)(((uintptr_t)frame >> 4) * 0x9E3779B1u) & (table->capacity - 1);
}

static struct kc_waiting *
waiting_find(const struct kc_waiting_table *table, const kc_frame *frame)
{
    uint32_t at = waiting_home(table, frame);
    while (table->slots[at].frame != NULL && table->slots[at].frame != frame) {
        at = (at + 1) & (table->capacity - 1);
    }
    return &table->slots[at];
}

KC_COLD static bool
waiting_grow(struct kc_waiting_table *table)
{
    struct kc_waiting_table larger = {NULL, 0, table->count};
    larger.capacity = table->capacity == 0 ? WAITING_INITIAL : table->capacity * 2;
    larger.slots = PyMem_RawCalloc(larger.capacity, sizeof *larger.slots);
    if (larger.slots == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].frame != NULL) {
            *waiting_find(&larger, table->slots[i].frame) = table->slots[i];
        }
    }
    PyMem_RawFree(table->slots);
    *table = larger;
    return true;
}

void
kc_waiting_plugins_free(struct kc_waiting_plugins *plugins)
{
    for (uint32_t i = 0; plugins != NULL && i < plugins->count; i++) {
        Py_XDECREF(plugins->nodes[i].started);
    }
    PyMem_RawFree(plugins);
}

void
kc_waiting_destroy(struct kc_waiting_table *table)
{
    for (uint32_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].frame != NULL) {
            kc_waiting_plugins_free(table->slots[i].plugins);
        }
    }
    PyMem_RawFree(table->slots);
    *table = (struct kc_waiting_table){NULL, 0, 0};
}

bool
kc_waiting_add(struct kc_waiting_table *table, const struct kc_waiting *waiting)
{
    if (table->count >= KC_WAITING_MOST ||
        (table->count * 2 >= table->capacity && !waiting_grow(table)))
    {
        return false;
    }
    struct kc_waiting *slot = waiting_find(table, waiting->frame);
    struct kc_waiting_plugins *replaced = NULL;
    if (slot->frame == NULL) {
        table->count++;
    }
    else {
        replaced = slot->plugins; /* of one that ended unseen */
    }
    *slot = *waiting;
    kc_waiting_plugins_free(replaced); /* last: code may run */
    return true;
}

/* Close the gap at `at`: whatever was pushed past it by a collision moves back. */
static void
waiting_close_gap(struct kc_waiting_table *table, uint32_t at)
{
    uint32_t mask = table->capacity - 1;
    uint32_t next = (at + 1) & mask;
    while (table->slots[next].frame != NULL) {
        uint32_t home = waiting_home(table, table->slots[next].frame);
        if (((next - home) & mask) >= ((next - at) & mask)) {
            table->slots[at] = table->slots[next];
            at = next;
        }
        next = (next + 1) & mask;
    }
    table->slots[at].frame = NULL;
}

bool
kc_waiting_take(struct kc_waiting_table *table, kc_frame *frame, PyCodeObject *code,
                struct kc_waiting *waiting)
{
    if (table->count == 0) {
        return false;
    }
    struct kc_waiting *slot = waiting_find(table, frame);
    if (slot->frame == NULL) {
        return false;
    }
    *waiting = *slot;
    waiting_close_gap(table, (uint32_t)(slot - table->slots));
    table->count--;
    if (waiting->code != code) {
        /* The frame's address was used again for something else. */
        kc_waiting_plugins_free(waiting->plugins);
        return false;
    }
    return true;
}

const struct kc_waiting *
kc_waiting_borrow(const struct kc_waiting_table *table, const kc_frame *frame,
                  const PyCodeObject *code)
{
    if (table->count == 0) {
        return NULL;
    }
    const struct kc_waiting *slot = waiting_find(table, frame);
    return slot->frame != NULL && slot->code == code ? slot : NULL;
}
