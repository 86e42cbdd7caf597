/* batch.c -- see batch.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/batch.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "plain/last_word.h"
#include "plain/wait.h"

#define NS_PER_MS UINT64_C(1000000)
#define BATCH_PAUSE_LEAST_NS (10 * NS_PER_MS)
#define BATCH_PAUSE_MOST_NS (1000 * NS_PER_MS)
#define BATCH_LAST_TRIES_NS UINT64_C(1000000000)
#define BATCH_DISK_CHECK_NS (1000 * NS_PER_MS)
#define BATCH_KILLS_NS (1000 * NS_PER_MS)
#define BATCH_ANCHOR_NS (1000 * NS_PER_MS) /* a page more to write, each time */

void
kc_batch_set_state(struct kc_writer *writer, enum kc_writer_state state, int error)
{
    atomic_store(&writer->mapping->header->writer_error, (uint32_t)error);
    atomic_store(&writer->mapping->header->writer_state, (uint32_t)state);
}

void
kc_batch_note_failure(struct kc_writer *writer, const char *text)
{
    (void)pthread_mutex_lock(&writer->lock);
    (void)snprintf(writer->error_text, sizeof writer->error_text, "%s", text);
    (void)pthread_mutex_unlock(&writer->lock);
    atomic_fetch_add(&writer->failed_count, 1);
}

void
kc_batch_renew_anchor(struct kc_writer *writer, uint64_t *anchor_ns,
                      uint64_t *anchor_utc_ns)
{
    kc_clock_anchor(anchor_ns, anchor_utc_ns);
    atomic_store(&writer->mapping->header->anchor_ns, *anchor_ns);
    atomic_store(&writer->mapping->header->anchor_utc_ns, *anchor_utc_ns);
    uint64_t now_ns = kc_clock_system_ns();
    if (now_ns - writer->kills_noted_ns >= BATCH_KILLS_NS) {
        writer->kills_noted_ns = now_ns;
        kc_last_word_note_kills(writer->mapping->header);
    }
}

void
kc_batch_renew_cpu(struct kc_writer *writer)
{
    struct timespec used = {0, 0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    atomic_store(&writer->cpu_ns, writer->cpu_base_ns +
                                      (uint64_t)used.tv_sec * 1000 * NS_PER_MS +
                                      (uint64_t)used.tv_nsec);
}

/* Whether the disk has what must stay free. */
static bool
batch_has_room(struct kc_writer *writer)
{
    struct statvfs about;
    if (writer->free_disk_min_bytes == 0 || statvfs(writer->directory, &about) != 0) {
        return true; /* SQLite will say what is wrong */
    }
    uint64_t free_bytes = (uint64_t)about.f_bavail * (uint64_t)about.f_frsize;
    if (free_bytes >= writer->free_disk_min_bytes) {
        return true;
    }
    writer->store.error_code = ENOSPC;
    (void)snprintf(writer->store.error, sizeof writer->store.error,
                   "%llu MiB of the disk are free: make room, or lower "
                   "free_disk_min_bytes (%llu MiB)",
                   (unsigned long long)(free_bytes >> 20),
                   (unsigned long long)(writer->free_disk_min_bytes >> 20));
    return false;
}

/* Whether the folder that the store's folder is in is there. */
static bool
batch_has_project(const struct kc_writer *writer)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s", writer->directory);
    for (int i = 0; i < 2; i++) {
        char *slash = len > 0 && (size_t)len < sizeof path ? strrchr(path, '/') : NULL;
        if (slash == NULL || slash == path) {
            return true;
        }
        *slash = '\0';
    }
    return access(path, F_OK) == 0;
}

/* Whether the segment was removed. Where its folder cannot be found either, it was if
 * the mapping was; else the program has another root now, and the file is well. */
static bool
batch_is_removed(const struct kc_writer *writer)
{
    struct stat about;
    if (access(writer->store.path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR))
    {
        return false;
    }
    if (kc_mapping_has_file(writer->mapping) && fstat(writer->mapping->fd, &about) == 0)
    {
        return about.st_nlink == 0 || access(writer->directory, F_OK) == 0;
    }
    return batch_has_project(writer);
}

