/* boundary_simple.c -- see boundary_simple.h. */

#include "compat.h"

#include "trace/boundary_simple.h"

#include "plain/ulid.h"
#include "session/interrupt.h"
#include "trace/ending.h"
#include "trace/facts.h"

#define ID_PREFIX "trc_"

int
kc_simple_use(struct kc_tracer *tracer, PyObject *given)
{
    struct kc_simple *simple = &tracer->simple;
    PyObject *open = NULL;
    PyObject *facts = NULL;
    PyObject *ended = NULL;
    PyObject *tasks = NULL;
    PyObject *boundary_type = NULL;
    PyObject *facts_type = NULL;
    PyObject *parent = NULL;
    unsigned int ended_most = 0;
    if (given == Py_None) {
        return 0;
    }
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "simple is a tuple or None");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "O!O!O!O!O!O!OI", &PyDict_Type, &open, &PyDict_Type,
                          &facts, &PyDict_Type, &ended, &PyDict_Type, &tasks,
                          &PyType_Type, &boundary_type, &PyType_Type, &facts_type,
                          &parent, &ended_most))
    {
        return -1;
    }
    static const char *const names[KC_SIMPLE_NAMES] = {
        "plugin", "fields", "held", "attributes", "holders",
        "ended",  "_locks", "id",   "name",
    };
    for (int i = 0; i < KC_SIMPLE_NAMES; i++) {
        simple->names[i] = PyUnicode_InternFromString(names[i]);
        if (simple->names[i] == NULL) {
            return -1;
        }
    }
    simple->open = Py_NewRef(open);
    simple->facts = Py_NewRef(facts);
    simple->ended = Py_NewRef(ended);
    simple->tasks = Py_NewRef(tasks);
    simple->boundary_type = Py_NewRef(boundary_type);
    simple->facts_type = Py_NewRef(facts_type);
    simple->parent = Py_NewRef(parent);
    simple->ended_most = ended_most;
    return 0;
}

void
kc_simple_clear(struct kc_tracer *tracer)
{
    struct kc_simple *simple = &tracer->simple;
    Py_CLEAR(simple->open);
    Py_CLEAR(simple->facts);
    Py_CLEAR(simple->ended);
    Py_CLEAR(simple->tasks);
    Py_CLEAR(simple->boundary_type);
    Py_CLEAR(simple->facts_type);
    Py_CLEAR(simple->parent);
    for (int i = 0; i < KC_SIMPLE_NAMES; i++) {
        Py_CLEAR(simple->names[i]);
    }
}

/* ---- what Python has of it ---- */

/* An error that is set: Python meets it again, and tells. */
static void
simple_give_up(void)
{
    if (PyErr_Occurred() && !kc_interrupt_give_back()) {
        PyErr_Clear();
    }
}

static PyObject *
simple_make(PyObject *type)
{
    return ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0);
}

/* Takes `value`, which may be NULL with an exception set. */
static bool
simple_set(const struct kc_simple *simple, PyObject *object, enum kc_simple_name name,
           PyObject *value)
{
    bool done =
        value != NULL && PyObject_SetAttr(object, simple->names[name], value) == 0;
    Py_XDECREF(value);
    return done;
}

/* A Boundary that is open, as its __init__ makes it. */
static PyObject *
simple_new_boundary(const struct kc_simple *simple, PyObject *plugin, PyObject *fields,
                    bool held, PyObject *attributes)
{
    PyObject *made = simple_make(simple->boundary_type);
    if (made != NULL &&
        (!simple_set(simple, made, KC_SIMPLE_PLUGIN, Py_NewRef(plugin)) ||
         !simple_set(simple, made, KC_SIMPLE_FIELDS, Py_NewRef(fields)) ||
         !simple_set(simple, made, KC_SIMPLE_HELD, PyBool_FromLong(held)) ||
         !simple_set(simple, made, KC_SIMPLE_ATTRIBUTES, Py_NewRef(attributes)) ||
         !simple_set(simple, made, KC_SIMPLE_HOLDERS, PyLong_FromLong(0)) ||
         !simple_set(simple, made, KC_SIMPLE_ENDED, Py_NewRef(Py_None))))
    {
        Py_CLEAR(made);
    }
    return made;
}

/* TraceFacts, as its __init__ makes it, with what there is to say. */
static PyObject *
simple_new_facts(const struct kc_simple *simple, const char *id, PyObject *name,
                 PyObject *attributes)
{
    PyObject *made = simple_make(simple->facts_type);
    if (made != NULL &&
        (!simple_set(simple, made, KC_SIMPLE_ID, PyUnicode_FromString(id)) ||
         !simple_set(simple, made, KC_SIMPLE_NAME, Py_NewRef(name)) ||
         !simple_set(simple, made, KC_SIMPLE_ATTRIBUTES, Py_NewRef(attributes)) ||
         !simple_set(simple, made, KC_SIMPLE_LOCKS, PyList_New(0))))
    {
        Py_CLEAR(made);
    }
    return made;
}

