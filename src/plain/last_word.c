/* last_word.c -- see last_word.h. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/last_word.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define BOOT_PATH "/proc/sys/kernel/random/boot_id"
#define VMSTAT_MOST_BYTES 16384
#define VMSTAT_KILLS "\noom_kill "

/* Signals that end a process by default, but for those that Python ignores. */
static struct word_signal {
    int number;
    bool is_fault; /* what an instruction may cause, which then does it again */
    bool installed;
    const char *name;
    struct sigaction previous;
    volatile sig_atomic_t fired;
} word_signals[] = {
    {.number = SIGSEGV, .name = "SIGSEGV", .is_fault = true},
    {.number = SIGBUS, .name = "SIGBUS", .is_fault = true},
    {.number = SIGFPE, .name = "SIGFPE", .is_fault = true},
    {.number = SIGILL, .name = "SIGILL", .is_fault = true},
    {.number = SIGABRT, .name = "SIGABRT"},
    {.number = SIGTERM, .name = "SIGTERM"},
    {.number = SIGINT, .name = "SIGINT"},
    {.number = SIGQUIT, .name = "SIGQUIT"},
    {.number = SIGHUP, .name = "SIGHUP"},
    {.number = SIGALRM, .name = "SIGALRM"},
    {.number = SIGUSR1, .name = "SIGUSR1"},
    {.number = SIGUSR2, .name = "SIGUSR2"},
    {.number = SIGXCPU, .name = "SIGXCPU"},
    {.number = SIGSYS, .name = "SIGSYS"},
};

#define WORD_SIGNALS (sizeof word_signals / sizeof word_signals[0])

static _Atomic(struct kc_mapping_header *) word_header;

const char *kc_last_word_vmstat = "/proc/vmstat";

/* ---- the process's own ---- */

void
kc_last_word_say(enum kc_last_word what, uint32_t number)
{
    struct kc_mapping_header *header = atomic_load(&word_header);
    /* A child that shares our memory until its exec has nothing to say here. */
    if (header != NULL && header->pid == (uint32_t)getpid()) {
        atomic_store(&header->last_word, (uint64_t)what << 32 | number);
    }
}

static void
word_on_signal(int number, siginfo_t *info, void *context)
{
    int error = errno;
    (void)context;
    kc_last_word_say(KC_LAST_WORD_SIGNAL, (uint32_t)number);
    for (size_t i = 0; i < WORD_SIGNALS; i++) {
        struct word_signal *one = &word_signals[i];
        if (one->number != number) {
            continue;
        }
        if (one->fired) { /* what was there has called us: it is not to go round */
            (void)signal(number, SIG_DFL);
        }
        else {
            (void)sigaction(number, &one->previous, NULL);
        }
        one->fired = 1;
        /* Otherwise the instruction is run again, and has the address to tell. */
        if (!one->is_fault || info->si_code <= 0) {
            (void)raise(number);
        }
    }
    errno = error;
}

static bool
word_is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 &&
           action->sa_sigaction == word_on_signal;
}

