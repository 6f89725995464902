"""Kinesis: the stream port over a given boto3 client, order per session kept through partial failures."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from ingest.streams.kinesis_record import MAX_RECORD_BYTES, records, unpack
from ingest.streams.port import Batch, Envelope

_RETRYABLE = frozenset({
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "InternalFailure",
    "InternalFailureException",
    "KMSThrottlingException",
    "ServiceUnavailable",
    "ThrottlingException",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class KinesisLimits:
    """Limits of one stream. Defaults are the service's (per request and per shard) and our own patience."""

    records_per_put: int = 500
    bytes_per_put: int = 5 * 1024 * 1024
    bytes_per_record: int = MAX_RECORD_BYTES
    records_per_get: int = 10_000
    read_interval_seconds: float = 0.2
    put_attempts: int = 10
    retry_seconds: float = 0.1
    retry_max_seconds: float = 5.0
    pages_per_read: int = 20


@dataclass(slots=True)
class _Cursor:
    """A shard's place in this process: what was fetched and not yet returned, and the iterator after it."""

    position: str
    held: deque[tuple[str, tuple[Envelope, ...]]] = field(default_factory=deque)
    iterator: str | None = None
    behind: bool = True
    fetched: str = ""


@dataclass(frozen=True, slots=True)
class _Until:
    sequence: int
    index: int | None


