/* test_mask.c -- secret names by their parts, secrets by their shape. */

#include "plain/known.h"
#include "plain/mask.h"
#include "plain/mask_signs.h"

#include <stdlib.h>

#include "check.h"
#include "plain/clock.h"

static const char *const WORDS[] = {"password", "api_key", "token", NULL};
static const char *const EXCEPTIONS[] = {"token_count", NULL};

static struct kc_mask *
new_mask(void)
{
    struct kc_mask *mask = NULL;
    CHECK(kc_mask_new(&mask, WORDS, EXCEPTIONS) == KC_OK);
    return mask;
}

/* Whether `name` is secret, and by the rule `rule` (NULL: none). */
static int
is_secret_by(const struct kc_mask *mask, const char *name, const char *rule)
{
    const char *found = "unset";
    bool secret = kc_mask_name(mask, name, strlen(name), &found);
    CHECK(secret == kc_mask_name(mask, name, strlen(name), NULL));
    if (rule == NULL ? found != NULL : found == NULL || strcmp(found, rule) != 0) {
        return -1;
    }
    return secret;
}

static void
test_a_name_is_split_into_parts(void)
{
    struct kc_mask *mask = new_mask();
    CHECK(is_secret_by(mask, "password", "password") == 1);
    CHECK(is_secret_by(mask, "PASSWORD", "password") == 1);
    CHECK(is_secret_by(mask, "_password", "password") == 1);
    CHECK(is_secret_by(mask, "password2", "password") == 1);
    CHECK(is_secret_by(mask, "oldPasswordHash", "password") == 1);
    CHECK(is_secret_by(mask, "apiKey", "api_key") == 1);
    CHECK(is_secret_by(mask, "APIKey", "api_key") == 1);
    CHECK(is_secret_by(mask, "x-api--key", "api_key") == 1);
    CHECK(is_secret_by(mask, "apiKeyword", NULL) == 0);
    CHECK(is_secret_by(mask, "apikey", NULL) == 0);
    CHECK(is_secret_by(mask, "key_api", NULL) == 0);
    CHECK(is_secret_by(mask, "passwords", NULL) == 0);
    CHECK(is_secret_by(mask, "", NULL) == 0);
    CHECK(is_secret_by(mask, "--", NULL) == 0);
    kc_mask_free(mask);
}

static void
test_an_exception_saves_only_what_it_covers(void)
{
    struct kc_mask *mask = new_mask();
    CHECK(is_secret_by(mask, "token", "token") == 1);
    CHECK(is_secret_by(mask, "token_count", "token_count") == 0);
    CHECK(is_secret_by(mask, "maxTokenCount", "token_count") == 0);
    CHECK(is_secret_by(mask, "token_token_count", "token") == 1);
    CHECK(is_secret_by(mask, "token_count_token", "token") == 1);
    CHECK(is_secret_by(mask, "token_counter", "token") == 1);
    CHECK(is_secret_by(mask, "token_count_password", "password") == 1);
    kc_mask_free(mask);
}

static void
test_a_name_may_be_as_long_as_it_likes(void)
{
    struct kc_mask *mask = new_mask();
    char name[600];
    for (size_t len = 0; len < sizeof name; len++) {
        memset(name, (len & 1) != 0 ? 'A' : 'a', sizeof name);
        for (size_t i = 0; i < len; i += 2) {
            name[i] = '1'; /* a part for each byte */
        }
        CHECK(!kc_mask_name(mask, name, len, NULL));
    }
    kc_mask_free(mask);
}

static void
test_a_mask_without_words_masks_nothing(void)
{
    const char *const none[] = {NULL};
    struct kc_mask *mask = NULL;
    CHECK(kc_mask_new(&mask, none, none) == KC_OK);
    CHECK(is_secret_by(mask, "password", NULL) == 0);
    kc_mask_free(mask);
    kc_mask_free(NULL);
}

/* Search a copy that ends where the text does, so that a sanitizer sees a step too far.
 */