/* ---- the beginning ---- */

/* Whether the plugin wants its trace held; -1 where it fails. */
static int
simple_is_held(PyObject *holds, PyObject *fields)
{
    if (holds == Py_None) {
        return 0;
    }
    PyObject *answer = PyObject_CallOneArg(holds, fields);
    int held = answer != NULL ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return held;
}

/* Begin the trace, and let Python's dicts know. */
static uint32_t
simple_register(struct kc_tracer *tracer, const struct kc_plugin *plugin,
                PyObject *fields, bool held, const struct kc_facts *facts)
{
    const struct kc_simple *simple = &tracer->simple;
    const char *kind = PyUnicode_AsUTF8(PyTuple_GET_ITEM(plugin->kind, 0));
    PyObject *parent = simple->parent != Py_None ? simple->parent : NULL;
    char id[sizeof ID_PREFIX + KC_ULID_CHARACTERS] = ID_PREFIX;
    if (kind == NULL || !kc_ulid_next(0, id + sizeof ID_PREFIX - 1)) {
        return 0;
    }
    PyObject *boundary = simple_new_boundary(
        simple, PyTuple_GET_ITEM(plugin->simple, 0), fields, held, facts->attributes);
    PyObject *said = simple_new_facts(simple, id, facts->name, facts->attributes);
    struct kc_trace *trace =
        boundary != NULL && said != NULL
            ? kc_session_begin_trace(tracer->session, id, kind, facts->name, parent,
                                     facts->text)
            : NULL;
    uint32_t number = 0;
    if (trace != NULL) {
        kc_ending_count_from_now(tracer, trace);
        trace->held = held;
        trace->opener = plugin->index + 1;
        PyObject *key = PyLong_FromUnsignedLong(trace->number);
        if (key != NULL && PyDict_SetItem(simple->facts, key, said) == 0 &&
            PyDict_SetItem(simple->open, key, boundary) == 0)
        {
            number = trace->number;
        }
        Py_XDECREF(key);
    }
    Py_XDECREF(boundary);
    Py_XDECREF(said);
    return number;
}

uint32_t
kc_simple_begin(struct kc_tracer *tracer, const struct kc_plugin *plugin,
                PyObject *started)
{
    if (tracer->simple.open == NULL || plugin->simple == NULL ||
        !PyDict_CheckExact(started))
    {
        return 0;
    }
    uint32_t number = 0;
    struct kc_facts facts = {NULL, NULL, NULL};
    PyObject *known = PyDict_New();
    PyObject *fields = known != NULL ? PyDict_Copy(started) : NULL;
    int held = fields != NULL
                   ? simple_is_held(PyTuple_GET_ITEM(plugin->simple, 2), fields)
                   : -1;
    if (held >= 0) {
        const struct kc_facts_wanted wanted = {
            .summary = PyTuple_GET_ITEM(plugin->kind, 3),
            .name = plugin->name,
            .known = known,
            .names = PyTuple_GET_ITEM(plugin->simple, 1),
            .fields = fields,
        };
        /* What holds() runs may have ended the session. */
        if (tracer->simple.open != NULL && tracer->session->open &&
            !tracer->session->dead &&
            kc_facts_describe(tracer->values, &wanted, &facts))
        {
            number = simple_register(tracer, plugin, fields, held != 0, &facts);
        }
    }
    kc_facts_clear(&facts);
    Py_XDECREF(known);
    Py_XDECREF(fields);
    simple_give_up();
    return number;
}

/* ---- the end ---- */

/* What a trace that ends is known by: new references. */
struct simple_ending {
    PyObject *boundary;
    PyObject *fields;
    PyObject *facts;
    PyObject *id;
    PyObject *name;
    PyObject *attributes;
};

static void
simple_clear_ending(struct simple_ending *ending)
{
    Py_CLEAR(ending->boundary);
    Py_CLEAR(ending->fields);
    Py_CLEAR(ending->facts);
    Py_CLEAR(ending->id);
    Py_CLEAR(ending->name);
    Py_CLEAR(ending->attributes);
}

