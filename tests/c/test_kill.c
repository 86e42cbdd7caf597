/* test_kill.c -- the process is killed before its first call that changes a file, then
 * before the second, … until it gets through.
 *
 * Such calls are ours (put before the real ones by the linker, --wrap) and SQLite's (by
 * its table of system calls). A process lives a whole life: it starts, rotates, folds
 * the WAL in, drains, ends; and a recovery of what it left. After each death what it
 * announced must be there, once, and SQLite must find nothing wrong.
 *
 * A part of the calls in the usual run; each one of them with KOLO_C_KILLS=all.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "plain/clock.h"
#include "plain/recover.h"
#include "rig.h"

#define LIFE_RECORDS 4000
#define LIFE_BATCH 500
#define LIFE_PAYLOAD 400
#define LIFE_SEGMENT_BYTES (400u * 1024)
#define USUAL_KILLS 40

/* Under a sanitizer a life takes longer: a few deaths must do there. */
#ifndef FAULT_STRIDE
#define FAULT_STRIDE 1
#endif

/* In memory that the test shares with its children. */
struct shared {
    _Atomic uint64_t announced;
    _Atomic uint64_t calls;   /* so far */
    _Atomic uint64_t kill_at; /* 0: never */
};

static struct shared *shared;
static char folder[64];
static char map_path[160];

static void
count_call(void)
{
    uint64_t count = atomic_fetch_add(&shared->calls, 1) + 1;
    if (count == atomic_load(&shared->kill_at)) {
        (void)kill(getpid(), SIGKILL);
    }
}

/* ---- our own calls ---- */

int __real_unlink(const char *path);
int __real_rename(const char *from, const char *to);
int __real_posix_fallocate(int fd, off_t offset, off_t len);
int __real_flock(int fd, int operation);

int __wrap_unlink(const char *path);
int __wrap_rename(const char *from, const char *to);
int __wrap_posix_fallocate(int fd, off_t offset, off_t len);
int __wrap_flock(int fd, int operation);

int
__wrap_unlink(const char *path)
{
    count_call();
    return __real_unlink(path);
}

int
__wrap_rename(const char *from, const char *to)
{
    count_call();
    return __real_rename(from, to);
}

int
__wrap_posix_fallocate(int fd, off_t offset, off_t len)
{
    count_call();
    return __real_posix_fallocate(fd, offset, len);
}

int
__wrap_flock(int fd, int operation)
{
    count_call();
    return __real_flock(fd, operation);
}

/* ---- SQLite's ---- */

static int
counting_open(const char *path, int flags, int mode)
{
    count_call();
    return open(path, flags, (mode_t)mode);
}

static ssize_t
counting_write(int fd, const void *bytes, size_t len)
{
    count_call();
    return write(fd, bytes, len);
}

static ssize_t
counting_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
    count_call();
    return pwrite(fd, bytes, len, offset);
}

static ssize_t
counting_pwrite64(int fd, const void *bytes, size_t len, off64_t offset)
{
    count_call();
    return pwrite64(fd, bytes, len, offset);
}

static int
counting_ftruncate(int fd, off_t len)
{
    count_call();
    return ftruncate(fd, len);
}

static int
counting_unlink(const char *path)
{
    count_call();
    return __real_unlink(path);
}

static void
count_sqlite(void)
{
    static const struct {
        const char *name;
        sqlite3_syscall_ptr function;
    } calls[] = {
        {"open", (sqlite3_syscall_ptr)counting_open},
        {"write", (sqlite3_syscall_ptr)counting_write},
        {"pwrite", (sqlite3_syscall_ptr)counting_pwrite},
        {"pwrite64", (sqlite3_syscall_ptr)counting_pwrite64},
        {"ftruncate", (sqlite3_syscall_ptr)counting_ftruncate},
        {"unlink", (sqlite3_syscall_ptr)counting_unlink},
    };
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        (void)vfs->xSetSystemCall(vfs, calls[i].name, calls[i].function);
    }
}

/* ---- lives ---- */

static void
live(void)
{
    struct rig rig;
    rig_init(&rig, folder);
    rig.writer.segment_max_bytes = LIFE_SEGMENT_BYTES;
    rig.writer.compress = 0;
    rig.payload = LIFE_PAYLOAD;
    rig_start(&rig);
    while (rig.record < LIFE_RECORDS) {
        rig_write(&rig);
        atomic_store(&shared->announced, rig.record);
        if (rig.record % LIFE_BATCH == 0) { /* often enough to rotate */
            CHECK_EQUAL(KC_OK, kc_queue_flush(&rig.queue, UINT64_MAX));
        }
    }
    rig_finish(&rig);
}

static enum kc_status
recover(void)
{
    struct kc_recovered recovered;
    return kc_recover(map_path, rig_schema(), RIG_SCHEMA_VERSION, 1, &recovered);
}

static void
recover_once(void)
{
    CHECK_EQUAL(KC_OK, recover());
}

