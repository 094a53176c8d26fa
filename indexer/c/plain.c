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

/* Whether all bytes are of ASCII and none of them controls, eight at a time: most values are so. */
static int is_printable(const unsigned char *at, Py_ssize_t length)
{
    const unsigned long long high = 0x8080808080808080ULL;
    unsigned long long any = 0, all = high, eight;
    for (; length >= 8; at += 8, length -= 8) {
        memcpy(&eight, at, 8);
        any |= eight;
        all &= (eight & ~high) + 0x6060606060606060ULL; /* no sum is carried on: 7F + 60 is less than 100 */
    }
    for (; length; at++, length--)
        if (*at < 0x20 || *at > 0x7F)
            return 0;
    return !(any & high) && (all & high) == high;
}

/* Whether a value may pass undecoded: one line in braces, of valid characters. */
static int is_one_line(const unsigned char *value, Py_ssize_t length)
{
    if (length < 2 || value[0] != '{' || value[length - 1] != '}')
        return 0;
    return is_printable(value, length) || (!memchr(value, '\n', (size_t)length) &&
                                           !memchr(value, '\r', (size_t)length) && is_utf8(value, value + length));
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

/* The one header in these bytes, if it is one alone, it is called t, and it has a value. */
static int only_header(const unsigned char *headers, Py_ssize_t size, const unsigned char **value, Py_ssize_t *length)
{
    Reading from = {headers, headers + size};
    const unsigned char *name;
    Py_ssize_t name_length;
    long long count;
    return number(&from, &count) && count == 1 && sized(&from, &name, &name_length) && name_length == 1 &&
           *name == 't' && sized(&from, value, length) && *value;
}

/* The last action line that was begun: most records of a chunk are of one stream. */
typedef struct {
    const unsigned char *prefix; /* of bytes that live as long as the call */
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

/* The parts of an action line and its document, where a record is plainly ours. */
typedef struct {
    PyObject *begun;
    const unsigned char *id, *value;
    Py_ssize_t id_length, value_length;
} Action;

/* What stands in a record's headers and value; 0 if it is not plainly ours, or with an error. */
static int action_of(const unsigned char *headers, Py_ssize_t size, PyObject *known, Begun *last, Action *action)
{
    const unsigned char *header;
    Py_ssize_t length;
    if (!action->value || !only_header(headers, size, &header, &length))
        return 0;
    Py_ssize_t bar = length;
    while (bar && header[bar - 1] != '|')
        bar--;
    action->id = header + bar;
    action->id_length = length - bar;
    if (!bar || !is_safe_id(action->id, action->id_length) || !is_one_line(action->value, action->value_length))
        return 0;
    action->begun = begin(known, header, bar - 1, last);
    return action->begun != NULL;
}

static const char line_end[] = "\"}}\n";
enum { LINE_END = sizeof line_end - 1 };

/* How long the action line is. */
static Py_ssize_t line_length(const Action *action, int own_ids)
{
    return PyBytes_Size(action->begun) + (own_ids ? action->id_length + LINE_END : 0);
}

/* Write it; returns where it ends. */
static char *write_line(char *to, const Action *action, int own_ids)
{
    Py_ssize_t begun = PyBytes_Size(action->begun);
    memcpy(to, PyBytes_AsString(action->begun), (size_t)begun);
    to += begun;
    if (own_ids) {
        memcpy(to, action->id, (size_t)action->id_length);
        memcpy(to + action->id_length, line_end, LINE_END);
        to += action->id_length + LINE_END;
    }
    return to;
}

/* The action line of a record; NULL if it is not plainly ours, or with an error. */
static PyObject *line_of(PyObject *object, PyObject *known, int own_ids, Begun *last)
{
    char *headers, *value;
    Py_ssize_t size;
    Action action;
    if (Py_TYPE(object) != record_type)
        return NULL;
    Record *record = (Record *)object;
    if (record->value == Py_None || PyBytes_AsStringAndSize(record->value, &value, &action.value_length) < 0 ||
        PyBytes_AsStringAndSize(record->coded, &headers, &size) < 0)
        return NULL;
    action.value = (const unsigned char *)value;
    if (!action_of((const unsigned char *)headers, size, known, last, &action))
        return NULL;
    if (!own_ids)
        return Py_NewRef(action.begun);
    PyObject *made = PyBytes_FromStringAndSize(NULL, line_length(&action, own_ids));
    if (made)
        write_line(PyBytes_AsString(made), &action, own_ids);
    return made;
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

/* The actions of a request, and how many bytes they are. */
typedef struct {
    Action *all;
    Py_ssize_t count, size;
} Actions;

/* Add the rows of one stretch; 1 if all are in, 0 if one is not plainly ours, -1 with an error. */
static int add_stretch(Actions *to, PyObject *stretch, PyObject *known, int own_ids, Begun *last)
{
    const char *batch, *starts;
    Py_ssize_t size, table, first, end;
    long long base, first_stamp, stamp;
    if (!PyArg_ParseTuple(stretch, "y#y#nnLLL", &batch, &size, &starts, &table, &first, &end, &base, &first_stamp,
                          &stamp))
        return -1;
    if (first < 0 || first > end || end > table / (Py_ssize_t)sizeof(long long))
        return 0;
    Action *grown = PyMem_Realloc(to->all, (size_t)(to->count + end - first) * sizeof *grown + 1);
    if (!grown) {
        PyErr_NoMemory();
        return -1;
    }
    to->all = grown;
    for (Py_ssize_t place = first; place < end; place++) {
        Row row;
        if (!row_at(batch, size, starts, place, &row))
            return 0;
        Action *action = &to->all[to->count++];
        action->value = row.value;
        action->value_length = row.value_length;
        if (!action_of(row.headers, row.headers_length, known, last, action))
            return PyErr_Occurred() ? -1 : 0;
        to->size += line_length(action, own_ids) + row.value_length + 1;
    }
    return 1;
}

/* body(stretches, known, own_ids) -> bytes, or None: see indexer.native.body. */
PyObject *body(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *stretches, *known, *made = NULL;
    int own_ids, whole = 1;
    if (!PyArg_ParseTuple(arguments, "O!O!p", &PyList_Type, &stretches, &PyDict_Type, &known, &own_ids))
        return NULL;
    Actions actions = {NULL, 0, 0};
    Begun last = {NULL, 0, NULL};
    for (Py_ssize_t row = 0; whole == 1 && row < PyList_Size(stretches); row++)
        whole = add_stretch(&actions, PyList_GetItem(stretches, row), known, own_ids, &last);
    if (whole == 0)
        made = Py_NewRef(Py_None);
    else if (whole == 1)
        made = PyBytes_FromStringAndSize(NULL, actions.size);
    if (made && whole == 1) {
        char *to = PyBytes_AsString(made);
        for (Py_ssize_t row = 0; row < actions.count; row++) {
            const Action *action = &actions.all[row];
            to = write_line(to, action, own_ids);
            memcpy(to, action->value, (size_t)action->value_length);
            to += action->value_length;
            *to++ = '\n';
        }
    }
    PyMem_Free(actions.all);
    return made;
}
