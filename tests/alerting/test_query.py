"""The encoded query grammar, run against real SQLite rows; values never become SQL."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.service.query import parse
from alerting.service.records import Actor, Records
from alerting.service.store import Store
from alerting.service.tables import TABLES
from domain.clock import ManualClock

INCIDENT = TABLES["incident"]
ROWS = [
    {"short_description": "Alpha booked 100%", "impact": "1", "urgency": "1", "correlation_id": "a"},
    {"short_description": "beta_booked", "impact": "2", "urgency": "2", "correlation_id": "b"},
    {"short_description": "gamma^delta", "impact": "3", "urgency": "3", "correlation_id": ""},
]


@pytest.fixture(scope="module")
def store():
    made = Store(":memory:")
    records = Records(made, ManualClock())
    system = Actor("system", "")
    records.create(TABLES["sys_user_group"], {"sys_id": "f" * 32, "name": "Trade Operations"}, system)
    for index, row in enumerate(ROWS):
        group = "f" * 32 if index == 0 else ""
        records.create(INCIDENT, row | {"sys_id": f"{index:032d}", "assignment_group": group}, system)
    yield made
    made.close()


def found(store, text):
    query = parse(INCIDENT, text)
    return [int(row["sys_id"]) for row in store.select(INCIDENT, query.where, query.order, 100, 0)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2]),
        ("correlation_id=a", [0]),
        ("correlation_id=A", [0]),
        ("correlation_id!=a", [1, 2]),
        ("impact<2", [0]),
        ("impact<=2", [0, 1]),
        ("impact>2", [2]),
        ("impact>=2", [1, 2]),
        ("priority=1", [0]),
        ("impactBETWEEN1@2", [0, 1]),
        ("impactBETWEEN1", [0, 1, 2]),
        ("short_descriptionLIKEBOOKED", [0, 1]),
        ("short_descriptionCONTAINSbooked", [0, 1]),
        ("short_description*booked", [0, 1]),
        ("short_descriptionNOT LIKEbooked", [2]),
        ("short_descriptionLIKE0%", [0]),
        ("short_descriptionLIKEa_b", [1]),
        ("short_descriptionSTARTSWITHalpha", [0]),
        ("short_descriptionENDSWITH%", [0]),
        ("impactIN1,3", [0, 2]),
        ("impactNOT IN1,3", [1]),
        ("impactNOTIN1,3", [1]),
        ("short_descriptionNOTLIKEgamma", [0, 1]),
        ("123TEXTQUERY321=GAMMA", [2]),
        ("123TEXTQUERY321=gamma nowhere", []),
        ("123TEXTQUERY321=%", [0]),
        ("GROUPBYimpact", [0, 1, 2]),
        ("sys_class_nameINSTANCEOFtask", [0, 1, 2]),
        ("sys_class_nameINSTANCEOFproblem", []),
        ("active=1", [0, 1, 2]),
        ("active!=1", []),
        ("assignment_groupDYNAMIC90d1921e5f510100a9ad2572f2b477fe", []),
        ("assignment_groupDYNAMICd6435e965f510100a9ad2572f2b47744", []),
        ("correlation_idISEMPTY", [2]),
        ("correlation_idISNOTEMPTY", [0, 1]),
        ("correlation_idANYTHING", [0, 1, 2]),
        ("impact=1^urgency=1", [0]),
        ("impact=1^urgency=2", []),
        ("impact=1^ORimpact=2", [0, 1]),
        ("impact=1^ORimpact=2^urgency=2", [1]),
        ("urgency=2^impact=1^ORimpact=2", [1]),
        ("impact=1^NQimpact=3", [0, 2]),
        ("impact=1^urgency=2^NQimpact=3", [2]),
        ("impactSAMEASurgency", [0, 1, 2]),
        ("impactNSAMEASurgency", []),
        ("assignment_group.name=trade operations", [0]),
        ("assignment_groupISEMPTY", [1, 2]),
        ("ORDERBYDESCimpact", [2, 1, 0]),
        ("impact>1^ORDERBYDESCimpact", [2, 1]),
        ("ORDERBYshort_description", [0, 1, 2]),
        ("short_description=gamma^^delta", [2]),
        ("nonsense=1", [0, 1, 2]),
        ("impact=3^nonsense=1", [2]),
        ("nonsense=1^ORimpact=3", [2]),
        ("impact", [0, 1, 2]),
        ("impact=javascript:gs.evil()", [0, 1, 2]),
        ("assignment_group.nonsense=1", [0, 1, 2]),
        ("None", [0, 1, 2]),
    ],
)
def test_grammar(store, text, expected):
    assert found(store, text) == expected


@pytest.mark.parametrize(
    "value",
    ["' OR '1'='1", "a'; DROP TABLE incident; --", "a\\' OR 1=1", '" OR ""="', "a) OR (1=1", "\x00", "%", "_"],
)
@pytest.mark.parametrize("operator", ["=", "LIKE", "IN", "STARTSWITH", "<", "BETWEEN"])
def test_values_never_become_sql(store, operator, value):
    query = parse(INCIDENT, f"correlation_id{operator}{value}@z")
    assert query.where.text == parse(INCIDENT, f"correlation_id{operator}x@z").where.text
    store.select(INCIDENT, query.where, query.order, 100, 0)
    assert store.count(INCIDENT, parse(INCIDENT, "").where) == 3


@pytest.mark.parametrize(
    "text", ["sys_id;DROP TABLE incident--=1", "t.rowid=1", "1=1", "incident.sys_id=1", "ORDERBYrowid"]
)
def test_names_come_from_the_dictionary_only(text):
    query = parse(INCIDENT, text)
    assert query.ignored == (text,) and (query.where.text, query.order) == ("1 = 1", "t.rowid")


FIELDS = st.sampled_from(["impact", "correlation_id", "assignment_group.name", "work_notes", "x", ""])
WORDS = st.sampled_from(
    [
        "=",
        "!=",
        "LIKE",
        "IN",
        "BETWEEN",
        "ISEMPTY",
        "DATEPART",
        "MORETHAN",
        "DYNAMIC",
        "123TEXTQUERY321",
        "^",
        "^OR",
        "^NQ",
        "^^",
        "ORDERBY",
        "SAMEAS",
        "@",
    ]
)


@given(st.lists(st.one_of(FIELDS, WORDS, st.text(max_size=5)), max_size=12))
@settings(max_examples=100, deadline=None)
def test_any_text_is_a_query(store, parts):
    query = parse(INCIDENT, "".join(parts))
    store.select(INCIDENT, query.where, query.order, 10, 0)


def test_what_was_ignored_is_named():
    assert parse(INCIDENT, "impact=1^typo=2^ORDERBYother").ignored == ("typo=2", "ORDERBYother")