/* Whether what we have open is ours still. Where the program has taken the numbers of
 * its descriptors, go on with others. */
static bool
batch_has_files(struct kc_writer *writer)
{
    return kc_store_has_files(&writer->store) ||
           (batch_has_room(writer) &&
            kc_store_restore(&writer->store, writer->schema, writer->schema_version) ==
                KC_OK);
}

bool
kc_batch_restore_removed(struct kc_writer *writer)
{
    if (!batch_has_files(writer)) {
        return false;
    }
    if (!batch_is_removed(writer)) {
        return true;
    }
    if (!batch_has_project(writer) ||
        kc_store_make_directory(writer->directory) != KC_OK) {
        writer->store.error_code = ENOENT;
        (void)snprintf(writer->store.error, sizeof writer->store.error,
                       "%s: the folder was removed", writer->directory);
        return false;
    }
    if (kc_store_restore(&writer->store, writer->schema, writer->schema_version) !=
        KC_OK) {
        return false;
    }
    atomic_fetch_add(&writer->restored_count, 1);
    return true;
}

/* Whether the disk is as it should be. Asked now and then, and at every try while
 * failing. */
static bool
batch_has_disk(struct kc_writer *writer)
{
    uint64_t now_ns = kc_clock_system_ns();
    if (!atomic_load(&writer->failing) &&
        now_ns - writer->disk_checked_ns < BATCH_DISK_CHECK_NS)
    {
        return true;
    }
    writer->disk_checked_ns = now_ns;
    return batch_has_room(writer) && kc_batch_restore_removed(writer);
}

static bool
batch_is_definitions(const struct kc_block *block)
{
    return block->kind == KC_BLOCK_DEFINITIONS;
}

/* A block that is wrong in itself would be so at every try: say so and go on without.
 */
static enum kc_status
batch_pass_corrupt(struct kc_writer *writer, enum kc_status status)
{
    if (status != KC_CORRUPT) {
        return status;
    }
    kc_batch_note_failure(writer, kc_store_error(&writer->store));
    return KC_OK;
}

static enum kc_status
batch_save_definitions(struct kc_writer *writer, const struct kc_block *block,
                       uint32_t to)
{
    uint32_t from = atomic_load_explicit(&block->saved, memory_order_relaxed);
    return batch_pass_corrupt(writer,
                              kc_store_definitions(&writer->store, block, from, to));
}

/* Definitions first: those of the batch, then the log's next block. What they drop
 * comes last: of a trace that is dropped no block is in the queue any more, so what
 * there is of it was saved before, or is in this batch. */
static enum kc_status
batch_fill_transaction(struct kc_writer *writer)
{
    enum kc_status status = KC_OK;
    for (uint32_t i = 0; i < writer->batch_count && status == KC_OK; i++) {
        if (batch_is_definitions(writer->batch[i])) {
            status = batch_save_definitions(writer, writer->batch[i],
                                            kc_block_bytes(writer->batch[i]));
        }
    }
    if (status == KC_OK && writer->definitions != NULL) {
        writer->definitions_to = kc_block_bytes(writer->definitions);
        status =
            batch_save_definitions(writer, writer->definitions, writer->definitions_to);
    }
    for (uint32_t i = 0; i < writer->batch_count && status == KC_OK; i++) {
        const struct kc_block *block = writer->batch[i];
        if (!batch_is_definitions(block) && kc_block_bytes(block) != 0)
        { /* discarded */
            status = batch_pass_corrupt(writer, kc_store_block(&writer->store, block));
        }
    }
    return status == KC_OK ? kc_store_drop(&writer->store) : status;
}

