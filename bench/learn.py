"""How much of each simulated broker's dialect is learnt right: python -m bench.learn [FILLS [SEED]]."""

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from ingest.dialects.dialect import Dialect, load_dialects
from ingest.files.file_dialect import FileDialect, file_dialect
from ingest.learn.fix import propose_dialect
from ingest.learn.fix_custom import custom_tags
from ingest.learn.fix_sample import read_rows
from ingest.learn.ours import Ours, read_ours
from ingest.learn.proposal import Proposal
from ingest.learn.table import propose_map
from ingest.learn.table_sample import Column, Sample, read_samples, read_xml_samples
from simulator.profiles import PROFILES
from simulator.simulate import in_memory, simulate

FILLS, SEED, DAY = 8_000, 7, date(2026, 11, 20)
_FIX = {"ALPHA": "alpha_ae44", "BRAVO": "bravo_er42", "CHARLIE": "charlie_as44"}
# What the learner reads is the sample and, where given, our own log: no shipped dialect takes part, so each broker is
# one it has never seen. The answers come from the dialect that ships.
_KEYS = (
    "tz60", "market_tz", "account_pattern", "default_account", "default_ccy", "pb_id", "qty_sign",
    "exec_id_version_suffix", "price_unit", "price_fraction", "fill_mode", "id_scope", "negative_buy",
)  # fmt: skip
_FORMS = (
    "date_format",
    "zone",
    "decimal",
    "level",
    "cost_sign",
    "coupon_percent",
    "fx_pairs",
    "bond_forms",
    "negative_buy",
)


@dataclass(frozen=True, slots=True)
class Scored:
    """Fields asked for, those answered right, and the wrong ones with what was proposed."""

    asked: int
    wrong: Sequence[str]
    open: int

    @property
    def right(self) -> int:
        """Fields proposed as the shipped dialect has them."""
        return self.asked - len(self.wrong)


def compare(expected: Mapping[str, Any], lines: Sequence[Proposal]) -> Scored:
    """A field is right when its proposed line has the expected value; None means that nothing may be written."""
    said = {line.key: line.value if line.written or line.standard else None for line in lines}
    wrong = [f"{key}: {said.get(key)} is not {want}" for key, want in expected.items() if said.get(key) != want]
    return Scored(len(expected), wrong, sum(line.open for line in lines))


def fix_answers(dialect: Dialect, data: bytes) -> dict[str, Any]:
    """Every key of a FIX dialect the sample can speak to: its custom tags, sides and message types one by one."""
    rows = read_rows(data)
    found: dict[str, Any] = {key: getattr(dialect, key) for key in _KEYS}
    found |= {f"custom.{tag}": dialect.custom.get(tag) for tag in custom_tags(rows)}
    found |= {f"side.{code}": dialect.sides.get(code) for code in {row.get(54) for row in rows} - {""}}
    found |= {f"level.{kind}": dialect.levels[kind] for kind in {row.kind for row in rows}}
    codes = {row.get(15) for row in rows} & set(dialect.minor_units)
    return found | {f"minor_units.{code}": dialect.minor_units[code] for code in codes}


def file_answers(dialect: FileDialect, sample: Sample) -> dict[str, Any]:
    """Columns the sample has, fees and forms of a file dialect; a column that is not mapped must stay unused."""
    found: dict[str, Any] = {}
    for name, headers in dialect.columns.items():
        header = next((one for one in headers if one in sample.columns), None)
        if header is not None:
            found[f"columns.{name}"] = header
    found |= {f"fees.{kind}": header for kind, header in dialect.fees.items() if header in sample.columns}
    found |= {form: getattr(dialect, form) for form in _FORMS if _speaks(sample, dialect, form)}
    found |= {f"asset_classes.{c}": asset for c, asset in dialect.asset_classes.items() if _has(sample, dialect, c)}
    return found


def _speaks(sample: Sample, dialect: FileDialect, form: str) -> bool:
    """Whether the sample has a row to learn the form from: a coupon, a bond, a currency trade, a negative purchase."""
    cells = {
        name: column.cells if (column := sample.column(next((h for h in headers if h in sample.columns), None))) else ()
        for name, headers in dialect.columns.items()
    }
    kinds = [dialect.asset_classes.get(cell, cell) for cell in cells.get("asset_class", ())]
    if form == "coupon_percent":
        return any(cells.get("coupon", ()))
    if form == "bond_forms":
        return "BOND" in kinds
    if form == "fx_pairs":
        return any(kind.startswith("FX") for kind in kinds)
    if form == "negative_buy":
        pairs = zip(cells.get("qty", ()), cells.get("side", ()), strict=True)
        return any(qty.startswith("-") and side.upper().startswith("B") for qty, side in pairs)
    return True


