/* test_recover.c -- what a killed process had committed is in its segment, once.
 *
 * A child writes and is killed in the middle; it announces each record after the
 * commit, in memory that it shares with the test. Then bytes of its mapping are spoilt.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/recover.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "plain/clock.h"
#include "rig.h"

static char folder[64];
static char map_path[160];
static _Atomic uint64_t *announced;

/* Start a child that writes for ever; kill it when it has announced `target` records.
 */
static void
write_and_be_killed(uint64_t target, uint64_t segment_max_bytes, size_t payload)
{
    rig_make_folder(folder, sizeof folder);
    (void)snprintf(map_path, sizeof map_path, "%s/" RIG_PROCESS ".map", folder);
    atomic_store(announced, 0);
    pid_t child = fork();
    if (child == 0) {
        struct rig rig;
        rig_init(&rig, folder);
        rig.writer.segment_max_bytes = segment_max_bytes;
        rig.payload = payload;
        rig_start(&rig);
        for (;;) {
            rig_write(&rig);
            atomic_store(announced, rig.record);
        }
    }
    bool lives = true;
    while (lives && atomic_load(announced) < target) {
        (void)usleep(100);
        lives = waitpid(child, NULL, WNOHANG) == 0;
    }
    CHECK(lives); /* it has no end of its own */
    if (lives) {
        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
    }
}

static enum kc_status
recover(struct kc_recovered *recovered)
{
    return kc_recover(map_path, rig_schema(), RIG_SCHEMA_VERSION, 1, recovered);
}

static uint64_t
segment_of_mapping(void)
{
    uint64_t segment = 0;
    int fd = open(map_path, O_RDONLY);
    CHECK_EQUAL(sizeof segment, pread(fd, &segment, sizeof segment, 96));
    (void)close(fd);
    return segment;
}

static void
test_each_announced_record_is_there_once(void)
{
    static const struct {
        uint64_t target;
        uint64_t segment_max_bytes;
        size_t payload;
    } rounds[] = {
        {1, 0, 30},             /* before the first transaction, perhaps */
        {300, 0, 30},           /* in the first block */
        {3000, 0, 30},          /* in the third */
        {40000, 0, 30},         /* in the middle of transactions */
        {40001, 0, 0},          /* records of the smallest size */
        {60000, 1u << 20, 200}, /* in the middle of rotations */
        {90000, 1u << 20, 100}, /* the same, elsewhere */
        {2000, 0, 20000},       /* a block holds three */
    };
    for (size_t i = 0; i < sizeof rounds / sizeof rounds[0]; i++) {
        struct kc_recovered recovered;
        write_and_be_killed(rounds[i].target, rounds[i].segment_max_bytes,
                            rounds[i].payload);
        uint64_t segment = segment_of_mapping();
        CHECK_EQUAL(KC_OK, recover(&recovered));
        CHECK_EQUAL(0, recovered.damaged);
        CHECK(recovered.error[0] == '\0');
        uint64_t count = rig_check_records(folder, segment);
        /* One more may have been committed, but not announced. */
        CHECK(count == atomic_load(announced) || count == atomic_load(announced) + 1);
        CHECK(access(map_path, F_OK) != 0);
        CHECK_EQUAL(1,
                    rig_ask(folder, segment,
                            "SELECT status = 'interrupted' AND ended_ns >= started_ns "
                            "AND cause = 'interrupted' FROM trace"));
        CHECK_EQUAL(1, rig_ask(folder, segment,
                               "SELECT ended_ns >= (SELECT max(last_ns) FROM block) "
                               "FROM process"));
        char *next = kc_store_path(folder, RIG_PROCESS, segment + 1);
        CHECK(access(next, F_OK) != 0);
        free(next);
        rig_remove_folder(folder);
    }
}

static void
copy_file(const char *from, const char *to)
{
    char command[512];
    (void)snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    CHECK_EQUAL(0, system(command)); /* NOLINT: a test's own names */
}

/* A recovery that was killed after its commit leaves the mapping for the next. */
static void
test_a_recovery_can_run_again(void)
{
    struct kc_recovered first;
    struct kc_recovered second;
    char saved[200];
    /* On a busy machine the writer may have saved all when the signal arrives. */
    for (int attempt = 0; attempt < 50; attempt++) {
        write_and_be_killed(5000, 0, 30);
        (void)snprintf(saved, sizeof saved, "%s/saved", folder);
        copy_file(map_path, saved);
        CHECK_EQUAL(KC_OK, recover(&first));
        if (first.blocks > 0) {
            break;
        }
        rig_remove_folder(folder);
    }
    CHECK(first.blocks > 0 && first.records > 0);
    uint64_t count = rig_check_records(folder, 0);
    CHECK(rename(saved, map_path) == 0);
    CHECK_EQUAL(KC_OK, recover(&second));
    CHECK_EQUAL(0, second.blocks);
    CHECK_EQUAL(count, rig_check_records(folder, 0));
    CHECK_EQUAL(KC_IO, recover(&second));
    CHECK(strstr(second.error, map_path) != NULL);
    rig_remove_folder(folder);
}

