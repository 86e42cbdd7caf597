/* fork.c -- a fork in a traced program. See session.h.
 *
 * Before it the writer is drained and stopped, so that the child inherits no thread's
 * locks and Python sees no other thread to warn of. In the child, before any Python
 * runs, everything of the parent's is let go without being touched: blocks, connection,
 * liveness lock. A session of the child's own is started later, by Python. */

#include <pthread.h>

#include "plain/clock.h"
#include "session/session.h"

#define DRAIN_NS 2000000000u

static struct kc_session *fork_session; /* guarded by the GIL */

struct kc_session *
kc_session_borrow_current(void)
{
    return fork_session;
}

static void
fork_prepare(void)
{
    struct kc_session *session = fork_session;
    if (session == NULL || session->dead || !session->writer_started) {
        return;
    }
    /* The writer never takes the GIL, so it may be waited for with it. */
    kc_queue_close(&session->queue);
    (void)kc_writer_stop(&session->writer, kc_clock_system_ns() + DRAIN_NS);
    kc_queue_reopen(&session->queue);
    session->writer_started = false;
}

static void
fork_child(void)
{
    struct kc_session *session = fork_session;
    if (session == NULL || session->dead) {
        return;
    }
    session->dead = true;
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
}

void
kc_session_guard_forks(struct kc_session *session)
{
    static bool registered; /* handlers cannot be taken back: once for the process */
    fork_session = session;
    if (session != NULL && !registered) {
        registered = pthread_atfork(fork_prepare, NULL, fork_child) == 0;
    }
}
