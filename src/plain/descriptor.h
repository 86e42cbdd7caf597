/* descriptor.h -- a file that we hold open, told apart from what its number may become.
 *
 * A program may close every descriptor there is (a daemon does), or put files of its
 * own at numbers that it takes for free: what we then write to, lock or close by number
 * would be the program's. So what is held for long is looked at before it is used.
 *
 * Threads: any; the file's owner sees to it that there is one at a time.
 * Owns:    nothing: the descriptor is its owner's.
 * Fails:   never.
 */

#ifndef KC_DESCRIPTOR_H
#define KC_DESCRIPTOR_H

#include <stdbool.h>
#include <sys/types.h>

#include "plain/status.h"

struct kc_descriptor {
    int fd;
    dev_t device;
    ino_t inode; /* 0: nobody could say */
};

/* What `fd` is from now on to be. */
void kc_descriptor_note(struct kc_descriptor *descriptor, int fd);

/* Whether it is that still, as far as can be seen: neither closed nor another file. */
KC_MUST_CHECK bool kc_descriptor_is_ours(const struct kc_descriptor *descriptor);

/* The lowest descriptors, among the first thousand, that are open on these files, of
 * which some need not be there; at most four, and as many as there are files. Returns
 * how many were found. */
int kc_descriptor_find(struct kc_descriptor *found, const char *const *paths,
                       int count);

#endif
