/* scope.c -- see scope.h. */

#include "compat.h"

#include "session/scope.h"

#include <unistd.h>

#define TASKS_MOST 65536

void
kc_scope_use_asyncio(struct kc_session *session, PyObject *running_loop,
                     PyObject *current_task)
{
    Py_XSETREF(session->running_loop, Py_NewRef(running_loop));
    Py_XSETREF(session->current_task, Py_NewRef(current_task));
    session->scope_generation++;
}

/* Whether the module with the names `dict` is still being imported. A C module whose
 * import is not over has functions already, and no state yet: calling one crashes. */
static bool
scope_is_importing(PyObject *dict)
{
    PyObject *spec = PyDict_GetItemString(dict, "__spec__");
    PyObject *flag =
        spec != NULL ? PyObject_GetAttrString(spec, "_initializing") : NULL;
    bool importing = flag == Py_True;
    Py_XDECREF(flag);
    PyErr_Clear();
    return importing;
}

/* The functions, once the program has imported asyncio. Both are C functions of
 * _asyncio; where the program replaced them by Python ones, tasks are not looked up. */
static bool
scope_has_asyncio(struct kc_session *session)
{
    if (session->current_task != NULL) {
        return true;
    }
    PyObject *asyncio =
        PyDict_GetItemWithError(PyImport_GetModuleDict(), session->asyncio_name);
    if (asyncio == NULL || !PyModule_Check(asyncio)) {
        return false;
    }
    PyObject *dict = PyModule_GetDict(asyncio);
    PyObject *loop = PyDict_GetItemString(dict, "_get_running_loop");
    PyObject *task = PyDict_GetItemString(dict, "current_task");
    if (loop == NULL || scope_is_importing(dict)) {
        return false;
    }
    if (task == NULL) { /* 3.10, 3.11: the function is Python's; the dict is C's */
        task = PyDict_GetItemString(dict, "_current_tasks");
    }
    if (task == NULL || !PyCFunction_Check(loop) ||
        !(PyCFunction_Check(task) || PyDict_Check(task)))
    {
        return false;
    }
    session->running_loop = Py_NewRef(loop);
    session->current_task = Py_NewRef(task);
    return true;
}

/* The task that runs on this thread: a new reference, or NULL. */
static PyObject *
scope_current_task(struct kc_session *session)
{
    PyObject *task = NULL;
    PyObject *loop = PyObject_CallNoArgs(session->running_loop);
    if (loop != NULL && loop != Py_None) {
        if (PyDict_Check(session->current_task)) {
            /* Loops hash by identity unless a program's own loop says otherwise. */
            task = Py_XNewRef(PyDict_GetItemWithError(session->current_task, loop));
        }
        else {
            task = PyObject_CallOneArg(session->current_task, loop);
        }
        if (task == Py_None) {
            Py_CLEAR(task);
        }
    }
    Py_XDECREF(loop);
    PyErr_Clear();
    return task;
}

/* Attribute `name` of a C task or coroutine, if it is a str: a new reference. */
static PyObject *
scope_text_of(PyObject *object, const char *name)
{
    PyObject *text = PyObject_GetAttrString(object, name);
    if (text != NULL && !PyUnicode_CheckExact(text)) {
        Py_CLEAR(text);
    }
    PyErr_Clear();
    return text;
}

/* A name for a greenlet, which has none: that of its type, and a number. */
static PyObject *
scope_greenlet_name(struct kc_session *session, PyObject *greenlet)
{
    const char *name = Py_TYPE(greenlet)->tp_name;
    const char *dot = strrchr(name, '.');
    return PyUnicode_FromFormat("%s-%u", dot != NULL ? dot + 1 : name,
                                ++session->greenlet_count);
}

static bool
scope_is_greenlet(const struct kc_session *session, PyObject *task)
{
    return session->greenlet_type != NULL &&
           PyType_IsSubtype(Py_TYPE(task), (PyTypeObject *)session->greenlet_type);
}

/* Write the definition of `task`. Only C's own Task type is asked for its name and
 * coroutine: a subclass may be Python. */
static uint64_t
scope_define_task(struct kc_session *session, PyObject *task)
{
    PyObject *name = NULL;
    PyObject *coroutine = NULL;
    PyObject *qualname = NULL;
    if (strcmp(Py_TYPE(task)->tp_name, "_asyncio.Task") == 0) {
        name = PyObject_CallMethod(task, "get_name", NULL);
        if (name != NULL && !PyUnicode_CheckExact(name)) {
            Py_CLEAR(name);
        }
        coroutine = PyObject_CallMethod(task, "get_coro", NULL);
        if (coroutine != NULL &&
            (PyCoro_CheckExact(coroutine) || PyGen_CheckExact(coroutine))) {
            qualname = scope_text_of(coroutine, "__qualname__");
        }
    }
    else if (scope_is_greenlet(session, task)) {
        name = scope_greenlet_name(session, task);
    }
    PyErr_Clear();
    uint64_t number = kc_definitions_task(session->definitions, name, qualname);
    Py_XDECREF(qualname);
    Py_XDECREF(coroutine);
    Py_XDECREF(name);
    return number;
}

