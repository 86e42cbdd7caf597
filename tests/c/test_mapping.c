/* test_mapping.c -- blocks are taken and given, and only the dead are opened. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "plain/clock.h"
#include "rig.h"

static char folder[64];
static char path[160];

static void
mapping_make(struct kc_mapping *mapping, uint32_t block_count)
{
    int reason = -1;
    (void)snprintf(path, sizeof path, "%s/" RIG_PROCESS ".map", folder);
    CHECK_EQUAL(KC_OK,
                kc_mapping_create(mapping, path, block_count, RIG_PROCESS, &reason));
    CHECK_EQUAL(0, reason);
}

static void
test_the_file_is_allocated_in_full(void)
{
    struct kc_mapping mapping;
    struct stat about;
    mapping_make(&mapping, 8);
    CHECK_EQUAL(1, mapping.shared);
    CHECK_EQUAL(0, stat(path, &about));
    CHECK_EQUAL(4096 + 8 * 65536, about.st_size);
    CHECK(about.st_blocks * 512 >= about.st_size);
    CHECK_EQUAL(0600, about.st_mode & 0777);
    CHECK(memcmp(mapping.header->magic, "KOLOMAP1", 8) == 0);
    CHECK_EQUAL(getpid(), mapping.header->pid);
    CHECK_EQUAL(8, mapping.header->block_count);
    CHECK(strcmp(mapping.header->process_id, RIG_PROCESS) == 0);
    CHECK((fcntl(mapping.fd, F_GETFD) & FD_CLOEXEC) != 0);
    kc_mapping_destroy(&mapping, 1);
    CHECK(access(path, F_OK) != 0);
}

static void
test_blocks_are_taken_and_given(void)
{
    struct kc_mapping mapping;
    struct kc_block *blocks[4];
    mapping_make(&mapping, 3);
    for (int i = 0; i < 3; i++) {
        blocks[i] = kc_mapping_take(&mapping);
        CHECK(blocks[i] != NULL);
        CHECK_EQUAL(KC_BLOCK_FILLING, blocks[i]->state);
        CHECK_EQUAL(KC_BLOCK_MAGIC, blocks[i]->magic);
        CHECK_EQUAL(1, blocks[i]->generation);
    }
    CHECK(blocks[0] != blocks[1] && blocks[1] != blocks[2] && blocks[0] != blocks[2]);
    CHECK(kc_mapping_take(&mapping) == NULL);
    atomic_store(&blocks[1]->committed, 100);
    kc_mapping_give(&mapping, blocks[1]);
    CHECK_EQUAL(KC_BLOCK_FREE, blocks[1]->state);
    CHECK_EQUAL(1, mapping.free_count);
    blocks[3] = kc_mapping_take(&mapping);
    CHECK(blocks[3] == blocks[1]);
    CHECK_EQUAL(2, blocks[3]->generation);
    CHECK_EQUAL(0, blocks[3]->committed);
    kc_mapping_destroy(&mapping, 1);
}

static void *
give_later(void *argument)
{
    struct kc_mapping *mapping = argument;
    (void)usleep(20000);
    kc_mapping_give(mapping, &mapping->blocks[0]);
    return NULL;
}

static void
test_a_taker_waits_for_a_block(void)
{
    struct kc_mapping mapping;
    pthread_t thread;
    mapping_make(&mapping, 1);
    CHECK(kc_mapping_take(&mapping) != NULL);
    uint64_t start_ns = kc_clock_system_ns();
    CHECK(kc_mapping_take_wait(&mapping, start_ns + 20000000) == NULL);
    CHECK(kc_clock_system_ns() >= start_ns + 20000000);
    CHECK_EQUAL(0, pthread_create(&thread, NULL, give_later, &mapping));
    CHECK(kc_mapping_take_wait(&mapping, start_ns + UINT64_C(10000000000)) != NULL);
    (void)pthread_join(thread, NULL);
    kc_mapping_destroy(&mapping, 1);
}

static void
test_without_a_file_the_memory_is_anonymous(void)
{
    struct kc_mapping mapping;
    int reason = 0;
    CHECK_EQUAL(
        KC_OK, kc_mapping_create(&mapping, "/proc/nonexistent/x.map", 2, "x", &reason));
    CHECK_EQUAL(ENOENT, reason);
    CHECK_EQUAL(0, mapping.shared);
    CHECK(mapping.fd == -1);
    struct kc_block *block = kc_mapping_take(&mapping);
    CHECK(block != NULL);
    memset(block->data, 1, sizeof block->data);
    kc_mapping_give(&mapping, block);
    kc_mapping_destroy(&mapping, 1);
    /* A file that is there already belongs to somebody. */
    mapping_make(&mapping, 2);
    struct kc_mapping other;
    CHECK_EQUAL(KC_OK, kc_mapping_create(&other, path, 2, RIG_PROCESS, &reason));
    CHECK_EQUAL(EEXIST, reason);
    kc_mapping_destroy(&other, 1);
    CHECK_EQUAL(0, access(path, F_OK));
    kc_mapping_destroy(&mapping, 1);
}

