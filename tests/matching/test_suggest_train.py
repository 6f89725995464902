"""Fitting the weights of a score pass: what comes out is a pass of a rule file; what is missing is told."""

from decimal import Decimal

import pytest
import yaml

from matching import suggest_train
from matching.rules import RuleSet, load_rules
from matching.suggest_train import Fitted, TrainingError, train
from tests.matching.desk import LATE, Desk, ours, theirs

FITTED = Fitted(
    {name: {"equal": Decimal("3.10"), **({"near": Decimal("1.00")} if near else {}), "differ": Decimal("-2.50")}
     for name, near in suggest_train.NEAR.items()},
    Decimal("9.80"), 1200, 1300, 1250,
)  # fmt: skip


def with_pass(fitted: Fitted) -> RuleSet:
    data = load_rules().model_dump(mode="json")
    [made] = yaml.safe_load(fitted.as_yaml("P89-fitted"))
    data["passes"].insert(len(data["passes"]) - 1, made)
    return RuleSet.model_validate(data)


def test_what_is_written_is_a_pass_of_a_rule_file() -> None:
    made = with_pass(FITTED).passes[-2]
    assert made.kind == "score"
    assert made.threshold == Decimal("9.80")
    assert made.weights["qty"].within == Decimal("0.05")
    assert made.weights["settle_date"].days == 3
    assert "1,200 pairs" in FITTED.as_yaml()


def test_what_agrees_never_speaks_against_and_the_unseen_says_nothing() -> None:
    def levels(*shares: tuple[float, float]) -> list[dict[str, float]]:
        return [{"m_probability": m, "u_probability": u} for m, u in shares]

    assert suggest_train._weights(levels((0.9, 0.1), (0.1, 0.9)), 100) == {
        "equal": Decimal("3.17"), "differ": Decimal("-3.17"),
    }  # fmt: skip
    one_day = suggest_train._weights([*levels((1.0, 1.0)), {}, {}], 100)
    assert set(one_day.values()) == {Decimal(0)}
    odd = suggest_train._weights(levels((0.1, 0.9), (0.5, 0.05), (0.4, 0.05)), 100)
    assert odd["differ"] <= odd["near"] <= odd["equal"] == Decimal(0)


def test_few_pairs_and_a_missing_extra_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(load_rules())
    desk.match([ours("A"), theirs("B", "A")], as_of=LATE)
    monkeypatch.setattr(suggest_train, "_splink", lambda: None)
    with pytest.raises(TrainingError, match="1 pairs one to one"):
        train(desk.warehouse)
    monkeypatch.undo()
    monkeypatch.setattr(suggest_train.importlib, "import_module", _absent)
    with pytest.raises(TrainingError, match="extra `suggest`"):
        train(desk.warehouse)


def _absent(_name: str) -> None:
    raise ImportError


def test_weights_follow_from_what_was_matched() -> None:
    pytest.importorskip("splink", reason="needs the extra suggest")
    desk = Desk(load_rules())
    rows = []
    for n in range(60):
        terms = {"account_id": f"ACC-{n % 6}", "instrument_id": f"I{n % 5}", "qty": str(100 + n),
                 "client_order_id": f"C{n}"}  # fmt: skip
        rows += [ours(f"A{n}", **terms), theirs(f"B{n}", f"A{n}", **terms)]
    desk.match(rows, as_of=LATE)
    found = train(desk.warehouse)
    assert (found.pairs, found.left, found.right) == (60, 60, 60)
    assert found.weights["qty"]["equal"] > found.weights["account"]["equal"] > 0 > found.weights["qty"]["differ"]
    assert found.weights["trade_date"]["equal"] == 0
    assert with_pass(found).passes[-2].id == "P89-fitted"
