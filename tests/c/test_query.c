/* test_query.c -- what goes in comes out, in batches, and one statement at a time. */

#include "plain/query.h"

#include <sqlite3.h>

#include "check.h"

static sqlite3 *db;

static const char count_to[] =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
    "SELECT i, 'row ' || i FROM n";

static void
test_each_kind_comes_back(void)
{
    const struct kc_cell values[] = {
        {.kind = KC_CELL_NULL},
        {.kind = KC_CELL_INT, .integer = INT64_MIN},
        {.kind = KC_CELL_FLOAT, .real = -0.5},
        {.kind = KC_CELL_TEXT, .bytes = "a\0b", .len = 3},
        {.kind = KC_CELL_TEXT, .bytes = "", .len = 0},
        {.kind = KC_CELL_BYTES, .bytes = "\xff\x00", .len = 2},
        {.kind = KC_CELL_BYTES, .bytes = "", .len = 0}, /* one row each */
    };
    struct kc_query query;
    CHECK_EQUAL(KC_OK,
                kc_query_begin(&query, db, "SELECT ?, ?, ?, ?, ?, ?, ?", values, 7));
    CHECK(!query.done);
    CHECK_EQUAL(KC_OK, kc_query_fetch(&query));
    CHECK(query.done);
    CHECK_EQUAL(1, query.row_count);
    CHECK_EQUAL(7, query.columns);
    for (size_t i = 0; i < 7; i++) {
        const struct kc_cell *cell = &query.cells[i];
        CHECK_EQUAL(values[i].kind, cell->kind);
        CHECK_EQUAL(values[i].len, cell->len);
        if (values[i].bytes != NULL) {
            CHECK(memcmp(values[i].bytes, cell->bytes, cell->len) == 0);
        }
    }
    CHECK(query.cells[1].integer == INT64_MIN);
    CHECK(query.cells[2].real == -0.5);
    kc_query_end(&query);
}

static void
test_rows_come_in_batches(void)
{
    const struct kc_cell value = {.kind = KC_CELL_INT, .integer = 20000};
    struct kc_query query;
    int64_t row = 0;
    int batches = 0;
    CHECK_EQUAL(KC_OK, kc_query_begin(&query, db, count_to, &value, 1));
    while (!query.done) {
        CHECK_EQUAL(KC_OK, kc_query_fetch(&query));
        CHECK(query.row_count * query.columns <= 8192 + query.columns);
        batches++;
        for (size_t i = 0; i < query.row_count; i++) {
            char text[32];
            const struct kc_cell *cell = &query.cells[i * 2];
            int len = snprintf(text, sizeof text, "row %lld", (long long)++row);
            CHECK(cell[0].integer == row && cell[1].len == (size_t)len &&
                  memcmp(cell[1].bytes, text, (size_t)len) == 0);
        }
    }
    CHECK_EQUAL(20000, row);
    CHECK(batches >= 4);
    kc_query_end(&query);
}

static void
test_big_values_end_a_batch(void)
{
    struct kc_query query;
    size_t rows = 0;
    CHECK_EQUAL(KC_OK,
                kc_query_begin(&query, db,
                               "SELECT zeroblob(700000) UNION ALL SELECT zeroblob(2) "
                               "UNION ALL SELECT zeroblob(700000) UNION ALL SELECT 4",
                               NULL, 0));
    CHECK_EQUAL(KC_OK, kc_query_fetch(&query));
    rows = query.row_count;
    CHECK_EQUAL(3, rows);
    CHECK(!query.done);
    CHECK_EQUAL(KC_OK, kc_query_fetch(&query));
    CHECK_EQUAL(1, query.row_count);
    CHECK_EQUAL(4, query.cells[0].integer);
    CHECK(query.done);
    kc_query_end(&query);
}

/* What `sql` with `count` NULLs is refused with. */
static int
code_of(const char *sql, size_t count)
{
    const struct kc_cell values[4] = {{.kind = KC_CELL_NULL}};
    struct kc_query query;
    enum kc_status status = kc_query_begin(&query, db, sql, values, count);
    while (status == KC_OK && !query.done) {
        status = kc_query_fetch(&query);
    }
    int code = status == KC_OK ? SQLITE_OK : query.code;
    CHECK((status == KC_OK) == (query.error[0] == '\0'));
    kc_query_end(&query);
    return code;
}

static void
test_what_cannot_be_run_is_refused(void)
{
    CHECK_EQUAL(SQLITE_OK, code_of("", 0));
    CHECK_EQUAL(SQLITE_OK, code_of(" -- nothing", 0));
    CHECK_EQUAL(SQLITE_OK, code_of("SELECT 1;", 0));
    CHECK_EQUAL(SQLITE_OK, code_of("SELECT 1 ; /* no more */ ", 0));
    CHECK_EQUAL(SQLITE_MISUSE, code_of("SELECT 1; SELECT 2", 0));
    CHECK_EQUAL(SQLITE_MISUSE, code_of("SELECT 1; nonsense", 0));
    CHECK_EQUAL(SQLITE_MISUSE, code_of("SELECT ?", 0));
    CHECK_EQUAL(SQLITE_MISUSE, code_of("SELECT ?", 2));
    CHECK_EQUAL(SQLITE_OK, code_of("SELECT ?", 1));
    CHECK_EQUAL(SQLITE_ERROR, code_of("nonsense", 0));
    CHECK_EQUAL(SQLITE_ERROR, code_of("SELECT abs(-9223372036854775808)", 0));
    CHECK_EQUAL(SQLITE_OK, code_of("CREATE TABLE t (a UNIQUE)", 0));
    CHECK_EQUAL(SQLITE_OK, code_of("INSERT INTO t VALUES (1)", 0));
    CHECK_EQUAL(SQLITE_CONSTRAINT, code_of("INSERT INTO t VALUES (1)", 0));
}

static void
test_an_end_without_a_beginning_is_harmless(void)
{
    struct kc_query query = {0};
    kc_query_end(&query);
    kc_query_end(&query);
}

int
main(void)
{
    CHECK_EQUAL(SQLITE_OK, sqlite3_open(":memory:", &db));
    test_each_kind_comes_back();
    test_rows_come_in_batches();
    test_big_values_end_a_batch();
    test_what_cannot_be_run_is_refused();
    test_an_end_without_a_beginning_is_harmless();
    CHECK_EQUAL(SQLITE_OK, sqlite3_close(db));
    return check_result("query");
}
