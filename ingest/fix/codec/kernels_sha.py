"""SHA-256 of many texts with the processor's own instructions (x86 SHA extensions), for the compiled lane."""

from platform import machine
from typing import Any

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from ingest.fix.codec.simd import load8, number, octet, put, put1, store8

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_QUAD = ir.VectorType(_I32, 4)
_BLOCK_BYTES, _DIGEST_BYTES, _LENGTH_BYTES = 64, 32, 8
# FIPS 180-4: the first 32 bits of the fractional parts of the cube roots of the first 64 primes.
_K = (
    0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
    0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
    0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
    0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
    0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
    0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
    0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
    0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
)  # fmt: skip
# The state as the instructions want it, ABEF and CDGH, lowest word first.
_ABEF = (0x9B05688C, 0x510E527F, 0xBB67AE85, 0x6A09E667)
_CDGH = (0x5BE0CD19, 0x1F83D9AB, 0xA54FF53A, 0x3C6EF372)


def _constant(words: Any) -> Any:
    return ir.Constant(_QUAD, list(words))


def _call(builder: Any, name: str, *arguments: Any) -> Any:
    kind = ir.FunctionType(_QUAD, [_QUAD] * len(arguments))
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments)


def _shuffle(builder: Any, one: Any, two: Any, lanes: Any) -> Any:
    return builder.shuffle_vector(one, two, ir.Constant(ir.VectorType(_I32, 4), list(lanes)))


def _message_words(builder: Any, address: Any) -> list[Any]:
    """Sixteen big-endian words of a block as four quads."""
    swap = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_QUAD, [_QUAD]), "llvm.bswap.v4i32")
    quads = []
    for place in range(4):
        pointer = builder.inttoptr(builder.add(address, ir.Constant(_I64, 16 * place)), _QUAD.as_pointer())
        quad = builder.load(pointer)
        quad.align = 1
        quads.append(builder.call(swap, [quad]))
    return quads


def _rounds(builder: Any, abef: Any, cdgh: Any, quads: list[Any]) -> tuple[Any, Any]:
    """Sixty-four rounds, four at a time; the message schedule goes along."""
    first, second = abef, cdgh
    for step in range(16):
        if step >= 4:
            # W[t] from W[t-16], W[t-15], W[t-7], W[t-2].
            partial = _call(builder, "sha256msg1", quads[step - 4], quads[step - 3])
            middle = _shuffle(builder, quads[step - 2], quads[step - 1], (1, 2, 3, 4))
            quads.append(_call(builder, "sha256msg2", builder.add(partial, middle), quads[step - 1]))
        keyed = builder.add(quads[step], _constant(_K[4 * step : 4 * step + 4]))
        second = _call(builder, "sha256rnds2", second, first, keyed)
        upper = _shuffle(builder, keyed, keyed, (2, 3, 2, 3))
        first = _call(builder, "sha256rnds2", first, second, upper)
    return builder.add(first, abef), builder.add(second, cdgh)


@intrinsic
def sha_blocks(typing: Any, state: Any, data: Any, blocks: Any) -> Any:
    """Take `blocks` blocks of 64 bytes at `data` into the state (ABEF, CDGH) at `state`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        where, data, blocks = arguments
        zero = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, zero, "llvm.x86.avx.vzeroupper"), [])
        one = builder.inttoptr(where, _QUAD.as_pointer())
        two = builder.inttoptr(builder.add(where, ir.Constant(_I64, 16)), _QUAD.as_pointer())
        with cgutils.for_range(builder, blocks) as loop:
            abef, cdgh = builder.load(one), builder.load(two)
            abef.align = cdgh.align = 1
            address = builder.add(data, builder.mul(loop.index, ir.Constant(_I64, _BLOCK_BYTES)))
            quads = _message_words(builder, address)
            for value, pointer in zip(_rounds(builder, abef, cdgh, quads), (one, two), strict=True):
                builder.store(value, pointer).align = 1
        return context.get_dummy_value()

    return types.void(state, data, blocks), generate


@register_jitable
def put_word(base, at, value):
    """The low four bytes of a word, highest first."""
    for step in range(4):
        put1(base, at + step, (value >> (24 - 8 * step)) & 255)


@register_jitable
def start_state(state):
    """The state before any block."""
    put(state, 0, np.uint64(_ABEF[0] | _ABEF[1] << 32))
    put(state, 1, np.uint64(_ABEF[2] | _ABEF[3] << 32))
    put(state, 2, np.uint64(_CDGH[0] | _CDGH[1] << 32))
    put(state, 3, np.uint64(_CDGH[2] | _CDGH[3] << 32))


def has_instructions() -> bool:
    """True where the processor has them."""
    return machine() in ("x86_64", "AMD64") and bool(get_host_cpu_features().get("sha"))


def sha256_many(data, bounds, wide, count, room, out):
    """Digests of the texts between neighbouring bounds (64-bit where `wide`, else 32-bit) of `data` into `out`.

    `room` is 192 bytes to work in. Bytes of the next text are read, never any behind the last.
    """
    state, tail = room, room + np.uint64(64)
    for at in range(count):
        start, end = bound(bounds, wide, at), bound(bounds, wide, at + 1)
        size = end - start
        start_state(state)
        whole = size // _BLOCK_BYTES
        sha_blocks(state, data + np.uint64(start), whole)
        rest = size - whole * _BLOCK_BYTES
        last = 1 if rest + 1 + _LENGTH_BYTES <= _BLOCK_BYTES else 2
        for place in range(0, last * _BLOCK_BYTES, 8):
            store8(tail, place, np.uint64(0))
        # Behind the last text there may be nothing to read.
        eights = rest if at < count - 1 else rest - rest % 8
        for place in range(0, eights, 8):
            store8(tail, place, load8(data, start + whole * _BLOCK_BYTES + place))
        for place in range(eights, rest):
            put1(tail, place, octet(data, start + whole * _BLOCK_BYTES + place))
        for place in range(rest, min(rest + 8, last * _BLOCK_BYTES)):
            put1(tail, place, 0)
        put1(tail, rest, 128)
        for place in range(8):
            put1(tail, last * _BLOCK_BYTES - 1 - place, ((size * 8) >> (8 * place)) & 255)
        sha_blocks(state, tail, last)
        digest = at * _DIGEST_BYTES
        # A, B, E, F lie from the highest word down in the first quad, C, D, G, H in the second.
        for place in range(2):
            put_word(out, digest + 4 * place, word4(state, 3 - place))
            put_word(out, digest + 8 + 4 * place, word4(state, 7 - place))
            put_word(out, digest + 16 + 4 * place, word4(state, 1 - place))
            put_word(out, digest + 24 + 4 * place, word4(state, 5 - place))


@register_jitable
def word4(base, at):
    """Word `at` of four bytes."""
    return np.int64(load8(base, 4 * at) & np.uint64(0xFFFFFFFF))


@register_jitable
def bound(bounds, wide, at):
    """Bound `at`."""
    return number(bounds, at) if wide else word4(bounds, at)
