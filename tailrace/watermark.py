"""Spans begun and finished in any order to how far it is safe to say we have got. No I/O."""

from collections import deque


class Span:
    """A stretch of work in flight, [start, end); ``remark`` is what must be stored together with ``end``."""

    __slots__ = ("end", "finished", "remark", "start")

    def __init__(self, start: int, end: int, remark: object) -> None:
        self.start = start
        self.end = end
        self.remark = remark
        self.finished = False


class Watermark:
    """The contiguous prefix of finished spans: bytes of one file, or offsets of one partition.

    ``position`` is always the next one to read: everything before it is done. Spans are begun in ascending order and
    finished in any. The hazard: work that is dropped without ``finish`` holds the position for ever, so every
    path, refusal included, ends in ``finish`` or in ``reset``.
    """

    __slots__ = ("_spans", "begun", "position", "remark")

    def __init__(self, position: int, remark: object = None) -> None:
        self.position = position
        self.remark = remark
        self.begun = position
        self._spans: deque[Span] = deque()

    def begin(self, end: int, remark: object = None) -> Span:
        """Begin the span from where the last one ended to ``end`` (gaps in the numbering belong to the later span)."""
        if end < self.begun:
            message = f"a span must not go back: {end} < {self.begun}"
            raise ValueError(message)
        span = Span(self.begun, end, remark)
        self.begun = end
        self._spans.append(span)
        return span

    def finish(self, span: Span) -> bool:
        """Finish one span; True if the position moved."""
        span.finished = True
        moved = False
        while self._spans and self._spans[0].finished:
            first = self._spans.popleft()
            self.position = first.end
            self.remark = first.remark
            moved = True
        return moved

    def reset(self) -> int:
        """Forget all unfinished spans (their work will be done again); returns the position to begin from.

        A span that was forgotten may still be finished later without any effect.
        """
        self._spans.clear()
        self.begun = self.position
        return self.position

    @property
    def in_flight(self) -> int:
        """How many spans are begun and hold, or are held by, an unfinished one."""
        return len(self._spans)
