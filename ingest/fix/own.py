"""Tieout's own dictionary: session-level and post-trade messages of FIX 4.0 to 5.0SP2, with what each must hold."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from ingest.fix.dictionary import Dictionary, FieldSpec, Layout, MessageSpec
from ingest.fix.layouts import parse_layout
from ingest.fix.own_values import VALUES
from ingest.fix.tags import MESSAGE_TYPES, SESSION_TYPES, TAGS

VERSIONS = ("FIX.4.0", "FIX.4.1", "FIX.4.2", "FIX.4.3", "FIX.4.4", "FIX.5.0", "FIX.5.0SP1", "FIX.5.0SP2")
TRANSPORT = "FIXT.1.1"

# ApplVerID(1128) and DefaultApplVerID(1137): which FIX an application message of a FIXT session is.
APPLICATION_VERSIONS: Mapping[str, str] = MappingProxyType(
    {"2": "FIX.4.0", "3": "FIX.4.1", "4": "FIX.4.2", "5": "FIX.4.3", "6": "FIX.4.4", "7": "FIX.5.0",
     "8": "FIX.5.0SP1", "9": "FIX.5.0SP2"}
)  # fmt: skip

# Header, trailer and session level hold every field of their version: `first-last layout`, later lines win.
_HEADER = "49! 56! 115 128 90 91 34! 50 142 57 143 116 144 129 145 43 97 52! 122"
_LOGON_SP2 = "925 1137! 1400 1401 1402 1403 1404 1407 1408 1409 58 354 355"
_SESSION = {
    "header": f"""
        4.0-4.0 8! 9! 35! 49! 56! 115 128 90 91 34! 50 57 116 129 43 97 52! 122
        4.1-4.1 8! 9! 35! {_HEADER}
        4.2-4.2 8! 9! 35! {_HEADER} 212 213 347 369 370
        4.3-4.4 8! 9! 35! {_HEADER} 212 213 347 369 370 627(628 629 630)
        5.0-5.0SP2 8! 9! 35! 1128 1129 1156 {_HEADER} 212 213 347 369 627(628 629 630)
    """,
    "trailer": "4.0-5.0SP2 93 89 10!",
    "0": "4.0-5.0SP2 112",
    "1": "4.0-5.0SP2 112!",
    "2": "4.0-5.0SP2 7! 16!",
    "3": """
        4.0-4.1 45! 58
        4.2-4.4 45! 371 372 373 58 354 355
        5.0-5.0SP2 45! 371 372 373 58 354 355 1130 1406 1131
    """,
    "4": "4.0-5.0SP2 123 36!",
    "5": """
        4.0-4.1 58
        4.2-4.4 58 354 355
        5.0-5.0SP2 1409 58 354 355
    """,
    "A": f"""
        4.0-4.0 98! 108! 95 96
        4.1-4.1 98! 108! 95 96 141
        4.2-4.2 98! 108! 95 96 141 383 384(372 385)
        4.3-4.3 98! 108! 95 96 141 383 384(372 385) 464 553 554
        4.4-4.4 98! 108! 95 96 141 789 383 384(372 385) 464 553 554
        5.0-5.0SP2 98! 108! 95 96 141 789 383 384(372 385 1130 1131 1406 1410) 464 553 554 {_LOGON_SP2}
    """,
    "j": """
        4.2-5.0 45 372! 379 380! 58 354 355
        5.0SP1-5.0SP2 45 372! 1130 1406 1131 379 380! 58 354 355
    """,
}  # fmt: skip
_PARTIES = "453(448 447 452 802(523 803))"
_ALT_IDS = "454(455 456)"
_FEES = "136(137 138 139 891)"
_EXECUTION = f"{_PARTIES} {_ALT_IDS} 382(375 337 437 438 655) {_FEES} 518(519 520 521) 555(600)"
# Post-trade messages name what must be there and the groups Tieout reads; other fields are welcome.
_BUSINESS = {
    "8": f"""
        4.0-4.0 37! 17! 20! 39! 55! 54! 38! 32! 31! 14! 6! {_FEES}
        4.1-4.1 37! 17! 20! 150! 39! 55! 54! 38! 32! 31! 151! 14! 6! {_FEES}
        4.2-4.2 37! 17! 20! 150! 39! 55! 54! 151! 14! 6! 382(375 337 437 438) {_FEES}
        4.3-4.4 37! 17! 150! 39! 54! 151! 14! 6! {_EXECUTION}
        5.0-5.0SP2 37! 17! 150! 39! 54! 151! 14! {_EXECUTION}
    """,
    "Q": """
        4.0-4.0 127! 55! 54! 38! 32! 31!
        4.1-4.1 127! 55! 54!
        4.2-4.2 37! 17! 127! 55! 54!
        4.3-5.0SP2 37! 17! 127! 54!
    """,
    "AE": f"""
        4.3-4.3 571! 150! 570! 32! 31! 75! 60! {_ALT_IDS} 552!(54! 37! 453(448 447 452 523) {_FEES})
        4.4-4.4 571! 570! 32! 31! 75! 60! {_ALT_IDS} 552!(54! 37! {_PARTIES} {_FEES} 78(79 756(757 758 759) 80))
        5.0-5.0 32! 31! 75! {_ALT_IDS} 552!(54! 37 1009 {_PARTIES} {_FEES} 78(79 756(757 758 759) 80))
        5.0SP1-5.0SP2 32! 31! {_ALT_IDS} 552!(54! 37 1009 {_PARTIES} {_FEES} 78(79 756(757 758 759) 80))
    """,
    "AR": """
        4.4-4.4 571! 150!
        5.0-5.0SP2 571 150 939
    """,
    "J": f"""
        4.0-4.0 70! 71! 73!(11! 37 66 105) 54! 55! 53! 6! 75! 124(17 32 31) 78!(79! 80!)
        4.1-4.2 70! 71! 73(11) 54! 55! 53! 6! 75! 124(32) 78(79)
        4.3-4.3 70! 71! 626! 73(11) 54! 53! 6! 75! 124(32) 78(79)
        4.4-4.4 70! 71! 626! 857! 73(11) 54! 53! 6! 75! 124(32) {_PARTIES} {_ALT_IDS} 78(79)
        5.0-5.0SP2 70! 71! 626! 73(11) 54! 53! 75! 124(32) {_PARTIES} {_ALT_IDS} 78(79)
    """,
    "P": """
        4.0-4.3 70! 75! 87!
        4.4-4.4 70! 60! 87! 78(79)
        5.0-5.0SP2 70! 87! 78(79)
    """,
    "AS": f"""
        4.4-4.4 755! 71! 794! 87! 857! 54! 53! 6! 75! 73(11) 124(32) {_PARTIES} {_ALT_IDS} 78(79)
        5.0-5.0SP2 755! 71! 794! 87! 54! 53! 6! 75! 73(11) 124(32) {_PARTIES} {_ALT_IDS} 78(79)
    """,
    "AT": """
        4.4-4.4 755! 70! 60! 87! 78(79)
        5.0-5.0SP1 755! 70! 78(79)
        5.0SP2-5.0SP2 755! 78(79)
    """,
    "AK": f"""
        4.4-5.0SP2 664! 666! 773! 665! 60! 75! 80! 54! 862!(528! 529 863!) 79! 6! 381! 118! {_PARTIES} {_FEES}
    """,
    "AU": "4.4-5.0SP2 664! 75! 60! 940!",
    "AP": f"""
        4.4-4.4 721! 728! 715! 1! 581! 730! 731! 734! {_PARTIES} 702(703 704 705 706 539(524 525 538)) 753(707 708)
        5.0-5.0SP2 721! 715! {_PARTIES} 702(703 704 705 706 539(524 525 538)) 753(707 708)
    """,
}  # fmt: skip


@cache
def own_dictionary(version: str) -> Dictionary:
    """Our own table for a BeginString(8), an application version such as FIX.5.0SP2, or FIXT.1.1.

    FIXT.1.1 gives the session level alone; the application messages of such a session follow their ApplVerID
    (`APPLICATION_VERSIONS`). Raises KeyError for a version that does not exist.
    """
    if version not in VERSIONS and version != TRANSPORT:
        raise KeyError(version)
    place = len(VERSIONS) - 1 if version == TRANSPORT else VERSIONS.index(version)
    messages = {}
    for texts, session in ((_SESSION, True), (_BUSINESS, False)):
        for kind, text in texts.items():
            layout = _layout(text, place, session)
            transported = version == TRANSPORT and kind not in SESSION_TYPES
            if layout is not None and kind in MESSAGE_TYPES and not transported:
                messages[kind] = MessageSpec(kind, MESSAGE_TYPES[kind], kind in SESSION_TYPES, layout)
    header, trailer = (_layout(_SESSION[part], place, True) or Layout() for part in ("header", "trailer"))
    return Dictionary(version, own_fields(), MappingProxyType(messages), header, trailer)


@cache
def own_fields() -> Mapping[int, FieldSpec]:
    """Every tag of our table, with the values it lists."""
    return MappingProxyType(
        {
            tag.number: FieldSpec(tag.number, tag.name, tag.type, VALUES.get(tag.number, MappingProxyType({})))
            for tag in TAGS.values()
        }
    )


def _layout(text: str, place: int, complete: bool) -> Layout | None:
    for line in text.strip().splitlines():
        versions, _, layout = line.strip().partition(" ")
        first, last = (VERSIONS.index(f"FIX.{version}") for version in versions.split("-"))
        if first <= place <= last:
            return parse_layout(layout, complete)
    return None
