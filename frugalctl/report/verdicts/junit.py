"""Verdicts as JUnit XML, which most CI servers show; a gate is a test case."""

from __future__ import annotations

from xml.etree import ElementTree as xml

from frugalctl.report.gate import Verdict
from frugalctl.report.tables import clip, printable
from frugalctl.report.verdicts.model import Judgement, count_statuses, explain, name_gate


def render_junit(judgement: Judgement) -> str:
    """One suite; failed gates are failures; new, ignored and not judged ones are skipped.

    Characters that XML cannot hold are escaped as Python does.
    """
    count = count_statuses(judgement.verdicts)
    numbers = {
        "tests": str(len(judgement.verdicts)),
        "failures": str(count["failed"]),
        "errors": "0",
        "skipped": str(count["new"] + count["ignored"] + count["not judged"]),
    }
    root = xml.Element("testsuites", {"name": "frugalctl", **numbers})
    suite = xml.SubElement(root, "testsuite", {"name": "frugalctl check", **numbers})
    for verdict in judgement.verdicts:
        _add_case(suite, verdict)
    for text in _tell(judgement):
        xml.SubElement(suite, "system-out").text = text
    xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml.tostring(root, "unicode")}\n'


def _add_case(suite: xml.Element, verdict: Verdict) -> None:
    name = printable(clip(name_gate(verdict.gate)))
    case = xml.SubElement(suite, "testcase", {"classname": "frugalctl.gates", "name": name})
    found = printable(clip(explain(verdict)))
    if verdict.status == "failed":
        failure = xml.SubElement(case, "failure", {"message": found, "type": "gate"})
        failure.text = f"fails if {printable(clip(verdict.gate.text))}"
    elif verdict.status == "passed":
        xml.SubElement(case, "system-out").text = found
    else:
        xml.SubElement(case, "skipped", {"message": found})


def _tell(judgement: Judgement) -> list[str]:
    """Warnings, and why prompts became dearer, as the suite's output."""
    reasons = judgement.prompts.reasons if judgement.prompts else ()
    told = [*(f"{prompt}: {reason}" for prompt, reason in reasons), *judgement.warnings]
    lines = [f"- {printable(clip(line))}" for line in told]  # a bare one may begin with `::`
    return ["\n".join(lines)] if lines else []