static bool
find(const char *text, size_t from, struct kc_mask_span *span)
{
    size_t len = strlen(text);
    char *copy = malloc(len == 0 ? 1 : len);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, text, len);
    bool found = kc_mask_find(copy, len, from, span);
    struct kc_mask_span run;
    if (from <= len && !kc_mask_has_signs(copy + from, len - from)) {
        CHECK(kc_mask_find_run(copy, len, from, &run) == found);
        CHECK(!found || (run.start == span->start && run.end == span->end));
    }
    free(copy);
    return found;
}

static int
shows(const char *text, const char *secret, const char *shape)
{
    struct kc_mask_span span = {0, 0, NULL};
    if (!find(text, 0, &span)) {
        return secret == NULL;
    }
    return secret != NULL && span.start == (size_t)(strstr(text, secret) - text) &&
           span.end - span.start == strlen(secret) && strcmp(span.shape, shape) == 0;
}

static void
test_a_secret_shows_by_its_shape(void)
{
    static const char aws[] = "AKIAIOSFODNN7EXAMPLE";
    static const char github[] = "ghp_0123456789abcdefghij0123456789abcdef";
    static const char jwt[] = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2ln";
    static const char pem[] =
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----";
    CHECK(shows("AKIAIOSFODNN7EXAMPLE", aws, "aws-key"));
    CHECK(shows("key=AKIAIOSFODNN7EXAMPLE;", aws, "aws-key"));
    CHECK(shows("xAKIAIOSFODNN7EXAMPLE", NULL, NULL));
    CHECK(shows("AKIAIOSFODNN7EXAMPL", NULL, NULL));
    CHECK(shows("t: ghp_0123456789abcdefghij0123456789abcdef", github, "github-token"));
    CHECK(shows("{eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NSJ9.c2ln}", jwt, "jwt"));
    CHECK(shows("eyJhbGciOiJIUzI1NiJ9.short", NULL, NULL));
    CHECK(shows("a-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----b", pem,
                "private-key"));
    CHECK(shows("-----BEGIN CERTIFICATE-----\nMIIE", NULL, NULL));
}

static void
test_only_the_password_of_a_url_is_secret(void)
{
    CHECK(shows("a://u:pw@h", "pw", "url-credentials"));
    CHECK(shows("a://:pw@h", "pw", "url-credentials"));
    CHECK(shows("a://u:p@w@h", "p@w", "url-credentials"));
    CHECK(shows("a://u:@host", NULL, NULL));
    CHECK(shows("a://user@host:1", NULL, NULL));
    CHECK(shows("u:pw@host/a://b", NULL, NULL));
    CHECK(shows("a://h:1/x@y", NULL, NULL));
    CHECK(shows("Basic YWxhZGRpbjpvcGVu", "YWxhZGRpbjpvcGVu", "authorization"));
    CHECK(shows("Basic understanding", NULL, NULL));
}

static void
test_the_search_goes_on_behind_a_secret(void)
{
    static const char text[] = "a://u:one@h AKIAIOSFODNN7EXAMPLE b://u:two@h";
    struct kc_mask_span span = {0, 0, NULL};
    CHECK(find(text, 0, &span));
    CHECK_EQUAL(6, span.start);
    CHECK(find(text, span.end, &span));
    CHECK_EQUAL(12, span.start);
    CHECK_EQUAL(32, span.end);
    CHECK(find(text, span.end, &span));
    CHECK_EQUAL(39, span.start);
    CHECK_EQUAL(42, span.end);
    CHECK(!find(text, span.end, &span));
    CHECK(!find(text, sizeof text + 5, &span));
    CHECK(!find("", 0, &span));
}

