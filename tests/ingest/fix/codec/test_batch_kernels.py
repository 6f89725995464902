"""What the normaliser takes from the compiled lane equals what it does without it."""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.dialects.dialect import Dialect
from ingest.fix.codec.jit import Jit
from ingest.fix.decode import Rows, effective_tags, whole_messages
from ingest.fix.index import index_fields
from ingest.fix.values import texts
from ingest.normalise import Normalised, normalise
from ingest.normalise_hash import sha256_hex
from ingest.normalise_reference import Reference

_RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
_VALUE = st.binary(max_size=40).map(lambda b: b.replace(b"\x01", b"."))
_FIELD = st.tuples(st.integers(1, 99_999_999), _VALUE).map(lambda f: b"%d=%s" % f)
_TOKEN = st.one_of(_FIELD, _VALUE, st.sampled_from([b"95=3", b"96=a\x01b", b"9=10", b"10=000", b"35=8", b"=1", b""]))


@pytest.fixture(scope="session")
def jit(pytestconfig: pytest.Config) -> Jit:
    """The compiled lane; skipped where numba is not installed."""
    pytest.importorskip("numba")
    made = Jit()
    assert pytestconfig.cache is not None
    cache = pytestconfig.cache.mkdir("jit")
    cache.chmod(0o700)
    made.compile(cache)
    assert made.ready, made.failure
    return made


@_RELAXED
@given(st.lists(st.lists(_TOKEN, max_size=40).map(b"\x01".join), max_size=6))
def test_the_index_is_the_same_bit_for_bit(jit: Jit, messages: list[bytes]) -> None:
    plain, fast = index_fields(messages), index_fields(messages, jit.batch)
    for field in fields(plain):
        one, other = getattr(plain, field.name), getattr(fast, field.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype and np.array_equal(one, other), field.name
    if not plain.count or not len(plain.tag):
        return
    tags = effective_tags(plain)
    everything = whole_messages(plain, np.arange(plain.count))
    wanted = (8, 9, 10, 35, 96)
    slow, quick = (Rows(index, tags, everything, wanted) for index in (plain, fast))
    for tag in wanted:
        assert np.array_equal(slow.find(tag), quick.find(tag))
        assert texts(plain, slow.find(tag)).equals(texts(fast, slow.find(tag)))
    each = np.append(np.arange(len(plain.tag)), -1)
    assert texts(plain, each).equals(texts(fast, each))


@_RELAXED
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8))
def test_hashes_are_those_of_hashlib(jit: Jit, contents: list[bytes]) -> None:
    wanted = [sha256(content).hexdigest() for content in contents]
    assert sha256_hex(contents, kernels=jit.batch).to_pylist() == wanted
    assert sha256_hex(pa.array(contents, pa.binary()), 32, jit.batch).to_pylist() == [text[:32] for text in wanted]
    assert sha256_hex(contents).to_pylist() == wanted


def test_a_batch_gives_the_same_tables(
    jit: Jit,
    dialects: Mapping[str, Dialect],
    make_batch: Callable[..., Any],
    fill: Callable[..., bytes],
    frame: Callable[..., bytes],
) -> None:
    sides = "35=AE|571=T1|487=0|32=1|31=2|15=USD|60=20260604-13:30:01|55=A|552=2|54=1|1=X|12=1|54=2|1=Y|"
    shares = "35=J|70=B1|71=0|626=1|54=1|55=A|53=3|6=2|15=USD|60=20260604-13:30:01|78=2|79=X|80=1|79=Y|80=2|"
    messages = [fill({17: f"E{n}", 58: "Grüße" if n % 3 else None}) for n in range(40)]
    messages += [frame(sides), frame(shares), b"junk", frame("35=0|"), fill({32: "XXXX"}), fill({1: None})]
    messages += [frame(b"35=8|95=3|96=a\x01b|17=E|"), messages[0][:-9] + b"10=999\x01"]
    for live in (True, False):
        batch = make_batch(messages, live=live)
        plain = normalise(batch, Reference(dialects))
        fast = normalise(batch, replace(Reference(dialects), jit=jit))
        for field in fields(Normalised):
            one, other = getattr(plain, field.name), getattr(fast, field.name)
            assert one == other if isinstance(one, dict) else one.equals(other), field.name


def test_warming_up_needs_no_waiting(jit: Jit, pytestconfig: pytest.Config) -> None:
    assert pytestconfig.cache is not None
    warming = Jit()
    warming.warm(pytestconfig.cache.mkdir("jit"))
    warming.warm(None)
    assert warming.wait(100), warming.failure
