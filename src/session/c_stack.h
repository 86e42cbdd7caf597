/* c_stack.h -- how much of the running thread's C stack is left.
 *
 * Threads: each asks about itself.
 * Owns:    nothing.
 * Fails:   where the system does not say where a stack ends, it never is low.
 */

#ifndef KC_C_STACK_H
#define KC_C_STACK_H

#include <stdbool.h>
#include <stdint.h>

/* Less than this, or than half of a small stack, is little: whatever runs below must do
 * with it. */
#define KC_C_STACK_RESERVE (512u * 1024u)

/* Addresses below it are the reserve; 0: not looked up yet. */
extern _Thread_local uintptr_t kc_c_stack_reserve;

/* Look it up. */
uintptr_t kc_c_stack_find_reserve(void);

static inline bool
kc_c_stack_is_low(void)
{
    uintptr_t reserve = kc_c_stack_reserve;
    if (__builtin_expect(reserve == 0, 0)) {
        reserve = kc_c_stack_find_reserve();
    }
    return (uintptr_t)__builtin_frame_address(0) < reserve;
}

#endif
