/* filter.c -- see filter.h. */

#include "compat.h"

#include "trace/filter.h"

#include <stdio.h>

#include "session/interrupt.h"
#include "trace/plugin.h"

void
kc_decision_clear(struct kc_decision *decision)
{
    Py_CLEAR(decision->module);
    Py_CLEAR(decision->qualname);
    Py_CLEAR(decision->source);
    Py_CLEAR(decision->rules.secret_names);
}

/* The filter raised. Say so once; what struck it from outside is the program's. */
static void
filter_failed(struct kc_tracer *tracer)
{
    tracer->filter_error_count++;
    if (kc_interrupt_give_back()) {
        return;
    }
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *text = value != NULL ? PyObject_Str(value) : NULL;
    const char *utf8 = text != NULL ? PyUnicode_AsUTF8(text) : NULL;
    if (tracer->filter_error[0] == '\0') {
        (void)snprintf(tracer->filter_error, sizeof tracer->filter_error,
                       "the filter raised %s: %s",
                       type != NULL ? ((PyTypeObject *)type)->tp_name : "?",
                       utf8 != NULL ? utf8 : "?");
        kc_session_error(tracer->session, tracer->filter_error);
    }
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

static int
rules_flag(PyObject *dict, const char *key, bool *flag)
{
    PyObject *value = PyDict_GetItemString(dict, key);
    if (value == NULL) {
        return 0;
    }
    int truth = PyObject_IsTrue(value);
    if (truth >= 0) {
        *flag = truth != 0;
    }
    return truth < 0 ? -1 : 0;
}

static int
rules_number(PyObject *dict, const char *key, uint32_t *number, bool *found)
{
    PyObject *value = PyDict_GetItemString(dict, key);
    if (value == NULL || value == Py_None) {
        return 0;
    }
    unsigned long read = PyLong_AsUnsignedLong(value);
    if (PyErr_Occurred()) {
        return -1;
    }
    *number = read > UINT32_MAX ? UINT32_MAX : (uint32_t)read;
    *found = true;
    return 0;
}

int
kc_filter_read_rules(PyObject *dict, struct kc_code_rules *rules)
{
    bool found = false;
    bool limited = false;
    bool user_repr = rules->options.user_repr != 0;
    bool self_fields = rules->options.self_fields != 0;
    uint32_t locals = rules->locals;
    struct kc_value_limits *limits = &rules->options.limits;
    if (rules_flag(dict, "values", &rules->values) < 0 ||
        rules_flag(dict, "shallow", &rules->shallow) < 0 ||
        rules_flag(dict, "boundary", &rules->boundary) < 0 ||
        rules_flag(dict, "user_repr", &user_repr) < 0 ||
        rules_flag(dict, "self_fields", &self_fields) < 0 ||
        rules_number(dict, "locals", &locals, &limited) < 0 ||
        rules_number(dict, "max_depth", &rules->max_depth, &limited) < 0 ||
        rules_number(dict, "depth", &limits->depth, &found) < 0 ||
        rules_number(dict, "items", &limits->items, &found) < 0 ||
        rules_number(dict, "text_bytes", &limits->text_bytes, &found) < 0 ||
        rules_number(dict, "record_bytes", &limits->record_bytes, &found) < 0)
    {
        return -1;
    }
    rules->locals = (uint8_t)locals;
    rules->has_options = rules->has_options || found ||
                         user_repr != (rules->options.user_repr != 0) ||
                         self_fields != (rules->options.self_fields != 0);
    rules->options.user_repr = user_repr;
    rules->options.self_fields = self_fields;
    if (rules->shallow) {
        rules->max_depth = 0;
    }
    PyObject *names = PyDict_GetItemString(dict, "mask");
    if (names != NULL && PyTuple_Check(names)) {
        Py_XSETREF(rules->secret_names, Py_NewRef(names));
    }
    return 0;
}

/* What the filter says of the file as a whole: Py_True, Py_False, Py_None; NULL with an
 * exception. Filters may change while it is asked: then its answer is not kept. */
static PyObject *
filter_ask_file(struct kc_tracer *tracer, PyObject *path)
{
    PyObject *known = PyDict_GetItemWithError(tracer->files, path);
    if (known != NULL || PyErr_Occurred()) {
        return Py_XNewRef(known);
    }
    uint64_t generation = tracer->generation;
    PyObject *answer = PyObject_CallOneArg(tracer->decide_file, path);
    if (answer != NULL && tracer->generation == generation &&
        PyDict_SetItem(tracer->files, path, answer) < 0)
    {
        Py_CLEAR(answer);
    }
    return answer;
}

/* Which sets keep it: a number of bits, or True for all: -1 with an exception set. */
static int
filter_read_bits(PyObject *answer, struct kc_decision *decision)
{
    if (PyBool_Check(answer)) {
        decision->keep_bits = answer == Py_True ? KC_KEEP_ALL : 0;
        return 0;
    }
    unsigned long bits = PyLong_AsUnsignedLong(answer);
    decision->keep_bits = (uint8_t)(bits & KC_KEEP_ALL);
    return PyErr_Occurred() ? -1 : 0;
}

/* Ask about the function itself: -1 with an exception set. */
static int
filter_ask(struct kc_tracer *tracer, PyCodeObject *code, struct kc_decision *decision)
{
    PyObject *answer = PyObject_CallFunctionObjArgs(
        tracer->decide, (PyObject *)code, code->co_filename,
        decision->module != NULL ? decision->module : Py_None, decision->qualname,
        NULL);
    if (answer == NULL) {
        return -1;
    }
    int result = 0;
    if (PyDict_Check(answer)) {
        PyObject *bits = PyDict_GetItemString(answer, "keep_bits"); /* borrowed */
        result = kc_filter_read_rules(answer, &decision->rules);
        if (result == 0) {
            result = filter_read_bits(bits != NULL ? bits : Py_True, decision);
        }
    }
    else {
        result = filter_read_bits(answer, decision);
    }
    Py_DECREF(answer);
    return result;
}

/* Code that was compiled by us (-c, -) is kept by identity, with its text. */
static bool
filter_is_ours(struct kc_tracer *tracer, PyCodeObject *code,
               struct kc_decision *decision)
{
    if (PyDict_GET_SIZE(tracer->kept_codes) == 0) {
        return false;
    }
    PyObject *key = PyLong_FromVoidPtr(code);
    PyObject *source =
        key != NULL ? PyDict_GetItemWithError(tracer->kept_codes, key) : NULL;
    Py_XDECREF(key);
    PyErr_Clear();
    if (source == NULL) {
        return false;
    }
    decision->source = source != Py_None ? Py_NewRef(source) : NULL;
    decision->keep_bits = KC_KEEP_ALL;
    return true;
}

/* The program itself wants no call of it recorded (kolo_c.skip). */
static bool
filter_is_skipped(struct kc_tracer *tracer, PyCodeObject *code)
{
    if (PyDict_GET_SIZE(tracer->skipped_codes) == 0) {
        return false;
    }
    PyObject *key = PyLong_FromVoidPtr(code);
    bool found =
        key != NULL && PyDict_GetItemWithError(tracer->skipped_codes, key) != NULL;
    Py_XDECREF(key);
    PyErr_Clear();
    return found;
}

static void
filter_decide(struct kc_tracer *tracer, PyCodeObject *code,
              struct kc_decision *decision)
{
    if (filter_is_skipped(tracer, code) || filter_is_ours(tracer, code, decision)) {
        return;
    }
    PyObject *file = filter_ask_file(tracer, code->co_filename);
    if (file == Py_True || file == Py_False) {
        decision->keep_bits = file == Py_True ? KC_KEEP_ALL : 0;
    }
    else if (file == NULL || filter_ask(tracer, code, decision) < 0) {
        decision->keep_bits = 0;
        filter_failed(tracer);
    }
    Py_XDECREF(file);
}

void
kc_filter_decide(struct kc_tracer *tracer, kc_frame *frame, PyCodeObject *code,
                 struct kc_decision *decision)
{
    *decision = (struct kc_decision){.rules = tracer->default_rules};
    Py_XINCREF(decision->rules.secret_names);
    kc_code_names(code, frame, &decision->module, &decision->qualname);
    filter_decide(tracer, code, decision);
    kc_plugins_match(tracer, code, decision->module, decision->qualname,
                     &decision->watch);
}
