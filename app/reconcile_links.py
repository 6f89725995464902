"""What the files say about each other: instruments under two identifiers, and who holds which account."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ingest.symbology import normalised_symbol

_WEAK = ("symbol", "cusip", "sedol", "figi")
_ISIN = "ISIN:"
_CUSIP_COUNTRIES = ("US", "CA")
_SEDOL_PREFIXES = ("GB00", "IE00")
_ALIAS_VOTES_MIN = 3
_ALIAS_SHARE_PERCENT = 90
_LINKS = ("cross_uid", "trade_uid", "client_order_id")


def link_instruments(trades: pa.Table) -> tuple[pa.Table, str]:
    """The trades with one instrument id per instrument, and a note.

    A record without an ISIN takes the one that another record shows for the same symbol, CUSIP, SEDOL or FIGI in the
    same currency, if there is exactly one; the CUSIP in a US or Canadian ISIN and the SEDOL in a British one count too.
    """
    columns = ["instrument_id", "isin", *_WEAK, "trade_ccy"]
    rows = trades.select(columns).to_pylist()
    known: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row["isin"]:
            for key in _keys(row):
                known[key].add(row["isin"])
            for key in _inside(row["isin"], row["trade_ccy"]):
                known[key].add(row["isin"])
    ids, linked = [], set()
    for row in rows:
        found = row["instrument_id"]
        if not row["isin"]:
            for key in reversed(_keys(row)):
                if len(known.get(key, ())) == 1:
                    found = _ISIN + next(iter(known[key]))
                    linked.add(row["instrument_id"])
                    break
        ids.append(found)
    note = ""
    if linked:
        what = "1 security without ISIN was" if len(linked) == 1 else f"{len(linked)} securities without ISIN were"
        note = f"{what} recognised by the other side's records"
    return _replace(trades, "instrument_id", ids), note


def _inside(isin: str, ccy: str) -> list[tuple[str, str, str]]:
    """The national number an ISIN is made of."""
    if isin[:2] in _CUSIP_COUNTRIES:
        return [("cusip", isin[2:11], ccy)]
    return [("sedol", isin[4:11], ccy)] if isin[:4] in _SEDOL_PREFIXES else []


def _keys(row: Mapping[str, str | None]) -> list[tuple[str, str, str]]:
    found = []
    for name in _WEAK:
        value = row[name]
        if value:
            found.append((name, normalised_symbol(value) if name == "symbol" else value, row["trade_ccy"] or ""))
    return found


def link_accounts(trades: pa.Table) -> tuple[pa.Table, list[str]]:
    """Prime brokers' own account names replaced by ours, and notes.

    A name we never use is an alias when at least three of its trades, and nine in ten, carry ids of trades of one of
    our accounts; fewer do where they are unanimous and that prime broker uses none of our names at all.
    """
    rows = trades.select(["source_role", "feed", "account_id", *_LINKS]).to_pylist()
    ours = {row["account_id"] for row in rows if row["source_role"] == "INTERNAL"}
    by_id: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row["source_role"] == "INTERNAL":
            for name in _LINKS:
                by_id[_kind(name), row[name]].add(row["account_id"])
    votes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    familiar = set()
    for row in rows:
        if row["source_role"] == "INTERNAL":
            continue
        if row["account_id"] in ours:
            familiar.add(row["feed"])
            continue
        for name in _LINKS:
            meant = by_id.get((_kind(name), row[name]), ()) if row[name] else ()
            if len(meant) == 1:
                votes[row["feed"], row["account_id"]][next(iter(meant))] += 1
                break
    alias: dict[tuple[str, str], str] = {}
    for (feed, account), found in sorted(votes.items()):
        (meant_account, best), total = found.most_common(1)[0], found.total()
        sure = best >= _ALIAS_VOTES_MIN and best * 100 >= total * _ALIAS_SHARE_PERCENT
        if sure or (feed not in familiar and best == total):
            alias[feed, account] = meant_account
    if not alias:
        return trades, []
    ids = [alias.get((row["feed"], row["account_id"]), row["account_id"]) for row in rows]
    notes = [f"account {name} at {feed} taken as our {account}" for (feed, name), account in alias.items()]
    return _replace(trades, "account_id", ids), notes


def _kind(name: str) -> str:
    """Ids compare within orders or within trades."""
    return "order" if name == "client_order_id" else "trade"


def align_names(trades: pa.Table, parties: Sequence[str]) -> tuple[pa.Table, list[str]]:
    """Our trades with prime brokers named as their files are, and notes.

    A name of ours that no file has becomes the file's name where they share accounts (most shared first), or where one
    name and one file are left over.
    """
    rows = trades.select(["source_role", "pb_id", "account_id"]).to_pylist()
    accounts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows:
        if row["pb_id"]:
            accounts[row["source_role"], row["pb_id"]][row["account_id"]] += 1
    named = sorted(name for role, name in accounts if role == "INTERNAL")
    strangers = [name for name in named if name not in parties]
    files = [party for party in parties if party not in named]
    shared = [
        (-len(accounts["INTERNAL", name].keys() & accounts["PB", party].keys()), name, party)
        for name in strangers
        for party in files
    ]
    alias: dict[str, str] = {}
    for score, name, party in sorted(shared):
        if score < 0 and name not in alias and party not in alias.values():
            alias[name] = party
    left = [name for name in strangers if name not in alias], [party for party in files if party not in alias.values()]
    if len(left[0]) == len(left[1]) == 1:
        alias[left[0][0]] = left[1][0]
    if not alias:
        return trades, []
    renamed = [
        alias.get(row["pb_id"], row["pb_id"]) if row["source_role"] == "INTERNAL" else row["pb_id"] for row in rows
    ]
    notes = [f"{name} in our trades taken as {party}" for name, party in sorted(alias.items())]
    return _replace(trades, "pb_id", renamed), notes


def infer_prime_brokers(trades: pa.Table, parties: Sequence[str]) -> tuple[pa.Table, dict[str, str], list[str]]:
    """Our trades with a prime broker where the record names none; account → prime broker as inferred; notes.

    One prime broker holds everything; of several, the one whose file uses the account; where several use it, the one
    that reports the trade's or its order's id, else the one with most trades in the account.
    """
    unknown = pc.and_(pc.equal(trades["source_role"], "INTERNAL"), pc.is_null(trades["pb_id"]))
    if not pc.any(unknown).as_py():
        return trades, {}, []
    rows = trades.select(["source_role", "pb_id", "account_id", *_LINKS]).to_pylist()
    theirs = [row for row in rows if row["source_role"] == "PB"]
    holders: dict[str, Counter[str]] = defaultdict(Counter)
    named: dict[str, set[str]] = defaultdict(set)
    for row in theirs:
        holders[row["account_id"]][row["pb_id"]] += 1
        for name in _LINKS:
            if row[name]:
                named[row[name]].add(row["pb_id"])
    found, accounts, shared, lost = [], {}, set(), set()
    for row in rows:
        party = row["pb_id"]
        if row["source_role"] == "INTERNAL" and party is None:
            account = row["account_id"]
            candidates = holders.get(account, Counter())
            party = parties[0] if len(parties) == 1 else _holder(row, candidates, named)
            if party is None:
                lost.add(account)
            elif len(candidates) > 1:
                shared.add(account)
            else:
                accounts[account] = party
        found.append(party)
    return _replace(trades, "pb_id", found), dict(sorted(accounts.items())), _notes(shared, lost)


def _holder(row: Mapping[str, str | None], candidates: Counter[str], named: Mapping[str, set[str]]) -> str | None:
    if len(candidates) > 1:
        for name in ("trade_uid", "cross_uid", "client_order_id"):
            by_id = named.get(row[name] or "", set()) & set(candidates)
            if len(by_id) == 1:
                return next(iter(by_id))
    ranked = sorted(candidates.items(), key=lambda item: (-item[1], item[0]))
    return ranked[0][0] if ranked else None


def _notes(shared: set[str], lost: set[str]) -> list[str]:
    notes = [f"account {name} is in the files of several prime brokers; told apart trade by trade" for name in shared]
    notes += [f"account {name} is in no prime broker's file" for name in lost]
    return sorted(notes)


def _replace(trades: pa.Table, name: str, values: Sequence[str | None]) -> pa.Table:
    at = trades.schema.get_field_index(name)
    return trades.set_column(at, trades.schema.field(at), pa.array(values, pa.string()))
