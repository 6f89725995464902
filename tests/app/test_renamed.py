"""Stored trades of strangers read again: a version with the name, once, and matched like any correction."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pytest

from app.decision_kinds import write_mapping
from app.reference_cache import ReferenceCache
from app.renamed import mapped, read_again
from ingest.feeds import Feed, SessionIdentity
from ingest.files.batch import batch_of_rows
from ingest.files.csv_map import CsvMap
from ingest.normalise import RawBatch, normalise
from ingest.store import store
from matching.engine import match
from matching.rules import load_rules
from tests.ingest.fix.conftest import framed
from tests.matching.desk import FEEDS, LATE, T0, Desk

SINCE = date(2020, 1, 1)


def _session(sender: str) -> SessionIdentity:
    return SessionIdentity(sender_comp_id=sender, target_comp_id="TIEOUT")


SESSIONS: Mapping[str, Feed] = {
    "OMS->TIEOUT": Feed(name="oms", role="INTERNAL", party="MERIDIAN", session=_session("OMS")),
    "ALPHA->TIEOUT": Feed(name="alpha", role="PB", party="ALPHA", session=_session("ALPHA")),
}
FEEDS_HERE = tuple(SESSIONS.values())


def told(sender: str, account: str, isin: str, uid: str, broker: str = "ALPHA") -> bytes:
    return framed(
        f"35=8|49={sender}|56=TIEOUT|34=2|52=20261124-14:30:01|37=O1|11=C1|17={uid}|150=F|39=2|1={account}|55=AAPL"
        f"|48={isin}|22=4|54=1|38=100|32=100|31=187.25|14=100|151=0|6=187.25|15=USD|60=20261124-14:30:01"
        f"|75=20261124|64=20261125|453=1|448={broker}|447=D|452=4|"
    )


def receive(desk: Desk, reference: ReferenceCache, session: str, message: bytes) -> None:
    batch = RawBatch([message], [f"{session}:1"], [1], "lane", [session], np.array([T0]), [SESSIONS[session]])
    store(desk.warehouse, normalise(batch, reference.current()), f"from {session}")


def test_a_name_given_later_is_a_version_of_what_is_stored() -> None:
    desk = Desk(load_rules())
    reference = ReferenceCache(desk.warehouse)
    known = {"what": "account", "party": "ALPHA", "alias": "B-1", "account_id": "FUND-1"}
    write_mapping(desk.warehouse, known, SINCE)
    apple = {"what": "instrument", "id_source": "4", "instrument_id": "APPLE"}
    write_mapping(desk.warehouse, {**apple, "id_value": "US0378331005"}, SINCE)
    receive(desk, reference, "OMS->TIEOUT", told("OMS", "FUND-1", "US0378331005", "E1"))
    receive(desk, reference, "ALPHA->TIEOUT", told("ALPHA", "B-2", "US5949181045", "K1"))
    match(desk.warehouse, execution="first", as_of=LATE, rules=desk.rules, feeds=FEEDS)
    assert desk.breaks() == ["I03", "I04", "T01", "T02"]

    def again(name: str) -> int:
        return read_again(desk.warehouse, FEEDS_HERE, reference.current(), execution=name, at_ns=LATE)

    assert again("too early") == 0
    write_mapping(desk.warehouse, {**known, "alias": "B-2"}, SINCE)
    assert (again("account"), again("account")) == (1, 0)
    match(desk.warehouse, execution="account", as_of=LATE, rules=desk.rules, feeds=FEEDS)
    assert "I03" in desk.breaks() and "I04" not in desk.breaks()
    write_mapping(desk.warehouse, {**apple, "id_value": "US5949181045"}, SINCE)
    assert (again("instrument"), again("instrument")) == (1, 0)
    match(desk.warehouse, execution="instrument", as_of=LATE, rules=desk.rules, feeds=FEEDS)
    assert desk.breaks() == []
    assert again("nothing is strange any more") == 0
    rows = desk.table(
        "select account_id, instrument_id, status from trade_event where feed = 'alpha' order by execution"
    )
    assert sorted(row["status"] for row in rows) == ["CORRECT", "CORRECT", "NEW"]
    assert not mapped(desk.warehouse)


@pytest.mark.parametrize("session", [None, _session("BRAVO")], ids=["files alone", "files beside a session"])
def test_rows_of_files_and_tables_take_the_name_too(session: SessionIdentity | None) -> None:
    book = Feed(name="bravo", role="PB", party="BRAVO", session=session, path_glob="*.csv", source="files")
    desk = Desk(load_rules())
    reference = ReferenceCache(desk.warehouse)
    write_mapping(desk.warehouse, {"what": "account", "party": "BRAVO", "alias": "B-1", "account_id": "FUND-1"}, SINCE)
    apple = {"what": "instrument", "id_source": "4", "instrument_id": "APPLE"}
    write_mapping(desk.warehouse, {**apple, "id_value": "US0378331005"}, SINCE)
    header = "trade_id,account,isin,symbol,side,quantity,price,currency,trade_date,settle_date\n"
    rows = "K1,B-2,US5949181045,AAPL,BUY,100,187.25,USD,2026-11-24,2026-11-25\n"
    batch = batch_of_rows((header + rows).encode(), "bravo.csv", book, CsvMap(), reference.current())
    store(desk.warehouse, batch.normalised, "file")
    receive(desk, reference, "OMS->TIEOUT", told("OMS", "FUND-1", "US0378331005", "E1", "BRAVO"))
    match(desk.warehouse, execution="first", as_of=LATE, rules=desk.rules, feeds=FEEDS)
    assert {"I03", "I04"} <= set(desk.breaks())
    write_mapping(desk.warehouse, {"what": "account", "party": "BRAVO", "alias": "B-2", "account_id": "FUND-1"}, SINCE)
    write_mapping(desk.warehouse, {**apple, "id_value": "US5949181045"}, SINCE)
    feeds = (*FEEDS_HERE, book)
    names = [read_again(desk.warehouse, feeds, reference.current(), execution=name, at_ns=LATE) for name in "ab"]
    assert names == [1, 0]
    match(desk.warehouse, execution="a", as_of=LATE, rules=desk.rules, feeds=FEEDS)
    assert desk.breaks() == []
    [new] = desk.table("select * from trade_event where feed = 'bravo' and status = 'CORRECT'")
    assert (new["account_id"], new["instrument_id"], new["account_raw"], new["flags"]) == (
        "FUND-1",
        "APPLE",
        "B-2",
        None,
    )
