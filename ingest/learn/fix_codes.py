"""Codes and forms of a FIX counterparty: sides, levels, units, signs, account and execution id patterns, defaults."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from ingest.dialects.dialect import FIX_LEVELS, FIX_SIDES
from ingest.files.codes import side_of
from ingest.learn.fix_sample import Row
from ingest.learn.markets import CURRENCIES, MINOR_UNITS
from ingest.learn.ours import OwnTrade
from ingest.learn.proposal import Proposal, share

_CASES_MIN = 5
_VERSIONED = re.compile(r"^(?P<stem>.*\D)(?P<version>\d{1,3})$")


def propose_sides(rows: Sequence[Row], pairs: Sequence[tuple[Row, OwnTrade]]) -> list[Proposal]:
    """One proposal per value of Side(54) in the sample; FIX's own meaning unless the trades contradict it."""
    found = []
    for value, count in Counter(row.get(54) for row in rows if row.get(54)).most_common():
        mine = Counter(FIX_SIDES.get(ours.side, "") for row, ours in pairs if row.get(54) == value)
        mine.pop("", None)
        standard = FIX_SIDES.get(value)
        key = f"side.{value}"
        if mine and sum(mine.values()) >= _CASES_MIN:
            side, agree = mine.most_common(1)[0]
            total = sum(mine.values())
            if agree >= 0.9 * total:
                text = f"the same trades of ours are {side}: {share(agree, total)}"
                found.append(Proposal(key, side, 0.99 * agree / total, text, side == standard))
                continue
        if standard:
            found.append(Proposal(key, standard, 0.99, f"FIX's own meaning, {count} rows", True))
            continue
        found.append(_foreign_side(key, value, [row for row in rows if row.get(54) == value]))
    return found


def _foreign_side(key: str, value: str, rows: Sequence[Row]) -> Proposal:
    """A code FIX does not have: the usual words, checked against which way the costs move the money."""
    buys = sells = 0
    for row in rows:
        gross, net = row.number(381), row.number(118)
        if gross and net and gross != abs(net):
            buys, sells = buys + (abs(net) > gross), sells + (abs(net) < gross)
    word = side_of(value, {}).side
    way = "BUY" if buys > 9 * sells else "SELL" if sells > 9 * buys else ""
    told = f"costs are {'added' if way == 'BUY' else 'taken off'} on {share(max(buys, sells), buys + sells)} rows"
    if word:
        agrees = not way or way == ("BUY" if word.startswith("BUY") else "SELL")
        text = f"{value!r} is a usual word for it" + (f"; {told}" if way else "")
        return Proposal(key, word, 0.93 if way and agrees else 0.75 if agrees else 0.4, text)
    if way:
        short = "" if way == "BUY" else "; SELL_SHORT moves money the same way, ask which it is"
        return Proposal(key, way, 0.7, f"{value!r} is no usual code; {told}{short}")
    return Proposal(key, None, 0.3, f"{value!r} is no usual code and no amount tells its direction: ask")


def propose_levels(rows: Sequence[Row]) -> list[Proposal]:
    """One proposal per message type: what one of them tells of."""
    found = []
    for kind in sorted({row.kind for row in rows}):
        mine = [row for row in rows if row.kind == kind and not row.repeated]
        standard = FIX_LEVELS[kind]
        shared = sum(bool(row.get(79)) for row in mine)
        filled = sum(bool(row.get(32, 1009)) for row in mine)
        level, sure = standard, 0.95
        text = f"{len(mine)} rows, the usual meaning of {kind}"
        if kind == "8" and shared >= 0.95 * len(mine):
            level, sure = "ALLOCATION", 0.9
            text = f"every report names an allocation account(79): {share(shared, len(mine))}"
        elif kind == "8" and filled < 0.05 * len(mine):
            level, sure = "ORDER", 0.85
            text = f"no LastQty(32), only totals of the order: {share(len(mine) - filled, len(mine))}"
        elif kind == "8":
            text += f"; LastQty(32) on {share(filled, len(mine))}"
        found.append(Proposal(f"level.{kind}", level, sure, text, level == standard))
    return found


def propose_minor_units(rows: Sequence[Row], pairs: Sequence[tuple[Row, OwnTrade]]) -> list[Proposal]:
    """Currencies quoted in hundredths: codes that say so, proved by our own prices where we have them."""
    found = []
    for code, count in Counter(row.get(15) for row in rows if row.get(15)).items():
        if code in CURRENCIES:
            continue
        ratios = [
            row_price / ours.price
            for row, ours in pairs
            if row.get(15) == code and ours.price and (row_price := row.number(31, 153, 6))
        ]
        hundred = sum(95 < ratio < 105 for ratio in ratios)
        major = MINOR_UNITS.get(code) or (code.upper() if code.upper() in CURRENCIES else "")
        text = f"{count} rows"
        if ratios:
            text += f"; their price is 100 times ours on {share(hundred, len(ratios))} trades"
        sure = 0.99 if hundred > 0.8 * len(ratios) and ratios else 0.92 if code in MINOR_UNITS and not ratios else 0.5
        if major:
            known = code in ("GBX", "GBp", "ZAc", "ZAC", "ILA")
            found.append(Proposal(f"minor_units.{code}", major, sure, text, known))
        else:
            found.append(Proposal(f"minor_units.{code}", None, 0.3, f"{text}; no currency known by this code: ask"))
    return found


