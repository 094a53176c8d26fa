/* The module indexer._native. */
#include "native.h"

PyTypeObject *record_type;

static PyMethodDef methods[] = {
    {"scan", scan, METH_VARARGS, NULL},
    {"records", records, METH_VARARGS, NULL},
    {"plain", plain, METH_VARARGS, NULL},
    {"body", body, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "indexer._native", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__native(void)
{
    PyObject *made = PyModule_Create(&module);
    if (!made)
        return NULL;
    if (!record_type)
        record_type = (PyTypeObject *)PyType_FromSpec(&record_spec);
    if (!record_type || PyModule_AddIntConstant(made, "INTERFACE", INTERFACE) < 0 ||
        PyModule_AddObjectRef(made, "Record", (PyObject *)record_type) < 0)
        Py_CLEAR(made);
    return made;
}