/* Whether `entry`, a tuple (weakref, number), is of `task` and not of a dead one whose
 * address came back. */
static bool
scope_entry_is(PyObject *entry, PyObject *task)
{
    PyObject *reference = PyTuple_GET_ITEM(entry, 0);
    PyObject *alive = PyObject_CallNoArgs(reference);
    bool same = alive == task;
    Py_XDECREF(alive);
    PyErr_Clear();
    return same;
}

static uint64_t
scope_task_number(struct kc_session *session, PyObject *task)
{
    /* A task goes on many times: between its calls, and in each of its steps. */
    if (session->last_task != NULL && scope_entry_is(session->last_task, task)) {
        return PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(session->last_task, 1));
    }
    PyObject *key = PyLong_FromVoidPtr(task);
    PyObject *reference = NULL;
    PyObject *entry = NULL;
    uint64_t number = 0;
    if (key == NULL) {
        goto done;
    }
    PyObject *known = PyDict_GetItemWithError(session->tasks, key);
    if (known != NULL && scope_entry_is(known, task)) {
        number = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(known, 1));
        Py_XSETREF(session->last_task, Py_NewRef(known));
        goto done;
    }
    if (PyDict_GET_SIZE(session->tasks) >= TASKS_MOST) {
        PyDict_Clear(session->tasks); /* those that live are defined once more */
    }
    number = scope_define_task(session, task);
    reference = PyWeakref_NewRef(task, NULL);
    if (reference != NULL && number != 0) {
        entry = Py_BuildValue("(OK)", reference, (unsigned long long)number);
    }
    if (entry != NULL) {
        (void)PyDict_SetItem(session->tasks, key, entry);
        Py_XSETREF(session->last_task, Py_NewRef(entry));
    }

done:
    Py_XDECREF(entry);
    Py_XDECREF(reference);
    Py_XDECREF(key);
    PyErr_Clear();
    return number;
}

static struct kc_trace *
scope_open_trace(struct kc_session *session, unsigned long number)
{
    struct kc_trace *trace = kc_session_find_trace(session, number);
    return trace != NULL && trace->open ? trace : NULL;
}

/* The trace that the context variable names, the one for what came after its end, else
 * the one that everything else belongs to; NULL where the context is paused, or there
 * is none. */
static struct kc_trace *
scope_current_trace(struct kc_session *session, bool *paused)
{
    struct kc_trace *trace = session->default_trace != NULL ? session->default_trace
                                                            : session->process_trace;
    PyObject *value = NULL;
    if (session->scope_variable == NULL ||
        PyContextVar_Get(session->scope_variable, NULL, &value) < 0 || value == NULL)
    {
        PyErr_Clear();
        return trace;
    }
    unsigned long number = PyLong_AsUnsignedLong(value);
    Py_DECREF(value);
    PyErr_Clear();
    if (number == KC_SCOPE_PAUSED) {
        *paused = true;
        return NULL;
    }
    struct kc_trace *found = scope_open_trace(session, number);
    if (found == NULL && number != 0 && session->find_late != NULL) {
        found =
            scope_open_trace(session, session->find_late(session, (uint32_t)number));
    }
    return found != NULL ? found : trace;
}

/* Whether the running thread, `thread`, is the process's first; for a process that has
 * not imported threading, and has no other in most cases. */
static bool
scope_is_main_thread(const struct kc_thread *thread)
{
#if defined(__linux__)
    (void)thread;
    return PyThread_get_thread_native_id() == (unsigned long)getpid();
#else
    return thread->number == 1;
#endif
}

static void
scope_announce_thread(struct kc_session *session, struct kc_thread *thread)
{
    if (thread->announced) {
        return;
    }
    PyObject *name = NULL;
    PyObject *threading = PyDict_GetItemString(PyImport_GetModuleDict(), "threading");
    PyObject *active =
        threading != NULL && PyModule_Check(threading)
            ? PyDict_GetItemString(PyModule_GetDict(threading), "_active")
            : NULL;
    PyObject *ident = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
    if (ident != NULL && active != NULL && PyDict_CheckExact(active)) {
        PyObject *object = PyDict_GetItemWithError(active, ident);
        if (object != NULL) {
            name = scope_text_of(object, "_name"); /* an attribute, not the property */
        }
    }
    else if (active == NULL && scope_is_main_thread(thread)) {
        name = PyUnicode_FromString("MainThread"); /* as threading would call it */
    }
    Py_XDECREF(ident);
    PyErr_Clear();
    thread->announced = kc_definitions_thread(session->definitions, thread->number,
                                              name, PyThread_get_thread_ident(),
                                              PyThread_get_thread_native_id()) != 0;
    Py_XDECREF(name);
}

