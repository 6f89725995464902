"""Which ledger, and this process's share of its lanes: chosen by the scheme of `ledger`."""

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.aws import client
from app.settings import Settings
from domain.clock import Clock
from orchestrator.leases import LeaseKeeper
from orchestrator.ledger import Ledger
from orchestrator.ledger_sqlite import SharedSqliteLedger
from orchestrator.ledger_turns import Turns

if TYPE_CHECKING:
    from orchestrator.ledger_dynamodb import DynamoDbLedger

# Longer than any task may take, so that waiting for a turn is no failure.
_PATIENCE_SECONDS = 280.0


@dataclass(frozen=True, slots=True)
class Shared:
    """A ledger that several workers use, this worker's share of the lanes, and its turns."""

    ledger: Ledger
    leases: LeaseKeeper
    turns: Turns


def open_shared(settings: Settings, clock: Clock) -> Shared | None:
    """The shared ledger: a SQLite file that is named, or a DynamoDB table (made if it does not exist, in local-aws).

    None for `sqlite://` alone: the ledger is in the engine's own file, and one worker drives every lane.
    """
    address = settings.address("ledger")
    if address.scheme == "sqlite" and not address.path:
        return None
    ledger = SharedSqliteLedger(Path(address.path), settings.tenant) if address.scheme == "sqlite" else _table(settings)
    owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
    seconds = float(settings.worker.lease_seconds)
    turns = Turns(ledger, owner, clock, seconds, patience_seconds=_PATIENCE_SECONDS)
    return Shared(ledger, LeaseKeeper(ledger, owner, clock, seconds), turns)


def _table(settings: Settings) -> "DynamoDbLedger":
    from orchestrator.ledger_dynamodb import DynamoDbLedger, make_table

    dynamodb, table = client(settings, "dynamodb"), settings.address("ledger").host
    if settings.profile == "local-aws":
        make_table(dynamodb, table)
    return DynamoDbLedger(dynamodb, table, settings.tenant)
