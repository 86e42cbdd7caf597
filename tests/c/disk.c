/* disk.c -- see disk.h. */

#include "disk.h"

#include <pthread.h>

#include "front_vfs.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool is_stalled;
static int waiting;

void
disk_stall(bool stalled)
{
    (void)pthread_mutex_lock(&lock);
    is_stalled = stalled;
    (void)pthread_cond_broadcast(&moved);
    (void)pthread_mutex_unlock(&lock);
}

bool
disk_is_awaited(void)
{
    (void)pthread_mutex_lock(&lock);
    bool awaited = waiting != 0;
    (void)pthread_mutex_unlock(&lock);
    return awaited;
}

static bool
disk_wait(void)
{
    (void)pthread_mutex_lock(&lock);
    waiting++;
    while (is_stalled) {
        (void)pthread_cond_wait(&moved, &lock);
    }
    waiting--;
    (void)pthread_mutex_unlock(&lock);
    return false;
}

void
disk_install(void)
{
    front_vfs_register(disk_wait);
}
