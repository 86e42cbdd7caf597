/* code.c -- see code.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"

#include "trace/code.h"

#include <opcode.h>
#include <string.h>

#include "trace/value.h"

#define NAME_SIZE 257 /* a name that does not fit is none: mask.h */
#define SUSPENDING_FLAGS (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR)

/* An opcode that this Python does not have is no byte. From the header, as the module
 * `opcode` takes up to 1.4 ms of the program's start. */
#define OPCODE_NONE (-1)
#ifndef YIELD_FROM
#define YIELD_FROM OPCODE_NONE
#endif
#ifndef RETURN_CONST
#define RETURN_CONST OPCODE_NONE
#endif
#ifndef RESUME
#define RESUME OPCODE_NONE
#endif
#ifndef PUSH_EXC_INFO
#define PUSH_EXC_INFO OPCODE_NONE
#endif
#ifndef COPY
#define COPY OPCODE_NONE
#endif

/* Mark what each instruction of `bytes` is. Where an event finds the frame differs:
 * 3.10 shows the instruction before YIELD_FROM for an await, 3.13.0 the RESUME behind a
 * yield. A RESUME with an operand is always behind a suspension, and nothing else can
 * leave the frame there. */
static void
exits_mark(uint8_t *exits, const uint8_t *bytes, int count)
{
    for (int i = 0; i < count; i++) {
        int opcode = bytes[2 * i];
        int operand = bytes[2 * i + 1];
        if (opcode == YIELD_VALUE) {
            exits[i] = KC_EXIT_YIELD;
        }
        else if (opcode == YIELD_FROM) {
            exits[i] = KC_EXIT_YIELD;
            if (i > 0 && exits[i - 1] == KC_EXIT_OTHER) {
                exits[i - 1] = KC_EXIT_YIELD;
            }
        }
        else if (opcode == RETURN_VALUE || opcode == RETURN_CONST) {
            exits[i] = KC_EXIT_RETURN;
        }
        else if (opcode == RESUME) {
            exits[i] =
                (operand & 3) == 0 ? KC_EXIT_START : KC_EXIT_RESUME | KC_EXIT_YIELD;
        }
        else if (opcode == PUSH_EXC_INFO) {
            exits[i] = KC_EXIT_HANDLER;
        }
        else if (opcode == COPY && i + 1 < count && bytes[2 * i + 2] == POP_EXCEPT) {
            exits[i] = KC_EXIT_CLEANUP;
        }
    }
}

static int
code_find_exits(struct kc_code *about)
{
    PyObject *bytecode = kc_code_bytecode(about->code);
    if (bytecode == NULL || !PyBytes_Check(bytecode)) {
        PyErr_Clear();
        Py_XDECREF(bytecode);
        return -1;
    }
    int count = (int)(PyBytes_GET_SIZE(bytecode) / 2);
    about->exits = PyMem_RawCalloc((size_t)count + 1, 1);
    if (about->exits != NULL) {
        about->exit_count = count;
        exits_mark(about->exits, (const uint8_t *)PyBytes_AS_STRING(bytecode), count);
        while (about->start_at < count &&
               (about->exits[about->start_at] & KC_EXIT_START) == 0) {
            about->start_at++;
        }
        if (about->start_at == count) {
            about->start_at = 0; /* 3.10 marks no start */
        }
    }
    Py_DECREF(bytecode);
    return about->exits != NULL ? 0 : -1;
}

unsigned
kc_code_handler_at(struct kc_code *code, int at)
{
    if (code->exits == NULL && code_find_exits(code) < 0) {
        return KC_EXIT_OTHER;
    }
    return kc_code_exit_at(code, at);
}

int
kc_code_argument_count(const PyCodeObject *code)
{
    return code->co_argcount + code->co_kwonlyargcount +
           ((code->co_flags & CO_VARARGS) != 0) +
           ((code->co_flags & CO_VARKEYWORDS) != 0);
}

int
kc_code_self_kind(const PyCodeObject *code, PyObject *qualname)
{
    if (code->co_argcount == 0) {
        return 0;
    }
    PyObject *first = kc_code_borrow_slot_name(code, 0);
    int kind = 0;
    if (PyUnicode_CompareWithASCIIString(first, "self") == 0) {
        kind = 1;
    }
    else if (PyUnicode_CompareWithASCIIString(first, "cls") == 0 ||
             PyUnicode_CompareWithASCIIString(first, "mcs") == 0)
    {
        kind = 2;
    }
    (void)qualname;
    return kind;
}

