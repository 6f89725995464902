"""The topic itself: looked up or made, how many partitions it has, and where they begin and end."""

import asyncio
import ssl
from collections.abc import Iterable
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError, TopicAlreadyExistsError

from domain.errors import PermanentError, TransientError
from ingest.streams.kafka_options import KafkaLimits, KafkaTopic

COPIES = 3
_EXISTS_ALREADY = 36
_LOOK_SECONDS = 0.1


async def ensure(topic: KafkaTopic, limits: KafkaLimits) -> int:
    """The topic's number of partitions. PermanentError when it is not there and the address does not say to make it."""
    admin = AIOKafkaAdminClient(**topic.client_settings(limits))
    try:
        try:
            await admin.start()
        except KafkaConnectionError as error:
            await _explain(topic, limits)
            raise error
        wanted = 1
        if topic.topic not in await admin.list_topics():
            if topic.partitions is None:
                raise PermanentError(
                    f"stream: topic {topic.topic!r} does not exist on {topic.brokers}; create it, or let it be made "
                    f"with ?partitions=N in the address"
                )
            await _make(admin, topic, topic.partitions, limits)
            wanted = topic.partitions
        return await _count(admin, topic, wanted, limits)
    finally:
        with suppress(Exception, asyncio.CancelledError):
            await admin.close()


async def _count(admin: AIOKafkaAdminClient, topic: KafkaTopic, wanted: int, limits: KafkaLimits) -> int:
    """How many partitions there are, once there are those that are wanted: brokers hear of a new topic one by one."""
    for _ in range(max(1, round(limits.answer_seconds / _LOOK_SECONDS))):
        (found,) = await admin.describe_topics([topic.topic])
        if len(found["partitions"]) >= wanted:
            return len(found["partitions"])
        await asyncio.sleep(_LOOK_SECONDS)
    raise TransientError(f"topic {topic.topic} has no partitions yet")


async def _explain(topic: KafkaTopic, limits: KafkaLimits) -> None:
    """Raise why the first broker lets nobody in; the client itself only says that it found no way."""
    settings = topic.client_settings(limits)
    host, _, port = settings.pop("bootstrap_servers").split(",")[0].rpartition(":")
    for unused in ("metadata_max_age_ms", "retry_backoff_ms"):
        settings.pop(unused)
    try:
        connection = await create_conn(host, int(port), **settings)
    except ssl.SSLCertVerificationError as error:
        raise PermanentError(f"topic {topic.topic}: {topic.brokers}: {error}") from error
    connection.close()


async def _make(admin: AIOKafkaAdminClient, topic: KafkaTopic, partitions: int, limits: KafkaLimits) -> None:
    brokers = len((await admin.describe_cluster())["brokers"])
    wanted = NewTopic(topic.topic, partitions, min(COPIES, brokers))
    with suppress(TopicAlreadyExistsError):
        answer = await admin.create_topics([wanted], timeout_ms=round(limits.request_seconds * 1000))
        for name, code, *text in answer.topic_errors:
            if code not in (0, _EXISTS_ALREADY):
                raise TransientError(f"topic {name} could not be made: error {code} {text}")


class Bounds:
    """Where partitions begin and end, asked over a connection of its own.

    A broker answers one connection's requests in turn, and the reader's always holds one that waits for news.
    """

    def __init__(self, topic: KafkaTopic, limits: KafkaLimits) -> None:
        self._topic, self._limits = topic, limits
        self._consumer: AIOKafkaConsumer | None = None
        self._starting = asyncio.Lock()

    async def of(self, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """By partition its first offset and the one after its last durable record."""
        wanted = [TopicPartition(self._topic.topic, partition) for partition in partitions]
        consumer = await self._started()
        asked = asyncio.gather(consumer.beginning_offsets(wanted), consumer.end_offsets(wanted))
        first, end = await asyncio.wait_for(asked, self._limits.answer_seconds)
        return {tp.partition: (int(first[tp]), int(end[tp])) for tp in wanted}

    async def _started(self) -> AIOKafkaConsumer:
        # Live reads and ranges ask side by side.
        async with self._starting:
            if self._consumer is None:
                consumer = AIOKafkaConsumer(**self._topic.client_settings(self._limits), enable_auto_commit=False)
                try:
                    await consumer.start()
                except BaseException:
                    await consumer.stop()
                    raise
                self._consumer = consumer
            return self._consumer

    async def close(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            with suppress(Exception, asyncio.CancelledError):
                await asyncio.wait_for(consumer.stop(), self._limits.close_seconds)
