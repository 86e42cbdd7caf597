/* store.h -- one SQLite segment: opened, filled block by block, closed.
 *
 * Writer and recovery share it. All of a batch goes into one transaction: definitions
 * first, then blocks, so that what a block needs is never younger than the block.
 * Definitions are also read here, as far as they are rows of their own: TRACE,
 * TRACE_END, THREAD and FILE (whose text is read, searched for secrets, compressed and
 * stored once per content). What they say of traces that are not to be stored is done
 * last, as blocks of such a trace may be in the same transaction.
 *
 * Threads: one at a time; the writer, or a recovery. Never with the GIL, as it waits
 *          for the disk (the opening at the session's start is the exception).
 * Owns:    the connection, the statements, the zstd context.
 * Fails:   KC_STORE (see kc_store_error()), KC_IO, KC_NO_MEMORY, KC_CORRUPT. A failed
 *          transaction is rolled back: nothing of it is saved, and it may be tried
 *          again.
 */

#ifndef KC_STORE_H
#define KC_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "plain/block.h"
#include "plain/descriptor.h"
#include "plain/status.h"

struct sqlite3;
struct sqlite3_stmt;

#define KC_STORE_STATEMENTS 24
#define KC_STORE_FILES 4 /* the segment, its WAL and what goes with it */

/* A trace that is not to be stored, and the first segment that may have blocks of it.
 */
struct kc_drop {
    uint64_t trace;
    uint64_t segment;
};

struct kc_store {
    struct sqlite3 *db;
    struct sqlite3_stmt *statements[KC_STORE_STATEMENTS]; /* row.h; made when needed */
    void *zstd;                                           /* ZSTD_CCtx */
    uint8_t *buffer; /* for compressed blocks, and for closes and opens */
    size_t buffer_bytes;
    char *path;
    struct kc_descriptor files[KC_STORE_FILES]; /* that SQLite has open */
    int file_count;
    bool unshared;         /* no WAL: on this file system processes share no memory */
    int compress;          /* zstd level, 1 unless set after opening; 0 stores raw */
    struct kc_drop *drops; /* that this transaction's definitions told of */
    uint32_t drop_count;
    uint32_t drop_room;
    uint64_t block_count; /* inserted; all three count what is rolled back, too */
    uint64_t stored_bytes;
    uint64_t mask_count; /* secrets masked in sources */
    int error_code;      /* SQLite's extended code of the last failure */
    char error[256];
};

/* Make the folder of the segments where it is missing (0700, and so those above it),
 * and beside it a .gitignore that keeps the store out of git. KC_IO with errno: ELOOP
 * where the folder, or the one it is in, is a symbolic link. */
KC_MUST_CHECK enum kc_status kc_store_make_directory(const char *directory);

/* <directory>/<process id>-<segment>.db, owned by the caller (free()); NULL where there
 * is no memory. */
char *kc_store_path(const char *directory, const char *process_id, uint64_t segment);

/* An empty file for SQLite to fill, and its owner's alone: what SQLite keeps beside it
 * gets the same mode. False where there is a link, which SQLite would follow. */
KC_MUST_CHECK bool kc_store_make_file(const char *path);

/* The store's file was removed while it is open: write all that it has anew under the
 * same name, and go on there. So where it has lost its descriptors, from what is on the
 * disk. Where that fails, it is as it was. */
KC_MUST_CHECK enum kc_status kc_store_restore(struct kc_store *store,
                                              const char *schema, int version);

/* Remember which descriptors SQLite has: when it has read or written, so that it has
 * opened them all. */
void kc_store_note_files(struct kc_store *store);

/* Whether the descriptors that SQLite has are its files' still. Where the program has
 * closed them, or they are files of its own by now, nothing must be done with the
 * connection any more, and kc_store_close() does nothing with it. */
KC_MUST_CHECK bool kc_store_has_files(const struct kc_store *store);

/* Let go of such a connection, as it is. */
void kc_store_lose(struct kc_store *store);

