"""Loads, stores and compares for the compiled lane, by address: LLVM instructions numba has no name for.

Addresses instead of arrays keep numba's reference counts, two locked instructions per array and call, out of the loops.
Callers see to it that what is read and written exists.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_BLOCK_BYTES = 64
_VECTOR = ir.VectorType(_I8, _BLOCK_BYTES)


def _load(builder: Any, base: Any, offset: Any, kind: Any, align: int) -> Any:
    pointer = builder.inttoptr(builder.add(base, offset), kind.as_pointer())
    value = builder.load(pointer)
    value.align = align
    return value


def _loader(name: str, kind: Any, result: Any, scale: int, align: int, text: str, *, signed: bool = False) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        offset = builder.mul(arguments[1], ir.Constant(_I64, scale))
        value = _load(builder, arguments[0], offset, kind, align)
        widen = builder.sext if signed else builder.zext
        return value if kind is _I64 else widen(value, _I64)

    def typed(typing: Any, base: Any, at: Any) -> Any:
        return result(base, at), generate

    typed.__name__, typed.__doc__ = name, text
    return intrinsic(typed)


def _storer(name: str, kind: Any, scale: int, text: str, *, align: int = 0) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        base, at, value = arguments
        address = builder.add(base, builder.mul(at, ir.Constant(_I64, scale)))
        builder.store(
            value if kind is _I64 else builder.trunc(value, kind), builder.inttoptr(address, kind.as_pointer())
        )
        return context.get_dummy_value()

    def typed(typing: Any, base: Any, at: Any, value: Any) -> Any:
        return types.void(base, at, value), generate

    typed.__name__, typed.__doc__ = name, text
    return intrinsic(typed)


load8 = _loader("load8", _I64, types.uint64, 1, 1, "The eight bytes at base + at as a little-endian word.")
octet = _loader("octet", _I8, types.int64, 1, 1, "The byte at base + at.")
word = _loader("word", _I64, types.uint64, 8, 8, "Element `at` of an array of 64-bit words.")
number = _loader("number", _I64, types.int64, 8, 8, "Element `at` of an array of 64-bit integers.")
short = _loader("short", ir.IntType(16), types.int64, 2, 2, "Element `at` of an array of 16-bit integers.", signed=True)
store8 = _storer("store8", _I64, 1, "Set the eight bytes at base + at.", align=1)
put = _storer("put", _I64, 8, "Set element `at` of an array of 64-bit integers or words.")
put4 = _storer("put4", _I32, 4, "Set element `at` of an array of 32-bit integers.")
put1 = _storer("put1", _I8, 1, "Set element `at` of an array of bytes.")


def _block_test(name: str, compare: Callable[[Any, Any], Any], text: str) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(compare(builder, _load(builder, *arguments, _VECTOR, 1)), _I64)

    def typed(typing: Any, base: Any, at: Any) -> Any:
        return types.uint64(base, at), generate

    typed.__name__, typed.__doc__ = name, text
    return intrinsic(typed)


separators64 = _block_test(
    "separators64",
    lambda builder, block: builder.icmp_unsigned("==", block, ir.Constant(_VECTOR, [1] * _BLOCK_BYTES)),
    "One bit per byte of the 64 at base + at: set where it is SOH.",
)
high64 = _block_test(
    "high64",
    lambda builder, block: builder.icmp_signed("<", block, ir.Constant(_VECTOR, None)),
    "One bit per byte of the 64 at base + at: set where it is not ASCII.",
)


@intrinsic
def byte_sum64(typing: Any, base: Any, at: Any, count: Any) -> Any:
    """Sum modulo 256 of the first `count` (capped at 64) bytes at base + at; all 64 are read."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, offset, limit = arguments
        block = _load(builder, address, offset, _VECTOR, 1)
        few = builder.icmp_signed("<", limit, ir.Constant(_I64, _BLOCK_BYTES))
        capped = builder.trunc(builder.select(few, limit, ir.Constant(_I64, _BLOCK_BYTES)), _I8)
        spread = builder.insert_element(ir.Constant(_VECTOR, None), capped, ir.Constant(_I32, 0))
        lanes = ir.Constant(ir.VectorType(_I32, _BLOCK_BYTES), None)
        spread = builder.shuffle_vector(spread, ir.Constant(_VECTOR, ir.Undefined), lanes)
        wanted = builder.icmp_unsigned("<", ir.Constant(_VECTOR, list(range(_BLOCK_BYTES))), spread)
        block = builder.select(wanted, block, ir.Constant(_VECTOR, None))
        reduce = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_I8, [_VECTOR]), "llvm.vector.reduce.add.v64i8"
        )
        return builder.zext(builder.call(reduce, [block]), _I64)

    return types.int64(base, at, count), generate


@intrinsic
def first_bit(typing: Any, bits: Any) -> Any:
    """Place of the lowest bit set; 64 for zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], cgutils.false_bit)

    return types.uint64(types.uint64), generate


@intrinsic
def bit_count(typing: Any, bits: Any) -> Any:
    """How many bits are set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate
