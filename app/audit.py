"""The auditor: follows ticket writes, automated actions and rules into the trail, and signs a root per hour."""

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from domain.audit import MerkleTree, sha256, signed_text
from domain.clock import Clock
from domain.decisions import AUDIT_ROOT
from domain.schema import arrow_schema
from warehouse.audit_log import Deed, append_entries, entries, plain_rows
from warehouse.port import Warehouse

logger = logging.getLogger(__name__)

ACTOR = "tieout"
MAX_FOLLOWED_ROWS = 20_000
_TICKETS = f"""
SELECT d.outbox_key, d.attempt, d.outcome, d.http_status, d.ticket_number, d.attempted_at, o.operation, o.break_id,
  o.sys_id, o.payload
FROM ticket_delivery d JOIN ticket_outbox o ON o.outbox_key = d.outbox_key
WHERE d.outcome IN ('DELIVERED', 'DEAD') AND NOT EXISTS (
  SELECT 1 FROM audit_entry a WHERE a.object = d.outbox_key || '#' || CAST(d.attempt AS VARCHAR)
    AND a.action LIKE 'ticket.%')
ORDER BY d.attempted_at, d.outbox_key, d.attempt LIMIT {MAX_FOLLOWED_ROWS}
"""
_CURES = """
SELECT c.execution, c.break_id, c.code, c.as_of FROM break_change c
WHERE c.kind = 'CURED' AND NOT EXISTS (
  SELECT 1 FROM audit_entry a WHERE a.object = c.execution AND a.action = 'auto.cure')
ORDER BY c.execution, c.break_id
"""
_ACCEPTANCES = f"""
SELECT b.* FROM break_acceptance b
WHERE NOT EXISTS (
  SELECT 1 FROM audit_entry a WHERE a.object = b.break_id || '#' || CAST(b.generation AS VARCHAR)
    AND a.action = 'auto.accept')
ORDER BY b.accepted_as_of, b.break_id, b.generation LIMIT {MAX_FOLLOWED_ROWS}
"""
_CLOSES = """
SELECT d.* FROM day_close d
WHERE NOT EXISTS (SELECT 1 FROM audit_entry a WHERE a.object = d.close_id AND a.action = 'day.close')
ORDER BY d.closed_at, d.close_id
"""
_RULES = "SELECT object FROM audit_entry WHERE action = 'rules.use' ORDER BY seq DESC LIMIT 1"
# The first entry that no root holds yet.
_FIRST_OPEN = """
SELECT min(a.ts_utc) AS ts_utc FROM audit_entry a WHERE a.seq > (SELECT coalesce(max(r.size), 0) FROM audit_root r)
"""
_LAST_ROOT = "SELECT * FROM audit_root WHERE size = (SELECT max(size) FROM audit_root) LIMIT 1"


