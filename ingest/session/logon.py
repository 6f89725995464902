"""Logon(A): what we send, and what is wrong with one we receive."""

import hmac

from ingest.session.state import SessionConfig
from ingest.session.versions import APPL_VERSIONS, Version
from ingest.session.wire import number

_HAS_PASSWORD = frozenset({"FIX.4.3", "FIX.4.4", "FIXT.1.1"})
_HAS_NEXT_EXPECTED = frozenset({"FIX.4.4", "FIXT.1.1"})


def proves_identity(config: SessionConfig, logon: dict[int, str]) -> bool:
    """Whether Username(553) and Password(554, before FIX 4.3 often RawData(96)) are the configured ones."""
    if config.username and not _same(logon.get(553, ""), config.username):
        return False
    given = logon.get(554) or logon.get(96, "")
    return not config.password or _same(given, config.password)


def logon_problem(config: SessionConfig, logon: dict[int, str], begin_string: str, sequence: int) -> str:
    """What is wrong with a Logon from the session's counterparty, empty when nothing is."""
    low, high = config.heartbeat_min_seconds, config.heartbeat_max_seconds
    interval = number(logon.get(108))
    appl = logon.get(1137, "")
    if logon.get(98) != "0":
        return "EncryptMethod (98) must be 0"
    if interval is None or not low <= interval <= high:
        return f"HeartBtInt (108) must be between {low} and {high}"
    if logon.get(141) == "Y" and sequence != 1:
        return "ResetSeqNumFlag (141) needs MsgSeqNum 1"
    if begin_string == "FIXT.1.1":
        if config.strict and not appl:
            return "Required tag missing: DefaultApplVerID (1137)"
        if (config.appl_ver_id and appl and appl != config.appl_ver_id) or (appl and appl not in APPL_VERSIONS):
            return f"DefaultApplVerID (1137) {appl} is not {config.appl_ver_id or 'supported'}"
    return ""


def our_logon(
    config: SessionConfig, version: Version, interval: int, reset: bool, appl_ver_id: str, next_expected: int
) -> list[tuple[int, str]]:
    """Body of our Logon: the first one of an initiator, the answer of an acceptor."""
    body = [(98, "0"), (108, str(interval))]
    if reset:
        body.append((141, "Y"))
    if config.next_expected and version.begin_string in _HAS_NEXT_EXPECTED:
        body.append((789, str(next_expected)))
    if config.role.value == "initiator":
        body += _credentials(config, version)
    if version.begin_string == "FIXT.1.1":
        body.append((1137, appl_ver_id))
    return body


def takes_next_expected(config: SessionConfig, version: Version, logon: dict[int, str]) -> int | None:
    """NextExpectedMsgSeqNum(789) where both sides work with it, else None."""
    if config.next_expected and version.begin_string in _HAS_NEXT_EXPECTED:
        return number(logon.get(789))
    return None


def _credentials(config: SessionConfig, version: Version) -> list[tuple[int, str]]:
    if version.begin_string in _HAS_PASSWORD:
        found = [(553, config.username), (554, config.password)]
        return [(tag, value) for tag, value in found if value]
    if config.password:
        return [(95, str(len(config.password.encode()))), (96, config.password)]
    return []


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("latin-1", "replace"), wanted.encode())
