/* test_last_word.c -- why a process ended, from its mapping.
 *
 * A child dies in one way or another; what ended it must be what the kernel says, as if
 * nobody had looked, and its mapping must tell.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "plain/last_word.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "plain/clock.h"
#include "rig.h"

static char folder[64];
static struct kc_mapping mapping;
static struct kc_mapping_header *header;
static char cause[KC_CAUSE_MOST_BYTES];

static void
make_header(void)
{
    int reason = 0;
    char path[160];
    rig_make_folder(folder, sizeof folder);
    (void)snprintf(path, sizeof path, "%s/" RIG_PROCESS ".map", folder);
    CHECK_EQUAL(KC_OK, kc_mapping_create(&mapping, path, 1, RIG_PROCESS, &reason));
    CHECK_EQUAL(0, reason);
    header = mapping.header;
}

static void
remove_header(void)
{
    kc_mapping_destroy(&mapping, true);
    rig_remove_folder(folder);
}

/* What a child's end says that runs `die` with `number` as last thing. */
static int
end_of_child(void (*die)(int number), int number)
{
    int status = 0;
    atomic_store(&header->last_word, 0);
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer has one */
        header->pid = (uint32_t)getpid();
        kc_last_word_begin(header, false);
        die(number);
        _exit(99);
    }
    CHECK_EQUAL(child, waitpid(child, &status, 0));
    kc_last_word_tell(header, cause, sizeof cause);
    return status;
}

static void
die_by_signal(int number)
{
    (void)raise(number);
}

static void
die_by_fault(int number)
{
    /* The null page, in a way that no compiler or sanitizer sees through. */
    void *nothing = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *(volatile int *)nothing = number;
}

static void
die_by_abort(int number)
{
    (void)number;
    abort();
}

static void
die_by_saying(int number)
{
    kc_last_word_say(KC_LAST_WORD_EXIT, (uint32_t)number);
    _exit(number);
}

static void
live_on(int number)
{
    kc_last_word_say(KC_LAST_WORD_EXEC, 0);
    kc_last_word_say(KC_LAST_WORD_NONE, 0);
    _exit(number);
}

static void
die_as_a_child_that_shares_memory(int number)
{
    header->pid++; /* as another sees it */
    (void)raise(number);
}

static void
test_a_signal_is_noted_and_ends_the_process_as_before(void)
{
    static const struct {
        int number;
        const char *name;
    } signals[] = {
        {SIGTERM, "SIGTERM"}, {SIGHUP, "SIGHUP"},   {SIGINT, "SIGINT"},
        {SIGSEGV, "SIGSEGV"}, {SIGALRM, "SIGALRM"}, {SIGUSR1, "SIGUSR1"},
    };
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        int status = end_of_child(die_by_signal, signals[i].number);
        CHECK(WIFSIGNALED(status));
        CHECK_EQUAL(signals[i].number, WTERMSIG(status));
        CHECK(strcmp(cause, signals[i].name) == 0);
    }
    int status = end_of_child(die_by_signal, SIGKILL);
    CHECK_EQUAL(SIGKILL, WTERMSIG(status));
    CHECK(strcmp(cause, KC_CAUSE_UNKNOWN) == 0);
}

static void
test_a_fault_and_an_abort_are_noted(void)
{
    int status = end_of_child(die_by_fault, 1);
    CHECK_EQUAL(SIGSEGV, WTERMSIG(status));
    CHECK(strcmp(cause, "SIGSEGV") == 0);
    status = end_of_child(die_by_abort, 0);
    CHECK_EQUAL(SIGABRT, WTERMSIG(status));
    CHECK(strcmp(cause, "SIGABRT") == 0);
}

static void
test_what_was_said_is_told_and_can_be_taken_back(void)
{
    CHECK_EQUAL(7, WEXITSTATUS(end_of_child(die_by_saying, 7)));
    CHECK(strcmp(cause, "os._exit(7)") == 0);
    CHECK_EQUAL(3, WEXITSTATUS(end_of_child(live_on, 3)));
    CHECK(strcmp(cause, KC_CAUSE_UNKNOWN) == 0);
    CHECK_EQUAL(SIGTERM,
                WTERMSIG(end_of_child(die_as_a_child_that_shares_memory, SIGTERM)));
    CHECK(strcmp(cause, KC_CAUSE_UNKNOWN) == 0);
}

static void
others_handler(int number)
{
    _exit(number + 100);
}