def _has(sample: Sample, dialect: FileDialect, code: str) -> bool:
    column = sample.column(next(iter(dialect.columns["asset_class"]), None))
    return column is not None and code in column.values


def blinded(sample: Sample, expected: Mapping[str, Any]) -> tuple[Sample, dict[str, Any]]:
    """The sample with headers that say nothing, and the answers under them; columns without a value are left out."""
    names = {header: f"Column {number}" for number, header in enumerate(sample.columns, 1)}
    columns = {names[header]: Column(names[header], column.cells) for header, column in sample.columns.items()}
    answers = {
        key: names[value] for key, value in expected.items()
        if key.startswith("columns.") and (column := sample.column(value)) is not None and column.filled
    }  # fmt: skip
    return Sample(columns), answers


def _report(rows: Sequence[tuple[str, Scored]], show: Callable[[str], object]) -> None:
    show(f"{'sample':<44}{'right':>7}{'of':>5}{'share':>8}{'to confirm':>12}")
    for name, scored in rows:
        show(f"{name:<44}{scored.right:>7}{scored.asked:>5}{100 * scored.right / scored.asked:>7.1f}%{scored.open:>12}")
        for wrong in scored.wrong:
            show(f"    {wrong}")
    asked, right = sum(s.asked for _, s in rows), sum(s.right for _, s in rows)
    show(f"{'all':<44}{right:>7}{asked:>5}{100 * right / asked:>7.1f}%")


def fix_rows(fills: int, seed: int) -> tuple[list[tuple[str, Scored]], bytes]:
    """The FIX brokers, with and without a log of ours; and our log."""
    flow = in_memory(replace(PROFILES["smoke"], fills=fills), seed, DAY)
    logs = {name.partition("->")[0]: b"\n".join(m for _, m in told) for name, told in flow.streams.items()}
    mine = next(data for name, data in logs.items() if name not in _FIX)
    rows = []
    for broker, dialect in _FIX.items():
        expected = fix_answers(load_dialects()[dialect], logs[broker])
        for words, ours in ((", with our log", read_ours([mine])), (", alone", Ours())):
            found = propose_dialect([logs[broker]], "learnt", ours)
            assert found is not None
            rows.append((f"{broker} FIX{words}", compare(expected, found.lines)))
    return rows, mine


def file_rows(fills: int, seed: int) -> tuple[list[tuple[str, Scored]], list[tuple[str, Scored]]]:
    """CHARLIE's CSV and ECHO's XML as they are, and with headers that say nothing."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "day"
        simulate(replace(PROFILES["smoke"], fills=fills), seed, DAY, folder)
        ours = read_ours([(folder / "fund" / "oms.fix").read_bytes()])
        csv = [(path.name, path.read_bytes()) for path in sorted((folder / "charlie").glob("trades_*.csv"))]
        xml = [(path.name, path.read_bytes()) for path in sorted((folder / "echo").glob("flex_*.xml"))]
        samples = {
            "CHARLIE CSV": (read_samples(csv), file_dialect("charlie_csv")),
            "ECHO XML": (read_xml_samples(xml, "Trade"), file_dialect("echo_flex")),
        }
    named, blind = [], []
    for name, (sample, dialect) in samples.items():
        expected = file_answers(dialect, sample)
        hidden, answers = blinded(sample, expected)
        for words, known in ((", with our log", ours), (", alone", Ours())):
            named.append((name + words, compare(expected, propose_map(sample, known).lines)))
            blind.append((f"{name}, headers hidden{words}", compare(answers, propose_map(hidden, known).lines)))
    return named, blind


def main(fills: int, seed: int) -> None:
    """Print the tables of docs/onboarding.md."""
    rows, _ = fix_rows(fills, seed)
    named, blind = file_rows(fills, seed)
    _report([*rows, *named], print)
    print()
    _report(blind, print)


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:3]]
    main(*[*numbers, *(FILLS, SEED)[len(numbers) :]])
