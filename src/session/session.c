/* session.c -- see session.h. */

#include "session/session.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "plain/clock.h"
#include "plain/last_word.h"

#define CALIBRATE_NS 1000000u
#define OPEN_PAUSE_NS 1000000000u
#define WAIT_SLICE_NS 50000000u
#define DESTROY_WAIT_NS 2000000000u
#define PATIENCE_LEAST_NS 2000000000u /* with a disk that does nothing, at the end */
#define QUIESCE_SLICE_NS 200000
#define FORK_PAUSE_NS 100000000u /* Python warns of threads after its handlers */
#define LAST_STEP_NS 20000000u   /* for a worker to leave what its request waited for */

static char *
session_copy_text(const char *text)
{
    size_t len = strlen(text) + 1;
    char *copy = PyMem_RawMalloc(len);
    if (copy != NULL) {
        memcpy(copy, text, len);
    }
    return copy;
}

/* Keep our own copies: the writer reads them without the GIL. */
static int
session_copy_options(struct kc_session *session,
                     const struct kc_session_options *options)
{
    const char *texts[4] = {options->directory, options->process_id, options->schema,
                            options->info};
    for (int i = 0; i < 4; i++) {
        session->strings[i] = session_copy_text(texts[i]);
        if (session->strings[i] == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    session->drop = options->drop;
    session->wait_max_ns = options->wait_max_ns;
    session->wait_left_ns = options->wait_max_ns;
    session->max_trace_bytes = options->max_trace_bytes;
    return 0;
}

/* Something is kept for the first time: make what a session makes at its start
 * otherwise. With the GIL, and it keeps it: a record is being begun. */
static bool
session_prepare(void *argument)
{
    struct kc_session *session = argument;
    struct kc_writer *writer = &session->writer;
    if (!session->open ||
        (session->refused && kc_clock_system_ns() < session->retry_ns)) {
        return false;
    }
    const char *why = NULL;
    if (kc_store_make_directory(writer->directory) == KC_OK) {
        if (!session->mapping.shared) {
            session->mapping_reason = kc_mapping_share(&session->mapping);
        }
    }
    else if (errno == ELOOP) {
        why = "the store, or its folder of segments, is a symbolic link";
    }
    if (why == NULL &&
        kc_writer_open(writer, session->started_ns, session->started_utc_ns) != KC_OK)
    {
        why = kc_store_error(&writer->store);
    }
    if (why != NULL) {
        /* Nothing waits for a block, until the disk is better. */
        session->refused = true;
        session->retry_ns = kc_clock_system_ns() + OPEN_PAUSE_NS;
        atomic_store(&writer->failing, 1);
        char text[sizeof session->error_text];
        (void)snprintf(text, sizeof text, "nothing could be recorded: %s", why);
        kc_session_error(session, text);
        return false;
    }
    session->mapping.prepare = NULL;
    session->refused = false;
    session->writer_ready = true;
    session->opened = true;
    return true;
}

static int
session_open_mapping(struct kc_session *session,
                     const struct kc_session_options *options)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/%s.map", session->strings[0],
                       session->strings[1]);
    if (len < 0 || (size_t)len >= sizeof path) {
        PyErr_SetString(PyExc_ValueError, "the store's path is too long");
        return -1;
    }
    enum kc_status status =
        options->later
            ? kc_mapping_create_later(&session->mapping, path, KC_MAPPING_BLOCKS,
                                      session->strings[1], session_prepare, session)
            : kc_mapping_create(&session->mapping, path, KC_MAPPING_BLOCKS,
                                session->strings[1], &session->mapping_reason);
    if (status != KC_OK) {
        PyErr_NoMemory();
        return -1;
    }
    session->mapping_ready = true;
    session->mapping.header->started_ns = session->started_ns;
    session->mapping.header->started_utc_ns = session->started_utc_ns;
    return 0;
}

