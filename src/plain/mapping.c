/* mapping.c -- see mapping.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plain/last_word.h"
#include "plain/wait.h"

#define MAPPING_MAGIC "KOLOMAP1"
#define MAPPING_VERSION 1u
#define MAPPING_BLOCKS_MOST 65536u /* 4 GiB: no header of ours asks for more */
#define MAPPING_SINGLE 4u          /* blocks that come in page by page */

_Static_assert(sizeof(struct kc_mapping_header) == 232, "see wire-format.md");
_Static_assert(offsetof(struct kc_mapping_header, anchor_ns) == 72,
               "see wire-format.md");
_Static_assert(offsetof(struct kc_mapping_header, writer_state) == 104,
               "see wire-format.md");
_Static_assert(offsetof(struct kc_mapping_header, host) == 168, "see wire-format.md");

static size_t
mapping_size(uint32_t block_count)
{
    return KC_MAPPING_HEADER_BYTES + (size_t)block_count * KC_BLOCK_BYTES;
}

/* Take `size` bytes of the disk now; 0 or an errno. Where the file system cannot do it
 * at once, or a signal came (which takes back what was done: with a timer that comes
 * again and again it would never end), page by page. */
static int
mapping_allocate(int fd, size_t size)
{
#if !defined(__APPLE__)
    int error = posix_fallocate(fd, 0, (off_t)size);
    if (error != EOPNOTSUPP && error != EINVAL && error != ENOSYS && error != EINTR) {
        return error;
    }
#endif
    static const uint8_t zeros[KC_MAPPING_HEADER_BYTES];
    for (size_t at = 0; at < size;) {
        size_t len = size - at < sizeof zeros ? size - at : sizeof zeros;
        ssize_t written = pwrite(fd, zeros, len, (off_t)at);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return written < 0 ? errno : ENOSPC;
        }
        at += (size_t)written;
    }
    return 0;
}

/* Let a touch of the first pages bring in that page alone: the kernel would read ahead
 * up to 2 MiB, which takes 3 ms here and at the end, and small programs need little of
 * it. Further blocks are for programs that fill them. */
static void
mapping_advise(void *memory, uint32_t block_count)
{
    uint32_t single = block_count < MAPPING_SINGLE ? block_count : MAPPING_SINGLE;
    (void)madvise(memory, mapping_size(single), MADV_RANDOM);
}

static void
mapping_fill_header(struct kc_mapping_header *header, uint32_t block_count,
                    const char *process_id)
{
    uint64_t anchor_ns = 0;
    uint64_t anchor_utc_ns = 0;
    kc_clock_anchor(&anchor_ns, &anchor_utc_ns);
    memcpy(header->magic, MAPPING_MAGIC, sizeof header->magic);
    header->version = MAPPING_VERSION;
    header->block_bytes = KC_BLOCK_BYTES;
    header->block_count = block_count;
    header->pid = (uint32_t)getpid();
    (void)snprintf(header->process_id, sizeof header->process_id, "%s", process_id);
    header->started_ns = anchor_ns;
    header->started_utc_ns = anchor_utc_ns;
    atomic_store(&header->anchor_ns, anchor_ns);
    atomic_store(&header->anchor_utc_ns, anchor_utc_ns);
    kc_last_word_note_system(header);
}

/* The header of memory that is none of a file's yet goes into `fd`; 0 or an errno. */
static int
mapping_write_header(int fd, const struct kc_mapping_header *header)
{
    ssize_t written = pwrite(fd, header, sizeof *header, 0);
    if (written == (ssize_t)sizeof *header) {
        return 0;
    }
    return written < 0 ? errno : EIO;
}

static void
mapping_set_memory(struct kc_mapping *mapping, void *memory, uint32_t block_count)
{
    mapping->header = memory;
    mapping->blocks =
        (struct kc_block *)(void *)((uint8_t *)memory + KC_MAPPING_HEADER_BYTES);
    mapping->block_count = block_count;
}