static enum kc_status
batch_try_transaction(struct kc_writer *writer)
{
    uint64_t anchor_ns = 0;
    uint64_t anchor_utc_ns = 0;
    struct kc_store *store = &writer->store;
    uint64_t stored_bytes = store->stored_bytes;
    uint64_t mask_count = store->mask_count;
    if (!batch_has_files(writer) || !batch_has_disk(writer)) {
        return KC_IO;
    }
    uint64_t now_ns = kc_clock_system_ns();
    bool anchors = now_ns - writer->anchor_saved_ns >= BATCH_ANCHOR_NS;
    enum kc_status status = kc_store_begin(store);
    if (status == KC_OK) {
        kc_batch_renew_anchor(writer, &anchor_ns, &anchor_utc_ns);
        if (anchors) {
            status = kc_store_anchor(store, anchor_ns, anchor_utc_ns);
        }
    }
    if (status == KC_OK) {
        status = batch_fill_transaction(writer);
    }
    if (status == KC_OK && !kc_store_has_files(store)) {
        store->error_code = SQLITE_BUSY; /* as a lock does, it passes by itself */
        status = KC_IO;
    }
    if (status == KC_OK) {
        status = kc_store_commit(store);
    }
    if (status != KC_OK) {
        kc_store_rollback(store);
        store->stored_bytes = stored_bytes;
        store->mask_count = mask_count;
        return status;
    }
    if (anchors) {
        writer->anchor_saved_ns = now_ns;
    }
    atomic_fetch_add(&writer->stored_bytes, store->stored_bytes - stored_bytes);
    atomic_fetch_add(&writer->mask_count, store->mask_count - mask_count);
    kc_store_drop_before(store, writer->directory, writer->process_id, writer->segment,
                         writer->schema, writer->schema_version);
    return KC_OK;
}

/* After the commit, and only then: SQLite has it, the blocks may be used again. */
static void
batch_release(struct kc_writer *writer)
{
    uint64_t raw_bytes = 0;
    for (uint32_t i = 0; i < writer->batch_count; i++) {
        struct kc_block *block = writer->batch[i];
        raw_bytes += kc_block_bytes(block);
        if (batch_is_definitions(block)) {
            raw_bytes -= atomic_load(&block->saved);
            atomic_store_explicit(&block->saved, kc_block_bytes(block),
                                  memory_order_release);
        }
        kc_mapping_give(writer->mapping, block);
    }
    /* Last: as long as a recovery would find blocks of a trace that was dropped, it
     * also finds that it was. */
    if (writer->definitions != NULL) {
        raw_bytes += writer->definitions_to - atomic_load(&writer->definitions->saved);
        atomic_store_explicit(&writer->definitions->saved, writer->definitions_to,
                              memory_order_release);
    }
    atomic_fetch_add(&writer->block_count, writer->batch_count);
    atomic_fetch_add(&writer->raw_bytes, raw_bytes);
    writer->batch_count = 0;
    writer->definitions = NULL;
    writer->pending = false;
}

/* Wait before the next try; false when there must be none, as the time to stop is over.
 */
static bool
batch_pause(struct kc_writer *writer, uint64_t pause_ns)
{
    bool go_on = true;
    (void)pthread_mutex_lock(&writer->lock);
    uint64_t until_ns = kc_clock_system_ns() + pause_ns;
    bool was_stopping = writer->stopping;
    for (;;) {
        uint64_t now_ns = kc_clock_system_ns();
        if (writer->stopping && now_ns >= writer->stop_deadline_ns) {
            go_on = false;
            break;
        }
        /* Told to stop in the middle of a long pause: try again at once. */
        if (now_ns >= until_ns || writer->stopping != was_stopping) {
            break;
        }
        uint64_t wake_ns = until_ns;
        if (writer->stopping && writer->stop_deadline_ns < wake_ns) {
            wake_ns = writer->stop_deadline_ns;
        }
        (void)kc_wait_until(&writer->wake, &writer->lock, wake_ns);
    }
    (void)pthread_mutex_unlock(&writer->lock);
    return go_on;
}

bool
kc_batch_has_work(const struct kc_writer *writer)
{
    return writer->batch_count > 0 || (writer->definitions != NULL &&
                                       kc_block_bytes(writer->definitions) !=
                                           atomic_load(&writer->definitions->saved));
}