static void
session_set_writer(struct kc_session *session, const struct kc_session_options *options)
{
    struct kc_writer *writer = &session->writer;
    writer->mapping = &session->mapping;
    writer->queue = &session->queue;
    writer->directory = session->strings[0];
    writer->process_id = session->strings[1];
    writer->schema = session->strings[2];
    writer->info = session->strings[3];
    writer->schema_version = options->schema_version;
    writer->compress = options->compress;
    writer->segment_max_bytes = options->segment_max_bytes;
    writer->free_disk_min_bytes = options->free_disk_min_bytes;
    writer->patience_ns = options->wait_max_ns > PATIENCE_LEAST_NS
                              ? options->wait_max_ns
                              : PATIENCE_LEAST_NS;
}

static int
session_open_writer(struct kc_session *session)
{
    struct kc_writer *writer = &session->writer;
    enum kc_status status;
    Py_BEGIN_ALLOW_THREADS
    status = kc_writer_open(writer, session->started_ns, session->started_utc_ns);
    Py_END_ALLOW_THREADS
    if (status != KC_OK) {
        PyErr_Format(PyExc_OSError, "%s/%s-0.db: %s", session->strings[0],
                     session->strings[1], kc_store_error(&writer->store));
        return -1;
    }
    session->writer_ready = true;
    session->opened = true;
    return 0;
}

int
kc_session_open(struct kc_session *session, const struct kc_session_options *options)
{
    kc_clock_init(CALIBRATE_NS);
    session->started_ns = kc_clock_ns();
    session->started_utc_ns = kc_clock_utc_ns();
    if (session_copy_options(session, options) < 0) {
        return -1;
    }
    if (session_open_mapping(session, options) < 0) {
        return -1;
    }
    if (kc_queue_init(&session->queue, KC_QUEUE_BLOCKS) != KC_OK) {
        PyErr_NoMemory();
        return -1;
    }
    session->queue_ready = true;
    session_set_writer(session, options);
    if (!options->later && session_open_writer(session) < 0) {
        return -1;
    }
    session->definitions = kc_definitions_new(&session->mapping, &session->queue);
    if (session->definitions == NULL) {
        return -1;
    }
    session->tasks = PyDict_New();
    session->asyncio_name = PyUnicode_InternFromString("_asyncio");
    session->greenlet_name = PyUnicode_InternFromString("greenlet._greenlet");
    if (session->tasks == NULL || session->asyncio_name == NULL ||
        session->greenlet_name == NULL)
    {
        return -1;
    }
    session->dropped.dropped = true;
    session->open = true;
    return 0;
}

void
kc_session_error(struct kc_session *session, const char *text)
{
    session->error_count++;
    if (session->error_text[0] == '\0') {
        (void)snprintf(session->error_text, sizeof session->error_text, "%s", text);
    }
}

/* ---- blocks on their way to the writer ---- */

/* False where there is no writer and can be none. While the program forks there may be
 * one later. */
static bool
session_start_writer(struct kc_session *session)
{
    if (!session->opened) {
        return false; /* nothing has been kept yet, or nothing can be */
    }
    if (session->writer_started || session->forking) {
        return true;
    }
    if (kc_writer_start(&session->writer) != KC_OK) {
        kc_session_error(session, "the writer thread could not be started");
        return false;
    }
    session->writer_started = true;
    return true;
}

void
kc_session_want_writer(struct kc_session *session)
{
    (void)session_start_writer(session);
}

void
kc_session_count_wait(struct kc_session *session, uint64_t ns)
{
    session->waited_ns += ns;
    session->wait_left_ns = session->wait_left_ns > ns ? session->wait_left_ns - ns : 0;
}

bool
kc_session_is_stuck(const struct kc_session *session)
{
    return !session->open && !session->dead && session->writer.running;
}

/* Whether a person wants the program to stop: no record is worth more. The question
 * takes the signal away, so it is put back. */
static bool
session_is_interrupted(void)
{
    if (PyOS_InterruptOccurred() == 0) {
        return false;
    }
    PyErr_SetInterrupt();
    return true;
}

/* Call `step` without the GIL in slices, until it gives what is wanted, the budget of
 * overflow = "wait" is used up or Ctrl-C is pressed. Counts the time. */
typedef bool (*wait_step)(struct kc_session *session, uint64_t deadline_ns,
                          void *result);

