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

    @property
    def sources(self) -> frozenset[str]:
        """The sources of all records that have a number."""
        return frozenset(self._by_source)

    def number(self, key: Key) -> int:
        """The record's number; a record not seen before gets one."""
        found = self.find(key)
        if found is None:
            source, uid = key
            found = self._by_source.setdefault(source, {})[uid] = len(self._uids)
            self._sources.append(source)
            self._uids.append(uid)
        return found

    def find(self, key: Key) -> int | None:
        """The record's number, or None when it was never seen; a share `block/account` may be known by its block."""
        known = self._by_source.get(key[0])
        if known is None:
            return None
        found = known.get(key[1])
        return known.get(key[1].partition("/")[0]) if found is None and "/" in key[1] else found

    def key(self, number: int) -> Key:
        """The record behind a number."""
        return self._sources[number], self._uids[number]
