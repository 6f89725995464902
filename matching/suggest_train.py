"""Weights of a score pass fitted to what was matched: how often fields agree in pairs, and how often by chance.

Offline and only here: Splink (extra `suggest`) counts, the weights it arrives at are written into a rule file as exact
decimals, and matching never needs it. Probabilities are estimates, so floats are in place until they are rounded.
"""

import importlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from warehouse.port import Warehouse

MAX_RANDOM_PAIRS = 1_000_000
LEAST_PAIRS = 50
_CENT = Decimal("0.01")
_SEED = 7
# Of each field: what is near. The conditions are those of the compiled pass (matching/suggest.py).
NEAR: Mapping[str, Mapping[str, object]] = {
    "account": {}, "instrument": {}, "direction": {}, "qty": {"within": "0.05"}, "price": {"within": "0.005"},
    "trade_date": {"days": 1}, "settle_date": {"days": 3}, "ccy": {},
}  # fmt: skip
BLOCKS = (("instrument", "trade_date"), ("account", "trade_date", "qty"), ("account", "instrument"))

RECORDS = """
select v.leg, v.record_id as unique_id, v.account, e.instrument_id as instrument, v.direction,
  cast(v.qty as double) as qty, cast(e.price as double) as price, e.trade_date, e.settle_date,
  e.trade_ccy as ccy, g.group_id as pair
from match_version v join trade_event e on e.record_id = v.record_id
  left join match_member m on m.record_id = v.record_id left join match_group g on g.group_id = m.group_id
    and g.cardinality = '1:1' and g.level <> 'ORDER'
where v.is_tip and not v.held and v.status <> 'CANCEL'
qualify row_number() over (partition by v.record_id order by g.group_id nulls last) = 1
order by v.leg, v.record_id
"""


class TrainingError(ValueError):
    """Weights cannot be fitted; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Weights in log2 by field and level, the weight from which a pair is likelier than not, and what they rest on."""

    weights: Mapping[str, Mapping[str, Decimal]]
    threshold: Decimal
    pairs: int
    left: int
    right: int

    def as_yaml(self, name: str = "P89-alike") -> str:
        """The score pass, to be put before the last pass of a rule file."""
        lines = [
            f"  # Fitted to {self.pairs:,} pairs of {self.left:,} trades of ours and {self.right:,} of theirs.",
            f"  - id: {name}", "    kind: score",
            f"    block: [{', '.join('[' + ', '.join(keys) + ']' for keys in BLOCKS)}]", "    weights:",
        ]  # fmt: skip
        for field, levels in self.weights.items():
            said = [f'{level}: "{value}"' for level, value in levels.items()]
            said += [
                f'{key}: "{value}"' if key == "within" else f"{key}: {value}" for key, value in NEAR[field].items()
            ]
            lines.append(f"      {field}: {{{', '.join(said)}}}")
        return "\n".join([*lines, f'    threshold: "{self.threshold}"', ""])


def train(warehouse: Warehouse) -> Fitted:
    """Fit weights to the one-to-one pairs of a warehouse that has been matched. Raises TrainingError."""
    splink = _splink()
    rows = warehouse.query(RECORDS)
    sides = [rows.filter(pc.equal(rows["leg"], leg)).drop_columns(["leg"]) for leg in ("L", "R")]
    pairs = len(set(sides[0]["pair"].drop_null().to_pylist()) & set(sides[1]["pair"].drop_null().to_pylist()))
    if pairs < LEAST_PAIRS:
        raise TrainingError(f"{pairs} pairs one to one in this history; fitting weights needs at least {LEAST_PAIRS}")
    chance = pairs / (sides[0].num_rows * sides[1].num_rows)
    fitted = _fit(splink, sides)
    weights = {name: _weights(fitted[name], pairs) for name in NEAR}
    threshold = Decimal(str(math.log2((1 - chance) / chance))).quantize(_CENT)
    return Fitted(weights, threshold, pairs, sides[0].num_rows, sides[1].num_rows)


def _splink() -> Any:
    try:
        return importlib.import_module("splink")
    except ImportError:
        raise TrainingError("fitting weights needs the extra `suggest`: pip install 'tieout[suggest]'") from None


def _fit(splink: Any, sides: Sequence[pa.Table]) -> Mapping[str, list[Mapping[str, Any]]]:
    """Levels with the share they have in pairs (m) and by chance (u), by field, in the order of `_conditions`."""
    levels = importlib.import_module("splink.comparison_level_library")
    comparisons = importlib.import_module("splink.comparison_library")
    backend = importlib.import_module("splink.backends.duckdb").DuckDBAPI()
    fields = [
        comparisons.CustomComparison(
            comparison_levels=[
                levels.NullLevel(name), *(levels.CustomLevel(sql) for sql in _conditions(name)), levels.ElseLevel(),
            ],
            output_column_name=name,
        )
        for name in NEAR
    ]  # fmt: skip
    settings = splink.SettingsCreator(link_type="link_only", comparisons=fields)
    frames = [
        backend.register(side, dataset_display_name=name) for name, side in zip(("ours", "theirs"), sides, strict=True)
    ]
    linker = splink.Linker(frames, settings, log_level=40)
    linker.training.estimate_u_using_random_sampling(max_pairs=MAX_RANDOM_PAIRS, seed=_SEED)
    linker.training.estimate_m_from_label_column("pair")
    model = linker.misc.save_model_to_json()
    return {
        one["output_column_name"]: [level for level in one["comparison_levels"] if not level.get("is_null_level")]
        for one in model["comparisons"]
    }


def _conditions(name: str) -> list[str]:
    left, right = f"{name}_l", f"{name}_r"
    near = NEAR[name]
    found = [f"{left} = {right}"]
    if "within" in near:
        found.append(f"abs({left} - {right}) <= {near['within']} * abs({left})")
    if "days" in near:
        found.append(f"abs(date_diff('day', {left}, {right})) <= {near['days']}")
    return found


def _weights(levels: Sequence[Mapping[str, Any]], pairs: int) -> Mapping[str, Decimal]:
    """What agrees never speaks against a pair, what differs never for it, and near lies between."""
    found = [_weight(level, pairs) for level in levels]
    equal, differ = max(found[0], Decimal(0)), min(found[-1], Decimal(0))
    if len(found) == 2:
        return {"equal": equal, "differ": differ}
    return {"equal": equal, "near": min(equal, max(differ, found[1])), "differ": differ}


def _weight(level: Mapping[str, Any], pairs: int) -> Decimal:
    """log2(m / u); what was seen on one side alone counts as seen half a time on the other."""
    m, u = (float(level.get(name) or 0) for name in ("m_probability", "u_probability"))
    if not m and not u:
        return Decimal("0.00")
    m, u = max(m, 0.5 / pairs), max(u, 0.5 / MAX_RANDOM_PAIRS)
    return Decimal(str(math.log2(m / u))).quantize(_CENT) + 0
