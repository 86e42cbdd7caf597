/* retention.c -- see retention.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/retention.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plain/clock.h"

#define RETENTION_NAMES 16384u /* of segments that may go, in one pass */
#define RETENTION_ENTRIES 512u /* of the folder, in one turn */
#define RETENTION_REMOVALS 8u
#define RETENTION_PINNED_MOST 4096u
#define RETENTION_PATH 4096

struct kc_old_segment {
    char id[40];
    uint64_t number;
};

void
kc_retention_ask(struct kc_retention *retention, uint64_t max_bytes, uint64_t keep_ns,
                 bool now)
{
    atomic_store(&retention->max_bytes, max_bytes);
    atomic_store(&retention->keep_ns, keep_ns);
    atomic_store(&retention->asked, now);
}

bool
kc_retention_is_due(const struct kc_retention *retention)
{
    return retention->folder != NULL || retention->chosen ||
           (atomic_load(&retention->asked) && atomic_load(&retention->max_bytes) != 0);
}

void
kc_retention_destroy(struct kc_retention *retention)
{
    if (retention->folder != NULL) {
        (void)closedir(retention->folder);
    }
    free(retention->names);
    free(retention->pinned);
    retention->folder = NULL;
    retention->names = NULL;
    retention->pinned = NULL;
    retention->chosen = false;
    retention->counted = false;
}

