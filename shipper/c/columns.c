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

/* CRC-32 as zlib has it, eight bytes at a time: tables[i] is for a byte with i more behind it. */
static unsigned int tables[8][256];

static void fill_tables(void)
{
    for (unsigned int byte = 0; byte < 256; byte++) {
        unsigned int sum = byte;
        for (int bit = 0; bit < 8; bit++)
            sum = sum & 1 ? sum >> 1 ^ 0xEDB88320u : sum >> 1;
        tables[0][byte] = sum;
    }
    for (int i = 1; i < 8; i++)
        for (int byte = 0; byte < 256; byte++)
            tables[i][byte] = tables[i - 1][byte] >> 8 ^ tables[0][tables[i - 1][byte] & 255];
}

static unsigned int crc32(Span line)
{
    const unsigned char *at = (const unsigned char *)line.text, *end = at + line.length;
    unsigned int sum = ~0u;
    if (!tables[0][1])
        fill_tables();
    for (; end - at >= 8; at += 8) {
        unsigned int low = sum ^ ((unsigned int)at[0] | (unsigned int)at[1] << 8 | (unsigned int)at[2] << 16 | (unsigned int)at[3] << 24);
        sum = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
              tables[3][at[4]] ^ tables[2][at[5]] ^ tables[1][at[6]] ^ tables[0][at[7]];
    }
    for (; at < end; at++)
        sum = sum >> 8 ^ tables[0][(sum ^ *at) & 255];
    return ~sum;
}

char *header(char *to, const char *prefix, Py_ssize_t length, unsigned long long offset, Span line)
{
    static const char hex[] = "0123456789abcdef";
    unsigned int checksum = crc32(line);
    memcpy(to, prefix, (size_t)length);
    to += length;
    to += digits(to, offset, 16);
    *to++ = ':';
    for (int i = 7; i >= 0; i--, checksum >>= 4)
        to[i] = hex[checksum & 15];
    return to + 8;
}

/* headers(lines, start, repeats, fresh, again) -> list of bytes: see shipper.records. */
PyObject *headers(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *lines, *made = NULL;
    unsigned long long offset;
    Py_ssize_t repeats, lengths[2];
    const char *prefixes[2];
    if (!PyArg_ParseTuple(arguments, "O!Kny#y#", &PyList_Type, &lines, &offset, &repeats, &prefixes[0], &lengths[0], &prefixes[1],
                          &lengths[1]))
        return NULL;
    Py_ssize_t count = PyList_Size(lines), longest = lengths[0] > lengths[1] ? lengths[0] : lengths[1];
    char *buffer = count < 0 ? NULL : PyMem_Malloc((size_t)longest + HEADER_ROOM);
    if (!buffer)
        return count < 0 ? NULL : PyErr_NoMemory();
    made = PyList_New(count);
    for (Py_ssize_t row = 0; made && row < count; row++) {
        int which = row < repeats;
        Span line;
        PyObject *text = NULL;
        if ((line.text = view(PyList_GetItem(lines, row), &line.length))) {
            char *end = header(buffer, prefixes[which], lengths[which], offset, line);
            text = PyBytes_FromStringAndSize(buffer, end - buffer);
            offset += (unsigned long long)line.length + 1;
        }
        if (!text || PyList_SetItem(made, row, text) < 0)
            Py_CLEAR(made);
    }
    PyMem_Free(buffer);
    return made;
}
