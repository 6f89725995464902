"""Kinesis: the stream port over a given boto3 client, order per session kept through partial failures."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from ingest.streams.cursor import Place, RecordCursor
from ingest.streams.parts import Sending, Stored
from ingest.streams.port import ENDED, Batch, Envelope
from ingest.streams.record import MAX_RECORD_BYTES, records

_RETRYABLE = frozenset({
    "ProvisionedThroughputExceededException",
    "LimitExceededException",
    "InternalFailure",
    "InternalFailureException",
    "KMSThrottlingException",
    "ServiceUnavailable",
    "ThrottlingException",
})  # fmt: skip
_LOOKS_FOR_ONE = 20


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
    pages_per_range: int = 10_000
    list_shards_seconds: float = 5.0


class _Reader:
    """A shard's reader: the cursor, the iterator after what it fetched, and what the last look found after it."""

    def __init__(self, after: str | None, where: str, lane: str) -> None:
        self.cursor = RecordCursor(after, where, lane)
        self.iterator: str | None = None
        self.behind = True
        self.ended = False
        self.late_seconds: float | None = None


class KinesisStream:
    """A `Stream` over one Kinesis data stream; a lane is a shard, the partition key is the session.

    Guarantee: at least once, never out of order. Only one record of a session is on its way at a time (a record packs
    many messages), so a record that fails holds back what follows it and no reader ever sees a hole. Sequence numbers
    of records are hints for re-reading; the envelope's own numbers decide (`marks.accept`).
    A shard is asked at most once per interval. A read without `until` does not wait for that: in between it answers
    from what was fetched at the last look. May be used by several threads; reads of one lane wait for each other.
    """

    def __init__(self, client: Any, name: str, clock: Clock, limits: KinesisLimits | None = None) -> None:
        self._client, self._name, self._clock = client, name, clock
        self._limits = limits or KinesisLimits()
        self._readers: dict[str, _Reader] = {}
        self._last_read: dict[str, float] = {}
        self._ended: set[str] = set()
        self._listed: tuple[float, list[dict[str, Any]]] | None = None
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def append(self, envelopes: Sequence[Envelope]) -> None:
        by_session: dict[str, list[Envelope]] = {}
        for envelope in envelopes:
            by_session.setdefault(envelope.session, []).append(envelope)
        queues = {
            session: Sending(list(records(session, group, self._limits.bytes_per_record)))
            for session, group in by_session.items()
        }
        failures = 0
        while queues:
            sent = self._heads(queues)
            answers = self._put([(session, queues[session].head) for session in sent])
            for session, answer in zip(sent, answers, strict=True):
                if not isinstance(answer, str):
                    queues[session].stored(*answer)
                    if queues[session].is_over:
                        del queues[session]
            reasons = [answer for answer in answers if isinstance(answer, str)]
            failures = failures + 1 if len(reasons) == len(answers) else 0
            if failures >= self._limits.put_attempts:
                raise TransientError(f"stream {self._name}: {failures} puts in a row failed: {reasons[0]}")
            if reasons:
                self._back_off(failures)

    def lanes(self) -> list[str]:
        """Shard ids; a shard made by a split or merge appears once its parents are drained, by whomever (`hint`)."""
        shards = self._shards()
        known = {shard["ShardId"] for shard in shards}
        ready = []
        for shard in shards:
            parents = {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")} & known
            if parents <= self._ended:
                ready.append(shard["ShardId"])
        return sorted(ready)

    def read(self, lane: str, after: str | None, limit_messages: int, until: str | None = None) -> Batch:
        with self._lock(lane):
            if until:
                return self._range(lane, after, limit_messages, Place.parse(until))
            reader = self._readers.get(lane)
            if reader is None or reader.cursor.position != (after or ""):
                reader = self._readers[lane] = _Reader(after, self._where(lane), lane)
            taken = self._take(reader.cursor, limit_messages, None)
            room = limit_messages - sum(len(envelope.messages) for envelope in taken)
            if room > 0 and not reader.ended and self._wait_seconds(lane) <= 0:
                self._fetch(lane, reader)
                taken += self._take(reader.cursor, room, None)
            if reader.ended and not reader.cursor.waiting and lane not in self._ended:
                # Its children may be read now, and were perhaps not there at the last look.
                self._ended.add(lane)
                self._listed = None
            behind = reader.cursor.waiting or int(reader.behind)
            ended = reader.ended and not reader.cursor.waiting
            late = 0.0 if ended else reader.late_seconds
            return Batch(lane, tuple(taken), reader.cursor.position, behind, late, ended)

    def hint(self, lane: str, position: str) -> None:
        """Kinesis measures its readers by themselves; a shard that another one drained lets its children appear."""
        if position == ENDED and lane not in self._ended:
            self._ended.add(lane)
            self._listed = None

    def close(self) -> None:
        self._readers.clear()

    def _range(self, lane: str, after: str | None, limit_messages: int, stop: Place) -> Batch:
        """A range that was read before, on a cursor of its own."""
        reader = _Reader(after, self._where(lane), lane)
        taken: list[Envelope] = []
        room = limit_messages
        for _ in range(self._limits.pages_per_range):
            got = self._take(reader.cursor, room, stop)
            taken += got
            room -= sum(len(envelope.messages) for envelope in got)
            if room <= 0 or reader.cursor.reached(stop):
                return Batch(lane, tuple(taken), reader.cursor.position, reader.cursor.waiting or int(reader.behind))
            if reader.cursor.waiting:
                continue
            if not reader.behind:
                break
            self._clock.sleep(max(0.0, self._wait_seconds(lane)))
            self._fetch(lane, reader)
        read = reader.cursor.position or "its start"
        raise TransientError(f"shard {lane} of {self._name} does not reach {stop} yet (read to {read})")

    def _take(self, cursor: RecordCursor, room: int, stop: Place | None) -> list[Envelope]:
        """What the cursor can give, with the parts it lacks fetched by their places."""
        taken = cursor.take(room, stop)
        while cursor.missing:
            for place in list(cursor.missing):
                cursor.give(place, self._record(*place))
            taken += cursor.take(room - sum(len(envelope.messages) for envelope in taken), stop)
        return taken

    def _record(self, lane: str, sequence: int) -> bytes:
        """One record by its place, which may lie in a shard that was split or merged since."""
        iterator: str | None = None
        for _ in range(_LOOKS_FOR_ONE):
            self._clock.sleep(max(0.0, self._wait_seconds(lane)))
            self._last_read[lane] = self._clock.monotonic()
            try:
                iterator = iterator or self._iterator(lane, Place(sequence, 1))
                answer = self._client.get_records(ShardIterator=iterator, Limit=1)
            except (ClientError, BotoCoreError) as error:
                iterator = None
                if _is_expired(error):
                    continue
                raise TransientError(self._retryable(error)) from error
            for record in answer["Records"]:
                if int(record["SequenceNumber"]) != sequence:
                    raise PermanentError(f"record {sequence} of {self._where(lane)} was deleted before it was read")
                return bytes(record["Data"])
            iterator = answer.get("NextShardIterator")
            if iterator is None:
                break
        raise TransientError(f"record {sequence} of {self._where(lane)} is not there yet")

    def _heads(self, queues: dict[str, Sending]) -> list[str]:
        """Sessions whose first waiting record goes into the next request, within the request's limits."""
        chosen: list[str] = []
        size = 0
        for session, queue in queues.items():
            size += len(queue.head) + len(session.encode())
            if chosen and (len(chosen) >= self._limits.records_per_put or size > self._limits.bytes_per_put):
                break
            chosen.append(session)
        return chosen

    def _put(self, entries: list[tuple[str, bytes]]) -> list[str | Stored]:
        """Per entry where it was stored, or why not; a lost answer counts as failed (the resend is a duplicate)."""
        wanted = [{"Data": data, "PartitionKey": session} for session, data in entries]
        try:
            answer = self._client.put_records(StreamName=self._name, Records=wanted)
        except (ClientError, BotoCoreError) as error:
            return [self._retryable(error)] * len(entries)
        return [
            str(result["ErrorCode"]) if result.get("ErrorCode") else (result["ShardId"], int(result["SequenceNumber"]))
            for result in answer["Records"]
        ]

    def _back_off(self, failures: int) -> None:
        wait = self._limits.retry_seconds * 2 ** min(failures, 16)
        self._clock.sleep(min(wait, self._limits.retry_max_seconds))

    def _retryable(self, error: Exception) -> str:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] not in _RETRYABLE:
            raise PermanentError(f"stream {self._name}: {error}") from error
        return str(error)

    def _lock(self, lane: str) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(lane, threading.Lock())

    def _where(self, lane: str) -> str:
        return f"shard {lane} in {self._name}"

    def _shards(self) -> list[dict[str, Any]]:
        """All shards, listed anew once in a while and whenever one was read to its end."""
        now = self._clock.monotonic()
        if self._listed is None or now - self._listed[0] >= self._limits.list_shards_seconds:
            self._listed = now, self._list_shards()
        return self._listed[1]

    def _list_shards(self) -> list[dict[str, Any]]:
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

    def _fetch(self, lane: str, reader: _Reader) -> None:
        """One page into the cursor; the caller kept the interval."""
        self._last_read[lane] = self._clock.monotonic()
        try:
            if reader.iterator is None:
                reader.iterator = self._iterator(lane, reader.cursor.resume)
            answer = self._client.get_records(ShardIterator=reader.iterator, Limit=self._limits.records_per_get)
        except (ClientError, BotoCoreError) as error:
            # An iterator lives five minutes; the next look takes a new one where this one stood.
            reader.iterator = None
            if _is_expired(error):
                return
            raise TransientError(self._retryable(error)) from error
        page = answer["Records"]
        for record in page:
            reader.cursor.add(int(record["SequenceNumber"]), record["Data"])
        reader.iterator = answer.get("NextShardIterator")
        reader.late_seconds = answer.get("MillisBehindLatest", 0) / 1000
        reader.behind = reader.iterator is not None and reader.late_seconds > 0
        if reader.iterator is None or (not page and not reader.behind and self._closed(lane)):
            reader.ended = True

    def _iterator(self, lane: str, place: Place | None) -> str:
        """An iterator after a whole record, at a record that was taken in part, or at the shard's start."""
        request = {"StreamName": self._name, "ShardId": lane, "ShardIteratorType": "TRIM_HORIZON"}
        if place is not None:
            request["ShardIteratorType"] = "AT_SEQUENCE_NUMBER" if place.messages else "AFTER_SEQUENCE_NUMBER"
            request["StartingSequenceNumber"] = str(place.sequence)
        return str(self._client.get_shard_iterator(**request)["ShardIterator"])

    def _wait_seconds(self, lane: str) -> float:
        """Seconds until the shard may be asked again."""
        due = self._last_read.get(lane, float("-inf")) + self._limits.read_interval_seconds
        return due - self._clock.monotonic()

    def _closed(self, lane: str) -> bool:
        shard = next((shard for shard in self._shards() if shard["ShardId"] == lane), None)
        return shard is None or "EndingSequenceNumber" in shard["SequenceNumberRange"]


def _is_expired(error: Exception) -> bool:
    return isinstance(error, ClientError) and bool(error.response["Error"]["Code"] == "ExpiredIteratorException")
