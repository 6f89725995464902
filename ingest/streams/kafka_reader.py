"""The reading side of a Kafka topic: the partitions assigned to this member, from positions that are handed in."""

import asyncio
import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, OffsetAndMetadata, TopicPartition

from domain.clock import Clock
from domain.errors import PermanentError, TransientError
from ingest.streams.cursor import Place, RecordCursor
from ingest.streams.kafka_options import KafkaLimits, KafkaTopic
from ingest.streams.kafka_topic import Bounds, ensure
from ingest.streams.port import Envelope


@dataclass(frozen=True, slots=True)
class Found:
    """What a read found: messages, the position after them, how much is known to follow, the last record fetched."""

    envelopes: tuple[Envelope, ...]
    position: str
    behind: int
    fetched: int | None = None


class KafkaReader(ConsumerRebalanceListener):  # type: ignore[misc]
    """Reads a topic; every coroutine runs on one event loop.

    The broker's own committed offsets decide nothing: a partition is read from the position given, and what was
    fetched ahead of a rebalance is forgotten. Offsets run without holes here, so a jump means that the broker has
    deleted what comes next, and is told rather than skipped.
    """

    def __init__(self, topic: KafkaTopic, limits: KafkaLimits, clock: Clock, bounds: Bounds) -> None:
        self._topic, self._limits, self._clock, self._bounds = topic, limits, clock, bounds
        self._consumer: AIOKafkaConsumer | None = None
        self._assigned: frozenset[int] = frozenset()
        self._cursors: dict[int, RecordCursor] = {}
        # When a partition's end was last heard of, and what the broker's answer to that was called.
        self._heard: dict[int, tuple[float, object]] = {}
        self._hinted: dict[int, float] = {}

    async def partitions(self) -> list[int]:
        """The partitions that are this reader's now, in order; none until the group has made up its mind."""
        consumer = await self._started()
        if self._topic.group is None:
            known = frozenset(consumer.partitions_for_topic(self._topic.topic) or ())
            if not known <= self._assigned:
                await self._assign(consumer, known)
        return sorted(self._assigned)

    async def read(self, partition: int, after: str | None, limit_messages: int, stop: Place | None = None) -> Found:
        """What is durable after the position, not past `stop`.

        TransientError for a partition that is not (any more) this member's.
        """
        consumer = await self._started()
        if partition not in self._assigned and partition not in await self.partitions():
            raise TransientError(f"{self._where(partition)} is not assigned to this member")
        cursor = self._cursors.get(partition)
        if cursor is None or cursor.position != (after or ""):
            cursor = RecordCursor(after, self._where(partition), str(partition))
            await self._seek(consumer, partition, cursor.resume)
            self._cursors[partition] = cursor
        taken = await self._take(consumer, cursor, limit_messages, stop)
        room = limit_messages - sum(len(envelope.messages) for envelope in taken)
        behind = 0
        if room > 0 and not cursor.reached(stop):
            behind = await self._fetch(consumer, partition, cursor, wait=not taken)
            taken += await self._take(consumer, cursor, room, stop)
        return Found(tuple(taken), cursor.position, cursor.waiting + behind, cursor.fetched)

    async def hint(self, partition: int, place: Place) -> None:
        """Commit an offset to the group, once in a while, for tools that watch lag."""
        now = self._clock.monotonic()
        consumer = self._consumer
        if self._topic.group is None or consumer is None or partition not in self._assigned:
            return
        if now - self._hinted.get(partition, -math.inf) < self._limits.hint_seconds:
            return
        self._hinted[partition] = now
        offset = place.sequence if place.messages else place.sequence + 1
        with suppress(Exception):
            await consumer.commit({self._tp(partition): OffsetAndMetadata(offset, "")})

    async def look_again(self) -> None:
        """Something was appended: the next read asks where its partition ends."""
        self._heard.clear()

    async def close(self) -> None:
        """Leave the group (a static member stays in it for its session timeout)."""
        consumer, self._consumer = self._consumer, None
        self._assigned, self._cursors = frozenset(), {}
        if consumer is not None:
            with suppress(Exception, asyncio.CancelledError):
                await asyncio.wait_for(consumer.stop(), self._limits.close_seconds)

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """Nothing is this member's until the group has agreed again; what was fetched ahead is void."""
        self._assigned, self._cursors = frozenset(), {}

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """Take the partitions on, paused until a position is handed in."""
        mine = [tp for tp in assigned if tp.topic == self._topic.topic]
        if self._consumer is not None and mine:
            self._consumer.pause(*mine)
        self._cursors = {}
        self._assigned = frozenset(tp.partition for tp in mine)
        self._heard.clear()

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is not None:
            return self._consumer
        count = await ensure(self._topic, self._limits)
        consumer = AIOKafkaConsumer(
            **self._topic.client_settings(self._limits),
            group_id=self._topic.group,
            group_instance_id=self._topic.member if self._topic.group else None,
            enable_auto_commit=False,
            # Never used to choose a position, but a partition needs one before it is sought.
            auto_offset_reset="earliest",
            fetch_max_wait_ms=round(self._limits.fetch_wait_seconds * 1000),
            max_partition_fetch_bytes=self._limits.fetch_bytes_per_partition,
            session_timeout_ms=round(self._limits.session_seconds * 1000),
            heartbeat_interval_ms=round(self._limits.heartbeat_seconds * 1000),
            max_poll_interval_ms=round(self._limits.poll_seconds * 1000),
        )
        self._consumer = consumer
        try:
            if self._topic.group is not None:
                consumer.subscribe([self._topic.topic], listener=self)
            await consumer.start()
            if self._topic.group is None:
                await self._assign(consumer, range(count))
        except BaseException:
            await self.close()
            raise
        return consumer

    async def _assign(self, consumer: AIOKafkaConsumer, partitions: Iterable[int]) -> None:
        wanted = [self._tp(partition) for partition in partitions]
        consumer.assign(wanted)
        await self.on_partitions_assigned(wanted)

    async def _seek(self, consumer: AIOKafkaConsumer, partition: int, place: Place | None) -> None:
        """Go on after `place`; PermanentError when the broker has deleted what comes next."""
        tp = self._tp(partition)
        first, _ = (await self._bounds.of([partition]))[partition]
        wanted = first if place is None else place.sequence + (0 if place.messages else 1)
        if wanted < first:
            raise self._deleted(partition, wanted, first)
        consumer.seek(tp, wanted)
        consumer.resume(tp)
        self._heard.pop(partition, None)

    async def _fetch(self, consumer: AIOKafkaConsumer, partition: int, cursor: RecordCursor, wait: bool) -> int:
        """Records into the cursor; how many are known to follow them."""
        tp = self._tp(partition)
        expected = await consumer.position(tp)
        found = await self._some(consumer, tp, 0)
        if not found:
            end = await self._end(consumer, partition)
            if end > expected and wait:
                found = await self._some(consumer, tp, self._limits.fetch_seconds)
            if not found:
                return max(0, end - int(await consumer.position(tp)))
        for record in found:
            if record.offset != expected:
                first, _ = (await self._bounds.of([partition]))[partition]
                if first > expected:
                    self._cursors.pop(partition, None)
                    raise self._deleted(partition, expected, first)
            cursor.add(record.offset, record.value or b"")
            expected = record.offset + 1
        return max(0, int(consumer.highwater(tp) or 0) - int(expected))

    async def _take(
        self, consumer: AIOKafkaConsumer, cursor: RecordCursor, room: int, stop: Place | None
    ) -> list[Envelope]:
        """What the cursor can give, with the parts it lacks fetched by their places."""
        taken = cursor.take(room, stop)
        while cursor.missing:
            for lane, offset in list(cursor.missing):
                cursor.give((lane, offset), await self._record(consumer, int(lane), offset))
            taken += cursor.take(room - sum(len(envelope.messages) for envelope in taken), stop)
        return taken

    async def _record(self, consumer: AIOKafkaConsumer, partition: int, offset: int) -> bytes:
        """One record by its offset; the partition then goes on where it stood."""
        tp = self._tp(partition)
        if partition not in self._assigned:
            raise TransientError(f"{self._where(partition)} is not assigned to this member")
        first, _ = (await self._bounds.of([partition]))[partition]
        if offset < first:
            raise self._deleted(partition, offset, first)
        stood = await consumer.position(tp)
        consumer.seek(tp, offset)
        try:
            found = await consumer.getmany(tp, timeout_ms=round(self._limits.fetch_seconds * 1000), max_records=1)
        finally:
            consumer.seek(tp, stood)
        for record in found.get(tp, ()):
            if record.offset == offset:
                return bytes(record.value or b"")
        raise TransientError(f"record {offset} of {self._where(partition)} is not there yet")

    async def _some(self, consumer: AIOKafkaConsumer, tp: Any, seconds: float) -> list[Any]:
        answer = await consumer.getmany(tp, timeout_ms=round(seconds * 1000), max_records=self._limits.records_per_read)
        return list(answer.get(tp, ()))

    async def _end(self, consumer: AIOKafkaConsumer, partition: int) -> int:
        """Where the partition ends, by what the broker last told the waiting fetch; asked when that is long ago."""
        tp, now = self._tp(partition), self._clock.monotonic()
        told = consumer.last_poll_timestamp(tp)
        heard = self._heard.get(partition)
        if heard is not None and heard[1] != told:
            heard = self._heard[partition] = (now, told)
        if heard is None or now - heard[0] > self._limits.silence_seconds:
            _, end = (await self._bounds.of([partition]))[partition]
            self._heard[partition] = (now, told)
            return int(end)
        return int(consumer.highwater(tp) or 0)

    def _deleted(self, partition: int, wanted: int, first: int) -> PermanentError:
        return PermanentError(
            f"{self._where(partition)}: records {wanted} to {first - 1} were deleted by the broker's retention before "
            "they were read"
        )

    def _tp(self, partition: int) -> Any:
        return TopicPartition(self._topic.topic, partition)

    def _where(self, partition: int) -> str:
        return f"partition {partition} of topic {self._topic.topic}"


class RangeReader(KafkaReader):
    """Reads ranges that were read before, of any partition, outside the group."""

    def __init__(self, topic: KafkaTopic, limits: KafkaLimits, clock: Clock, bounds: Bounds) -> None:
        super().__init__(replace(topic, group=None), limits, clock, bounds)

    async def range(self, partition: int, after: str | None, limit_messages: int, stop: Place) -> Found:
        """The messages after `after`, not past `stop`; TransientError when the partition does not reach that."""
        found = Found((), after or "", 0)
        room = limit_messages
        while room > 0 and not (found.position and Place.parse(found.position).reaches(stop)):
            more = await self.read(partition, found.position, room, stop)
            # Parts of a large message are progress too, though no position.
            if (more.position, more.fetched) == (found.position, found.fetched):
                read = found.position or "its start"
                raise TransientError(f"{self._where(partition)} does not reach {stop} yet (read to {read})")
            found = Found((*found.envelopes, *more.envelopes), more.position, more.behind, more.fetched)
            room -= sum(len(envelope.messages) for envelope in more.envelopes)
        if self._consumer is not None:
            # Nothing is fetched ahead of a range that may not be asked for again.
            self._consumer.pause(self._tp(partition))
            self._cursors.pop(partition, None)
        return found
