"""The writing side of a Kafka topic: an idempotent producer, one batch of a partition on its way at a time."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from domain.errors import TransientError
from ingest.streams.kafka_options import KafkaLimits, KafkaTopic
from ingest.streams.kafka_topic import ensure
from ingest.streams.parts import Part, Stored


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record: its key (the session), its time in milliseconds and its bytes, or the part of one it is."""

    key: bytes
    time_ms: int
    value: bytes | Part


class KafkaWriter:
    """Appends records to a topic; every coroutine runs on one event loop.

    A partition's next batch leaves when all in-sync replicas have the one before, so no reader sees a hole. A producer
    that failed is thrown away with what it still held: what it may have stored is a repetition, never a gap.
    """

    def __init__(self, topic: KafkaTopic, limits: KafkaLimits) -> None:
        self._topic, self._limits = topic, limits
        self._producer: AIOKafkaProducer | None = None
        self._partitions = 0

    async def append(self, sessions: Mapping[str, Sequence[Outgoing]]) -> None:
        """Store every session's records in order; returns when all are durable, else raises the client's error."""
        try:
            producer = await self._started()
            queues: dict[int, list[Outgoing]] = {}
            for session, records in sessions.items():
                queues.setdefault(partition_of(session, self._partitions), []).extend(records)
            sending = [asyncio.create_task(self._send(producer, p, queue)) for p, queue in queues.items()]
            try:
                await asyncio.gather(*sending)
            finally:
                # After one partition's failure the others must not go on behind the caller's back.
                for task in sending:
                    task.cancel()
        except BaseException:
            await self.abandon()
            raise

    async def close(self) -> None:
        """Close the producer; nothing waits in it between two appends."""
        await self.abandon()

    async def abandon(self) -> None:
        """Let go of the producer and of what it has not delivered."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # stop() waits until everything is delivered, which may be never; without its sender it does not.
        sender = producer._sender
        if sender is not None and sender.sender_task is not None:
            sender.sender_task.cancel()
        with suppress(Exception, asyncio.CancelledError):
            await asyncio.wait_for(producer.stop(), self._limits.close_seconds)

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._partitions = await ensure(self._topic, self._limits)
            producer = AIOKafkaProducer(
                **self._topic.client_settings(self._limits),
                enable_idempotence=True,
                acks="all",
                max_batch_size=self._limits.bytes_per_batch,
                max_request_size=self._limits.bytes_per_batch,
            )
            try:
                await producer.start()
            except BaseException:
                with suppress(Exception, asyncio.CancelledError):
                    await asyncio.wait_for(producer.stop(), self._limits.close_seconds)
                raise
            self._producer = producer
        return self._producer

    async def _send(self, producer: AIOKafkaProducer, partition: int, queue: Sequence[Outgoing]) -> None:
        at, places = 0, list[Stored]()
        while at < len(queue):
            batch, start = producer.create_batch(), at
            while at < len(queue) and (at == start or not _waits(queue[at])):
                record = queue[at]
                value = record.value.packed(places) if isinstance(record.value, Part) else record.value
                if batch.append(timestamp=record.time_ms, key=record.key, value=value) is None:
                    break
                at += 1
            if at == start:
                raise ValueError(f"a record of session {queue[at].key.decode()} does not fit a batch")
            batch.close()
            stored = await (await producer.send_batch(batch, self._topic.topic, partition=partition))
            for offset, record in enumerate(queue[start:at], stored.offset):
                if isinstance(record.value, Part):
                    # The answer to a batch that was there already may not say where; then all is sent once more.
                    if stored.offset < 0:
                        raise TransientError(f"topic {self._topic.topic} did not say where it stored a part")
                    places = [] if record.value.closes else [*places, (str(partition), offset)]


def _waits(record: Outgoing) -> bool:
    """Whether the record can only be made once those before it are stored."""
    return isinstance(record.value, Part) and record.value.closes


def partition_of(session: str, partitions: int) -> int:
    """The session's partition, as Kafka's own clients choose it by key."""
    return int((murmur2(session.encode()) & 0x7FFFFFFF) % partitions)
