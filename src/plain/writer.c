/* writer.c -- see writer.h; what the thread does with a batch is in batch.c. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/writer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plain/batch.h"
#include "plain/wait.h"

#define WRITER_IDLE_NS UINT64_C(1000000000) /* the anchor is never older by much */
#define WRITER_STACK_BYTES (1024u * 1024)

/* Take a batch and save it; whether there is more to come. */
static bool
writer_turn(struct kc_writer *writer)
{
    bool closed = false;
    bool due = kc_retention_is_due(&writer->retention);
    if (!writer->pending) {
        writer->batch_count = kc_queue_pop(
            writer->queue, writer->batch, KC_WRITER_BATCH_BLOCKS, &writer->definitions,
            &writer->flush, &closed, kc_clock_system_ns() + (due ? 0 : WRITER_IDLE_NS));
        writer->pending = true;
    }
    bool saves = kc_batch_has_work(writer);
    if (!kc_batch_save(writer)) {
        return false;
    }
    kc_queue_flushed(writer->queue, writer->flush);
    if (saves) {
        kc_batch_rotate_if_due(writer);
    }
    if (due && !closed) {
        kc_retention_turn(&writer->retention, writer->directory, writer->process_id,
                          writer->segment);
    }
    return !closed;
}

/* With `lock` held: whether the thread has to end, all saved or not. Whoever told it to
 * stop may have left and let it go on: then what it knows of the queue is old. */
static bool
writer_is_due(struct kc_writer *writer, bool more)
{
    bool resumed = writer->resumed;
    writer->resumed = false;
    return writer->stopping && !resumed &&
           (!more || kc_clock_system_ns() >= writer->stop_deadline_ns);
}

static void *
writer_run(void *argument)
{
    struct kc_writer *writer = argument;
    bool ends = false;
#if defined(__linux__)
    (void)pthread_setname_np(pthread_self(), "kolo-c-writer");
#endif
    while (!ends) {
        bool more = writer_turn(writer);
        kc_batch_renew_cpu(writer);
        (void)pthread_mutex_lock(&writer->lock);
        ends = writer_is_due(writer, more);
        if (ends) {
            writer->cpu_base_ns = atomic_load(&writer->cpu_ns);
            writer->finished = true;
            (void)pthread_cond_broadcast(&writer->wake);
        }
        (void)pthread_mutex_unlock(&writer->lock);
    }
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
    kc_retention_destroy(&writer->retention);
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

/* Whether the thread that a stop left behind is at work still; it goes on, then. */
static bool
writer_resume(struct kc_writer *writer)
{
    (void)pthread_mutex_lock(&writer->lock);
    writer->stopping = false;
    bool resumed = writer->running && !writer->finished;
    writer->resumed = resumed;
    (void)pthread_mutex_unlock(&writer->lock);
    if (writer->running && !resumed) {
        (void)pthread_join(writer->thread, NULL);
        writer->running = 0;
    }
    return resumed;
}

/* A thread that does `run`, and says at its end that it has finished; 0 or an errno. */
static int
writer_begin_thread(struct kc_writer *writer, void *(*run)(void *))
{
    sigset_t all;
    sigset_t before;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error != 0) {
        return error;
    }
    (void)pthread_attr_setstacksize(&attributes, WRITER_STACK_BYTES);
    writer->finished = false;
    /* The program's signals are for the program's threads; a thread inherits the mask.
     */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&writer->thread, &attributes, run, writer);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    writer->running = error == 0;
    return error;
}

enum kc_status
kc_writer_start(struct kc_writer *writer)
{
    kc_queue_reopen(writer->queue);
    atomic_store(&writer->dropped_blocks, 0);
    if (writer_resume(writer)) {
        return KC_OK;
    }
    kc_batch_set_state(writer, KC_WRITER_RUNNING, 0);
    int error = writer_begin_thread(writer, writer_run);
    if (error != 0) {
        kc_batch_set_state(writer, KC_WRITER_STOPPED, error);
        errno = error;
        return KC_IO;
    }
    return KC_OK;
}

/* With `lock` held: wait until the thread has finished, or the time to stop is over, or
 * no transaction has ended for `patience_ns`. */