class KinesisStream:
    """A `Stream` over one Kinesis data stream; a lane is a shard, the partition key is the session.

    Guarantee: at least once, never out of order. Only one record of a session is on its way at a time (a record packs
    many messages), so a record that fails holds back what follows it and no reader ever sees a hole. Sequence numbers
    of records are hints for re-reading; the envelope's own numbers decide (`marks.accept`).
    A position is "<sequence number>" after a whole record, "<sequence number>:<n>" after its first n messages.
    Not for use from several threads at once.
    """

    def __init__(self, client: Any, name: str, clock: Clock, limits: KinesisLimits | None = None) -> None:
        self._client, self._name, self._clock = client, name, clock
        self._limits = limits or KinesisLimits()
        self._cursors: dict[str, _Cursor] = {}
        self._last_read: dict[str, float] = {}
        self._ended: set[str] = set()

    def append(self, envelopes: Sequence[Envelope]) -> None:
        by_session: dict[str, list[Envelope]] = {}
        for envelope in envelopes:
            by_session.setdefault(envelope.session, []).append(envelope)
        queues = {
            session: deque(records(session, group, self._limits.bytes_per_record))
            for session, group in by_session.items()
        }
        failures = 0
        while queues:
            sent = self._heads(queues)
            failed = self._put([(session, queues[session][0]) for session in sent])
            for session, reason in zip(sent, failed, strict=True):
                if reason is None:
                    queues[session].popleft()
                    if not queues[session]:
                        del queues[session]
            reasons = [reason for reason in failed if reason is not None]
            failures = failures + 1 if len(reasons) == len(failed) else 0
            if failures >= self._limits.put_attempts:
                raise TransientError(f"stream {self._name}: {failures} puts in a row failed: {reasons[0]}")
            if reasons:
                self._back_off(failures)

    def lanes(self) -> list[str]:
        """Shard ids; a shard made by a split or merge appears once this reader has drained its parents."""
        shards = self._shards()
        known = {shard["ShardId"] for shard in shards}
        ready = []
        for shard in shards:
            parents = {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")} & known
            if parents <= self._ended:
                ready.append(shard["ShardId"])
        return sorted(ready)

    def read(self, lane: str, after: str | None, limit_messages: int, until: str | None = None) -> Batch:
        cursor = self._cursors.get(lane)
        if cursor is None or cursor.position != (after or ""):
            cursor = self._cursors[lane] = _Cursor(after or "")
        stop = _parse_until(until)
        taken: list[Envelope] = []
        room, pages = limit_messages, 0
        while room > 0 and not (stop and _reached(cursor.position, stop)):
            if cursor.held:
                got = _take(cursor, room, stop)
                taken += got
                room -= sum(len(envelope.messages) for envelope in got)
                continue
            at_end = lane in self._ended or (not cursor.behind and stop is None)
            if at_end or pages >= self._limits.pages_per_read or (pages and taken and stop is None):
                break
            self._fetch(lane, cursor)
            pages += 1
        if stop and room > 0 and not _reached(cursor.position, stop):
            raise TransientError(f"shard {lane} of {self._name} does not reach {until} yet (read to {cursor.position})")
        behind = sum(len(e.messages) for _, group in cursor.held for e in group) or int(cursor.behind)
        # A shard is asked again by the next read even if it was at its end now.
        cursor.behind = True
        return Batch(lane, tuple(taken), cursor.position, behind)

    def close(self) -> None:
        self._cursors.clear()

    def _heads(self, queues: dict[str, deque[bytes]]) -> list[str]:
        """Sessions whose first waiting record goes into the next request, within the request's limits."""
        chosen: list[str] = []
        size = 0
        for session, queue in queues.items():
            size += len(queue[0]) + len(session.encode())
            if chosen and (len(chosen) >= self._limits.records_per_put or size > self._limits.bytes_per_put):
                break
            chosen.append(session)
        return chosen

    def _put(self, entries: list[tuple[str, bytes]]) -> list[str | None]:
        """Per entry None when stored, else why not; a lost answer counts as failed (the resend is a duplicate)."""
        wanted = [{"Data": data, "PartitionKey": session} for session, data in entries]
        try:
            answer = self._client.put_records(StreamName=self._name, Records=wanted)
        except (ClientError, BotoCoreError) as error:
            return [self._retryable(error)] * len(entries)
        return [result.get("ErrorCode") and str(result["ErrorCode"]) for result in answer["Records"]]

    def _back_off(self, failures: int) -> None:
        wait = self._limits.retry_seconds * 2 ** min(failures, 16)
        self._clock.sleep(min(wait, self._limits.retry_max_seconds))

    def _retryable(self, error: Exception) -> str:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] not in _RETRYABLE:
            raise PermanentError(f"stream {self._name}: {error}") from error
        return str(error)

    def _shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        request: dict[str, Any] = {"StreamName": self._name}
        try:
            while True:
                answer = self._client.list_shards(**request)
                shards += answer["Shards"]
                if not answer.get("NextToken"):
                    return shards
                request = {"NextToken": answer["NextToken"]}
        except (ClientError, BotoCoreError) as error:
            raise TransientError(self._retryable(error)) from error

    def _fetch(self, lane: str, cursor: _Cursor) -> None:
        """One page into the cursor, at most one GetRecords per shard and interval."""
        self._pace(lane)
        try:
            if cursor.iterator is None:
                cursor.iterator = self._iterator(lane, cursor)
            answer = self._client.get_records(ShardIterator=cursor.iterator, Limit=self._limits.records_per_get)
        except (ClientError, BotoCoreError) as error:
            cursor.iterator = None
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "ExpiredIteratorException":
                return
            raise TransientError(self._retryable(error)) from error
        page = [(str(record["SequenceNumber"]), record["Data"]) for record in answer["Records"]]
        where = f"of shard {lane} in {self._name}"
        cursor.held.extend([(sequence, unpack(data, f"record {sequence} {where}")) for sequence, data in page])
        cursor.fetched = page[-1][0] if page else cursor.fetched
        cursor.iterator = answer.get("NextShardIterator")
        cursor.behind = answer.get("MillisBehindLatest", 0) > 0
        if cursor.iterator is None or (not page and not cursor.behind and self._closed(lane)):
            self._ended.add(lane)

    def _iterator(self, lane: str, cursor: _Cursor) -> str:
        """An iterator after what the cursor fetched, or at its position when it holds nothing."""
        request = {"StreamName": self._name, "ShardId": lane}
        if cursor.fetched or (cursor.position and ":" not in cursor.position):
            sequence = cursor.fetched or cursor.position
            request |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": sequence}
        elif cursor.position:
            sequence = cursor.position.partition(":")[0]
            request |= {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": sequence}
        else:
            request |= {"ShardIteratorType": "TRIM_HORIZON"}
        return str(self._client.get_shard_iterator(**request)["ShardIterator"])

    def _pace(self, lane: str) -> None:
        due = self._last_read.get(lane, float("-inf")) + self._limits.read_interval_seconds
        wait = due - self._clock.monotonic()
        if wait > 0:
            self._clock.sleep(wait)
        self._last_read[lane] = self._clock.monotonic()

    def _closed(self, lane: str) -> bool:
        shard = next((shard for shard in self._shards() if shard["ShardId"] == lane), None)
        return shard is None or "EndingSequenceNumber" in shard["SequenceNumberRange"]


def _parse_until(until: str | None) -> _Until | None:
    if not until:
        return None
    sequence, _, index = until.partition(":")
    return _Until(int(sequence), int(index) if index else None)


def _reached(position: str, stop: _Until) -> bool:
    if not position:
        return False
    sequence, _, index = position.partition(":")
    if int(sequence) != stop.sequence:
        return int(sequence) > stop.sequence
    return not index or (stop.index is not None and int(index) >= stop.index)


def _take(cursor: _Cursor, room: int, stop: _Until | None) -> list[Envelope]:
    """Messages of the first held record after the cursor's position, at most `room`, not past `stop`."""
    sequence, envelopes = cursor.held[0]
    at, _, index = cursor.position.partition(":")
    done = int(index) if at == sequence and index else 0
    total = sum(len(envelope.messages) for envelope in envelopes)
    end = min(total, done + room)
    if stop and int(sequence) == stop.sequence and stop.index is not None:
        end = min(end, stop.index)
    if end >= total:
        cursor.held.popleft()
        cursor.position = sequence
    else:
        cursor.position = f"{sequence}:{end}"
    return [part for part in _slice(envelopes, done, end) if part.messages]


def _slice(envelopes: Sequence[Envelope], start: int, end: int) -> list[Envelope]:
    """Messages start..end (end excluded) counted over all envelopes of a record."""
    parts, at = [], 0
    for envelope in envelopes:
        low, high = max(start - at, 0), min(end - at, len(envelope.messages))
        if low < high:
            parts.append(envelope.between(envelope.first + low, envelope.first + high - 1))
        at += len(envelope.messages)
    return parts
