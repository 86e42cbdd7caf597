/* faulty.c -- see faulty.h; the files of SQLite are in front_vfs.c. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "faulty.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <zstd.h>

#include "check.h"
#include "front_vfs.h"

/* Under a sanitizer a round takes longer: there, of a long row, every seventh refusal
 * must do; under valgrind, fewer still (the environment's FAULT_STRIDE). */
#ifndef FAULT_STRIDE
#define FAULT_STRIDE 1
#endif
#define SHORT_ROW 50
#define MOST_REFUSALS 20000

static long stride = FAULT_STRIDE;
static atomic_long fail_at; /* 0: none */
static atomic_long seen;
static atomic_long held; /* allocations */
static atomic_int kinds_refused;
static atomic_bool refused_lasts;

/* Whether this call is the one to be refused. */
static bool
fault_refused(enum fault_kind kind)
{
    if ((atomic_load(&kinds_refused) & (int)kind) == 0) {
        return false;
    }
    long call = atomic_fetch_add(&seen, 1) + 1;
    long at = atomic_load(&fail_at);
    return call == at || (at != 0 && call > at && atomic_load(&refused_lasts));
}

bool
fault_was_met(void)
{
    return atomic_load(&seen) >= atomic_load(&fail_at);
}

long
fault_suspend(void)
{
    return atomic_exchange(&fail_at, 0);
}

void
fault_resume(long suspended, bool anew)
{
    if (anew) {
        atomic_store(&seen, 0);
    }
    atomic_store(&fail_at, suspended);
}

static long
open_files(void)
{
    long count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return count;
}

void
fault_each(bool (*round)(void), const char *name, int kinds, bool lasting)
{
    long rounds = 0;
    long refusals = 0;
    atomic_store(&refused_lasts, lasting);
    for (bool complete = false; !complete; rounds++) {
        CHECK(refusals < MOST_REFUSALS);
        if (refusals >= MOST_REFUSALS) {
            break;
        }
        int failed = atomic_load(&check_failed_count);
        long held_before = atomic_load(&held);
        long files_before = open_files();
        atomic_store(&kinds_refused, kinds);
        fault_resume(refusals + 1, true);
        complete = round() && atomic_load(&seen) <= refusals;
        (void)fault_suspend();
        atomic_store(&kinds_refused, 0);
        CHECK_EQUAL(held_before, atomic_load(&held));
        CHECK_EQUAL(files_before, open_files());
        if (atomic_load(&check_failed_count) != failed) {
            (void)fprintf(stderr, "%s: after refusal %ld\n", name, refusals + 1);
        }
        refusals += refusals < SHORT_ROW ? 1 : stride;
    }
    (void)printf("%-14s %ld %s refused in turn%s\n", name, rounds - 1,
                 (kinds & FAULT_MEMORY) != 0 ? "allocations" : "calls",
                 lasting ? ", and all after it" : "");
}

/* ---- memory ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t len);
void __real_free(void *memory);
ZSTD_CCtx *__real_ZSTD_createCCtx(void);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t len);
void __wrap_free(void *memory);
ZSTD_CCtx *__wrap_ZSTD_createCCtx(void);

static void *
count_held(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_add(&held, 1);
    }
    return memory;
}

void *
__wrap_malloc(size_t size)
{
    return fault_refused(FAULT_MEMORY) ? NULL : count_held(__real_malloc(size));
}

void *
__wrap_calloc(size_t count, size_t size)
{
    return fault_refused(FAULT_MEMORY) ? NULL : count_held(__real_calloc(count, size));
}

void *
__wrap_realloc(void *memory, size_t size)
{
    if (fault_refused(FAULT_MEMORY)) {
        return NULL;
    }
    void *moved = __real_realloc(memory, size);
    return memory == NULL ? count_held(moved) : moved;
}

char *
__wrap_strdup(const char *text)
{
    return fault_refused(FAULT_MEMORY) ? NULL : count_held(__real_strdup(text));
}

char *
__wrap_strndup(const char *text, size_t len)
{
    return fault_refused(FAULT_MEMORY) ? NULL : count_held(__real_strndup(text, len));
}

void
__wrap_free(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_sub(&held, 1);
    }
    __real_free(memory);
}

ZSTD_CCtx *
__wrap_ZSTD_createCCtx(void)
{
    return fault_refused(FAULT_MEMORY) ? NULL : __real_ZSTD_createCCtx();
}

/* ---- the same for SQLite, which has its own copy of malloc ---- */

static sqlite3_mem_methods sqlite_memory;

static bool
disk_refused(void)
{
    return fault_refused(FAULT_DISK);
}

static void *
sqlite_malloc(int size)
{
    return fault_refused(FAULT_SQLITE) ? NULL : count_held(sqlite_memory.xMalloc(size));
}

static void
sqlite_free(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_sub(&held, 1);
    }
    sqlite_memory.xFree(memory);
}

static void *
sqlite_realloc(void *memory, int size)
{
    return fault_refused(FAULT_SQLITE) ? NULL : sqlite_memory.xRealloc(memory, size);
}

void
fault_init(void)
{
    sqlite3_mem_methods wrapped;
    const char *told = getenv("FAULT_STRIDE");
    stride = told != NULL && atol(told) > 0 ? atol(told) : stride;
    CHECK_EQUAL(SQLITE_OK, sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory));
    wrapped = sqlite_memory;
    wrapped.xMalloc = sqlite_malloc;
    wrapped.xFree = sqlite_free;
    wrapped.xRealloc = sqlite_realloc;
    CHECK_EQUAL(SQLITE_OK, sqlite3_config(SQLITE_CONFIG_MALLOC, &wrapped));
    CHECK_EQUAL(SQLITE_OK, sqlite3_initialize());
    front_vfs_register(disk_refused);
}

