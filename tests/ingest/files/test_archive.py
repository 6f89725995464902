"""The archive of files: kept once by content, receipts that survive a torn write, proved, copied and let go."""

import io
from pathlib import Path

import pytest

from domain.errors import PermanentError
from ingest.files.archive import FileArchive, Mark, Receipt


def taken(archive: FileArchive, name: str, content: bytes, at: int = 1) -> Receipt:
    digest, size = archive.take("PB/1", io.BytesIO(content))
    receipt = Receipt("PB/1", name, name, digest, size, at, Mark(size, 1, 2, 3))
    archive.note(receipt)
    return receipt


def test_a_file_is_kept_once_and_read_as_it_came(tmp_path: Path) -> None:
    archive = FileArchive(tmp_path / "files")
    one, again, empty = (taken(archive, name, data) for name, data in (("a", b"x" * 9), ("b", b"x" * 9), ("c", b"")))
    assert one.sha256 == again.sha256 and archive.receipts("PB/1") == [one, again, empty]
    assert archive.read("PB/1", one.sha256) == b"x" * 9 and archive.read("PB/1", empty.sha256) == b""
    assert archive.feeds() == ["PB/1"] and archive.check() == 2
    digest, size = archive.take("PB/1", io.BytesIO(b"0123456789"), limit=4)
    assert size == 10 and archive.head("PB/1", digest) == b"0123"
    with pytest.raises(PermanentError, match="is not what was received"):
        archive.read("PB/1", digest)


def test_a_receipt_that_was_cut_off_is_none_and_spoils_no_other(tmp_path: Path) -> None:
    archive = FileArchive(tmp_path)
    first = taken(archive, "a", b"1")
    (notes,) = tmp_path.rglob("receipts.jsonl")
    notes.write_bytes(notes.read_bytes() + notes.read_bytes()[:20])
    assert archive.receipts("PB/1") == [first]
    second = taken(archive, "b", b"2")
    assert archive.receipts("PB/1") == [first, second]


def test_a_copy_is_whole_and_damage_is_found(tmp_path: Path) -> None:
    archive, copy = FileArchive(tmp_path / "here"), FileArchive(tmp_path / "there")
    one = taken(archive, "a", b"1" * 500)
    archive.copy_to(copy.root)
    assert copy.receipts("PB/1") == [one] and copy.check() == 1
    other = archive.take("PB/1", io.BytesIO(b"2" * 500))[0]
    (kept,) = copy.root.rglob("*.zst")
    (foreign,) = archive.root.rglob(f"{other}.zst")
    kept.write_bytes(foreign.read_bytes())
    with pytest.raises(PermanentError, match="is not what was received"):
        copy.check()


def test_old_files_that_were_read_are_let_go_and_stay_known(tmp_path: Path) -> None:
    archive = FileArchive(tmp_path)
    old, new, unread = (taken(archive, n, n.encode(), at) for n, at in (("old", 1), ("new", 9), ("unread", 1)))
    assert archive.let_go("PB/1", 5, {old.sha256, new.sha256}) == 1
    assert archive.let_go("PB/1", 5, {old.sha256, new.sha256}) == 0
    assert [archive.holds("PB/1", one.sha256) for one in (old, new, unread)] == [False, True, True]
    assert archive.receipts("PB/1") == [old, new, unread] and archive.check() == 2
    with pytest.raises(PermanentError, match="is not here any more"):
        archive.read("PB/1", old.sha256)
