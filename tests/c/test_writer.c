/* test_writer.c -- everything handed over is saved, once, whatever the disk does. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/writer.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "plain/clock.h"
#include "rig.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)

static char folder[64];

static void
write_many(struct rig *rig, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        rig_write(rig);
    }
}

/* Whether `*value` becomes `wanted` within ten seconds. */
static bool
comes(_Atomic int *value, int wanted)
{
    for (int i = 0; i < 10000 && atomic_load(value) != wanted; i++) {
        (void)usleep(1000);
    }
    return atomic_load(value) == wanted;
}

static void
test_all_that_is_handed_over_is_saved(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    write_many(&rig, 200000);
    rig_finish(&rig);
    CHECK_EQUAL(200000, rig_check_records(folder, 0));
    CHECK(atomic_load(&rig.writer.block_count) > 100);
    CHECK(atomic_load(&rig.writer.raw_bytes) > 200000 * 35);
    CHECK(atomic_load(&rig.writer.stored_bytes) > 0);
    CHECK(atomic_load(&rig.writer.stored_bytes) < atomic_load(&rig.writer.raw_bytes));
    CHECK(atomic_load(&rig.writer.cpu_ns) > 0);
    CHECK_EQUAL(0, atomic_load(&rig.writer.failed_count));
    CHECK_EQUAL(0, atomic_load(&rig.writer.dropped_blocks));
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT status = 'complete' FROM trace"));
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT cause = 'exit' FROM process"));
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT anchor_ns > started_ns FROM process"));
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT name = 'MainThread' FROM thread"));
    CHECK(access(rig.map_path, F_OK) != 0);
    rig_remove_folder(folder);
}

static void
test_a_flush_saves_definitions_too(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    uint64_t began_ns = kc_clock_system_ns();
    rig_start(&rig);
    CHECK_EQUAL(KC_OK, kc_queue_flush(&rig.queue, kc_clock_system_ns() + 10 * S));
    CHECK_EQUAL(2, rig_ask(folder, 0, "SELECT max(last) FROM definition"));
    uint64_t anchor_ns = (uint64_t)rig_ask(folder, 0, "SELECT anchor_ns FROM process");
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT status = 'running' FROM trace"));
    write_many(&rig, 10);
    rig_hand_over(&rig);
    CHECK_EQUAL(KC_OK, kc_queue_flush(&rig.queue, kc_clock_system_ns() + 10 * S));
    CHECK_EQUAL(10, rig_check_records(folder, 0));
    CHECK_EQUAL(1, rig.mapping.header->writer_state);
    /* In the mapping with each transaction, in SQLite once a second. */
    CHECK(rig.mapping.header->anchor_ns > anchor_ns);
    CHECK(kc_clock_system_ns() - began_ns >= S ||
          (uint64_t)rig_ask(folder, 0, "SELECT anchor_ns FROM process") == anchor_ns);
    CHECK_EQUAL(KC_MAPPING_BLOCKS - 1, rig.mapping.free_count); /* the log's is out */
    rig_finish(&rig);
    rig_remove_folder(folder);
}