/* ---- disk: what the system says, and nothing done ---- */

/* A function that says -1 and errno, and takes so many arguments. */
#define REFUSE_1(type, name, error, type_a)                                            \
    type __real_##name(type_a a);                                                      \
    type __wrap_##name(type_a a);                                                      \
    type __wrap_##name(type_a a)                                                       \
    {                                                                                  \
        return fault_refused(FAULT_DISK) ? (errno = (error), -1) : __real_##name(a);   \
    }
#define REFUSE_2(type, name, error, type_a, type_b)                                    \
    type __real_##name(type_a a, type_b b);                                            \
    type __wrap_##name(type_a a, type_b b);                                            \
    type __wrap_##name(type_a a, type_b b)                                             \
    {                                                                                  \
        return fault_refused(FAULT_DISK) ? (errno = (error), -1)                       \
                                         : __real_##name(a, b);                        \
    }

REFUSE_2(int, rename, EIO, const char *, const char *)
REFUSE_2(int, mkdir, EACCES, const char *, mode_t)
REFUSE_2(int, flock, ENOLCK, int, int)
REFUSE_2(int, fstat, EIO, int, struct stat *)
REFUSE_2(int, stat, EIO, const char *, struct stat *)
REFUSE_2(int, lstat, EIO, const char *, struct stat *)
REFUSE_1(int, uname, EFAULT, struct utsname *)
REFUSE_2(int, getentropy, EIO, void *, size_t)
REFUSE_2(int, statvfs, EIO, const char *, struct statvfs *)

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
ssize_t __real_read(int fd, void *to, size_t len);
ssize_t __wrap_read(int fd, void *to, size_t len);
ssize_t __real_pread(int fd, void *to, size_t len, off_t at);
ssize_t __wrap_pread(int fd, void *to, size_t len, off_t at);
ssize_t __real_write(int fd, const void *from, size_t len);
ssize_t __wrap_write(int fd, const void *from, size_t len);
ssize_t __real_pwrite(int fd, const void *from, size_t len, off_t at);
ssize_t __wrap_pwrite(int fd, const void *from, size_t len, off_t at);
int __real_posix_fallocate(int fd, off_t at, off_t len);
int __wrap_posix_fallocate(int fd, off_t at, off_t len);
void *__real_mmap(void *place, size_t len, int access, int flags, int fd, off_t at);
void *__wrap_mmap(void *place, size_t len, int access, int flags, int fd, off_t at);

int
__wrap_open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return fault_refused(FAULT_DISK) ? (errno = EMFILE, -1)
                                     : __real_open(path, flags, mode);
}

ssize_t
__wrap_read(int fd, void *to, size_t len)
{
    return fault_refused(FAULT_DISK) ? (errno = EIO, -1) : __real_read(fd, to, len);
}

ssize_t
__wrap_pread(int fd, void *to, size_t len, off_t at)
{
    return fault_refused(FAULT_DISK) ? (errno = EIO, -1)
                                     : __real_pread(fd, to, len, at);
}

/* A disk that gets full takes the first part of what is written. */
ssize_t
__wrap_write(int fd, const void *from, size_t len)
{
    bool refused = fault_refused(FAULT_DISK);
    if (refused && len < 2) {
        return errno = ENOSPC, -1;
    }
    return __real_write(fd, from, refused ? len / 2 : len);
}

ssize_t
__wrap_pwrite(int fd, const void *from, size_t len, off_t at)
{
    return fault_refused(FAULT_DISK) ? (errno = ENOSPC, -1)
                                     : __real_pwrite(fd, from, len, at);
}

/* A signal comes in between, or the disk is full. */
int
__wrap_posix_fallocate(int fd, off_t at, off_t len)
{
    if (!fault_refused(FAULT_DISK)) {
        return __real_posix_fallocate(fd, at, len);
    }
    return atomic_load(&refused_lasts) ? ENOSPC : EINTR;
}

void *
__wrap_mmap(void *place, size_t len, int access, int flags, int fd, off_t at)
{
    return fault_refused(FAULT_DISK) ? (errno = ENOMEM, MAP_FAILED)
                                     : __real_mmap(place, len, access, flags, fd, at);
}

/* ---- threads: an error number ---- */

#undef REFUSE_1
#undef REFUSE_2
#define REFUSE_1(name, type_a)                                                         \
    int __real_##name(type_a a);                                                       \
    int __wrap_##name(type_a a);                                                       \
    int __wrap_##name(type_a a)                                                        \
    {                                                                                  \
        return fault_refused(FAULT_THREAD) ? EAGAIN : __real_##name(a);                \
    }
#define REFUSE_2(name, type_a, type_b)                                                 \
    int __real_##name(type_a a, type_b b);                                             \
    int __wrap_##name(type_a a, type_b b);                                             \
    int __wrap_##name(type_a a, type_b b)                                              \
    {                                                                                  \
        return fault_refused(FAULT_THREAD) ? EAGAIN : __real_##name(a, b);             \
    }

REFUSE_1(pthread_attr_init, pthread_attr_t *)
REFUSE_1(pthread_condattr_init, pthread_condattr_t *)
REFUSE_2(pthread_condattr_setclock, pthread_condattr_t *, clockid_t)
REFUSE_2(pthread_cond_init, pthread_cond_t *, const pthread_condattr_t *)
REFUSE_2(pthread_mutex_init, pthread_mutex_t *, const pthread_mutexattr_t *)

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*run)(void *), void *argument);

int
__wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                      void *(*run)(void *), void *argument)
{
    return fault_refused(FAULT_THREAD)
               ? EAGAIN
               : __real_pthread_create(thread, attributes, run, argument);
}
