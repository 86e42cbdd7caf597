/* compat.h -- which Python this is, asked here and nowhere else.
 *
 * Each function has the meaning of the newest public API. What is private in CPython is
 * used for one reason only: the public way costs more than the whole record
 * (PyFrame_GetVar +7 ns an argument, PyFrame_GetBack +40 ns, against about 70 ns for a
 * call and its return). The layouts come from the headers that the running minor
 * version ships, never from a copy.
 *
 * Threads: GIL.
 * Owns:    nothing.
 * Fails:   as each function says.
 */

#ifndef KC_COMPAT_H
#define KC_COMPAT_H

#if defined(KC_COMPAT_FRAMES) && !defined(Py_BUILD_CORE)
#define Py_BUILD_CORE 1 /* opens internal/pycore_frame.h; before Python.h */
#endif

#include <Python.h>
#include <frameobject.h>
#include <stdbool.h>
#include <stdint.h>

#if PY_VERSION_HEX < 0x030A0000
#error "kolo_c needs Python 3.10 or newer"
#endif

/* What runs a function: the interpreter's own frame. It lies in the thread's stack of
 * frames, or in its generator, from the call's beginning to its end; a frame object for
 * it exists only where somebody asked for one. On 3.10 they are one thing. */
#if PY_VERSION_HEX >= 0x030B0000
typedef struct _PyInterpreterFrame kc_frame;
#else
typedef PyFrameObject kc_frame;
#endif

/* The function that runs frames (PEP 523), private under the same name on every
 * version: what stands in its place, and another in its stead. The hook frame_eval uses
 * it, and debug builds, which count the frames that run while a value is being written.
 */
typedef PyObject *(*kc_frame_eval)(PyThreadState *, kc_frame *, int);

static inline kc_frame_eval
kc_frame_eval_get(void)
{
    return _PyInterpreterState_GetEvalFrameFunc(PyInterpreterState_Get());
}

/* Whether `eval` is CPython's own. */
static inline bool
kc_frame_eval_is_default(kc_frame_eval eval)
{
    return eval == _PyEval_EvalFrameDefault;
}

static inline kc_frame_eval
kc_frame_eval_replace(kc_frame_eval eval)
{
    kc_frame_eval before = kc_frame_eval_get();
    _PyInterpreterState_SetEvalFrameFunc(PyInterpreterState_Get(), eval);
    return before;
}

/* PyEval_SetProfile() for another thread. Exported by every version from 3.9 on,
 * declared in internal headers only; the public PyEval_SetProfileAllThreads() (3.12)
 * gives all threads the same object, while each of ours carries its thread's state. */
extern int _PyEval_SetProfile(PyThreadState *tstate, Py_tracefunc func, PyObject *arg);

static inline int
kc_eval_set_profile(PyThreadState *tstate, Py_tracefunc func, PyObject *arg)
{
    return _PyEval_SetProfile(tstate, func, arg);
}

/* Set the current exception aside (NULL if none). Pair with kc_exc_restore(). */
struct kc_exc {
    PyObject *type;
    PyObject *value;
    PyObject *traceback;
};

static inline struct kc_exc
kc_exc_save(void)
{
    struct kc_exc saved = {NULL, NULL, NULL};
#if PY_VERSION_HEX >= 0x030C0000
    saved.value = PyErr_GetRaisedException();
#else
    PyErr_Fetch(&saved.type, &saved.value, &saved.traceback);
#endif
    return saved;
}

/* The same, where its value is to be looked at. */
static inline struct kc_exc
kc_exc_save_value(void)
{
    struct kc_exc saved = kc_exc_save();
#if PY_VERSION_HEX < 0x030C0000
    if (saved.type != NULL) {
        PyErr_NormalizeException(&saved.type, &saved.value, &saved.traceback);
    }
#endif
    return saved;
}

/* Put back what kc_exc_save() returned. Steals `saved`. */
static inline void
kc_exc_restore(struct kc_exc saved)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(saved.value);
#else
    PyErr_Restore(saved.type, saved.value, saved.traceback);
#endif
}

/* The exception that the current `except` block handles, or NULL: a new reference. */
static inline PyObject *
kc_exc_handled(void)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyErr_GetHandledException();
#else
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;
    PyErr_GetExcInfo(&type, &value, &traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    if (value == Py_None) {
        Py_CLEAR(value);
    }
    return value;
#endif
}

