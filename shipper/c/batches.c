/* Records to the bytes of a record batch (Kafka protocol, record batch format v2). */
#include "native.h"

static unsigned char *varint(unsigned char *to, long long number)
{
    unsigned long long left = ((unsigned long long)number << 1) ^ (unsigned long long)(number >> 63);
    while (left > 127) {
        *to++ = (unsigned char)(left | 128);
        left >>= 7;
    }
    *to++ = (unsigned char)left;
    return to;
}

static unsigned char *sized(unsigned char *to, const char *text, Py_ssize_t length)
{
    to = varint(to, length);
    memcpy(to, text, (size_t)length);
    return to + length;
}

static Py_ssize_t varint_size(long long number)
{
    unsigned char bytes[10];
    return varint(bytes, number) - bytes;
}

/* Where the records of a step are: pairs of a header and a value, or those that ``rows`` wrote, with others in between. */
typedef struct {
    PyObject *pairs, *others, *array;
    const char *blob;
    const long long *ends;
    Py_ssize_t count;
} Records;

/* Take a list of pairs, or (blob, ends, others), which has a value or None for each row. */
static int keep_records(Records *records, PyObject *given)
{
    Py_ssize_t length, size;
    *records = (Records){given, NULL, NULL, NULL, NULL, 0};
    if (PyList_Check(given)) {
        records->count = PyList_Size(given);
        return 0;
    }
    PyObject *ends;
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "records are a list or a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "O!SO!", &PyByteArray_Type, &records->array, &ends, &PyList_Type, &records->others))
        return -1;
    records->pairs = NULL;
    records->blob = PyByteArray_AsString(records->array);
    length = PyByteArray_Size(records->array);
    records->ends = (const long long *)(const void *)view(ends, &size);
    records->count = size / (Py_ssize_t)(2 * sizeof(long long));
    int good = PyList_Size(records->others) == records->count;
    for (Py_ssize_t i = 0; good && i < 2 * records->count; i++)
        good = records->ends[i] >= (i ? records->ends[i - 1] : 0) && records->ends[i] <= length;
    if (!good)
        PyErr_SetString(PyExc_ValueError, "no such rows");
    return good ? 0 : -1;
}

static int find_record(const Records *records, Py_ssize_t row, Span *header, Span *value)
{
    if (records->pairs) {
        PyObject *record = PyList_GetItem(records->pairs, row);
        if (!PyTuple_Check(record) || PyTuple_Size(record) != 2) {
            PyErr_SetString(PyExc_TypeError, "a record is a header and a value");
            return -1;
        }
        header->text = view(PyTuple_GetItem(record, 0), &header->length);
        value->text = header->text ? view(PyTuple_GetItem(record, 1), &value->length) : NULL;
        return value->text ? 0 : -1;
    }
    const long long *ends = records->ends + 2 * row;
    long long first = row ? ends[-1] : 0;
    *header = (Span){records->blob + first, (Py_ssize_t)(ends[0] - first)};
    *value = (Span){records->blob + ends[0], (Py_ssize_t)(ends[1] - ends[0])};
    PyObject *other = PyList_GetItem(records->others, row);
    if (other != Py_None)
        value->text = view(other, &value->length);
    else if (!value->length) {
        PyErr_SetString(PyExc_ValueError, "a record without its value");
        return -1;
    }
    return value->text ? 0 : -1;
}

/* pack(records, first, number, delta, key, name, most, blob, used) -> (how many, bytes of their values, used): see
 * shipper.packed.
 *
 * Writes the records from the first on behind what is used of the blob, as many as it may have at most; the batch's first
 * record it always may. */
PyObject *pack(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *given;
    Records records;
    Blob blob;
    Py_ssize_t row, key_length, name_length, most, values = 0, taken = 0;
    long long number, delta;
    const char *key, *name;
    if (!PyArg_ParseTuple(arguments, "OnLLy#y#nO!n", &given, &row, &number, &delta, &key, &key_length, &name, &name_length,
                          &most, &PyByteArray_Type, &blob.array, &blob.used))
        return NULL;
    if (keep_records(&records, given) < 0)
        return NULL;
    if (row < 0 || blob.used < 0 || blob.used > PyByteArray_Size(blob.array) || blob.array == records.array)
        return PyErr_Format(PyExc_ValueError, "no such record, or no such blob");
    if (records.ends && row < records.count) { /* what surely fits, in one piece */
        Py_ssize_t left = (Py_ssize_t)(records.ends[2 * records.count - 1] - records.ends[2 * row]);
        if (!room(&blob, left < most - blob.used ? left : most - blob.used))
            return NULL;
    }
    for (; row < records.count; row++, number++, taken++) {
        Span header, value;
        if (find_record(&records, row, &header, &value) < 0)
            return NULL;
        Py_ssize_t body = 1 + varint_size(delta) + varint_size(number) + varint_size(key_length) + key_length +
                          varint_size(value.length) + value.length + 1 + varint_size(name_length) + name_length +
                          varint_size(header.length) + header.length;
        Py_ssize_t needed = body + varint_size(body);
        if (blob.used + needed > most && number)
            break;
        unsigned char *to = (unsigned char *)room(&blob, needed);
        if (!to)
            return NULL;
        to = varint(to, body);
        *to++ = 0;
        to = varint(varint(to, delta), number);
        to = sized(sized(to, key, key_length), value.text, value.length);
        to = varint(to, 1);
        sized(sized(to, name, name_length), header.text, header.length);
        blob.used += needed;
        values += value.length;
    }
    return Py_BuildValue("(nnn)", taken, values, blob.used);
}
