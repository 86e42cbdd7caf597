/* definitions.c -- see definitions.h. */

#define KC_COMPAT_FRAMES
#include "compat.h"
#include "compat_value.h"

#include "session/definitions.h"
#include "session/definitions_write.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "plain/clock.h"
#include "plain/stream.h"
#include "session/text.h"

#define PATH_MAX_BYTES 4096u
#define SOURCE_MAX_BYTES 24576u /* in the log itself; longer text is left out */
#define LINE_TABLE_MAX_BYTES 16384u
#define NAMES_MAX 255
#define TYPES_INITIAL 1024u
#define TYPES_MOST 65536u

/* A type is known by its address, its name object and its module's. They are held, so a
 * type of another name or module at the same address is told apart from the old one.
 * Its version, where it has one, says the same faster. */
struct type_entry {
    PyTypeObject *type; /* never dereferenced: it may have died */
    PyObject *qualname; /* strong; NULL for static types, which do not die */
    PyObject *module;   /* strong; NULL where it is no string */
    unsigned version;
    uint64_t number;
};

struct kc_definitions {
    struct kc_mapping *mapping; /* borrowed */
    struct kc_queue *queue;     /* borrowed */
    struct kc_stream log;
    uint64_t last;
    struct type_entry *types; /* open addressing, a power of two */
    uint32_t type_capacity;
    uint32_t type_count;
    PyObject *strings; /* dict: str -> number */
    PyObject *files;   /* dict: path -> number */
    PyObject *key;     /* "__module__" */
};

struct kc_definitions *
kc_definitions_new(struct kc_mapping *mapping, struct kc_queue *queue)
{
    struct kc_definitions *definitions = PyMem_Calloc(1, sizeof *definitions);
    if (definitions == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    definitions->mapping = mapping;
    definitions->queue = queue;
    kc_stream_init(&definitions->log, 0, 0);
    definitions->type_capacity = TYPES_INITIAL;
    definitions->types = PyMem_Calloc(TYPES_INITIAL, sizeof *definitions->types);
    definitions->strings = PyDict_New();
    definitions->files = PyDict_New();
    definitions->key = PyUnicode_InternFromString("__module__");
    if (definitions->types == NULL || definitions->strings == NULL ||
        definitions->files == NULL || definitions->key == NULL)
    {
        kc_definitions_free(definitions);
        PyErr_NoMemory();
        return NULL;
    }
    return definitions;
}

void
kc_definitions_free(struct kc_definitions *definitions)
{
    if (definitions == NULL) {
        return;
    }
    for (uint32_t i = 0; definitions->types != NULL && i < definitions->type_capacity;
         i++) {
        Py_XDECREF(definitions->types[i].qualname);
        Py_XDECREF(definitions->types[i].module);
    }
    PyMem_Free(definitions->types);
    Py_XDECREF(definitions->strings);
    Py_XDECREF(definitions->files);
    Py_XDECREF(definitions->key);
    PyMem_Free(definitions);
}

uint64_t
kc_definitions_last(const struct kc_definitions *definitions)
{
    return definitions->last;
}

/* Give the log a new block; the old one goes to the queue in the same step. */
KC_COLD static bool
definitions_next_block(struct kc_definitions *definitions)
{
    struct kc_block *block = kc_mapping_take(definitions->mapping);
    if (block == NULL) {
        return false;
    }
    struct kc_block *full = kc_stream_take_block(&definitions->log, NULL, 0);
    uint64_t first = definitions->last + 1;
    uint64_t first_before = definitions->log.next_node;
    if (full != NULL) {
        full->definition = definitions->log.next_node; /* its first number */
    }
    kc_stream_give_block(&definitions->log, block, KC_BLOCK_DEFINITIONS, kc_clock_ns());
    block->definition = first;
    definitions->log.next_node = first;
    if (kc_queue_set_definitions(definitions->queue, block, full) == KC_OK) {
        return true;
    }
    /* Nobody would ever save the new block: stay with the full one, where nothing fits.
     */
    (void)kc_stream_take_block(&definitions->log, NULL, 0);
    kc_mapping_give(definitions->mapping, block);
    definitions->log.next_node = first_before;
    definitions->log.next_sequence--;
    definitions->log.block = full;
    if (full != NULL) {
        definitions->log.at = full->data + kc_block_bytes(full);
        definitions->log.end = definitions->log.at;
    }
    return false;
}

/* Open definition `kind` with `fields` fields after its number. */
static struct kc_cursor
definitions_begin(struct kc_definitions *definitions, enum kc_definition kind,
                  size_t fields)
{
    struct kc_cursor cursor = kc_stream_begin_plain(&definitions->log);
    if (cursor.status != KC_OK) {
        return cursor;
    }
    kc_wire_array(&cursor, fields + 2);
    kc_wire_uint(&cursor, kind);
    kc_wire_uint(&cursor, definitions->last + 1);
    return cursor;
}

/* Publish it, and return its number. */
static uint64_t
definitions_commit(struct kc_definitions *definitions, const struct kc_cursor *cursor)
{
    kc_stream_commit(&definitions->log, cursor, definitions->log.last_ns);
    return ++definitions->last;
}

uint64_t
kc_definitions_write(struct kc_definitions *definitions, enum kc_definition kind,
                     size_t fields, kc_write_fields write, const void *facts)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        struct kc_cursor cursor = definitions_begin(definitions, kind, fields);
        if (cursor.status == KC_OK) {
            write(&cursor, facts);
        }
        if (cursor.status == KC_OK) {
            return definitions_commit(definitions, &cursor);
        }
        if (attempt == 0 && !definitions_next_block(definitions)) {
            break;
        }
    }
    return 0;
}

