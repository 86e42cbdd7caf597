/* hook_monitoring.h -- the hook of sys.monitoring (3.12 and newer): skipped code is
 * free.
 *
 * Everything that begins is told once; skipped code answers DISABLE, and is not told of
 * again. Kept code is given events of its own for its ends, and what happens comes as
 * what it is: returned, yielded, resumed, thrown at, left by this exception. Calls of C
 * are never subscribed to. Until 3.14 unwinding and throwing can only be had of all
 * code at once; from 3.15 on unwinding is kept code's own too, and skipped code answers
 * a throw with DISABLE.
 *
 * Threads: each traced thread calls the callbacks, with the GIL.
 * Owns:    the tool (monitoring.h) between begin and end.
 * Fails:   begin with an exception set; the callbacks never.
 */

#ifndef KC_HOOK_MONITORING_H
#define KC_HOOK_MONITORING_H

#include "trace/hook.h"

#if KC_HAS_MONITORING
extern const struct kc_hook kc_hook_monitoring;
#endif

#endif
