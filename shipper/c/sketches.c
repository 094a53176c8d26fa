/* Lines of text formats to documents (shipper/sketch.py says what a sketch is). */
#include "native.h"

/* A pattern is a row of steps, each of which takes all it can, and hardly ever goes back: only what may be left out as a
 * whole is left out if what follows does not match with it. So a row matches less than the regular expression that it
 * comes from, but where it matches, that would have matched the same: it tries this way first. */
enum { SET = 's', OPEN = '(', CLOSE = ')', AHEAD = '=', NOT_AHEAD = '!', MAYBE = '?', EITHER = '|', ONE = '1', REST = '*', END = '$' };
enum { MOST_GROUPS = 16, MOST_PIECES = 256, MOST_FRACTIONS = 4, MOST_RECENT = 32 };

typedef struct {
    int kind;
    Py_ssize_t least, most, steps; /* how many bytes of a set; how many of the next steps belong to this one */
    int group;
    unsigned char set[256];
} Step;

/* Parts of a document, in order. */
enum { CONSTANT = 'c', WHOLE = 'w', TEXT = 't', GIVEN = 'g', KNOWN = 'k', IPV4 = '4', ISO = 'i', COMPUTED = 'f', OWN = 'o' };

typedef struct {
    int kind, group, second;
    Py_ssize_t parts; /* of an IPV4: how many of the next parts belong to it */
    PyObject *text, *after, *memo, *other;
} Part;

typedef struct {
    Py_ssize_t step_count, part_count;
    Step *steps;
    Part *parts;
} Sketch;

static const char sketch_name[] = "shipper._native.sketch";

static void free_sketch(Sketch *sketch)
{
    for (Py_ssize_t i = 0; sketch->parts && i < sketch->part_count; i++) {
        Py_XDECREF(sketch->parts[i].text);
        Py_XDECREF(sketch->parts[i].after);
        Py_XDECREF(sketch->parts[i].memo);
        Py_XDECREF(sketch->parts[i].other);
    }
    PyMem_Free(sketch->steps);
    PyMem_Free(sketch->parts);
    PyMem_Free(sketch);
}

static void forget_sketch(PyObject *capsule)
{
    free_sketch(PyCapsule_GetPointer(capsule, sketch_name));
}

static int keep_step(Step *step, PyObject *given, Py_ssize_t left)
{
    const char *kind, *set;
    Py_ssize_t kinds, length;
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a step is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "y#nny#in", &kind, &kinds, &step->least, &step->most, &set, &length, &step->group,
                          &step->steps))
        return -1;
    if (kinds != 1 || !*kind || !strchr("s()=!?|1*$", *kind) || step->least < 0 || step->most < step->least || step->group < 0 ||
        step->group >= MOST_GROUPS || step->steps < 0 || step->steps > left) {
        PyErr_SetString(PyExc_ValueError, "no such step");
        return -1;
    }
    step->kind = *kind;
    for (Py_ssize_t i = 0; i < length; i++)
        step->set[(unsigned char)set[i]] = 1;
    return 0;
}

static int keep_part(Part *part, PyObject *given, Py_ssize_t left)
{
    const char *kind;
    Py_ssize_t kinds;
    PyObject *text, *after, *memo, *other;
    if (!PyTuple_Check(given)) {
        PyErr_SetString(PyExc_TypeError, "a part is a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(given, "y#iinSSOO", &kind, &kinds, &part->group, &part->second, &part->parts, &text, &after,
                          &memo, &other))
        return -1;
    if (kinds != 1 || !*kind || !strchr("cwtgk4ifo", *kind) || part->group < 0 || part->group >= MOST_GROUPS ||
        part->second < 0 || part->second >= MOST_GROUPS || part->parts < 0 || part->parts > left ||
        (*kind == OWN && part->group > 2)) {
        PyErr_SetString(PyExc_ValueError, "no such part");
        return -1;
    }
    part->kind = *kind;
    part->text = Py_NewRef(text);
    part->after = Py_NewRef(after);
    part->memo = Py_NewRef(memo);
    part->other = Py_NewRef(other);
    return 0;
}

/* sketch(steps, parts) -> capsule: see shipper.drawn, which makes both. */
PyObject *sketch(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *steps, *parts;
    if (!PyArg_ParseTuple(arguments, "O!O!", &PyTuple_Type, &steps, &PyTuple_Type, &parts))
        return NULL;
    Py_ssize_t step_count = PyTuple_Size(steps), part_count = PyTuple_Size(parts);
    Sketch *made = PyMem_Calloc(1, sizeof(Sketch));
    if (!made)
        return PyErr_NoMemory();
    made->steps = PyMem_Calloc((size_t)step_count + 1, sizeof(Step));
    made->parts = PyMem_Calloc((size_t)part_count + 1, sizeof(Part));
    if (!made->steps || !made->parts) {
        PyErr_NoMemory();
        goto failed;
    }
    for (; made->step_count < step_count; made->step_count++)
        if (keep_step(&made->steps[made->step_count], PyTuple_GetItem(steps, made->step_count),
                      step_count - made->step_count - 1) < 0)
            goto failed;
    for (; made->part_count < part_count; made->part_count++)
        if (keep_part(&made->parts[made->part_count], PyTuple_GetItem(parts, made->part_count),
                      part_count - made->part_count - 1) < 0)
            goto failed;
    PyObject *capsule = PyCapsule_New(made, sketch_name, forget_sketch);
    if (capsule)
        return capsule;
failed:
    free_sketch(made);
    return NULL;
}

