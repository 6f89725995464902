"""The mixed corpus of the codec bench: FIX 4.4 ExecutionReports and TradeCaptureReports in turn."""

import random

from ingest.fix.codec.plan import Column

COLUMNS = (
    Column("seq", 34, "int", level="message"),
    Column("msg_type", 35, level="message"),
    Column("sending_time", 52, "timestamp", level="message"),
    Column("transact_time", 60, "timestamp", level="message"),
    Column("trade_date", 75, "date", level="message"),
    Column("settle_date", 64, "date", level="message"),
    Column("side", 54),
    Column("qty", 32, "decimal", level="message"),
    Column("price", 31, "decimal", level="message"),
    Column("exec_id", 17, level="message"),
    Column("order_id", 37),
    Column("client_order_id", 11),
    Column("account", 1),
    Column("symbol", 55, level="message"),
    Column("security_id", 48, level="message"),
    Column("currency", 15, level="message"),
)


def framed(body: bytes) -> bytes:
    """BeginString, BodyLength and CheckSum around a body."""
    head = b"8=FIX.4.4\x019=%d\x01" % len(body) + body
    return head + b"10=%03d\x01" % (sum(head) % 256)


def corpus(count: int, seed: int = 7) -> list[bytes]:
    """`count` messages, 35=8 and 35=AE (one or two sides, nested parties) alternating."""
    rng = random.Random(seed)
    return [framed((_report if n % 2 == 0 else _capture)(rng, n)) for n in range(1, count + 1)]


def _header(rng: random.Random, kind: str, number: int) -> str:
    clock = f"{rng.randrange(13, 21):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"
    return (
        f"35={kind}|34={number}|49=PRIMEBRKR|56=MERIDIAN|52=20260604-{clock}.{rng.randrange(1000):03d}|"
        f"60=20260604-{clock}.{rng.randrange(1_000_000):06d}|75=20260604|64=20260605|"
    )


def _instrument(rng: random.Random) -> str:
    n = rng.randrange(900)
    return f"55=TKR{n}|48=US{n * 7919 % 10**9:09d}{n % 10}|22=4|15=USD|"


def _report(rng: random.Random, number: int) -> bytes:
    quantity, price = rng.randrange(1, 5000), rng.randrange(100, 90_000)
    text = (
        _header(rng, "8", number)
        + f"37=ORD-20260604-{number // 7:09d}|11=CLIENT-{number // 7:08d}-{rng.randrange(9)}|17=EXEC-{number:012d}|"
        + f"150=F|39=2|1=ACC{rng.randrange(40):05d}|{_instrument(rng)}54={rng.choice('125')}|"
        + f"38={quantity}|32={quantity}|31={price / 100:.{rng.choice((2, 4))}f}|"
        + f"14={quantity}|151=0|6={price / 100:.2f}|30=XNAS|453=1|448=BROKER-{rng.randrange(9)}|447=D|452=1|"
    )
    return text.replace("|", "\x01").encode()


def _capture(rng: random.Random, number: int) -> bytes:
    quantity, price, sides = rng.randrange(1, 5000), rng.randrange(100, 90_000), rng.randrange(1, 3)
    text = (
        _header(rng, "AE", number)
        + f"571=TRADE-{number:010d}|487=0|856=0|17=EXEC-{number:012d}|{_instrument(rng)}32={quantity}|"
        + f"31={price / 100:.4f}|552={sides}|"
    )
    for side in range(1, sides + 1):
        text += (
            f"54={side}|37=ORD-20260604-{number // 7:09d}|11=CLIENT-{number // 7:08d}|453=1|"
            f"448=BROKER-{rng.randrange(9)}|447=D|452=1|1=ACC{rng.randrange(40):05d}|"
        )
    return text.replace("|", "\x01").encode()
