/* test_disk.c -- the disk stands still, or what is on it is removed: what was handed
 * over is saved once when all is well, and nobody waits for longer than told. (Each
 * step fails in turn in test_fault_disk.c.)
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "disk.h"
#include "plain/clock.h"
#include "plain/recover.h"
#include "plain/writer.h"
#include "rig.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)

static char folder[64];
static char map_path[160];

static void
write_many(struct rig *rig, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        rig_write(rig);
    }
}

static void
begin(struct rig *rig)
{
    rig_make_folder(folder, sizeof folder);
    rig_init(rig, folder);
    rig_start(rig);
    (void)snprintf(map_path, sizeof map_path, "%s", rig->map_path);
}

/* The writer's thread is in the middle of a transaction that does not end. */
static void
stall(struct rig *rig)
{
    disk_stall(true);
    write_many(rig, 3000);
    rig_hand_over(rig);
    for (int i = 0; i < 10000 && !disk_is_awaited(); i++) {
        (void)usleep(1000);
    }
    CHECK(disk_is_awaited());
}

static void
test_stop_waits_no_longer_than_told_for_a_disk_that_stands_still(void)
{
    struct rig rig;
    begin(&rig);
    stall(&rig);
    uint64_t start_ns = kc_clock_system_ns();
    CHECK_EQUAL(KC_TIMEOUT, kc_writer_stop(&rig.writer, start_ns + 50 * MS));
    CHECK(kc_clock_system_ns() - start_ns < S);
    CHECK_EQUAL(1, rig.writer.running);
    CHECK(atomic_load(&rig.writer.dropped_blocks) > 0);
    /* The program goes on, as after a fork; later the disk does. */
    CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
    write_many(&rig, 3000);
    disk_stall(false);
    write_many(&rig, 3000);
    rig_finish(&rig);
    CHECK_EQUAL(9000, rig_check_records(folder, 0));
    CHECK_EQUAL(0, atomic_load(&rig.writer.failed_count));
    rig_remove_folder(folder);
}