bool
kc_scope_announce(struct kc_thread *thread, struct kc_trace *trace)
{
    if (trace->number == 0 || (thread->announced && (trace->announced || trace->named)))
    {
        return true; /* it has ended, and keeps what it has */
    }
    struct kc_exc pending = kc_exc_save();
    scope_announce_thread(thread->session, thread);
    bool announced = kc_session_announce(thread->session, trace) && thread->announced;
    kc_exc_restore(pending);
    return announced;
}

/* greenlet's own functions, once the program has imported it. */
static bool
scope_has_greenlets(struct kc_session *session)
{
    if (session->current_greenlet != NULL) {
        return true;
    }
    PyObject *module =
        PyDict_GetItemWithError(PyImport_GetModuleDict(), session->greenlet_name);
    if (module == NULL || !PyModule_Check(module)) {
        return false;
    }
    PyObject *dict = PyModule_GetDict(module);
    PyObject *current = PyDict_GetItemString(dict, "getcurrent");
    PyObject *type = PyDict_GetItemString(dict, "greenlet");
    if (current == NULL || type == NULL || scope_is_importing(dict) ||
        !PyCFunction_Check(current) || !PyType_Check(type))
    {
        return false;
    }
    PyObject *parent = PyDict_GetItemString(((PyTypeObject *)type)->tp_dict, "parent");
    if (parent == NULL || Py_TYPE(parent)->tp_descr_get == NULL) {
        return false;
    }
    session->current_greenlet = Py_NewRef(current);
    session->greenlet_type = Py_NewRef(type);
    session->greenlet_parent = Py_NewRef(parent);
    return true;
}

/* The number of the greenlet that runs on this thread; 0 for the first, whose calls are
 * the thread's. */
static uint64_t
scope_current_greenlet(struct kc_session *session)
{
    if (!scope_has_greenlets(session)) {
        return 0;
    }
    uint64_t number = 0;
    PyObject *current = PyObject_CallNoArgs(session->current_greenlet);
    if (current != NULL && scope_is_greenlet(session, current)) {
        /* As the type has it: a subclass may have a property of this name. */
        PyObject *descriptor = session->greenlet_parent;
        PyObject *parent =
            Py_TYPE(descriptor)
                ->tp_descr_get(descriptor, current, (PyObject *)Py_TYPE(current));
        if (parent != NULL && parent != Py_None) {
            number = scope_task_number(session, current);
        }
        Py_XDECREF(parent);
    }
    Py_XDECREF(current);
    PyErr_Clear();
    return number;
}

static void
scope_find_task(struct kc_session *session, struct kc_thread *thread)
{
    thread->task = thread->greenlet;
    if (!scope_has_asyncio(session)) {
        return;
    }
    PyObject *task = scope_current_task(session);
    if (task != NULL) {
        thread->task = scope_task_number(session, task);
        Py_DECREF(task);
    }
}

/* Look the trace and the task up. */
static void
scope_look_up(struct kc_thread *thread)
{
    struct kc_session *session = thread->session;
    thread->context_ver = thread->tstate->context_ver;
    thread->scope_generation = session->scope_generation;
    thread->stream = NULL;
    thread->keep_bits = 0;
    thread->wanted_bits = 0;
    thread->task = 0;
    thread->paused = false;
    if (session->dead || !session->open) {
        return;
    }
    struct kc_trace *trace = scope_current_trace(session, &thread->paused);
    if (trace == NULL) {
        if (thread->paused) { /* coroutines that were recorded before are followed */
            scope_find_task(session, thread);
            return;
        }
        thread->wanted_bits = KC_WATCHED_BIT; /* a boundary may begin here */
        return;
    }
    thread->stream = kc_thread_stream_of(thread, trace);
    if (thread->stream == NULL) {
        /* No memory: the next call tries again. */
        thread->scope_generation = session->scope_generation - 1;
        trace->lost_count++;
        session->lost_count++;
        return;
    }
    thread->keep_bits = trace->keep_bit;
    thread->wanted_bits = KC_WATCHED_BIT | trace->keep_bit;
    scope_find_task(session, thread);
}

void
kc_scope_refresh(struct kc_thread *thread)
{
    struct kc_session *session = thread->session;
    if (KC_UNLIKELY(session->aside_count != 0)) {
        kc_session_reap(session);
    }
    uint64_t greenlet = thread->greenlet;
    if (!session->dead && session->open) {
        greenlet = scope_current_greenlet(session);
    }
    if (KC_LIKELY(greenlet == thread->greenlet)) {
        scope_look_up(thread);
        return;
    }
    session->leave_greenlet(thread);
    thread->greenlet = greenlet;
    scope_look_up(thread);
    session->enter_greenlet(thread);
}