static bool
session_wait(struct kc_session *session, wait_step step, void *result)
{
    if (session->drop || atomic_load(&session->writer.failing) != 0) {
        return false;
    }
    bool done = false;
    uint64_t began = kc_clock_system_ns();
    uint64_t left = session->wait_left_ns;
    kc_queue_hurry(&session->queue);
    while (!done && left != 0 && session_start_writer(session)) {
        uint64_t slice = left < WAIT_SLICE_NS ? left : WAIT_SLICE_NS;
        uint64_t deadline = kc_clock_system_ns() + slice;
        Py_BEGIN_ALLOW_THREADS
        done = step(session, deadline, result);
        Py_END_ALLOW_THREADS
        left = !done && session_is_interrupted() ? 0 : left > slice ? left - slice : 0;
    }
    kc_session_count_wait(session, kc_clock_system_ns() - began);
    return done;
}

static bool
wait_for_block(struct kc_session *session, uint64_t deadline_ns, void *result)
{
    struct kc_block **block = result;
    *block = kc_mapping_take_wait(&session->mapping, deadline_ns);
    return *block != NULL;
}

static bool
wait_for_room(struct kc_session *session, uint64_t deadline_ns, void *result)
{
    (void)result;
    return kc_queue_wait_room(&session->queue, deadline_ns) == KC_OK;
}

/* The stream used longest ago hands over its block as it is; false where none has one.
 * It may be another one of the running thread, which waits for a block and is writing
 * nothing. */
static bool
session_flush_oldest(struct kc_session *session)
{
    struct kc_thread *oldest = NULL;
    struct kc_thread_stream *oldest_stream = NULL;
    for (struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next) {
        if (kc_thread_is_busy(thread)) {
            continue;
        }
        for (struct kc_thread_stream *stream = thread->streams; stream != NULL;
             stream = stream->next)
        {
            if (stream->stream.block != NULL &&
                (oldest == NULL ||
                 stream->stream.last_ns < oldest_stream->stream.last_ns))
            {
                oldest = thread;
                oldest_stream = stream;
            }
        }
    }
    if (oldest != NULL) {
        uint8_t guard = oldest->guard;
        oldest->guard = KC_GUARD_FLUSH;
        kc_thread_flush_stream(oldest, oldest_stream);
        oldest->guard = guard;
    }
    return oldest != NULL;
}

/* The pool is empty: streams hand over what they have, as many as the writer saves in
 * one transaction. With one each the program would wait for a transaction a block. */
static void
session_flush_some(struct kc_session *session)
{
    uint32_t waiting = kc_queue_count(&session->queue) + 1;
    while (session_flush_oldest(session) && waiting < KC_QUEUE_GATHER_BLOCKS) {
        waiting++;
    }
}

/* Have a writer, unless the program has just forked: its handlers run then, and it is
 * warned where they leave it with a thread. The queue takes blocks meanwhile. */
static bool
session_start_writer_soon(struct kc_session *session)
{
    bool soon = session->forked_ns != 0 && !session->writer_started &&
                kc_clock_system_ns() - session->forked_ns < FORK_PAUSE_NS;
    return soon ? session->opened : session_start_writer(session);
}

struct kc_block *
kc_session_take_block(struct kc_session *session)
{
    struct kc_block *block = kc_mapping_take(&session->mapping);
    if (block != NULL) {
        return block;
    }
    /* A fork may have stopped the writer while nothing could be written. */
    (void)session_start_writer_soon(session);
    session_flush_some(session);
    block = kc_mapping_take(&session->mapping);
    if (block == NULL && !session_wait(session, wait_for_block, &block)) {
        return NULL;
    }
    return block;
}

bool
kc_session_hand_over(struct kc_session *session, struct kc_block *block)
{
    if (!session->dead && session->open && session_start_writer_soon(session)) {
        enum kc_status status = kc_queue_push(&session->queue, block);
        while (status == KC_FULL && session_wait(session, wait_for_room, NULL)) {
            status = kc_queue_push(&session->queue, block);
        }
        if (status == KC_OK) {
            if (session->queue.count <= 1) { /* it ran empty: patience is full again */
                session->wait_left_ns = session->wait_max_ns;
            }
            return true;
        }
    }
    atomic_fetch_add_explicit(&session->mapping.header->lost_records,
                              block->record_count, memory_order_relaxed);
    kc_mapping_give(&session->mapping, block);
    return false;
}

