/* faulty_vfs.h -- SQLite's files, each call of which may be refused.
 *
 * Threads: as SQLite's own.
 * Owns:    the VFS, to the program's end.
 * Fails:   by CHECK.
 */

#ifndef FAULTY_VFS_H
#define FAULTY_VFS_H

#include <stdbool.h>

#include "faulty.h"

/* Whether this call is the one to be refused (faulty.c). */
bool fault_refused(enum fault_kind kind);

/* From now on every connection takes its files from here. */
void fault_vfs_register(void);

#endif