static void
test_the_living_are_not_opened(void)
{
    struct kc_mapping mapping;
    struct kc_mapping dead;
    mapping_make(&mapping, 2);
    CHECK_EQUAL(KC_BUSY, kc_mapping_open_dead(&dead, path));
    kc_mapping_destroy(&mapping, 0);
    CHECK_EQUAL(KC_OK, kc_mapping_open_dead(&dead, path));
    CHECK_EQUAL(2, dead.block_count);
    struct kc_mapping second;
    CHECK_EQUAL(KC_BUSY, kc_mapping_open_dead(&second, path));
    kc_mapping_destroy(&dead, 1);
    CHECK_EQUAL(KC_IO, kc_mapping_open_dead(&second, path));
    CHECK_EQUAL(ENOENT, errno);
}

/* The lock is the parent's: a child that lets go of it must not free it for others, nor
 * keep it when the parent is gone. */
static void
test_a_forked_child_lets_go_of_its_share(void)
{
    struct kc_mapping mapping;
    struct kc_mapping dead;
    int ready[2];
    mapping_make(&mapping, 2);
    CHECK_EQUAL(0, pipe(ready));
    pid_t child = fork();
    if (child == 0) {
        kc_mapping_abandon(&mapping);
        (void)!write(ready[1], "x", 1);
        (void)pause();
        _exit(0);
    }
    char byte = 0;
    CHECK_EQUAL(1, read(ready[0], &byte, 1));
    CHECK_EQUAL(KC_BUSY, kc_mapping_open_dead(&dead, path));
    kc_mapping_destroy(&mapping, 0);
    CHECK_EQUAL(KC_OK, kc_mapping_open_dead(&dead, path));
    kc_mapping_destroy(&dead, 1);
    (void)kill(child, SIGKILL);
    (void)waitpid(child, NULL, 0);
    (void)close(ready[0]);
    (void)close(ready[1]);
}

/* Write `len` bytes of `header` to the path, and as many zeros as make `size`. */
static void
write_map(const void *header, size_t len, off_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_EQUAL(len, write(fd, header, len));
    CHECK_EQUAL(0, ftruncate(fd, size));
    (void)close(fd);
}

static void
test_what_is_no_mapping_is_refused(void)
{
    struct kc_mapping_header header = {.magic = "KOLOMAP", .version = 1};
    struct kc_mapping dead;
    off_t whole = 4096 + 2 * 65536;
    header.magic[7] = '1';
    header.block_bytes = 65536;
    header.block_count = 2;
    (void)snprintf(header.process_id, sizeof header.process_id, RIG_PROCESS);
    write_map(&header, sizeof header, whole);
    CHECK_EQUAL(KC_OK, kc_mapping_open_dead(&dead, path));
    kc_mapping_destroy(&dead, 0);

    write_map("", 0, 0);
    CHECK_EQUAL(KC_CORRUPT, kc_mapping_open_dead(&dead, path));
    write_map(&header, sizeof header, whole - 1);
    CHECK_EQUAL(KC_CORRUPT, kc_mapping_open_dead(&dead, path));

    struct kc_mapping_header bad = header;
    bad.magic[0] = 'X';
    write_map(&bad, sizeof bad, whole);
    CHECK_EQUAL(KC_CORRUPT, kc_mapping_open_dead(&dead, path));
    bad = header;
    bad.version = 2;
    write_map(&bad, sizeof bad, whole);
    CHECK_EQUAL(KC_CORRUPT, kc_mapping_open_dead(&dead, path));
    bad = header;
    bad.block_count = UINT32_MAX;
    write_map(&bad, sizeof bad, whole);
    CHECK_EQUAL(KC_CORRUPT, kc_mapping_open_dead(&dead, path));
    bad = header;
    memcpy(bad.process_id, "../../etc/x", 12);
    write_map(&bad, sizeof bad, whole);
    CHECK_EQUAL(KC_CORRUPT, kc_mapping_open_dead(&dead, path));
    bad = header;
    memset(bad.process_id, 'A', sizeof bad.process_id);
    write_map(&bad, sizeof bad, whole);
    CHECK_EQUAL(KC_CORRUPT, kc_mapping_open_dead(&dead, path));
    (void)unlink(path);
    CHECK_EQUAL(0, mkdir(path, 0700));
    CHECK(kc_mapping_open_dead(&dead, path) != KC_OK);
    (void)rmdir(path);
}

int
main(void)
{
    rig_make_folder(folder, sizeof folder);
    test_the_file_is_allocated_in_full();
    test_blocks_are_taken_and_given();
    test_a_taker_waits_for_a_block();
    test_without_a_file_the_memory_is_anonymous();
    test_the_living_are_not_opened();
    test_a_forked_child_lets_go_of_its_share();
    test_what_is_no_mapping_is_refused();
    rig_remove_folder(folder);
    return check_result("mapping");
}
