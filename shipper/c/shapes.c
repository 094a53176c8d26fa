/* Lines of known JSON shapes to documents (shipper/shapes.py says what a shape is). */
#include "native.h"

enum { MOST_KEYS = 128, SIZE_SLOT = -1, OFFSET_SLOT = -2, READ_SLOT = -3 };
enum { A_TEXT = 's', AN_INTEGER = 'i', A_NUMBER = 'n', A_TRUTH = 't', A_NULL = '0' };
enum { WANTS_TEXT = 's', WANTS_TIME = 'T', WANTS_NUMBER = 'n', WANTS_INTEGER = 'i', WANTS_TRUTH = 't', WANTS_NULL = '0' };

typedef struct {
    char *text; /* a key without its quotes, or a piece of the document */
    Py_ssize_t length;
    int what; /* of a key: what its value must be; of a piece: the slot behind it, or MOST_KEYS if none */
} Word;

typedef struct {
    Py_ssize_t key_count, piece_count, level, texts; /* texts: how many of the values must be such */
    unsigned long long names;                        /* a sum over the keys, in whatever order */
    Word *keys, *pieces;
} Shape;

static void free_shape(Shape *shape)
{
    for (Py_ssize_t i = 0; shape->keys && i < shape->key_count; i++)
        PyMem_Free(shape->keys[i].text);
    for (Py_ssize_t i = 0; shape->pieces && i < shape->piece_count; i++)
        PyMem_Free(shape->pieces[i].text);
    PyMem_Free(shape->keys);
    PyMem_Free(shape->pieces);
    PyMem_Free(shape);
}

/* A key's share in the sum by which shapes and lines are told apart (FNV-1a). */
static unsigned long long name_of(const char *text, Py_ssize_t length)
{
    unsigned long long hash = 14695981039346656037ULL;
    for (Py_ssize_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211ULL;
    return hash;
}

static const char shape_name[] = "shipper._native.shape";

static void forget_shape(PyObject *capsule)
{
    free_shape(PyCapsule_GetPointer(capsule, shape_name));
}

static int keep_word(Word *word, PyObject *object, int what)
{
    const char *text = view(object, &word->length);
    if (!text)
        return -1;
    if (!(word->text = PyMem_Malloc((size_t)word->length + 1))) {
        PyErr_NoMemory();
        return -1;
    }
    memcpy(word->text, text, (size_t)word->length);
    word->what = what;
    return 0;
}

/* shape(keys, wants, pieces, slots, level) -> capsule.
 *
 * ``keys`` are written without quotes, ``wants`` has a letter for each: what its value must be. ``pieces`` of the
 * document alternate with what ``slots`` say (the number of a key, or one of the three that are no value), and are one
 * more. ``level`` is the number of the key that holds it, or -1. */
PyObject *shape(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *keys, *pieces, *slots;
    const char *wants;
    Py_ssize_t wanted, level;
    if (!PyArg_ParseTuple(arguments, "O!y#O!O!n", &PyTuple_Type, &keys, &wants, &wanted, &PyTuple_Type, &pieces,
                          &PyTuple_Type, &slots, &level))
        return NULL;
    Py_ssize_t key_count = PyTuple_Size(keys), piece_count = PyTuple_Size(pieces);
    if (key_count > MOST_KEYS || wanted != key_count || level >= key_count || PyTuple_Size(slots) != piece_count - 1)
        return PyErr_Format(PyExc_ValueError, "not a shape");
    Shape *made = PyMem_Calloc(1, sizeof(Shape));
    if (!made)
        return PyErr_NoMemory();
    made->keys = PyMem_Calloc((size_t)key_count + 1, sizeof(Word));
    made->pieces = PyMem_Calloc((size_t)piece_count + 1, sizeof(Word));
    made->level = level;
    if (!made->keys || !made->pieces) {
        PyErr_NoMemory();
        goto failed;
    }
    for (; made->key_count < key_count; made->key_count++) {
        Word *key = &made->keys[made->key_count];
        if (keep_word(key, PyTuple_GetItem(keys, made->key_count), wants[made->key_count]) < 0)
            goto failed;
        made->names += name_of(key->text, key->length);
        made->texts += key->what == WANTS_TEXT || key->what == WANTS_TIME;
    }
    for (; made->piece_count < piece_count; made->piece_count++) {
        long slot = MOST_KEYS;
        if (made->piece_count < piece_count - 1) {
            slot = PyLong_AsLong(PyTuple_GetItem(slots, made->piece_count));
            if (PyErr_Occurred())
                goto failed;
            if (slot < READ_SLOT || slot >= key_count) {
                PyErr_SetString(PyExc_ValueError, "no such slot");
                goto failed;
            }
        }
        if (keep_word(&made->pieces[made->piece_count], PyTuple_GetItem(pieces, made->piece_count), (int)slot) < 0)
            goto failed;
    }
    PyObject *capsule = PyCapsule_New(made, shape_name, forget_shape);
    if (capsule)
        return capsule;
failed:
    free_shape(made);
    return NULL;
}

typedef struct {
    Span key, value;
    char kind;
} Member;

static const char *blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r'))
        at++;
    return at;
}

