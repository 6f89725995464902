"""Every message of the public corpus: a trade, no trade, or a reason; none lost, none raises."""

import csv
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.dialects.dialect import Dialect
from ingest.feeds import Feed
from ingest.fix.dump import decode_lines
from ingest.fix.sniff import find_messages, separator_of, to_wire
from ingest.normalise import Normalised
from ingest.normalise_reference import Reference

_CORPUS = Path(__file__).parents[3].parent / "shared" / "fix-corpus"
_LABELS = {b"\x01": {"SOH", "SOH(from escape)"}, b"|": {"pipe", " pipe"}, b" | ": {"pipe"}, b"^A ": {"^A+sp"}}


@pytest.fixture(scope="module")
def corpus() -> list[bytes]:
    """The corpus lines; the tests are skipped where it is not at hand."""
    if not _CORPUS.is_dir():
        pytest.skip(f"no message corpus at {_CORPUS}")
    return [line for line in (_CORPUS / "messages.fix").read_bytes().split(b"\n") if line]


def test_every_line_has_an_outcome(corpus: list[bytes], run: Callable[..., Normalised]) -> None:
    result = run(corpus, live=False)
    outcomes = Counter(result.messages["outcome"].to_pylist())
    assert sum(outcomes.values()) == len(corpus)
    assert outcomes["SESSION"] > 30
    assert outcomes["IGNORED"] > 80
    assert outcomes["FACT"] > 0
    assert result.quarantine.num_rows == outcomes["QUARANTINE"]
    assert all(row["reason"] and row["detail"] for row in result.quarantine.to_pylist())


def test_fills_become_trades_once_the_dialect_fills_gaps(corpus: list[bytes], run: Callable[..., Normalised]) -> None:
    # US drop copies leave out currency and account; what a dialect may state is not guessed.
    rule = Dialect(name="us", default_ccy="USD", default_account="HOUSE")
    feed = Feed(name="COPY", role="EB", party="CCG", dialect="us")
    result = run(corpus, feed, live=False, against=Reference({"us": rule}))
    trades = {row["trade_uid"]: row for row in result.trades.to_pylist()}
    bust = trades["NF 0644/04022009 001001003"]
    assert (bust["status"], bust["prev_uid"]) == ("CANCEL", "NF 0644/04022009 001001002")
    correction = trades["NF 0039/03022010 001001002"]
    assert (correction["status"], str(correction["price"].normalize())) == ("CORRECT", "49.37")
    assert len(trades) >= 20


def test_the_corpus_read_as_a_log(corpus: list[bytes]) -> None:
    found = list(find_messages(b"\n".join(corpus)))
    assert {f.line for f in found} == set(range(1, len(corpus) + 1))
    decoded = list(decode_lines(b"\n".join(corpus)))
    assert [m.line for m in decoded] == list(range(1, len(corpus) + 1))
    assert all(m.fields for m in decoded)


def test_decoding_agrees_with_what_was_noted_about_each_message(corpus: list[bytes]) -> None:
    with (_CORPUS / "sources.tsv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    for row, message in zip(rows, decode_lines(b"\n".join(corpus)), strict=True):
        told = set(row["flags"].split(","))
        untyped = "no-msgtype" in told
        assert (message.begin_string, message.msg_type or "?") == (row["begin_string"], row["msg_type"]), row["line"]
        assert len(message.fields) == int(row["n_tags"]), row["line"]
        assert message.error == ("missing_required_field" if untyped else None), row["line"]
        assert ("EMPTY_VALUE" in message.flags) >= ("empty-value" in told), row["line"]
        assert ("ODD_TAG" in message.flags) >= ("nonnumeric-tag" in told), row["line"]
        assert ("I02_NO_CHECKSUM" in message.flags) == ("no-checksum" in told), row["line"]


def test_what_is_refused_is_refused_for_what_is_in_the_message(
    corpus: list[bytes], run: Callable[..., Normalised]
) -> None:
    for row in run(corpus, live=False).quarantine.to_pylist():
        words = re.findall(r"value '([^']*)'", row["detail"])
        assert all(word.encode("latin-1", "replace")[:20] in row["raw"] for word in words), row["detail"]
        if row["reason"] == "missing_required_field":
            wire = to_wire(row["raw"]) or b""
            present = set(re.findall(rb"\x01(\d+)=[^\x01]", wire))
            named = re.findall(r"\((\d+)\)", row["detail"].partition(" is missing")[0])
            assert not {tag.encode() for tag in named} & present, row["detail"]


def test_separators_are_recognised(corpus: list[bytes]) -> None:
    with (_CORPUS / "sources.tsv").open(newline="", encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    wrong = [
        (row["line"], row["separator"], separator_of(line))
        for row, line in zip(rows, corpus, strict=True)
        if row["separator"].strip() not in _LABELS.get(separator_of(line) or b"", set())
    ]
    assert wrong == []
