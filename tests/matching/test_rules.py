"""Rule files: errors name the line and the key, conditions are parsed and never pasted, the version is the content."""

from decimal import Decimal
from importlib import resources

import pytest

from domain.taxonomy import Severity
from matching.conditions import ConditionError, parse, render
from matching.rules import RuleError, RuleSet, parse_rules

TEXT = resources.files("matching").joinpath("rules.yaml").read_text(encoding="utf-8")


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('ratio: "0.01"', "ratio: 0.01", "quoted decimal"),
        ('ratio: "0.01"', 'ratio: "0,01"', "'0,01' is not a decimal"),
        ("kind: tolerance", "kind: guess", "guess"),
        ("pair_by: [commission]", "pair_by: [colour]", "unknown field 'colour'"),
        ("code: T09, ", "code: T99, ", "unknown break code 'T99'"),
        ("family: price,", "family: weight,", "unknown family 'weight'"),
        ('when: "d.qty > 0"', 'when: "drop table x"', "condition"),
        ("base_ccy: USD", "base_ccy: dollars", "pattern"),
        ("name: trades", "name: trades\nsurprise: 1", "Extra inputs"),
    ],
)
def test_a_fault_is_reported_with_its_line(old: str, new: str, says: str) -> None:
    text = TEXT.replace(old, new, 1)
    with pytest.raises(RuleError, match=says) as caught:
        parse_rules(text, "mine.yaml")
    named = int(str(caught.value).split(":")[1])
    assert abs(named - line_of(text, new.rpartition("\n")[2])) <= 2


def test_a_pass_id_used_twice_and_a_missing_last_pass_are_refused() -> None:
    with pytest.raises(RuleError, match="id used twice: P10-exec-id"):
        parse_rules(TEXT.replace("id: P11-their-id", "id: P10-exec-id"))
    with pytest.raises(RuleError, match="nothing may fall through"):
        parse_rules(TEXT.replace("  - {id: P90-one-sided, kind: one_sided, left: T01, right: T02}\n", ""))


def test_what_is_no_yaml_is_reported_with_its_line() -> None:
    with pytest.raises(RuleError, match=r"^x:2: not YAML"):
        parse_rules("a: 1\nb: [", "x")


def test_the_version_is_the_content_not_the_layout(rules: RuleSet) -> None:
    assert parse_rules("# a comment\n" + TEXT).hash == rules.hash
    assert parse_rules(TEXT.replace('ratio: "0.01"', 'ratio: "0.02"')).hash != rules.hash


@pytest.mark.parametrize(
    "text",
    [
        "1 = 1; drop table x",
        "(select 1) = 1",
        "l.qty / r.qty > 1",
        "exists (select 1 from trade_event)",
        "secrets.qty > 1",
        "l.password = r.password",
        "db.l.qty > 1",
        "upper(l.account) = 'X'",
        "l.qty > 1 order by 1",
        "l.qty > 1 limit 1",
        "1 = 1 union select 1",
        "",
    ],
)
def test_conditions_outside_the_allow_list_are_refused(text: str) -> None:
    with pytest.raises(ConditionError):
        parse(text)


def test_a_term_compares_as_the_set_of_its_values() -> None:
    assert render("l.account <> r.account", "c") == (
        "(c.l_account <> c.r_account OR c.l_account_top <> c.r_account_top)"
    )
    assert render("abs(l.qty - r.qty) > 0.5 and not d.price > t.price", "c") == (
        "ABS(c.l_qty - c.r_qty) > 0.5 AND NOT c.d_price > c.t_price"
    )


def test_severity_is_the_rule_or_the_money_whichever_is_worse(rules: RuleSet) -> None:
    of = rules.severity.of
    assert of(Severity.LOW, None, 10) is Severity.LOW
    assert of(Severity.LOW, Decimal(30_000), None) is Severity.MEDIUM
    assert of(Severity.HIGH, Decimal(30_000), None) is Severity.HIGH
    assert of(Severity.LOW, Decimal(130_000), 600) is Severity.MEDIUM
    assert of(Severity.LOW, Decimal(130_000), 60) is Severity.HIGH