void
kc_definitions_write_name(struct kc_cursor *cursor, PyObject *text, size_t most)
{
    if (text == NULL || !PyUnicode_Check(text)) {
        kc_wire_nil(cursor);
        return;
    }
    kc_text_write(cursor, text, most);
}

/* ---- strings ---- */

static void
write_string(struct kc_cursor *cursor, const void *facts)
{
    kc_text_write(cursor, (PyObject *)(uintptr_t)facts, KC_NAME_MAX_BYTES);
}

/* The number that `table` has for `key`, or 0. Keys are exact strings: no user code. */
static uint64_t
table_get(PyObject *table, PyObject *key)
{
    PyObject *number = PyDict_GetItemWithError(table, key);
    if (number == NULL) {
        PyErr_Clear();
        return 0;
    }
    return PyLong_AsUnsignedLongLong(number);
}

static void
table_set(PyObject *table, PyObject *key, uint64_t number)
{
    PyObject *value = PyLong_FromUnsignedLongLong(number);
    if (value == NULL || PyDict_SetItem(table, key, value) < 0) {
        PyErr_Clear(); /* it will be defined once more */
    }
    Py_XDECREF(value);
}

uint64_t
kc_definitions_string(struct kc_definitions *definitions, PyObject *text)
{
    uint64_t number = table_get(definitions->strings, text);
    if (number == 0) {
        number =
            kc_definitions_write(definitions, KC_DEF_STRING, 1, write_string, text);
        if (number != 0) {
            table_set(definitions->strings, text, number);
        }
    }
    return number;
}

/* ---- types ---- */

static PyObject *
type_borrow_qualname(PyTypeObject *type)
{
    if (type->tp_flags & Py_TPFLAGS_HEAPTYPE) {
        return ((PyHeapTypeObject *)type)->ht_qualname;
    }
    return NULL;
}

/* The entry `__module__`, which is mostly the first; no key but exact strings is
 * compared, as others may have an __eq__ of their own. */
static PyObject *
type_borrow_module_entry(const struct kc_definitions *definitions, PyTypeObject *type)
{
    Py_ssize_t at = 0;
    PyObject *name;
    PyObject *entry;
    while (type->tp_dict != NULL && PyDict_Next(type->tp_dict, &at, &name, &entry)) {
        if (name == definitions->key ||
            (PyUnicode_CheckExact(name) &&
             PyUnicode_CompareWithASCIIString(name, "__module__") == 0))
        {
            return entry;
        }
    }
    return NULL;
}