static int hex4(const char *at, const char *end)
{
    int number = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char byte = at[i];
        int digit = is_digit(byte)                  ? byte - '0'
                    : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
                    : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        number = number * 16 + digit;
    }
    return number;
}

/* The end of an escape that begins at its backslash; NULL if it is none, or half of a surrogate pair. */
static const char *escape(const char *at, const char *end)
{
    if (end - at < 2)
        return NULL;
    if (at[1] != 'u')
        return at[1] && strchr("\"\\/bfnrt", at[1]) ? at + 2 : NULL;
    int number = hex4(at + 2, end);
    if (number < 0 || (number >= 0xDC00 && number <= 0xDFFF))
        return NULL;
    at += 6;
    if (number < 0xD800 || number > 0xDBFF)
        return at;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return NULL;
    number = hex4(at + 2, end);
    return number >= 0xDC00 && number <= 0xDFFF ? at + 6 : NULL;
}

/* The end of a text whose first quote is at ``at``, its last quote included; NULL if it is none. */
static const char *text_end(const char *at, const char *end, int *high)
{
    unsigned char seen = 0;
    for (at++; at < end;) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '"') {
            *high |= seen & 128;
            return at + 1;
        }
        if (byte < 32)
            return NULL;
        if (byte == '\\') {
            if (!(at = escape(at, end)))
                return NULL;
            continue;
        }
        seen |= byte;
        at++;
    }
    return NULL;
}

/* The end of a number of at most 15 and 17 digits, and its kind; NULL if it is another. */
static const char *number_end(const char *at, const char *end, char *kind)
{
    const char *begin = at, *first;
    at += *at == '-';
    first = at;
    while (at < end && is_digit(*at))
        at++;
    if (at == first || at - first > 15 || (*first == '0' && at - first > 1))
        return NULL;
    *kind = *first == '0' && first > begin ? A_NUMBER : AN_INTEGER; /* -0 is no integer */
    if (at < end && *at == '.') {
        first = ++at;
        while (at < end && is_digit(*at))
            at++;
        if (at == first || at - first > 17)
            return NULL;
        *kind = A_NUMBER;
    }
    return at;
}

static int is_word(const char *at, const char *end, const char *word, Py_ssize_t length)
{
    return end - at >= length && !memcmp(at, word, (size_t)length);
}

static const char *value_end(const char *at, const char *end, char *kind, int *high)
{
    if (at >= end)
        return NULL;
    switch (*at) {
    case '"':
        *kind = A_TEXT;
        return text_end(at, end, high);
    case 't':
        *kind = A_TRUTH;
        return is_word(at, end, "true", 4) ? at + 4 : NULL;
    case 'f':
        *kind = A_TRUTH;
        return is_word(at, end, "false", 5) ? at + 5 : NULL;
    case 'n':
        *kind = A_NULL;
        return is_word(at, end, "null", 4) ? at + 4 : NULL;
    default:
        return number_end(at, end, kind);
    }
}

static int is_utf8(const char *text, Py_ssize_t length)
{
    PyObject *decoded = PyUnicode_DecodeUTF8(text, length, NULL);
    if (!decoded)
        PyErr_Clear();
    Py_XDECREF(decoded);
    return decoded != NULL;
}

/* The members of a line that is one flat object; their number, or 0 if it is not simple. */
static Py_ssize_t members(const char *at, Py_ssize_t length, Member *found)
{
    const char *begin = at, *end = at + length;
    Py_ssize_t count = 0;
    int high = 0;
    if (at >= end || *at != '{')
        return 0;
    do {
        if (count == MOST_KEYS)
            return 0;
        Member *member = &found[count++];
        at = blanks(at + 1, end);
        if (at >= end || *at != '"')
            return 0;
        member->key.text = at + 1;
        if (!(at = text_end(at, end, &high)))
            return 0;
        member->key.length = at - 1 - member->key.text;
        at = blanks(at, end);
        if (at >= end || *at != ':')
            return 0;
        member->value.text = blanks(at + 1, end);
        if (!(at = value_end(member->value.text, end, &member->kind, &high)))
            return 0;
        member->value.length = at - member->value.text;
        at = blanks(at, end);
    } while (at < end && *at == ',');
    if (at >= end || *at != '}' || blanks(at + 1, end) != end)
        return 0;
    return high && !is_utf8(begin, length) ? 0 : count;
}

