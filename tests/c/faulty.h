/* faulty.h -- functions that are refused, one after the other: memory, disk, threads.
 *
 * The linker puts those in the Makefile's FAULTS before the real ones (--wrap), for our
 * objects; SQLite is given its memory by sqlite3_config() and its files by a VFS. A
 * round runs with the first call refused, then the second, ... until a round meets no
 * refusal any more.
 *
 * Threads: any; fault_each() from one.
 * Owns:    nothing.
 * Fails:   by CHECK.
 */

#ifndef FAULTY_H
#define FAULTY_H

#include <stdbool.h>

enum fault_kind {
    FAULT_MEMORY = 1, /* every allocation of ours */
    FAULT_SQLITE = 2, /* every one of SQLite's */
    FAULT_DISK = 4,   /* every write, read, sync, mmap, lock and opening of a file */
    FAULT_THREAD = 8, /* threads, locks and what they wait for */
};

/* Before anything else: SQLite takes its memory and its files from here. */
void fault_init(void);

/* Run `round` with each call of `kinds` refused in turn, `name` is for the report. The
 * round says whether all went as if nothing was refused. After it the memory and the
 * files that are held must be those from before. With `lasting`, what comes after the
 * refused call is refused as well. */
void fault_each(bool (*round)(void), const char *name, int kinds, bool lasting);

/* Whether a call has been refused in this round. */
bool fault_was_met(void);

/* Refuse nothing from here on; what fault_resume() takes up again. */
long fault_suspend(void);

/* `anew`: count from here on, so that the first call after this is the first. */
void fault_resume(long suspended, bool anew);

#endif