static void
test_a_thread_that_ends_after_all_is_started_again(void)
{
    struct rig rig;
    begin(&rig);
    stall(&rig);
    CHECK_EQUAL(KC_TIMEOUT,
                kc_writer_stop(&rig.writer, kc_clock_system_ns() + 20 * MS));
    disk_stall(false);
    bool finished = false;
    for (int i = 0; i < 10000 && !finished; i++) {
        (void)usleep(1000);
        (void)pthread_mutex_lock(&rig.writer.lock);
        finished = rig.writer.finished;
        (void)pthread_mutex_unlock(&rig.writer.lock);
    }
    CHECK(finished);
    CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
    write_many(&rig, 3000);
    rig_finish(&rig);
    CHECK_EQUAL(6000, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

/* At a program's end nothing moves for longer than one is patient: the mapping has it.
 */
static void
test_the_end_is_patient_for_so_long(void)
{
    struct rig rig;
    struct kc_recovered recovered;
    begin(&rig);
    rig.writer.patience_ns = 150 * MS;
    stall(&rig);
    uint64_t start_ns = kc_clock_system_ns();
    CHECK_EQUAL(KC_TIMEOUT, kc_writer_stop(&rig.writer, start_ns + 60 * S));
    CHECK_EQUAL(KC_TIMEOUT, kc_writer_close(&rig.writer, kc_clock_ns(), "exit"));
    CHECK(kc_clock_system_ns() - start_ns >= 150 * MS);
    CHECK(kc_clock_system_ns() - start_ns < 5 * S);
    CHECK_EQUAL(KC_BUSY,
                kc_recover(map_path, rig_schema(), RIG_SCHEMA_VERSION, 1, &recovered));
    disk_stall(false);
    CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
    rig_finish(&rig);
    CHECK_EQUAL(3000, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

static void
test_closing_is_patient_for_so_long(void)
{
    struct rig rig;
    struct kc_recovered recovered;
    begin(&rig);
    rig.writer.patience_ns = 150 * MS;
    write_many(&rig, 3000);
    rig_hand_over(&rig);
    rig_end_trace(&rig, 1);
    CHECK_EQUAL(KC_OK, kc_writer_stop(&rig.writer, kc_clock_system_ns() + 60 * S));
    disk_stall(true);
    uint64_t start_ns = kc_clock_system_ns();
    CHECK_EQUAL(KC_TIMEOUT, kc_writer_close(&rig.writer, kc_clock_ns(), "exit"));
    CHECK(kc_clock_system_ns() - start_ns < 5 * S);
    CHECK_EQUAL(1, rig.writer.running);
    disk_stall(false);
    (void)pthread_join(rig.writer.thread, NULL);
    CHECK_EQUAL(KC_OK, rig.writer.closed);
    rig_destroy(&rig, false);
    CHECK_EQUAL(KC_OK,
                kc_recover(map_path, rig_schema(), RIG_SCHEMA_VERSION, 1, &recovered));
    CHECK_EQUAL(3000, rig_check_records(folder, 0));
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT status = 'complete' FROM trace"));
    rig_remove_folder(folder);
}

/* ---- the segment is removed ---- */

static void
remove_segment(void)
{
    char *path = kc_store_path(folder, RIG_PROCESS, 0);
    kc_store_remove(path);
    free(path);
}

static void
test_a_segment_that_was_removed_is_written_anew(void)
{
    struct rig rig;
    begin(&rig);
    write_many(&rig, 20000);
    CHECK_EQUAL(KC_OK, kc_queue_flush(&rig.queue, kc_clock_system_ns() + 10 * S));
    remove_segment();
    rig.writer.disk_checked_ns = 0; /* it looks once a second */
    write_many(&rig, 20000);
    rig_hand_over(&rig);
    CHECK_EQUAL(KC_OK, kc_queue_flush(&rig.queue, kc_clock_system_ns() + 10 * S));
    CHECK_EQUAL(40000, rig_check_records(folder, 0));
    CHECK_EQUAL(1, atomic_load(&rig.writer.restored_count));
    char mode[16];
    rig_ask_text(folder, 0, "PRAGMA journal_mode", mode, sizeof mode);
    CHECK(strcmp(mode, "wal") == 0);
    remove_segment(); /* and once more, before the end */
    rig_finish(&rig);
    CHECK_EQUAL(40000, rig_check_records(folder, 0));
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT status = 'complete' FROM trace"));
    rig_remove_folder(folder);
}

/* Whoever removes it may leave what SQLite keeps beside it, which is of no other file.
 */
static void
test_what_lay_beside_a_removed_segment_goes_too(void)
{
    struct rig rig;
    struct stat about;
    char said[64];
    begin(&rig);
    rig.writer.store.compress = 0;
    rig.payload = 800;
    for (int i = 0; i < 20; i++) { /* the WAL is folded in, and begun anew */
        write_many(&rig, 500);
        rig_hand_over(&rig);
        CHECK_EQUAL(KC_OK, kc_queue_flush(&rig.queue, kc_clock_system_ns() + 10 * S));
    }
    char *path = kc_store_path(folder, RIG_PROCESS, 0);
    CHECK_EQUAL(0, unlink(path));
    rig.writer.disk_checked_ns = 0;
    write_many(&rig, 500);
    rig_finish(&rig);
    CHECK(stat(path, &about) == 0 && (about.st_mode & 0777) == 0600);
    free(path);
    CHECK_EQUAL(1, atomic_load(&rig.writer.restored_count));
    rig_ask_text(folder, 0, "PRAGMA integrity_check", said, sizeof said);
    CHECK(strcmp(said, "ok") == 0);
    CHECK_EQUAL(10500, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

static char project[32];

/* As a program has it: <project>/.kolo_c/segments. */
static void
begin_in_project(struct rig *rig)
{
    rig_make_folder(project, sizeof project);
    (void)snprintf(folder, sizeof folder, "%s/.kolo_c/segments", project);
    CHECK_EQUAL(KC_OK, kc_store_make_directory(folder));
    rig_init(rig, folder);
    rig_start(rig);
    write_many(rig, 1000);
    rig_hand_over(rig);
    CHECK_EQUAL(KC_OK, kc_queue_flush(&rig->queue, kc_clock_system_ns() + 10 * S));
    rig->writer.disk_checked_ns = 0;
}

static void
remove_all(const char *within)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r '%s%s'", project, within);
    CHECK_EQUAL(0, system(command)); /* NOLINT: a test's own names */
}

static void
test_a_folder_that_was_removed_is_made_again(void)
{
    struct rig rig;
    begin_in_project(&rig);
    remove_all("/.kolo_c");
    write_many(&rig, 1000);
    rig_finish(&rig);
    CHECK_EQUAL(2000, rig_check_records(folder, 0));
    remove_all("");
}

/* Nothing is made where the project itself is gone: that is an error, until it is back.
 */
static void
test_a_project_that_was_removed_stays_so(void)
{
    struct rig rig;
    begin_in_project(&rig);
    remove_all("");
    write_many(&rig, 1000);
    rig_hand_over(&rig);
    CHECK_EQUAL(KC_TIMEOUT,
                kc_queue_flush(&rig.queue, kc_clock_system_ns() + 300 * MS));
    CHECK(access(project, F_OK) != 0);
    CHECK_EQUAL(0, mkdir(project, 0700));
    rig_finish(&rig);
    CHECK(strstr(rig.writer.error_text, "was removed") != NULL); /* its thread's */
    CHECK_EQUAL(2000, rig_check_records(folder, 0));
    remove_all("");
}

int
main(void)
{
    kc_clock_init(1000000);
    disk_install();
    test_stop_waits_no_longer_than_told_for_a_disk_that_stands_still();
    test_a_thread_that_ends_after_all_is_started_again();
    test_the_end_is_patient_for_so_long();
    test_closing_is_patient_for_so_long();
    test_a_segment_that_was_removed_is_written_anew();
    test_what_lay_beside_a_removed_segment_goes_too();
    test_a_folder_that_was_removed_is_made_again();
    test_a_project_that_was_removed_stays_so();
    return check_result("disk");
}