static int same(const Span *span, const Word *word)
{
    return span->length == word->length && !memcmp(span->text, word->text, (size_t)word->length);
}

/* A time like "2001-02-03T04:05:06.789Z", quotes included, whether or not there is such a second. */
static int is_time(const Span *value)
{
    static const char mask[] = "\"dddd-dd-ddTdd:dd:dd";
    Py_ssize_t at = 0, fraction;
    if (value->length < 22 || value->length > 32)
        return 0;
    for (; mask[at]; at++)
        if (mask[at] == 'd' ? !is_digit(value->text[at]) : value->text[at] != mask[at])
            return 0;
    if (value->text[at] == '.') {
        for (fraction = ++at; at < value->length && is_digit(value->text[at]); at++)
            ;
        if (at == fraction || at - fraction > 9)
            return 0;
    }
    return at + 2 == value->length && value->text[at] == 'Z' && value->text[at + 1] == '"';
}

static int fits(char kind, int wanted, const Span *value)
{
    switch (wanted) {
    case WANTS_TIME:
        return kind == A_TEXT && is_time(value);
    case WANTS_NUMBER:
        return kind == A_NUMBER || kind == AN_INTEGER;
    default:
        return kind == wanted;
    }
}

/* Whether a line may be of a shape. Only shapes with the same keys and as many texts are held against it, so however
 * many there are, a line is held against few: trying all of them would be quadratic, in lines made for it. */
static int may_be(const Shape *shape, const Member *found, Py_ssize_t count)
{
    unsigned long long names = 0;
    Py_ssize_t texts = 0;
    if (count != shape->key_count)
        return 0;
    for (Py_ssize_t i = 0; i < count; i++)
        texts += found[i].kind == A_TEXT;
    if (texts != shape->texts)
        return 0;
    for (Py_ssize_t i = 0; i < count; i++)
        names += name_of(found[i].key.text, found[i].key.length);
    return names == shape->names;
}

/* Whether a line has the keys of a shape in their order. */
static int in_order(const Shape *shape, const Member *found, Py_ssize_t count)
{
    if (count != shape->key_count)
        return 0;
    for (Py_ssize_t i = 0; i < count; i++)
        if (!same(&found[i].key, &shape->keys[i]))
            return 0;
    return 1;
}

/* Put the values in the order of the shape's keys; whether there are just these keys, with values as they must be. */
static int arrange(const Shape *shape, const Member *found, Py_ssize_t count, Span *values)
{
    char used[MOST_KEYS] = {0};
    if (count != shape->key_count)
        return 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        Py_ssize_t key = i;
        if (!same(&found[i].key, &shape->keys[key])) {
            for (key = 0; key < count && (used[key] || !same(&found[i].key, &shape->keys[key])); key++)
                ;
            if (key == count)
                return 0;
        }
        if (used[key] || !fits(found[i].kind, shape->keys[key].what, &found[i].value))
            return 0;
        used[key] = 1;
        values[key] = found[i].value;
    }
    return 1;
}

typedef struct {
    PyObject *seconds, *is_second, *levels, *is_level;
    char second[19]; /* the last that was one; all lines of a chunk mostly have the same */
} Sense;

/* Whether a set or dict has a key, or has it once a function was asked about it; -1 with an error. */
static int is_known(PyObject *known, PyObject *function, PyObject *key, int (*has)(PyObject *, PyObject *))
{
    int found = has(known, key);
    if (found)
        return found;
    PyObject *answer = PyObject_CallFunctionObjArgs(function, key, NULL);
    found = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return found;
}

static int is_second(Sense *sense, const char *text)
{
    if (!memcmp(sense->second, text, sizeof sense->second))
        return 1;
    PyObject *key = PyBytes_FromStringAndSize(text, sizeof sense->second);
    int found = key ? is_known(sense->seconds, sense->is_second, key, PySet_Contains) : -1;
    Py_XDECREF(key);
    if (found > 0)
        memcpy(sense->second, text, sizeof sense->second);
    return found;
}

