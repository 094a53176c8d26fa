/* The bytes of a record batch (Kafka protocol, record batch format v2) to its records. */
#include "native.h"

int number(Reading *from, long long *found)
{
    unsigned long long value = 0;
    for (int shift = 0; shift < 64 && from->at < from->end; shift += 7) {
        unsigned char byte = *from->at++;
        value |= (unsigned long long)(byte & 127) << shift;
        if (!(byte & 128)) {
            *found = (long long)(value >> 1) ^ -(long long)(value & 1);
            return 1;
        }
    }
    return 0;
}

int sized(Reading *from, const unsigned char **text, Py_ssize_t *length)
{
    long long size;
    if (!number(from, &size) || size > from->end - from->at)
        return 0;
    *text = size < 0 ? NULL : from->at;
    *length = size < 0 ? 0 : (Py_ssize_t)size;
    from->at += *length;
    return 1;
}

/* Go over one record's headers; 0 if they are not what they should be. */
static int skip_headers(Reading *from)
{
    long long count;
    if (!number(from, &count) || count < 0)
        return 0;
    for (; count; count--) {
        const unsigned char *text;
        Py_ssize_t length;
        if (!sized(from, &text, &length) || !text || !sized(from, &text, &length))
            return 0;
    }
    return 1;
}

static PyObject *bytes_or_none(const unsigned char *text, Py_ssize_t length)
{
    return text ? PyBytes_FromStringAndSize((const char *)text, length) : Py_NewRef(Py_None);
}

/* The key of the record before, if it is the same: those of one file follow one another. */
static PyObject *key_of(Record *before, const unsigned char *text, Py_ssize_t length)
{
    char *last;
    Py_ssize_t last_length;
    if (before && text && before->key != Py_None && PyBytes_AsStringAndSize(before->key, &last, &last_length) == 0 &&
        last_length == length && !memcmp(last, text, (size_t)length))
        return Py_NewRef(before->key);
    return bytes_or_none(text, length);
}

static PyObject *corrupt(void)
{
    PyErr_SetString(PyExc_ValueError, "the bytes of a batch are not those of its records");
    return NULL;
}

int row_of(Reading *from, Row *row)
{
    long long length;
    if (!number(from, &length) || length < 1 || length > from->end - from->at)
        return 0;
    Reading record = {from->at + 1, from->at + length};
    from->at += length;
    if (!number(&record, &row->late) || !number(&record, &row->place) || !sized(&record, &row->key, &row->key_length) ||
        !sized(&record, &row->value, &row->value_length))
        return 0;
    row->headers = record.at;
    row->headers_length = record.end - record.at;
    return skip_headers(&record) && record.at == record.end;
}

int row_at(const char *batch, Py_ssize_t size, const char *starts, Py_ssize_t place, Row *row)
{
    long long start;
    memcpy(&start, starts + place * (Py_ssize_t)sizeof start, sizeof start);
    if (start < 0 || start > size)
        return 0;
    Reading from = {(const unsigned char *)batch + start, (const unsigned char *)batch + size};
    return row_of(&from, row);
}

/* scan(batch, start, count) -> (starts, where they end): where each record begins, and at last where all end. */
PyObject *scan(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    const char *batch;
    Py_ssize_t size, start, count;
    if (!PyArg_ParseTuple(arguments, "y#nn", &batch, &size, &start, &count))
        return NULL;
    if (start < 0 || start > size || count < 0 || count > size - start) /* a record has a byte at least */
        return corrupt();
    Reading from = {(const unsigned char *)batch + start, (const unsigned char *)batch + size};
    PyObject *starts = PyBytes_FromStringAndSize(NULL, (count + 1) * (Py_ssize_t)sizeof(long long));
    if (!starts)
        return NULL;
    char *to = PyBytes_AsString(starts);
    for (Py_ssize_t row = 0;; row++) {
        Row found;
        long long at = from.at - (const unsigned char *)batch;
        memcpy(to + row * (Py_ssize_t)sizeof at, &at, sizeof at);
        if (row == count)
            return Py_BuildValue("(NL)", starts, at);
        if (!row_of(&from, &found)) {
            Py_DECREF(starts);
            return corrupt();
        }
    }
}

