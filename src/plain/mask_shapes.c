/* mask_shapes.c -- kc_mask_find(): secrets that show by their shape. See mask.h.
 *
 * Every secret but a URL's password holds a run of ten or more characters without a
 * space, which ordinary text seldom has. Looking at each tenth character first and
 * going back from there skips most of a text; what is left is compared with prefixes.
 */

#include "plain/mask.h"

#include <string.h>

#define RUN_LEAST 10u
#define TOKEN_LEAST 16u    /* no provider's token is shorter */
#define URL_MAX_BYTES 256u /* of user and password together */
#define PEM_MAX_BYTES 16384u
#define PEM_LABEL_MAX_BYTES 48u

/* Sets of ASCII characters: each a bit in CLASSES. Ordinary text is put through these
 * alone, and a byte of a table takes less than any comparison. */
enum class {
    C_ALNUM = 0x01,
    C_UPPER = 0x02, /* and 0-9 */
    C_HEX = 0x04,
    C_DASHED = 0x08, /* alphanumeric, _ - */
    C_RUN = 0x10,    /* and . */
    C_BASE64 = 0x20, /* dashed, + / . = */
    C_STOP = 0x40,   /* what ends a URL's user and password */
    C_START = 0x80,  /* first letters of prefixes, and e */
};

/* clang-format off */
static const uint8_t CLASSES[256] = {
    0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, /* 0x00 */
    0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, /* 0x10 */
    0x40, 0x00, 0x40, 0x40, 0x00, 0x00, 0x00, 0x40, 0x00, 0x00, 0x00, 0x20, 0x00, 0x38, 0x30, 0x60, /* 0x20 */
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x00, 0x00, 0x40, 0x20, 0x40, 0x40, /* 0x30 */
    0x00, 0xbf, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xbb, 0x3b, 0x3b, 0x3b, 0x3b, 0x3b, 0x3b, 0x3b, 0x3b, /* 0x40 */
    0x3b, 0x3b, 0x3b, 0xbb, 0x3b, 0x3b, 0x3b, 0x3b, 0x3b, 0x3b, 0x3b, 0x00, 0x40, 0x00, 0x00, 0x38, /* 0x50 */
    0x40, 0x3d, 0x3d, 0x3d, 0xbd, 0xbd, 0x3d, 0xb9, 0xb9, 0x39, 0x39, 0xb9, 0xb9, 0x39, 0xb9, 0x39, /* 0x60 */
    0xb9, 0x39, 0xb9, 0xb9, 0x39, 0x39, 0x39, 0xb9, 0xb9, 0xb9, 0x39, 0x00, 0x00, 0x00, 0x00, 0x00, /* 0x70 */
};
/* clang-format on */

static inline bool
shape_in(enum class class, char c)
{
    return (CLASSES[(unsigned char)c] & class) != 0;
}

struct prefix {
    const char *text;
    unsigned tail_least; /* characters after the prefix */
    enum class tail_class;
    const char *shape;
};

