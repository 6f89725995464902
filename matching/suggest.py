"""Suggestions: pairs that a score or an ambiguous pass holds likely, with their evidence; never matches.

A score adds log2 weights of evidence, as Fellegi and Sunter have it: what agrees speaks for a pair by how rarely it
agrees by chance, what differs against it by how rarely it differs in pairs. What a side does not state says nothing.
"""

import json
from collections.abc import Callable, Iterable

from matching.items import digest
from matching.rules import Ambiguity, Pass, RuleSet, ScorePass, Weight
from matching.tolerance import literal

_COLUMNS = "left_id, right_id, pass_id, component, kind, score, evidence"
_INTO = f"insert into work_suggestion ({_COLUMNS})\n"
_PAIR = "insert into work_pair (left_id, right_id)\n"

FORGET = "delete from match_suggestion where component in (select c.component from work_component c)"
# Only between trades that nothing else matched, and none that people took apart.
KEEP = f"""
insert into match_suggestion (suggestion_id, component, pass_id, rule_set_hash, left_id, right_id, kind, score,
  evidence)
select {digest("'suggestion'", "s.pass_id", "s.left_id", "s.right_id")}, s.component, s.pass_id, :rule_set_hash,
  s.left_id, s.right_id, s.kind, s.score, s.evidence
from work_suggestion s
  join work_member a on a.record_id = s.left_id and a.pass_id = :last_pass
  join work_member b on b.record_id = s.right_id and b.pass_id = :last_pass
qualify row_number() over (partition by s.pass_id, s.left_id, s.right_id order by s.kind) = 1
"""
STEPS = (FORGET, KEEP)


def suggests(rules: RuleSet) -> bool:
    """Whether any pass of the rule set makes suggestions."""
    return any(policy_of(rule) == "suggest" for rule in rules.passes)


def policy_of(rule: Pass) -> Ambiguity:
    """What a pass does with several candidates; a score pass always suggests."""
    return "suggest" if isinstance(rule, ScorePass) else getattr(rule, "ambiguity", "mutual-best")


# --- several candidates -------------------------------------------------------------------------------------------

_ONE_EACH = "count(*) over (partition by c.left_id) = 1 and count(*) over (partition by c.right_id) = 1"


def only(source: str, _score: str) -> str:
    """Pairs in which neither side has a second candidate."""
    return f"{_PAIR}select c.left_id, c.right_id from (\n{source}\n) c\nqualify {_ONE_EACH}"


def several(pass_id: str, keys: Iterable[str]) -> Callable[[str, str], str]:
    """What turns candidates into suggestions where one side has more than one."""
    evidence = json.dumps([{"field": key, "is": "equal"} for key in keys], separators=(",", ":"))

    def sql(source: str, _score: str) -> str:
        return (
            f"{_INTO}select x.left_id, x.right_id, '{pass_id}', l.component, 'ambiguous', null, {literal(evidence)}"
            f"\nfrom (select c.left_id, c.right_id from (\n{source}\n) c qualify not ({_ONE_EACH})) x"
            " join work_l l on l.record_id = x.left_id"
        )

    return sql


# --- scores -------------------------------------------------------------------------------------------------------


def score(rule: ScorePass) -> str:
    """The likeliest pairs of free records that agree in one of the pass's blocks, with their evidence."""
    blocks = "\n  union\n".join(_block(rule, keys) for keys in rule.block)
    said = [(name, weight, _level(name, weight)) for name, weight in rule.weights.items()]
    total = " + ".join(f"({_case(level, {k: str(v) for k, v in _weights(weight)})})" for _, weight, level in said)
    evidence = " || ',' || ".join(f"({_case(level, _told(name, weight))})" for name, weight, level in said)
    best = [
        f"row_number() over (partition by s.{mine} order by s.score desc, s.{other}_uid, s.{other}_id) <= {rule.most}"
        for mine, other in (("left_id", "right"), ("right_id", "left"))
    ]
    return (
        f"{_INTO}with c as (\n{blocks}\n), s as (\n  select c.left_id, c.right_id, l.component, l.uid as left_uid,"
        f" r.uid as right_uid,\n    cast({total} as number(28, 12)) as score,\n    '[' || {evidence} || ']' as evidence"
        "\n  from c join work_l l on l.record_id = c.left_id join work_r r on r.record_id = c.right_id\n)"
        f"\nselect s.left_id, s.right_id, '{rule.id}', s.component, 'score', s.score, s.evidence from s"
        f"\nwhere s.score >= {rule.threshold}\nqualify {' and '.join(best)}"
    )


def _block(rule: ScorePass, keys: Iterable[str]) -> str:
    """Pairs that agree in `keys`; where a key is shared by too many records it tells nothing."""
    sides = [(left, right or left) for left, _, right in (key.partition("=") for key in keys)]

    def side(leg: str, names: list[str]) -> str:
        parts = ", ".join(["x.component", *(f"x.{name}" for name in names)])
        return f"(select x.* from work_{leg} x qualify count(*) over (partition by {parts}) <= {rule.most_alike})"

    equal = " and ".join(f"l.{a} = r.{b}" for a, b in sides)
    return (
        f"  select l.record_id as left_id, r.record_id as right_id\n  from {side('l', [a for a, _ in sides])} l"
        f"\n    join {side('r', [b for _, b in sides])} r on l.component = r.component and {equal}"
    )


def _level(name: str, weight: Weight) -> dict[str, str]:
    """Condition of each way two values can compare, in the order they are asked."""
    levels = {"unknown": f"l.{name} is null or r.{name} is null", "equal": f"l.{name} = r.{name}"}
    if weight.within is not None:
        levels["near"] = f"abs(l.{name} - r.{name}) <= {weight.within} * abs(l.{name})"
    if weight.days is not None:
        levels["near"] = f"abs(datediff('day', l.{name}, r.{name})) <= {weight.days}"
    return levels


def _weights(weight: Weight) -> list[tuple[str, object]]:
    return [("unknown", 0), ("equal", weight.equal), ("near", weight.near), ("differ", weight.differ)]


def _told(name: str, weight: Weight) -> dict[str, str]:
    return {
        level: literal(json.dumps({"field": name, "is": level, "weight": str(value)}, separators=(",", ":")))
        for level, value in _weights(weight)
    }


def _case(levels: dict[str, str], values: dict[str, str]) -> str:
    cases = " ".join(f"when {condition} then {values[level]}" for level, condition in levels.items())
    return f"case {cases} else {values['differ']} end"
