/* Lines of text formats to documents (shipper/sketch.py says what a sketch is). */
#include "native.h"

/* A pattern is a row of steps, each of which takes all it can, and hardly ever goes back: only what may be left out as a
 * whole is left out if what follows does not match with it. So a row matches less than the regular expression that it
 * comes from, but where it matches, that would have matched the same: it tries this way first. */
enum { SET = 's', OPEN = '(', CLOSE = ')', AHEAD = '=', NOT_AHEAD = '!', MAYBE = '?', EITHER = '|', ONE = '1', REST = '*', END = '$' };
enum { MOST_GROUPS = 16, MOST_PIECES = 256, MOST_FRACTIONS = 4, MOST_RECENT = 32, FIRST_ROWS = 16 };

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
    Span before, behind;
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
    part->before.text = view(text, &part->before.length);
    part->behind.text = view(after, &part->behind.length);
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
    Py_ssize_t length;
    const char *text = view(object, &length);
    return text ? put(draft, text, length) : FAILED;
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
    int good = put(draft, part->before.text, part->before.length);
    if (good > 0)
        good = put(draft, piece->text, piece->length);
    return good > 0 ? put(draft, part->behind.text, part->behind.length) : good;
}

static int put_computed(Draft *draft, PyObject *compute, const Span *line)
{
    PyObject *text = PyBytes_FromStringAndSize(line->text, line->length);
    PyObject *made = text ? PyObject_CallFunctionObjArgs(compute, text, NULL) : NULL;
    Py_XDECREF(text);
    return put_held(draft, made);
}

static int put_part(Draft *draft, const Part *part, const Span *groups, const Span *line, const Span *own, Recent *recent)
{
    const Span *piece = &groups[part->group];
    switch (part->kind) {
    case CONSTANT:
        return put(draft, part->before.text, part->before.length);
    case WHOLE:
        return put(draft, line->text, line->length);
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
        return put_computed(draft, part->memo, line);
    default:
        return put(draft, own[part->group].text, own[part->group].length);
    }
}

/* The pieces of one line's document to an empty draft: GOOD, or NOT_SIMPLE if the sketch is not for it, or FAILED with an
 * error. ``recent`` has one for each part. Whatever it says, the draft is to be let go. */
static int drawn(const Sketch *sketch, const Span *line, const Span *own, Recent *recent, Draft *draft)
{
    Span groups[MOST_GROUPS];
    int good = GOOD;
    draft->count = draft->held = draft->fractions = 0;
    for (int i = 0; i < MOST_GROUPS; i++)
        groups[i] = (Span){line->text, 0};
    if (!match(sketch->steps, sketch->step_count, line->text, line->text + line->length, groups))
        return NOT_SIMPLE;
    for (Py_ssize_t i = 0; good > 0 && i < sketch->part_count; i++) {
        const Part *part = &sketch->parts[i];
        if (part->kind == IPV4 && is_ipv4(&groups[part->group]))
            continue; /* the parts that belong to it follow */
        good = put_part(draft, part, groups, line, own, &recent[i]);
        i += part->parts;
    }
    return good;
}

static void let_go(Draft *draft)
{
    for (Py_ssize_t i = 0; i < draft->held; i++)
        Py_DECREF(draft->holds[i]);
}

static Recent *no_recent(const Sketch *sketch)
{
    Recent *made = PyMem_Calloc((size_t)sketch->part_count + 1, sizeof(Recent));
    return made ? made : (Recent *)PyErr_NoMemory();
}

static void forget_recent(const Sketch *sketch, Recent *recent)
{
    for (Py_ssize_t i = 0; recent && i < sketch->part_count; i++)
        Py_XDECREF(recent[i].made);
    PyMem_Free(recent);
}