void
kc_session_flush_threads(struct kc_session *session)
{
    for (struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next) {
        if (!kc_thread_is_busy(thread) && thread->guard != KC_GUARD_COLLECTOR) {
            uint8_t guard = thread->guard;
            thread->guard = KC_GUARD_FLUSH;
            kc_thread_flush(thread);
            thread->guard = guard;
        }
    }
}

static struct kc_thread_stream *
session_stream_of(const struct kc_thread *thread, const struct kc_trace *trace)
{
    struct kc_thread_stream *stream = thread->streams;
    while (stream != NULL && stream->trace != trace) {
        stream = stream->next;
    }
    return stream;
}

void
kc_session_quiesce(struct kc_session *session, const struct kc_trace *trace,
                   uint64_t most_ns)
{
    uint64_t now_ns = kc_clock_system_ns();
    uint64_t deadline_ns = now_ns + most_ns;
    /* A handler may do anything, and sleep: the program is not held longer for it than
     * for the disk. */
    uint64_t left_ns = session->wait_left_ns;
    uint64_t handler_ns = now_ns + (left_ns < most_ns ? left_ns : most_ns);
    PyThreadState *own = PyThreadState_Get();
    for (const struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next)
    {
        while ((trace == NULL || session_stream_of(thread, trace) != NULL) &&
               (thread->waiting || thread->guard == KC_GUARD_FLUSH ||
                (thread->guard == KC_GUARD_RECORD && thread->tstate != own)) &&
               kc_clock_system_ns() < (thread->handling ? handler_ns : deadline_ns))
        {
            struct timespec pause = {0, QUIESCE_SLICE_NS};
            Py_BEGIN_ALLOW_THREADS(void)
            nanosleep(&pause, NULL);
            Py_END_ALLOW_THREADS
        }
    }
}

bool
kc_session_flush_trace(struct kc_session *session, const struct kc_trace *trace)
{
    kc_session_quiesce(session, trace, LAST_STEP_NS);
    for (struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next) {
        struct kc_thread_stream *stream = session_stream_of(thread, trace);
        if (stream != NULL && !kc_thread_is_busy(thread) &&
            thread->guard != KC_GUARD_COLLECTOR) {
            uint8_t guard = thread->guard;
            thread->guard = KC_GUARD_FLUSH;
            kc_thread_flush_stream(thread, stream);
            thread->guard = guard;
        }
    }
    return session->open;
}

bool
kc_session_is_busy(const struct kc_session *session)
{
    for (const struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next)
    {
        if (thread->waiting || thread->handling || thread->guard == KC_GUARD_RECORD ||
            thread->guard == KC_GUARD_FLUSH)
        {
            return true;
        }
    }
    return false;
}

bool
kc_session_flush(struct kc_session *session, uint64_t deadline_ns)
{
    kc_session_flush_threads(session);
    if (!session->opened) {
        return !session->refused; /* there is nothing to save */
    }
    if (!session_start_writer(session)) {
        return false;
    }
    enum kc_status status;
    Py_BEGIN_ALLOW_THREADS
    status = kc_queue_flush(&session->queue, deadline_ns);
    Py_END_ALLOW_THREADS
    return status == KC_OK;
}

/* ---- what ended unseen ---- */

#define ASIDE_INITIAL 16u

void
kc_session_put_aside(struct kc_session *session, const struct kc_entry *entry)
{
    struct kc_aside dropped = {entry->plugin != NULL ? entry->started : NULL,
                               entry->boundary};
    if (dropped.started == NULL && dropped.boundary == 0) {
        return;
    }
    if (session->aside_count == session->aside_capacity) {
        uint32_t capacity =
            session->aside_capacity == 0 ? ASIDE_INITIAL : session->aside_capacity * 2;
        struct kc_aside *larger =
            PyMem_RawRealloc(session->aside, capacity * sizeof *larger);
        if (larger == NULL) {
            return; /* it stays: until the session's end, or for good */
        }
        session->aside = larger;
        session->aside_capacity = capacity;
    }
    session->aside[session->aside_count++] = dropped;
    session->scope_generation++; /* every thread looks at its scope, and then here */
}