/* Whether an attribute of `object` is nothing: 0, or an empty list. */
static bool
simple_has_none(const struct kc_simple *simple, PyObject *object,
                enum kc_simple_name name)
{
    PyObject *value = PyObject_GetAttr(object, simple->names[name]);
    int is_true = value != NULL ? PyObject_IsTrue(value) : -1;
    Py_XDECREF(value);
    return is_true == 0;
}

/* Find it, where nobody holds it open and no lock is needed. */
static bool
simple_find(const struct kc_simple *simple, PyObject *key, struct simple_ending *ending)
{
    ending->boundary = Py_XNewRef(PyDict_GetItemWithError(simple->open, key));
    ending->facts = Py_XNewRef(PyDict_GetItemWithError(simple->facts, key));
    if (ending->boundary == NULL || ending->facts == NULL ||
        !simple_has_none(simple, ending->boundary, KC_SIMPLE_HOLDERS) ||
        !simple_has_none(simple, ending->facts, KC_SIMPLE_LOCKS))
    {
        return false;
    }
    ending->fields =
        PyObject_GetAttr(ending->boundary, simple->names[KC_SIMPLE_FIELDS]);
    ending->id = PyObject_GetAttr(ending->facts, simple->names[KC_SIMPLE_ID]);
    ending->name = PyObject_GetAttr(ending->facts, simple->names[KC_SIMPLE_NAME]);
    ending->attributes =
        PyObject_GetAttr(ending->facts, simple->names[KC_SIMPLE_ATTRIBUTES]);
    return ending->fields != NULL && ending->id != NULL && ending->name != NULL &&
           ending->attributes != NULL && PyDict_CheckExact(ending->fields);
}

/* Python's dicts know it no more, but for its name. */
static bool
simple_forget(const struct kc_simple *simple, PyObject *key,
              const struct simple_ending *ending, const struct kc_facts *facts)
{
    PyObject *known = PyTuple_Pack(2, ending->id, facts->name);
    bool done =
        known != NULL && PyDict_SetItem(simple->ended, key, known) == 0 &&
        simple_set(simple, ending->facts, KC_SIMPLE_NAME, Py_NewRef(facts->name)) &&
        simple_set(simple, ending->facts, KC_SIMPLE_ATTRIBUTES,
                   Py_NewRef(facts->attributes)) &&
        PyDict_DelItem(simple->open, key) == 0 &&
        PyDict_DelItem(simple->facts, key) == 0;
    Py_XDECREF(known);
    return done;
}

static bool
simple_end(struct kc_tracer *tracer, struct kc_trace *trace, PyObject *key,
           PyObject *finished, bool failed)
{
    const struct kc_simple *simple = &tracer->simple;
    const struct kc_plugin *plugin = tracer->plugins[trace->opener - 1];
    struct simple_ending ending = {NULL, NULL, NULL, NULL, NULL, NULL};
    struct kc_facts facts = {NULL, NULL, NULL};
    bool may = simple_find(simple, key, &ending) &&
               (finished == NULL || PyDict_Update(ending.fields, finished) == 0);
    if (may) {
        const struct kc_facts_wanted wanted = {
            .summary = PyTuple_GET_ITEM(plugin->kind, 3),
            .name = ending.name,
            .known = ending.attributes,
            .names = PyTuple_GET_ITEM(plugin->simple, 1),
            .fields = ending.fields,
        };
        may = kc_facts_describe(tracer->values, &wanted, &facts) &&
              simple_forget(simple, key, &ending, &facts);
    }
    if (may) {
        struct kc_ending how;
        Py_SETREF(trace->name, Py_NewRef(facts.name));
        Py_SETREF(trace->attributes, Py_NewRef(facts.text));
        /* False: it has ended with its session. */
        (void)!kc_ending_end(tracer, trace, failed ? "exception" : "exit", true, &how);
    }
    kc_facts_clear(&facts);
    simple_clear_ending(&ending);
    return may;
}

bool
kc_simple_end(struct kc_tracer *tracer, uint32_t number, PyObject *finished,
              bool failed)
{
    const struct kc_simple *simple = &tracer->simple;
    struct kc_session *session = tracer->session;
    struct kc_trace *trace = kc_session_find_trace(session, number);
    if (simple->open == NULL || !session->open || trace == NULL || trace->opener == 0 ||
        trace->held || PyDict_GET_SIZE(simple->tasks) != 0 ||
        PyDict_GET_SIZE(simple->ended) >= (Py_ssize_t)simple->ended_most ||
        (finished != NULL && !PyDict_CheckExact(finished)))
    {
        return false;
    }
    PyObject *key = PyLong_FromUnsignedLong(number);
    bool ended = key != NULL && simple_end(tracer, trace, key, finished, failed);
    Py_XDECREF(key);
    simple_give_up();
    return ended;
}
