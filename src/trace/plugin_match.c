/* plugin_match.c -- which plugins watch a code object. See plugin.h. */

#include "compat.h"

#include "trace/plugin.h"

#include <fnmatch.h>
#include <string.h>

#include "session/interrupt.h"
#include "trace/value.h"

#define TEXT_MOST 1024u /* bytes of a name or path that a pattern is compared with */
#define NO_RULE UINT32_MAX

/* One line of a plugin's `watch`. Rules whose qualified name ends in a plain name are
 * found by that, the others are tried for every code object. */
struct kc_watch_rule {
    struct kc_plugin *plugin;
    char *module; /* patterns; NULL: any */
    char *qualname;
    char *path;
    bool is_named;
    uint32_t next; /* of the same name, or NO_RULE */
};

static bool
match_is_glob(const char *pattern)
{
    return strpbrk(pattern, "*?[") != NULL;
}

static bool
match_text(const char *pattern, PyObject *text)
{
    char buffer[TEXT_MOST + 1];
    if (pattern == NULL) {
        return true;
    }
    if (text == NULL || !PyUnicode_Check(text)) {
        return false;
    }
    size_t length = kc_value_copy_text(text, buffer, TEXT_MOST);
    buffer[length] = '\0';
    return match_is_glob(pattern) ? fnmatch(pattern, buffer, 0) == 0
                                  : strcmp(pattern, buffer) == 0;
}

/* ---- adding ---- */

/* The plain name that `qualname` ends in, or NULL. */
static const char *
match_last_name(const char *qualname)
{
    if (qualname == NULL) {
        return NULL;
    }
    const char *dot = strrchr(qualname, '.');
    const char *name = dot != NULL ? dot + 1 : qualname;
    return match_is_glob(name) ? NULL : name;
}