static void
mapping_set_fd(struct kc_mapping *mapping, int fd)
{
    mapping->fd = fd;
    mapping->shared = 1;
    kc_descriptor_note(&mapping->descriptor, fd);
}

/* The steps that need a file; 0 or an errno, and then nothing is left behind. With
 * `place`, memory that has its header, the file comes to stand there. */
static int
mapping_create_file(struct kc_mapping *mapping, const char *path, uint32_t block_count,
                    const char *process_id, void *place)
{
    int error = 0;
    int fd = -1;
    size_t size = mapping_size(block_count);
    void *memory = MAP_FAILED;
    size_t path_bytes = strlen(path);
    char *name = malloc(path_bytes + sizeof ".new");
    if (name == NULL) {
        return ENOMEM;
    }
    memcpy(name, path, path_bytes);
    memcpy(name + path_bytes, ".new", sizeof ".new");
    if (access(path, F_OK) == 0) {
        error = EEXIST;
        goto done;
    }
    fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        error = errno;
        goto done;
    }
    error = mapping_allocate(fd, size);
    if (error == 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        error = errno;
    }
    if (error == 0 && place != NULL) {
        error = mapping_write_header(fd, place);
    }
    if (error == 0) {
        memory = mmap(place, size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | (place != NULL ? MAP_FIXED : 0), fd, 0);
        error = memory == MAP_FAILED ? errno : 0;
    }
    if (error == 0) {
        mapping_advise(memory, block_count);
        if (place == NULL) {
            mapping_fill_header(memory, block_count, process_id);
        }
        error = rename(name, path) != 0 ? errno : 0;
    }
    if (error != 0) {
        (void)unlink(name);
        goto done;
    }
    mapping_set_memory(mapping, memory, block_count);
    mapping_set_fd(mapping, fd);
    memory = MAP_FAILED;
    fd = -1;

done:
    if (memory != MAP_FAILED && place == NULL) {
        (void)munmap(memory, size);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    free(name);
    return error;
}

static enum kc_status
mapping_create_anonymous(struct kc_mapping *mapping, uint32_t block_count,
                         const char *process_id)
{
    void *memory = mmap(NULL, mapping_size(block_count), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return KC_NO_MEMORY;
    }
    mapping_fill_header(memory, block_count, process_id);
    mapping_set_memory(mapping, memory, block_count);
    return KC_OK;
}

/* The parts outside the memory: path, free list, lock. */
static enum kc_status
mapping_init(struct kc_mapping *mapping, const char *path, uint32_t block_count)
{
    memset(mapping, 0, sizeof *mapping);
    mapping->fd = -1;
    mapping->path = strdup(path);
    mapping->free_list = calloc(block_count, sizeof *mapping->free_list);
    if (mapping->path == NULL || mapping->free_list == NULL) {
        goto no_memory;
    }
    if (pthread_mutex_init(&mapping->lock, NULL) != 0) {
        goto no_memory;
    }
    if (!kc_wait_init(&mapping->freed)) {
        (void)pthread_mutex_destroy(&mapping->lock);
        goto no_memory;
    }
    return KC_OK;

no_memory:
    free(mapping->free_list);
    free(mapping->path);
    mapping->free_list = NULL;
    mapping->path = NULL;
    return KC_NO_MEMORY;
}

/* Last in, first out: the blocks in front are taken again and again, so that a process
 * that needs few touches few. */
static void
mapping_fill_pool(struct kc_mapping *mapping, uint32_t block_count)
{
    for (uint32_t i = 0; i < block_count; i++) {
        mapping->free_list[i] = block_count - 1 - i;
    }
    mapping->free_count = block_count;
}

bool
kc_mapping_has_file(const struct kc_mapping *mapping)
{
    return mapping->fd >= 0 && kc_descriptor_is_ours(&mapping->descriptor);
}

