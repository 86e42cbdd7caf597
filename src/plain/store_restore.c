/* store_restore.c -- see store.h: a segment whose file was removed is written anew. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/store.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
restore_open(struct kc_store *store, const char *path, const char *schema, int version)
{
    struct kc_store next;
    enum kc_status status = kc_store_open(&next, path, schema, version);
    if (status == KC_OK) {
        const char *mode = store->unshared ? "PRAGMA journal_mode = TRUNCATE"
                                           : "PRAGMA journal_mode = WAL";
        int code = sqlite3_exec(next.db, mode, NULL, NULL, NULL);
        status = code == SQLITE_OK ? KC_OK : kc_row_fail(&next, code);
    }
    if (status != KC_OK) {
        (void)snprintf(store->error, sizeof store->error, "%s", next.error);
        store->error_code = next.error_code;
        kc_store_close(&next);
        kc_store_remove(path);
        return status;
    }
    next.compress = store->compress;
    next.block_count = store->block_count;
    next.stored_bytes = store->stored_bytes;
    next.mask_count = store->mask_count;
    next.unshared = store->unshared;
    store->unshared = false; /* the journal of that name is the next one's */
    kc_store_close(store);
    *store = next;
    return KC_OK;
}

enum kc_status
kc_store_restore(struct kc_store *store, const char *schema, int version)
{
    char *path = strdup(store->path); /* the store may go before it */
    size_t room = strlen(store->path) + sizeof ".new";
    char *name = malloc(room);
    enum kc_status status = KC_NO_MEMORY;
    if (path == NULL || name == NULL) {
        (void)snprintf(store->error, sizeof store->error, "%s: out of memory",
                       store->path);
        goto done;
    }
    (void)snprintf(name, room, "%s.new", path);
    (void)unlink(name);
    status = restore_copy(store, name);
    if (status == KC_OK) {
        kc_store_remove(path); /* a WAL that was left beside it is of no other file */
    }
    if (status == KC_OK && rename(name, path) != 0) {
        store->error_code = errno;
        (void)snprintf(store->error, sizeof store->error, "%s: %s", path,
                       "cannot be written anew");
        status = KC_IO;
    }
    if (status == KC_OK) {
        status = restore_open(store, path, schema, version);
    }
    else {
        (void)unlink(name);
    }

done:
    free(name);
    free(path);
    return status;
}