static PyObject *
type_borrow_module(const struct kc_definitions *definitions, PyTypeObject *type)
{
    if (!(type->tp_flags & Py_TPFLAGS_HEAPTYPE)) {
        return NULL;
    }
    PyObject *module = type_borrow_module_entry(definitions, type);
    return module != NULL && PyUnicode_CheckExact(module) ? module : NULL;
}

struct type_facts {
    PyTypeObject *type;
    PyObject *module; /* borrowed; whatever stands there */
};

static void
write_type(struct kc_cursor *cursor, const void *facts)
{
    PyTypeObject *type = ((const struct type_facts *)facts)->type;
    PyObject *qualname = type_borrow_qualname(type);
    if (qualname != NULL) {
        PyObject *module = ((const struct type_facts *)facts)->module;
        kc_definitions_write_name(cursor, module, KC_NAME_MAX_BYTES);
        kc_definitions_write_name(cursor, qualname, KC_NAME_MAX_BYTES);
        return;
    }
    const char *name = type->tp_name != NULL ? type->tp_name : "?";
    const char *dot = strrchr(name, '.');
    if (dot == NULL) {
        kc_wire_text(cursor, "builtins");
        kc_wire_text(cursor, name);
    }
    else {
        kc_wire_str(cursor, name, (size_t)(dot - name));
        kc_wire_text(cursor, dot + 1);
    }
}

static struct type_entry *
type_find(struct type_entry *types, uint32_t capacity, PyTypeObject *type)
{
    uint32_t mask = capacity - 1;
    uint32_t at = (uint32_t)(((uintptr_t)type >> 4) * 0x9E3779B1u) & mask;
    while (types[at].type != NULL && types[at].type != type) {
        at = (at + 1) & mask;
    }
    return &types[at];
}

KC_COLD static bool
types_grow(struct kc_definitions *definitions)
{
    uint32_t capacity = definitions->type_capacity * 2;
    struct type_entry *types = PyMem_Calloc(capacity, sizeof *types);
    if (types == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < definitions->type_capacity; i++) {
        const struct type_entry *old = &definitions->types[i];
        if (old->type != NULL) {
            *type_find(types, capacity, old->type) = *old;
        }
    }
    PyMem_Free(definitions->types);
    definitions->types = types;
    definitions->type_capacity = capacity;
    return true;
}

KC_COLD static uint64_t
type_define(struct kc_definitions *definitions, PyTypeObject *type)
{
    if (definitions->type_count >= TYPES_MOST ||
        (definitions->type_count * 2 >= definitions->type_capacity &&
         !types_grow(definitions)))
    {
        return 0;
    }
    const struct type_facts facts = {type, type_borrow_module_entry(definitions, type)};
    uint64_t number =
        kc_definitions_write(definitions, KC_DEF_TYPE, 2, write_type, &facts);
    if (number == 0) {
        return 0;
    }
    struct type_entry *entry =
        type_find(definitions->types, definitions->type_capacity, type);
    if (entry->type == NULL) {
        definitions->type_count++;
    }
    PyObject *old_qualname = entry->qualname;
    PyObject *old_module = entry->module;
    entry->type = type;
    entry->qualname = Py_XNewRef(type_borrow_qualname(type));
    entry->module = Py_XNewRef(type_borrow_module(definitions, type));
    entry->version = kc_type_version(type);
    entry->number = number;
    Py_XDECREF(old_qualname);
    Py_XDECREF(old_module);
    return number;
}

uint64_t
kc_definitions_type(struct kc_definitions *definitions, PyTypeObject *type)
{
    struct type_entry *entry =
        type_find(definitions->types, definitions->type_capacity, type);
    if (KC_LIKELY(entry->type == type && entry->qualname == type_borrow_qualname(type)))
    {
        unsigned version = kc_type_version(type);
        if (KC_LIKELY(version != 0 && version == entry->version)) {
            return entry->number;
        }
        if (entry->module == type_borrow_module(definitions, type)) {
            entry->version = version;
            return entry->number;
        }
    }
    return type_define(definitions, type);
}

/* ---- files and code ---- */

