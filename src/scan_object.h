/* scan_object.h -- kolo_c._kolo.Scan: plain/scan for Python.
 *
 * Threads: GIL, which it keeps: a block takes less than a millisecond.
 * Owns:    a struct kc_scan an object.
 * Fails:   NULL with an exception set.
 */

#ifndef KC_SCAN_OBJECT_H
#define KC_SCAN_OBJECT_H

#include <Python.h>

extern PyType_Spec kc_scan_type_spec;

#endif
