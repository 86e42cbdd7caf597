/* plugin.h -- plugins: which code they watch, and what becomes of a call of it.
 *
 * A plugin is two handlers, start and finish, in Python, that make the fields of a
 * record; two that make none are in C (carry.h). Which code it watches is matched here,
 * once per code object, and kept with the verdict (kc_code.plugins). A call of watched
 * code has one entry for each plugin that wants it, below its own entry: that one is
 * silent where no filter keeps the code.
 *
 * Threads: the traced thread, with the GIL, the guard up.
 * Owns:    the plugins and the patterns of a tracer, until kc_plugins_free().
 * Fails:   never towards the hook: a handler that raises is counted, and the first time
 *          its words are kept. A KeyboardInterrupt that struck in it is the program's.
 */

#ifndef KC_PLUGIN_H
#define KC_PLUGIN_H

#include "trace/carry.h"
#include "trace/tracer.h"

#define KC_PLUGINS_MOST 8u /* that watch one code object */

struct kc_plugin {
    uint32_t index;
    PyObject *name;       /* str */
    PyObject *kind;       /* (name, label, colour, summary), or NULL: no records */
    uint64_t kind_number; /* of its definition; 0: not written yet */
    PyObject *when;       /* handlers: callables, or NULL */
    PyObject *start;
    PyObject *finish;
    PyObject *meets;   /* … called once with each code object that it watches */
    PyObject *ignored; /* set of functions, or NULL: what returns none but these is not
                        * shown to finish() */
    PyObject *simple;  /* (what Python has of it, names of attributes, holds() or None),
                          where its boundaries are simple; or NULL */
    enum kc_carry carry; /* what it does instead of calling them */
    bool loaded;   /* handlers are known: built-in ones are imported at a first match */
    bool refused;  /* they could not be */
    bool boundary; /* a call is a trace of its own … */
    bool apart;    /* … also within that of another */
    struct kc_value_options options;
    uint64_t call_count;
    uint64_t handler_ns;
    uint64_t error_count;
    char error_text[160]; /* of the first error */
};

/* What watches a code object, into *watch (PyMem_Raw; nothing where nothing does).
 * `module` may be NULL. Built-in plugins are imported: Python runs. */
KC_COLD void kc_plugins_match(struct kc_tracer *tracer, PyCodeObject *code,
                              PyObject *module, PyObject *qualname,
                              struct kc_code_watch *watch);

/* What start() of each plugin gave for one call. */
struct kc_plugin_call {
    struct kc_plugin *plugin; /* borrowed */
    PyObject *started;
};

struct kc_plugin_calls {
    uint32_t count;
    struct kc_plugin_call calls[KC_PLUGINS_MOST];
};

/* Show the beginning of a call to the plugins; outside every trace only to those that
 * open one, or make no records. */
KC_COLD void kc_plugins_start(struct kc_thread *thread, kc_frame *frame,
                              const struct kc_code *code,
                              struct kc_plugin_calls *calls);

/* The one of them that opens a trace; NULL for none. */
const struct kc_plugin_call *kc_plugins_boundary(const struct kc_plugin_calls *calls);

/* Push an entry for each, and write its record; how many there are. Takes what start()
 * gave. */
KC_COLD uint8_t kc_plugins_push(struct kc_thread *thread, const struct kc_code *code,
                                struct kc_plugin_calls *calls, uint64_t now_ns);

/* Where none can be pushed. */
void kc_plugins_drop(struct kc_plugin_calls *calls);

/* How a watched call ended. */
struct kc_plugin_end {
    PyObject *value;     /* or NULL: left by an exception … */
    PyObject *exception; /* … or NULL: of unknown type */
};

/* The call of the topmost entry, which has a record no more, has ended: show that to
 * its plugins, whose entries are right below, and end their records. What finish() of
 * the one that opens a trace gave goes to *opened: a new reference, or NULL. False
 * where a handler has ended the trace: the entries are no more. */
KC_COLD bool kc_plugins_finish(struct kc_thread *thread, kc_frame *frame,
                               const struct kc_plugin_end *end, uint64_t now_ns,
                               PyObject **opened);

/* It is suspended, or goes on: so are they. The first takes them off the stack, the
 * second pushes them and returns how many. */
KC_COLD struct kc_waiting_plugins *kc_plugins_suspend(struct kc_thread *thread,
                                                      uint64_t offset, uint64_t now_ns);
KC_COLD uint8_t kc_plugins_resume(struct kc_thread *thread, const struct kc_code *code,
                                  const struct kc_waiting *waiting, uint64_t now_ns);

/* A plugin, not loaded; NULL with an exception set. */
struct kc_plugin *kc_plugins_add(struct kc_tracer *tracer, PyObject *name);

/* It watches code of this module, qualified name, path: patterns as of fnmatch(3), NULL
 * for any. -1 with an exception set. */
int kc_plugins_watch(struct kc_tracer *tracer, struct kc_plugin *plugin,
                     const char *module, const char *qualname, const char *path);

/* The number of its kind's definition, written first where it is new; 0 where that
 * cannot be. */
uint64_t kc_plugin_kind(struct kc_session *session, struct kc_plugin *plugin);

/* Count an error of it that is set, and clear it. */
KC_COLD void kc_plugin_failed(struct kc_plugin *plugin, const char *where);

/* Let go of the handlers, which lead back to the session; and of everything. */
void kc_plugins_clear(struct kc_tracer *tracer);
void kc_plugins_free(struct kc_tracer *tracer);

#endif
