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
    unsigned char room[10];
    return varint(room, number) - room;
}

/* pack(records, first, number, delta, key, name, room) -> (bytes, how many, bytes of their values): see shipper.lanes.
 *
 * The records from the first on, as many as have room; the batch's first record always has. */
PyObject *pack(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *records;
    Py_ssize_t row, key_length, name_length, room;
    long long number, delta;
    const char *key, *name;
    if (!PyArg_ParseTuple(arguments, "O!nLLy#y#n", &PyList_Type, &records, &row, &number, &delta, &key, &key_length, &name,
                          &name_length, &room))
        return NULL;
    Py_ssize_t count = PyList_Size(records), values = 0, used = 0, taken = 0, capacity = 0;
    if (count < 0 || row < 0)
        return count < 0 ? NULL : PyErr_Format(PyExc_ValueError, "no such record");
    unsigned char *buffer = NULL;
    for (; row < count; row++, number++, taken++) {
        PyObject *record = PyList_GetItem(records, row);
        Py_ssize_t header_length, value_length;
        const char *header, *value;
        if (!PyTuple_Check(record) || PyTuple_Size(record) != 2) {
            PyErr_SetString(PyExc_TypeError, "a record is a header and a value");
            goto failed;
        }
        if (!(header = view(PyTuple_GetItem(record, 0), &header_length)) ||
            !(value = view(PyTuple_GetItem(record, 1), &value_length)))
            goto failed;
        Py_ssize_t body = 1 + varint_size(delta) + varint_size(number) + varint_size(key_length) + key_length +
                          varint_size(value_length) + value_length + 1 + varint_size(name_length) + name_length +
                          varint_size(header_length) + header_length;
        Py_ssize_t needed = body + varint_size(body);
        if (used + needed > room && number)
            break;
        if (used + needed > capacity) {
            Py_ssize_t wanted = used + needed > 2 * capacity ? used + needed + 65536 : 2 * capacity;
            unsigned char *larger = PyMem_Realloc(buffer, (size_t)wanted);
            if (!larger) {
                PyErr_NoMemory();
                goto failed;
            }
            buffer = larger;
            capacity = wanted;
        }
        unsigned char *to = varint(buffer + used, body);
        *to++ = 0;
        to = varint(varint(to, delta), number);
        to = sized(sized(to, key, key_length), value, value_length);
        to = varint(to, 1);
        to = sized(sized(to, name, name_length), header, header_length);
        used += needed;
        values += value_length;
    }
    PyObject *made = Py_BuildValue("(y#nn)", used ? (char *)buffer : "", used, taken, values);
    PyMem_Free(buffer);
    return made;
failed:
    PyMem_Free(buffer);
    return NULL;
}
