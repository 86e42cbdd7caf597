/* front_vfs.c -- see front_vfs.h.
 *
 * A file of ours has the real one behind it, in the memory that SQLite gives for both.
 * What frees (closing, unlocking, unmapping) is never refused: SQLite does not ask. */

#include "front_vfs.h"

#include <sqlite3.h>
#include <string.h>

#include "check.h"

struct front_file {
    sqlite3_file base;
    sqlite3_file real[]; /* as many bytes as the real one takes */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs front_vfs;
static bool (*refuses)(void);

static sqlite3_file *
real_of(sqlite3_file *file)
{
    return ((struct front_file *)(void *)file)->real;
}

static int
file_close(sqlite3_file *file)
{
    return real_of(file)->pMethods->xClose(real_of(file));
}

static int
file_read(sqlite3_file *file, void *to, int len, sqlite3_int64 at)
{
    return refuses() ? SQLITE_IOERR_READ
                     : real_of(file)->pMethods->xRead(real_of(file), to, len, at);
}

/* A disk that gets full takes the first part: what is torn must not be taken for whole.
 */
static int
file_write(sqlite3_file *file, const void *from, int len, sqlite3_int64 at)
{
    if (!refuses()) {
        return real_of(file)->pMethods->xWrite(real_of(file), from, len, at);
    }
    if (len > 1) {
        (void)real_of(file)->pMethods->xWrite(real_of(file), from, len / 2, at);
    }
    return SQLITE_FULL;
}

static int
file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return refuses() ? SQLITE_IOERR_TRUNCATE
                     : real_of(file)->pMethods->xTruncate(real_of(file), size);
}

/* Whether the disk has it is nothing that a test could see, and takes most of the time.
 */
static int
file_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return refuses() ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int
file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return refuses() ? SQLITE_IOERR_FSTAT
                     : real_of(file)->pMethods->xFileSize(real_of(file), size);
}

static int
file_lock(sqlite3_file *file, int level)
{
    return refuses() ? SQLITE_IOERR_LOCK
                     : real_of(file)->pMethods->xLock(real_of(file), level);
}

static int
file_unlock(sqlite3_file *file, int level)
{
    return real_of(file)->pMethods->xUnlock(real_of(file), level);
}

static int
file_check_lock(sqlite3_file *file, int *locked)
{
    return refuses()
               ? SQLITE_IOERR_CHECKRESERVEDLOCK
               : real_of(file)->pMethods->xCheckReservedLock(real_of(file), locked);
}

static int
file_control(sqlite3_file *file, int what, void *argument)
{
    return real_of(file)->pMethods->xFileControl(real_of(file), what, argument);
}

static int
file_sector_size(sqlite3_file *file)
{
    return real_of(file)->pMethods->xSectorSize(real_of(file));
}

static int
file_traits(sqlite3_file *file)
{
    return real_of(file)->pMethods->xDeviceCharacteristics(real_of(file));
}

static int
file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **memory)
{
    return refuses() ? SQLITE_IOERR_SHMMAP
                     : real_of(file)->pMethods->xShmMap(real_of(file), page, size,
                                                        extend, memory);
}

static int
file_shm_lock(sqlite3_file *file, int offset, int count, int flags)
{
    if ((flags & SQLITE_SHM_LOCK) != 0 && refuses()) {
        return SQLITE_IOERR_SHMLOCK;
    }
    return real_of(file)->pMethods->xShmLock(real_of(file), offset, count, flags);
}

static void
file_shm_barrier(sqlite3_file *file)
{
    real_of(file)->pMethods->xShmBarrier(real_of(file));
}

static int
file_shm_unmap(sqlite3_file *file, int remove)
{
    return real_of(file)->pMethods->xShmUnmap(real_of(file), remove);
}

static const sqlite3_io_methods front_methods = {
    2, /* without xFetch: what is read goes through xRead */
    file_close,
    file_read,
    file_write,
    file_truncate,
    file_sync,
    file_size,
    file_lock,
    file_unlock,
    file_check_lock,
    file_control,
    file_sector_size,
    file_traits,
    file_shm_map,
    file_shm_lock,
    file_shm_barrier,
    file_shm_unmap,
    NULL,
    NULL,
};

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
         int *flags_out)
{
    (void)vfs;
    file->pMethods = NULL;
    if (refuses()) {
        return SQLITE_CANTOPEN;
    }
    int code = real_vfs->xOpen(real_vfs, name, real_of(file), flags, flags_out);
    if (real_of(file)->pMethods != NULL) {
        file->pMethods = &front_methods;
    }
    return code;
}

static int
vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    return refuses() ? SQLITE_IOERR_DELETE : real_vfs->xDelete(real_vfs, name, sync);
}

static int
vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *found)
{
    (void)vfs;
    return refuses() ? SQLITE_IOERR_ACCESS
                     : real_vfs->xAccess(real_vfs, name, flags, found);
}

void
front_vfs_register(bool (*refuse)(void))
{
    refuses = refuse;
    real_vfs = sqlite3_vfs_find(NULL);
    CHECK(real_vfs != NULL);
    front_vfs = *real_vfs;
    front_vfs.szOsFile = (int)sizeof(struct front_file) + real_vfs->szOsFile;
    front_vfs.zName = "front";
    front_vfs.xOpen = vfs_open;
    front_vfs.xDelete = vfs_delete;
    front_vfs.xAccess = vfs_access;
    CHECK_EQUAL(SQLITE_OK, sqlite3_vfs_register(&front_vfs, 1));
}
