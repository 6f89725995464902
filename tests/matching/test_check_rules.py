"""Checking rule files: every fault has its line, its key and what was probably meant; hints for what has no effect."""

from importlib import resources

import pytest

from matching.check_rules import check_text
from matching.rules import RuleError, load_rules, parse_rules

SHIPPED = resources.files("matching").joinpath("rules.yaml").read_text(encoding="utf-8")


def changed(old: str, new: str) -> str:
    assert old in SHIPPED
    return SHIPPED.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new", "key", "fix"),
    [
        ("kind: economics", "kind: economic", "passes.", "did you mean 'economics'?"),
        ("agree_at_least: 2", "agree_at_lest: 2", ".agree_at_lest: ", "did you mean 'agree_at_least'?"),
        ("uid=cross_uid, trade_date]", "uid=cros_uid, trade_date]", ".keys.0: ", "did you mean 'cross_uid'?"),
        ("code: T05", "code: T5", ".code: ", "did you mean 'T05'?"),
        ('when: "d.qty > 0"', 'when: "d.qtty > 0"', ".when: ", "did you mean 'd.qty'?"),
        ("family: qty", "family: quantity", ".family: ", "did you mean 'qty'?"),
        ("severity: CRITICAL", "severity: CRITCAL", ".severity: ", "did you mean 'CRITICAL'?"),
        ("default_grace_seconds: 60", "", "default_grace_seconds: ", "add `default_grace_seconds:`"),
        ('daily_cap: "500"', "daily_cap: 500", "acceptance.daily_cap: ", 'quoted decimal, such as "500"'),
        ("name: trades", "name: trades\nname: others", "name: ", "written before, in line 4"),
    ],
)  # fmt: skip
def test_a_fault_names_line_key_and_what_was_meant(old: str, new: str, key: str, fix: str) -> None:
    text = changed(old, new)
    found = check_text(text, "my.yaml")

    assert found.rules is None
    [fault] = [line for line in found.faults if fix in line]
    assert key in fault
    line = int(fault.split(":")[1])
    written = text.splitlines()[line - 1]
    assert line == 3 or any(word in written for word in new.replace("\n", " ").split()), written


def test_an_id_used_twice_is_shown_where_it_is_used_again() -> None:
    text = changed("P11-their-id", "P10-exec-id")
    [fault] = check_text(text, "my.yaml").faults
    assert "id used twice: P10-exec-id" in fault
    assert "P10-exec-id" in text.splitlines()[int(fault.split(":")[1]) - 1]


def test_the_shipped_rules_pass_without_a_hint() -> None:
    found = check_text(SHIPPED, "rules.yaml")
    assert found.hints == ()
    assert found.rules == load_rules()


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("code: T10, family: account", "code: T10, family: terms", "P82-account pairs trades that differ in account"),
        ("  - {id: P82-account,",
         "  - {id: P81-again, kind: near_miss, differs: account, keys: [instrument, side, qty, price, trade_date]}\n"
         "  - {id: P82-account,", "P82-account says the same as P81-again"),
        ('  - {id: B05-quantity,', '  - {id: B04, code: T05, family: qty, when: "d.qty  >  0"}\n  - {id: B05-quantity,',
         "B05-quantity has the condition of B04"),
        ('daily_cap: "500"', 'daily_cap: "0"', "the daily cap is 0"),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_a_hint(old: str, new: str, hint: str) -> None:
    found = check_text(changed(old, new), "my.yaml")
    assert found.rules is not None
    assert any(hint in line for line in found.hints), found.hints


def test_not_yaml_has_a_line() -> None:
    with pytest.raises(RuleError, match=r"^x:2: not YAML"):
        parse_rules("version: 1\n\tname: x\n", "x")
