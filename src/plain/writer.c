/* writer.c -- see writer.h; what the thread does with a batch is in batch.c. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/writer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plain/batch.h"
#include "plain/wait.h"

#define WRITER_IDLE_NS UINT64_C(1000000000) /* the anchor is never older by much */
#define WRITER_STACK_BYTES (1024u * 1024)

static void *
writer_run(void *argument)
{
    struct kc_writer *writer = argument;
    bool closed = false;
#if defined(__linux__)
    (void)pthread_setname_np(pthread_self(), "kolo-c-writer");
#endif
    while (!closed) {
        if (!writer->pending) {
            writer->batch_count =
                kc_queue_pop(writer->queue, writer->batch, KC_WRITER_BATCH_BLOCKS,
                             &writer->definitions, &writer->flush, &closed,
                             kc_clock_system_ns() + WRITER_IDLE_NS);
            writer->pending = true;
        }
        bool saves = kc_batch_has_work(writer);
        if (!kc_batch_save(writer)) {
            break;
        }
        kc_queue_flushed(writer->queue, writer->flush);
        if (saves) {
            kc_batch_rotate_if_due(writer);
        }
        kc_batch_renew_cpu(writer);
    }
    kc_batch_renew_cpu(writer);
    writer->cpu_base_ns = atomic_load(&writer->cpu_ns);
    return NULL;
}

static enum kc_status
writer_save_process(struct kc_writer *writer, uint64_t started_ns,
                    uint64_t started_utc_ns)
{
    uint64_t anchor_ns = 0;
    uint64_t anchor_utc_ns = 0;
    struct kc_store *store = &writer->store;
    enum kc_status status = kc_store_begin(store);
    if (status == KC_OK) {
        status = kc_store_process(store, writer->process_id, writer->segment,
                                  (uint32_t)getpid(), started_ns, started_utc_ns,
                                  writer->info);
    }
    if (status == KC_OK) {
        kc_batch_renew_anchor(writer, &anchor_ns, &anchor_utc_ns);
        status = kc_store_anchor(store, anchor_ns, anchor_utc_ns);
    }
    if (status == KC_OK) {
        status = kc_store_commit(store);
    }
    if (status != KC_OK) {
        kc_store_rollback(store);
    }
    return status;
}

/* All that the caller did not set. */
static enum kc_status
writer_init(struct kc_writer *writer)
{
    memset((uint8_t *)writer + offsetof(struct kc_writer, store), 0,
           sizeof *writer - offsetof(struct kc_writer, store));
    if (pthread_mutex_init(&writer->lock, NULL) != 0) {
        return KC_NO_MEMORY;
    }
    if (!kc_wait_init(&writer->wake)) {
        (void)pthread_mutex_destroy(&writer->lock);
        return KC_NO_MEMORY;
    }
    return KC_OK;
}

static void
writer_destroy(struct kc_writer *writer)
{
    kc_store_close(&writer->store);
    (void)pthread_cond_destroy(&writer->wake);
    (void)pthread_mutex_destroy(&writer->lock);
}

enum kc_status
kc_writer_open(struct kc_writer *writer, uint64_t started_ns, uint64_t started_utc_ns)
{
    enum kc_status status = writer_init(writer);
    if (status != KC_OK) {
        return status;
    }
    char *path = kc_store_path(writer->directory, writer->process_id, writer->segment);
    if (path == NULL) {
        writer_destroy(writer);
        return KC_NO_MEMORY;
    }
    status =
        kc_store_open(&writer->store, path, writer->schema, writer->schema_version);
    free(path);
    if (status == KC_OK) {
        writer->store.compress = writer->compress;
        kc_batch_set_rotate_bytes(writer, 0);
        status = writer_save_process(writer, started_ns, started_utc_ns);
    }
    if (status != KC_OK) {
        kc_batch_note_failure(writer, kc_store_error(&writer->store));
        writer_destroy(writer);
    }
    return status;
}

enum kc_status
kc_writer_start(struct kc_writer *writer)
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) {
        return KC_IO;
    }
    (void)pthread_attr_setstacksize(&attributes, WRITER_STACK_BYTES);
    writer->stopping = 0;
    atomic_store(&writer->dropped_blocks, 0);
    kc_queue_reopen(writer->queue);
    kc_batch_set_state(writer, KC_WRITER_RUNNING, 0);
    /* The program's signals are for the program's threads; a thread inherits the mask.
     */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&writer->thread, &attributes, writer_run, writer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    if (error != 0) {
        kc_batch_set_state(writer, KC_WRITER_STOPPED, error);
        errno = error;
        return KC_IO;
    }
    writer->running = 1;
    return KC_OK;
}

enum kc_status
kc_writer_stop(struct kc_writer *writer, uint64_t deadline_ns)
{
    kc_queue_close(writer->queue);
    if (writer->running) {
        (void)pthread_mutex_lock(&writer->lock);
        writer->stopping = 1;
        writer->stop_deadline_ns = deadline_ns;
        writer->stop_began_ns = kc_clock_system_ns();
        (void)pthread_cond_signal(&writer->wake);
        (void)pthread_mutex_unlock(&writer->lock);
        (void)pthread_join(writer->thread, NULL);
        writer->running = 0;
    }
    uint64_t unsaved = kc_queue_count(writer->queue) + writer->batch_count;
    atomic_store(&writer->dropped_blocks, unsaved);
    if (unsaved != 0 || writer->pending) {
        return KC_TIMEOUT;
    }
    kc_batch_set_state(writer, KC_WRITER_STOPPED, 0);
    return KC_OK;
}

static enum kc_status
writer_save_end(struct kc_writer *writer, uint64_t ended_ns, const char *cause)
{
    struct kc_store *store = &writer->store;
    uint64_t anchor_ns = 0;
    uint64_t anchor_utc_ns = 0;
    enum kc_status status = kc_store_begin(store);
    if (status == KC_OK) {
        kc_batch_renew_anchor(writer, &anchor_ns, &anchor_utc_ns);
        status = kc_store_anchor(store, anchor_ns, anchor_utc_ns);
    }
    if (status == KC_OK) {
        status = kc_store_interrupt(store, ended_ns, cause);
    }
    if (status == KC_OK) {
        status = kc_store_process_end(store, ended_ns, cause);
    }
    if (status == KC_OK) {
        status = kc_store_commit(store);
    }
    if (status != KC_OK) {
        kc_batch_note_failure(writer, kc_store_error(store));
        kc_store_rollback(store);
    }
    return status;
}

enum kc_status
kc_writer_close(struct kc_writer *writer, uint64_t ended_ns, const char *cause)
{
    enum kc_status status = KC_TIMEOUT;
    bool unsaved = writer->pending || atomic_load(&writer->dropped_blocks) != 0;
    if (!unsaved || !writer->mapping->shared) {
        status = writer_save_end(writer, ended_ns, cause);
    }
    writer_destroy(writer);
    return status;
}

void
kc_writer_abandon(struct kc_writer *writer)
{
    memset((uint8_t *)writer + offsetof(struct kc_writer, store), 0,
           sizeof *writer - offsetof(struct kc_writer, store));
}