static bool
names_contain(PyObject *names, PyObject *name)
{
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *secret = PyTuple_GET_ITEM(names, i);
        if (PyUnicode_Compare(secret, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool
name_is_secret(const struct kc_mask *mask, PyObject *name)
{
    char buffer[NAME_SIZE];
    size_t len = kc_value_copy_text(name, buffer, sizeof buffer);
    return len < sizeof buffer && kc_mask_name(mask, buffer, len, NULL);
}

static uint8_t
slot_flags(const struct kc_code *about, int at, const struct kc_code_rules *rules,
           const struct kc_mask *mask)
{
    PyObject *name = kc_code_borrow_slot_name(about->code, at);
    uint8_t flags = KC_ARGUMENT_PLAIN;
    if (name_is_secret(mask, name)) {
        flags |= KC_ARGUMENT_SECRET;
    }
    if (names_contain(rules->secret_names, name)) {
        flags |= KC_ARGUMENT_SECRET;
    }
    if (at == 0 && kc_code_self_kind(about->code, NULL) != 0) {
        flags |= KC_ARGUMENT_SELF;
    }
    return flags;
}

static int
code_find_slots(struct kc_code *about, const struct kc_code_rules *rules,
                const struct kc_mask *mask)
{
    int count = kc_code_slot_count(about->code);
    about->argument_count = kc_code_argument_count(about->code);
    about->slots = PyMem_RawCalloc((size_t)count + 1, sizeof *about->slots);
    if (about->slots == NULL) {
        return -1;
    }
    about->slot_count = count;
    bool is_function = (about->code->co_flags & CO_OPTIMIZED) != 0;
    int first_free = count - (int)PyCode_GetNumFree(about->code);
    for (int i = 0; i < count; i++) {
        struct kc_slot *slot = &about->slots[i];
        slot->index =
            i < about->argument_count ? kc_code_argument_slot(about->code, i) : i;
        slot->flags = slot_flags(about, i, rules, mask);
        about->secret_slots |= (slot->flags & KC_ARGUMENT_SECRET) != 0;
        if (slot->index != i || kc_code_slot_is_cell(about->code, i)) {
            slot->flags |= KC_ARGUMENT_CELL;
        }
        if (!is_function && i >= first_free) {
            slot->flags |= KC_ARGUMENT_OUTER;
        }
    }
    return 0;
}

/* `mask = true`, which the filter gives as the name "*". */
static bool
code_is_secret(const struct kc_code_rules *rules)
{
    PyObject *names = rules->secret_names;
    for (Py_ssize_t i = 0; names != NULL && i < PyTuple_GET_SIZE(names); i++) {
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, i), "*") == 0) {
            return true;
        }
    }
    return false;
}

static bool
code_is_simple(const struct kc_code *about)
{
    bool simple =
        about->values && !about->secret && about->argument_count <= KC_SIMPLE_ARGUMENTS;
    for (int i = 0; simple && i < about->argument_count; i++) {
        simple = about->slots[i].flags == KC_ARGUMENT_PLAIN;
    }
    return simple;
}

struct kc_code *
kc_code_new(PyCodeObject *code, kc_frame *frame, uint64_t number,
            const struct kc_code_rules *rules, const struct kc_mask *mask,
            const struct kc_code_watch *watch)
{
    (void)frame;
    struct kc_code *about = PyMem_RawCalloc(1, sizeof *about);
    if (about == NULL) {
        PyMem_RawFree(watch->plugins);
        return NULL;
    }
    about->plugins = watch->plugins;
    about->plugin_count = watch->count;
    about->number = number;
    about->code = code;
    about->suspends = (code->co_flags & SUSPENDING_FLAGS) != 0;
    about->values = rules->values;
    about->secret = code_is_secret(rules);
    about->locals = rules->locals;
    about->self_kind = (uint8_t)kc_code_self_kind(code, NULL);
    about->shallow = rules->shallow;
    about->boundary = rules->boundary;
    about->special = about->suspends || about->boundary || watch->count != 0;
    about->max_depth = rules->max_depth;
    if (rules->has_options) {
        about->own_options = rules->options;
        about->options = &about->own_options;
    }
    bool ok = code_find_slots(about, rules, mask) == 0;
    about->simple = ok && code_is_simple(about);
    about->secret_result = name_is_secret(mask, code->co_name);
    about->simple_result = about->values && !about->secret && !about->secret_result &&
                           about->locals != KC_LOCALS_ALL;
    if (ok && (about->suspends || KC_NONE_MAY_BE_EXCEPTION)) {
        ok = code_find_exits(about) == 0;
    }
    if (!ok) {
        kc_code_free(about);
        return NULL;
    }
    return about;
}