static int
retention_compare(const void *left, const void *right)
{
    const struct kc_old_segment *a = left;
    const struct kc_old_segment *b = right;
    int order = strcmp(a->id, b->id); /* ids begin with the time */
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static int
retention_compare_id(const void *left, const void *right)
{
    return strcmp(left, right);
}

static bool
retention_is_pinned(const struct kc_retention *retention, const char *id)
{
    return retention->pinned_count != 0 &&
           bsearch(id, retention->pinned, retention->pinned_count,
                   sizeof *retention->pinned, retention_compare_id) != NULL;
}

/* What <store>/pins has, TRACE@PROCESS; false where there are too many. */
static bool
retention_read_pins(struct kc_retention *retention)
{
    char path[RETENTION_PATH];
    retention->pinned_count = 0;
    int len = snprintf(path, sizeof path, "%s/../pins", retention->directory);
    DIR *folder = len > 0 && (size_t)len < sizeof path ? opendir(path) : NULL;
    if (folder == NULL) {
        return errno == ENOENT;
    }
    bool room = true;
    for (struct dirent *entry; room && (entry = readdir(folder)) != NULL;) {
        const char *at = strchr(entry->d_name, '@');
        if (at == NULL || strlen(at + 1) >= sizeof *retention->pinned) {
            continue;
        }
        room = retention->pinned_count < RETENTION_PINNED_MOST;
        if (room) {
            char *id = retention->pinned[retention->pinned_count++];
            (void)snprintf(id, sizeof *retention->pinned, "%s", at + 1);
        }
    }
    (void)closedir(folder);
    qsort(retention->pinned, retention->pinned_count, sizeof *retention->pinned,
          retention_compare_id);
    return room;
}

static void
retention_begin(struct kc_retention *retention)
{
    atomic_store(&retention->asked, false);
    if (retention->names == NULL) {
        retention->names = malloc(2 * RETENTION_NAMES * sizeof *retention->names);
        retention->pinned = malloc(RETENTION_PINNED_MOST * sizeof *retention->pinned);
    }
    if (retention->names != NULL && retention->pinned != NULL &&
        retention_read_pins(retention))
    {
        retention->folder = opendir(retention->directory);
    }
    if (retention->folder == NULL) {
        kc_retention_destroy(retention);
        return;
    }
    if (!retention->counted) {
        uint64_t now_ns = kc_clock_utc_ns();
        uint64_t keep_ns = atomic_load(&retention->keep_ns);
        retention->oldest_utc_ns = now_ns > keep_ns ? now_ns - keep_ns : 0;
        retention->total_bytes = 0;
    }
    retention->count = retention->next = retention->removed = 0;
    retention->full = false;
}

/* Whether `name` is a segment's, <id>-<number>.db. */
static bool
retention_read_name(const char *name, struct kc_old_segment *found)
{
    const char *dash = strrchr(name, '-');
    char *end = NULL;
    if (dash == NULL || dash == name || (size_t)(dash - name) >= sizeof found->id ||
        dash[1] < '0' || dash[1] > '9')
    {
        return false;
    }
    found->number = strtoull(dash + 1, &end, 10);
    memcpy(found->id, name, (size_t)(dash - name));
    found->id[dash - name] = '\0';
    return strcmp(end, ".db") == 0;
}

/* Whether it is a segment's, or of a file that SQLite keeps beside one: the room that a
 * mapping has taken is none of the records'. */
static bool
retention_counts(const char *name)
{
    const char *ending = strstr(name, ".db");
    return ending != NULL && (ending[3] == '\0' || ending[3] == '-');
}

static bool
retention_is_there(const struct kc_retention *retention, const char *name,
                   const char *ending)
{
    char path[RETENTION_PATH];
    int len =
        snprintf(path, sizeof path, "%s/%s%s", retention->directory, name, ending);
    return len < 0 || (size_t)len >= sizeof path || access(path, F_OK) == 0;
}

/* Nobody writes to it, or will recover something into it, or wants it kept. */
static bool
retention_may_remove(const struct kc_retention *retention,
                     const struct kc_old_segment *segment, const char *name)
{
    bool own = strcmp(segment->id, retention->process_id) == 0;
    if (own ? segment->number >= retention->segment
            : retention_is_there(retention, segment->id, ".map"))
    {
        return false;
    }
    return !retention_is_pinned(retention, segment->id) &&
           !retention_is_there(retention, name, "-wal") &&
           !retention_is_there(retention, name, "-journal");
}

static void
retention_remove(struct kc_retention *retention, const struct kc_old_segment *segment)
{
    char name[96];
    char path[RETENTION_PATH];
    struct stat about;
    (void)snprintf(name, sizeof name, "%s-%llu.db", segment->id,
                   (unsigned long long)segment->number);
    int len = snprintf(path, sizeof path, "%s/%s", retention->directory, name);
    if (len < 0 || (size_t)len + sizeof "-shm" > sizeof path ||
        !retention_may_remove(retention, segment, name) || stat(path, &about) != 0 ||
        unlink(path) != 0)
    {
        return;
    }
    memcpy(path + len, "-shm", sizeof "-shm");
    (void)unlink(path);
    uint64_t size = (uint64_t)about.st_size;
    retention->total_bytes -=
        size < retention->total_bytes ? size : retention->total_bytes;
    retention->removed++;
    atomic_fetch_add(&retention->removed_count, 1);
}

/* Only so many names are kept: the oldest. */
static void
retention_add(struct kc_retention *retention, const struct kc_old_segment *segment)
{
    if (retention->count == 2 * RETENTION_NAMES) {
        qsort(retention->names, retention->count, sizeof *retention->names,
              retention_compare);
        retention->count = RETENTION_NAMES;
        retention->full = true;
    }
    retention->names[retention->count++] = *segment;
}

static void
retention_look_at(struct kc_retention *retention, const char *name)
{
    struct kc_old_segment segment;
    struct stat about;
    char path[RETENTION_PATH];
    bool is_segment = retention_read_name(name, &segment);
    if (!retention_counts(name) ||
        (is_segment && retention_is_pinned(retention, segment.id)))
    {
        return;
    }
    if (!retention->counted) {
        int len = snprintf(path, sizeof path, "%s/%s", retention->directory, name);
        if (len < 0 || (size_t)len >= sizeof path || lstat(path, &about) != 0 ||
            !S_ISREG(about.st_mode))
        {
            return;
        }
        retention->total_bytes += (uint64_t)about.st_size;
        if (is_segment &&
            (uint64_t)about.st_mtime * UINT64_C(1000000000) < retention->oldest_utc_ns)
        {
            retention_remove(retention, &segment);
            return;
        }
    }
    if (is_segment) {
        retention_add(retention, &segment);
    }
}

static void
retention_look(struct kc_retention *retention)
{
    for (uint32_t i = 0; i < RETENTION_ENTRIES; i++) {
        struct dirent *entry = readdir(retention->folder);
        if (entry == NULL) {
            (void)closedir(retention->folder);
            retention->folder = NULL;
            retention->counted = true;
            retention->chosen = true;
            retention->removed = 0;
            qsort(retention->names, retention->count, sizeof *retention->names,
                  retention_compare);
            if (retention->full && retention->count > RETENTION_NAMES) {
                retention->count = RETENTION_NAMES;
            }
            return;
        }
        retention_look_at(retention, entry->d_name);
    }
}

/* The oldest go until the bound holds; where the names were not all, there is another
 * pass. */
static void
retention_let_go(struct kc_retention *retention)
{
    uint64_t max_bytes = atomic_load(&retention->max_bytes);
    for (uint32_t i = 0; i < RETENTION_REMOVALS; i++) {
        if (retention->total_bytes <= max_bytes || retention->next == retention->count)
        {
            bool again = retention->total_bytes > max_bytes && retention->full &&
                         retention->removed != 0;
            retention->chosen = false;
            if (again) {
                retention_begin(retention);
            }
            else {
                kc_retention_destroy(retention);
                atomic_fetch_add(&retention->kept_count, 1);
            }
            return;
        }
        retention_remove(retention, &retention->names[retention->next++]);
    }
}

void
kc_retention_turn(struct kc_retention *retention, const char *directory,
                  const char *process_id, uint64_t segment)
{
    retention->directory = directory;
    retention->process_id = process_id;
    retention->segment = segment;
    if (retention->folder != NULL) {
        retention_look(retention);
    }
    else if (retention->chosen) {
        retention_let_go(retention);
    }
    else {
        retention_begin(retention);
    }
}