/* Grouped by first character. */
static const struct prefix PREFIXES[] = {
    {"AKIA", 16, C_UPPER, "aws-key"},
    {"ASIA", 16, C_UPPER, "aws-key"},
    {"AIza", 35, C_DASHED, "google-key"},
    {"AGE-SECRET-KEY-", 40, C_UPPER, "age-key"},
    {"GOCSPX-", 20, C_DASHED, "google-key"},
    {"SG.", 20, C_DASHED, "sendgrid-key"},
    {"SK", 32, C_HEX, "twilio-key"},
    {"dapi", 32, C_HEX, "databricks-token"},
    {"dckr_pat_", 20, C_DASHED, "docker-token"},
    {"dop_v1_", 40, C_HEX, "digitalocean-token"},
    {"ghp_", 30, C_ALNUM, "github-token"},
    {"gho_", 30, C_ALNUM, "github-token"},
    {"ghu_", 30, C_ALNUM, "github-token"},
    {"ghs_", 30, C_ALNUM, "github-token"},
    {"ghr_", 30, C_ALNUM, "github-token"},
    {"github_pat_", 22, C_DASHED, "github-token"},
    {"glpat-", 20, C_DASHED, "gitlab-token"},
    {"glrt-", 20, C_DASHED, "gitlab-token"},
    {"hf_", 30, C_ALNUM, "huggingface-token"},
    {"hvs.", 24, C_DASHED, "vault-token"},
    {"key-", 32, C_HEX, "mailgun-key"},
    {"lin_api_", 32, C_ALNUM, "linear-key"},
    {"npm_", 36, C_ALNUM, "npm-token"},
    {"pypi-AgE", 16, C_DASHED, "pypi-token"},
    {"rk_live_", 16, C_ALNUM, "stripe-key"},
    {"rk_test_", 16, C_ALNUM, "stripe-key"},
    {"rubygems_", 40, C_HEX, "rubygems-key"},
    {"sk_live_", 16, C_ALNUM, "stripe-key"},
    {"sk_test_", 16, C_ALNUM, "stripe-key"},
    {"sk-ant-", 20, C_DASHED, "anthropic-key"},
    {"sk-proj-", 20, C_DASHED, "openai-key"},
    {"sk-", 20, C_ALNUM, "openai-key"},
    {"sbp_", 40, C_HEX, "supabase-key"},
    {"shpat_", 32, C_HEX, "shopify-token"},
    {"shpss_", 32, C_HEX, "shopify-token"},
    {"sq0atp-", 22, C_DASHED, "square-token"},
    {"sq0csp-", 40, C_DASHED, "square-token"},
    {"whsec_", 20, C_ALNUM, "stripe-key"},
    {"xapp-", 20, C_DASHED, "slack-token"},
    {"xkeysib-", 40, C_DASHED, "brevo-key"},
    {"xoxa-", 10, C_DASHED, "slack-token"},
    {"xoxb-", 10, C_DASHED, "slack-token"},
    {"xoxe-", 10, C_DASHED, "slack-token"},
    {"xoxp-", 10, C_DASHED, "slack-token"},
    {"xoxr-", 10, C_DASHED, "slack-token"},
    {"xoxs-", 10, C_DASHED, "slack-token"},
    {"ya29.", 20, C_DASHED, "google-token"},
};

struct text {
    const char *bytes;
    size_t len;
    size_t from; /* no secret begins before it, though what is before is looked at */
};

static bool
shape_starts(const struct text *text, size_t at, const char *with)
{
    size_t len = strlen(with);
    return len <= text->len - at && memcmp(text->bytes + at, with, len) == 0;
}

/* Where the characters of `class` from `at` on end. */
static size_t
shape_span(const struct text *text, size_t at, enum class class)
{
    while (at < text->len && shape_in(class, text->bytes[at])) {
        at++;
    }
    return at;
}

static bool
shape_found(struct kc_mask_span *span, size_t start, size_t end, const char *shape)
{
    span->start = start;
    span->end = end;
    span->shape = shape;
    return true;
}

/* header.payload[.signature]; the end may be cut off. */
static bool
shape_jwt(const struct text *text, size_t at, struct kc_mask_span *span)
{
    size_t dot = shape_span(text, at, C_DASHED);
    if (dot - at < RUN_LEAST || dot == text->len || text->bytes[dot] != '.') {
        return false;
    }
    size_t end = shape_span(text, dot + 1, C_DASHED);
    if (end - dot <= RUN_LEAST) {
        return false;
    }
    if (end < text->len && text->bytes[end] == '.') {
        end = shape_span(text, end + 1, C_DASHED);
    }
    return shape_found(span, at, end, "jwt");
}

