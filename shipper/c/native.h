/* The hot loop's few calls that go over bytes, in C: each does what a function in Python beside it does, the same way.
 *
 * Where no compiler was at hand the product runs without them (shipper/native.py), more slowly; property tests hold both
 * ways equal. Nothing is kept between two calls but what never changes: shapes, sketches, the tables of a checksum. Every
 * read is bounded by the length of what is read: lines are whatever somebody wrote.
 */
#ifndef TAILRACE_NATIVE_H
#define TAILRACE_NATIVE_H

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

/* What Python may call, and how: to be raised with each change, in shipper/native.py too. */
enum { INTERFACE = 2 };

/* Write the decimal digits of a number, with leading zeros up to a width of 20; returns how many (24 have room). */
int digits(char *to, unsigned long long number, int width);

static inline int is_digit(char byte) { return byte >= '0' && byte <= '9'; }

/* Bytes that something else keeps. */
typedef struct {
    const char *text;
    Py_ssize_t length;
} Span;

/* A header: a prefix, the offset in 16 digits or more, the checksum of the line; returns its end. */
enum { HEADER_ROOM = 33 }; /* beside the prefix */
char *header(char *to, const char *prefix, Py_ssize_t length, unsigned long long offset, Span line);

/* So many pieces to one bytes object. */
PyObject *joined(const Span *pieces, Py_ssize_t count);

/* The bytes of a bytes object; NULL with a TypeError if it is none, or with the error of who has none to give. */
const char *view(PyObject *object, Py_ssize_t *length);

/* A bytearray, and how many of its bytes are written. */
typedef struct {
    PyObject *array;
    Py_ssize_t used;
} Blob;

/* Where so many more bytes can be written; NULL with an error if there is no memory. */
char *room(Blob *blob, Py_ssize_t more);

/* As Python sees them: shipper/_native.pyi has the types. */
PyObject *interleave(PyObject *self, PyObject *parts);
PyObject *offsets(PyObject *self, PyObject *arguments);
PyObject *sizes(PyObject *self, PyObject *lines);
PyObject *headers(PyObject *self, PyObject *arguments);
PyObject *pack(PyObject *self, PyObject *arguments);
PyObject *shape(PyObject *self, PyObject *arguments);
PyObject *fill(PyObject *self, PyObject *arguments);
PyObject *sketch(PyObject *self, PyObject *arguments);
PyObject *draw(PyObject *self, PyObject *arguments);
PyObject *rows(PyObject *self, PyObject *arguments);

#endif
