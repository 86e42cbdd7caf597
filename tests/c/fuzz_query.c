/* fuzz_query.c -- what the commands ask of a segment, of a file that is none (any
 * more).
 *
 * An input is the file. It lies in memory; SQLite does not know.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "fuzz.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "plain/query.h"
#include "rig.h"

#define BATCHES 200u

const char *const fuzz_name = "fuzz query";
const unsigned fuzz_rounds = 1500;

static const char *const questions[] = {
    "PRAGMA user_version",
    "SELECT name, sql FROM sqlite_master",
    "PRAGMA integrity_check(1)",
    "SELECT * FROM process LIMIT 1",
    "SELECT * FROM trace ORDER BY number",
    "SELECT trace, COUNT(*), SUM(nodes), MAX(last_ns) FROM block GROUP BY trace",
    "SELECT * FROM block WHERE trace = 1",
    "SELECT encoding, data FROM block_data WHERE id = 1",
    "SELECT first, sequence, start, data FROM definition ORDER BY first",
    "SELECT encoding, data, bytes FROM file JOIN source USING (hash) WHERE path = 'x'",
};

static void
ask(sqlite3 *db, const char *sql)
{
    struct kc_query query;
    enum kc_status status = kc_query_begin(&query, db, sql, NULL, 0);
    for (unsigned i = 0; status == KC_OK && !query.done && i < BATCHES; i++) {
        status = kc_query_fetch(&query);
        for (size_t k = 0; status == KC_OK && k < query.row_count * query.columns; k++)
        {
            const struct kc_cell *cell = &query.cells[k];
            bool has_bytes = cell->kind == KC_CELL_TEXT || cell->kind == KC_CELL_BYTES;
            FUZZ_CHECK(!has_bytes || ((const uint8_t *)cell->bytes >= query.bytes &&
                                      cell->len < query.byte_capacity));
        }
    }
    FUZZ_CHECK(status == KC_OK || query.error[0] != '\0' || status == KC_NO_MEMORY);
    kc_query_end(&query);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    sqlite3 *db = NULL;
    unsigned char *copy = sqlite3_malloc64(len + 1);
    if (copy == NULL || sqlite3_open(":memory:", &db) != SQLITE_OK) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        copy[i] = data[i];
    }
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, 64 << 20);
    int code = sqlite3_deserialize(
        db, "main", copy, (sqlite3_int64)len, (sqlite3_int64)len,
        SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY);
    for (size_t i = 0; code == SQLITE_OK && i < sizeof questions / sizeof *questions;
         i++) {
        ask(db, questions[i]);
    }
    FUZZ_CHECK(sqlite3_close(db) == SQLITE_OK);
    return 0;
}

size_t
fuzz_seed(unsigned number, uint8_t *data, size_t room)
{
    struct rig rig;
    char folder[64];
    char path[128];
    if (number > 0) {
        return 0;
    }
    rig_make_folder(folder, sizeof folder);
    rig_init(&rig, folder);
    rig_start(&rig);
    for (unsigned i = 0; i < 40; i++) {
        rig_write(&rig);
    }
    rig_end_trace(&rig, 1);
    rig_finish(&rig);
    rig_destroy(&rig, true);
    (void)snprintf(path, sizeof path, "%s/" RIG_PROCESS "-0.db", folder);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, data, room);
    (void)close(fd);
    rig_remove_folder(folder);
    FUZZ_CHECK(len > 0);
    if (len > 20) {
        data[18] = data[19] = 1; /* without a WAL: in memory there is none */
    }
    return (size_t)len;
}
