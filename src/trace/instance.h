/* instance.h -- the plain fields of an instance: its slots and what its dict would
 * hold.
 *
 * Nothing of the instance is touched: no dict is made, no descriptor called. Names that
 * begin and end with two underscores are Python's own and left out.
 *
 * Threads: GIL or lock.
 * Owns:    the array in struct kc_slots and a reference to each name in it. It is good
 *          for as long as the type is unchanged.
 * Fails:   kc_slots_init() by false: no memory.
 */

#ifndef KC_INSTANCE_H
#define KC_INSTANCE_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

struct kc_slot {
    PyObject *name;
    Py_ssize_t offset;
};

struct kc_slots {
    struct kc_slot *list;
    uint32_t count;
    bool has_dict;   /* its instances may have one */
    bool gives_dict; /* a class gives it to Python; else it is not read */
};

/* Gather the slots of `type` and its bases, those of the furthest base first. */
bool kc_slots_init(struct kc_slots *slots, PyTypeObject *type);
void kc_slots_destroy(struct kc_slots *slots);

struct kc_fields {
    PyObject *object;             /* borrowed */
    const struct kc_slots *slots; /* borrowed */
    uint32_t slot;
    Py_ssize_t at;
};

void kc_fields_begin(struct kc_fields *fields, PyObject *object,
                     const struct kc_slots *slots);

/* The next field, borrowed; false at the end. *name is a str. */
bool kc_fields_next(struct kc_fields *fields, PyObject **name, PyObject **value);

/* The field `name` (ASCII), borrowed, or NULL. */
PyObject *kc_fields_borrow(PyObject *object, const struct kc_slots *slots,
                           const char *name);

#endif