/* The common name of a level, a new reference; None if it has none, NULL with an error. */
static PyObject *level_name(Sense *sense, const Span *value)
{
    PyObject *name = NULL, *key = PyBytes_FromStringAndSize(value->text, value->length);
    int found = key ? is_known(sense->levels, sense->is_level, key, PyDict_Contains) : -1;
    if (!found)
        name = Py_NewRef(Py_None);
    else if (found > 0)
        name = PyObject_GetItem(sense->levels, key);
    Py_XDECREF(key);
    return name;
}

/* The document of a line whose values are arranged. */
static PyObject *document(const Shape *shape, const Span *values, const Span *own)
{
    Py_ssize_t total = 0;
    for (Py_ssize_t i = 0; i < shape->piece_count; i++) {
        int slot = shape->pieces[i].what;
        total += shape->pieces[i].length + (slot == MOST_KEYS ? 0 : slot < 0 ? own[-1 - slot].length : values[slot].length);
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, total);
    if (!made)
        return NULL;
    char *to = PyBytes_AsString(made);
    for (Py_ssize_t i = 0; i < shape->piece_count; i++) {
        const Word *piece = &shape->pieces[i];
        memcpy(to, piece->text, (size_t)piece->length);
        to += piece->length;
        if (piece->what == MOST_KEYS)
            continue;
        const Span *value = piece->what < 0 ? &own[-1 - piece->what] : &values[piece->what];
        memcpy(to, value->text, (size_t)value->length);
        to += value->length;
    }
    return made;
}

/* The document of one line by one shape; None if it is not of this shape, NULL with an error. */
static PyObject *made_by(const Shape *shape, const Member *found, Py_ssize_t count, const Span *own, Sense *sense)
{
    Span values[MOST_KEYS];
    PyObject *level = NULL, *made = NULL;
    int good = (in_order(shape, found, count) || may_be(shape, found, count)) && arrange(shape, found, count, values);
    for (Py_ssize_t i = 0; good > 0 && i < shape->key_count; i++)
        if (shape->keys[i].what == WANTS_TIME)
            good = is_second(sense, values[i].text + 1);
    if (good > 0 && shape->level >= 0) {
        Span *value = &values[shape->level];
        if (!(level = level_name(sense, value)))
            return NULL;
        good = level != Py_None;
        if (good && !(value->text = view(level, &value->length)))
            good = -1;
    }
    if (good > 0)
        made = document(shape, values, own);
    else if (!good)
        made = Py_NewRef(Py_None);
    Py_XDECREF(level);
    return made;
}

/* fill(lines, start, read, shapes, seconds, is_second, levels, is_level) -> list of bytes or None.
 *
 * The documents of the lines that have one of the shapes; see shipper.shapes. What is not in ``seconds`` or ``levels``
 * yet is asked of the functions, which may put it there. */
PyObject *fill(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *lines, *shapes;
    unsigned long long offset;
    Sense sense;
    Span own[3];
    memset(sense.second, 0, sizeof sense.second);
    if (!PyArg_ParseTuple(arguments, "O!Ky#O!O!OO!O", &PyList_Type, &lines, &offset, &own[2].text, &own[2].length, &PyTuple_Type,
                          &shapes, &PySet_Type, &sense.seconds, &sense.is_second, &PyDict_Type, &sense.levels,
                          &sense.is_level))
        return NULL;
    Py_ssize_t rows = PyList_Size(lines), shape_count = PyTuple_Size(shapes), last = 0;
    PyObject *made = rows < 0 ? NULL : PyList_New(rows);
    for (Py_ssize_t row = 0; made && row < rows; row++) {
        Member found[MOST_KEYS];
        char offset_text[24], size_text[24];
        Py_ssize_t length;
        PyObject *text = NULL, *line = Py_XNewRef(PyList_GetItem(lines, row));
        const char *bytes = line ? view(line, &length) : NULL;
        if (bytes) {
            Py_ssize_t count = members(bytes, length, found);
            own[0] = (Span){size_text, digits(size_text, (unsigned long long)length + 1, 1)};
            own[1] = (Span){offset_text, digits(offset_text, offset, 1)};
            offset += (unsigned long long)length + 1;
            text = Py_NewRef(Py_None);
            for (Py_ssize_t tried = 0; count && text == Py_None && tried < shape_count; tried++) {
                Py_ssize_t number = (last + tried) % shape_count;
                Shape *one = PyCapsule_GetPointer(PyTuple_GetItem(shapes, number), shape_name);
                Py_DECREF(text);
                text = one ? made_by(one, found, count, own, &sense) : NULL;
                if (text && text != Py_None)
                    last = number;
            }
        }
        Py_XDECREF(line);
        if (!text || PyList_SetItem(made, row, text) < 0)
            Py_CLEAR(made);
    }
    return made;
}
