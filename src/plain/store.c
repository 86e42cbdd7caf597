/* store.c -- see store.h. Definitions: store_definitions.c; rotation: store_carry.c. */

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
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "plain/row.h"

#define STORE_BUSY_MS 250 /* readers hold no lock for long; the writer tries again */

/* Larger pages save no time, but waste half a page a block, and a WAL of a thousand of
 * them takes longer to fold in at the end (25 ms of 16 KiB, 4 ms of 4 KiB). */
#define STORE_PAGE_BYTES "4096"

static enum kc_status
store_exec(struct kc_store *store, const char *sql)
{
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? KC_OK : kc_row_fail(store, code);
}

enum kc_status
kc_store_ask(struct kc_store *store, const char *sql, uint64_t *number)
{
    sqlite3_stmt *statement = NULL;
    *number = 0;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    if (code == SQLITE_ROW) {
        *number = (uint64_t)sqlite3_column_int64(statement, 0);
    }
    enum kc_status status =
        code == SQLITE_ROW || code == SQLITE_DONE ? KC_OK : kc_row_fail(store, code);
    (void)sqlite3_finalize(statement);
    return status;
}

static enum kc_status
store_allocate(struct kc_store *store, const char *path)
{
    store->buffer_bytes = ZSTD_compressBound(KC_BLOCK_DATA_BYTES);
    store->path = strdup(path);
    store->buffer = malloc(store->buffer_bytes);
    store->zstd = ZSTD_createCCtx();
    if (store->path == NULL || store->buffer == NULL || store->zstd == NULL) {
        (void)snprintf(store->error, sizeof store->error, "%s: out of memory", path);
        return KC_NO_MEMORY;
    }
    return KC_OK;
}

/* A file without tables gets the schema, one of another version is refused. */
static enum kc_status
store_prepare(struct kc_store *store, const char *schema, int version)
{
    char sql[64];
    uint64_t found = 0;
    uint64_t tables = 0;
    enum kc_status status = kc_store_ask(store, "PRAGMA user_version", &found);
    if (status == KC_OK) {
        status = kc_store_ask(store, "SELECT count(*) FROM sqlite_master", &tables);
    }
    if (status != KC_OK) {
        return status;
    }
    if (tables != 0) {
        if (found == (uint64_t)version) {
            return store_exec(store, "PRAGMA synchronous = NORMAL");
        }
        (void)snprintf(store->error, sizeof store->error,
                       "%s: has schema version %llu, this kolo_c writes version %d",
                       store->path, (unsigned long long)found, version);
        store->error_code = SQLITE_SCHEMA;
        return KC_STORE;
    }
    /* An empty segment lost with the machine's power is no loss: do not wait for the
     * disk before there is something in it. */
    status = store_exec(store, "PRAGMA synchronous = OFF; "
                               "PRAGMA page_size = " STORE_PAGE_BYTES);
    if (status == KC_OK && !store->unshared) {
        status = store_exec(store, "PRAGMA journal_mode = WAL");
    }
    if (status == KC_OK) {
        status = store_exec(store, "BEGIN IMMEDIATE");
    }
    if (status == KC_OK) {
        status = store_exec(store, schema);
    }
    (void)snprintf(sql, sizeof sql, "PRAGMA user_version = %d; COMMIT", version);
    if (status == KC_OK) {
        status = store_exec(store, sql);
    }
    if (status == KC_OK) {
        status = store_exec(store, "PRAGMA synchronous = NORMAL");
    }
    return status;
}

/* Whether `path` is a symbolic link; errno is ELOOP then. */
static bool
store_is_link(const char *path)
{
    struct stat about;
    if (lstat(path, &about) != 0 || !S_ISLNK(about.st_mode)) {
        return false;
    }
    errno = ELOOP;
    return true;
}

bool
kc_store_make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)close(fd); /* nobody has it open: this drops no lock of SQLite's */
        return true;
    }
    return errno != EEXIST || !store_is_link(path); /* SQLite says what else is wrong */
}

