"""What differs between the FIX versions at session level: 4.0 to 4.4 by BeginString(8), 5.0 and later by 1137."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_TYPES_40 = "0 1 2 3 4 5 6 7 8 9 A B C D E F G H J K L M N P Q R S"
_TYPES_41 = f"{_TYPES_40} T"
_TYPES_42 = f"{_TYPES_41} V W X Y Z a b c d e f g h i j k l m"
_TYPES_43 = f"{_TYPES_42} n o p q r s t u v w x y z AA AB AC AD AE AF AG AH AI"
_TYPES_44 = f"{_TYPES_43} AJ AK AL AM AN AO AP AQ AR AS AT AU AV AW AX AY AZ BA BB BC BD BE BF BG BH"
_TYPES_50 = f"{_TYPES_44} BI BJ BK BL BM BN BO BP"
_TYPES_51 = f"{_TYPES_50} BQ BR BS BT BU BV BW BX BY BZ CA CB"
_TYPES_52 = f"{_TYPES_51} CC CD CE CF CG CH CI CJ CK"


@dataclass(frozen=True, slots=True)
class Version:
    """One FIX version as the session layer sees it.

    `appl_ver_id` is DefaultApplVerID(1137), empty before FIXT. `infinity` is EndSeqNo(16) for "all there is".
    `last_reject_reason` is the highest SessionRejectReason(373) the version knows, -1 where Reject has only 45 and 58.
    `highest_tag` is the last standard tag below the user-defined ones.
    """

    name: str
    begin_string: str
    appl_ver_id: str
    infinity: str
    last_reject_reason: int
    has_business_reject: bool
    highest_tag: int
    message_types: frozenset[str]


def _version(name: str, appl: str, infinity: str, last_reason: int, highest_tag: int, types: str) -> Version:
    begin = "FIXT.1.1" if appl else name
    return Version(name, begin, appl, infinity, last_reason, last_reason >= 0, highest_tag, frozenset(types.split()))


VERSIONS: Mapping[str, Version] = MappingProxyType(
    {
        one.name: one
        for one in (
            _version("FIX.4.0", "", "999999", -1, 140, _TYPES_40),
            _version("FIX.4.1", "", "999999", -1, 211, _TYPES_41),
            _version("FIX.4.2", "", "0", 11, 446, _TYPES_42),
            _version("FIX.4.3", "", "0", 17, 659, _TYPES_43),
            _version("FIX.4.4", "", "0", 17, 956, _TYPES_44),
            _version("FIX.5.0", "7", "0", 18, 1_139, _TYPES_50),
            _version("FIX.5.0SP1", "8", "0", 18, 1_426, _TYPES_51),
            # Extension packs go on numbering: anything below the user-defined tags may be one.
            _version("FIX.5.0SP2", "9", "0", 18, 4_999, _TYPES_52),
        )
    }
)
BEGIN_STRINGS = frozenset(version.begin_string for version in VERSIONS.values())
# ApplVerID(1128, 1137): what each value stands for; FIXT may carry older application versions too.
APPL_VERSIONS: Mapping[str, str] = MappingProxyType(
    {"2": "FIX.4.0", "3": "FIX.4.1", "4": "FIX.4.2", "5": "FIX.4.3", "6": "FIX.4.4"}
    | {version.appl_ver_id: version.name for version in VERSIONS.values() if version.appl_ver_id}
)


def version_of(begin_string: str, appl_ver_id: str = "") -> Version:
    """The session's version; a FIXT session of an older or no application version follows the rules of 5.0SP2.

    Raises KeyError for an unknown BeginString.
    """
    if begin_string != "FIXT.1.1":
        return VERSIONS[begin_string]
    name = APPL_VERSIONS.get(appl_ver_id, "FIX.5.0SP2")
    return VERSIONS[name] if name.startswith("FIX.5") else VERSIONS["FIX.5.0SP2"]
