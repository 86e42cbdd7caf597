/* mask.h -- what must not reach the disk: secret names, and secrets by their shape.
 *
 * A name is secret when one of its whole word parts is in the list of words, or a run
 * of parts is (`api_key`, `apiKey`, `API-KEY`, `x-api-key` all contain api, key), and
 * no exception matches (`token_count`). A text is searched for shapes: provider keys,
 * tokens (JWT), PEM private keys, URLs with credentials; and for secret names with what
 * stands behind them.
 *
 * Threads: built by one; afterwards read only, from any.
 * Owns:    its copies of the words.
 * Fails:   KC_NO_MEMORY.
 */

#ifndef KC_MASK_H
#define KC_MASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plain/status.h"

struct kc_mask;

/* `words` and `exceptions`: `_`-joined lower-case parts, NUL-terminated, NULL at the
 * end of the list. */
KC_MUST_CHECK enum kc_status kc_mask_new(struct kc_mask **mask,
                                         const char *const *words,
                                         const char *const *exceptions);
void kc_mask_free(struct kc_mask *mask);

/* Whether `name` (UTF-8) is secret; *rule (may be NULL) is the word that says so,
 * borrowed from the mask, or the exception that saved it (then false is returned). */
bool kc_mask_name(const struct kc_mask *mask, const char *name, size_t len,
                  const char **rule);

struct kc_mask_span {
    size_t start;
    size_t end;
    const char *shape; /* static: "jwt", "aws-key", "url-credentials", … */
};

#define KC_MASK_LEAST 8u /* no text shorter than this has one: a://:b@ */

/* The first secret at or after `from` in `text`; false where there is none. Fast for
 * texts without one: looks at candidates only. */
bool kc_mask_find(const char *text, size_t len, size_t from, struct kc_mask_span *span);

/* The same of those that show without a sign beside them (mask_signs.h): tokens and
 * keys by their beginning, not what stands in a URL or behind `Basic`. */
bool kc_mask_find_run(const char *text, size_t len, size_t from,
                      struct kc_mask_span *span);

/* The first value at or after `from` that stands behind a secret name: `password=x`,
 * `"token": "x"`, `Key (password)=(x)`, `--api-key x`, `Cookie: x=y; z=w`. Without its
 * quotes or brackets. */
bool kc_mask_find_pair(const struct kc_mask *mask, const char *text, size_t len,
                       size_t from, struct kc_mask_span *span);

/* A first look: false where kc_mask_name() cannot say true. */
bool kc_mask_may_be_name(const struct kc_mask *mask, const char *name, size_t len);

#endif
