/* store_files.c -- see store.h: which descriptors SQLite has, and whether it has them
 * still. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plain/store.h"

/* Connections that have lost their files: nobody closes them, but who looks for leaks
 * finds them here. */
struct store_lost {
    struct sqlite3 *db;
    struct store_lost *before;
};
static _Atomic(struct store_lost *) store_lost;

void
kc_store_note_files(struct kc_store *store)
{
    static const char *const endings[KC_STORE_FILES] = {"", "-wal", "-shm", "-journal"};
    char names[KC_STORE_FILES][4096];
    const char *paths[KC_STORE_FILES];
    for (size_t i = 0; i < KC_STORE_FILES; i++) {
        int len = snprintf(names[i], sizeof names[i], "%s%s", store->path, endings[i]);
        if (len < 0 || (size_t)len >= sizeof names[i]) {
            names[i][0] = '\0'; /* names no file */
        }
        paths[i] = names[i];
    }
    store->file_count = kc_descriptor_find(store->files, paths, KC_STORE_FILES);
}

bool
kc_store_has_files(const struct kc_store *store)
{
    for (int i = 0; i < store->file_count; i++) {
        if (!kc_descriptor_is_ours(&store->files[i])) {
            return false;
        }
    }
    return true;
}

void
kc_store_lose(struct kc_store *store)
{
    struct store_lost *lost = malloc(sizeof *lost);
    if (lost != NULL) {
        lost->db = store->db;
        lost->before = atomic_exchange(&store_lost, lost);
    }
    store->db = NULL;
    memset(store->statements, 0, sizeof store->statements);
    store->file_count = 0;
}
