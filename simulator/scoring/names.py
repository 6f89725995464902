"""Numbers for records: millions of (source, id) pairs are compared as integers, and named again where one is shown."""

from dataclasses import dataclass, field

from simulator.scoring.read import Key


@dataclass(slots=True)
class Names:
    """Gives each record the next number, once."""

    _by_source: dict[str, dict[str, int]] = field(default_factory=dict)
    _sources: list[str] = field(default_factory=list)
    _uids: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._uids)

    def number(self, key: Key) -> int:
        """The record's number; a record not seen before gets one."""
        source, uid = key
        known = self._by_source.get(source)
        if known is None:
            known = self._by_source[source] = {}
        found = known.get(uid)
        if found is None:
            found = known[uid] = len(self._uids)
            self._sources.append(source)
            self._uids.append(uid)
        return found

    def find(self, key: Key) -> int | None:
        """The record's number, or None when it was never seen."""
        known = self._by_source.get(key[0])
        return None if known is None else known.get(key[1])

    def key(self, number: int) -> Key:
        """The record behind a number."""
        return self._sources[number], self._uids[number]