/* The running thread's state, where it has the GIL; NULL where not, or where the thread
 * is none of Python's. PyGILState_Check() says yes to everybody once there has been a
 * second interpreter. */
static inline PyThreadState *
kc_tstate_with_gil(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyThreadState *current = PyThreadState_GetUnchecked();
#else
    PyThreadState *current = _PyThreadState_UncheckedGet(); /* its name before */
#endif
    return current == PyGILState_GetThisThreadState() ? current : NULL;
}

/* Let Python code of ours run although the program may be at its recursion limit:
 * `count` calls more, and as many less when they are taken back. */
static inline void
kc_recursion_lend(PyThreadState *tstate, int count)
{
#if PY_VERSION_HEX >= 0x030C0000
    tstate->py_recursion_remaining += count;
#elif PY_VERSION_HEX >= 0x030B0000
    tstate->recursion_remaining += count;
#else
    tstate->recursion_depth -= count;
#endif
}

/* Whether a watcher tells of a code object's death. Before, a word on it does: an
 * extra, untagged, which is freed with it. */
#if PY_VERSION_HEX >= 0x030C0000
#define KC_HAS_CODE_WATCHERS 1
#else
#define KC_HAS_CODE_WATCHERS 0

static inline Py_ssize_t
kc_code_extra_request(freefunc forget)
{
    return _PyEval_RequestCodeExtraIndex(forget);
}

static inline uintptr_t
kc_code_extra_get(PyCodeObject *code, Py_ssize_t index)
{
    void *extra = NULL;
    (void)_PyCode_GetExtra((PyObject *)code, index, &extra);
    return (uintptr_t)extra;
}

static inline int
kc_code_extra_set(PyCodeObject *code, Py_ssize_t index, uintptr_t word)
{
    return _PyCode_SetExtra((PyObject *)code, index, (void *)word);
}
#endif

/* Whether nothing but an exception is ever told of `code`, which is not the compiler's:
 * it has no instruction that begins a function. */
static inline bool
kc_code_is_shim(const PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030C0000
    return code->_co_firsttraceable >= Py_SIZE(code);
#else
    (void)code;
    return false;
#endif
}

/* Events that CPython reports to no tracer while one of its callbacks runs. */
static inline bool
kc_thread_is_tracing(PyThreadState *tstate)
{
    return tstate->tracing != 0;
}

/* Let nobody who traces or profiles this thread be told of what runs until
 * kc_tracing_resume(), as while a callback of theirs runs. False: there is nobody. */
static inline bool
kc_tracing_suspend(PyThreadState *tstate)
{
    if (tstate->c_tracefunc == NULL && tstate->c_profilefunc == NULL) {
        return false;
    }
#if PY_VERSION_HEX >= 0x030B0000
    PyThreadState_EnterTracing(tstate);
#else
    tstate->tracing++;
    tstate->cframe->use_tracing = 0;
#endif
    return true;
}

static inline void
kc_tracing_resume(PyThreadState *tstate)
{
#if PY_VERSION_HEX >= 0x030B0000
    PyThreadState_LeaveTracing(tstate);
#else
    tstate->tracing--;
    tstate->cframe->use_tracing =
        tstate->tracing == 0 &&
        (tstate->c_tracefunc != NULL || tstate->c_profilefunc != NULL);
#endif
}

#if PY_VERSION_HEX >= 0x030B0000
#define KC_HAS_QUALNAME 1
#else
#define KC_HAS_QUALNAME 0
#endif

/* sys.monitoring: a hook, and for setprofile the exceptions. */
#if PY_VERSION_HEX >= 0x030C0000
#define KC_HAS_MONITORING 1
#else
#define KC_HAS_MONITORING 0
#endif

/* The hook of PEP 523, where sys.monitoring is not there yet. */
#define KC_HAS_FRAME_EVAL (!KC_HAS_MONITORING)

/* 3.11 runs a Python call of Python code within the C function that runs its caller,
 * unless a hook is in the place: then each takes its share of the C stack. */
#if PY_VERSION_HEX >= 0x030B0000
#define KC_CALLS_ARE_INLINE 1
#else
#define KC_CALLS_ARE_INLINE 0
#endif