enum kc_status
kc_mapping_create(struct kc_mapping *mapping, const char *path, uint32_t block_count,
                  const char *process_id, int *reason)
{
    *reason = 0;
    enum kc_status status = mapping_init(mapping, path, block_count);
    if (status != KC_OK) {
        return status;
    }
    *reason = mapping_create_file(mapping, path, block_count, process_id, NULL);
    if (*reason != 0) {
        status = mapping_create_anonymous(mapping, block_count, process_id);
        if (status != KC_OK) {
            kc_mapping_destroy(mapping, 0);
            return status;
        }
    }
    mapping_fill_pool(mapping, block_count);
    return KC_OK;
}

enum kc_status
kc_mapping_create_later(struct kc_mapping *mapping, const char *path,
                        uint32_t block_count, const char *process_id,
                        bool (*prepare)(void *), void *argument)
{
    enum kc_status status = mapping_init(mapping, path, block_count);
    if (status != KC_OK) {
        return status;
    }
    status = mapping_create_anonymous(mapping, block_count, process_id);
    if (status != KC_OK) {
        kc_mapping_destroy(mapping, 0);
        return status;
    }
    mapping_fill_pool(mapping, block_count);
    mapping->prepare = prepare;
    mapping->prepare_argument = argument;
    return KC_OK;
}

int
kc_mapping_share(struct kc_mapping *mapping)
{
    return mapping_create_file(mapping, mapping->path, mapping->block_count,
                               mapping->header->process_id, mapping->header);
}

/* Whether the header says nothing that would lead outside the file. The process id goes
 * into file names: it must be a plain word. */
static bool
mapping_header_is_sound(const struct kc_mapping_header *header, size_t file_bytes)
{
    if (memcmp(header->magic, MAPPING_MAGIC, sizeof header->magic) != 0 ||
        header->version != MAPPING_VERSION || header->block_bytes != KC_BLOCK_BYTES ||
        header->block_count == 0 || header->block_count > MAPPING_BLOCKS_MOST ||
        mapping_size(header->block_count) > file_bytes)
    {
        return false;
    }
    size_t len = strnlen(header->process_id, sizeof header->process_id);
    if (len == 0 || len == sizeof header->process_id) {
        return false;
    }
    return strspn(header->process_id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                      "abcdefghijklmnopqrstuvwxyz_-") == len;
}

/* Whether `fd` is still what `path` names: a recovery that ended just now removed it.
 */
static bool
mapping_is_named(int fd, const char *path, struct stat *status)
{
    struct stat named;
    return fstat(fd, status) == 0 && stat(path, &named) == 0 &&
           status->st_ino == named.st_ino && status->st_dev == named.st_dev;
}

/* The lock is a recovery's now: a reader is not to take it for the owner's. */
static void
mapping_note_dead(int fd)
{
    const uint32_t state = KC_MAPPING_DEAD;
    off_t at = offsetof(struct kc_mapping_header, writer_state);
    (void)!pwrite(fd, &state, sizeof state, at);
}

static enum kc_status
mapping_map_dead(struct kc_mapping *mapping, int fd, size_t file_bytes)
{
    struct kc_mapping_header header;
    if (file_bytes < KC_MAPPING_HEADER_BYTES ||
        pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header ||
        !mapping_header_is_sound(&header, file_bytes))
    {
        return KC_CORRUPT;
    }
    /* Nobody writes to it any more; and not every file system shares memory. */
    void *memory =
        mmap(NULL, mapping_size(header.block_count), PROT_READ, MAP_PRIVATE, fd, 0);
    if (memory == MAP_FAILED) {
        return KC_IO;
    }
    mapping_note_dead(fd);
    mapping_set_memory(mapping, memory, header.block_count);
    mapping_set_fd(mapping, fd);
    return KC_OK;
}