/* Run `step` in a child that is killed before call number `kill_at`; whether it was. */
static bool
run_and_kill(void (*step)(void), uint64_t kill_at)
{
    int status = 0;
    atomic_store(&shared->calls, 0);
    atomic_store(&shared->kill_at, kill_at);
    pid_t child = fork();
    if (child == 0) {
        count_sqlite();
        step();
        _exit(atomic_load(&check_failed_count) != 0);
    }
    CHECK_EQUAL(child, waitpid(child, &status, 0));
    atomic_store(&shared->kill_at, 0); /* we make such calls as well */
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    CHECK(killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
    return killed;
}

static bool
segment_exists(uint64_t segment)
{
    char *path = kc_store_path(folder, RIG_PROCESS, segment);
    bool exists = access(path, F_OK) == 0;
    free(path);
    return exists;
}

/* Everything is in the segments, and SQLite finds nothing wrong; how many records. */
static uint64_t
check_segments(void)
{
    char said[64];
    uint64_t count = 0;
    while (segment_exists(count)) {
        rig_ask_text(folder, count, "PRAGMA integrity_check", said, sizeof said);
        CHECK(strcmp(said, "ok") == 0);
        count++;
    }
    return count == 0 ? 0 : rig_check_records(folder, count - 1);
}

static void
begin_folder(void)
{
    rig_make_folder(folder, sizeof folder);
    (void)snprintf(map_path, sizeof map_path, "%s/" RIG_PROCESS ".map", folder);
    atomic_store(&shared->announced, 0);
}

/* From one death to the next, so that about USUAL_KILLS are died. */
static uint64_t
stride_of(uint64_t calls)
{
    const char *asked = getenv("KOLO_C_KILLS");
    if (asked != NULL && strcmp(asked, "all") == 0) {
        return 1;
    }
    return (calls / USUAL_KILLS + 1) * FAULT_STRIDE;
}

static void
check_life(bool killed)
{
    uint64_t announced = atomic_load(&shared->announced);
    if (access(map_path, F_OK) == 0) {
        CHECK(killed);
        CHECK_EQUAL(KC_OK, recover());
        CHECK(access(map_path, F_OK) != 0);
    }
    uint64_t count = check_segments();
    CHECK(count == announced || count == announced + 1);
    if (!killed) {
        CHECK_EQUAL(LIFE_RECORDS, count);
    }
}

static void
test_a_life_may_end_before_any_call(void)
{
    begin_folder();
    CHECK(!run_and_kill(live, 0));
    check_life(false);
    CHECK(segment_exists(2)); /* it has rotated */
    rig_remove_folder(folder);
    uint64_t stride = stride_of(atomic_load(&shared->calls));
    uint64_t deaths = 0;
    for (uint64_t kill_at = 1;; kill_at += stride) {
        begin_folder();
        bool killed = run_and_kill(live, kill_at);
        check_life(killed);
        rig_remove_folder(folder);
        if (!killed) {
            break;
        }
        deaths++;
    }
    CHECK(deaths >= USUAL_KILLS / FAULT_STRIDE / 2);
}

static void
copy_folder(const char *from, const char *to)
{
    char command[256];
    (void)snprintf(command, sizeof command, "cp -p %s/* %s/", from, to);
    CHECK_EQUAL(0, system(command)); /* NOLINT: a test's own names */
}

/* Make `folder` what a process leaves that dies in the middle of its work. */
static void
die_in_the_middle(void)
{
    begin_folder();
    CHECK(!run_and_kill(live, 0));
    rig_remove_folder(folder);
    uint64_t middle = atomic_load(&shared->calls) * 2 / 3;
    do {
        begin_folder();
        CHECK(run_and_kill(live, middle));
        middle--;
    } while (access(map_path, F_OK) != 0);
}

static void
test_a_recovery_may_end_before_any_call(void)
{
    char left[64];
    die_in_the_middle();
    uint64_t announced = atomic_load(&shared->announced);
    memcpy(left, folder, sizeof left);
    begin_folder();
    copy_folder(left, folder);
    CHECK(!run_and_kill(recover_once, 0));
    uint64_t count = check_segments();
    CHECK(count == announced || count == announced + 1);
    rig_remove_folder(folder);
    uint64_t stride = stride_of(atomic_load(&shared->calls));
    bool killed = true;
    for (uint64_t kill_at = 1; killed; kill_at += stride) {
        begin_folder();
        copy_folder(left, folder);
        killed = run_and_kill(recover_once, kill_at);
        /* And the one after it, a little farther on. */
        if (killed && access(map_path, F_OK) == 0) {
            (void)run_and_kill(recover_once, kill_at + 1);
        }
        if (access(map_path, F_OK) == 0) {
            CHECK_EQUAL(KC_OK, recover());
        }
        CHECK(access(map_path, F_OK) != 0);
        CHECK_EQUAL(count, check_segments());
        rig_remove_folder(folder);
    }
    memcpy(folder, left, sizeof left);
    rig_remove_folder(folder);
}

int
main(void)
{
    kc_clock_init(1000000);
    (void)rig_schema(); /* read before the forks */
    shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    test_a_life_may_end_before_any_call();
    test_a_recovery_may_end_before_any_call();
    return check_result("kill");
}