static void
test_stop_and_start_as_around_a_fork(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    write_many(&rig, 5000);
    CHECK_EQUAL(KC_OK, kc_writer_stop(&rig.writer, kc_clock_system_ns() + 10 * S));
    CHECK_EQUAL(2, rig.mapping.header->writer_state);
    pid_t child = fork();
    if (child == 0) {
        kc_writer_abandon(&rig.writer);
        kc_mapping_abandon(&rig.mapping);
        _exit(rig.writer.store.db == NULL && rig.writer.running == 0 ? 0 : 1);
    }
    int status = 1;
    (void)waitpid(child, &status, 0);
    CHECK_EQUAL(0, status);
    CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
    write_many(&rig, 5000);
    rig_finish(&rig);
    CHECK_EQUAL(10000, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

/* Somebody who holds the database: every transaction of the writer fails meanwhile. */
static sqlite3 *
lock_segment(void)
{
    sqlite3 *db = NULL;
    char *path = kc_store_path(folder, RIG_PROCESS, 0);
    CHECK_EQUAL(SQLITE_OK, sqlite3_open(path, &db));
    free(path);
    int code = SQLITE_BUSY;
    for (int i = 0; i < 1000 && code == SQLITE_BUSY; i++) {
        code = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        (void)usleep(1000);
    }
    CHECK_EQUAL(SQLITE_OK, code);
    return db;
}

/* A lock passes by itself: it is a slow disk and no error, so that the program waits as
 * it is told to, and drops nothing. */
static void
test_a_locked_segment_is_waited_for(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    sqlite3 *db = lock_segment();
    write_many(&rig, 20000);
    CHECK_EQUAL(KC_TIMEOUT,
                kc_queue_flush(&rig.queue, kc_clock_system_ns() + 600 * MS));
    CHECK_EQUAL(0, atomic_load(&rig.writer.failing));
    CHECK_EQUAL(0, atomic_load(&rig.writer.failed_count));
    CHECK_EQUAL(1, rig.mapping.header->writer_state);
    CHECK_EQUAL(SQLITE_OK, sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL));
    (void)sqlite3_close(db);
    rig_finish(&rig);
    CHECK_EQUAL(20000, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

/* Told to stop while failing, the writer gives up in time; the next start has it all.
 */
static void
test_what_is_given_up_is_kept_for_the_next_start(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    CHECK_EQUAL(KC_OK, kc_queue_flush(&rig.queue, kc_clock_system_ns() + 10 * S));
    sqlite3 *db = lock_segment();
    write_many(&rig, 20000);
    rig_hand_over(&rig);
    uint64_t start_ns = kc_clock_system_ns();
    CHECK_EQUAL(KC_TIMEOUT, kc_writer_stop(&rig.writer, start_ns + 50 * MS));
    CHECK(kc_clock_system_ns() - start_ns < 5 * S);
    uint64_t unsaved = atomic_load(&rig.writer.dropped_blocks);
    CHECK(unsaved > 5);
    /* The log's block is still being filled and counted with neither. */
    CHECK_EQUAL(KC_MAPPING_BLOCKS - 1 - unsaved, rig.mapping.free_count);
    (void)sqlite3_close(db);
    CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
    write_many(&rig, 1000);
    rig_finish(&rig);
    CHECK_EQUAL(0, atomic_load(&rig.writer.dropped_blocks));
    CHECK_EQUAL(21000, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

/* What is unsaved at the close is the mapping's, and the end is not told. */
static void
test_close_leaves_the_unsaved_to_a_recovery(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    sqlite3 *db = lock_segment();
    write_many(&rig, 3000);
    CHECK_EQUAL(KC_TIMEOUT,
                kc_writer_stop(&rig.writer, kc_clock_system_ns() + 20 * MS));
    CHECK_EQUAL(KC_TIMEOUT, kc_writer_close(&rig.writer, kc_clock_ns(), "exit"));
    (void)sqlite3_close(db);
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT ended_ns IS NULL FROM process"));
    rig_destroy(&rig, false);
    CHECK_EQUAL(0, access(rig.map_path, F_OK));
    rig_remove_folder(folder);
}

static void
test_too_little_disk_counts_as_an_error(void)
{
    struct rig rig;
    char text[sizeof rig.writer.error_text];
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig.writer.free_disk_min_bytes = UINT64_MAX;
    rig_start(&rig);
    write_many(&rig, 2000);
    CHECK(comes(&rig.writer.failing, 1));
    kc_writer_failure(&rig.writer, text, sizeof text); /* it tries again meanwhile */
    CHECK(strstr(text, "make room") != NULL);
    uint64_t start_ns = kc_clock_system_ns();
    CHECK_EQUAL(KC_TIMEOUT, kc_writer_stop(&rig.writer, start_ns + 60 * S));
    CHECK(kc_clock_system_ns() - start_ns <
          10 * S); /* it does not wait for a full disk */
    rig.writer.free_disk_min_bytes = 1;
    CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
    rig_finish(&rig);
    CHECK_EQUAL(2000, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

static void
test_segments_rotate_by_size(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig.writer.segment_max_bytes = 1 << 20;
    rig.writer.compress = 0;
    rig_start(&rig);
    write_many(&rig, 150000); /* 6 MB, and what is carried over */
    rig_finish(&rig);
    uint64_t last = rig.writer.segment;
    CHECK(last >= 2 && last < 20);
    CHECK_EQUAL(0, atomic_load(&rig.writer.failed_count));
    CHECK_EQUAL(150000, rig_check_records(folder, last));
    CHECK_EQUAL(last, rig_ask(folder, last, "SELECT segment FROM process"));
    CHECK_EQUAL(1, rig_ask(folder, last, "SELECT status = 'complete' FROM trace"));
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT status = 'running' FROM trace"));
    CHECK_EQUAL(1, rig_ask(folder, 1, "SELECT count(*) FROM thread"));
    rig_remove_folder(folder);
}

static void
test_a_rotation_that_fails_goes_on_in_the_old_segment(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig.writer.segment_max_bytes = 1 << 20;
    rig_start(&rig);
    /* The next segment's name is taken by what no segment can be opened over. */
    char *path = kc_store_path(folder, RIG_PROCESS, 1);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 100; i++) {
        (void)fputs("this is no database\n", file);
    }
    (void)fclose(file);
    free(path);
    rig.writer.schema = "CREATE TABLE broken (";
    write_many(&rig, 300000);
    rig_finish(&rig);
    CHECK_EQUAL(0, rig.writer.segment);
    CHECK(atomic_load(&rig.writer.failed_count) > 0);
    CHECK_EQUAL(300000, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

static void
test_a_block_that_is_wrong_does_not_hold_up_the_others(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    struct kc_block *block = kc_mapping_take(&rig.mapping);
    struct kc_stream stream;
    kc_stream_init(&stream, 1, 9);
    kc_stream_give_block(&stream, block, KC_BLOCK_RECORDS, kc_clock_ns());
    block->open_count = UINT32_MAX;
    atomic_store(&block->committed, 1);
    CHECK_EQUAL(KC_OK, kc_queue_push(&rig.queue, block));
    write_many(&rig, 100);
    rig_finish(&rig);
    CHECK_EQUAL(1, atomic_load(&rig.writer.failed_count));
    CHECK_EQUAL(100, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

static void
test_signals_are_not_for_the_writer(void)
{
    struct rig rig;
    sigset_t mine;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mine);
    CHECK_EQUAL(0, sigismember(&mine, SIGUSR1)); /* the starter's mask is as it was */
    rig_finish(&rig);
    rig_remove_folder(folder);
}

/* It may take what it holds for free: its file is not written to, nor closed, and we go
 * on with all that there was. */
static void
test_descriptors_that_the_program_takes_are_its_own(void)
{
    struct rig rig;
    struct stat about;
    int taken[7];
    int count = 0;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    FILE *own = tmpfile();
    CHECK(own != NULL);
    taken[count++] = rig.mapping.fd;
    CHECK_EQUAL(taken[0], dup2(fileno(own), taken[0]));
    for (int again = 0; again < 2; again++) {
        write_many(&rig, 5000);
        CHECK_EQUAL(KC_OK, kc_writer_stop(&rig.writer, kc_clock_system_ns() + 10 * S));
        const struct kc_store *store = &rig.writer.store;
        CHECK_EQUAL(3, store->file_count); /* segment, WAL and what goes with it */
        for (int i = 0; i < 3; i++) {
            taken[count] = store->files[i].fd;
            CHECK_EQUAL(taken[count], dup2(fileno(own), taken[count]));
            count++;
        }
        CHECK(!kc_store_has_files(store));
        CHECK_EQUAL(KC_OK, kc_writer_start(&rig.writer));
        write_many(&rig, 5000);
        rig_hand_over(&rig);
        CHECK_EQUAL(KC_OK, kc_queue_flush(&rig.queue, kc_clock_system_ns() + 10 * S));
        CHECK(kc_store_has_files(store));
        struct kc_mapping other; /* what is mapped has the lock still */
        CHECK_EQUAL(KC_BUSY, kc_mapping_open_dead(&other, rig.map_path));
    }
    rig_finish(&rig);
    CHECK_EQUAL(20000, rig_check_records(folder, 0));
    CHECK_EQUAL(0, atomic_load(&rig.writer.failed_count));
    CHECK(access(rig.map_path, F_OK) != 0);
    for (int i = 0; i < count; i++) {
        CHECK_EQUAL(0, fstat(taken[i], &about));
        CHECK_EQUAL(0, about.st_size);
        CHECK_EQUAL(0, close(taken[i]));
    }
    (void)fclose(own);
    rig_remove_folder(folder);
}

static void
test_a_folder_that_is_not_there_is_told(void)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig.writer.directory = "/proc/nonexistent";
    CHECK_EQUAL(KC_STORE, kc_writer_open(&rig.writer, 0, 0));
    CHECK(strstr(rig.writer.error_text, "/proc/nonexistent") != NULL);
    rig_destroy(&rig, true);
    rig_remove_folder(folder);
}

int
main(void)
{
    kc_clock_init(1000000);
    test_all_that_is_handed_over_is_saved();
    test_a_flush_saves_definitions_too();
    test_stop_and_start_as_around_a_fork();
    test_a_locked_segment_is_waited_for();
    test_what_is_given_up_is_kept_for_the_next_start();
    test_close_leaves_the_unsaved_to_a_recovery();
    test_too_little_disk_counts_as_an_error();
    test_segments_rotate_by_size();
    test_a_rotation_that_fails_goes_on_in_the_old_segment();
    test_a_block_that_is_wrong_does_not_hold_up_the_others();
    test_signals_are_not_for_the_writer();
    test_descriptors_that_the_program_takes_are_its_own();
    test_a_folder_that_is_not_there_is_told();
    return check_result("writer");
}
