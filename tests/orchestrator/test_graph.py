"""The graph: every state is drawn once, nothing overlaps, colour is never the only sign, and strict CSP holds."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from orchestrator.definition import load_shipped, validate
from orchestrator.graph import render
from orchestrator.layout import condition, lay_out

SVG = "{http://www.w3.org/2000/svg}"
PASS = {"Type": "Pass", "End": True}
NESTED: dict[str, Any] = {
    "StartAt": "Both",
    "States": {
        "Both": {
            "Type": "Parallel",
            "Branches": [
                {"StartAt": "Left", "States": {"Left": {"Type": "Pass", "Next": "Low"}, "Low": PASS}},
                {"StartAt": "Right", "States": {"Right": PASS}},
            ],
            "Next": "Each",
        },
        "Each": {"Type": "Map", "ItemProcessor": {"StartAt": "One", "States": {"One": PASS}}, "Next": "Which"},
        "Which": {
            "Type": "Choice",
            "Choices": [
                {"Variable": "$.n", "NumericEquals": 1, "Next": "Again"},
                {"Variable": "$.n", "NumericEquals": 2, "Next": "Two & <3>"},
            ],
            "Default": "End",
        },
        "Again": {"Type": "Pass", "Next": "Each"},
        "Two & <3>": {"Type": "Pass", "Next": "End"},
        "End": {"Type": "Succeed"},
    },
}


def names_of(machine: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for name, state in machine["States"].items():
        found.append(name)
        for inner in [*state.get("Branches", []), *([state["ItemProcessor"]] if "ItemProcessor" in state else [])]:
            found += names_of(inner)
    return found


@pytest.mark.parametrize("definition", [load_shipped(), NESTED], ids=["shipped", "nested"])
def test_every_state_is_a_link_with_a_title_and_words(definition: dict[str, Any]) -> None:
    names = names_of(definition)
    svg = render(
        definition, {names[0]: "SUCCEEDED", names[1]: "FAILED"}, names[1], {names[1]: {"p50_ms": 5, "p99_ms": 9}}
    )
    tree = ElementTree.fromstring(svg)
    links = {link.get("data-state", ""): link for link in tree.iter(f"{SVG}a")}
    assert sorted(links) == sorted(names)
    for name, link in links.items():
        title = link.find(f"{SVG}title")
        assert title is not None and title.text is not None and title.text.startswith(name)
        assert str(link.get("href")).startswith("?state=")
    chosen = links[names[1]]
    words = [text.text for text in chosen.iter(f"{SVG}text")]
    assert words == [names[1], "✕ Failed · p50 5 · p99 9 ms"]
    assert chosen.get("aria-current") == "true" and "sg-failed sg-selected" in chosen.get("class", "")
    assert "✓ Succeeded" in svg and "○ Not started" in svg


def test_nothing_a_strict_policy_forbids() -> None:
    svg = render(load_shipped(), {})
    assert not re.search(r"<script|<style| style=| on\w+=|javascript:|href=\"http", svg)


@pytest.mark.parametrize("definition", [load_shipped(), NESTED], ids=["shipped", "nested"])
def test_no_two_states_overlap(definition: dict[str, Any]) -> None:
    assert validate(definition) == []
    boxes = [(n.x, n.y, n.x + n.width, n.y + n.height) for n in lay_out(definition).nodes.values()]
    for number, (left, top, right, bottom) in enumerate(boxes):
        for left2, top2, right2, bottom2 in boxes[number + 1 :]:
            assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top


def test_transitions_go_down_except_loops_and_errors_are_dashed() -> None:
    layout = lay_out(load_shipped())
    for edge in layout.edges:
        goes_down = layout.nodes[edge.source].row < layout.nodes[edge.target].row
        assert goes_down is not (edge in layout.back)
    assert {edge.source for edge in layout.back} == {"Parked", "TicketsUndelivered"}
    svg = render(load_shipped(), {})
    assert all(
        "stroke-dasharray" in path for path in re.findall(r'<path class="sg-edge sg-(?:catch|retry)"[^>]*>', svg)
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"Variable": "$.match.changes", "NumericGreaterThan": 0}, "changes > 0"),
        ({"Variable": "$.a", "NumericLessThanEqualsPath": "$.limit"}, "a ≤ limit"),
        ({"Not": {"Variable": "$.kind", "StringEquals": "sweep"}}, "not kind = sweep"),
        ({"Variable": "$.a", "IsPresent": False}, "a is not present"),
        (
            {"Or": [{"Variable": "$.a", "BooleanEquals": True}, {"Variable": "$.b", "IsNull": True}]},
            "a = true or b is null",
        ),
    ],
)
def test_a_choice_is_told_in_few_words(rule: dict[str, Any], words: str) -> None:
    assert condition(rule) == words


def rectangle(box: ElementTree.Element) -> tuple[float, float, float, float]:
    x, y, width, height = (float(box.get(name, 0)) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def test_labels_are_clear_of_states_and_each_other() -> None:
    tree = ElementTree.fromstring(render(load_shipped(), {}))
    whole = (0.0, 0.0, float(tree.get("width", 0)), float(tree.get("height", 0)))
    labels = [rectangle(box) for group in tree.iter(f"{SVG}g") for box in group.findall(f"{SVG}rect")]
    states = [rectangle(box) for link in tree.iter(f"{SVG}a") for box in link.findall(f"{SVG}rect")[:1]]
    assert len(labels) == sum(1 for edge in lay_out(load_shipped()).edges if edge.label)
    for number, (left, top, right, bottom) in enumerate(labels):
        assert left >= whole[0] and top >= whole[1] and right <= whole[2] and bottom <= whole[3], "not clipped"
        for left2, top2, right2, bottom2 in states + labels[number + 1 :]:
            assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top


def test_every_transition_is_drawn() -> None:
    for definition in (load_shipped(), NESTED["States"]["Each"]["ItemProcessor"]):
        svg = render(definition, {})
        assert len(re.findall(r"<path class=\"sg-edge sg-(?:next|choice|catch)", svg)) == len(lay_out(definition).edges)


@pytest.mark.parametrize(
    "states",
    [
        {"A": {"Type": "Pass", "Next": "A"}},
        {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}},
        {"A": PASS, "B": PASS, "C": {"Type": "Pass", "Next": "D"}, "D": {"Type": "Pass", "Next": "C"}},
        {"A": {"Type": "Task", "Resource": "r", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "A"}], "End": True}},
    ],
    ids=["itself", "cycle", "unreachable", "caught by itself"],
)  # fmt: skip
def test_cycles_and_unreachable_states_are_drawn(states: dict[str, Any]) -> None:
    tree = ElementTree.fromstring(render({"StartAt": "A", "States": states}, {}))
    assert {link.get("data-state") for link in tree.iter(f"{SVG}a")} == states.keys()