struct file_facts {
    PyObject *path;
    PyObject *source;
    bool found;
    uint64_t size;
    uint64_t mtime_ns;
};

static void
write_file(struct kc_cursor *cursor, const void *facts)
{
    const struct file_facts *file = facts;
    kc_text_write(cursor, file->path, PATH_MAX_BYTES);
    if (file->found) {
        kc_wire_uint(cursor, file->size);
        kc_wire_uint(cursor, file->mtime_ns);
    }
    else {
        kc_wire_nil(cursor);
        kc_wire_nil(cursor);
    }
    kc_definitions_write_name(cursor, file->source, SOURCE_MAX_BYTES);
}

uint64_t
kc_definitions_file(struct kc_definitions *definitions, PyObject *path,
                    PyObject *source)
{
    uint64_t number = table_get(definitions->files, path);
    if (number != 0) {
        return number;
    }
    struct file_facts facts = {path, source, false, 0, 0};
    struct stat status;
    PyObject *bytes = source == NULL ? PyUnicode_EncodeFSDefault(path) : NULL;
    if (bytes != NULL && stat(PyBytes_AS_STRING(bytes), &status) == 0 &&
        S_ISREG(status.st_mode))
    {
        facts.found = true;
        facts.size = (uint64_t)status.st_size;
#if defined(__APPLE__)
        facts.mtime_ns = (uint64_t)status.st_mtimespec.tv_sec * 1000000000u +
                         (uint64_t)status.st_mtimespec.tv_nsec;
#else
        facts.mtime_ns = (uint64_t)status.st_mtim.tv_sec * 1000000000u +
                         (uint64_t)status.st_mtim.tv_nsec;
#endif
    }
    Py_XDECREF(bytes);
    PyErr_Clear(); /* a path that the file system cannot spell has no file */
    number = kc_definitions_write(definitions, KC_DEF_FILE, 4, write_file, &facts);
    if (number != 0) {
        table_set(definitions->files, path, number);
    }
    return number;
}

static void
write_slot_names(struct kc_cursor *cursor, const PyCodeObject *code, int from, int to)
{
    int shown = to - from < NAMES_MAX ? to - from : NAMES_MAX;
    kc_wire_array(cursor, (size_t)shown);
    for (int i = from; i < from + shown; i++) {
        kc_text_write(cursor, kc_code_borrow_slot_name(code, i), KC_NAME_MAX_BYTES);
    }
}

static void
write_code(struct kc_cursor *cursor, const void *facts)
{
    const struct kc_code_facts *about = facts;
    const PyCodeObject *code = about->code;
    kc_wire_uint(cursor, about->file);
    kc_text_write(cursor, about->qualname, KC_NAME_MAX_BYTES);
    kc_definitions_write_name(cursor, about->module, KC_NAME_MAX_BYTES);
    kc_wire_int(cursor, code->co_firstlineno);
    kc_wire_uint(cursor, (uint64_t)code->co_flags);
    write_slot_names(cursor, code, 0, about->argument_count);
    write_slot_names(cursor, code, about->argument_count,
                     about->brief ? about->argument_count : kc_code_slot_count(code));
    PyObject *lines = code->co_linetable;
    if (!about->brief && lines != NULL && PyBytes_Check(lines) &&
        PyBytes_GET_SIZE(lines) <= (Py_ssize_t)LINE_TABLE_MAX_BYTES)
    {
        kc_wire_bin(cursor, PyBytes_AS_STRING(lines), (size_t)PyBytes_GET_SIZE(lines));
    }
    else {
        kc_wire_nil(cursor);
    }
    kc_wire_uint(cursor, (uint64_t)about->self_kind);
    kc_text_write(cursor, code->co_name, KC_NAME_MAX_BYTES);
}

uint64_t
kc_definitions_code(struct kc_definitions *definitions,
                    const struct kc_code_facts *facts)
{
    uint64_t number =
        kc_definitions_write(definitions, KC_DEF_CODE, 10, write_code, facts);
    if (number == 0) {
        struct kc_code_facts brief = *facts;
        brief.brief = true;
        number = kc_definitions_write(definitions, KC_DEF_CODE, 10, write_code, &brief);
    }
    return number;
}