void
kc_code_free(struct kc_code *code)
{
    while (code != NULL) {
        struct kc_code *before = code->before;
        PyMem_RawFree(code->plugins);
        PyMem_RawFree(code->slots);
        PyMem_RawFree(code->exits);
        PyMem_RawFree(code);
        code = before;
    }
}

#if !KC_HAS_QUALNAME
/* The function in a classmethod, staticmethod or property (exactly those: their members
 * are C's), or `found` itself: a new reference; NULL for NULL. */
static PyObject *
names_unwrap(PyObject *found)
{
    if (found != NULL && (Py_IS_TYPE(found, &PyClassMethod_Type) ||
                          Py_IS_TYPE(found, &PyStaticMethod_Type)))
    {
        return PyObject_GetAttrString(found, "__func__");
    }
    if (found != NULL && Py_IS_TYPE(found, &PyProperty_Type)) {
        return PyObject_GetAttrString(found, "fget");
    }
    return Py_XNewRef(found);
}

/* The entry `name` of a class's dict, borrowed; no key's __eq__() is asked. */
static PyObject *
names_borrow_entry(PyObject *dict, PyObject *name)
{
    PyObject *key;
    PyObject *entry;
    Py_ssize_t at = 0;
    while (PyDict_Next(dict, &at, &key, &entry)) {
        if (PyUnicode_CheckExact(key) &&
            (key == name || PyUnicode_Compare(key, name) == 0)) {
            return entry;
        }
    }
    return NULL;
}

/* The qualified name of `code` as a method of `type` or of one of its bases. */
static PyObject *
names_in_type(PyTypeObject *type, PyCodeObject *code)
{
    PyObject *mro = type->tp_mro;
    for (Py_ssize_t i = 0; mro != NULL && i < PyTuple_GET_SIZE(mro); i++) {
        PyTypeObject *base = (PyTypeObject *)PyTuple_GET_ITEM(mro, i);
        if (!PyType_Check((PyObject *)base) || base->tp_dict == NULL) {
            continue;
        }
        PyObject *found =
            names_unwrap(names_borrow_entry(base->tp_dict, code->co_name));
        PyObject *qualname = NULL;
        if (found != NULL && PyFunction_Check(found) &&
            PyFunction_GET_CODE(found) == (PyObject *)code)
        {
            qualname = Py_NewRef(((PyFunctionObject *)found)->func_qualname);
        }
        Py_XDECREF(found);
        PyErr_Clear();
        if (qualname != NULL) {
            return qualname;
        }
    }
    return NULL;
}
#endif

void
kc_code_names(PyCodeObject *code, kc_frame *frame, PyObject **module,
              PyObject **qualname)
{
    *module = NULL;
    PyObject *globals = kc_frame_borrow_globals(frame);
    if (globals != NULL && PyDict_Check(globals)) {
        /* Without a key's own __eq__(); in a module it is the first. */
        PyObject *name = kc_value_borrow_entry(globals, "__name__");
        if (name != NULL && PyUnicode_CheckExact(name)) {
            *module = Py_NewRef(name);
        }
    }
    *qualname = NULL;
#if !KC_HAS_QUALNAME
    PyObject *first = code->co_argcount > 0
                          ? kc_frame_borrow_slot(frame, kc_code_argument_slot(code, 0))
                          : NULL;
    if (first != NULL && PyCell_Check(first)) {
        first = PyCell_GET(first);
    }
    if (first != NULL) {
        *qualname =
            PyType_Check(first) ? names_in_type((PyTypeObject *)first, code) : NULL;
        if (*qualname == NULL) {
            *qualname = names_in_type(Py_TYPE(first), code);
        }
    }
#endif
    if (*qualname == NULL) {
        *qualname = Py_NewRef(kc_code_borrow_qualname(code));
    }
}
