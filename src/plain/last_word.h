/* last_word.h -- why a process ended, as far as it could say so, or can be told.
 *
 * A signal that ends the process, and functions that leave it without its exit handlers
 * running, are noted in the mapping's header at the last moment. The header also has
 * what tells later whether the system went down with it, or killed for want of memory.
 *
 * A signal's handler is ours only where it was the default; it notes the signal, puts
 * back what was there and has the signal come again. With `chain` it stands before
 * another's too: Python's faulthandler, which does the same.
 *
 * Threads: the handler on any; begin and end from one at a time; the rest from any.
 * Owns:    the dispositions that it changed, until kc_last_word_end().
 * Fails:   never: what cannot be known is not said.
 */

#ifndef KC_LAST_WORD_H
#define KC_LAST_WORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plain/mapping.h"

#define KC_CAUSE_UNKNOWN "interrupted"
#define KC_CAUSE_EXEC "exec"
#define KC_CAUSE_DOWN "system down"
#define KC_CAUSE_MEMORY "out of memory?" /* the system killed, perhaps this process */
#define KC_CAUSE_MOST_BYTES 32

enum kc_last_word {
    KC_LAST_WORD_NONE = 0,
    KC_LAST_WORD_SIGNAL = 1, /* its number */
    KC_LAST_WORD_EXIT = 2,   /* os._exit, its code */
    KC_LAST_WORD_EXEC = 3,
};

/* Where the system says how many it has killed: a test has a file of its own. */
extern const char *kc_last_word_vmstat;

/* From now on the process's last word goes to `header`. */
void kc_last_word_begin(struct kc_mapping_header *header, bool chain);

/* It goes nowhere any more, if it went to `header`, which is about to go. */
void kc_last_word_end(const struct kc_mapping_header *header);

/* The same in a forked child, where the handlers stay for its own session. */
void kc_last_word_forget(void);

/* Leave it; KC_LAST_WORD_NONE takes it back. From a signal's handler too. */
void kc_last_word_say(enum kc_last_word what, uint32_t number);

/* Note in `header` which system this is, and how many it has killed so far. */
void kc_last_word_note_system(struct kc_mapping_header *header);
/* The latter anew. */
void kc_last_word_note_kills(struct kc_mapping_header *header);

/* Why the dead process of `header` ended, in a word or two: "interrupted" where nobody
 * knows. */
void kc_last_word_tell(const struct kc_mapping_header *header, char *cause,
                       size_t room);

#endif
