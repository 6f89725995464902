"""The shape of one tenant's records: table, field names, state values, what is written on opening."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Formatter

from alerting.port import TicketState

# Names we use -> what they are called on the instance, where nothing else is said.
FIELDS = (
    "short_description",
    "description",
    "state",
    "impact",
    "urgency",
    "assignment_group",
    "assigned_to",
    "work_notes",
    "close_code",
    "close_notes",
    "correlation_id",
    "correlation_display",
    "due_date",
    "hold_reason",
    "resolved_by",
    "closed_by",
)
# What a ticket can be told about its break, as `{name}` in the values of `on_open`.
FACTS = (
    "break_id",
    "code",
    "severity",
    "pb_id",
    "level",
    "symbol",
    "account_id",
    "ccy",
    "exposure",
    "exposure_base",
    "trade_date",
    "deadline",
    "link",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How records look on the instance.

    `renamed` maps our field names to the instance's; an empty name means the instance has no such field. `states` maps
    our states to its values. `on_open` are fields of its own, filled from the break when a ticket is opened.
    """

    table: str = "incident"
    renamed: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[TicketState, str] = field(default_factory=lambda: {state: state.value for state in TicketState})
    on_open: Mapping[str, str] = field(default_factory=dict)

    def name(self, ours: str) -> str:
        """The instance's name of a field, empty where it has none."""
        return self.renamed.get(ours, ours)

    def body(self, values: Mapping[str, str]) -> dict[str, str]:
        """Values under the instance's names; those without a name are left out."""
        return {self.name(ours): value for ours, value in values.items() if self.name(ours)}

    def opening(self, facts: Mapping[str, str]) -> dict[str, str]:
        """The fields of the instance's own with the break's facts filled in; what a break lacks is empty."""
        known = {name: facts.get(name, "") for name in FACTS}
        return {name: text.format_map(known) for name, text in self.on_open.items()}

    def state_value(self, state: TicketState) -> str:
        """The instance's value of a state."""
        return self.states.get(state, state.value)

    def state_of(self, value: str) -> TicketState:
        """Our state of an instance's value.

        Instances add states of their own; a person put it there, so the ticket is on hold as far as we are concerned.
        """
        return next((state for state, text in self.states.items() if text == value), TicketState.ON_HOLD)

    def asked(self) -> str:
        """The sysparm_fields that tell a ticket."""
        people = [f"{self.name(name)}.user_name" for name in ("assigned_to", "resolved_by", "closed_by")]
        ours = [self.name(name) for name in FIELDS]
        stamps = ["sys_id", "number", "sys_updated_by", "sys_updated_on", "sys_mod_count"]
        wanted = [*stamps, *ours, *(name for name in people if not name.startswith("."))]
        return ",".join(dict.fromkeys(name for name in wanted if name))


def placeholders(text: str) -> set[str]:
    """The `{names}` in a value of `on_open`. Raises ValueError for braces that do not match."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}