static void
test_a_living_process_is_left_alone(void)
{
    struct rig rig;
    struct kc_recovered recovered;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    (void)snprintf(map_path, sizeof map_path, "%s", rig.map_path);
    CHECK_EQUAL(KC_BUSY, recover(&recovered));
    CHECK(strstr(recovered.error, "lives") != NULL);
    rig_write(&rig);
    rig_finish(&rig);
    CHECK_EQUAL(1, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

/* A process that died before its first block was written has no segment yet. */
static void
test_a_segment_that_never_was_is_created(void)
{
    struct rig rig;
    struct kc_recovered recovered;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    (void)snprintf(map_path, sizeof map_path, "%s", rig.map_path);
    rig_define_thread(&rig, 1, "MainThread");
    rig_define_trace(&rig, 1, "trc_1");
    for (int i = 0; i < 100; i++) {
        rig_write(&rig);
    }
    atomic_store(&rig.mapping.header->lost_records, 7);
    rig_destroy(&rig, false);
    CHECK_EQUAL(KC_OK, recover(&recovered));
    CHECK_EQUAL(1, recovered.blocks);
    CHECK_EQUAL(100, recovered.records);
    CHECK_EQUAL(1, recovered.definitions);
    CHECK_EQUAL(7, recovered.lost_records);
    CHECK_EQUAL(100, rig_check_records(folder, 0));
    CHECK_EQUAL(getpid(), rig_ask(folder, 0, "SELECT pid FROM process"));
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT count(*) FROM trace"));
    rig_remove_folder(folder);
}

/* The program came to its end, but was killed before it could remove the mapping. */
static void
test_an_end_that_was_told_stays(void)
{
    struct rig rig;
    struct kc_recovered recovered;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    (void)snprintf(map_path, sizeof map_path, "%s", rig.map_path);
    rig_write(&rig);
    rig_hand_over(&rig);
    rig_end_trace(&rig, 1);
    CHECK_EQUAL(KC_OK, kc_writer_stop(&rig.writer, UINT64_MAX));
    CHECK_EQUAL(KC_OK, kc_writer_close(&rig.writer, kc_clock_ns(), "exit"));
    rig_destroy(&rig, false);
    CHECK_EQUAL(KC_OK, recover(&recovered));
    CHECK_EQUAL(0, recovered.blocks);
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT cause = 'exit' FROM process"));
    CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT status = 'complete' FROM trace"));
    rig_remove_folder(folder);
}

static void
test_a_rotation_cut_short_is_removed(void)
{
    struct kc_recovered recovered;
    struct kc_store old;
    struct kc_store next;
    write_and_be_killed(5000, 0, 30);
    char *path = kc_store_path(folder, RIG_PROCESS, 0);
    char *next_path = kc_store_path(folder, RIG_PROCESS, 1);
    CHECK_EQUAL(KC_OK, kc_store_open(&old, path, rig_schema(), RIG_SCHEMA_VERSION));
    CHECK_EQUAL(KC_OK,
                kc_store_open(&next, next_path, rig_schema(), RIG_SCHEMA_VERSION));
    CHECK_EQUAL(KC_OK, kc_store_carry(&next, &old));
    kc_store_close(&next);
    kc_store_close(&old);
    CHECK_EQUAL(KC_OK, recover(&recovered));
    CHECK(access(next_path, F_OK) != 0);
    CHECK(rig_check_records(folder, 0) >= 5000);
    free(next_path);
    free(path);
    rig_remove_folder(folder);
}

static void
test_a_segment_that_cannot_be_written_keeps_the_mapping(void)
{
    struct kc_recovered recovered;
    write_and_be_killed(100, 0, 30);
    CHECK_EQUAL(KC_STORE, kc_recover(map_path, rig_schema(), RIG_SCHEMA_VERSION + 1, 1,
                                     &recovered));
    CHECK(strstr(recovered.error, "schema version") != NULL);
    CHECK_EQUAL(0, access(map_path, F_OK));
    char other[200];
    (void)snprintf(other, sizeof other, "%s/another.map", folder);
    CHECK(rename(map_path, other) == 0);
    CHECK_EQUAL(KC_CORRUPT,
                kc_recover(other, rig_schema(), RIG_SCHEMA_VERSION, 1, &recovered));
    CHECK_EQUAL(0, access(other, F_OK));
    rig_remove_folder(folder);
}

/* ---- damage ---- */

/* The mapping's file in memory, to be spoilt. */
static uint8_t *
map_whole(size_t *size)
{
    struct stat about;
    int fd = open(map_path, O_RDWR);
    CHECK_EQUAL(0, fstat(fd, &about));
    *size = (size_t)about.st_size;
    void *memory = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(memory != MAP_FAILED);
    (void)close(fd);
    return memory;
}

static struct kc_block *
find_block(uint8_t *memory, enum kc_block_kind kind, uint64_t sequence)
{
    for (uint32_t i = 0; i < KC_MAPPING_BLOCKS; i++) {
        struct kc_block *block = (struct kc_block *)(void *)(memory + 4096 + i * 65536);
        if (block->state != KC_BLOCK_FREE && block->kind == kind &&
            block->sequence == sequence) {
            return block;
        }
    }
    return NULL;
}

/* A rig that wrote `count` records and died without a writer. */
static void
make_dead(uint64_t count)
{
    struct rig rig;
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    (void)snprintf(map_path, sizeof map_path, "%s", rig.map_path);
    rig_define_thread(&rig, 1, "MainThread");
    rig_define_trace(&rig, 1, "trc_1");
    for (uint64_t i = 0; i < count; i++) {
        rig_write(&rig);
    }
    rig_destroy(&rig, false);
}

static void
test_a_damaged_tail_costs_only_the_tail(void)
{
    struct kc_recovered recovered;
    size_t size = 0;
    make_dead(1000);
    uint8_t *memory = map_whole(&size);
    struct kc_block *block = find_block(memory, KC_BLOCK_RECORDS, 0);
    CHECK(block != NULL && block->record_count == 1000);
    /* The 501st record, found by walking; its array becomes no msgpack. */
    struct kc_walk walk = {block->data, block->data + kc_block_bytes(block)};
    for (int i = 0; i < 500; i++) {
        CHECK_EQUAL(KC_OK, kc_walk_skip(&walk));
    }
    block->data[walk.at - block->data] = 0xc1;
    (void)munmap(memory, size);
    CHECK_EQUAL(KC_OK, recover(&recovered));
    CHECK_EQUAL(1, recovered.damaged);
    CHECK_EQUAL(500, recovered.records);
    CHECK_EQUAL(500, rig_check_records(folder, 0));
    rig_remove_folder(folder);
}

static void
test_counts_that_lie_lead_nowhere(void)
{
    static const uint64_t lies[] = {UINT64_MAX, UINT32_MAX, (uint64_t)UINT32_MAX << 32,
                                    KC_BLOCK_DATA_BYTES + 1, 65536};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct kc_recovered recovered;
        size_t size = 0;
        make_dead(1000);
        uint8_t *memory = map_whole(&size);
        struct kc_block *block = find_block(memory, KC_BLOCK_RECORDS, 0);
        uint64_t honest = atomic_load(&block->committed);
        atomic_store(&block->committed,
                     (lies[i] & UINT32_MAX) == 0 ? lies[i] | honest : lies[i]);
        block->open_count = UINT32_MAX;
        block->least_depth = UINT32_MAX;
        find_block(memory, KC_BLOCK_DEFINITIONS, 0)->saved = (uint32_t)lies[i];
        (void)munmap(memory, size);
        CHECK_EQUAL(KC_OK, recover(&recovered));
        CHECK(recovered.damaged >= 1);
        CHECK_EQUAL(1000, rig_check_records(folder, 0));
        rig_remove_folder(folder);
    }
}

static void
test_spoilt_bytes_never_end_the_reader(void)
{
    unsigned int seed = 3;
    for (int round = 0; round < 40; round++) {
        struct kc_recovered recovered;
        size_t size = 0;
        make_dead(3000);
        uint8_t *memory = map_whole(&size);
        for (int i = 0; i < 200; i++) {
            seed = seed * 1103515245u + 12345u;
            /* In the blocks that are in use; every third time in a header. */
            size_t at =
                i % 3 == 0 ? (seed >> 16) % 5 * 65536 + seed % 96 : seed % (5 * 65536);
            memory[4096 + at] = (uint8_t)(seed >> 24);
        }
        (void)munmap(memory, size);
        enum kc_status status = recover(&recovered);
        CHECK_EQUAL(KC_OK, status);
        CHECK_EQUAL(1, rig_ask(folder, 0, "SELECT count(*) FROM process"));
        CHECK_EQUAL(0, rig_ask(folder, 0,
                               "SELECT count(*) FROM block WHERE bytes > 65440 "
                               "OR length(opens) > 65440"));
        rig_remove_folder(folder);
    }
}

int
main(void)
{
    kc_clock_init(1000000);
    (void)rig_schema(); /* read before the forks */
    announced =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    test_each_announced_record_is_there_once();
    test_a_recovery_can_run_again();
    test_a_living_process_is_left_alone();
    test_a_segment_that_never_was_is_created();
    test_an_end_that_was_told_stays();
    test_a_rotation_cut_short_is_removed();
    test_a_segment_that_cannot_be_written_keeps_the_mapping();
    test_a_damaged_tail_costs_only_the_tail();
    test_counts_that_lie_lead_nowhere();
    test_spoilt_bytes_never_end_the_reader();
    return check_result("recover");
}