def propose_accounts(rows: Sequence[Row], pairs: Sequence[tuple[Row, OwnTrade]]) -> list[Proposal]:
    """How our account stands in theirs, and what to do where a row names none."""
    named = [row for row in rows if row.get(79, 1)]
    pattern = _pattern(pairs)
    if pattern:
        found = [pattern]
    else:
        aliased = sum(row.get(79, 1) != ours.account for row, ours in pairs)
        told = f"{share(aliased, len(pairs))} of ours are written otherwise" if pairs else "no log of ours to compare"
        text = f"no part of theirs is always our account ({told}): aliases go to account_map"
        found = [Proposal("account_pattern", None, 0.95 if pairs else 0.8, text, True)]
    lacking = len(rows) - len(named)
    if lacking > 0.5 * len(rows):
        text = f"{share(lacking, len(rows))} rows name no account: ask which one is meant"
        found.append(Proposal("default_account", None, 0.3, text))
    else:
        text = f"Account(1) or AllocAccount(79) on {share(len(named), len(rows))} rows"
        found.append(Proposal("default_account", None, 0.97, text, True))
    return found


def _pattern(pairs: Sequence[tuple[Row, OwnTrade]]) -> Proposal | None:
    """A pattern whose group is our account, where theirs wraps ours in the same text every time."""
    shapes: Counter[tuple[str, str]] = Counter()
    for row, ours in pairs:
        theirs = row.get(79, 1)
        before, inside, after = theirs.partition(ours.account) if ours.account else (theirs, "", "")
        if inside and (before or after):
            shapes[re.sub(r"\d+", "#", before), re.sub(r"\d+", "#", after)] += 1
    if not shapes:
        return None
    (before, after), count = shapes.most_common(1)[0]
    if count < max(_CASES_MIN, 0.9 * len(pairs)):
        return None
    text = f"^{_escaped(before)}(.+{'?' if after else ''}){_escaped(after)}$"
    return Proposal(
        "account_pattern", text, 0.99 * count / len(pairs), f"our account stands inside: {share(count, len(pairs))}"
    )


def _escaped(text: str) -> str:
    return r"\d+".join(re.escape(part).replace(r"\-", "-") for part in text.split("#"))


def propose_forms(rows: Sequence[Row]) -> list[Proposal]:
    """Signs of quantities, versions inside ExecIDs, the currency where none is said, who names the prime broker."""
    return [_sign(rows), _version(rows), _currency(rows), _prime(rows)]


def _sign(rows: Sequence[Row]) -> Proposal:
    quantities = [(row, qty) for row in rows if (qty := row.number(80, 32, 1009)) is not None]
    negative = sum(qty < 0 for _, qty in quantities)
    if not negative:
        return Proposal("qty_sign", "unsigned", 0.98, f"no negative quantity in {len(quantities):,} rows", True)
    selling = sum(qty < 0 and row.get(54) not in ("1", "3", "B") for row, qty in quantities)
    text = f"{share(negative, len(quantities))} quantities are negative, {share(selling, negative)} of them sales"
    return Proposal("qty_sign", "signed", 0.97 if selling >= 0.8 * negative else 0.5, text)


def _version(rows: Sequence[Row]) -> Proposal:
    """IDs that keep a stem over the versions of a trade and count them behind it."""
    stems: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    for row in rows:
        found = _VERSIONED.match(row.get(17, 571, 70)) if not row.repeated else None
        if found:
            stems[found["stem"]].append((int(found["version"]), row))
    several = [mine for mine in stems.values() if 1 < len({version for version, _ in mine}) <= 9]
    changed = [
        mine for mine in several
        if any(row.status in ("CORRECT", "CANCEL") and version > min(v for v, _ in mine) for version, row in mine)
    ]  # fmt: skip
    amended = sum(row.status in ("CORRECT", "CANCEL") and not row.repeated for row in rows)
    if len(changed) < 2 or len(changed) * 2 < amended or len(stems) * 5 < len(rows):
        text = f"{amended} corrections and cancels, no id with a version behind it"
        return Proposal("exec_id_version_suffix", None, 0.97 if amended else 0.7, text, True)
    last = Counter(next(iter(mine))[1].get(17, 571, 70)[len(stem) - 1] for stem, mine in stems.items() if stem)
    mark = last.most_common(1)[0][0]
    text = f"{share(len(changed), amended)} corrections and cancels: their trade's id, a higher number behind {mark!r}"
    return Proposal("exec_id_version_suffix", rf"{re.escape(mark)}(\d+)$", 0.95, text)


def _currency(rows: Sequence[Row]) -> Proposal:
    said = Counter(row.get(15) for row in rows if row.get(15))
    lacking = len(rows) - sum(said.values())
    if not lacking or lacking < 0.05 * len(rows):
        return Proposal(
            "default_ccy", None, 0.98, f"Currency(15) on {share(len(rows) - lacking, len(rows))} rows", True
        )
    if len(said) == 1:
        text = f"{share(lacking, len(rows))} rows say no currency, all others {next(iter(said))}"
        return Proposal("default_ccy", next(iter(said)), 0.7, text)
    return Proposal(
        "default_ccy", None, 0.3, f"{share(lacking, len(rows))} rows say no currency: ask which one is meant"
    )


def _prime(rows: Sequence[Row]) -> Proposal:
    named = sum("4" in (row.get(452), row.get(538)) or bool(row.get(439)) for row in rows)
    text = f"a prime broker is named as a party on {share(named, len(rows))} rows; a PB feed's own party stands for it"
    return Proposal("pb_id", "party", 0.95, text, True)


def unmapped(proposals: Sequence[Proposal]) -> Mapping[str, str]:
    """Keys that need an answer before the file can be used, with the reason."""
    return {line.key: line.evidence for line in proposals if line.open}