/* records(batch, starts, first, end, base, numbered, first_stamp, stamp) -> list of Record: some rows of a table. */
PyObject *records(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    const char *batch, *starts;
    Py_ssize_t size, table, first, end;
    long long base, first_stamp, stamp;
    int numbered;
    if (!PyArg_ParseTuple(arguments, "y#y#nnLpLL", &batch, &size, &starts, &table, &first, &end, &base, &numbered,
                          &first_stamp, &stamp))
        return NULL;
    if (first < 0 || end > table / (Py_ssize_t)sizeof(long long))
        return corrupt();
    PyObject *made = PyList_New(0);
    Record *before = NULL;
    for (Py_ssize_t place = first; made && place < end; place++) {
        Row row;
        if (!row_at(batch, size, starts, place, &row)) {
            corrupt();
            Py_CLEAR(made);
            break;
        }
        Record *record = PyObject_New(Record, record_type);
        if (!record) {
            Py_CLEAR(made);
            break;
        }
        record->offset = (long long)((unsigned long long)base + (unsigned long long)(numbered ? place : row.place));
        record->timestamp =
            stamp >= 0 ? stamp : (long long)((unsigned long long)first_stamp + (unsigned long long)row.late);
        record->key = key_of(before, row.key, row.key_length);
        record->value = bytes_or_none(row.value, row.value_length);
        record->coded = bytes_or_none(row.headers, row.headers_length);
        if (!record->key || !record->value || !record->coded || PyList_Append(made, (PyObject *)record) < 0)
            Py_CLEAR(made);
        Py_DECREF(record); /* the list has it */
        before = record;
    }
    return made;
}

/* The headers as pairs, made anew each time: few records of ours are ever asked. */
static PyObject *headers_of(PyObject *object, void *Py_UNUSED(closure))
{
    char *text;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(((Record *)object)->coded, &text, &size) < 0)
        return NULL;
    Reading from = {(const unsigned char *)text, (const unsigned char *)text + size};
    long long count;
    PyObject *pairs = PyList_New(0);
    if (!pairs || !number(&from, &count))
        return pairs;
    for (; count > 0; count--) {
        const unsigned char *name, *value;
        Py_ssize_t name_length, value_length;
        if (!sized(&from, &name, &name_length) || !sized(&from, &value, &value_length))
            break;
        PyObject *key = PyUnicode_DecodeUTF8((const char *)name, name_length, "replace");
        PyObject *held = bytes_or_none(value, value_length);
        PyObject *pair = key && held ? PyTuple_Pack(2, key, held) : NULL;
        Py_XDECREF(key);
        Py_XDECREF(held);
        int appended = pair ? PyList_Append(pairs, pair) : -1;
        Py_XDECREF(pair);
        if (appended < 0) {
            Py_DECREF(pairs);
            return NULL;
        }
    }
    return pairs;
}

static void dealloc(PyObject *object)
{
    Record *record = (Record *)object;
    PyTypeObject *type = Py_TYPE(object);
    Py_XDECREF(record->key);
    Py_XDECREF(record->value);
    Py_XDECREF(record->coded);
    PyObject_Free(object);
    Py_DECREF(type);
}

static PyMemberDef members[] = {
    {"offset", T_LONGLONG, offsetof(Record, offset), READONLY, NULL},
    {"timestamp", T_LONGLONG, offsetof(Record, timestamp), READONLY, NULL},
    {"key", T_OBJECT_EX, offsetof(Record, key), READONLY, NULL},
    {"value", T_OBJECT_EX, offsetof(Record, value), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"headers", headers_of, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, dealloc},
    {Py_tp_members, members},
    {Py_tp_getset, properties},
    {0, NULL},
};

PyType_Spec record_spec = {
    "indexer._native.Record", sizeof(Record), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots,
};
