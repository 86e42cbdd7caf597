/* interrupt.c -- see interrupt.h. */

#include "compat.h"

#include "session/interrupt.h"

/* In the main thread, between two instructions of the program. */
static int
interrupt_raise(void *exception)
{
    PyErr_SetObject((PyObject *)Py_TYPE((PyObject *)exception), exception);
    Py_DECREF((PyObject *)exception);
    return -1;
}

static bool
interrupt_is_main_thread(void)
{
    PyObject *threading = PyDict_GetItemString(PyImport_GetModuleDict(), "threading");
    PyObject *main =
        threading != NULL
            ? PyDict_GetItemString(PyModule_GetDict(threading), "_main_thread")
            : NULL;
    if (main == NULL) {
        return true; /* nobody has started a thread */
    }
    PyObject *ident = PyObject_GetAttrString(main, "_ident");
    unsigned long number = ident != NULL ? PyLong_AsUnsignedLong(ident) : 0;
    Py_XDECREF(ident);
    PyErr_Clear();
    return number == PyThread_get_thread_ident();
}

bool
kc_interrupt_give_back(void)
{
    if (PyErr_ExceptionMatches(PyExc_Exception)) {
        return false;
    }
    PyObject *type = NULL;
    PyObject *value = NULL;
    PyObject *traceback = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (!interrupt_is_main_thread()) {
        (void)PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), type);
    }
    else if (value != NULL && Py_AddPendingCall(interrupt_raise, value) == 0) {
        value = NULL; /* the call has it */
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    PyErr_Clear();
    return true;
}
