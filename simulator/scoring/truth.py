"""The truth file: labelled breaks, what they entail, matching records, twins and noise."""

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from simulator.scoring.names import Names
from simulator.scoring.read import InputError, Json, JsonLines, Key, WrongRowError, instant, keys, text, without_ranges

# The links of all groups of one file together; more would not fit into memory, and no real day comes near.
LINKS_MAX = 50_000_000


@dataclass(frozen=True, slots=True)
class Label:
    """One break that is really there. Times are UTC nanoseconds, `usd` is what it may cost in US dollars."""

    break_id: str
    code: str
    members: tuple[Key, ...]
    group_id: str
    field: str
    detectable_at: int | None
    cured: bool
    usd: Decimal
    case: str


@dataclass(slots=True)
class Truth:
    """What the file says.

    `left` and `right` hold the links: numbers of records, one of each side of a match row. `group_of` has for each
    number the place of its match row in `groups`; `entailed` are records a consequence names, right to report.
    """

    run: dict[str, Any] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)
    entailed: set[Key] = field(default_factory=set)
    names: Names = field(default_factory=Names)
    left: "array[int]" = field(default_factory=lambda: array("i"))
    right: "array[int]" = field(default_factory=lambda: array("i"))
    groups: list[str] = field(default_factory=list)
    group_of: "array[int]" = field(default_factory=lambda: array("i"))
    external: set[int] = field(default_factory=set)
    twin: dict[Key, Key] = field(default_factory=dict)
    noise: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)

    def clean_bookings(self) -> int:
        """Bookings with nothing wrong: as the run row says, else matched records of the other side without a label."""
        said = self.run.get("clean_bookings")
        if type(said) is dict:
            said = sum(value for value in said.values() if type(value) is int)
        if type(said) is int and said >= 0:
            return said
        broken = {self.names.find(key) for label in self.labels for key in label.members}
        return len(self.external - broken)

    @property
    def sources(self) -> frozenset[str]:
        """Every source the file names a record of."""
        members = {source for label in self.labels for source, _ in label.members}
        return frozenset({*members, *self.names.sources, *(source for source, _ in self.entailed)})

    def same(self, key: Key) -> Key:
        """The record that stands for all interchangeable twins of this one."""
        while (up := self.twin.get(key, key)) != key:
            key = up
        return key


def read_truth(lines: JsonLines) -> Truth:
    """Read a truth file. Raises InputError."""
    reader = _Reader(Truth())
    lines.each(reader.take)
    if not sum(count for kind, count in reader.truth.rows.items() if kind != "run"):
        raise InputError(f"{lines.name}: no truth in it (rows of kind break, match, twins, noise or consequence)")
    return reader.truth


@dataclass(slots=True)
class _Reader:
    truth: Truth
    # The same few combinations of codes come by the million.
    codes: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def take(self, row: Json, number: int) -> None:
        kind = row.get("kind")
        if kind == "match":
            self._match(row)
        elif kind == "noise":
            self._noise(row)
        elif kind == "twins":
            self._twins(row)
        elif kind == "break":
            self._label(row, number)
        elif kind == "consequence":
            self._entailed(row)
        elif kind == "run":
            self.truth.run.update(row)
        else:
            shown = "is missing" if kind is None else f"{str(kind)[:40]!r} is unknown"
            raise WrongRowError(f"kind {shown}: break, consequence, match, twins, noise or run")
        self.truth.rows[str(kind)] += 1

    def _match(self, row: Json) -> None:
        truth = self.truth
        ours = [truth.names.number(key) for key in keys(row, "internal_ids")]
        theirs = [truth.names.number(key) for key in keys(row, "external_ids")]
        if len(ours) * len(theirs) + len(truth.left) > LINKS_MAX:
            raise WrongRowError(f"more than {LINKS_MAX:,} links between records in this file")
        place = len(truth.groups)
        truth.groups.append(text(row, "group_id", ""))
        for number in ours + theirs:
            # Only match rows number records, so a new one is always the next; one named again keeps its first group.
            if number == len(truth.group_of):
                truth.group_of.append(place)
        truth.external.update(theirs)
        for number in ours:
            for other in theirs:
                truth.left.append(number)
                truth.right.append(other)

    def _noise(self, row: Json) -> None:
        key = (text(row, "source"), text(row, "uid"))
        codes = row.get("codes")
        if codes is not None and type(codes) is not list:
            raise WrongRowError("codes must be a list")
        # A record may have several rows: what it shows itself, and being sent again.
        named = (*self.truth.noise.get(key, ()), *map(str, codes or ()))
        self.truth.noise[key] = self.codes.setdefault(named, named)

    def _twins(self, row: Json) -> None:
        source, uids = text(row, "source"), row.get("uids")
        if type(uids) is not list or not all(type(uid) is str for uid in uids):
            raise WrongRowError("uids must be a list of ids")
        same = self.truth.same
        for uid in uids[1:]:
            one, other = same((source, uids[0])), same((source, uid))
            if one != other:
                self.truth.twin[other] = one

    def _label(self, row: Json, number: int) -> None:
        members = without_ranges(keys(row, "internal_ids") + keys(row, "external_ids"))
        if not members:
            raise WrongRowError("a break needs a record in internal_ids or external_ids")
        self.truth.labels.append(
            Label(
                break_id=text(row, "break_id", f"line {number}"),
                code=text(row, "code"),
                members=tuple(dict.fromkeys(members)),
                group_id=text(row, "group_id", ""),
                field=text(row, "field", ""),
                detectable_at=instant(row, "detectable_at"),
                cured=instant(row, "cured_at") is not None,
                usd=_dollars(row),
                case=text(row, "case", ""),
            )
        )

    def _entailed(self, row: Json) -> None:
        members = without_ranges(keys(row, "internal_ids") + keys(row, "external_ids"))
        if not members:
            raise WrongRowError("a consequence needs a record in internal_ids or external_ids")
        self.truth.entailed.update(members)


def _dollars(row: Mapping[str, Any]) -> Decimal:
    """`materiality_usd`, else `materiality`, else nothing; the sign does not matter."""
    name = "materiality_usd" if row.get("materiality_usd") is not None else "materiality"
    value = row.get(name)
    if value is None:
        return Decimal(0)
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or type(value) is bool:
        raise WrongRowError(f"{name} is no amount: {str(value)[:40]!r}")
    return abs(amount)
