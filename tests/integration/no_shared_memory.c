/* A file system on which processes share no memory, for LD_PRELOAD: to map a file as
 * shared fails, as it does on some of other machines' and of virtual ones. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/types.h>

typedef void *map(void *, size_t, int, int, int, off_t);

static void *
map_unless_shared(const char *name, void *at, size_t size, int prot, int flags, int fd,
                  off_t offset)
{
    if (fd >= 0 && (flags & MAP_SHARED) != 0) {
        errno = ENODEV;
        return MAP_FAILED;
    }
    return ((map *)dlsym(RTLD_NEXT, name))(at, size, prot, flags, fd, offset);
}

void *
mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    return map_unless_shared("mmap", at, size, prot, flags, fd, offset);
}

void *
mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    return map_unless_shared("mmap64", at, size, prot, flags, fd, offset);
}