/* Told to stop while nothing can be written: the mapping keeps what there is, so the
 * program's end does not wait for a disk that is full. */
static bool
batch_is_hopeless(struct kc_writer *writer)
{
    (void)pthread_mutex_lock(&writer->lock);
    bool hopeless = atomic_load(&writer->failing) && writer->stopping &&
                    kc_clock_system_ns() - writer->stop_began_ns > BATCH_LAST_TRIES_NS;
    (void)pthread_mutex_unlock(&writer->lock);
    return hopeless;
}

bool
kc_batch_save(struct kc_writer *writer)
{
    uint64_t pause_ns = BATCH_PAUSE_LEAST_NS;
    if (!kc_batch_has_work(writer)) {
        uint64_t anchor_ns = 0;
        uint64_t anchor_utc_ns = 0;
        kc_batch_renew_anchor(writer, &anchor_ns, &anchor_utc_ns);
        writer->pending = false;
        return true;
    }
    while (batch_try_transaction(writer) != KC_OK) {
        /* Another connection's lock passes by itself: that is a slow disk, no error. */
        if ((writer->store.error_code & 0xff) != SQLITE_BUSY) {
            kc_batch_note_failure(writer, kc_store_error(&writer->store));
            kc_batch_set_state(writer, KC_WRITER_FAILED, writer->store.error_code);
            atomic_store(&writer->failing, 1);
        }
        kc_batch_renew_cpu(writer);
        if (!batch_pause(writer, pause_ns) || batch_is_hopeless(writer)) {
            return false;
        }
        pause_ns =
            pause_ns * 2 < BATCH_PAUSE_MOST_NS ? pause_ns * 2 : BATCH_PAUSE_MOST_NS;
    }
    if (atomic_load(&writer->failing)) {
        kc_batch_set_state(writer, KC_WRITER_RUNNING, 0);
        atomic_store(&writer->failing, 0);
    }
    batch_release(writer);
    return true;
}

/* What rotation carried over must not make the next segment rotate at once. */
void
kc_batch_set_rotate_bytes(struct kc_writer *writer, uint64_t size)
{
    uint64_t least = size + writer->segment_max_bytes / 4;
    writer->rotate_bytes =
        least > writer->segment_max_bytes ? least : writer->segment_max_bytes;
}

/* Go on in a new segment. Where that fails the old one is as good, for a while. */
static void
batch_rotate(struct kc_writer *writer, uint64_t size)
{
    struct kc_store next;
    char *path =
        kc_store_path(writer->directory, writer->process_id, writer->segment + 1);
    if (path == NULL) {
        kc_batch_set_rotate_bytes(writer, size);
        return;
    }
    enum kc_status status =
        kc_store_open(&next, path, writer->schema, writer->schema_version);
    if (status == KC_OK) {
        next.compress = writer->compress;
        status = kc_store_carry(&next, &writer->store);
    }
    if (status != KC_OK) {
        kc_batch_note_failure(writer, kc_store_error(&next));
        kc_store_close(&next);
        kc_store_remove(path);
        kc_batch_set_rotate_bytes(writer, size);
        goto done;
    }
    /* From here on a recovery takes the new segment; until here it removes it. */
    writer->segment++;
    atomic_store(&writer->retention.asked, true); /* where bounds are known */
    atomic_store(&writer->mapping->header->segment, writer->segment);
    kc_store_close(&writer->store);
    writer->store = next;
    kc_batch_set_rotate_bytes(writer, kc_store_size(&writer->store));

done:
    free(path);
}

void
kc_batch_rotate_if_due(struct kc_writer *writer)
{
    if (writer->segment_max_bytes == 0 || !kc_store_has_files(&writer->store)) {
        return;
    }
    uint64_t size = kc_store_size(&writer->store);
    if (size >= writer->rotate_bytes) {
        /* What is free in it is used again, but not once nobody writes to it. */
        uint64_t unused = kc_store_unused(&writer->store);
        if (size - (unused < size ? unused : size) >= writer->rotate_bytes) {
            batch_rotate(writer, size);
        }
    }
}
