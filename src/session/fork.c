/* fork.c -- a fork in a traced program. See session.h.
 *
 * Before it the writer is drained and stopped, so that the child inherits no thread's
 * locks and Python sees no other thread to warn of. From then on the thread that forks
 * records nothing: handlers of other libraries run Python before ours, and in the child
 * that would go to the parent's blocks. There everything of the parent's is let go
 * without being touched: blocks, connection, liveness lock. A session of the child's
 * own is started later, by Python. */

#include "compat.h"

#include <pthread.h>

#include "plain/clock.h"
#include "plain/last_word.h"
#include "session/interrupt.h"
#include "session/session.h"

#define DRAIN_NS 2000000000u

static struct kc_session *fork_session; /* guarded by the GIL */

struct kc_session *
kc_session_borrow_current(void)
{
    return fork_session;
}

/* The thread that forks goes from one guard to another. One that C started, and that
 * has no Python, has none. */
static void
fork_guard(struct kc_session *session, enum kc_guard from, enum kc_guard to)
{
    PyThreadState *tstate = kc_tstate_with_gil();
    struct kc_thread *thread = tstate != NULL ? kc_thread_find(session, tstate) : NULL;
    if (thread != NULL && thread->guard == from) {
        thread->guard = (uint8_t)to;
    }
}

static void
fork_prepare(void)
{
    struct kc_session *session = fork_session;
    if (session == NULL || session->dead) {
        return;
    }
    session->forking = true;
    fork_guard(session, KC_GUARD_FREE, KC_GUARD_COLLECTOR);
    if (!session->writer_started) {
        return;
    }
    /* The writer never takes the GIL, so it may be waited for with it: a disk that is
     * slow may hold the program no longer than in all. */
    uint64_t began_ns = kc_clock_system_ns();
    uint64_t most_ns =
        session->wait_left_ns < DRAIN_NS ? session->wait_left_ns : DRAIN_NS;
    most_ns -= most_ns < KC_WRITER_GRACE_NS ? most_ns : KC_WRITER_GRACE_NS;
    enum kc_status status = kc_writer_stop(&session->writer, began_ns + most_ns);
    if (status != KC_OK) {
        kc_session_count_wait(session, kc_clock_system_ns() - began_ns);
    }
    kc_queue_reopen(&session->queue);
    session->writer_started = false;
}

static void
fork_parent(void)
{
    struct kc_session *session = fork_session;
    if (session == NULL || session->dead) {
        return;
    }
    session->forking = false;
    session->forked_ns = kc_clock_system_ns();
    fork_guard(session, KC_GUARD_COLLECTOR, KC_GUARD_FREE);
    /* A thread that was left behind goes on when the disk does: the program may not
     * come by for long. */
    if (session->writer.running) {
        session->writer_started = kc_writer_start(&session->writer) == KC_OK;
    }
}

/* In the child, between two instructions of the program. */
static int
fork_tell(void *unused)
{
    (void)unused;
    struct kc_session *session = fork_session;
    if (session == NULL || !session->dead || session->when_forked == NULL) {
        return 0;
    }
    PyObject *tell = Py_NewRef(session->when_forked);
    PyObject *result = PyObject_CallNoArgs(tell);
    if (result == NULL && !kc_interrupt_give_back()) {
        PyErr_Clear();
    }
    Py_XDECREF(result);
    Py_DECREF(tell);
    return 0;
}

static void
fork_child(void)
{
    struct kc_session *session = fork_session;
    if (session == NULL || session->dead) {
        return;
    }
    session->dead = true;
    kc_last_word_forget();
    for (struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next) {
        thread->stream = NULL;
        thread->keep_bits = 0;
        thread->wanted_bits = 0;
        thread->guard = KC_GUARD_COLLECTOR; /* for good: nobody may write any more */
        for (struct kc_thread_stream *stream = thread->streams; stream != NULL;
             stream = stream->next)
        {
            stream->stream.block = NULL;
            stream->stream.at = NULL;
            stream->stream.end = NULL;
        }
    }
    kc_writer_abandon(&session->writer);
    kc_mapping_abandon(&session->mapping);
    session->mapping_ready = false;
    /* A fork by C alone, as uWSGI's, calls none of Python's handlers. */
    (void)Py_AddPendingCall(fork_tell, NULL);
}

void
kc_session_guard_forks(struct kc_session *session)
{
    static bool registered; /* handlers cannot be taken back: once for the process */
    fork_session = session;
    if (session != NULL && !registered) {
        registered = pthread_atfork(fork_prepare, fork_parent, fork_child) == 0;
    }
}