/* draw(sketch, lines, offsets, sizes, read) -> list of bytes or None: the documents of the lines that it is for. */
PyObject *draw(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *capsule, *lines, *columns[2];
    Span line, own[3];
    Draft draft;
    if (!PyArg_ParseTuple(arguments, "OO!O!O!y#", &capsule, &PyList_Type, &lines, &PyList_Type, &columns[0],
                          &PyList_Type, &columns[1], &own[2].text, &own[2].length))
        return NULL;
    const Sketch *sketch = PyCapsule_GetPointer(capsule, sketch_name);
    if (!sketch)
        return NULL;
    Py_ssize_t rows = PyList_Size(lines);
    if (PyList_Size(columns[0]) != rows || PyList_Size(columns[1]) != rows)
        return PyErr_Format(PyExc_ValueError, "not an offset and a size for each line");
    Recent *recent = no_recent(sketch);
    PyObject *made = recent ? PyList_New(rows) : NULL;
    for (Py_ssize_t row = 0; made && row < rows; row++) {
        /* What a memo calls may change the lists. */
        PyObject *kept[3] = {PyList_GetItem(lines, row), PyList_GetItem(columns[0], row), PyList_GetItem(columns[1], row)};
        for (int i = 0; i < 3; i++)
            Py_XINCREF(kept[i]);
        PyObject *document = NULL;
        if (kept[0] && kept[1] && kept[2] && (line.text = view(kept[0], &line.length)) &&
            (own[0].text = view(kept[1], &own[0].length)) && (own[1].text = view(kept[2], &own[1].length))) {
            int good = drawn(sketch, &line, own, recent, &draft);
            if (good != FAILED)
                document = good == GOOD ? joined(draft.pieces, draft.count) : Py_NewRef(Py_None);
            let_go(&draft);
        }
        for (int i = 0; i < 3; i++)
            Py_XDECREF(kept[i]);
        if (!document || PyList_SetItem(made, row, document) < 0)
            Py_CLEAR(made);
    }
    forget_recent(sketch, recent);
    return made;
}

/* Escaped lines, one behind the other with END between them. */
typedef struct {
    const char *at, *end; /* ``at`` is NULL behind the last */
} Texts;

static int next_text(Texts *texts, Span *text)
{
    const char *at = texts->at;
    if (!at)
        return 0;
    text->text = at;
    while ((at = memchr(at, '\\', (size_t)(texts->end - at)))) {
        if (texts->end - at > 1 && at[1] == 'n')
            break;
        at += texts->end - at > 1 ? 2 : 1;
    }
    text->length = (at ? at : texts->end) - text->text;
    texts->at = at ? at + 2 : NULL;
    return 1;
}

/* Put a backslash, escaped, for each stand-in; returns how long the text is then. */
static Py_ssize_t with_backslashes(char *text, Py_ssize_t length)
{
    static const char stand_in[] = "\\u001a";
    const Py_ssize_t size = sizeof stand_in - 1;
    char *to = text, *end = text + length;
    for (const char *from = text; from < end;) {
        const char *next = memchr(from, '\\', (size_t)(end - from));
        Py_ssize_t before = (next ? next : end) - from;
        memmove(to, from, (size_t)before);
        to += before;
        from += before;
        if (end - from >= size && !memcmp(from, stand_in, (size_t)size)) {
            *to++ = '\\';
            *to++ = '\\';
            from += size;
        } else
            for (int i = 0; i < 2 && from < end; i++) /* an escape of two bytes, or the beginning of a longer one */
                *to++ = *from++;
    }
    return to - text;
}

/* Write a draft into the blob, if that makes no more than ``most`` bytes. */
static int write_draft(Blob *blob, const Draft *draft, Py_ssize_t most, int stand_ins)
{
    Py_ssize_t length = 0;
    for (Py_ssize_t i = 0; i < draft->count; i++)
        length += draft->pieces[i].length;
    char *to = room(blob, length), *at = to;
    if (!to)
        return -1;
    for (Py_ssize_t i = 0; i < draft->count; i++) {
        memcpy(at, draft->pieces[i].text, (size_t)draft->pieces[i].length);
        at += draft->pieces[i].length;
    }
    if (stand_ins)
        length = with_backslashes(to, length);
    blob->used += length <= most ? length : 0;
    return 0;
}

