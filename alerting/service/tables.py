"""The service's data dictionary: tables, fields, their types and choice labels (ServiceNow base system names)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """What a field holds; every value travels as text."""

    TEXT = "string"
    NUMBER = "integer"
    FLAG = "boolean"
    TIME = "glide_date_time"
    DURATION = "glide_duration"
    REFERENCE = "reference"
    JOURNAL = "journal_input"


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a table. `target` names the referenced table; `choices` maps raw value to label."""

    name: str
    label: str
    kind: Kind
    target: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ServiceTable:
    """One table: its columns by name, the column shown for a reference to it, and the number prefix if it has one."""

    name: str
    label: str
    display: str
    columns: Mapping[str, Column]
    number_prefix: str = ""
    number_width: int = 7


STATES = MappingProxyType(
    {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"}
)
_LEVELS = MappingProxyType({"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"})
_PRIORITIES = MappingProxyType(
    {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low", "5": "5 - Planning"}
)
_HOLD = MappingProxyType(
    {
        "1": "Awaiting Caller",
        "2": "Awaiting Evidence",
        "3": "Awaiting Problem",
        "4": "Awaiting Vendor",
        "5": "Awaiting Change",
    }
)
_STAGES = MappingProxyType(
    {"in_progress": "In progress", "paused": "Paused", "completed": "Completed", "cancelled": "Cancelled"}
)
_CHOICES = MappingProxyType(
    {"state": STATES, "level": _LEVELS, "priority": _PRIORITIES, "hold": _HOLD, "stage": _STAGES}
)

_SYSTEM = """
    sys_id text read_only
    sys_created_on time read_only
    sys_created_by text read_only
    sys_updated_on time read_only
    sys_updated_by text read_only
    sys_mod_count number read_only =0
"""
_INCIDENT = """
    number text read_only
    sys_class_name text read_only =incident
    short_description text
    description text
    state number choices:state =1
    impact number choices:level =3
    urgency number choices:level =3
    priority number choices:priority read_only =5
    severity number choices:level =3
    category text =inquiry
    subcategory text
    contact_type text
    active flag read_only =true
    caller_id reference:sys_user
    opened_by reference:sys_user read_only
    opened_at time read_only
    assigned_to reference:sys_user
    assignment_group reference:sys_user_group
    parent_incident reference:incident
    hold_reason number choices:hold
    close_code text
    close_notes text
    resolved_at time read_only
    resolved_by reference:sys_user read_only
    closed_at time read_only
    closed_by reference:sys_user read_only
    reopen_count number read_only =0
    due_date time
    correlation_id text
    correlation_display text
    work_notes journal
    comments journal
"""
_USER = """
    user_name text
    name text
    first_name text
    last_name text
    email text
    active flag =true
"""
_GROUP = """
    name text
    description text
    active flag =true
"""
_JOURNAL = """
    name text
    element text
    element_id text
    value text
"""
_PROBLEM = """
    number text read_only
    short_description text
    description text
    state number =101
    impact number choices:level =3
    urgency number choices:level =3
    priority number choices:priority read_only =5
    active flag =true
    assigned_to reference:sys_user
    assignment_group reference:sys_user_group
    correlation_id text
    correlation_display text
    work_notes journal
    comments journal
"""
_ATTACHMENT = """
    file_name text
    content_type text
    size_bytes number
    table_name text
    table_sys_id text
    hash text
    download_link text
"""
_SLA = """
    task reference:incident
    sla reference:contract_sla
    stage text choices:stage
    start_time time
    end_time time
    planned_end_time time
    original_breach_time time
    pause_time time
    pause_duration duration
    duration duration
    business_duration duration
    time_left duration
    business_time_left duration
    percentage number
    business_percentage number
    has_breached flag =false
    active flag =true
"""
_SLA_DEFINITION = """
    name text
    collection text =incident
    type text =SLA
    target text =resolution
    duration_type text
    duration duration
    start_condition text
    pause_condition text
    stop_condition text
    active flag =true
"""
_CHOICE = """
    name text
    element text
    value text
    label text
    language text =en
    sequence number
    inactive flag =false
"""
_ROLE = """
    user reference:sys_user
    role text
    inherited flag =false
"""
_DICTIONARY = """
    name text
    element text
    column_label text
    internal_type text
    reference text
    mandatory flag =false
    read_only flag =false
    max_length number
"""
_OBJECT = """
    name text
    label text
    super_class text
"""
_MEMBER = """
    user reference:sys_user
    group reference:sys_user_group
"""
_EVENT = """
    source text
    event_class text
    node text
    resource text
    metric_name text
    type text
    message_key text
    severity number
    description text
    additional_info text
    time_of_event text
    resolution_state text
    state text
"""
_KINDS = MappingProxyType(
    {
        "text": Kind.TEXT,
        "number": Kind.NUMBER,
        "flag": Kind.FLAG,
        "time": Kind.TIME,
        "duration": Kind.DURATION,
        "journal": Kind.JOURNAL,
    }
)


def _column(line: str) -> Column:
    name, kind, *rest = line.split()
    base, _, target = kind.partition(":")
    options = dict(word.split(":", 1) for word in rest if ":" in word)
    default = next((word[1:] for word in rest if word.startswith("=")), "")
    return Column(
        name=name,
        label=name.replace("_", " ").capitalize(),
        kind=Kind.REFERENCE if target else _KINDS[base],
        target=target,
        choices=_CHOICES[options["choices"]] if "choices" in options else MappingProxyType({}),
        default=default,
        read_only="read_only" in rest,
    )


def _table(name: str, label: str, display: str, text: str, prefix: str = "") -> ServiceTable:
    lines = [line for line in (_SYSTEM + text).splitlines() if line.strip()]
    columns = {column.name: column for column in map(_column, lines)}
    return ServiceTable(name, label, display, MappingProxyType(columns), prefix)


TABLES: Mapping[str, ServiceTable] = MappingProxyType(
    {
        table.name: table
        for table in (
            _table("incident", "Incident", "number", _INCIDENT, "INC"),
            _table("sys_user", "User", "name", _USER),
            _table("sys_user_group", "Group", "name", _GROUP),
            _table("sys_journal_field", "Journal Entry", "element", _JOURNAL),
            _table("problem", "Problem", "number", _PROBLEM, "PRB"),
            _table("sys_attachment", "Attachment", "file_name", _ATTACHMENT),
            _table("task_sla", "Task SLA", "sla", _SLA),
            _table("contract_sla", "SLA Definition", "name", _SLA_DEFINITION),
            _table("sys_choice", "Choice", "label", _CHOICE),
            _table("sys_user_has_role", "User Role", "role", _ROLE),
            _table("sys_user_grmember", "Group Member", "user", _MEMBER),
            _table("sys_dictionary", "Dictionary Entry", "element", _DICTIONARY),
            _table("sys_db_object", "Table", "name", _OBJECT),
            _table("em_event", "Event", "message_key", _EVENT),
            _table("em_alert", "Alert", "message_key", _EVENT),
        )
    }
)
