/* The indexer's few calls that go over every record, in C: each does what Python beside it does, the same way.
 *
 * Where no compiler was at hand the product runs without them (indexer/native.py), more slowly; property tests hold both
 * ways equal. Nothing is kept between two calls. Every read is bounded by the length of what is read: records are
 * whatever somebody sent.
 */
#ifndef TAILRACE_INDEXER_NATIVE_H
#define TAILRACE_INDEXER_NATIVE_H

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <string.h>
#include <structmember.h>

/* What Python may call, and how: to be raised with each change, in indexer/native.py too. */
enum { INTERFACE = 2 };

/* A record of a batch; it knows no other object that could know it, so no collector looks at it. */
typedef struct {
    PyObject_HEAD
    long long offset;
    long long timestamp;
    PyObject *key;   /* bytes or None */
    PyObject *value; /* bytes or None */
    PyObject *coded; /* bytes: the headers, as they came */
} Record;

extern PyTypeObject *record_type;

/* Where the reading is, and where it must end. */
typedef struct {
    const unsigned char *at;
    const unsigned char *end;
} Reading;

/* One number as Kafka writes it (zigzag, seven bits a byte); 0 if there is none. */
int number(Reading *from, long long *found);

/* So many bytes that begin with their number, -1 for none at all (then *text is NULL); 0 if there are not so many. */
int sized(Reading *from, const unsigned char **text, Py_ssize_t *length);

/* What is in one record; the texts are of the batch, key and value NULL where there are none. */
typedef struct {
    long long late;  /* its time, after the first one of the batch */
    long long place; /* its offset, after the first one of the batch */
    const unsigned char *key, *value, *headers;
    Py_ssize_t key_length, value_length, headers_length;
} Row;

/* The next record of a batch, all of it; 0 if these are not the bytes of one. */
int row_of(Reading *from, Row *row);

/* A record by its place in the table that scan() made: 8 bytes for the start of each, in the machine's order. */
int row_at(const char *batch, Py_ssize_t size, const char *starts, Py_ssize_t place, Row *row);

/* As Python sees them: indexer/_native.pyi has the types. */
PyObject *scan(PyObject *self, PyObject *arguments);
PyObject *records(PyObject *self, PyObject *arguments);
PyObject *plain(PyObject *self, PyObject *arguments);
PyObject *body(PyObject *self, PyObject *arguments);
extern PyType_Spec record_spec;

#endif
