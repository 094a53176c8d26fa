/* The module shipper._native, and what its parts share. */
#include "native.h"

int digits(char *to, unsigned long long number, int width)
{
    char reversed[24];
    int count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    while (count < width)
        reversed[count++] = '0';
    for (int i = 0; i < count; i++)
        to[i] = reversed[count - 1 - i];
    return count;
}

const char *view(PyObject *object, Py_ssize_t *length)
{
    char *text;
    if (!object || PyBytes_AsStringAndSize(object, &text, length) < 0)
        return NULL;
    return text;
}

PyObject *joined(const Span *pieces, Py_ssize_t count)
{
    Py_ssize_t total = 0;
    for (Py_ssize_t i = 0; i < count; i++)
        total += pieces[i].length;
    PyObject *made = PyBytes_FromStringAndSize(NULL, total);
    char *to = made ? PyBytes_AsString(made) : NULL;
    for (Py_ssize_t i = 0; to && i < count; i++) {
        memcpy(to, pieces[i].text, (size_t)pieces[i].length);
        to += pieces[i].length;
    }
    return made;
}

char *room(Blob *blob, Py_ssize_t more)
{
    Py_ssize_t size = PyByteArray_Size(blob->array);
    if (size - blob->used < more && PyByteArray_Resize(blob->array, size + size / 2 + more) < 0)
        return NULL;
    return PyByteArray_AsString(blob->array) + blob->used;
}

static PyMethodDef methods[] = {
    {"interleave", interleave, METH_O, NULL}, {"offsets", offsets, METH_VARARGS, NULL},
    {"sizes", sizes, METH_O, NULL},           {"headers", headers, METH_VARARGS, NULL},
    {"pack", pack, METH_VARARGS, NULL},       {"shape", shape, METH_VARARGS, NULL},
    {"fill", fill, METH_VARARGS, NULL},       {"sketch", sketch, METH_VARARGS, NULL},
    {"draw", draw, METH_VARARGS, NULL},       {"rows", rows, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "shipper._native", NULL, 0, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made && PyModule_AddIntConstant(made, "INTERFACE", INTERFACE) < 0)
        Py_CLEAR(made);
    return made;
}
