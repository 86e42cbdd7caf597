/* connection_object.h -- kolo_c._kolo.Connection: SQL through this copy of SQLite.
 *
 * Two copies of the library in one process drop each other's POSIX locks (sqlite.org,
 * "How To Corrupt", 2.2.1). The writer uses the copy that this extension is linked to;
 * so a process that records reads its own segments with the same one, and not with
 * Python's sqlite3, which may carry another.
 *
 * Threads: any, one at a time; a second one at once is refused. The GIL is released
 *          while SQLite works, and for signals, taken every 100 ms.
 * Owns:    the database handle, until close() or its own end. A process forked since
 *          then leaves it alone: its locks are the parent's.
 * Fails:   DatabaseError, whose `code` is SQLite's primary result code; MemoryError;
 *          what a signal handler raises.
 */

#ifndef KC_CONNECTION_OBJECT_H
#define KC_CONNECTION_OBJECT_H

#include <Python.h>

extern PyType_Spec kc_connection_type_spec;

/* A new class kolo_c._kolo.DatabaseError. */
PyObject *kc_connection_new_error(void);

#endif
