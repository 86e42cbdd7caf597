/* leave.c -- the functions that leave a process at once say so first. See session.h.
 *
 * os._exit, os.execv and os.execve (the others of their kind call these two) end it
 * without an exit handler. While a session is open a builtin of the same name stands in
 * their place, which notes in the mapping what it is about to do and then does it. */

#include "plain/clock.h"
#include "plain/last_word.h"
#include "session/session.h"

struct leave {
    const char *name;
    enum kc_last_word word;
    PyCFunction function;
    PyMethodDef method; /* what is said of the original, with our function */
    PyObject *original; /* NULL: not looked for yet */
    PyObject *ours;
};

static PyObject *leave_by_exit(PyObject *module, PyObject *const *args,
                               Py_ssize_t count, PyObject *names);
static PyObject *leave_by_execv(PyObject *module, PyObject *const *args,
                                Py_ssize_t count, PyObject *names);
static PyObject *leave_by_execve(PyObject *module, PyObject *const *args,
                                 Py_ssize_t count, PyObject *names);

#define LEAVE_FUNCTION(function) ((PyCFunction)(void (*)(void))(function))

static struct leave leaves[] = {
    {.name = "_exit",
     .word = KC_LAST_WORD_EXIT,
     .function = LEAVE_FUNCTION(leave_by_exit)},
    {.name = "execv",
     .word = KC_LAST_WORD_EXEC,
     .function = LEAVE_FUNCTION(leave_by_execv)},
    {.name = "execve",
     .word = KC_LAST_WORD_EXEC,
     .function = LEAVE_FUNCTION(leave_by_execve)},
};

#define LEAVE_SAVE_NS UINT64_C(2000000000)
#define LEAVES (sizeof leaves / sizeof leaves[0])

/* Without a file that outlives the process, what is not saved now goes with it. */
static void
leave_save(void)
{
    struct kc_session *session = kc_session_borrow_current();
    if (session != NULL && !session->dead && session->open && session->opened &&
        !session->mapping.shared)
    {
        (void)kc_session_flush(session, kc_clock_system_ns() + LEAVE_SAVE_NS);
    }
}

static PyObject *
leave_by(const struct leave *leave, PyObject *const *args, Py_ssize_t count,
         PyObject *names)
{
    uint32_t number = 0;
    Py_ssize_t given = count + (names == NULL ? 0 : PyTuple_GET_SIZE(names));
    if (leave->word == KC_LAST_WORD_EXIT && given == 1 && PyLong_CheckExact(args[0])) {
        number = (uint32_t)PyLong_AsUnsignedLongMask(args[0]);
    }
    leave_save();
    kc_last_word_say(leave->word, number);
    PyObject *result = PyObject_Vectorcall(leave->original, args, (size_t)count, names);
    kc_last_word_say(KC_LAST_WORD_NONE, 0); /* it has come back */
    return result;
}

static PyObject *
leave_by_exit(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count,
              PyObject *names)
{
    return leave_by(&leaves[0], args, count, names);
}

static PyObject *
leave_by_execv(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count,
               PyObject *names)
{
    return leave_by(&leaves[1], args, count, names);
}

static PyObject *
leave_by_execve(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count,
                PyObject *names)
{
    return leave_by(&leaves[2], args, count, names);
}

/* The original in `posix`, and ours for it. False where there is none of the kind. */
static bool
leave_prepare(struct leave *leave, PyObject *posix)
{
    if (leave->ours != NULL) {
        return true;
    }
    PyObject *original = PyObject_GetAttrString(posix, leave->name);
    PyObject *name = PyModule_GetNameObject(posix);
    if (original != NULL && name != NULL && PyCFunction_CheckExact(original)) {
        leave->method = *((PyCFunctionObject *)original)->m_ml;
        leave->method.ml_meth = leave->function;
        leave->method.ml_flags = METH_FASTCALL | METH_KEYWORDS;
        leave->original = Py_NewRef(original);
        leave->ours = PyCFunction_NewEx(&leave->method, posix, name);
    }
    Py_XDECREF(original);
    Py_XDECREF(name);
    PyErr_Clear();
    return leave->ours != NULL;
}

/* In both modules, where `from` is what stands there. */
static void
leave_put(const char *name, PyObject *from, PyObject *to)
{
    static const char *const modules[] = {"posix", "os"};
    for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
        PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), modules[i]);
        PyObject *found = module == NULL ? NULL : PyObject_GetAttrString(module, name);
        if (found == from) {
            (void)PyObject_SetAttrString(module, name, to);
        }
        Py_XDECREF(found);
        PyErr_Clear();
    }
}

/* It notes nothing of its own, but calls what stood before it. */
static bool
leave_has_faulthandler(void)
{
    PyObject *module = PyDict_GetItemString(PyImport_GetModuleDict(), "faulthandler");
    PyObject *enabled =
        module == NULL ? NULL : PyObject_CallMethod(module, "is_enabled", NULL);
    bool result = enabled == Py_True;
    Py_XDECREF(enabled);
    PyErr_Clear();
    return result;
}

void
kc_session_watch_leaving(struct kc_session *session)
{
    PyObject *posix = PyDict_GetItemString(PyImport_GetModuleDict(), "posix");
    kc_last_word_begin(session->mapping.header, leave_has_faulthandler());
    for (size_t i = 0; posix != NULL && i < LEAVES; i++) {
        if (leave_prepare(&leaves[i], posix)) {
            leave_put(leaves[i].name, leaves[i].original, leaves[i].ours);
        }
    }
}

void
kc_session_unwatch_leaving(void)
{
    for (size_t i = 0; i < LEAVES; i++) {
        if (leaves[i].ours != NULL) {
            leave_put(leaves[i].name, leaves[i].ours, leaves[i].original);
        }
    }
}