static bool
shape_prefix(const struct text *text, size_t at, struct kc_mask_span *span)
{
    if (text->bytes[at] == 'e') {
        return shape_starts(text, at, "eyJ") && shape_jwt(text, at, span);
    }
    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++) {
        const struct prefix *prefix = &PREFIXES[i];
        if (prefix->text[0] != text->bytes[at] || !shape_starts(text, at, prefix->text))
        {
            continue;
        }
        size_t tail = at + strlen(prefix->text);
        size_t end = shape_span(text, tail, prefix->tail_class);
        if (end - tail >= prefix->tail_least) {
            /* What follows in the same word belongs to it: better one too many. */
            end = shape_span(text, end, C_DASHED);
            if (prefix->text[0] == 'S' && end < text->len && text->bytes[end] == '.') {
                end = shape_span(text, end + 1, C_DASHED); /* SG.id.secret */
            }
            return shape_found(span, at, end, prefix->shape);
        }
    }
    return false;
}

/* Whether [start, end) has digits or mixed case: a token rather than a word. */
static bool
shape_is_random(const struct text *text, size_t start, size_t end)
{
    bool lower = false;
    for (size_t i = start; i < end; i++) {
        char c = text->bytes[i];
        if ((c >= '0' && c <= '9') || c == '=' || (lower && c >= 'A' && c <= 'Z')) {
            return true;
        }
        lower = lower || (c >= 'a' && c <= 'z');
    }
    return false;
}

/* Whether `word`, given in lower case, stands before `at`. */
static bool
shape_follows(const struct text *text, size_t at, const char *word)
{
    size_t len = strlen(word);
    if (len > at) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text->bytes[at - len + i];
        if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != word[i]) {
            return false;
        }
    }
    return true;
}

/* What follows `Bearer ` or `Basic ` at `at`, unless it is a word. */
static bool
shape_authorization_at(const struct text *text, size_t at, struct kc_mask_span *span)
{
    size_t end = shape_span(text, at, C_BASE64);
    return end - at >= KC_MASK_LEAST && shape_is_random(text, at, end) &&
           shape_found(span, at, end, "authorization");
}

/* `bearer …`, and a bot's `123456789:…`. */
static bool
shape_by_context(const struct text *text, size_t start, size_t end,
                 struct kc_mask_span *span)
{
    if (start > 0 && text->bytes[start - 1] == ':' && end - start >= 35) {
        size_t digits = start - 1;
        while (digits > text->from && text->bytes[digits - 1] >= '0' &&
               text->bytes[digits - 1] <= '9')
        {
            digits--;
        }
        size_t count = start - 1 - digits;
        return count >= 8 && count <= 10 &&
               shape_found(span, digits, end, "telegram-token");
    }
    return start > 0 && text->bytes[start - 1] == ' ' &&
           shape_follows(text, start, "bearer ") &&
           shape_authorization_at(text, start, span);
}

/* A PEM private key whose `-----BEGIN` ends at `end`: up to the end of its END line. */
static bool
shape_pem(const struct text *text, size_t end, struct kc_mask_span *span)
{
    static const char mark[] = "PRIVATE KEY-----";
    size_t start = end - strlen("-----BEGIN");
    size_t label = end;
    size_t label_end =
        text->len - end < PEM_LABEL_MAX_BYTES ? text->len : end + PEM_LABEL_MAX_BYTES;
    while (label < label_end && !shape_starts(text, label, mark)) {
        label++;
    }
    if (label == label_end) {
        return false;
    }
    size_t limit =
        text->len - start < PEM_MAX_BYTES ? text->len : start + PEM_MAX_BYTES;
    for (size_t at = label + sizeof mark - 1; at < limit; at++) {
        if (text->bytes[at] == 'P' && shape_starts(text, at, mark)) {
            return shape_found(span, start, at + sizeof mark - 1, "private-key");
        }
    }
    return shape_found(span, start, limit, "private-key"); /* its end is cut off */
}

static bool
shape_in_run(const struct text *text, size_t start, size_t end,
             struct kc_mask_span *span)
{
    static const char begin[] = "-----BEGIN";
    size_t begin_len = sizeof begin - 1;
    for (size_t at = start; at + TOKEN_LEAST <= end; at++) {
        if (shape_in(C_START, text->bytes[at]) &&
            (at == start || !shape_in(C_ALNUM, text->bytes[at - 1])) &&
            shape_prefix(text, at, span))
        {
            return true;
        }
    }
    if (memcmp(text->bytes + end - begin_len, begin, begin_len) == 0) {
        return shape_pem(text, end, span);
    }
    return shape_by_context(text, start, end, span);
}