/* Until 3.14 PY_UNWIND and PY_THROW come from all code or none. */
#if PY_VERSION_HEX >= 0x030F0000
#define KC_EXCEPTIONS_ARE_LOCAL 1
#else
#define KC_EXCEPTIONS_ARE_LOCAL 0
#endif

/* Before 3.12 no profile function can be set while another one is being set, which may
 * take a while: audit hooks run. */
#if PY_VERSION_HEX < 0x030C0000
#define KC_SETS_ONE_PROFILE_AT_A_TIME 1
#else
#define KC_SETS_ONE_PROFILE_AT_A_TIME 0
#endif

/* 3.12.0 and 3.12.1 report an exit by exception as "returned None" (gh-110892). */
#if PY_VERSION_HEX >= 0x030C0000 && PY_VERSION_HEX < 0x030D0000
#define KC_NONE_MAY_BE_EXCEPTION 1
#else
#define KC_NONE_MAY_BE_EXCEPTION 0
#endif

/* 3.11 and 3.12: a generator that goes on stands at the RESUME behind its yield, one
 * that was thrown at does not. 3.10 has no RESUME; from 3.13 on both stand there. */
#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030D0000
#define KC_POSITION_TELLS_THROW 1
#else
#define KC_POSITION_TELLS_THROW 0
#endif

/* 3.11 reports the closing of a generator that never started, as a call that an
 * exception leaves at once; it stands before its first RESUME. Nothing of it ran. */
#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030C0000
#define KC_REPORTS_UNSTARTED 1
#else
#define KC_REPORTS_UNSTARTED 0
#endif

/* 3.11 does not report that a generator goes on when the one that it delegates to was
 * thrown at and has returned: it stands behind its RESUME then. */
#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030C0000
#define KC_HIDES_RESUMPTION 1
#else
#define KC_HIDES_RESUMPTION 0
#endif

#ifdef KC_COMPAT_FRAMES

#if PY_VERSION_HEX >= 0x030E0000
#include <internal/pycore_code.h>
#include <internal/pycore_frame.h>
#include <internal/pycore_interpframe.h>
#elif PY_VERSION_HEX >= 0x030B0000
#include <internal/pycore_code.h>
#include <internal/pycore_frame.h>
#endif

/* The interpreter's frame of a frame object, as long as the call runs or the object
 * lives. */
static inline kc_frame *
kc_frame_of(PyFrameObject *object)
{
#if PY_VERSION_HEX >= 0x030B0000
    return object->f_frame;
#else
    return object;
#endif
}

/* The frame object, if there is one already, borrowed; else NULL. */
static inline PyFrameObject *
kc_frame_borrow_object(kc_frame *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return frame->frame_obj;
#else
    return frame;
#endif
}

/* The frame object of `frame`, which runs, begins or has just ended: a new reference;
 * NULL, with or without an exception, where there is no way to it. */
static inline PyFrameObject *
kc_frame_object(PyThreadState *tstate, kc_frame *frame)
{
#if PY_VERSION_HEX >= 0x030C0000
    PyFrameObject *object =
        frame->frame_obj != NULL
            ? (PyFrameObject *)Py_NewRef((PyObject *)frame->frame_obj)
            : PyThreadState_GetFrame(tstate);
    if (object != NULL && object->f_frame != frame) {
        Py_CLEAR(object);
    }
    return object;
#elif PY_VERSION_HEX >= 0x030B0000
    _PyInterpreterFrame *current = tstate->cframe->current_frame;
    bool is_linked = current == frame;
    if (!is_linked) {
        frame->previous = current; /* nobody has set it yet, and f_back goes there */
    }
    if (frame->frame_obj != NULL) {
        return (PyFrameObject *)Py_NewRef((PyObject *)frame->frame_obj);
    }
    /* A hook of PEP 523 runs before the frame is the current one, and before its first
     * instruction, when it passes for incomplete. For as long as the object is made it
     * is neither. */
    _Py_CODEUNIT *at = frame->prev_instr;
    _Py_CODEUNIT *complete =
        _PyCode_CODE(frame->f_code) + frame->f_code->_co_firsttraceable;
    if (!is_linked) {
        tstate->cframe->current_frame = frame;
    }
    if (at < complete) {
        frame->prev_instr = complete;
    }
    PyFrameObject *object = PyThreadState_GetFrame(tstate);
    frame->prev_instr = at;
    if (!is_linked) {
        tstate->cframe->current_frame = current;
    }
    if (object != NULL && object->f_frame != frame) {
        Py_CLEAR(object);
    }
    return object;
#else
    (void)tstate;
    return (PyFrameObject *)Py_NewRef((PyObject *)frame);
#endif
}

