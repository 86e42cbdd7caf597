/* front_vfs.h -- SQLite's files, each call of which may be refused, or wait.
 *
 * Threads: as SQLite's own.
 * Owns:    the VFS, to the program's end.
 * Fails:   by CHECK.
 */

#ifndef FRONT_VFS_H
#define FRONT_VFS_H

#include <stdbool.h>

/* From now on every connection takes its files from here, and `refuse` is asked before
 * each call whether it fails. */
void front_vfs_register(bool (*refuse)(void));

#endif