static void
writer_await_finished(struct kc_writer *writer)
{
    uint64_t seen = 0;
    uint64_t moved_ns = writer->stop_began_ns;
    while (!writer->finished) {
        uint64_t now_ns = kc_clock_system_ns();
        uint64_t blocks = atomic_load(&writer->block_count);
        if (blocks != seen) {
            seen = blocks;
            moved_ns = now_ns;
        }
        if (writer->patience_ns != 0 && writer->mapping->shared &&
            now_ns < writer->stop_deadline_ns &&
            now_ns - moved_ns >= writer->patience_ns)
        {
            writer->stop_deadline_ns = now_ns;
            (void)pthread_cond_broadcast(&writer->wake);
        }
        uint64_t until_ns = now_ns + KC_WRITER_GRACE_NS;
        if (now_ns >= writer->stop_deadline_ns) {
            until_ns = writer->stop_deadline_ns + KC_WRITER_GRACE_NS;
            if (now_ns >= until_ns) {
                break;
            }
        }
        (void)kc_wait_until(&writer->wake, &writer->lock, until_ns);
    }
}

/* Tell the thread to end until `deadline_ns`; false where it is left behind. */
static bool
writer_end_thread(struct kc_writer *writer, uint64_t deadline_ns)
{
    (void)pthread_mutex_lock(&writer->lock);
    writer->stopping = true;
    writer->stop_deadline_ns = deadline_ns;
    writer->stop_began_ns = kc_clock_system_ns();
    (void)pthread_cond_broadcast(&writer->wake);
    kc_queue_close(writer->queue);
    writer_await_finished(writer);
    bool finished = writer->finished;
    (void)pthread_mutex_unlock(&writer->lock);
    if (finished) {
        (void)pthread_join(writer->thread, NULL);
        writer->running = 0;
    }
    return finished;
}

enum kc_status
kc_writer_stop(struct kc_writer *writer, uint64_t deadline_ns)
{
    if (writer->running && !writer_end_thread(writer, deadline_ns)) {
        /* What it holds is its own: there is no counting it. */
        atomic_store(&writer->dropped_blocks, kc_queue_count(writer->queue) + 1);
        return KC_TIMEOUT;
    }
    kc_queue_close(writer->queue);
    uint64_t unsaved = kc_queue_count(writer->queue) + writer->batch_count;
    atomic_store(&writer->dropped_blocks, unsaved);
    if (unsaved != 0 || writer->pending) {
        return KC_TIMEOUT;
    }
    kc_batch_set_state(writer, KC_WRITER_STOPPED, 0);
    return KC_OK;
}

static enum kc_status
writer_save_end(struct kc_writer *writer)
{
    uint64_t ended_ns = writer->ended_ns;
    const char *cause = writer->cause;
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

/* The end's row, and the WAL folded in: the disk may take its time for both. */
static void *
writer_run_close(void *argument)
{
    struct kc_writer *writer = argument;
    enum kc_status status = KC_TIMEOUT;
    bool unsaved = writer->pending || atomic_load(&writer->dropped_blocks) != 0;
    if (!unsaved || !writer->mapping->shared) {
        (void)kc_batch_restore_removed(writer); /* or there is nothing to be done */
        if (kc_store_has_files(&writer->store)) {
            status = writer_save_end(writer);
        }
        else {
            kc_batch_note_failure(writer, kc_store_error(&writer->store));
        }
    }
    kc_store_close(&writer->store);
    (void)pthread_mutex_lock(&writer->lock);
    writer->closed = status;
    writer->finished = true;
    (void)pthread_cond_broadcast(&writer->wake);
    (void)pthread_mutex_unlock(&writer->lock);
    return NULL;
}

enum kc_status
kc_writer_close(struct kc_writer *writer, uint64_t ended_ns, const char *cause)
{
    if (writer->running) {
        return KC_TIMEOUT;
    }
    writer->ended_ns = ended_ns;
    (void)snprintf(writer->cause, sizeof writer->cause, "%s", cause);
    if (writer_begin_thread(writer, writer_run_close) != 0) {
        (void)writer_run_close(writer);
    }
    else if (!writer_end_thread(writer, UINT64_MAX - KC_WRITER_GRACE_NS)) {
        return KC_TIMEOUT;
    }
    writer_destroy(writer);
    return writer->closed;
}

void
kc_writer_failure(struct kc_writer *writer, char *text, size_t size)
{
    (void)pthread_mutex_lock(&writer->lock);
    (void)snprintf(text, size, "%s", writer->error_text);
    (void)pthread_mutex_unlock(&writer->lock);
}

void
kc_writer_abandon(struct kc_writer *writer)
{
    if (!writer->running) { /* one that was left behind may be in the middle of it */
        kc_retention_destroy(&writer->retention);
    }
    memset((uint8_t *)writer + offsetof(struct kc_writer, store), 0,
           sizeof *writer - offsetof(struct kc_writer, store));
}
