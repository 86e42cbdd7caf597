/* monitoring.c -- see monitoring.h. */

#include "compat.h"

#include "trace/monitoring.h"

#if KC_HAS_MONITORING

#include <stddef.h>
#include <string.h>
#include <structmember.h>

#define TOOL_NAME "kolo_c"
#define TOOL_FIRST 4
#define TOOL_LAST 3

static const char *const event_names[KC_EVENT_COUNT] = {
    "PY_START", "PY_RESUME", "PY_RETURN",         "PY_YIELD",
    "PY_THROW", "PY_UNWIND", "EXCEPTION_HANDLED",
};

/* What sys.monitoring calls. */
typedef struct {
    PyObject_HEAD
    vectorcallfunc callback;
} ListenerObject;

static struct {
    int tool;          /* 0: none, since neither id of ours is 0 */
    PyObject *module;  /* sys.monitoring */
    PyObject *disable; /* sys.monitoring.DISABLE */
    PyObject *set_local_events;
    PyTypeObject *listener_type;
    long numbers[KC_EVENT_COUNT];
} monitoring; /* guarded by the GIL; of the main interpreter */

static void
listener_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type); /* heap types are owned by their instances */
}

static PyMemberDef listener_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(ListenerObject, callback), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot listener_slots[] = {
    {Py_tp_dealloc, listener_dealloc},
    {Py_tp_call, PyVectorcall_Call},
    {Py_tp_members, listener_members},
    {Py_tp_doc, "Has kolo_c told of one kind of event."},
    {0, NULL},
};

static PyType_Spec listener_type_spec = {
    .name = "kolo_c._kolo.Listener",
    .basicsize = sizeof(ListenerObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = listener_slots,
};

/* What does not change while the process lives. */
static int
monitoring_load(void)
{
    if (monitoring.set_local_events != NULL) {
        return 0;
    }
    PyObject *module = PySys_GetObject("monitoring"); /* borrowed */
    if (module == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "sys.monitoring is missing");
        return -1;
    }
    Py_XSETREF(monitoring.module, Py_NewRef(module));
    Py_XSETREF(monitoring.disable, PyObject_GetAttrString(module, "DISABLE"));
    PyObject *events = PyObject_GetAttrString(module, "events");
    if (monitoring.disable == NULL || events == NULL) {
        Py_XDECREF(events);
        return -1;
    }
    for (int i = 0; i < KC_EVENT_COUNT; i++) {
        PyObject *event = PyObject_GetAttrString(events, event_names[i]);
        monitoring.numbers[i] = event != NULL ? PyLong_AsLong(event) : -1;
        Py_XDECREF(event);
        if (PyErr_Occurred()) {
            Py_DECREF(events);
            return -1;
        }
    }
    Py_DECREF(events);
    if (monitoring.listener_type == NULL) {
        PyObject *type = PyType_FromSpec(&listener_type_spec);
        monitoring.listener_type = (PyTypeObject *)type;
    }
    if (monitoring.listener_type == NULL) {
        return -1;
    }
    monitoring.set_local_events = PyObject_GetAttrString(module, "set_local_events");
    return monitoring.set_local_events != NULL ? 0 : -1;
}

/* Who has `id`: a new reference, None for nobody. */
static PyObject *
monitoring_holder(int id)
{
    return PyObject_CallMethod(monitoring.module, "get_tool", "i", id);
}

static bool
monitoring_is_ours(int id)
{
    PyObject *holder = monitoring_holder(id);
    bool ours = holder != NULL && PyUnicode_Check(holder) &&
                PyUnicode_CompareWithASCIIString(holder, TOOL_NAME) == 0;
    Py_XDECREF(holder);
    PyErr_Clear();
    return ours;
}

int
kc_monitoring_acquire(void)
{
    if (monitoring_load() < 0) {
        return -1;
    }
    if (monitoring.tool != 0 && monitoring_is_ours(monitoring.tool)) {
        return 1; /* in the child of a fork */
    }
    for (int id = TOOL_FIRST; id >= TOOL_LAST; id--) {
        PyObject *used =
            PyObject_CallMethod(monitoring.module, "use_tool_id", "is", id, TOOL_NAME);
        if (used != NULL) {
            Py_DECREF(used);
            monitoring.tool = id;
            return 1;
        }
        if (!PyErr_ExceptionMatches(PyExc_ValueError)) {
            return -1;
        }
        PyErr_Clear();
    }
    monitoring.tool = 0;
    return 0;
}

int
kc_monitoring_tool(void)
{
    return monitoring.tool != 0 ? monitoring.tool : -1;
}

PyObject *
kc_monitoring_describe_holders(void)
{
    PyObject *first = monitoring_holder(TOOL_FIRST);
    PyObject *last = first != NULL ? monitoring_holder(TOOL_LAST) : NULL;
    PyObject *text = NULL;
    if (last != NULL) {
        text = PyUnicode_FromFormat("%d by %R, %d by %R", TOOL_FIRST, first, TOOL_LAST,
                                    last);
    }
    Py_XDECREF(first);
    Py_XDECREF(last);
    return text;
}

static int
monitoring_call(const char *name, const char *format, int id, long number,
                PyObject *object)
{
    PyObject *done =
        PyObject_CallMethod(monitoring.module, name, format, id, number, object);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

void
kc_monitoring_release(void)
{
    struct kc_exc pending = kc_exc_save();
    if (monitoring.tool != 0 && monitoring_is_ours(monitoring.tool)) {
        (void)kc_monitoring_set(0);
        PyErr_Clear();
        for (int i = 0; i < KC_EVENT_COUNT; i++) {
            (void)monitoring_call("register_callback", "ilO", monitoring.tool,
                                  monitoring.numbers[i], Py_None);
            PyErr_Clear();
        }
        PyObject *freed = PyObject_CallMethod(monitoring.module, "free_tool_id", "i",
                                              monitoring.tool);
        Py_XDECREF(freed);
        PyErr_Clear();
    }
    monitoring.tool = 0;
    kc_exc_restore(pending);
}

int
kc_monitoring_listen(enum kc_event event, vectorcallfunc callback)
{
    ListenerObject *listener = PyObject_New(ListenerObject, monitoring.listener_type);
    if (listener == NULL) {
        return -1;
    }
    listener->callback = callback;
    int result = monitoring_call("register_callback", "ilO", monitoring.tool,
                                 monitoring.numbers[event], (PyObject *)listener);
    Py_DECREF(listener);
    return result;
}

/* The bits of `events` as this version numbers them. */
static long
monitoring_numbers(unsigned events)
{
    long numbers = 0;
    for (int i = 0; i < KC_EVENT_COUNT; i++) {
        if ((events & KC_EVENT_BIT(i)) != 0) {
            numbers |= monitoring.numbers[i];
        }
    }
    return numbers;
}

int
kc_monitoring_set(unsigned events)
{
    return monitoring_call("set_events", "il", monitoring.tool,
                           monitoring_numbers(events), NULL);
}

int
kc_monitoring_set_local(PyCodeObject *code, unsigned events)
{
    PyObject *done =
        PyObject_CallFunction(monitoring.set_local_events, "iOl", monitoring.tool, code,
                              monitoring_numbers(events));
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

int
kc_monitoring_restart(void)
{
    PyObject *done = PyObject_CallMethod(monitoring.module, "restart_events", NULL);
    Py_XDECREF(done);
    return done != NULL ? 0 : -1;
}

PyObject *
kc_monitoring_disable(void)
{
    return Py_NewRef(monitoring.disable);
}

#endif