/* The next run of RUN_LEAST characters or more at or after *start. */
static bool
shape_next_run(const struct text *text, size_t *start, size_t *end)
{
    size_t at = *start;
    while (text->len - at >= RUN_LEAST) {
        size_t i = at + RUN_LEAST;
        while (i > at && shape_in(C_RUN, text->bytes[i - 1])) {
            i--;
        }
        if (i > at) {
            at = i; /* text[i - 1] is no part of a run */
            continue;
        }
        *start = at;
        *end = shape_span(text, at + RUN_LEAST, C_RUN);
        return true;
    }
    return false;
}

/* The password between `://user:` and the `@` at `at`. */
static bool
shape_url_at(const struct text *text, size_t at, struct kc_mask_span *span)
{
    size_t colon = 0;
    size_t i = at;
    size_t least = at > URL_MAX_BYTES ? at - URL_MAX_BYTES : 0;
    while (i > least) {
        if (shape_in(C_STOP, text->bytes[i - 1])) {
            break;
        }
        if (text->bytes[i - 1] == ':') {
            colon = i;
        }
        i--;
    }
    if (i < 3 || colon == 0 || colon == at || colon < text->from ||
        memcmp(text->bytes + i - 3, "://", 3) != 0)
    {
        return false;
    }
    /* A password may hold `@`: the last one before the authority's end counts. */
    for (size_t next = at + 1; next < text->len && next - at < URL_MAX_BYTES; next++) {
        if (shape_in(C_STOP, text->bytes[next])) {
            break;
        }
        if (text->bytes[next] == '@') {
            at = next;
        }
    }
    return shape_found(span, colon, at, "url-credentials");
}

static bool
shape_url(const struct text *text, struct kc_mask_span *span)
{
    size_t at = text->from;
    while (at < text->len) {
        const char *sign = memchr(text->bytes + at, '@', text->len - at);
        if (sign == NULL) {
            return false;
        }
        at = (size_t)(sign - text->bytes);
        if (shape_url_at(text, at, span)) {
            return true;
        }
        at++;
    }
    return false;
}

/* `Basic …`, `Bearer …`: what follows may have no run that is long enough. */
static bool
shape_authorization(const struct text *text, struct kc_mask_span *span)
{
    size_t at = text->from;
    while (at < text->len) {
        const char *letter = memchr(text->bytes + at, 'B', text->len - at);
        if (letter == NULL) {
            return false;
        }
        at = (size_t)(letter - text->bytes);
        size_t scheme = shape_starts(text, at, "Basic ")    ? strlen("Basic ")
                        : shape_starts(text, at, "Bearer ") ? strlen("Bearer ")
                                                            : 0;
        if (scheme > 0 && shape_authorization_at(text, at + scheme, span)) {
            return true;
        }
        at++;
    }
    return false;
}

/* The first secret that shows in a run. */
static bool
shape_run(const struct text *text, struct kc_mask_span *span)
{
    size_t start = text->from;
    size_t end = start;
    while (shape_next_run(text, &start, &end)) {
        if (shape_in_run(text, start, end, span)) {
            return true;
        }
        start = end;
    }
    return false;
}

bool
kc_mask_find_run(const char *bytes, size_t len, size_t from, struct kc_mask_span *span)
{
    return from < len && shape_run(&(struct text){bytes, len, from}, span);
}

bool
kc_mask_find(const char *bytes, size_t len, size_t from, struct kc_mask_span *span)
{
    bool (*const finders[])(const struct text *, struct kc_mask_span *) = {
        shape_url, shape_authorization, shape_run};
    struct text text = {bytes, len, from};
    bool found = false;
    if (from >= len || len - from < KC_MASK_LEAST) {
        return false;
    }
    for (size_t i = 0; i < sizeof finders / sizeof finders[0]; i++) {
        struct kc_mask_span next;
        if (finders[i](&text, &next) && (!found || next.start < span->start)) {
            *span = next;
            found = true;
        }
    }
    return found;
}
