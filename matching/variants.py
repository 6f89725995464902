"""One id as two sides write it: case, separators, zeros in front, a prefix, a suffix. SQL that finds such ids equal."""

from dataclasses import dataclass

# Shorter forms name nothing.
_LONG_ENOUGH = "'___%'"
_SEPARATORS = "._/:|# "
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Variants:
    """Free records of each side with the forms of their id, one row per form, and when a form of one is the other's."""

    left: str
    right: str
    met: str


def variants(own: str, other: str) -> Variants:
    """Forms of our column `own` and of their column `other`.

    One of the two ids must be there as a whole: what both have besides their middle may be what tells them apart.
    """
    return Variants(
        _forms("work_l", own), _forms("work_r", other),
        "l.id_form = r.id_form and (l.id_whole or r.id_whole)",
    )  # fmt: skip


def _forms(table: str, column: str) -> str:
    told = f"translate(upper(x.{column}), '{_SEPARATORS}', '{'-' * len(_SEPARATORS)}')"
    after = "substr(i.id_told, position('-' in i.id_told) + 1)"
    before = "reverse(substr(reverse(i.id_told), position('-' in reverse(i.id_told)) + 1))"
    cut = "position('-' in i.id_told) > 0"
    parts = (
        ("true", "i.id_told", "true"), ("false", after, cut), ("false", before, cut),
        ("false", f"ltrim(i.id_told, '{_LETTERS}')", "true"),
    )  # fmt: skip
    ids = f"(select x.*, {told} as id_told from {table} x where x.{column} is not null)"
    rows = "\n    union all\n".join(
        f"    select i.*, {whole} as id_whole, ltrim(replace({text}, '-', ''), '0') as id_form"
        f" from {ids} i where {when}"
        for whole, text, when in parts
    )
    return f"(\n  select f.* from (\n{rows}\n  ) f where f.id_form like {_LONG_ENOUGH}\n)"