/* Where the frame of a traceback's entry stood, in code units; `at->tb_lasti` is known.
 */
static inline uint64_t
kc_traceback_offset(const PyTracebackObject *at)
{
    return (uint64_t)at->tb_lasti / 2; /* in bytes on every version */
}

/* What the running thread is in; NULL outside every frame. Called from C, by a callback
 * of the interpreter, that is the frame which the callback is about. */
static inline kc_frame *
kc_frame_current(PyThreadState *tstate)
{
#if PY_VERSION_HEX >= 0x030D0000
    return tstate->current_frame;
#elif PY_VERSION_HEX >= 0x030B0000
    return tstate->cframe->current_frame;
#else
    return tstate->frame;
#endif
}

/* Whose call `frame` is, frames of the interpreter itself included. */
static inline kc_frame *
kc_frame_previous(kc_frame *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return frame->previous;
#else
    return frame->f_back;
#endif
}

/* Whether it is one of the interpreter's own, where C has called Python: those have no
 * code object, or one of nobody's. */
static inline bool
kc_frame_is_shim(const kc_frame *frame)
{
#if PY_VERSION_HEX >= 0x030C0000
    return frame->owner > FRAME_OWNED_BY_FRAME_OBJECT;
#else
    (void)frame;
    return false;
#endif
}

/* The code object of a running frame, borrowed: the frame keeps it alive. */
static inline PyCodeObject *
kc_frame_borrow_code(kc_frame *frame)
{
#if PY_VERSION_HEX >= 0x030D0000
    return _PyFrame_GetCode(frame);
#else
    return frame->f_code;
#endif
}

/* The last instruction that began, in code units; -1 before the first. */
static inline int
kc_frame_lasti(kc_frame *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return _PyInterpreterFrame_LASTI(frame);
#else
    return frame->f_lasti;
#endif
}

/* The same as an offset for a record: 0 before the first instruction. */
static inline uint64_t
kc_frame_offset(kc_frame *frame)
{
    int lasti = kc_frame_lasti(frame);
    return lasti > 0 ? (uint64_t)lasti : 0;
}

/* Slot `index` of the frame's locals (co_localsplus order; on 3.10 varnames, cells,
 * free variables), borrowed, NULL where it is unbound. Cells are not unwrapped. */
static inline PyObject *
kc_frame_borrow_slot(kc_frame *frame, int index)
{
#if PY_VERSION_HEX >= 0x030E0000
    _PyStackRef slot = frame->localsplus[index];
    return PyStackRef_IsNull(slot) ? NULL : PyStackRef_AsPyObjectBorrow(slot);
#elif PY_VERSION_HEX >= 0x030B0000
    return frame->localsplus[index];
#else
    return frame->f_localsplus[index];
#endif
}

/* The cell of a free variable of `frame`, borrowed; NULL where `index` is none. Before
 * the first instruction it is with the function alone. */
static inline PyObject *
kc_frame_borrow_closure(kc_frame *frame, const PyCodeObject *code, int index)
{
#if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030C0000
    PyObject *closure = frame->f_func != NULL ? frame->f_func->func_closure : NULL;
    int at = index - (code->co_nlocalsplus - code->co_nfreevars);
    if (closure != NULL && at >= 0 && at < PyTuple_GET_SIZE(closure)) {
        return PyTuple_GET_ITEM(closure, at);
    }
#else
    (void)frame;
    (void)code;
    (void)index;
#endif
    return NULL;
}

static inline PyObject *
kc_frame_borrow_globals(kc_frame *frame)
{
    return frame->f_globals;
}

#if KC_HAS_FRAME_EVAL

/* Whether running `frame` makes a generator of it, and no more: 3.11 does that in the
 * generator's own code. */
