/* value_frames.c -- see value_state.h. Debug builds: count the Python frames that run
 * while a value is written, which are none unless `repr = "user"` asked for them.
 *
 * A frame evaluation hook sees every frame of Python code, also those that no profile
 * function is told of; it is there only while a value is being written.
 */

#include "compat.h"

#include "trace/value_state.h"

#ifdef KOLO_C_DEBUG

static struct kc_values *frames_values; /* whose value is being written */
static PyThreadState *frames_thread;    /* and by whom */
static kc_frame_eval frames_before;

static PyObject *
frames_count(PyThreadState *thread, kc_frame *frame, int throwing)
{
    if (thread == frames_thread && frames_values != NULL) {
        frames_values->counters.frame_count++;
    }
    return frames_before(thread, frame, throwing);
}

bool
kc_value_watch_frames(struct kc_values *values)
{
    if (frames_values != NULL) {
        return false; /* a value within a value */
    }
    frames_values = values;
    frames_thread = PyThreadState_Get();
    frames_before = kc_frame_eval_replace(frames_count);
    return true;
}

void
kc_value_unwatch_frames(bool watched)
{
    if (watched) {
        (void)kc_frame_eval_replace(frames_before);
        frames_values = NULL;
    }
}

#endif
