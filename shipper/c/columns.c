/* Texts for all lines of a chunk: columns to rows, offsets, sizes, headers. */
#include "native.h"

/* interleave(parts) -> list of bytes: see shipper.columns.interleave. */
PyObject *interleave(PyObject *Py_UNUSED(self), PyObject *given)
{
    PyObject *made = NULL, *sequence = PySequence_Tuple(given);
    if (!sequence)
        return NULL;
    Py_ssize_t count = PyTuple_Size(sequence), rows = PY_SSIZE_T_MAX;
    PyObject **columns = PyMem_Calloc((size_t)count + 1, sizeof(PyObject *)); /* NULL: the same text for every row */
    Span *spans = PyMem_Calloc((size_t)count + 1, sizeof(Span));
    if (!columns || !spans) {
        PyErr_NoMemory();
        goto done;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *part = PyTuple_GetItem(sequence, i);
        if (PyBytes_Check(part)) {
            spans[i].text = view(part, &spans[i].length);
            continue;
        }
        if (!(columns[i] = PySequence_Tuple(part)))
            goto done;
        Py_ssize_t length = PyTuple_Size(columns[i]);
        rows = length < rows ? length : rows;
    }
    if (rows == PY_SSIZE_T_MAX) {
        PyErr_SetString(PyExc_ValueError, "no part is a column");
        goto done;
    }
    made = PyList_New(rows);
    for (Py_ssize_t row = 0; made && row < rows; row++) {
        int good = 1;
        for (Py_ssize_t i = 0; good && i < count; i++)
            if (columns[i])
                good = (spans[i].text = view(PyTuple_GetItem(columns[i], row), &spans[i].length)) != NULL;
        PyObject *text = good ? joined(spans, count) : NULL;
        if (!text || PyList_SetItem(made, row, text) < 0)
            Py_CLEAR(made);
    }
done:
    for (Py_ssize_t i = 0; columns && i < count; i++)
        Py_XDECREF(columns[i]);
    PyMem_Free(columns);
    PyMem_Free(spans);
    Py_DECREF(sequence);
    return made;
}

/* How long each line is, and where it begins: (offset, length) to one bytes object. */
typedef PyObject *(*Turn)(unsigned long long offset, Py_ssize_t length);

static PyObject *offset_of(unsigned long long offset, Py_ssize_t length)
{
    char text[24];
    (void)length;
    return PyBytes_FromStringAndSize(text, digits(text, offset, 1));
}

static PyObject *size_of(unsigned long long offset, Py_ssize_t length)
{
    char text[24];
    (void)offset;
    return PyBytes_FromStringAndSize(text, digits(text, (unsigned long long)length + 1, 1));
}

static PyObject *each_line(PyObject *lines, unsigned long long offset, Turn turn)
{
    if (!PyList_Check(lines))
        return PyErr_Format(PyExc_TypeError, "lines must be a list");
    Py_ssize_t count = PyList_Size(lines), length;
    PyObject *made = count < 0 ? NULL : PyList_New(count);
    for (Py_ssize_t row = 0; made && row < count; row++) {
        PyObject *text = NULL;
        if (view(PyList_GetItem(lines, row), &length)) {
            text = turn(offset, length);
            offset += (unsigned long long)length + 1;
        }
        if (!text || PyList_SetItem(made, row, text) < 0)
            Py_CLEAR(made);
    }
    return made;
}

/* offsets(lines, start) -> list of bytes: where in the file each line begins. */
PyObject *offsets(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *lines;
    unsigned long long start;
    return PyArg_ParseTuple(arguments, "OK", &lines, &start) ? each_line(lines, start, offset_of) : NULL;
}

/* sizes(lines) -> list of bytes: how many bytes each line has with its line feed. */
PyObject *sizes(PyObject *Py_UNUSED(self), PyObject *lines)
{
    return each_line(lines, 0, size_of);
}

/* headers(lines, start, repeats, fresh, again, checksums) -> list of bytes: see shipper.records. */
PyObject *headers(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    static const char hex[] = "0123456789abcdef";
    PyObject *lines, *made = NULL;
    unsigned long long offset;
    Py_ssize_t repeats, lengths[2], length;
    const char *prefixes[2];
    Py_buffer checksums;
    if (!PyArg_ParseTuple(arguments, "O!Kny#y#y*", &PyList_Type, &lines, &offset, &repeats, &prefixes[0], &lengths[0], &prefixes[1],
                          &lengths[1], &checksums))
        return NULL;
    Py_ssize_t count = PyList_Size(lines);
    if (count >= 0 && checksums.len != count * 4)
        PyErr_SetString(PyExc_ValueError, "not a checksum for each line");
    else if (count >= 0)
        made = PyList_New(count);
    for (Py_ssize_t row = 0; made && row < count; row++) {
        char number[24], *to;
        unsigned int checksum;
        int which = row < repeats, width = digits(number, offset, 16);
        PyObject *text = PyBytes_FromStringAndSize(NULL, lengths[which] + width + 9);
        if (!text || !view(PyList_GetItem(lines, row), &length)) {
            Py_XDECREF(text);
            Py_CLEAR(made);
            break;
        }
        to = PyBytes_AsString(text);
        memcpy(to, prefixes[which], (size_t)lengths[which]);
        to += lengths[which];
        memcpy(to, number, (size_t)width);
        to += width;
        *to++ = ':';
        memcpy(&checksum, (const char *)checksums.buf + row * 4, 4);
        for (int i = 7; i >= 0; i--, checksum >>= 4)
            to[i] = hex[checksum & 15];
        offset += (unsigned long long)length + 1;
        if (PyList_SetItem(made, row, text) < 0)
            Py_CLEAR(made);
    }
    PyBuffer_Release(&checksums);
    return made;
}
