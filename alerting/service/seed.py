"""What a new instance holds: users with a role, groups, SLAs, choices, and the data dictionary as records."""

from collections.abc import Iterable, Mapping

from alerting.service.auth import person_id
from alerting.service.records import Actor, Records, utc_text
from alerting.service.sla import definitions
from alerting.service.store import Store
from alerting.service.tables import TABLES
from domain.clock import Clock
from domain.ids import digest128

_CLOSE_CODES = (
    "Duplicate", "Known error", "No resolution provided", "Resolved by caller", "Resolved by change",
    "Resolved by problem", "Resolved by request", "Solution provided", "Workaround provided", "User error",
)  # fmt: skip


def seed(store: Store, records: Records, clock: Clock, groups: Iterable[str], people: Mapping[str, str]) -> None:
    """Add what is missing; run on every start."""
    system = Actor("system", "")
    for user_name, name in people.items():
        if store.get(TABLES["sys_user"], person_id(user_name)) is None:
            body = {"sys_id": person_id(user_name), "user_name": user_name, "name": name or user_name}
            records.create(TABLES["sys_user"], body, system)
    for name in groups:
        if store.find(TABLES["sys_user_group"], "name", name) is None:
            body = {"sys_id": digest128("sys_user_group", name), "name": name}
            records.create(TABLES["sys_user_group"], body, system)
    now = utc_text(clock.now_ns())
    stamp = {"sys_created_on": now, "sys_updated_on": now, "sys_created_by": "system", "sys_updated_by": "system",
             "sys_mod_count": "0"}  # fmt: skip
    with store.transaction():
        for definition in definitions():
            if store.get(TABLES["contract_sla"], definition["sys_id"]) is None:
                store.insert(TABLES["contract_sla"], {**stamp, **definition})
        for table, row in [*_dictionary(), *_roles(people)]:
            sys_id = digest128(table, *row.values())
            if store.get(TABLES[table], sys_id) is None:
                store.insert(TABLES[table], {"sys_id": sys_id, **stamp, **row})


def _roles(people: Mapping[str, str]) -> Iterable[tuple[str, dict[str, str]]]:
    for user_name in people:
        yield "sys_user_has_role", {"user": person_id(user_name), "role": "itil", "inherited": "false"}


def _dictionary() -> Iterable[tuple[str, dict[str, str]]]:
    for table in TABLES.values():
        yield "sys_db_object", {"name": table.name, "label": table.label}
        for column in table.columns.values():
            yield (
                "sys_dictionary",
                {
                    "name": table.name,
                    "element": column.name,
                    "column_label": column.label,
                    "internal_type": column.kind.value,
                    "reference": column.target,
                    "mandatory": "false",
                    "read_only": "true" if column.read_only else "false",
                },
            )
            for order, (value, label) in enumerate(column.choices.items()):
                yield "sys_choice", _choice(table.name, column.name, value, label, order)
    for order, code in enumerate(_CLOSE_CODES):
        yield "sys_choice", _choice("incident", "close_code", code, code, order)


def _choice(table: str, element: str, value: str, label: str, order: int) -> dict[str, str]:
    return {"name": table, "element": element, "value": value, "label": label, "language": "en",
            "sequence": str(order), "inactive": "false"}  # fmt: skip