static void
others_fault_handler(int number)
{
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void
test_handlers_of_others_stay(void)
{
    struct sigaction action;
    (void)signal(SIGTERM, others_handler);
    (void)signal(SIGHUP, SIG_IGN);
    kc_last_word_begin(header, true);
    CHECK_EQUAL(0, sigaction(SIGTERM, NULL, &action));
    CHECK(action.sa_handler == others_handler);
    CHECK_EQUAL(0, sigaction(SIGHUP, NULL, &action));
    CHECK(action.sa_handler == SIG_IGN);
    kc_last_word_end(header);
    (void)signal(SIGTERM, SIG_DFL);
    (void)signal(SIGHUP, SIG_DFL);
}

static void
die_before_another(int number)
{
    kc_last_word_end(header);
    (void)signal(number, others_fault_handler);
    kc_last_word_begin(header, true);
    (void)raise(number);
}

/* It was there after ours, and goes back to it. */
static void
die_round_and_round(int number)
{
    struct sigaction ours;
    (void)sigaction(number, NULL, &ours);
    (void)raise(number);
    (void)sigaction(number, &ours, NULL);
    (void)raise(number);
}

static void
test_ours_stands_before_one_that_is_known(void)
{
    int status = end_of_child(die_before_another, SIGABRT);
    CHECK_EQUAL(SIGABRT, WTERMSIG(status));
    CHECK(strcmp(cause, "SIGABRT") == 0);
    status = end_of_child(die_round_and_round, SIGABRT);
    CHECK_EQUAL(SIGABRT, WTERMSIG(status));
}

static void
test_the_end_puts_back_what_was_there(void)
{
    struct sigaction action;
    struct sigaction later;
    kc_last_word_begin(header, false);
    CHECK_EQUAL(0, sigaction(SIGTERM, NULL, &action));
    CHECK((action.sa_flags & SA_SIGINFO) != 0);
    (void)signal(SIGUSR2, others_handler); /* the program's own, meanwhile */
    kc_last_word_end(NULL);                /* of a session that did not begin */
    CHECK_EQUAL(0, sigaction(SIGTERM, NULL, &later));
    CHECK((later.sa_flags & SA_SIGINFO) != 0);
    kc_last_word_end(header);
    CHECK_EQUAL(0, sigaction(SIGTERM, NULL, &action));
    CHECK((action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == SIG_DFL);
    CHECK_EQUAL(0, sigaction(SIGUSR2, NULL, &action));
    CHECK(action.sa_handler == others_handler);
    (void)signal(SIGUSR2, SIG_DFL);
}

static void
write_kills(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    if (file != NULL) {
        (void)fputs(text, file);
        (void)fclose(file);
    }
}

static void
test_the_system_is_asked_where_nobody_said_a_word(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/vmstat", folder);
    kc_last_word_vmstat = path;
    atomic_store(&header->last_word, 0);
    write_kills(path, "nr_free_pages 4711\noom_kill 4\nother 7\n");
    kc_last_word_note_system(header);
    kc_last_word_tell(header, cause, sizeof cause);
    CHECK(strcmp(cause, KC_CAUSE_UNKNOWN) == 0);
    write_kills(path, "nr_free_pages 4711\noom_kill 5\nother 7\n");
    kc_last_word_tell(header, cause, sizeof cause);
    CHECK(strcmp(cause, KC_CAUSE_MEMORY) == 0);
    write_kills(path, "nothing of the kind\n");
    kc_last_word_tell(header, cause, sizeof cause);
    CHECK(strcmp(cause, KC_CAUSE_UNKNOWN) == 0);
    kc_last_word_note_kills(header);
    write_kills(path, "nr_free_pages 4711\noom_kill 5\nother 7\n");
    kc_last_word_tell(header, cause, sizeof cause);
    CHECK(strcmp(cause, KC_CAUSE_UNKNOWN) == 0); /* it was not known before */
    header->boot[0] = header->boot[0] == 'x' ? 'y' : 'x';
    kc_last_word_tell(header, cause, sizeof cause);
    CHECK(strcmp(cause, KC_CAUSE_DOWN) == 0);
    header->host[0] = '?'; /* the store was brought from another machine */
    kc_last_word_tell(header, cause, sizeof cause);
    CHECK(strcmp(cause, KC_CAUSE_UNKNOWN) == 0);
    atomic_store(&header->last_word, UINT64_MAX);
    kc_last_word_tell(header, cause, sizeof cause);
    CHECK(strcmp(cause, KC_CAUSE_UNKNOWN) == 0);
    memset(header->host, 'h', sizeof header->host); /* damaged: no end */
    memset(header->boot, 'b', sizeof header->boot);
    kc_last_word_tell(header, cause, sizeof cause);
    CHECK(strcmp(cause, KC_CAUSE_UNKNOWN) == 0);
    kc_last_word_vmstat = "/proc/vmstat";
}

int
main(void)
{
    kc_clock_init(1000000);
    make_header();
    test_a_signal_is_noted_and_ends_the_process_as_before();
    test_a_fault_and_an_abort_are_noted();
    test_what_was_said_is_told_and_can_be_taken_back();
    test_handlers_of_others_stay();
    test_ours_stands_before_one_that_is_known();
    test_the_end_puts_back_what_was_there();
    test_the_system_is_asked_where_nobody_said_a_word();
    remove_header();
    return check_result("last_word");
}
