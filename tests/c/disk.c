/* disk.c -- see disk.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "disk.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "check.h"

/* What SQLite sees as a file; the usual VFS's own comes behind it. */
struct disk_file {
    sqlite3_file base;
    sqlite3_file *real;
};

static sqlite3_vfs disk;
static sqlite3_vfs *usual;
static atomic_long steps;
static atomic_long failing_step;
static atomic_int failing_code;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool is_stalled;
static int waiting;

void
disk_fail_at(long step)
{
    atomic_store(&steps, 0);
    atomic_store(&failing_step, step);
}

void
disk_fail_all(int code)
{
    atomic_store(&failing_code, code);
}

long
disk_steps(void)
{
    return atomic_load(&steps);
}

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

/* 0, or how this step fails. */
static int
disk_step(int code)
{
    (void)pthread_mutex_lock(&lock);
    waiting++;
    while (is_stalled) {
        (void)pthread_cond_wait(&moved, &lock);
    }
    waiting--;
    (void)pthread_mutex_unlock(&lock);
    if (atomic_fetch_add(&steps, 1) + 1 == atomic_load(&failing_step)) {
        return code;
    }
    return atomic_load(&failing_code);
}

static sqlite3_file *
real_of(sqlite3_file *file)
{
    return ((struct disk_file *)(void *)file)->real;
}

static int
disk_close(sqlite3_file *file)
{
    sqlite3_file *real = real_of(file);
    return real->pMethods != NULL ? real->pMethods->xClose(real) : SQLITE_OK;
}

static int
disk_read(sqlite3_file *file, void *data, int len, sqlite3_int64 at)
{
    return real_of(file)->pMethods->xRead(real_of(file), data, len, at);
}

static int
disk_write(sqlite3_file *file, const void *data, int len, sqlite3_int64 at)
{
    int code = disk_step(SQLITE_FULL);
    if (code == SQLITE_FULL && len > 1) { /* a full disk takes a part */
        (void)real_of(file)->pMethods->xWrite(real_of(file), data, len / 2, at);
    }
    return code != SQLITE_OK
               ? code
               : real_of(file)->pMethods->xWrite(real_of(file), data, len, at);
}

static int
disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    int code = disk_step(SQLITE_IOERR_TRUNCATE);
    return code != SQLITE_OK ? code
                             : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

static int
disk_sync(sqlite3_file *file, int flags)
{
    int code = disk_step(SQLITE_IOERR_FSYNC);
    return code != SQLITE_OK ? code
                             : real_of(file)->pMethods->xSync(real_of(file), flags);
}

static int
disk_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int
disk_lock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
disk_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
disk_check_lock(sqlite3_file *file, int *held)
{
    return real_of(file)->pMethods->xCheckReservedLock(real_of(file), held);
}

static int
disk_control(sqlite3_file *file, int operation, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), operation, argument);
}

static int
disk_sector(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
disk_characteristics(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int
disk_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory)
{
    int code = disk_step(SQLITE_IOERR_SHMMAP);
    *memory = NULL;
    return code != SQLITE_OK ? code
                             : real_of(file)->pMethods->xShmMap(real_of(file), page,
                                                                size, extend, memory);
}

static int
disk_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, n, flags);
}

static void
disk_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int
disk_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2, /* without xFetch: reads come through xRead */
    .xClose = disk_close,
    .xRead = disk_read,
    .xWrite = disk_write,
    .xTruncate = disk_truncate,
    .xSync = disk_sync,
    .xFileSize = disk_size,
    .xLock = disk_lock,
    .xUnlock = disk_unlock,
    .xCheckReservedLock = disk_check_lock,
    .xFileControl = disk_control,
    .xSectorSize = disk_sector,
    .xDeviceCharacteristics = disk_characteristics,
    .xShmMap = disk_shm_map,
    .xShmLock = disk_shm_lock,
    .xShmBarrier = disk_shm_barrier,
    .xShmUnmap = disk_shm_unmap,
};

static int
disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *got)
{
    struct disk_file *opened = (struct disk_file *)(void *)file;
    (void)vfs;
    memset(opened, 0, sizeof *opened);
    opened->real = (sqlite3_file *)(void *)(opened + 1);
    int code = disk_step(SQLITE_CANTOPEN);
    if (code == SQLITE_OK) {
        code = usual->xOpen(usual, name, opened->real, flags, got);
    }
    if (code == SQLITE_OK) {
        opened->base.pMethods = &methods;
    }
    return code;
}

void
disk_install(void)
{
    usual = sqlite3_vfs_find(NULL);
    CHECK(usual != NULL);
    disk = *usual;
    disk.zName = "disk";
    disk.szOsFile = usual->szOsFile + (int)sizeof(struct disk_file);
    disk.pNext = NULL;
    disk.xOpen = disk_open;
    CHECK_EQUAL(SQLITE_OK, sqlite3_vfs_register(&disk, 1));
}
