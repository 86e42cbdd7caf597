/* c_stack.c -- see c_stack.h. */

#define _GNU_SOURCE 1 /* pthread_getattr_np() */

#include "session/c_stack.h"

#include <pthread.h>
#include <stddef.h>

_Thread_local uintptr_t kc_c_stack_reserve;

/* The lowest address of the running thread's stack, and its size; 0 where nobody says.
 */
static uintptr_t
c_stack_end(size_t *size)
{
#if defined(__APPLE__)
    pthread_t self = pthread_self();
    *size = pthread_get_stacksize_np(self);
    return (uintptr_t)pthread_get_stackaddr_np(self) - *size;
#elif defined(__linux__)
    pthread_attr_t attributes;
    void *end = NULL;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) {
        return 0;
    }
    (void)pthread_attr_getstack(&attributes, &end, size);
    (void)pthread_attr_destroy(&attributes);
    return (uintptr_t)end;
#else
    *size = 0;
    return 0;
#endif
}

uintptr_t
kc_c_stack_find_reserve(void)
{
    size_t size = 0;
    uintptr_t end = c_stack_end(&size);
    size_t reserve = size / 2 < KC_C_STACK_RESERVE ? size / 2 : KC_C_STACK_RESERVE;
    kc_c_stack_reserve = end != 0 ? end + reserve : 1;
    return kc_c_stack_reserve;
}
