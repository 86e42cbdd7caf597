/* store_restore.c -- see store.h: a segment whose file was removed is written anew, and
 * one whose descriptors the program has taken is gone on with in a copy. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plain/row.h"

/* What the connection still has, into the file `name`. */
static enum kc_status
restore_copy(struct kc_store *store, const char *name)
{
    sqlite3_stmt *copy = NULL;
    if (!kc_store_make_file(name)) {
        (void)snprintf(store->error, sizeof store->error, "%s: is a symbolic link",
                       name);
        store->error_code = SQLITE_CANTOPEN;
        return KC_STORE;
    }
    int code = sqlite3_prepare_v2(store->db, "VACUUM INTO ?", -1, &copy, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text(copy, 1, name, -1, SQLITE_STATIC);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(copy);
    }
    enum kc_status status = code == SQLITE_DONE ? KC_OK : kc_row_fail(store, code);
    (void)sqlite3_finalize(copy);
    return status;
}

/* Go on in `path`, where the copy is now; the removed file goes with its connection. */
static enum kc_status
restore_open(struct kc_store *store, const char *path, const char *schema, int version,
             bool lost)
{
    struct kc_store next;
    enum kc_status status = kc_store_open(&next, path, schema, version);
    if (status == KC_OK) {
        const char *mode = store->unshared ? "PRAGMA journal_mode = TRUNCATE"
                                           : "PRAGMA journal_mode = WAL";
        int code = sqlite3_exec(next.db, mode, NULL, NULL, NULL);
        status = code == SQLITE_OK ? KC_OK : kc_row_fail(&next, code);
        kc_store_note_files(&next);
    }
    if (status != KC_OK) {
        (void)snprintf(store->error, sizeof store->error, "%s", next.error);
        store->error_code = next.error_code;
        kc_store_close(&next);
        if (!lost) {
            kc_store_remove(path); /* there is a connection that has it all */
        }
        return status;
    }
    next.compress = store->compress;
    next.block_count = store->block_count;
    next.stored_bytes = store->stored_bytes;
    next.mask_count = store->mask_count;
    next.unshared = store->unshared;
    if (lost) {
        kc_store_lose(store);
    }
    store->unshared = false; /* the journal of that name is the next one's */
    kc_store_close(store);
    *store = next;
    return KC_OK;
}

/* A copy of the file `from` as `to`; 0 or an errno. */
static int
restore_copy_file(const char *from, const char *to)
{
    char buffer[16384];
    ssize_t len = 0;
    int error = 0;
    int in = open(from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0) {
        return errno;
    }
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0) {
        error = errno;
        goto done;
    }
    while (error == 0 && (len = read(in, buffer, sizeof buffer)) != 0) {
        if (len < 0) {
            error = errno == EINTR ? 0 : errno;
        }
        for (ssize_t at = 0; at < len && error == 0;) {
            ssize_t written = write(out, buffer + at, (size_t)(len - at));
            at += written > 0 ? written : 0;
            error = written < 0 && errno != EINTR ? errno : 0;
        }
    }
    (void)fsync(out);
    (void)close(out);

done:
    (void)close(in);
    return error;
}

/* What is on the disk as the file `name`, whole. First the logs: what another process
 * may fold into the segment meanwhile is then in both of them. */
static enum kc_status
restore_duplicate(struct kc_store *store, const char *name, const char *schema,
                  int version)
{
    static const char *const endings[] = {"-wal", "-journal", ""};
    char from[4096];
    char to[4096];
    struct kc_store copy;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        (void)snprintf(from, sizeof from, "%s%s", store->path, endings[i]);
        (void)snprintf(to, sizeof to, "%s%s", name, endings[i]);
        int error = restore_copy_file(from, to);
        if (error == ENOENT && endings[i][0] != '\0') {
            continue; /* only one of the logs is there, if any */
        }
        if (error != 0) {
            store->error_code = error == ENOSPC ? SQLITE_FULL : SQLITE_IOERR;
            (void)snprintf(store->error, sizeof store->error, "%s: %s", store->path,
                           "cannot be copied");
            return KC_IO;
        }
    }
    /* The last one to close it folds the log in. */
    enum kc_status status = kc_store_open(&copy, name, schema, version);
    if (status != KC_OK) {
        (void)snprintf(store->error, sizeof store->error, "%s", copy.error);
        store->error_code = copy.error_code;
        return status;
    }
    kc_store_close(&copy);
    return KC_OK;
}

/* SQLite remembers the lost file by its number in the file system, which must not
 * become that of another one: it stays in use for as long as the process lives. What is
 * mapped needs no descriptor, which might be taken as well. */
static bool
restore_keep_inode(const char *path)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    void *kept = mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    return kept != MAP_FAILED;
}

/* The file `name` takes the place of `path`. What it was copied from is there until it
 * does: the old logs change nothing in it, so they may go later. */
static enum kc_status
restore_replace(struct kc_store *store, const char *name, const char *path, bool lost)
{
    static const char *const logs[] = {"-wal", "-shm", "-journal"};
    char log[4096];
    if (!lost) {
        kc_store_remove(path); /* a WAL that was left beside it is of no other file */
    }
    if ((lost && !restore_keep_inode(path)) || rename(name, path) != 0) {
        store->error_code = SQLITE_IOERR;
        (void)snprintf(store->error, sizeof store->error, "%s: %s", path,
                       "cannot be written anew");
        return KC_IO;
    }
    for (size_t i = 0; lost && i < sizeof logs / sizeof logs[0]; i++) {
        (void)snprintf(log, sizeof log, "%s%s", path, logs[i]);
        (void)unlink(log);
    }
    return KC_OK;
}

enum kc_status
kc_store_restore(struct kc_store *store, const char *schema, int version)
{
    bool lost = !kc_store_has_files(store);
    char *path = strdup(store->path); /* the store may go before it */
    size_t room = strlen(store->path) + sizeof ".new";
    char *name = malloc(room);
    enum kc_status status = KC_NO_MEMORY;
    if (path == NULL || name == NULL) {
        store->error_code = SQLITE_NOMEM;
        (void)snprintf(store->error, sizeof store->error, "%s: out of memory",
                       store->path);
        goto done;
    }
    (void)snprintf(name, room, "%s.new", path);
    kc_store_remove(name);
    status = lost ? restore_duplicate(store, name, schema, version)
                  : restore_copy(store, name);
    if (status == KC_OK) {
        status = restore_replace(store, name, path, lost);
    }
    if (status == KC_OK) {
        status = restore_open(store, path, schema, version, lost);
    }
    else {
        kc_store_remove(name);
    }

done:
    free(name);
    free(path);
    return status;
}
