/* unknown.c -- see unknown.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/unknown.h"

#include "plain/clock.h"
#include "trace/capture.h"

#define CHAIN_MOST 16 /* of an exception's causes and contexts are looked at */

void
kc_unknown_add(struct kc_thread *thread, const struct kc_entry *entry)
{
    if (thread->unknown_count == KC_UNKNOWN_MOST || entry->foreign) {
        return;
    }
    thread->unknown[thread->unknown_count++] =
        (struct kc_unknown){kc_frame_borrow_object(entry->frame), entry->code->code,
                            entry->stream, entry->open.node};
}

static void
unknown_tell(struct kc_thread *thread, PyObject *exception, const PyFrameObject *frame)
{
    for (uint32_t i = 0; i < thread->unknown_count; i++) {
        struct kc_unknown *unknown = &thread->unknown[i];
        if (unknown->frame == frame &&
            kc_frame_borrow_code(kc_frame_of(unknown->frame)) == unknown->code)
        {
            (void)kc_capture_handled(thread, unknown, exception, kc_clock_ns());
            *unknown = thread->unknown[--thread->unknown_count];
            return;
        }
    }
}

/* Name the calls that `exception` left, as far as its traceback goes. Where it `led` to
 * another one, the first was most likely left by that, elsewhere. */
static void
unknown_tell_all(struct kc_thread *thread, PyObject *exception, bool led)
{
    PyObject *traceback = PyException_GetTraceback(exception);
    if (traceback != NULL && led) {
        PyTracebackObject *first = (PyTracebackObject *)traceback;
        int lasti = kc_frame_lasti(kc_frame_of(first->tb_frame));
        if (first->tb_lasti != 2 * lasti) {
            Py_SETREF(traceback, Py_XNewRef((PyObject *)first->tb_next));
        }
    }
    while (traceback != NULL && thread->unknown_count != 0) {
        PyTracebackObject *at = (PyTracebackObject *)traceback;
        /* The traceback holds the frame, so its address is nobody else's. */
        unknown_tell(thread, exception, at->tb_frame);
        PyObject *next = Py_XNewRef((PyObject *)at->tb_next);
        Py_DECREF(traceback);
        traceback = next;
    }
    Py_XDECREF(traceback);
}

void
kc_unknown_resolve(struct kc_thread *thread, PyObject *exception)
{
    /* Those that led to it were handled without a call being made: nothing but the
     * chain has them any more. It may be a circle. */
    PyObject *at = Py_NewRef(exception);
    for (int i = 0; i < CHAIN_MOST && at != NULL && thread->unknown_count != 0; i++) {
        unknown_tell_all(thread, at, i != 0);
        PyObject *before = PyException_GetCause(at);
        if (before == NULL) {
            before = PyException_GetContext(at);
        }
        Py_SETREF(at, before);
    }
    Py_XDECREF(at);
    thread->unknown_count = 0; /* what they do not name was never seen again */
}

/* A frame is entered: whatever had its place before is gone, and was never seen. */
static void
unknown_forget(struct kc_thread *thread, const PyFrameObject *frame)
{
    for (uint32_t i = 0; i < thread->unknown_count; i++) {
        if (thread->unknown[i].frame == frame) {
            thread->unknown[i] = thread->unknown[--thread->unknown_count];
            return;
        }
    }
}

void
kc_unknown_look(struct kc_thread *thread, kc_frame *frame, bool may_be_thrown)
{
    unknown_forget(thread, kc_frame_borrow_object(frame));
    PyObject *handled = kc_exc_handled();
    if (handled != NULL) {
        kc_unknown_resolve(thread, handled);
        Py_DECREF(handled);
    }
    else if (!may_be_thrown) {
        thread->unknown_count = 0;
    }
}
