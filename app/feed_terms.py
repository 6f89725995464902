"""What matching must know about each feed, from the settings."""

from collections.abc import Sequence

from ingest.feeds import Feed
from matching.levels.port import FeedTerms


def feed_terms(feeds: Sequence[Feed]) -> list[FeedTerms]:
    """One per feed, in the same order."""
    return [
        FeedTerms(
            feed=feed.name,
            role=feed.role,
            party=feed.party,
            grace_seconds=feed.grace_seconds,
            contents=feed.contents,
            calendar=feed.calendar,
            slots=tuple((slot.at, slot.zone) for slot in feed.slots),
        )
        for feed in feeds
    ]