void
kc_session_reap(struct kc_session *session)
{
    struct kc_exc pending = kc_exc_save();
    while (session->aside_count != 0) {
        struct kc_aside dropped = session->aside[--session->aside_count];
        if (dropped.boundary != 0 && session->end_boundary != NULL) {
            session->end_boundary(session, dropped.boundary);
        }
        Py_XDECREF(dropped.started);
    }
    kc_exc_restore(pending);
}

/* ---- the end ---- */

/* Save what there is until `deadline_ns`, close the files, unmap the memory. */
static enum kc_status
session_close_files(struct kc_session *session, const char *cause, uint64_t deadline_ns)
{
    bool started = session_start_writer(session);
    enum kc_status stopped;
    enum kc_status closed;
    uint64_t ended_ns = kc_clock_ns();
    Py_BEGIN_ALLOW_THREADS
    stopped = kc_writer_stop(&session->writer, deadline_ns);
    closed = kc_writer_close(&session->writer, ended_ns, cause);
    Py_END_ALLOW_THREADS
    session->writer_ready = false;
    session->writer_started = false;
    enum kc_status status = stopped != KC_OK ? stopped : started ? closed : KC_IO;
    /* What could not be saved stays in the mapping, for a later recovery. */
    session->saved = status == KC_OK;
    kc_last_word_end(session->mapping.header);
    if (!kc_session_is_busy(session) && !session->writer.running) {
        kc_mapping_destroy(&session->mapping, session->saved);
        session->mapping_ready = false;
    }
    return status;
}

int
kc_session_close(struct kc_session *session, const char *cause, uint64_t deadline_ns)
{
    if (!session->open) {
        return 0;
    }
    if (!session->dead) {
        for (uint32_t i = 0; i < KC_TRACES_MOST; i++) {
            kc_session_keep_held(session, &session->traces[i]); /* nobody decided */
        }
        kc_session_flush_threads(session);
    }
    session->open = false;
    if (session->dead) {
        return 0;
    }
    if (!session->opened) { /* nothing was kept: there are no files */
        kc_queue_close(&session->queue);
        return 0;
    }
    if (session_close_files(session, cause, deadline_ns) != KC_OK) {
        const char *text = session->error_text;
        if (session->writer.running) {
            text = "the disk does not answer; the next command saves what is left";
        }
        else if (session->writer.error_text[0] != '\0') {
            text = session->writer.error_text;
        }
        PyErr_Format(PyExc_OSError, "%s: %s", session->strings[0], text);
        return -1;
    }
    return 0;
}

void
kc_session_destroy(struct kc_session *session)
{
    for (uint32_t i = 0; i < KC_TRACES_MOST; i++) {
        Py_CLEAR(session->traces[i].name);
        Py_CLEAR(session->traces[i].parent);
        Py_CLEAR(session->traces[i].attributes);
    }
    if (session->writer_ready && !session->dead) { /* opening failed, or no close */
        session->open = false;
        (void)session_close_files(session, "error",
                                  kc_clock_system_ns() + DESTROY_WAIT_NS);
    }
    else if (session->mapping_ready && !session->dead) {
        kc_last_word_end(session->mapping.header);
        kc_mapping_destroy(&session->mapping, session->saved || !session->opened);
    }
    while (session->threads != NULL) {
        struct kc_thread *thread = session->threads;
        session->threads = thread->next;
        kc_thread_free(thread);
    }
    if (session->queue_ready && !session->dead) {
        kc_queue_destroy(&session->queue);
    }
    kc_definitions_free(session->definitions);
    kc_waiting_destroy(&session->waiting);
    session->end_boundary = NULL;
    kc_session_reap(session);
    PyMem_RawFree(session->aside);
    session->aside = NULL;
    Py_CLEAR(session->scope_variable);
    Py_CLEAR(session->when_forked);
    Py_CLEAR(session->current_task);
    Py_CLEAR(session->running_loop);
    Py_CLEAR(session->tasks);
    Py_CLEAR(session->last_task);
    Py_CLEAR(session->asyncio_name);
    Py_CLEAR(session->greenlet_name);
    Py_CLEAR(session->current_greenlet);
    Py_CLEAR(session->greenlet_type);
    Py_CLEAR(session->greenlet_parent);
    for (int i = 0; i < 4; i++) {
        PyMem_RawFree(session->strings[i]);
    }
}
