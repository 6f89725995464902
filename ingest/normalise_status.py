"""What a message is for us: session traffic, a fact with its status, or a business message without a trade."""

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.fix.plans import FAMILIES, POSITION
from ingest.fix.tags import MESSAGE_TYPES, SESSION_TYPES
from ingest.fix.values import KEY_SEPARATOR, joined, texts
from ingest.normalise_part import Part
from ingest.quarantine import ENUM_UNMAPPED, MISSING_FIELD, is_placeholder, swallowed_field, value_problem

SESSION, IGNORED = "SESSION", "IGNORED"
# A refused trade; what a counterparty answers to what it was sent; a holding.
REJECT, ANSWER, HOLDING = "REJECT", "ANSWER", "HOLDING"
ANSWER_TYPES = frozenset({"AR", "P", "AT", "AU", "Q"})
STATUS_TAGS = (20, 150, 39, 32, 487, 856, 939, 71, 87, 666, 665, 728)
_WITHOUT_QUANTITY = frozenset("0345679ABCDEIJKL")
_MESSAGE_TYPE = re.compile(r"[A-Za-z0-9]{1,4}")
_Verdict = tuple[str | None, str]  # status, or None and the tag and value that could not be read


def message_status(part: Part) -> pa.Array:
    """Per message SESSION, IGNORED, ANSWER, HOLDING or the trade status NEW, CORRECT, CANCEL, REJECT.

    Null where a problem was recorded.
    """
    columns = [part.message_type] + [texts(part.index, part.whole.find(tag)) for tag in STATUS_TAGS]
    # Quantities differ from message to message; only their presence matters here.
    quantity = 1 + STATUS_TAGS.index(32)
    columns[quantity] = pc.if_else(pc.is_valid(columns[quantity]), "y", pa.scalar(None, pa.string()))
    shown = [n for n, column in enumerate(columns) if column.null_count < len(column)] or [0]
    encoded = joined(columns[n] for n in shown).dictionary_encode()
    verdicts = [_verdict(shown, key.split(KEY_SEPARATOR)) for key in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy()
    for code, (status, wrong) in enumerate(verdicts):
        if status is None:
            reason, detail = _describe(wrong)
            part.problems.add_each(np.flatnonzero(codes == code).tolist(), reason, detail)
    return pa.array([status for status, _ in verdicts], pa.string()).take(encoded.indices)


def _describe(wrong: str) -> tuple[str, str]:
    label, _, value = wrong.partition("=")
    if not value:
        return MISSING_FIELD, f"{label} is missing."
    if is_placeholder(value) or swallowed_field(value):
        problem = value_problem(label, value)
        return problem.reason, problem.detail
    return ENUM_UNMAPPED, f"{label} value {value!r} is not one this service knows."


def _verdict(shown: list[int], values: list[str]) -> _Verdict:
    found = dict(zip(shown, values, strict=True))
    kind, fields = found.get(0, ""), {tag: found.get(n, "") for n, tag in enumerate(STATUS_TAGS, start=1)}
    if not kind:
        return None, "MsgType(35)"
    if kind in SESSION_TYPES:
        return SESSION, ""
    for family in FAMILIES:
        if kind in family.types:
            return _RULES[family.name](fields)
    if kind in ANSWER_TYPES:
        return ANSWER, ""
    if kind in POSITION.types:
        # PosReqResult(728) other than 0 is an answer without a position.
        return (HOLDING if fields[728] in ("", "0") else IGNORED), ""
    if kind in MESSAGE_TYPES or _MESSAGE_TYPE.fullmatch(kind):
        return IGNORED, ""
    return None, f"MsgType(35)={kind}"


def _execution(fields: dict[int, str]) -> _Verdict:
    """Both generations: ExecTransType(20) up to FIX 4.2, ExecType(150) F, G, H from 4.3; else OrdStatus(39)."""
    transaction, kind, order = fields[20], fields[150], fields[39]
    if transaction in ("", "0", "3") and (kind or order) == "8":
        return REJECT, ""
    if transaction in ("1", "2"):
        return ("CANCEL" if transaction == "1" else "CORRECT"), ""
    if transaction == "3":
        return IGNORED, ""
    if transaction not in ("", "0"):
        return None, f"ExecTransType(20)={transaction}"
    if not kind:
        if not order:
            return None, "ExecType(150)"
        return ("NEW" if order in ("1", "2") and fields[32] else IGNORED), ""
    known = {"1": "NEW", "2": "NEW", "F": "NEW", "G": "CORRECT", "H": "CANCEL"}
    if kind in known:
        return known[kind], ""
    return (IGNORED, "") if kind in _WITHOUT_QUANTITY else (None, f"ExecType(150)={kind}")


def _capture(fields: dict[int, str]) -> _Verdict:
    """TradeReportTransType(487) with TradeReportType(856), TrdRptStatus(939) and, in older dialects, ExecType(150)."""
    transaction, kind = fields[487], fields[856]
    if fields[939] == "1" or kind == "3":
        return REJECT, ""
    if transaction not in ("", "0", "1", "2", "3", "4"):
        return None, f"TradeReportTransType(487)={transaction}"
    if transaction in ("1", "4") or kind in ("6", "7") or fields[150] == "H":
        return "CANCEL", ""
    return ("CORRECT" if transaction == "2" or kind == "5" or fields[150] == "G" else "NEW"), ""


def _allocation(fields: dict[int, str]) -> _Verdict:
    """AllocTransType(71); a rejected AllocStatus(87) is no booking."""
    if fields[87] in ("1", "2", "5"):
        return REJECT, ""
    known = {"": "NEW", "0": "NEW", "1": "CORRECT", "2": "CANCEL", "3": IGNORED, "4": "NEW", "5": "NEW", "6": "CANCEL"}
    status = known.get(fields[71])
    return (status, "") if status else (None, f"AllocTransType(71)={fields[71]}")


def _confirmation(fields: dict[int, str]) -> _Verdict:
    """ConfirmTransType(666)."""
    status = {"": "NEW", "0": "NEW", "1": "CORRECT", "2": "CANCEL"}.get(fields[666])
    return (status, "") if status else (None, f"ConfirmTransType(666)={fields[666]}")


_RULES: dict[str, Callable[[dict[int, str]], _Verdict]] = {
    "EXECUTION": _execution,
    "CAPTURE": _capture,
    "ALLOCATION": _allocation,
    "CONFIRMATION": _confirmation,
}
