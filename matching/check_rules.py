"""A rule file checked without running it: its faults, and what it says that can never have an effect."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from matching.compiled import compile_rules
from matching.rules import AggregatePass, NearMissPass, OrderPass, Pass, RuleError, RuleSet, parse_rules
from matching.rules_faults import Fault, line_of

# What a loose pass lets differ must be named by a break rule of this family, else the pair is matched without a word.
_NAMED_BY = {
    "qty": "qty", "price": "price", "side": "side", "direction": "side", "account": "account",
    "instrument": "instrument", "settle_date": "settle_date", "trade_date": "trade_date", "ccy": "ccy",
    "settle_ccy": "ccy", "pb": "existence", "commission": "commission",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: the rule set when it can be used, else `faults` (lines `file:line: key: fault`).

    `hints` are of the same form: a file with hints can be used.
    """

    rules: RuleSet | None
    faults: tuple[str, ...]
    hints: tuple[str, ...]
    statements: int = 0


def check_text(text: str, name: str) -> Checked:
    """Read, check and compile the rule file `text`; never raises for what the file says."""
    try:
        rules = parse_rules(text, name)
    except RuleError as error:
        return Checked(None, tuple(str(error).splitlines()), ())
    except ArithmeticError:
        return Checked(None, (f"{name}:1: file: a quoted amount is not a decimal number",), ())
    compiled = compile_rules(rules)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    hints = sorted(_hints(rules, node), key=lambda hint: hint.line)
    return Checked(rules, (), tuple(f"{name}:{hint}" for hint in hints), len(compiled.passes))


def _hints(rules: RuleSet, node: yaml.Node | None) -> Iterator[Fault]:
    yield from _unnamed(rules, node)
    yield from _repeated(rules, node)
    yield from _without_effect(rules, node)


def _unnamed(rules: RuleSet, node: yaml.Node | None) -> Iterator[Fault]:
    families = {rule.family for rule in rules.breaks}
    for index, one in enumerate(rules.passes):
        for name in _lets_differ(one):
            family = _NAMED_BY.get(name.partition("=")[0])
            if family is not None and family not in families:
                text = f"{one.id} pairs trades that differ in {name}, and no break rule names the difference"
                fix = f"add a break rule of family '{family}'"
                yield Fault(line_of(node, ("passes", index)), f"passes.{index}", text, fix)


def _lets_differ(one: Pass) -> tuple[str, ...]:
    if isinstance(one, NearMissPass):
        return (one.differs,)
    if isinstance(one, OrderPass):
        return (*one.differs, *one.allow)
    return one.allow if isinstance(one, AggregatePass) else ()


def _repeated(rules: RuleSet, node: yaml.Node | None) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for index, one in enumerate(rules.passes):
        content = one.model_dump_json(exclude={"id"})
        if content in seen:
            text = f"{one.id} says the same as {seen[content]}: it finds nothing"
            yield Fault(line_of(node, ("passes", index)), f"passes.{index}", text, "remove it")
        seen.setdefault(content, one.id)
    conditions: dict[tuple[str, str], str] = {}
    for index, rule in enumerate(rules.breaks):
        key = (rule.family, " ".join(rule.when.lower().split()))
        if key in conditions:
            text = f"{rule.id} has the condition of {conditions[key]}, which is asked first: it names nothing"
            yield Fault(line_of(node, ("breaks", index)), f"breaks.{index}", text, "remove it")
        conditions.setdefault(key, rule.id)


def _without_effect(rules: RuleSet, node: yaml.Node | None) -> Iterator[Fault]:
    families = {rule.family for rule in rules.breaks}
    for index, rule in enumerate(rules.breaks):
        for family in rule.explained_by:
            if family not in families:
                text = f"{rule.id} is explained by breaks of family {family!r}, which no rule makes"
                yield Fault(line_of(node, ("breaks", index)), f"breaks.{index}.explained_by", text, "remove it")
    scopes: dict[tuple[str | None, ...], str] = {}
    for index, profile in enumerate(rules.profiles):
        scope = (profile.pb, profile.account, profile.asset, profile.ccy)
        if scope in scopes:
            text = f"profile {profile.name!r} is for the same trades as {scopes[scope]!r}, which goes first"
            yield Fault(line_of(node, ("profiles", index)), f"profiles.{index}", text, "make one of the two")
        scopes.setdefault(scope, profile.name)
    accepts = any(rules.acceptance.limits.values()) or any(any(p.accept.values()) for p in rules.profiles)
    if accepts and not rules.acceptance.daily_cap:
        text = "limits are given but the daily cap is 0: nothing is accepted"
        yield Fault(line_of(node, ("acceptance",)), "acceptance.daily_cap", text, "give a cap")