static bool
word_may_install(const struct word_signal *one, const struct sigaction *action,
                 bool chain)
{
    if (one->installed || (!one->is_fault && getpid() == 1)) {
        return false; /* the first process of a container ignores what has no handler */
    }
    if ((action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == SIG_DFL) {
        return true;
    }
    bool is_faulthandlers = one->is_fault || one->number == SIGABRT;
    return chain && is_faulthandlers && action->sa_handler != SIG_IGN;
}

void
kc_last_word_begin(struct kc_mapping_header *header, bool chain)
{
    struct sigaction ours;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = word_on_signal;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    (void)sigemptyset(&ours.sa_mask);
    atomic_store(&word_header, header);
    for (size_t i = 0; i < WORD_SIGNALS; i++) {
        struct word_signal *one = &word_signals[i];
        struct sigaction action;
        if (sigaction(one->number, NULL, &action) == 0 &&
            word_may_install(one, &action, chain)) {
            one->previous = action;
            one->fired = 0;
            one->installed = sigaction(one->number, &ours, NULL) == 0;
        }
    }
}

void
kc_last_word_end(const struct kc_mapping_header *header)
{
    if (header == NULL || atomic_load(&word_header) != header) {
        return;
    }
    atomic_store(&word_header, NULL);
    for (size_t i = 0; i < WORD_SIGNALS; i++) {
        struct word_signal *one = &word_signals[i];
        struct sigaction action;
        /* One that came after ours, and may go back to it, is left where it is. */
        if (one->installed && sigaction(one->number, NULL, &action) == 0 &&
            word_is_ours(&action))
        {
            (void)sigaction(one->number, &one->previous, NULL);
            one->installed = false;
        }
    }
}

void
kc_last_word_forget(void)
{
    atomic_store(&word_header, NULL);
}

/* ---- the system's ---- */

/* The beginning of a file as a text without its last newline; "" without it. */
static void
word_read(const char *path, char *text, size_t room)
{
    size_t len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    for (ssize_t got = 1; fd >= 0 && got > 0 && len < room - 1;) {
        got = read(fd, text + len, room - 1 - len);
        len += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    len -= len > 0 && text[len - 1] == '\n';
    text[len] = '\0';
}

/* How many processes the system has killed for want of memory, and 1; 0: unknown. */
static uint64_t
word_kills(void)
{
    char text[VMSTAT_MOST_BYTES];
    word_read(kc_last_word_vmstat, text, sizeof text);
    const char *line = strstr(text, VMSTAT_KILLS);
    return line == NULL ? 0 : strtoull(line + sizeof VMSTAT_KILLS - 1, NULL, 10) + 1;
}

void
kc_last_word_note_kills(struct kc_mapping_header *header)
{
    atomic_store(&header->kills, word_kills());
}

void
kc_last_word_note_system(struct kc_mapping_header *header)
{
    struct utsname system;
    word_read(BOOT_PATH, header->boot, sizeof header->boot);
    if (uname(&system) == 0) {
        (void)snprintf(header->host, sizeof header->host, "%.*s",
                       (int)sizeof header->host - 1, system.nodename);
    }
    kc_last_word_note_kills(header);
}

/* Whether `here` is said, and `there` is the same. */
static bool
word_same(const char *here, const char *there, size_t room)
{
    return here[0] != '\0' && strncmp(here, there, room) == 0;
}

static const char *
word_of_system(const struct kc_mapping_header *header)
{
    struct kc_mapping_header now;
    memset(&now, 0, sizeof now);
    kc_last_word_note_system(&now);
    if (!word_same(now.host, header->host, sizeof now.host) || header->boot[0] == '\0')
    {
        return NULL;
    }
    if (!word_same(now.boot, header->boot, sizeof now.boot)) {
        return now.boot[0] == '\0' ? NULL : KC_CAUSE_DOWN;
    }
    uint64_t before = atomic_load(&header->kills);
    return before != 0 && atomic_load(&now.kills) > before ? KC_CAUSE_MEMORY : NULL;
}

static const char *
word_signal_name(uint32_t number)
{
    for (size_t i = 0; i < WORD_SIGNALS; i++) {
        if (word_signals[i].number == (int)number) {
            return word_signals[i].name;
        }
    }
    return KC_CAUSE_UNKNOWN;
}

void
kc_last_word_tell(const struct kc_mapping_header *header, char *cause, size_t room)
{
    uint64_t word = atomic_load(&header->last_word);
    uint32_t number = (uint32_t)word;
    const char *of_system;
    switch (word >> 32) {
    case KC_LAST_WORD_SIGNAL:
        (void)snprintf(cause, room, "%s", word_signal_name(number));
        break;
    case KC_LAST_WORD_EXIT:
        (void)snprintf(cause, room, "os._exit(%u)", (unsigned)number & 0xffu);
        break;
    case KC_LAST_WORD_EXEC:
        (void)snprintf(cause, room, "%s", KC_CAUSE_EXEC);
        break;
    default:
        of_system = word_of_system(header);
        (void)snprintf(cause, room, "%s",
                       of_system == NULL ? KC_CAUSE_UNKNOWN : of_system);
        break;
    }
}