/* rows(sketch, lines, together, start, read, repeats, fresh, again, most, stand_ins) -> (blob, ends, missing), or None if
 * ``together`` are not the lines: see shipper.native. */
PyObject *rows(PyObject *Py_UNUSED(self), PyObject *arguments)
{
    PyObject *capsule, *lines, *made = NULL;
    unsigned long long offset;
    Py_ssize_t repeats, lengths[2], most;
    const char *prefixes[2];
    Py_buffer together;
    int stand_ins;
    char numbers[2][24];
    Span own[3] = {{numbers[0], 0}, {numbers[1], 0}, {NULL, 0}};
    if (!PyArg_ParseTuple(arguments, "OO!y*Ky#ny#y#np", &capsule, &PyList_Type, &lines, &together, &offset, &own[2].text,
                          &own[2].length, &repeats, &prefixes[0], &lengths[0], &prefixes[1], &lengths[1], &most, &stand_ins))
        return NULL;
    const Sketch *sketch = PyCapsule_GetPointer(capsule, sketch_name);
    if (!sketch) {
        PyBuffer_Release(&together);
        return NULL;
    }
    Texts texts = {together.buf, (const char *)together.buf + together.len};
    Py_ssize_t count = PyList_Size(lines), fit = 1;
    Blob blob = {PyByteArray_FromStringAndSize(NULL, 0), 0};
    PyObject *ends = PyBytes_FromStringAndSize(NULL, count * 2 * (Py_ssize_t)sizeof(long long)), *missing = PyList_New(0);
    Recent *recent = no_recent(sketch);
    if (!blob.array || !ends || !missing || !recent)
        goto done;
    long long *end = (long long *)(void *)PyBytes_AsString(ends);
    for (Py_ssize_t row = 0; row < count; row++) {
        Span line, simple;
        Draft draft;
        int which = row < repeats, good = NOT_SIMPLE, written = 0;
        if (!(line.text = view(PyList_GetItem(lines, row), &line.length)))
            goto done;
        Py_ssize_t needed = lengths[which] + HEADER_ROOM;
        if (row == FIRST_ROWS) /* as if the others were as long, and somewhat longer */
            needed += blob.used / (FIRST_ROWS - 1) * (count - row);
        char *to = room(&blob, needed);
        if (!to)
            goto done;
        blob.used += header(to, prefixes[which], lengths[which], offset, line) - to;
        *end++ = blob.used;
        own[0].length = digits(numbers[0], offset, 1);
        own[1].length = digits(numbers[1], (unsigned long long)line.length + 1, 1);
        offset += (unsigned long long)line.length + 1;
        /* What a memo calls may change the list: the line is not looked at behind that. */
        if (!memchr(line.text, '\n', (size_t)line.length)) {
            if (!(fit = next_text(&texts, &simple)))
                break;
            good = drawn(sketch, &simple, own, recent, &draft);
            if (good == GOOD)
                written = write_draft(&blob, &draft, most, stand_ins);
            let_go(&draft);
        }
        if (good == FAILED || written < 0)
            goto done;
        *end++ = blob.used;
        if (end[-1] == end[-2]) {
            PyObject *number = PyLong_FromSsize_t(row);
            if (!number || PyList_Append(missing, number) < 0) {
                Py_XDECREF(number);
                goto done;
            }
            Py_DECREF(number);
        }
    }
    if (fit && !texts.at)
        made = Py_BuildValue("(OOO)", blob.array, ends, missing);
    else
        made = Py_NewRef(Py_None);
done:
    forget_recent(sketch, recent);
    Py_XDECREF(blob.array);
    Py_XDECREF(ends);
    Py_XDECREF(missing);
    PyBuffer_Release(&together);
    return made;
}
