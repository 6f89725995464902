"""The audit trail's arithmetic: one spelling of JSON, a chain that shows every change, Merkle roots and proofs."""

import hashlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit import MerkleTree, canonical, entry, inclusion_path, is_included, merkle_root

HASHES = [hashlib.sha256(bytes([n])).hexdigest() for n in range(40)]


def test_canonical_json_has_one_spelling() -> None:
    assert canonical({"b": Decimal("1.50"), "a": "e\u0301"}) == canonical({"a": "é", "b": Decimal("1.50")})
    assert canonical({"b": Decimal("1.50"), "a": ["é", None, True]}) == '{"a":["é",null,true],"b":"1.50"}'
    with pytest.raises(TypeError):
        canonical({"float": 1.5})


def test_an_entry_knows_what_was_done_to_it() -> None:
    first = entry(None, 1, "ana", "break.assign", "b1", {"assignee": "ana"})
    second = entry(first, 2, "ana", "break.comment", "b1", {"reason": "hello"})
    assert first.problem(None) is None and second.problem(first) is None
    assert second.problem(None) and first.problem(second)


@given(st.integers(1, 39), st.data())
def test_every_entry_can_be_proven_and_no_other_takes_its_place(size: int, data: st.DataObject) -> None:
    seq = data.draw(st.integers(1, size))
    root, path = merkle_root(HASHES[:size]), inclusion_path(HASHES[:size], seq)
    assert is_included(HASHES[seq - 1], seq, size, path, root)
    assert not is_included(HASHES[seq], seq, size, path, root)
    assert not is_included(HASHES[seq - 1], seq + 1, size, path, root)


@given(st.integers(0, 39), st.integers(0, 39))
def test_a_tree_goes_on_from_its_peaks(first: int, more: int) -> None:
    tree = MerkleTree()
    for value in HASHES[:first]:
        tree.add(value)
    again = MerkleTree.resume(tree.size, tree.peaks())
    for value in HASHES[first : max(first, more)]:
        again.add(value)
    assert again.root() == merkle_root(HASHES[: max(first, more)])