/* Remove a segment that nobody has open. */
void kc_store_remove(const char *path);

/* Open or create the segment at `path`, as 0600, and not through a link. `schema` is
 * the text of schema.sql, executed in a new file; `version` is its number: another one
 * in an existing file is KC_STORE with a message. */
KC_MUST_CHECK enum kc_status kc_store_open(struct kc_store *store, const char *path,
                                           const char *schema, int version);

/* The process's row (REPLACE). `info` is JSON. */
KC_MUST_CHECK enum kc_status
kc_store_process(struct kc_store *store, const char *id, uint64_t segment, uint32_t pid,
                 uint64_t started_ns, uint64_t started_utc_ns, const char *info);

/* How the process ended (the first to say so is right), and the clocks read together.
 */
KC_MUST_CHECK enum kc_status kc_store_process_end(struct kc_store *store,
                                                  uint64_t ended_ns, const char *cause);
KC_MUST_CHECK enum kc_status kc_store_anchor(struct kc_store *store, uint64_t anchor_ns,
                                             uint64_t anchor_utc_ns);

KC_MUST_CHECK enum kc_status kc_store_begin(struct kc_store *store);
KC_MUST_CHECK enum kc_status kc_store_commit(struct kc_store *store);
void kc_store_rollback(struct kc_store *store);

/* Save bytes [from, to) of a definitions block. Raises nothing in the block itself:
 * `saved` is set by the caller after the commit. Bytes that cannot be read as
 * definitions are saved as they are; KC_CORRUPT only where the range lies outside the
 * block. */
KC_MUST_CHECK enum kc_status kc_store_definitions(struct kc_store *store,
                                                  const struct kc_block *block,
                                                  uint32_t from, uint32_t to);

/* Save a block of records with its header. A block that is there already is left.
 * KC_CORRUPT where the header's counts lead outside the block. */
KC_MUST_CHECK enum kc_status kc_store_block(struct kc_store *store,
                                            const struct kc_block *block);

/* The last step of a transaction: delete what there is here of the traces that its
 * definitions dropped. They stay in `drops` until the next one begins. */
KC_MUST_CHECK enum kc_status kc_store_drop(struct kc_store *store);

/* After the commit: delete what earlier segments, those below `segment`, have of the
 * dropped traces, and give the disk back what that leaves unused. What cannot be done
 * there (a reader is in the way) is left: no reader shows it. */
void kc_store_drop_before(struct kc_store *store, const char *directory,
                          const char *process_id, uint64_t segment, const char *schema,
                          int version);

/* What still runs ended with the process: those traces become `interrupted`. */
KC_MUST_CHECK enum kc_status kc_store_interrupt(struct kc_store *store,
                                                uint64_t ended_ns, const char *cause);

/* Copy process, threads, definitions, files and sources of `from` into this (new)
 * segment, in a transaction of its own: what rotation carries over. Of the traces those
 * that run are copied and the thousand that ended last, whose blocks may still be on
 * their way; of the threads the first thousand and the last, and those that `from` has
 * blocks of. Definitions of both stay behind, as do tasks but those whose numbers are
 * among the first and the last ten thousand. Segments of a process that serves
 * requests, each on a thread or task of its own, would grow without bound. */
KC_MUST_CHECK enum kc_status kc_store_carry(struct kc_store *store,
                                            const struct kc_store *from);

/* One number from `sql` (0 where there is no row, or NULL). */
KC_MUST_CHECK enum kc_status kc_store_ask(struct kc_store *store, const char *sql,
                                          uint64_t *number);

/* Bytes on disk: main file and WAL. */
uint64_t kc_store_size(const struct kc_store *store);

/* How much of that is free for what comes. */
uint64_t kc_store_unused(struct kc_store *store);

/* Of the last failure; empty where there was none. */
const char *kc_store_error(const struct kc_store *store);

/* Close; the last connection folds the WAL into the file. A connection that has lost
 * its files is left as it is: closing it would write to, and close, the program's. */
void kc_store_close(struct kc_store *store);

#endif