static enum kc_status
store_connect(struct kc_store *store, const char *schema, int version)
{
    int code = sqlite3_open_v2(
        store->path, &store->db,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    enum kc_status status = code == SQLITE_OK ? KC_OK : kc_row_fail(store, code);
    if (status == KC_OK) {
        (void)sqlite3_busy_timeout(store->db, STORE_BUSY_MS);
        /* What does not fit into memory would go to a folder that is none of ours. */
        status = store_exec(store, "PRAGMA temp_store = MEMORY");
    }
    if (status == KC_OK && store->unshared) {
        status = store_exec(store, "PRAGMA locking_mode = EXCLUSIVE; "
                                   "PRAGMA journal_mode = TRUNCATE; "
                                   "PRAGMA locking_mode = NORMAL");
    }
    return status == KC_OK ? store_prepare(store, schema, version) : status;
}

/* Again, where a WAL may be what fails: it needs memory that processes share, which
 * some file systems do not have (of other machines, of virtual ones). Who has the file
 * for itself needs none: so a WAL is folded in, and from then on there is none. */
static enum kc_status
store_connect_unshared(struct kc_store *store, const char *schema, int version)
{
    (void)sqlite3_close(store->db);
    store->db = NULL;
    store->unshared = true;
    return store_connect(store, schema, version);
}

enum kc_status
kc_store_open(struct kc_store *store, const char *path, const char *schema, int version)
{
    memset(store, 0, sizeof *store);
    store->compress = 1;
    enum kc_status status = store_allocate(store, path);
    if (status == KC_OK && !kc_store_make_file(path)) {
        (void)snprintf(store->error, sizeof store->error, "%s: is a symbolic link",
                       path);
        store->error_code = SQLITE_CANTOPEN;
        status = KC_STORE;
    }
    if (status == KC_OK) {
        status = store_connect(store, schema, version);
        if (status == KC_STORE && (store->error_code & 0xff) == SQLITE_IOERR) {
            status = store_connect_unshared(store, schema, version);
        }
    }
    if (status == KC_OK) {
        kc_store_note_files(store);
    }
    else {
        kc_store_close(store); /* error and error_code stay */
    }
    return status;
}

enum kc_status
kc_store_process(struct kc_store *store, const char *id, uint64_t segment, uint32_t pid,
                 uint64_t started_ns, uint64_t started_utc_ns, const char *info)
{
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_PROCESS);
    kc_row_text(&row, id, strlen(id));
    kc_row_uint(&row, segment);
    kc_row_uint(&row, pid);
    kc_row_uint(&row, started_ns);
    kc_row_uint(&row, started_utc_ns);
    kc_row_text(&row, info, strlen(info));
    return kc_row_run(&row, NULL);
}

enum kc_status
kc_store_process_end(struct kc_store *store, uint64_t ended_ns, const char *cause)
{
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_PROCESS_END);
    kc_row_uint(&row, ended_ns);
    kc_row_text(&row, cause, strlen(cause));
    return kc_row_run(&row, NULL);
}

enum kc_status
kc_store_anchor(struct kc_store *store, uint64_t anchor_ns, uint64_t anchor_utc_ns)
{
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_ANCHOR);
    kc_row_uint(&row, anchor_ns);
    kc_row_uint(&row, anchor_utc_ns);
    return kc_row_run(&row, NULL);
}

enum kc_status
kc_store_interrupt(struct kc_store *store, uint64_t ended_ns, const char *cause)
{
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_INTERRUPT);
    kc_row_uint(&row, ended_ns);
    kc_row_text(&row, cause, strlen(cause));
    return kc_row_run(&row, NULL);
}

enum kc_status
kc_store_begin(struct kc_store *store)
{
    store->drop_count = 0;
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_BEGIN);
    return kc_row_run(&row, NULL);
}

