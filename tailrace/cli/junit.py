"""Judged cases to the XML that build servers read (JUnit's). No I/O."""

import re
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from shipper.cases import Judged

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold in any way (its section 2.2, Char)."""


def junit(judged: Mapping[str, Sequence[Judged]], told: Mapping[int, str]) -> bytes:
    """One suite for each file, one case for each case; ``told`` is by ``id`` of a case what is wrong with it."""
    every = [one for cases in judged.values() for one in cases]
    root = ElementTree.Element("testsuites", _counts("tailrace test", every))
    for file, cases in judged.items():
        suite = ElementTree.SubElement(root, "testsuite", _counts(_clean(file), cases))
        for one in cases:
            case = ElementTree.SubElement(suite, "testcase", {"classname": _clean(file), "name": _clean(one.name)})
            if not one.ok:
                wrong = ElementTree.SubElement(case, "error" if one.error else "failure", {"message": _summary(one)})
                wrong.text = _clean(told[id(one)])
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _counts(name: str, cases: Sequence[Judged]) -> dict[str, str]:
    errors = sum(bool(one.error) for one in cases)
    failed = sum(not one.ok for one in cases) - errors
    return {"name": name, "tests": str(len(cases)), "failures": str(failed), "errors": str(errors), "skipped": "0"}


def _summary(one: Judged) -> str:
    if one.error:
        return _clean(one.error.partition("\n")[0])
    if one.expects_nothing:
        return "it does not say what it expects"
    fields = dict.fromkeys(difference.field for difference in one.differences)
    return _clean(f"not as expected: {', '.join(fields)}")


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
