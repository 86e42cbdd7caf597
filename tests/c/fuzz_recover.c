/* fuzz_recover.c -- recovery of a mapping that says what it likes.
 *
 * An input is the header's bytes and then, for each block, its header's and the first
 * BLOCK_BYTES of its data; the rest of the file is zeros. What leads no further than to
 * a refusal (the magic, the name) is put right in three of four inputs.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "plain/recover.h"
#include "rig.h"

#define HEADER_BYTES sizeof(struct kc_mapping_header)
#define BLOCK_BYTES 480u
#define PIECE_BYTES (KC_BLOCK_HEADER_BYTES + BLOCK_BYTES)
#define MOST_BLOCKS 6u

const char *const fuzz_name = "fuzz recover";
const unsigned fuzz_rounds = 150;

static char folder[64];

static void
remove_folder(void)
{
    rig_remove_folder(folder);
}

static void
make_folder_once(void)
{
    if (folder[0] == '\0') {
        rig_make_folder(folder, sizeof folder);
        (void)atexit(remove_folder);
    }
}

static void
write_at(int fd, const void *bytes, size_t len, size_t at)
{
    FUZZ_CHECK(pwrite(fd, bytes, len, (off_t)at) == (ssize_t)len);
}

static void
write_mapping(const char *path, const uint8_t *data, size_t len)
{
    struct kc_mapping_header header;
    memset(&header, 0, sizeof header);
    memcpy(&header, data, len < sizeof header ? len : sizeof header);
    size_t rest = len < sizeof header ? 0 : len - sizeof header;
    uint32_t blocks = (uint32_t)(rest / PIECE_BYTES);
    blocks = blocks < 1 ? 1 : blocks > MOST_BLOCKS ? MOST_BLOCKS : blocks;
    if (len > 0 && (data[len - 1] & 3u) != 0) {
        memcpy(header.magic, "KOLOMAP1", sizeof header.magic);
        header.version = 1;
        header.block_bytes = KC_BLOCK_BYTES;
        header.block_count = blocks;
        memset(header.process_id, 0, sizeof header.process_id);
        memcpy(header.process_id, RIG_PROCESS, sizeof RIG_PROCESS);
        atomic_store(&header.segment, atomic_load(&header.segment) & 1u);
    }
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(fd >= 0);
    write_at(fd, &header, sizeof header, 0);
    FUZZ_CHECK(ftruncate(fd, KC_MAPPING_HEADER_BYTES + blocks * KC_BLOCK_BYTES) == 0);
    for (uint32_t i = 0; i < blocks && (i + 1) * PIECE_BYTES <= rest; i++) {
        write_at(fd, data + sizeof header + i * PIECE_BYTES, PIECE_BYTES,
                 KC_MAPPING_HEADER_BYTES + i * KC_BLOCK_BYTES);
    }
    (void)close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char path[128];
    struct kc_recovered recovered;
    make_folder_once();
    (void)snprintf(path, sizeof path, "%s/" RIG_PROCESS ".map", folder);
    write_mapping(path, data, len);
    enum kc_status status =
        kc_recover(path, rig_schema(), RIG_SCHEMA_VERSION, 1, &recovered);
    /* What was saved is not there to be saved again. */
    FUZZ_CHECK((status == KC_OK) == (access(path, F_OK) != 0));
    FUZZ_CHECK(status == KC_OK || recovered.error[0] != '\0');
    (void)unlink(path);
    for (uint64_t segment = 0; segment < 3; segment++) {
        char *name = kc_store_path(folder, RIG_PROCESS, segment);
        kc_store_remove(name);
        free(name);
    }
    return 0;
}

/* What a process leaves that dies in the middle of its work. */
size_t
fuzz_seed(unsigned number, uint8_t *data, size_t room)
{
    struct rig rig;
    size_t len = HEADER_BYTES;
    if (number > 0 || room < HEADER_BYTES + MOST_BLOCKS * PIECE_BYTES) {
        return 0;
    }
    make_folder_once();
    rig_init(&rig, folder);
    rig_start(&rig);
    for (unsigned i = 0; i < 12; i++) {
        rig_write(&rig);
    }
    rig_end_trace(&rig, 1);
    memcpy(data, rig.mapping.header, HEADER_BYTES);
    for (uint32_t i = 0; i < rig.mapping.block_count; i++) {
        const struct kc_block *block = &rig.mapping.blocks[i];
        if (atomic_load(&block->state) != KC_BLOCK_FREE) {
            memcpy(data + len, block, PIECE_BYTES);
            len += PIECE_BYTES;
        }
    }
    rig_finish(&rig);
    rig_destroy(&rig, true);
    data[len++] = 1;
    return len;
}
