"""The audit trail's arithmetic: canonical JSON, the hash chain, and Merkle roots as RFC 6962 builds them."""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

GENESIS = "0" * 64
_LEAF, _NODE = b"\x00", b"\x01"


def canonical(value: object) -> str:
    """JSON with one spelling: sorted keys, no spaces, decimals and times as text, Unicode in NFC."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Mapping):
        return {unicodedata.normalize("NFC", str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [_plain(item) for item in value]
        return sorted(items, key=str) if isinstance(value, (set, frozenset)) else items
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no canonical form")


def sha256(text: str) -> str:
    """SHA-256 of the UTF-8 text, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the trail. `ts_utc` is UTC nanoseconds; `payload` is canonical JSON."""

    seq: int
    ts_utc: int
    actor: str
    action: str
    object: str
    payload: str
    payload_sha256: str
    prev_hash: str
    hash: str

    def problem(self, prev: "Entry | None") -> str | None:
        """What is wrong with this entry after `prev`, or None."""
        if self.seq != (prev.seq + 1 if prev else 1):
            return f"expected sequence number {prev.seq + 1 if prev else 1}"
        if self.prev_hash != (prev.hash if prev else GENESIS):
            return "it does not continue the entry before"
        return self.damage()

    def damage(self) -> str | None:
        """What is wrong with this entry by itself, or None."""
        if self.payload_sha256 != sha256(self.payload):
            return "its payload is not what was recorded"
        return None if self.hash == self.computed() else "its hash does not fit its content"

    def computed(self) -> str:
        """The hash this content should have."""
        names = ("seq", "ts_utc", "actor", "action", "object", "payload_sha256", "prev_hash")
        return sha256(canonical({name: getattr(self, name) for name in names}))


def entry(prev: Entry | None, ts_utc: int, actor: str, action: str, what: str, payload: object) -> Entry:
    """The entry that follows `prev` (None for the first)."""
    text = canonical(payload)
    seq, before = (prev.seq + 1, prev.hash) if prev else (1, GENESIS)
    draft = Entry(seq, ts_utc, actor, action, what, text, sha256(text), before, "")
    names = ("seq", "ts_utc", "actor", "action", "object", "payload", "payload_sha256", "prev_hash")
    return Entry(**{name: getattr(draft, name) for name in names}, hash=draft.computed())


def _leaf(entry_hash: str) -> bytes:
    return hashlib.sha256(_LEAF + bytes.fromhex(entry_hash)).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


@dataclass(slots=True)
class MerkleTree:
    """The tree over entry hashes in order, kept as the roots of its perfect subtrees: adding costs log n."""

    size: int = 0
    _peaks: list[bytes] = field(default_factory=list)

    @classmethod
    def resume(cls, size: int, peaks: Sequence[str]) -> "MerkleTree":
        """The tree as `peaks` described it."""
        return cls(size, [bytes.fromhex(peak) for peak in peaks])

    def add(self, entry_hash: str) -> None:
        """Append one entry's hash (64 hex digits)."""
        peak, n = _leaf(entry_hash), self.size
        while n & 1:
            peak, n = _node(self._peaks.pop(), peak), n >> 1
        self._peaks.append(peak)
        self.size += 1

    def peaks(self) -> list[str]:
        """Roots of the perfect subtrees, largest first."""
        return [peak.hex() for peak in self._peaks]

    def root(self) -> str:
        """The root, 64 hex digits; of an empty tree the hash of nothing."""
        if not self._peaks:
            return hashlib.sha256(b"").hexdigest()
        *rest, root = self._peaks
        for peak in reversed(rest):
            root = _node(peak, root)
        return root.hex()


def merkle_root(hashes: Iterable[str]) -> str:
    """The root over these entry hashes."""
    tree = MerkleTree()
    for value in hashes:
        tree.add(value)
    return tree.root()


def inclusion_path(hashes: Sequence[str], seq: int) -> list[str]:
    """The sibling hashes from entry `seq` (from 1) up to the root over `hashes`: the proof that it is in there."""

    def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
        if len(leaves) == 1:
            return []
        split = 1 << (len(leaves) - 1).bit_length() - 1
        if index < split:
            return [*path(leaves[:split], index), _root(leaves[split:])]
        return [*path(leaves[split:], index - split), _root(leaves[:split])]

    return [value.hex() for value in path([_leaf(item) for item in hashes], seq - 1)]


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return _node(_root(leaves[:split]), _root(leaves[split:]))


def is_included(entry_hash: str, seq: int, size: int, path: Sequence[str], root: str) -> bool:
    """Whether `path` proves that the entry is number `seq` (from 1) of the `size` entries below `root`."""
    if not 1 <= seq <= size:
        return False
    index, last, value = seq - 1, size - 1, _leaf(entry_hash)
    for sibling in map(bytes.fromhex, path):
        if last == 0:
            return False
        if index & 1 or index == last:
            value = _node(sibling, value)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            value = _node(value, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and value.hex() == root


def signed_text(hour: str, size: int, root: str) -> bytes:
    """What a signature covers."""
    return f"tieout audit root v1\n{hour}\n{size}\n{root}\n".encode()