enum kc_status
kc_store_commit(struct kc_store *store)
{
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_COMMIT);
    return kc_row_run(&row, NULL);
}

void
kc_store_rollback(struct kc_store *store)
{
    /* SQLite may have rolled back on its own; the first error is the one to tell. */
    if (store->db != NULL && kc_store_has_files(store) &&
        !sqlite3_get_autocommit(store->db))
    {
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

/* The block's bytes, compressed where that is shorter. */
static enum kc_status
store_block_data(struct kc_store *store, sqlite3_int64 id, const uint8_t *data,
                 size_t len)
{
    const uint8_t *stored = data;
    size_t stored_len = len;
    if (store->compress != 0) {
        size_t short_len =
            ZSTD_compressCCtx(store->zstd, store->buffer, store->buffer_bytes, data,
                              len, store->compress);
        if (!ZSTD_isError(short_len) && short_len < len) {
            stored = store->buffer;
            stored_len = short_len;
        }
    }
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_BLOCK_DATA);
    kc_row_uint(&row, (uint64_t)id);
    kc_row_uint(&row, stored != data);
    kc_row_blob(&row, stored, stored_len);
    enum kc_status status = kc_row_run(&row, NULL);
    if (status == KC_OK) {
        store->stored_bytes += stored_len;
    }
    return status;
}

/* Bind `count` items of `size` bytes that lie before `end`, the first one last, in the
 * order they happened; they are turned round into `*room`. Returns where they begin. */
static const uint8_t *
store_bind_tail(struct kc_row *row, const uint8_t *end, size_t count, size_t size,
                uint8_t **room)
{
    uint8_t *first = *room;
    for (size_t i = 0; i < count; i++) {
        end -= size;
        memcpy(*room, end, size);
        *room += size;
    }
    kc_row_blob(row, count == 0 ? NULL : first, count * size);
    return end;
}

enum kc_status
kc_store_block(struct kc_store *store, const struct kc_block *block)
{
    uint32_t bytes = kc_block_bytes(block);
    uint64_t closes = kc_block_close_count(block);
    uint64_t opens = block->open_count;
    if (bytes + closes * sizeof(struct kc_close) + opens * sizeof(uint64_t) >
        KC_BLOCK_DATA_BYTES)
    {
        (void)snprintf(store->error, sizeof store->error,
                       "%s: a block's counts are wrong", store->path);
        return KC_CORRUPT;
    }
    struct kc_row row = kc_row_begin(store, KC_STATEMENT_BLOCK);
    kc_row_uint(&row, block->trace_number);
    kc_row_uint(&row, block->thread_number);
    kc_row_uint(&row, block->sequence);
    kc_row_uint(&row, block->base_ns);
    kc_row_uint(&row, block->last_ns);
    kc_row_uint(&row, block->first_node);
    kc_row_uint(&row, block->node_count);
    kc_row_uint(&row, block->record_count);
    kc_row_uint(&row, block->start_depth);
    kc_row_uint(&row, block->least_depth);
    kc_row_uint(&row, block->definition);
    kc_row_uint(&row, bytes);
    uint8_t *room = store->buffer;
    const uint8_t *end = block->data + KC_BLOCK_DATA_BYTES;
    end = store_bind_tail(&row, end, closes, sizeof(struct kc_close), &room);
    (void)store_bind_tail(&row, end, opens, sizeof(uint64_t), &room);
    enum kc_status status = kc_row_run(&row, NULL);
    if (status != KC_OK || sqlite3_changes(store->db) == 0) {
        return status; /* no change: a recovery before us had it */
    }
    store->stored_bytes += (uint64_t)(room - store->buffer);
    store->block_count++;
    return store_block_data(store, sqlite3_last_insert_rowid(store->db), block->data,
                            bytes);
}

/* `path`, whose parents are made first where they are missing. Changes it meanwhile. */
static bool
store_make_folders(char *path)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) {
        return true;
    }
    char *slash = errno == ENOENT ? strrchr(path, '/') : NULL;
    if (slash == NULL || slash == path) {
        return false;
    }
    *slash = '\0';
    bool made = store_make_folders(path);
    *slash = '/';
    return made && (mkdir(path, 0700) == 0 || errno == EEXIST);
}