static inline bool
kc_frame_makes_generator(kc_frame *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    const int suspends = CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR;
    return (frame->f_code->co_flags & suspends) != 0 &&
           frame->owner != FRAME_OWNED_BY_GENERATOR;
#else
    (void)frame;
    return false;
#endif
}

/* Whether the generator whose frame has just been run waits for its next step. */
static inline bool
kc_frame_is_suspended(kc_frame *frame)
{
#if PY_VERSION_HEX >= 0x030B0000
    return _PyFrame_GetGenerator(frame)->gi_frame_state == FRAME_SUSPENDED;
#else
    return frame->f_state == FRAME_SUSPENDED;
#endif
}

/* Whether a frame may run below what runs now: at the recursion limit it is refused
 * before its first instruction. */
static inline bool
kc_thread_may_recurse(PyThreadState *tstate)
{
#if PY_VERSION_HEX >= 0x030B0000
    return tstate->recursion_remaining > 0;
#else
    return tstate->recursion_depth < Py_GetRecursionLimit();
#endif
}

#endif

static inline int
kc_code_slot_count(const PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030B0000
    return code->co_nlocalsplus;
#else
    return code->co_nlocals + (int)PyTuple_GET_SIZE(code->co_cellvars) +
           (int)PyTuple_GET_SIZE(code->co_freevars);
#endif
}

/* The name of slot `index`, borrowed. */
static inline PyObject *
kc_code_borrow_slot_name(const PyCodeObject *code, int index)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyTuple_GET_ITEM(code->co_localsplusnames, index);
#else
    Py_ssize_t at = index;
    if (at < code->co_nlocals) {
        return PyTuple_GET_ITEM(code->co_varnames, at);
    }
    at -= code->co_nlocals;
    if (at < PyTuple_GET_SIZE(code->co_cellvars)) {
        return PyTuple_GET_ITEM(code->co_cellvars, at);
    }
    return PyTuple_GET_ITEM(code->co_freevars,
                            at - PyTuple_GET_SIZE(code->co_cellvars));
#endif
}

/* Where argument `index` stands: its own slot or, on 3.10, the cell it was moved to. */
static inline int
kc_code_argument_slot(const PyCodeObject *code, int index)
{
#if PY_VERSION_HEX < 0x030B0000
    if (code->co_cell2arg != NULL) {
        Py_ssize_t cells = PyTuple_GET_SIZE(code->co_cellvars);
        for (Py_ssize_t cell = 0; cell < cells; cell++) {
            if (code->co_cell2arg[cell] == index) {
                return code->co_nlocals + (int)cell;
            }
        }
    }
#endif
    (void)code;
    return index;
}

/* What an asynchronous generator yields is wrapped, to be told from what it awaits; the
 * wrapper's type is private, its layout the same on every version (genobject.c).
 * Borrowed.
 */
static inline PyObject *
kc_async_borrow_yielded(PyObject *value)
{
    struct wrapped {
        PyObject_HEAD
        PyObject *value;
    };
    if (strcmp(Py_TYPE(value)->tp_name, "async_generator_wrapped_value") != 0 ||
        Py_TYPE(value)->tp_basicsize != (Py_ssize_t)sizeof(struct wrapped))
    {
        return value;
    }
    return ((struct wrapped *)value)->value;
}

/* Whether slot `index` holds a cell, which the code unwraps at each use. */
static inline bool
kc_code_slot_is_cell(const PyCodeObject *code, int index)
{
#if PY_VERSION_HEX >= 0x030B0000
    const char *kinds = PyBytes_AS_STRING(code->co_localspluskinds);
    return (kinds[index] & (CO_FAST_CELL | CO_FAST_FREE)) != 0;
#else
    return index >= code->co_nlocals;
#endif
}

static inline PyObject *
kc_code_borrow_qualname(const PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030B0000
    return code->co_qualname;
#else
    return code->co_name;
#endif
}

/* The bytecode without specialisation and instrumentation: a new bytes object. */
static inline PyObject *
kc_code_bytecode(PyCodeObject *code)
{
#if PY_VERSION_HEX >= 0x030B0000
    return PyCode_GetCode(code);
#else
    return Py_NewRef(code->co_code);
#endif
}

#endif /* KC_COMPAT_FRAMES */

#endif
