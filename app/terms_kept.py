"""The terms that matching went by, kept as facts: rule set and feeds in full, from which run on, and rebuilds."""

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa

from domain.facts import MATCH_TERMS
from domain.ids import digest128
from domain.schema import arrow_schema
from matching.finish import rows_of
from matching.levels.port import FeedTerms
from matching.rules import RuleSet
from warehouse.port import Warehouse

_KEPT = "SELECT * FROM match_terms ORDER BY after_seq, noted_at, terms_id"
_NEWEST_RUN = "SELECT coalesce(max(seq), 0) AS seq FROM execution_log"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a Match run goes by; in force for every run after number `after_seq`."""

    rules: RuleSet
    feeds: tuple[FeedTerms, ...]
    after_seq: int = 0
    rebuilt: bool = False


@dataclass(frozen=True, slots=True)
class KeptTerms:
    """All terms that were in force, in their order; what is asked about before the first went by the first."""

    kept: tuple[Terms, ...]

    def of(self, seq: int) -> Terms:
        """The terms a run's results stand under: its own, or those of a rebuild since."""
        rebuilt = [at for at, terms in enumerate(self.kept) if terms.rebuilt and terms.after_seq >= seq]
        if rebuilt:
            return self.kept[rebuilt[-1]]
        return self.kept[max(bisect_right([terms.after_seq for terms in self.kept], seq - 1) - 1, 0)]

    @property
    def last(self) -> Terms:
        """Those in force in the end."""
        return self.kept[-1]


def note_terms(
    warehouse: Warehouse, rules: RuleSet, feeds: Sequence[FeedTerms], at_ns: int, *, rebuilt: bool = False
) -> None:
    """Keep these terms as in force from now on (UTC ns), unless they are already; a rebuild is always kept."""
    told = json.dumps([asdict(feed) for feed in feeds], sort_keys=True)
    with warehouse.transaction():
        kept = rows_of(warehouse.query(_KEPT))
        newest = kept[-1] if kept else None
        if not rebuilt and newest is not None and (newest["rule_set_hash"], newest["feeds"]) == (rules.hash, told):
            return
        seq = int(warehouse.query(_NEWEST_RUN)["seq"][0].as_py())
        row = {
            "terms_id": digest128("terms", rules.hash, told, str(seq), str(at_ns)), "rule_set_hash": rules.hash,
            "rules": rules.canonical, "feeds": told, "after_seq": seq, "rebuilt": rebuilt, "noted_at": at_ns,
        }  # fmt: skip
        schema = arrow_schema(MATCH_TERMS)
        columns = {f.name: pa.array([row[f.name]], pa.int64() if f.name == "noted_at" else f.type) for f in schema}
        columns["noted_at"] = columns["noted_at"].cast(schema.field("noted_at").type)
        warehouse.append(MATCH_TERMS.name, pa.table(columns))


def kept_terms(warehouse: Warehouse, rules: RuleSet, feeds: Sequence[FeedTerms]) -> KeptTerms:
    """What the warehouse kept; where it kept nothing, `rules` and `feeds` for every run."""
    kept = tuple(
        Terms(
            RuleSet.model_validate(json.loads(row["rules"])),
            tuple(_feed(one) for one in json.loads(row["feeds"])),
            int(row["after_seq"]),
            bool(row["rebuilt"]),
        )
        for row in rows_of(warehouse.query(_KEPT))
    )
    return KeptTerms(kept or (Terms(rules, tuple(feeds)),))


def _feed(told: dict[str, object]) -> FeedTerms:
    slots = told.pop("slots")
    assert isinstance(slots, list)
    return FeedTerms(**told, slots=tuple((at, zone) for at, zone in slots))  # type: ignore[arg-type]
