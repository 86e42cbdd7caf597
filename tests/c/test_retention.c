/* test_retention.c -- a folder of segments comes within its bounds, and nothing that is
 * in use goes.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/retention.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "rig.h"

#define OLD "01J0000000000000000000000A"
#define NEW "01J0000000000000000000000B"
#define OWN "01J0000000000000000000000C"
#define FILE_BYTES 1000

static char store[64];
static char folder[80];

static void
path_of(char *path, size_t room, const char *name)
{
    (void)snprintf(path, room, "%s/%s", folder, name);
}

static void
make_file(const char *name, off_t bytes)
{
    char path[160];
    path_of(path, sizeof path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0 && ftruncate(fd, bytes) == 0);
    (void)close(fd);
}

static bool
is_there(const char *name)
{
    char path[160];
    path_of(path, sizeof path, name);
    return access(path, F_OK) == 0;
}

/* Two segments of an old process, one of a newer, one that is being written. */
static void
begin(void)
{
    rig_make_folder(store, sizeof store);
    (void)snprintf(folder, sizeof folder, "%s/segments", store);
    CHECK_EQUAL(0, mkdir(folder, 0700));
    make_file(OLD "-0.db", FILE_BYTES);
    make_file(OLD "-1.db", FILE_BYTES);
    make_file(NEW "-0.db", FILE_BYTES);
    make_file(OWN "-0.db", FILE_BYTES);
}

/* How many segments go. */
static uint64_t
keep(uint64_t max_bytes)
{
    struct kc_retention retention = {0};
    kc_retention_ask(&retention, max_bytes, UINT64_MAX, true);
    while (kc_retention_is_due(&retention)) {
        kc_retention_turn(&retention, folder, OWN, 0);
    }
    kc_retention_destroy(&retention);
    CHECK_EQUAL(1, retention.kept_count);
    return retention.removed_count;
}

static void
test_the_oldest_go_until_the_bound_holds(void)
{
    begin();
    CHECK_EQUAL(0, keep(4 * FILE_BYTES));
    CHECK_EQUAL(1, keep(4 * FILE_BYTES - 1));
    CHECK(!is_there(OLD "-0.db") && is_there(OLD "-1.db"));
    CHECK_EQUAL(2, keep(1));
    CHECK(is_there(OWN "-0.db"));
    rig_remove_folder(store);
}

/* The room that a mapping has taken is none of the records'. */
static void
test_mappings_do_not_count(void)
{
    begin();
    make_file(OWN ".map", 1000 * FILE_BYTES);
    make_file(NEW ".map.new", 1000 * FILE_BYTES);
    CHECK_EQUAL(0, keep(4 * FILE_BYTES));
    make_file(OWN "-0.db-wal", FILE_BYTES);
    CHECK_EQUAL(1, keep(4 * FILE_BYTES));
    rig_remove_folder(store);
}

/* Where there can be no WAL, it is the journal that tells of a process at work. */
static void
test_what_a_process_may_be_writing_to_stays(void)
{
    static const char *const beside[] = {OLD ".map", OLD "-0.db-wal",
                                         OLD "-0.db-journal"};
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) {
        begin();
        make_file(beside[i], 0);
        (void)keep(1);
        CHECK(is_there(OLD "-0.db") && is_there(beside[i]));
        CHECK(!is_there(NEW "-0.db"));
        rig_remove_folder(store);
    }
}

static void
test_pinned_traces_stay_and_do_not_count(void)
{
    char path[160];
    begin();
    (void)snprintf(path, sizeof path, "%s/pins", store);
    CHECK_EQUAL(0, mkdir(path, 0700));
    make_file("../pins/trc_1@" OLD, 0);
    CHECK_EQUAL(0, keep(2 * FILE_BYTES));
    CHECK_EQUAL(1, keep(1));
    CHECK(is_there(OLD "-0.db") && is_there(OLD "-1.db"));
    rig_remove_folder(store);
}

int
main(void)
{
    test_the_oldest_go_until_the_bound_holds();
    test_mappings_do_not_count();
    test_what_a_process_may_be_writing_to_stays();
    test_pinned_traces_stay_and_do_not_count();
    return check_result("retention");
}