/* Where a row of steps ends that begins there; NULL if it does not match. */
static const char *match(const Step *steps, Py_ssize_t count, const char *at, const char *end, Span *groups)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        const Step *step = &steps[i];
        const char *next = at;
        switch (step->kind) {
        case SET: {
            const char *most = end - at < step->most ? end : at + step->most;
            while (next < most && step->set[(unsigned char)*next])
                next++;
            if (next - at < step->least)
                return NULL;
            at = next;
            break;
        }
        case OPEN:
            groups[step->group] = (Span){at, 0};
            break;
        case CLOSE:
            groups[step->group].length = at - groups[step->group].text;
            break;
        case REST:
            at = end;
            break;
        case END:
            if (at != end)
                return NULL;
            break;
        case EITHER: {
            const Step *one = step + 1, *behind = step + 1 + step->steps;
            for (next = NULL; one < behind && !next; one += 1 + one->steps)
                next = match(one + 1, one->steps, at, end, groups);
            if (!(at = next))
                return NULL;
            break;
        }
        case MAYBE:
            next = match(step + 1, step->steps, at, end, groups);
            if (next)
                next = match(step + 1 + step->steps, count - i - 1 - step->steps, next, end, groups);
            if (next)
                return next;
            break;
        default:
            next = match(step + 1, step->steps, at, end, groups);
            if ((next != NULL) != (step->kind == AHEAD))
                return NULL;
        }
        i += step->steps;
    }
    return at;
}

/* An IPv4 address in its usual form: four numbers up to 255, without leading zeros. */
static int is_ipv4(const Span *text)
{
    const char *at = text->text, *end = at + text->length;
    for (int part = 0; part < 4; part++) {
        const char *first = at;
        int number = 0;
        while (at < end && at - first < 3 && is_digit(*at))
            number = number * 10 + *at++ - '0';
        if (at == first || number > 255 || (*first == '0' && at - first > 1))
            return 0;
        if (part < 3 && (at == end || *at++ != '.'))
            return 0;
    }
    return at == end;
}

/* What follows the second of a time: nothing or a fraction (copied, with a point), then nothing, or Z (``utc``). */
static int fraction(const Span *tail, char *copy, Py_ssize_t *length, int *utc)
{
    Py_ssize_t at = 0;
    if (tail->length > 11)
        return 0;
    if (at < tail->length && (tail->text[at] == '.' || tail->text[at] == ',')) {
        copy[at++] = '.';
        for (; at < tail->length && at < 10 && is_digit(tail->text[at]); at++)
            copy[at] = tail->text[at];
        if (at == 1)
            return 0;
    }
    *length = at;
    *utc = at < tail->length && tail->text[at] == 'Z';
    return at + *utc == tail->length;
}

/* What a part looked up last, within one call: lines that follow each other mostly have the same second and level. */
typedef struct {
    Py_ssize_t length;
    char key[MOST_RECENT];
    PyObject *memo, *made;
} Recent;

/* A document under construction: its pieces, and what keeps their bytes. */
typedef struct {
    Py_ssize_t count, held, fractions;
    Span pieces[MOST_PIECES];
    PyObject *holds[MOST_PIECES];
    char copies[MOST_FRACTIONS][16];
} Draft;

enum { FAILED = -1, NOT_SIMPLE = 0, GOOD = 1 };

static int put(Draft *draft, const char *text, Py_ssize_t length)
{
    if (draft->count == MOST_PIECES)
        return NOT_SIMPLE;
    draft->pieces[draft->count++] = (Span){text, length};
    return GOOD;
}

static int put_object(Draft *draft, PyObject *object)
{
    Py_ssize_t length;
    const char *text = view(object, &length);
    return text ? put(draft, text, length) : FAILED;
}

/* Take over a reference, and put its bytes; None says that the line is not simple. */
static int put_held(Draft *draft, PyObject *object)
{
    if (!object)
        return FAILED;
    if (object == Py_None || draft->held == MOST_PIECES) {
        Py_DECREF(object);
        return NOT_SIMPLE;
    }
    draft->holds[draft->held++] = object;
    return put_object(draft, object);
}

static int put_known(Draft *draft, PyObject *memo, const Span *key, Recent *recent)
{
    if (recent->memo == memo && recent->length == key->length && !memcmp(recent->key, key->text, (size_t)key->length))
        return put_held(draft, Py_NewRef(recent->made));
    PyObject *text = PyBytes_FromStringAndSize(key->text, key->length);
    PyObject *made = text ? PyObject_GetItem(memo, text) : NULL;
    Py_XDECREF(text);
    if (made && key->length <= MOST_RECENT) {
        PyObject *before = recent->made;
        memcpy(recent->key, key->text, (size_t)key->length);
        recent->length = key->length;
        recent->memo = memo;
        recent->made = Py_NewRef(made);
        Py_XDECREF(before);
    }
    return put_held(draft, made);
}

