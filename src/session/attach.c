/* attach.c -- whose profile function is ours: attaching, adopting, detaching.
 * See session.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include <string.h>

#include "plain/clock.h"
#include "session/session.h"

#define KC_BLIND_BYTES 64 /* more than the mark takes */

/* Give `tstate` our profile function, with a ThreadObject for `thread`. */
static int
attach_thread(struct kc_session *session, struct kc_thread *thread,
              PyThreadState *tstate)
{
    ThreadObject *object = PyObject_New(ThreadObject, session->thread_type);
    if (object == NULL) {
        return -1;
    }
    object->thread = thread;
    if (thread->object != NULL) { /* somebody keeps it, from sys.getprofile() */
        ((ThreadObject *)thread->object)->thread = NULL;
    }
    thread->object = (PyObject *)object;
    thread->tstate = tstate;
    thread->attached = true;
    thread->scope_generation = 0; /* look the scope up at the next event */
    int result = kc_eval_set_profile(tstate, session->hook, (PyObject *)object);
    if (result < 0) {
        thread->attached = false;
        thread->object = NULL;
        object->thread = NULL;
    }
    Py_DECREF(object); /* the thread state holds it now */
    return result;
}

int
kc_session_attach(struct kc_session *session, PyThreadState *tstate)
{
    if (session->hook == NULL) { /* it gets its object when it asks for its state */
        if (kc_thread_find(session, tstate) == NULL &&
            kc_thread_new(session, tstate) == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        return 0;
    }
    if (tstate->c_profilefunc == session->hook && !session->dead &&
        ((ThreadObject *)tstate->c_profileobj)->thread != NULL &&
        ((ThreadObject *)tstate->c_profileobj)->thread->session == session)
    {
        return 0;
    }
    struct kc_thread *thread = kc_thread_find(session, tstate);
    if (thread == NULL) {
        thread = kc_thread_new(session, tstate);
        if (thread == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        if (tstate->c_profilefunc != NULL && tstate->c_profilefunc != session->hook) {
            thread->previous_func = tstate->c_profilefunc;
            thread->previous_object = Py_XNewRef(tstate->c_profileobj);
        }
    }
    return attach_thread(session, thread, tstate);
}

/* Our object may live on without the place, if the program keeps it: then the last
 * record tells when the thread was last seen. */
static void
attach_note_displaced(struct kc_thread *thread)
{
    if (!thread->attached) {
        return;
    }
    thread->detached_ns = kc_clock_ns();
    uint64_t last_ns = 0;
    for (struct kc_thread_stream *stream = thread->streams; stream != NULL;
         stream = stream->next)
    {
        last_ns = stream->stream.last_ns > last_ns ? stream->stream.last_ns : last_ns;
    }
    if (last_ns != 0 && last_ns < thread->detached_ns) {
        thread->detached_ns = last_ns;
    }
}

/* Find the calls of the thread's stack whose frames run. A frame's place may be in use
 * again: another call of the same function at the same place is taken for the one that
 * was. How many entries there are up to the last one found. */
static uint32_t
attach_find_running(struct kc_thread *thread)
{
    struct kc_stack *stack = &thread->stack;
    uint32_t left = stack->depth; /* entries below it are still to be found */
    uint32_t highest = 0;
    /* Without our object the thread is gone, since we waited for a block. */
    kc_frame *frame = thread->object != NULL ? kc_frame_current(thread->tstate) : NULL;
    for (; frame != NULL; frame = kc_frame_previous(frame)) {
        for (uint32_t i = left; i-- > 0;) {
            if (kc_entry_frame(&stack->entries[i]) == frame &&
                stack->entries[i].code_object == kc_frame_borrow_code(frame))
            {
                stack->entries[i].found = true;
                highest = highest == 0 ? i + 1 : highest;
                left = i;
                break;
            }
        }
    }
    return highest;
}

/* The limit that entry `at` has set to the depth of the stack; UINT32_MAX for none. */
static uint32_t
attach_limit_of(const struct kc_thread *thread, uint32_t at)
{
    const struct kc_entry *entry = &thread->stack.entries[at];
    bool is_top = at + 1 == thread->stack.depth;
    uint32_t after = is_top ? thread->depth_limit : entry[1].depth_limit;
    return after < entry->depth_limit ? after : UINT32_MAX;
}

/* Whether entry `at`, below the last that was found, still runs: a call by its frame, a
 * plugin's node with its call, which stands above it, a region always. */
static bool
attach_stays(const struct kc_thread *thread, uint32_t at)
{
    const struct kc_entry *entry = &thread->stack.entries[at];
    while (entry->plugin != NULL && entry->code_object != NULL &&
           at + 1 < thread->stack.depth)
    {
        at++;
        entry++;
    }
    return entry->found || kc_entry_frame(entry) == NULL;
}

/* Drop from the thread's stack what ended while it was blind: calls whose frames are
 * not on the interpreter's chain any more, and the regions above the last of those.
 * With `lost` a mark will tell of it; the ends that were missed are counted already. */
static void
attach_cut_ended(struct kc_thread *thread, bool lost)
{
    struct kc_stack *stack = &thread->stack;
    uint32_t highest = attach_find_running(thread);
    uint32_t kept = 0;
    uint32_t limit = UINT32_MAX;
    for (uint32_t i = 0; i < stack->depth; i++) {
        struct kc_entry *entry = &stack->entries[i];
        if (i < highest && attach_stays(thread, i)) {
            uint32_t own = attach_limit_of(thread, i);
            entry->found = false;
            entry->depth_limit = limit;
            if (own != UINT32_MAX && own - (i - kept) < limit) {
                limit = own - (i - kept);
            }
            stack->entries[kept++] = *entry;
            continue;
        }
        kc_session_put_aside(thread->session, entry);
        if (!entry->unwritten) {
            kc_stream_drop(&entry->stream->stream, &entry->open);
            if (lost && entry->stream->lost_pending == 0) {
                entry->stream->lost_pending = 1;
            }
        }
    }
    stack->depth = kept;
    thread->depth_limit = limit;
}

void
kc_session_cut_missed(struct kc_thread *thread)
{
    attach_cut_ended(thread, true);
    thread->unknown_count = 0;
    kc_thread_clear_pending(thread);
}

static void
attach_write_blind(struct kc_thread *thread, struct kc_thread_stream *stream,
                   uint64_t now_ns)
{
    struct kc_cursor cursor = kc_stream_begin(&stream->stream, now_ns, KC_KIND_MARK, 3);
    if (cursor.status != KC_OK) {
        return;
    }
    kc_wire_uint(&cursor, KC_MARK_BLIND);
    kc_wire_uint(&cursor, now_ns - thread->detached_ns);
    kc_wire_uint(&cursor, stream->stream.depth);
    if (cursor.status == KC_OK) {
        kc_stream_commit(&stream->stream, &cursor, now_ns);
    }
}

/* The thread was blind from `detached_ns` until now: what ended meanwhile is unknown.
 */
static void
attach_mark_blind(struct kc_thread *thread)
{
    uint64_t now_ns = kc_clock_ns();
    /* A block first: its header says how deep the stack was before the mark. */
    for (struct kc_thread_stream *stream = thread->streams; stream != NULL;
         stream = stream->next)
    {
        if (stream->stream.end - stream->stream.at < KC_BLIND_BYTES) {
            (void)kc_thread_next_block(thread, stream, now_ns);
        }
    }
    attach_cut_ended(thread, false);
    for (struct kc_thread_stream *stream = thread->streams; stream != NULL;
         stream = stream->next)
    {
        attach_write_blind(thread, stream, now_ns);
    }
    thread->session->blind_count++;
    thread->unknown_count = 0;
    kc_thread_clear_pending(thread);
}

/* Tell the blind time of those that adoption found displaced. Their states stay, while
 * thread states come and go without the GIL. */
static void
attach_mark_displaced(struct kc_session *session)
{
    for (struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next) {
        if (thread->displaced) {
            thread->displaced = false;
            attach_mark_blind(thread);
            thread->guard = KC_GUARD_FREE;
        }
    }
}

/* A profile function could not be set. That the program is setting one at this moment,
 * and an audit hook of its own runs, is no error: the next flush looks again. */
static void
attach_failed(struct kc_session *session)
{
    bool later =
        KC_SETS_ONE_PROFILE_AT_A_TIME && PyErr_ExceptionMatches(PyExc_RuntimeError);
    PyErr_Clear();
    if (!later) {
        kc_session_error(session, "a thread could not be attached");
    }
}

static bool
attach_is_gone(const struct kc_thread *thread)
{
    PyThreadState *tstate = PyInterpreterState_ThreadHead(
        PyThreadState_GetInterpreter(PyThreadState_Get()));
    while (tstate != NULL && PyThreadState_GetID(tstate) != thread->tstate_id) {
        tstate = PyThreadState_Next(tstate);
    }
    return tstate == NULL;
}

/* Threads that have ended while another profiler had our place, so that nobody told us:
 * what was open on them has ended too, boundaries with it. */
static void
attach_end_gone(struct kc_session *session)
{
    for (struct kc_thread *thread = session->threads; thread != NULL;
         thread = thread->next) {
        if (!thread->attached && !thread->ended && thread->object == NULL &&
            thread->guard == KC_GUARD_FREE && attach_is_gone(thread))
        {
            thread->ended = true;
            session->blind_count++;
            kc_session_cut_missed(thread);
        }
    }
}

void
kc_session_adopt_threads(struct kc_session *session)
{
    if (!session->attaching) {
        return;
    }
    attach_end_gone(session);
    bool displaced = false;
    PyThreadState *tstate = PyInterpreterState_ThreadHead(
        PyThreadState_GetInterpreter(PyThreadState_Get()));
    for (; tstate != NULL; tstate = PyThreadState_Next(tstate)) {
        if (tstate->c_profilefunc != NULL) {
            continue;
        }
        struct kc_thread *thread = kc_thread_find(session, tstate);
        if (thread != NULL && (thread->ended || thread->guard != KC_GUARD_FREE)) {
            continue; /* it is ending: its last blocks are on their way */
        }
        if (thread != NULL) {
            attach_note_displaced(thread);
        }
        if (kc_session_attach(session, tstate) < 0) {
            attach_failed(session);
            continue;
        }
        if (thread != NULL) {
            thread->displaced = true;
            thread->guard = kc_thread_guard_for_flush(thread);
            displaced = true;
        }
    }
    if (displaced) {
        attach_mark_displaced(session);
    }
}

void
kc_session_attach_again(PyFrameObject *frame, const char *event)
{
    PyThreadState *tstate = PyThreadState_Get();
    struct kc_session *session = kc_session_borrow_current();
    if (session == NULL || session->dead || !session->attaching) {
        (void)kc_eval_set_profile(tstate, NULL, NULL);
        PyErr_Clear();
        return;
    }
    struct kc_thread *thread = kc_thread_find(session, tstate);
    if (thread != NULL && (thread->ended || thread->guard != KC_GUARD_FREE)) {
        return;
    }
    if (thread != NULL) {
        attach_note_displaced(thread);
    }
    if (kc_session_attach(session, tstate) < 0) {
        attach_failed(session);
        return;
    }
    if (thread != NULL) {
        thread->guard = kc_thread_guard_for_flush(thread);
        attach_mark_blind(thread);
        thread->guard = KC_GUARD_FREE;
    }
    PyObject *object = Py_XNewRef(tstate->c_profileobj);
    if (object != NULL && strcmp(event, "call") == 0) {
        (void)session->hook(object, frame, PyTrace_CALL, Py_None);
    }
    Py_XDECREF(object);
}

/* ---- noticing that another profiler has gone ---- */

static bool attach_audited; /* audit hooks cannot be taken back: once a process */

/* In the main thread, soon after a profile function was set or removed somewhere. */
static int
attach_adopt_later(void *none)
{
    (void)none;
    struct kc_session *session = kc_session_borrow_current();
    if (session != NULL && session->open && !session->dead) {
        kc_session_adopt_threads(session);
    }
    return 0;
}

static int
attach_audit(const char *event, PyObject *args, void *none)
{
    (void)args;
    (void)none;
    /* The event comes before the change: look afterwards. */
    if (event[0] == 's' && strcmp(event, "sys.setprofile") == 0 &&
        kc_session_borrow_current() != NULL)
    {
        (void)Py_AddPendingCall(attach_adopt_later, NULL);
    }
    return 0;
}

/* In the main thread: is a thread of ours another profiler's now? */
static int
attach_look_displaced(void *none)
{
    (void)none;
    struct kc_session *session = kc_session_borrow_current();
    if (session == NULL || !session->open || session->dead || attach_audited) {
        return 0;
    }
    PyThreadState *tstate = PyInterpreterState_ThreadHead(
        PyThreadState_GetInterpreter(PyThreadState_Get()));
    for (; tstate != NULL; tstate = PyThreadState_Next(tstate)) {
        struct kc_thread *thread = kc_thread_find(session, tstate);
        if (thread != NULL && !thread->attached && !thread->ended) {
            attach_audited = PySys_AddAuditHook(attach_audit, NULL) == 0;
            PyErr_Clear();
            return attach_adopt_later(NULL);
        }
    }
    return 0;
}

void
kc_session_watch_displaced(void)
{
    (void)Py_AddPendingCall(attach_look_displaced, NULL);
}

void
kc_session_detach_all(struct kc_session *session)
{
    PyThreadState *tstate = PyInterpreterState_ThreadHead(
        PyThreadState_GetInterpreter(PyThreadState_Get()));
    for (; tstate != NULL; tstate = PyThreadState_Next(tstate)) {
        struct kc_thread *thread = kc_thread_find(session, tstate);
        if (session->hook == NULL) {
            if (thread != NULL) {
                kc_thread_detach(thread, tstate);
            }
            continue;
        }
        if (tstate->c_profilefunc != session->hook) {
            if (thread != NULL && !session->dead) {
                session->blind_count++; /* somebody has our place to the end */
            }
            continue;
        }
        ThreadObject *object = (ThreadObject *)tstate->c_profileobj;
        if (object->thread != NULL) { /* its end is not the thread's */
            object->thread->object = NULL;
            object->thread = NULL;
        }
        Py_tracefunc previous = thread != NULL ? thread->previous_func : NULL;
        PyObject *argument = thread != NULL ? thread->previous_object : NULL;
        if (kc_eval_set_profile(tstate, previous, argument) < 0) {
            PyErr_Clear();
            kc_session_error(session, "a thread could not be detached");
        }
        if (thread != NULL) {
            thread->attached = false;
        }
    }
}