enum kc_status
kc_store_make_directory(const char *directory)
{
    static const char ignore_all[] = "*\n";
    char path[4096];
    int len = snprintf(path, sizeof path, "%s", directory);
    if (len < 0 || (size_t)len >= sizeof path || !store_make_folders(path) ||
        store_is_link(path))
    {
        return KC_IO;
    }
    char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) + sizeof "/.gitignore" > sizeof path) {
        return KC_OK;
    }
    *slash = '\0';
    if (store_is_link(path)) {
        return KC_IO;
    }
    memcpy(slash, "/.gitignore", sizeof "/.gitignore");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0) {
        bool whole = write(fd, ignore_all, sizeof ignore_all - 1) ==
                     (ssize_t)sizeof ignore_all - 1;
        (void)close(fd);
        if (!whole) {
            (void)unlink(path); /* the next process tries again */
        }
    }
    return KC_OK;
}

char *
kc_store_path(const char *directory, const char *process_id, uint64_t segment)
{
    size_t room =
        strlen(directory) + strlen(process_id) + sizeof "/-18446744073709551615.db";
    char *path = malloc(room);
    if (path != NULL) {
        (void)snprintf(path, room, "%s/%s-%llu.db", directory, process_id,
                       (unsigned long long)segment);
    }
    return path;
}

/* A file that SQLite keeps beside the segment. */
static void
store_side_path(char *name, size_t room, const char *path, const char *ending)
{
    int len = snprintf(name, room, "%s%s", path, ending);
    if (len < 0 || (size_t)len >= room) {
        name[0] = '\0'; /* names no file */
    }
}

void
kc_store_remove(const char *path)
{
    static const char *const endings[] = {"-wal", "-shm", "-journal", ""};
    char name[4096];
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        store_side_path(name, sizeof name, path, endings[i]);
        (void)unlink(name);
    }
}

uint64_t
kc_store_size(const struct kc_store *store)
{
    struct stat about;
    char name[4096];
    uint64_t size = 0;
    if (stat(store->path, &about) == 0) {
        size += (uint64_t)about.st_size;
    }
    store_side_path(name, sizeof name, store->path, "-wal");
    if (stat(name, &about) == 0) {
        size += (uint64_t)about.st_size;
    }
    return size;
}

uint64_t
kc_store_unused(struct kc_store *store)
{
    uint64_t pages = 0;
    uint64_t page_bytes = 0;
    if (kc_store_ask(store, "PRAGMA freelist_count", &pages) != KC_OK ||
        kc_store_ask(store, "PRAGMA page_size", &page_bytes) != KC_OK)
    {
        return 0;
    }
    return pages * page_bytes;
}

const char *
kc_store_error(const struct kc_store *store)
{
    return store->error;
}

static void
store_disconnect(struct kc_store *store)
{
    for (size_t i = 0; i < KC_STORE_STATEMENTS; i++) {
        (void)sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
    store->file_count = 0;
    if (store->unshared) {
        /* The journal is there for as long as the file is written to: opening.py. */
        (void)sqlite3_exec(store->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    (void)sqlite3_close(store->db);
}

void
kc_store_close(struct kc_store *store)
{
    if (kc_store_has_files(store)) {
        store_disconnect(store);
    }
    else {
        kc_store_lose(store);
    }
    (void)ZSTD_freeCCtx(store->zstd);
    free(store->buffer);
    free(store->drops);
    free(store->path);
    store->db = NULL;
    store->drops = NULL;
    store->drop_count = 0;
    store->drop_room = 0;
    store->zstd = NULL;
    store->buffer = NULL;
    store->path = NULL;
}