static int
match_copy(const char *text, char **copy)
{
    if (text == NULL) {
        return 0;
    }
    size_t size = strlen(text) + 1;
    *copy = PyMem_RawMalloc(size);
    if (*copy == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(*copy, text, size);
    return 0;
}

/* Find the rule by its function's name: it goes before those of the same name. */
static int
match_file(struct kc_tracer *tracer, struct kc_watch_rule *rule, uint32_t index)
{
    const char *name = match_last_name(rule->qualname);
    if (name == NULL) {
        return 0;
    }
    int result = -1;
    PyObject *key = PyUnicode_InternFromString(name);
    PyObject *number = PyLong_FromUnsignedLong(index);
    if (key != NULL && number != NULL) {
        PyObject *first = PyDict_GetItemWithError(tracer->watch_names, key);
        rule->next = first != NULL ? (uint32_t)PyLong_AsUnsignedLong(first) : NO_RULE;
        rule->is_named = true;
        result = PyErr_Occurred() != NULL
                     ? -1
                     : PyDict_SetItem(tracer->watch_names, key, number);
    }
    Py_XDECREF(number);
    Py_XDECREF(key);
    return result;
}

int
kc_plugins_watch(struct kc_tracer *tracer, struct kc_plugin *plugin, const char *module,
                 const char *qualname, const char *path)
{
    uint32_t count = tracer->watch_rule_count;
    struct kc_watch_rule *rules =
        PyMem_RawRealloc(tracer->watch_rules, (count + 1) * sizeof *rules);
    if (rules == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    tracer->watch_rules = rules;
    rules[count] = (struct kc_watch_rule){.plugin = plugin, .next = NO_RULE};
    tracer->watch_rule_count++;
    if (match_copy(module, &rules[count].module) < 0 ||
        match_copy(qualname, &rules[count].qualname) < 0 ||
        match_copy(path, &rules[count].path) < 0)
    {
        return -1;
    }
    return match_file(tracer, &rules[count], count);
}

struct kc_plugin *
kc_plugins_add(struct kc_tracer *tracer, PyObject *name)
{
    struct kc_plugin **plugins =
        PyMem_RawRealloc(tracer->plugins, (tracer->plugin_count + 1) * sizeof *plugins);
    struct kc_plugin *plugin =
        plugins != NULL ? PyMem_RawCalloc(1, sizeof *plugin) : NULL;
    if (plugins != NULL) {
        tracer->plugins = plugins;
    }
    if (plugin == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    plugin->index = tracer->plugin_count;
    plugin->name = Py_NewRef(name);
    tracer->plugins[tracer->plugin_count++] = plugin;
    return plugin;
}

void
kc_plugins_clear(struct kc_tracer *tracer)
{
    for (uint32_t i = 0; i < tracer->plugin_count; i++) {
        struct kc_plugin *plugin = tracer->plugins[i];
        Py_CLEAR(plugin->when);
        Py_CLEAR(plugin->start);
        Py_CLEAR(plugin->finish);
        Py_CLEAR(plugin->meets);
        Py_CLEAR(plugin->ignored);
        Py_CLEAR(plugin->simple);
    }
    Py_CLEAR(tracer->load_plugin);
}

void
kc_plugins_free(struct kc_tracer *tracer)
{
    kc_plugins_clear(tracer);
    for (uint32_t i = 0; i < tracer->plugin_count; i++) {
        Py_CLEAR(tracer->plugins[i]->name);
        Py_CLEAR(tracer->plugins[i]->kind);
        PyMem_RawFree(tracer->plugins[i]);
    }
    PyMem_RawFree(tracer->plugins);
    for (uint32_t i = 0; i < tracer->watch_rule_count; i++) {
        PyMem_RawFree(tracer->watch_rules[i].module);
        PyMem_RawFree(tracer->watch_rules[i].qualname);
        PyMem_RawFree(tracer->watch_rules[i].path);
    }
    PyMem_RawFree(tracer->watch_rules);
    Py_CLEAR(tracer->watch_names);
    tracer->plugins = NULL;
    tracer->plugin_count = 0;
    tracer->watch_rules = NULL;
    tracer->watch_rule_count = 0;
}

/* ---- matching ---- */

/* The plugins found for one code object, in their order. */
struct matches {
    PyObject *qualname; /* borrowed: the code object's */
    uint32_t count;
    struct kc_plugin *plugins[KC_PLUGINS_MOST];
};

/* Those that were there before it are called, and it is not. */
KC_COLD static void
match_leave_out(const struct matches *matches, struct kc_plugin *plugin)
{
    PyErr_Format(PyExc_RuntimeError, "%u plugins watch %S already", KC_PLUGINS_MOST,
                 matches->qualname);
    kc_plugin_failed(plugin, "watching");
}

static void
match_add(struct matches *matches, struct kc_plugin *plugin)
{
    uint32_t at = matches->count;
    for (uint32_t i = 0; i < matches->count; i++) {
        if (matches->plugins[i] == plugin) {
            return;
        }
    }
    if (at == KC_PLUGINS_MOST) {
        struct kc_plugin *last = matches->plugins[at - 1];
        match_leave_out(matches, last->index > plugin->index ? last : plugin);
        if (last->index < plugin->index) {
            return;
        }
        matches->count = --at;
    }
    while (at != 0 && matches->plugins[at - 1]->index > plugin->index) {
        matches->plugins[at] = matches->plugins[at - 1];
        at--;
    }
    matches->plugins[at] = plugin;
    matches->count++;
}

static void
match_rule(const struct kc_watch_rule *rule, PyCodeObject *code, PyObject *module,
           PyObject *qualname, struct matches *matches)
{
    if (!rule->plugin->refused && match_text(rule->module, module) &&
        match_text(rule->qualname, qualname) &&
        match_text(rule->path, code->co_filename))
    {
        match_add(matches, rule->plugin);
    }
}

/* Have a built-in plugin imported that watches what the program has begun to use. */
static bool
match_load(struct kc_tracer *tracer, struct kc_plugin *plugin)
{
    if (plugin->loaded) {
        return true;
    }
    PyObject *index = PyLong_FromUnsignedLong(plugin->index);
    PyObject *loaded = index != NULL && tracer->load_plugin != NULL
                           ? PyObject_CallOneArg(tracer->load_plugin, index)
                           : NULL;
    Py_XDECREF(index);
    if (PyErr_Occurred()) {
        kc_plugin_failed(plugin, "loading it");
    }
    Py_XDECREF(loaded);
    plugin->refused = !plugin->loaded;
    return plugin->loaded;
}

/* Show `code` to a plugin; whether its calls are to be shown, too. */
static bool
match_meet(struct kc_plugin *plugin, PyCodeObject *code)
{
    if (plugin->meets == NULL) {
        return true;
    }
    PyObject *met = PyObject_CallOneArg(plugin->meets, (PyObject *)code);
    if (met == NULL) {
        kc_plugin_failed(plugin, "meets()");
    }
    Py_XDECREF(met);
    return plugin->kind != NULL || plugin->start != NULL || plugin->finish != NULL;
}

static void
match_all(struct kc_tracer *tracer, PyCodeObject *code, PyObject *module,
          PyObject *qualname, struct matches *matches)
{
    PyObject *first = PyDict_GetItemWithError(tracer->watch_names, code->co_name);
    uint32_t at = first != NULL ? (uint32_t)PyLong_AsUnsignedLong(first) : NO_RULE;
    PyErr_Clear();
    for (; at != NO_RULE; at = tracer->watch_rules[at].next) {
        match_rule(&tracer->watch_rules[at], code, module, qualname, matches);
    }
    for (uint32_t i = 0; i < tracer->watch_rule_count; i++) {
        if (!tracer->watch_rules[i].is_named) {
            match_rule(&tracer->watch_rules[i], code, module, qualname, matches);
        }
    }
}

void
kc_plugins_match(struct kc_tracer *tracer, PyCodeObject *code, PyObject *module,
                 PyObject *qualname, struct kc_code_watch *watch)
{
    struct matches matches = {.qualname = qualname};
    if (tracer->watch_rule_count == 0) {
        return;
    }
    match_all(tracer, code, module, qualname, &matches);
    uint32_t count = 0;
    for (uint32_t i = 0; i < matches.count; i++) {
        struct kc_plugin *plugin = matches.plugins[i];
        if (match_load(tracer, plugin) && match_meet(plugin, code)) {
            matches.plugins[count++] = plugin;
        }
    }
    if (count == 0) {
        return;
    }
    watch->plugins = PyMem_RawMalloc(count * sizeof(struct kc_plugin *));
    if (watch->plugins != NULL) {
        memcpy(watch->plugins, matches.plugins, count * sizeof(struct kc_plugin *));
        watch->count = (uint8_t)count;
    }
}
