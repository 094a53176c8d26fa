"""What can go wrong that an operator must know of: each class is named for what they must do.

An error's text is one sentence that says what is wrong, and a next step. Expected outcomes (a refused document, a
truncated file) are values elsewhere, never exceptions.
"""

LOOK_CLOSER = " See `tailrace check --connect`."
"""The next step after any server's silence, but for the check itself."""


class TailraceError(Exception):
    """Anything we can explain: printed as one sentence, without a traceback; ``exit_code`` ends the command."""

    exit_code = 1


class FixSettings(TailraceError):
    """The settings file is wrong; the text names the key's path and what it may be."""

    exit_code = 2


class FixCases(TailraceError):
    """A file of cases for `tailrace test` is wrong; the text names the file and the case."""

    exit_code = 2


class SayYes(TailraceError):
    """A question needs an answer and there is no terminal; the command line must give it, with ``--yes``."""

    exit_code = 2


class RunSetup(TailraceError):
    """A topic or a template that ``tailrace setup`` makes is missing."""


class ReachKafka(TailraceError):
    """No broker answers, or it refuses us; checking network, address and credentials is next."""


class MendTopic(TailraceError):
    """A topic holds bytes that are no records; its brokers' disks, or setting the group past them, is next."""


class ReachElasticsearch(TailraceError):
    """No node answers, or it refuses us; checking network, address and credentials is next."""


class ReachKibana(TailraceError):
    """Kibana does not answer or refused an import."""


class MendState(TailraceError):
    """The state folder cannot be used: not writable, locked by another agent, or damaged."""


class MendInputs(TailraceError):
    """A file or a pattern of an input gave nothing, because it cannot be read or is not there."""


class RunAgain(TailraceError):
    """A run with ``--once`` was stopped before it was done; the next one goes on from there."""


class MendPlan(TailraceError):
    """A plan of what is to be repaired cannot be read; making it anew is next."""


class StackFailed(TailraceError):
    """The local Kafka or Elasticsearch of ``tailrace stack`` could not be made, started or stopped."""


class BenchFailed(TailraceError):
    """A measurement could not be made: the text holds the last words of the process that failed."""


def first_of(error: BaseException) -> BaseException:
    """What went wrong first, out of its groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
