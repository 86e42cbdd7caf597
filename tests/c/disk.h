/* disk.h -- a disk that stands still when it is told to, for SQLite.
 *
 * Threads: any.
 * Owns:    the VFS, to the end of the program.
 * Fails:   by a CHECK that does not hold.
 */

#ifndef DISK_H
#define DISK_H

#include <stdbool.h>

/* Every connection that is opened from now on uses it. */
void disk_install(void);

/* From now on every call waits; or it goes on. */
void disk_stall(bool stalled);
/* Whether somebody waits for the disk. */
bool disk_is_awaited(void);

#endif