enum kc_status
kc_mapping_open_dead(struct kc_mapping *mapping, const char *path)
{
    enum kc_status status = mapping_init(mapping, path, 1);
    if (status != KC_OK) {
        return status;
    }
    struct stat about;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) {
        status = KC_IO;
    }
    else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK ? KC_BUSY : KC_IO;
    }
    else if (!mapping_is_named(fd, path, &about)) {
        status = KC_BUSY;
    }
    else if (!S_ISREG(about.st_mode)) {
        status = KC_CORRUPT;
    }
    else {
        status = mapping_map_dead(mapping, fd, (size_t)about.st_size);
    }
    if (status != KC_OK) {
        int error = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        kc_mapping_destroy(mapping, 0);
        errno = error;
    }
    return status;
}

/* With the lock held. */
static struct kc_block *
mapping_take_locked(struct kc_mapping *mapping)
{
    if (mapping->free_count == 0) {
        return NULL;
    }
    struct kc_block *block =
        &mapping->blocks[mapping->free_list[--mapping->free_count]];
    /* A reader beside us, or a recovery after us, must not take what the block held for
     * its new contents: empty it first, then let it be seen. */
    block->generation++;
    atomic_store_explicit(&block->committed, 0, memory_order_release);
    atomic_store_explicit(&block->saved, 0, memory_order_release);
    block->open_count = 0;
    block->magic = KC_BLOCK_MAGIC;
    atomic_store_explicit(&block->state, KC_BLOCK_FILLING, memory_order_release);
    return block;
}

struct kc_block *
kc_mapping_take(struct kc_mapping *mapping)
{
    if (mapping->prepare != NULL && !mapping->prepare(mapping->prepare_argument)) {
        return NULL;
    }
    (void)pthread_mutex_lock(&mapping->lock);
    struct kc_block *block = mapping_take_locked(mapping);
    (void)pthread_mutex_unlock(&mapping->lock);
    return block;
}

struct kc_block *
kc_mapping_take_wait(struct kc_mapping *mapping, uint64_t deadline_ns)
{
    (void)pthread_mutex_lock(&mapping->lock);
    struct kc_block *block = mapping_take_locked(mapping);
    while (block == NULL) {
        bool in_time = kc_wait_until(&mapping->freed, &mapping->lock, deadline_ns);
        block = mapping_take_locked(mapping);
        if (!in_time) {
            break;
        }
    }
    (void)pthread_mutex_unlock(&mapping->lock);
    return block;
}

void
kc_mapping_give(struct kc_mapping *mapping, struct kc_block *block)
{
    (void)pthread_mutex_lock(&mapping->lock);
    atomic_store_explicit(&block->state, KC_BLOCK_FREE, memory_order_release);
    mapping->free_list[mapping->free_count++] = (uint32_t)(block - mapping->blocks);
    (void)pthread_cond_signal(&mapping->freed);
    (void)pthread_mutex_unlock(&mapping->lock);
}

void
kc_mapping_destroy(struct kc_mapping *mapping, int unlink_file)
{
    if (mapping->path == NULL) {
        return;
    }
    /* Remove it while the lock is held: whoever gets the lock later sees that it is
     * gone. */
    if (unlink_file && mapping->shared) {
        (void)unlink(mapping->path);
    }
    (void)pthread_cond_destroy(&mapping->freed);
    (void)pthread_mutex_destroy(&mapping->lock);
    kc_mapping_abandon(mapping);
}

void
kc_mapping_abandon(struct kc_mapping *mapping)
{
    if (mapping->header != NULL) {
        (void)munmap(mapping->header, mapping_size(mapping->block_count));
    }
    if (kc_mapping_has_file(mapping)) {
        /* The lock belongs to the open file: as long as the parent has it, it stays. */
        (void)close(mapping->fd);
    }
    free(mapping->free_list);
    free(mapping->path);
    memset(mapping, 0, sizeof *mapping);
    mapping->fd = -1;
}
