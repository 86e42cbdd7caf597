/* disk.h -- a disk that fails or stands still when it is told to, for SQLite.
 *
 * A VFS in front of the usual one. Steps that may fail are opening, writing,
 * truncating, syncing and mapping the WAL's index; each is counted. While the disk is
 * stalled, every write and every sync waits.
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

/* The step number `step` from now on fails, once (0: none). */
void disk_fail_at(long step);
/* Every step fails with SQLite's `code`, until that is 0. */
void disk_fail_all(int code);
/* Steps since disk_fail_at(). */
long disk_steps(void);

void disk_stall(bool stalled);
/* Whether somebody waits for the disk. */
bool disk_is_awaited(void);

#endif