/* Texts of random pieces: a sanitizer watches, and what is found lies in the text. */
static void
test_no_text_leads_out_of_bounds(void)
{
    static const char *const pieces[] = {
        "eyJ",
        ".",
        "@",
        "://",
        ":",
        "Basic ",
        "bearer ",
        "ghp_",
        "sk-",
        "abc123",
        "-----BEGIN",
        " PRIVATE KEY-----",
        "-----END",
        " ",
        "\x80\xff",
        "SG.",
        "AKIA",
        "1234567890",
        "/",
        "abcdefghijklmnopqrstuvwxyz",
        "Aa1Bb2Cc3Dd4",
    };
    unsigned state = 1;
    for (int round = 0; round < 20000; round++) {
        char text[1024];
        size_t len = 0;
        for (int i = 0; i < 12; i++) {
            state = state * 1103515245u + 12345u;
            const char *piece =
                pieces[(state >> 16) % (sizeof pieces / sizeof *pieces)];
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        text[len] = '\0';
        struct kc_mask_span span = {0, 0, NULL};
        for (size_t from = 0; find(text, from, &span); from = span.end) {
            CHECK(span.start >= from && span.start < span.end && span.end <= len);
        }
    }
}

static void
test_a_sign_is_seen_wherever_it_stands(void)
{
    static const char signs[] = "=:-@B";
    for (size_t len = 1; len < 70; len++) {
        char *text = malloc(len); /* so that a sanitizer sees a step too far */
        if (text == NULL) {
            return;
        }
        memset(text, 'b', len);
        CHECK(!kc_mask_has_signs(text, len));
        for (size_t at = 0; at < len; at++) {
            for (size_t i = 0; i < sizeof signs - 1; i++) {
                text[at] = signs[i];
                CHECK(kc_mask_has_signs(text, len));
            }
            text[at] = 'b';
        }
        free(text);
    }
}

/* What stands behind a secret name in `text`, or "" for nothing. */
static const char *
behind_name(const struct kc_mask *mask, const char *text)
{
    static char found[256];
    struct kc_mask_span span;
    size_t len = strlen(text);
    if (!kc_mask_find_pair(mask, text, len, 0, &span)) {
        return "";
    }
    CHECK(span.start < span.end && span.end <= len);
    CHECK(kc_mask_has_signs(text, len));
    memcpy(found, text + span.start, span.end - span.start);
    found[span.end - span.start] = '\0';
    return found;
}

static void
test_a_value_is_found_behind_its_name(void)
{
    struct kc_mask *mask = new_mask();
    CHECK(strcmp(behind_name(mask, "password=x1"), "x1") == 0);
    CHECK(strcmp(behind_name(mask, "a=b&token=x1&c"), "x1") == 0);
    CHECK(strcmp(behind_name(mask, "{\"apiKey\": \"x 1\"}"), "x 1") == 0);
    CHECK(strcmp(behind_name(mask, "Key (a, password)=(b, x)"), "b, x") == 0);
    CHECK(strcmp(behind_name(mask, "run --token x1 y"), "x1") == 0);
    CHECK(strcmp(behind_name(mask, "token: {\"a\": {}}, b"), "\"a\": {}") == 0);
    CHECK(strcmp(behind_name(mask, "token_count=5, user=a"), "") == 0);
    CHECK(strcmp(behind_name(mask, "password = %s AND token = ?"), "") == 0);
    CHECK(strcmp(behind_name(mask, "password="), "") == 0);
    CHECK(strcmp(behind_name(mask, "=password: "), "") == 0);
    kc_mask_free(mask);
}

static void
test_a_known_secret_is_found_between_words(void)
{
    struct kc_known known;
    struct kc_mask_span span;
    kc_known_init(&known, 0x1234567890abcdef);
    CHECK(!kc_known_find(&known, "a hunter22 b", 12, 0, false, &span));
    kc_known_add(&known, "hunter22", 8);
    kc_known_add(&known, "hunter22", 8);
    kc_known_add(&known, "github", 6);
    CHECK(known.count == 1);
    CHECK(kc_known_find(&known, "a hunter22 b", 12, 0, false, &span));
    CHECK(span.start == 2 && span.end == 10);
    CHECK(kc_known_find(&known, "hunter22", 8, 0, false, &span) && span.end == 8);
    CHECK(!kc_known_find(&known, "a hunter22 b", 12, 3, false, &span));
    CHECK(!kc_known_find(&known, "ahunter22 b", 11, 0, false, &span));
    CHECK(!kc_known_find(&known, "a hunter222", 11, 0, false, &span));
    CHECK(!kc_known_find(&known, "a hunter2", 9, 0, false, &span));
    CHECK(kc_known_find(&known, "a hunter2", 9, 0, true, &span) && span.end == 9);
    kc_known_add(&known, "hunter22/abc", 12); /* the longer one counts */
    CHECK(kc_known_find(&known, "<hunter22/abc>", 14, 0, false, &span));
    CHECK(span.start == 1 && span.end == 13);
}

static void
test_of_too_many_known_secrets_the_oldest_is_forgotten(void)
{
    struct kc_known known;
    struct kc_mask_span span;
    char secret[32];
    kc_known_init(&known, 7);
    for (int i = 0; i < 200; i++) {
        int len = snprintf(secret, sizeof secret, "secret-%d", i);
        kc_known_add(&known, secret, (size_t)len);
    }
    for (int i = 0; i < 200; i++) {
        int len = snprintf(secret, sizeof secret, "secret-%d", i);
        bool found = kc_known_find(&known, secret, (size_t)len, 0, false, &span);
        CHECK(found == (i >= 200 - (int)KC_KNOWN_MAX));
    }
}

/* The same as above, of what makes pairs of names and values. */
static void
test_no_pair_leads_out_of_bounds(void)
{
    static const char *const pieces[] = {
        "password", "token", "cookie",  "=",        ":",  "--", " ",     "\"",
        "'",        "\\",    "(",       ")",        "[",  "]",  "{",     "}",
        "Bearer ",  "b'",    "hunter2", "\x80\xff", "\n", ",",  "Key (", "***",
    };
    struct kc_mask *mask = new_mask();
    struct kc_known known;
    unsigned state = 1;
    kc_known_init(&known, 5);
    kc_known_add(&known, "hunter2", 7);
    for (int round = 0; round < 20000; round++) {
        size_t len = 0;
        char *text = malloc(512);
        CHECK(text != NULL);
        for (int i = 0; i < 12 && text != NULL; i++) {
            state = state * 1103515245u + 12345u;
            const char *piece =
                pieces[(state >> 16) % (sizeof pieces / sizeof *pieces)];
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        char *exact = malloc(len); /* so that a sanitizer sees a byte too many */
        CHECK(exact != NULL);
        if (exact == NULL || text == NULL) {
            free(exact);
            free(text);
            break;
        }
        memcpy(exact, text, len);
        struct kc_mask_span span = {0, 0, NULL};
        for (size_t from = 0; kc_mask_find_pair(mask, exact, len, from, &span);
             from = span.end) {
            CHECK(span.start > from && span.start < span.end && span.end <= len);
        }
        for (size_t from = 0; kc_known_find(&known, exact, len, from, true, &span);
             from = span.end)
        {
            CHECK(span.start >= from && span.start < span.end && span.end <= len);
        }
        free(exact);
        free(text);
    }
    kc_mask_free(mask);
}

/* Each of these placeholders was followed to the end of the text: some seconds. */
static void
test_a_text_of_placeholders_takes_no_longer_than_another(void)
{
    static const char one[] = "password=%(";
    size_t len = 20000 * (sizeof one - 1);
    char *text = malloc(len);
    struct kc_mask *mask = new_mask();
    struct kc_mask_span span;
    for (size_t i = 0; text != NULL && i < len; i++) {
        text[i] = one[i % (sizeof one - 1)];
    }
    uint64_t began_ns = kc_clock_system_ns();
    CHECK(text != NULL && !kc_mask_find_pair(mask, text, len, 0, &span));
    CHECK(kc_clock_system_ns() - began_ns < 1000000000);
    kc_mask_free(mask);
    free(text);
}

int
main(void)
{
    test_a_name_is_split_into_parts();
    test_an_exception_saves_only_what_it_covers();
    test_a_name_may_be_as_long_as_it_likes();
    test_a_mask_without_words_masks_nothing();
    test_a_secret_shows_by_its_shape();
    test_only_the_password_of_a_url_is_secret();
    test_the_search_goes_on_behind_a_secret();
    test_no_text_leads_out_of_bounds();
    test_a_sign_is_seen_wherever_it_stands();
    test_a_value_is_found_behind_its_name();
    test_a_known_secret_is_found_between_words();
    test_of_too_many_known_secrets_the_oldest_is_forgotten();
    test_no_pair_leads_out_of_bounds();
    test_a_text_of_placeholders_takes_no_longer_than_another();
    return check_result("mask");
}
