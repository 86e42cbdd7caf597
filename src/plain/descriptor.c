/* descriptor.c -- see descriptor.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/descriptor.h"

#include <errno.h>
#include <sys/stat.h>

#define DESCRIPTOR_FIRST 3 /* SQLite takes none of the standard ones, nor do we */
#define DESCRIPTOR_MOST 1024
#define DESCRIPTOR_PATHS 4

void
kc_descriptor_note(struct kc_descriptor *descriptor, int fd)
{
    struct stat about;
    bool known = fstat(fd, &about) == 0;
    descriptor->fd = fd;
    descriptor->device = known ? about.st_dev : 0;
    descriptor->inode = known ? about.st_ino : 0;
}

bool
kc_descriptor_is_ours(const struct kc_descriptor *descriptor)
{
    struct stat about;
    if (descriptor->inode == 0) {
        return true;
    }
    if (fstat(descriptor->fd, &about) != 0) {
        return errno != EBADF; /* it is open, and its disk may be in trouble */
    }
    return about.st_dev == descriptor->device && about.st_ino == descriptor->inode;
}

int
kc_descriptor_find(struct kc_descriptor *found, const char *const *paths, int count)
{
    struct stat named[DESCRIPTOR_PATHS];
    int wanted = 0;
    int have = 0;
    for (int i = 0; i < count && wanted < DESCRIPTOR_PATHS; i++) {
        wanted += stat(paths[i], &named[wanted]) == 0;
    }
    for (int fd = DESCRIPTOR_FIRST; fd < DESCRIPTOR_MOST && have < wanted; fd++) {
        kc_descriptor_note(&found[have], fd);
        for (int i = 0; i < wanted; i++) {
            if (found[have].device == named[i].st_dev &&
                found[have].inode == named[i].st_ino) {
                have++;
                break;
            }
        }
    }
    return have;
}