static int put_iso(Draft *draft, const Part *part, const Span *groups, Recent *recent)
{
    Py_ssize_t length;
    int utc;
    if (draft->fractions == MOST_FRACTIONS)
        return NOT_SIMPLE;
    char *copy = draft->copies[draft->fractions++];
    if (!fraction(&groups[part->second], copy, &length, &utc))
        return NOT_SIMPLE;
    int good = put_known(draft, utc ? part->other : part->memo, &groups[part->group], recent);
    if (good > 0)
        good = put(draft, copy, length);
    return good > 0 ? put(draft, "Z", 1) : good;
}

static int put_given(Draft *draft, const Part *part, const Span *piece)
{
    if (!piece->length || (piece->length == 1 && *piece->text == '-'))
        return GOOD;
    int good = put_object(draft, part->text);
    if (good > 0)
        good = put(draft, piece->text, piece->length);
    return good > 0 ? put_object(draft, part->after) : good;
}

static int put_part(Draft *draft, const Part *part, const Span *groups, PyObject *line, PyObject *const *own,
                    Recent *recent)
{
    const Span *piece = &groups[part->group];
    switch (part->kind) {
    case CONSTANT:
        return put_object(draft, part->text);
    case WHOLE:
        return put_object(draft, line);
    case TEXT:
        return put(draft, piece->text, piece->length);
    case GIVEN:
        return put_given(draft, part, piece);
    case KNOWN:
    case IPV4: /* that is none */
        return put_known(draft, part->memo, piece, recent);
    case ISO:
        return put_iso(draft, part, groups, recent);
    case COMPUTED:
        return put_held(draft, PyObject_CallFunctionObjArgs(part->memo, line, NULL));
    default:
        return put_object(draft, own[part->group]);
    }
}

/* The document of one line; None if the sketch is not for it, NULL with an error. ``recent`` has one for each part. */
static PyObject *drawn(const Sketch *sketch, PyObject *line, PyObject *const *own, Recent *recent)
{
    Span groups[MOST_GROUPS];
    Draft draft;
    Py_ssize_t length;
    const char *text = view(line, &length);
    PyObject *made = NULL;
    int good = GOOD;
    if (!text)
        return NULL;
    for (int i = 0; i < MOST_GROUPS; i++)
        groups[i] = (Span){text, 0};
    if (!match(sketch->steps, sketch->step_count, text, text + length, groups))
        return Py_NewRef(Py_None);
    draft.count = draft.held = draft.fractions = 0;
    for (Py_ssize_t i = 0; good > 0 && i < sketch->part_count; i++) {
        const Part *part = &sketch->parts[i];
        if (part->kind == IPV4 && is_ipv4(&groups[part->group]))
            continue; /* the parts that belong to it follow */
        good = put_part(&draft, part, groups, line, own, &recent[i]);
        i += part->parts;
    }
    if (good > 0)
        made = joined(draft.pieces, draft.count);
    else if (good == NOT_SIMPLE)
        made = Py_NewRef(Py_None);
    for (Py_ssize_t i = 0; i < draft.held; i++)
        Py_DECREF(draft.holds[i]);
    return made;
}

/* draw(sketch, lines, offsets, sizes, read) -> list of bytes or None: the documents of the lines that it is for. */
PyObject *draw(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *capsule, *lines, *columns[2], *read;
    if (!PyArg_ParseTuple(arguments, "OO!O!O!S", &capsule, &PyList_Type, &lines, &PyList_Type, &columns[0],
                          &PyList_Type, &columns[1], &read))
        return NULL;
    const Sketch *sketch = PyCapsule_GetPointer(capsule, sketch_name);
    Py_ssize_t rows = PyList_Size(lines);
    if (!sketch)
        return NULL;
    if (PyList_Size(columns[0]) != rows || PyList_Size(columns[1]) != rows)
        return PyErr_Format(PyExc_ValueError, "not an offset and a size for each line");
    Recent *recent = PyMem_Calloc((size_t)sketch->part_count + 1, sizeof(Recent));
    PyObject *made = recent ? PyList_New(rows) : PyErr_NoMemory();
    for (Py_ssize_t row = 0; made && row < rows; row++) {
        PyObject *line = Py_XNewRef(PyList_GetItem(lines, row)), *own[3] = {NULL, NULL, read};
        for (int i = 0; line && i < 2; i++)
            if (!(own[i] = Py_XNewRef(PyList_GetItem(columns[i], row))))
                Py_CLEAR(line);
        PyObject *document = line ? drawn(sketch, line, own, recent) : NULL;
        Py_XDECREF(line);
        Py_XDECREF(own[0]);
        Py_XDECREF(own[1]);
        if (!document || PyList_SetItem(made, row, document) < 0)
            Py_CLEAR(made);
    }
    for (Py_ssize_t i = 0; recent && i < sketch->part_count; i++)
        Py_XDECREF(recent[i].made);
    PyMem_Free(recent);
    return made;
}