@dataclass(frozen=True, slots=True)
class Auditor:
    """Keeps the trail of one tenant. `key` holds the private key (PEM), `roots` the exported roots; both are files
    outside the warehouse."""

    warehouse: Warehouse
    clock: Clock
    key: Path
    roots: Path

    def uses_rules(self, rule_set_hash: str) -> None:
        """Tell that matching now uses this rule set, if the trail's last word on it is another."""
        with self.warehouse.transaction():
            found = self.warehouse.query(_RULES)["object"].to_pylist()
            if found[:1] != [rule_set_hash]:
                deed = Deed(ACTOR, "rules.use", rule_set_hash, {"before": found[0] if found else None})
                append_entries(self.warehouse, [deed], self.clock.now_ns())

    def follow(self) -> int:
        """Tell what was written to tickets, cured or accepted by itself, and signed off since; then close past hours.

        Returns how many entries that made.
        """
        # Mostly there is nothing, which is found without waiting for whoever writes.
        news = any(self.warehouse.query(sql).num_rows for sql in (_TICKETS, _CURES, _ACCEPTANCES, _CLOSES))
        told = self._tell() if news else 0
        self.close_hours()
        return told

    def _tell(self) -> int:
        with self.warehouse.transaction():
            deeds = [_ticket(row) for row in plain_rows(self.warehouse.query(_TICKETS))]
            deeds += _cures(plain_rows(self.warehouse.query(_CURES)))
            for row in plain_rows(self.warehouse.query(_ACCEPTANCES)):
                deeds.append(Deed(ACTOR, "auto.accept", f"{row['break_id']}#{row['generation']}", row))
            for row in plain_rows(self.warehouse.query(_CLOSES)):
                deeds.append(Deed(row["actor"], "day.close", row["close_id"], row))
            return append_entries(self.warehouse, deeds, self.clock.now_ns())

    def close_hours(self, *, now: bool = False) -> list[dict[str, Any]]:
        """Sign and export a root for every hour that is over and has entries; with `now` for the running one too."""
        current = None if now else hour_of(self.clock.now_ns())
        first = plain_rows(self.warehouse.query(_FIRST_OPEN))[0]["ts_utc"]
        if first is None or hour_of(first) == current:
            return []
        made: list[dict[str, Any]] = []
        with self.warehouse.transaction():
            last = plain_rows(self.warehouse.query(_LAST_ROOT))
            size, peaks = (int(last[0]["size"]), json.loads(last[0]["peaks"])) if last else (0, [])
            tree, hour = MerkleTree.resume(size, peaks), ""
            for one in entries(self.warehouse, size):
                this = hour_of(one.ts_utc)
                if hour and this != hour:
                    made.append(self._root(tree, hour))
                if this == current:
                    hour = ""
                    break
                hour = this
                tree.add(one.hash)
            if hour:
                made.append(self._root(tree, hour))
            self._keep(made)
        return made

    def report(self, made: list[dict[str, Any]]) -> dict[str, Any]:
        """What `close_hours` made, for the command line."""
        return {"roots": len(made), "file": str(self.roots), "signed": all(row["signature"] for row in made)}

    def _root(self, tree: MerkleTree, hour: str) -> dict[str, Any]:
        root = tree.root()
        signature, public = sign(self.key, signed_text(hour, tree.size, root))
        return {
            "size": tree.size, "hour": hour, "root": root, "peaks": json.dumps(tree.peaks()), "signature": signature,
            "public_key": public, "signed_at": self.clock.now_ns(),
        }  # fmt: skip

    def _keep(self, made: list[dict[str, Any]]) -> None:
        if not made:
            return
        schema = arrow_schema(AUDIT_ROOT)
        # The file first: a root that is known outside but not inside is found again, the other way round never.
        self.roots.parent.mkdir(parents=True, exist_ok=True)
        with self.roots.open("a", encoding="utf-8") as file:
            for row in made:
                file.write(json.dumps({k: v for k, v in row.items() if k != "peaks"}, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        rows = {
            field.name: pa.array([row[field.name] for row in made], pa.int64()).cast(field.type)
            if field.name == "signed_at"
            else pa.array([row[field.name] for row in made], field.type)
            for field in schema
        }
        self.warehouse.append(AUDIT_ROOT.name, pa.table(rows))


def hour_of(ns: int) -> str:
    """`2026-11-20T14Z` of UTC nanoseconds."""
    return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%dT%HZ}"


def sign(key: Path, text: bytes) -> tuple[str | None, str | None]:
    """Ed25519 signature and public key as hex; the key is made at first use. Nothing without the extra `audit`."""
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return None, None
    if key.is_file():
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{key}: not an Ed25519 key")
    else:
        private = Ed25519PrivateKey.generate()
        key.parent.mkdir(parents=True, exist_ok=True)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return private.sign(text).hex(), raw.hex()


def is_signed(public_key: str, signature: str, text: bytes) -> bool | None:
    """Whether the signature holds; None where the extra `audit` is not installed."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return None
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), text)
    except (InvalidSignature, ValueError):
        return False
    return True


def _ticket(row: Mapping[str, Any]) -> Deed:
    payload = {name: row[name] for name in ("break_id", "sys_id", "outcome", "http_status", "ticket_number",
                                            "attempted_at")}  # fmt: skip
    payload["sent_sha256"] = sha256(row["payload"])
    return Deed(ACTOR, f"ticket.{row['operation']}", f"{row['outbox_key']}#{row['attempt']}", payload)


def _cures(rows: list[dict[str, Any]]) -> list[Deed]:
    by_run: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_run.setdefault(row["execution"], []).append(row)
    deeds = []
    for execution, cured in by_run.items():
        ids = "\n".join(f"{row['break_id']} {row['code']}" for row in cured)
        payload = {"as_of": cured[0]["as_of"], "breaks": len(cured), "ids_sha256": sha256(ids)}
        deeds.append(Deed(ACTOR, "auto.cure", execution, payload))
    return deeds
