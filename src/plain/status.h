/* status.h -- how functions of plain/ fail, and the attributes they are declared with.
 *
 * Threads: none. Owns: nothing. Fails: never.
 */

#ifndef KC_STATUS_H
#define KC_STATUS_H

enum kc_status {
    KC_OK = 0,
    KC_FULL,      /* no room: in the record, the block, the pool or the queue */
    KC_CLOSED,    /* the other side has stopped */
    KC_NO_MEMORY, /* an allocation was refused */
    KC_IO,        /* a system call failed; errno says why */
    KC_STORE,     /* SQLite refused; kc_store_error() says why */
    KC_CORRUPT,   /* bytes that no writer of ours can have written */
    KC_TIMEOUT,
    KC_BUSY /* its owner lives */
};

#define KC_MUST_CHECK __attribute__((warn_unused_result))
#define KC_COLD __attribute__((cold, noinline))
#define KC_LIKELY(x) __builtin_expect(!!(x), 1)
#define KC_UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
