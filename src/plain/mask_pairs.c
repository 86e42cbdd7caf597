/* mask_pairs.c -- kc_mask_find_pair(): secrets that stand behind their names. See
 * mask.h.
 *
 * Looked for from the signs that stand between a name and its value, which most texts
 * have none or few of: `=`, `:` and the `--` of an option.
 */

#include "plain/mask.h"

#include <string.h>

#define NAME_LEAST 2u
#define NAME_MAX_BYTES 100u
#define NAMES_MAX_BYTES 200u /* in parentheses: Key (a, b)=(1, 2) */
#define BLANKS_MAX 4u
#define QUOTES_MAX 3u

struct text {
    const char *bytes;
    size_t len;
};

struct range {
    size_t start;
    size_t end;
};

static bool
pair_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool
pair_at_is(const struct text *text, size_t at, const char *set)
{
    return at < text->len && pair_one_of(text->bytes[at], set);
}

static char
pair_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool
pair_is_word(char c)
{
    char lower = pair_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool
pair_is_name(char c)
{
    return pair_is_word(c) || c == '-';
}

static bool
pair_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What may stand between a name and its sign. */
static bool
pair_encloses(char c)
{
    return c == '"' || c == '\'' || c == '`' || c == ']' || c == '\\';
}

static size_t
pair_skip_blanks(const struct text *text, size_t at)
{
    size_t most = at + BLANKS_MAX;
    while (at < most && at < text->len && pair_is_blank(text->bytes[at])) {
        at++;
    }
    return at;
}

/* Whether [start, end) is `word`, given in lower case. */
static bool
pair_is(const struct text *text, struct range range, const char *word)
{
    size_t len = strlen(word);
    if (range.end - range.start != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (pair_lower(text->bytes[range.start + i]) != word[i]) {
            return false;
        }
    }
    return true;
}

/* Whether a text between `start` and `end` says nothing: None, placeholders of SQL and
 * of templates, what was masked before, the name itself. */
static bool
pair_is_harmless(const struct text *text, struct range value, struct range name,
                 bool quoted)
{
    static const char *const words[] = {"none",  "null", "nil",      "true",
                                        "false", "%s",   "undefined"};
    const char *bytes = text->bytes + value.start;
    size_t len = value.end - value.start;
    size_t stars = 0;
    while (stars < len && bytes[stars] == '*') {
        stars++;
    }
    if (stars == len || (len == name.end - name.start &&
                         memcmp(bytes, text->bytes + name.start, len) == 0))
    {
        return true;
    }
    if (quoted) {
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (pair_is(text, value, words[i])) {
            return true;
        }
    }
    size_t digits = 1;
    while (digits < len && bytes[digits] >= '0' && bytes[digits] <= '9') {
        digits++;
    }
    if (digits == len && (bytes[0] == '?' || (bytes[0] == '$' && len > 1))) {
        return true;
    }
    if (bytes[0] != ':' || len < 2 || (bytes[1] >= '0' && bytes[1] <= '9')) {
        return false;
    }
    for (size_t i = 1; i < len; i++) {
        if (!pair_is_word(bytes[i])) {
            return false;
        }
    }
    return true;
}

/* Where the text ends whose quote `quote` (behind a backslash: `escaped`) is open. */
static size_t
pair_quote_end(const struct text *text, size_t at, char quote, bool escaped)
{
    for (; at < text->len; at++) {
        if (text->bytes[at] == '\\') {
            if (escaped && at + 1 < text->len && text->bytes[at + 1] == quote) {
                return at;
            }
            at += !escaped;
        }
        else if (text->bytes[at] == quote && !escaped) {
            return at;
        }
    }
    return text->len;
}

static size_t
pair_bracket_end(const struct text *text, size_t at, char open)
{
    char close = (char)(open == '(' ? ')' : open == '[' ? ']' : '}');
    for (size_t depth = 1; at < text->len; at++) {
        if (text->bytes[at] == open) {
            depth++;
        }
        else if (text->bytes[at] == close && --depth == 0) {
            return at;
        }
    }
    return text->len;
}

/* Behind `Bearer ` and the like at `at`, or `at`. */
static size_t
pair_skip_scheme(const struct text *text, size_t at)
{
    static const char *const schemes[] = {"bearer", "basic",     "digest",
                                          "token",  "negotiate", "apikey"};
    struct range word = {at, at};
    while (word.end < text->len && pair_is_word(text->bytes[word.end])) {
        word.end++;
    }
    size_t behind = pair_skip_blanks(text, word.end);
    for (size_t i = 0; behind > word.end && i < sizeof schemes / sizeof schemes[0]; i++)
    {
        if (pair_is(text, word, schemes[i])) {
            return behind;
        }
    }
    return at;
}

/* Whether a header of this name has more than one word: all of its line is secret. */
static bool
pair_is_line(const struct text *text, struct range name)
{
    static const char *const words[] = {"cookie", "authorization"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t len = strlen(words[i]);
        struct range ending = {name.end - len, name.end};
        if (name.end - name.start >= len && pair_is(text, ending, words[i])) {
            return true;
        }
    }
    return false;
}

/* What stands for the value at `at`, behind `sign`. */
static bool
pair_value(const struct text *text, size_t at, char sign, struct range name,
           struct kc_mask_span *span)
{
    struct range value;
    bool enclosed = true;
    at = pair_skip_blanks(text, at);
    size_t quote = at;
    while (quote < at + 2 && pair_at_is(text, quote, "bruBRU")) {
        quote++;
    }
    if (pair_at_is(text, quote, "\"'`")) {
        at = quote;
    }
    if (pair_at_is(text, at, "\\") && pair_at_is(text, at + 1, "\"'")) {
        value.start = at + 2;
        value.end = pair_quote_end(text, value.start, text->bytes[at + 1], true);
    }
    else if (pair_at_is(text, at, "\"'`")) {
        value.start = at + 1;
        value.end = pair_quote_end(text, value.start, text->bytes[at], false);
    }
    else if (pair_at_is(text, at, "([{")) {
        value.start = at + 1;
        value.end = pair_bracket_end(text, value.start, text->bytes[at]);
    }
    else {
        const char *stops = " \t\r\n,;&\"'<>)]}`";
        if (sign == ':' && pair_is_line(text, name)) {
            stops = "\r\n\"'";
        }
        value.start = pair_skip_scheme(text, at);
        if (pair_at_is(text, value.start, "%") &&
            pair_at_is(text, value.start + 1, "(")) {
            return false; /* a placeholder, whatever follows */
        }
        value.end = value.start;
        while (value.end < text->len && !pair_one_of(text->bytes[value.end], stops)) {
            value.end++;
        }
        enclosed = false;
    }
    if (value.start >= text->len || value.end == value.start ||
        pair_is_harmless(text, value, name, enclosed))
    {
        return false;
    }
    span->start = value.start;
    span->end = value.end;
    span->shape = "named";
    return true;
}

static bool
pair_is_secret(const struct kc_mask *mask, const struct text *text, struct range name)
{
    size_t len = name.end - name.start;
    return len >= NAME_LEAST &&
           kc_mask_may_be_name(mask, text->bytes + name.start, len) &&
           kc_mask_name(mask, text->bytes + name.start, len, NULL);
}

/* The name, or the names in parentheses, that end before `sign_at`. */
static bool
pair_name(const struct text *text, size_t sign_at, struct range *name)
{
    size_t end = sign_at;
    while (end > 0 && sign_at - end < BLANKS_MAX && pair_is_blank(text->bytes[end - 1]))
    {
        end--;
    }
    size_t quotes = end;
    while (end > 0 && quotes - end < QUOTES_MAX && pair_encloses(text->bytes[end - 1]))
    {
        end--;
    }
    if (end > 0 && text->bytes[end - 1] == ')') {
        name->end = --end;
        while (end > 0 && name->end - end < NAMES_MAX_BYTES &&
               text->bytes[end - 1] != '(') {
            end--;
        }
        name->start = end;
        return end > 0 && text->bytes[end - 1] == '(';
    }
    name->end = end;
    while (end > 0 && name->end - end < NAME_MAX_BYTES &&
           pair_is_name(text->bytes[end - 1]))
    {
        end--;
    }
    name->start = end;
    return end == 0 || !pair_is_name(text->bytes[end - 1]); /* a longer one is none */
}

/* `name=value`, `name: value` with the sign at `at`. */
static bool
pair_sign(const struct kc_mask *mask, const struct text *text, size_t at,
          struct kc_mask_span *span)
{
    struct range name;
    size_t value = at + 1;
    if (text->bytes[at] == ':' && pair_at_is(text, at + 1, "/") &&
        pair_at_is(text, at + 2, "/"))
    {
        return false;
    }
    if (pair_at_is(text, value, "=>")) {
        value++;
    }
    return pair_name(text, at, &name) && pair_is_secret(mask, text, name) &&
           pair_value(text, value, text->bytes[at], name, span);
}

/* `--name value`, also as Python shows a list of words. */
static bool
pair_option(const struct kc_mask *mask, const struct text *text, size_t at,
            struct kc_mask_span *span)
{
    struct range name = {at + 2, at + 2};
    if (at > 0 && pair_is_name(text->bytes[at - 1])) {
        return false;
    }
    while (name.end < text->len && name.end - name.start < NAME_MAX_BYTES &&
           pair_is_name(text->bytes[name.end]))
    {
        name.end++;
    }
    size_t value = name.end;
    value += pair_at_is(text, value, "\"'");
    value += pair_at_is(text, value, ",");
    size_t behind = pair_skip_blanks(text, value);
    if (behind == value || pair_at_is(text, behind, "-") ||
        !pair_is_secret(mask, text, name))
    {
        return false;
    }
    return pair_value(text, behind, ' ', name, span);
}

/* Characters at which something may be found. */
static const bool SIGNS[256] = {['='] = true, [':'] = true, ['-'] = true};

/* Where the first of the signs may be; text->len for none. */
static size_t
pair_first(const struct text *text, size_t from)
{
    static const char signs[] = {'=', ':', '-'};
    size_t first = text->len;
    for (size_t i = 0; i < sizeof signs && from < first; i++) {
        const char *found = memchr(text->bytes + from, signs[i], first - from);
        first = found != NULL ? (size_t)(found - text->bytes) : first;
    }
    return first;
}

bool
kc_mask_find_pair(const struct kc_mask *mask, const char *bytes, size_t len,
                  size_t from, struct kc_mask_span *span)
{
    const struct text text = {bytes, len};
    /* Most texts have none; where there is one, others are near. */
    for (size_t at = pair_first(&text, from); at < len; at++) {
        char c = bytes[at];
        if (!SIGNS[(unsigned char)c]) {
            continue;
        }
        if (c == '=' || c == ':' ? pair_sign(mask, &text, at, span)
                                 : c == '-' && pair_at_is(&text, at + 1, "-") &&
                                       pair_option(mask, &text, at, span))
        {
            return true;
        }
    }
    return false;
}
