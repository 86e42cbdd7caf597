/* source.c -- see source.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plain/mask.h"

__extension__ typedef unsigned __int128 source_uint128;

/* FNV-1a: offset basis and prime for 128 bits. */
#define SOURCE_BASIS_HIGH UINT64_C(0x6c62272e07bb0142)
#define SOURCE_BASIS_LOW UINT64_C(0x62b821756295c58d)
#define SOURCE_PRIME (((source_uint128)1 << 88) + 0x13b)

static void
source_hash(struct kc_source *source)
{
    source_uint128 sum = (source_uint128)SOURCE_BASIS_HIGH << 64 | SOURCE_BASIS_LOW;
    for (size_t i = 0; i < source->len; i++) {
        sum = (sum ^ (uint8_t)source->text[i]) * SOURCE_PRIME;
    }
    (void)snprintf(source->hash, sizeof source->hash, "%016llx%016llx",
                   (unsigned long long)(uint64_t)(sum >> 64),
                   (unsigned long long)(uint64_t)sum);
}

/* Stars for each secret; its line ends stay, so that line numbers do. */
static void
source_mask(struct kc_source *source)
{
    struct kc_mask_span span;
    size_t from = 0;
    while (from < source->len && kc_mask_find(source->text, source->len, from, &span)) {
        if (span.end <= span.start || span.start < from || span.end > source->len) {
            break;
        }
        for (size_t i = span.start; i < span.end; i++) {
            if (source->text[i] != '\n' && source->text[i] != '\r') {
                source->text[i] = '*';
            }
        }
        source->mask_count++;
        from = span.end;
    }
}

/* The name as the system has it, from the name as Python has it. Owned by the caller.
 */
static char *
source_system_path(const char *path, size_t len)
{
    char *name = malloc(len + 1);
    if (name == NULL) {
        return NULL;
    }
    size_t out = 0;
    for (size_t i = 0; i < len;) {
        const uint8_t *at = (const uint8_t *)path + i;
        /* U+DC80 to U+DCFF stand for the bytes 0x80 to 0xff. */
        if (len - i >= 3 && at[0] == 0xed && (at[1] == 0xb2 || at[1] == 0xb3)) {
            name[out++] = (char)((at[1] == 0xb2 ? 0x80 : 0xc0) | (at[2] & 0x3f));
            i += 3;
        }
        else {
            name[out++] = path[i++];
        }
    }
    name[out] = '\0';
    return name;
}

static bool
source_is_same(int fd, uint64_t size, uint64_t mtime_ns)
{
    struct stat about;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        return false;
    }
#if defined(__APPLE__)
    struct timespec changed = about.st_mtimespec;
#else
    struct timespec changed = about.st_mtim;
#endif
    return (uint64_t)about.st_size == size &&
           (uint64_t)changed.tv_sec * 1000000000u + (uint64_t)changed.tv_nsec ==
               mtime_ns;
}

/* Fill `text` from the file; false where it ends early or fails. */
static bool
source_read_all(int fd, char *text, size_t len)
{
    size_t at = 0;
    while (at < len) {
        ssize_t count = read(fd, text + at, len - at);
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        at += (size_t)count;
    }
    return true;
}

static void
source_finish(struct kc_source *source)
{
    source_mask(source);
    source_hash(source);
}

static enum kc_status
source_read_fd(struct kc_source *source, int fd, uint64_t size, uint64_t mtime_ns)
{
    char *text = malloc(size == 0 ? 1 : size);
    if (text == NULL) {
        return KC_NO_MEMORY;
    }
    /* The second look is for a change in the middle of the reading. */
    if (!source_is_same(fd, size, mtime_ns) || !source_read_all(fd, text, size) ||
        !source_is_same(fd, size, mtime_ns))
    {
        (void)snprintf(source->note, sizeof source->note,
                       "changed since the program read it");
        free(text);
        return KC_OK;
    }
    source->text = text;
    source->len = size;
    source_finish(source);
    return KC_OK;
}

enum kc_status
kc_source_read(struct kc_source *source, const char *path, size_t path_len,
               uint64_t size, uint64_t mtime_ns)
{
    memset(source, 0, sizeof *source);
    if (size > KC_SOURCE_MAX_BYTES) {
        (void)snprintf(source->note, sizeof source->note, "larger than %u bytes",
                       KC_SOURCE_MAX_BYTES);
        return KC_OK;
    }
    char *name = source_system_path(path, path_len);
    if (name == NULL) {
        return KC_NO_MEMORY;
    }
    enum kc_status status = KC_OK;
    /* Never wait for a pipe that has taken the file's place. */
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        (void)snprintf(source->note, sizeof source->note, "not readable (errno %d)",
                       errno);
    }
    else {
        status = source_read_fd(source, fd, size, mtime_ns);
        (void)close(fd);
    }
    free(name);
    return status;
}

enum kc_status
kc_source_copy(struct kc_source *source, const char *text, size_t len)
{
    memset(source, 0, sizeof *source);
    source->text = malloc(len == 0 ? 1 : len);
    if (source->text == NULL) {
        return KC_NO_MEMORY;
    }
    memcpy(source->text, text, len);
    source->len = len;
    source_finish(source);
    return KC_OK;
}

void
kc_source_destroy(struct kc_source *source)
{
    free(source->text);
    source->text = NULL;
}
