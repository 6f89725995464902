"""A column map proposed from sample files: which header holds what, how cells are written, what a row is."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ingest.files.aliases import aliases, key_of
from ingest.files.csv_map import CsvMap, missing
from ingest.learn.ours import Ours
from ingest.learn.proposal import LIKELY, SURE, Proposal, Value, as_yaml
from ingest.learn.table_amounts import Offer, amount_offers
from ingest.learn.table_costs import cost_proposals
from ingest.learn.table_fields import content_offers, fits
from ingest.learn.table_forms import form_proposals
from ingest.learn.table_sample import Column, Sample

_NAMED, _NAMED_ONLY, _DOUBTED, _CONTRADICTED = 0.97, 0.9, 0.75, 0.3
_ENDING_MIN = 7


@dataclass(frozen=True, slots=True)
class TableProposal:
    """What sample files say about a column map. `unused` are headers nobody asks for.

    `layout` are the keys that make the map a file dialect (name, kind, record element); empty for a plain map.
    """

    lines: Sequence[Proposal]
    rows: int
    unused: Sequence[str]
    notes: Sequence[str] = field(default_factory=tuple)
    layout: Mapping[str, Value] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, str]:
        """Canonical column to header, of the lines that have an effect."""
        return {line.name: str(line.value) for line in self.lines if line.section == "columns" and line.written}

    def text(self) -> str:
        """The mapping file to confirm."""
        head = [
            f"Proposed from {self.rows:,} rows.",
            "Behind each line: confidence and evidence. Lines marked `<-- confirm` need a person's answer:",
            "correct the line or accept it, then remove the mark. `tieout dialect check` refuses a file with marks.",
            *self.notes,
            *([f"Not used: {', '.join(self.unused)}"] if self.unused else []),
        ]
        return as_yaml(head, self.layout, self.lines)


def propose_map(sample: Sample, ours: Ours, layout: Mapping[str, Value] | None = None) -> TableProposal:
    """The column map of files with these columns; required fields nothing was found for are open questions."""
    chosen = _assign(_offers(sample, ours))
    columns = {name: offer.header for name, offer in chosen.items() if offer.score >= LIKELY}
    lines = [Proposal(f"columns.{name}", chosen[name].header, chosen[name].score, chosen[name].evidence)
             for name in aliases() if name in chosen]  # fmt: skip
    forms = form_proposals(sample, columns, ours)
    signed = any(line.key == "signed_quantity" and line.value is True for line in forms)
    lacking = missing(columns, CsvMap(columns=columns, signed_quantity=signed))
    lines += [
        Proposal(f"columns.{name}", None, 0.0, "needed, and no column was found for it")
        for name in lacking if name not in chosen
    ]  # fmt: skip
    costs = cost_proposals(sample, columns)
    used = {*columns.values(), *(str(line.value) for line in costs if line.section == "fees")}
    unused = tuple(header for header in sample.columns if header not in used)
    return TableProposal([*lines, *forms, *costs], sample.rows, unused, layout=layout or {})


def _offers(sample: Sample, ours: Ours) -> dict[str, list[Offer]]:
    """Every field's candidates, names and contents put together."""
    found: dict[str, dict[str, Offer]] = defaultdict(dict)
    for offers in (content_offers(sample, ours), amount_offers(sample)):
        for name, mine in offers.items():
            for offer in mine:
                best = found[name].get(offer.header)
                if best is None or offer.score > best.score:
                    found[name][offer.header] = offer
    for column in sample.columns.values():
        for name, rank in _named(column.header):
            found[name][column.header] = _together(name, rank, column, found[name].get(column.header))
        for name, form in _ending(column.header):
            if column.header not in found[name] and (fits(name, column) or 1.0) >= 0.9:
                found[name][column.header] = Offer(
                    column.header, 0.7, f"its name ends like {form!r}, a usual name for it"
                )
    return {name: list(offers.values()) for name, offers in found.items()}


def _named(header: str) -> list[tuple[str, int]]:
    """Fields for which the header is a usual name, with its place among them."""
    key = key_of(header)
    return [(name, forms.index(key)) for name, forms in aliases().items() if key in forms]


def _ending(header: str) -> list[tuple[str, str]]:
    """Fields of which a usual name is the end of the header (`ibOrderID`), when it is none itself."""
    key = key_of(header)
    if _named(header):
        return []
    return [
        (name, form)
        for name, forms in aliases().items()
        for form in forms[:6]
        if len(form) >= _ENDING_MIN and key.endswith(form)
    ][:2]


def _together(name: str, rank: int, column: Column, offer: Offer | None) -> Offer:
    """A usual name, weighed with what the cells say."""
    early = 0.002 * min(rank, 20)
    if offer is not None:
        return Offer(column.header, max(_NAMED, offer.score) - early, f"a usual name for it; {offer.evidence}")
    fit = fits(name, column)
    if fit is None:
        told = "any text would do" if column.filled else "no row has a value"
        sure = _NAMED_ONLY + 0.04 if column.filled else SURE
        return Offer(column.header, sure - early, f"a usual name for it; {told}")
    if fit >= 0.9:
        text = f"a usual name for it; {100 * fit:.0f}% of its values are of that kind"
        return Offer(column.header, _NAMED - 0.01 - early, text)
    sure = _DOUBTED if fit >= 0.4 else _CONTRADICTED
    return Offer(column.header, sure, f"a usual name for it, but only {100 * fit:.0f}% of its values are that")


def _assign(offers: dict[str, list[Offer]]) -> dict[str, Offer]:
    """One header per field and one field per header, the surest first; close rivals lower the confidence."""
    ranked = sorted(
        ((offer.score, name, offer) for name, mine in offers.items() for offer in mine),
        key=lambda one: (-one[0], list(aliases()).index(one[1])),
    )
    chosen: dict[str, Offer] = {}
    taken: set[str] = set()
    for score, name, offer in ranked:
        if name in chosen or offer.header in taken:
            continue
        rivals = [
            o for o in offers[name] if o.header != offer.header and o.header not in taken and score - o.score < 0.03
        ]
        if rivals:
            text = f"{offer.evidence}; {', '.join(repr(one.header) for one in rivals[:3])} could be it as well"
            offer = Offer(offer.header, min(score, 0.8), text)
        chosen[name] = offer
        taken.add(offer.header)
    return chosen
