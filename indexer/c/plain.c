/* Records to action lines and documents, where they are plainly our shipper's. */
#include "native.h"

/* Whether bytes are UTF-8 as RFC 3629 has it: no surrogates, nothing longer than needed, nothing beyond U+10FFFF. */
static int is_utf8(const unsigned char *at, const unsigned char *end)
{
    while (at < end) {
        unsigned long long eight;
        while (end - at >= 8 && (memcpy(&eight, at, 8), !(eight & 0x8080808080808080ULL)))
            at += 8;
        if (at == end)
            break;
        unsigned char first = *at++;
        if (first < 0x80)
            continue;
        int more = first < 0xC2 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF5 ? 3 : 0;
        if (!more || end - at < more)
            return 0;
        unsigned char least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
        unsigned char most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
        if (*at < least || *at > most)
            return 0;
        for (at++; --more; at++)
            if ((*at & 0xC0) != 0x80)
                return 0;
    }
    return 1;
}

/* Whether a value may pass undecoded: one line in braces, of valid characters. */
static int is_one_line(const unsigned char *value, Py_ssize_t length)
{
    return length > 1 && value[0] == '{' && value[length - 1] == '}' && !memchr(value, '\n', (size_t)length) &&
           !memchr(value, '\r', (size_t)length) && is_utf8(value, value + length);
}

/* Whether an id is printable ASCII that needs no escape in JSON, and that Elasticsearch takes. */
static int is_safe_id(const unsigned char *id, Py_ssize_t length)
{
    if (length < 1 || length > 512)
        return 0;
    for (Py_ssize_t i = 0; i < length; i++)
        if (id[i] < 0x21 || id[i] > 0x7E || id[i] == '"' || id[i] == '\\' || id[i] == '|')
            return 0;
    return 1;
}

/* The one header of a record, if it has one alone, it is called t, and it has a value. */
static int only_header(Record *record, const unsigned char **value, Py_ssize_t *length)
{
    char *text;
    Py_ssize_t size, name_length;
    if (PyBytes_AsStringAndSize(record->coded, &text, &size) < 0)
        return 0;
    Reading from = {(const unsigned char *)text, (const unsigned char *)text + size};
    const unsigned char *name;
    long long count;
    return number(&from, &count) && count == 1 && sized(&from, &name, &name_length) && name_length == 1 &&
           *name == 't' && sized(&from, value, length) && *value;
}

/* The last action line that was begun: most records of a chunk are of one stream. */
typedef struct {
    const unsigned char *prefix; /* of a record that lives as long as the list */
    Py_ssize_t length;
    PyObject *line; /* the dictionary has it */
} Begun;

/* The beginning of the action line for what stands before the id; NULL if it is not known, or with an error. */
static PyObject *begin(PyObject *known, const unsigned char *prefix, Py_ssize_t length, Begun *last)
{
    if (last->line && last->length == length && !memcmp(last->prefix, prefix, (size_t)length))
        return last->line;
    PyObject *key = PyBytes_FromStringAndSize((const char *)prefix, length);
    PyObject *line = key ? PyDict_GetItemWithError(known, key) : NULL;
    Py_XDECREF(key);
    if (line && PyBytes_Check(line)) {
        *last = (Begun){prefix, length, line};
        return line;
    }
    return NULL;
}

/* begin, id and end as one line. */
static PyObject *action(PyObject *begun, const unsigned char *id, Py_ssize_t length)
{
    static const char end[] = "\"}}\n";
    Py_ssize_t start = PyBytes_Size(begun);
    PyObject *made = PyBytes_FromStringAndSize(NULL, start + length + 4);
    if (made) {
        char *to = PyBytes_AsString(made);
        memcpy(to, PyBytes_AsString(begun), (size_t)start);
        memcpy(to + start, id, (size_t)length);
        memcpy(to + start + length, end, 4);
    }
    return made;
}

/* The action line of a record; NULL if it is not plainly ours, or with an error. */
static PyObject *line_of(PyObject *object, PyObject *known, int own_ids, Begun *last)
{
    const unsigned char *header;
    char *value;
    Py_ssize_t length, header_length;
    if (Py_TYPE(object) != record_type)
        return NULL;
    Record *record = (Record *)object;
    if (record->value == Py_None || PyBytes_AsStringAndSize(record->value, &value, &length) < 0 ||
        !only_header(record, &header, &header_length))
        return NULL;
    Py_ssize_t bar = header_length;
    while (bar && header[bar - 1] != '|')
        bar--;
    if (!bar || !is_safe_id(header + bar, header_length - bar) || !is_one_line((const unsigned char *)value, length))
        return NULL;
    PyObject *begun = begin(known, header, bar - 1, last);
    if (!begun)
        return NULL;
    return own_ids ? action(begun, header + bar, header_length - bar) : Py_NewRef(begun);
}

/* plain(records, known, own_ids) -> (records, lines, documents, rest): see indexer.native.plain. */
PyObject *plain(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *records, *known;
    int own_ids;
    if (!PyArg_ParseTuple(arguments, "O!O!p", &PyList_Type, &records, &PyDict_Type, &known, &own_ids))
        return NULL;
    PyObject *kept = PyList_New(0), *lines = PyList_New(0), *documents = PyList_New(0), *rest = PyList_New(0);
    Begun last = {NULL, 0, NULL};
    int failed = !kept || !lines || !documents || !rest;
    for (Py_ssize_t row = 0; !failed && row < PyList_Size(records); row++) {
        PyObject *record = PyList_GetItem(records, row);
        PyObject *line = line_of(record, known, own_ids, &last);
        if (line)
            failed = PyList_Append(kept, record) < 0 || PyList_Append(lines, line) < 0 ||
                     PyList_Append(documents, ((Record *)record)->value) < 0;
        else
            failed = PyErr_Occurred() || PyList_Append(rest, record) < 0;
        Py_XDECREF(line);
    }
    PyObject *made = failed ? NULL : PyTuple_Pack(4, kept, lines, documents, rest);
    Py_XDECREF(kept);
    Py_XDECREF(lines);
    Py_XDECREF(documents);
    Py_XDECREF(rest);
    return made;
}
