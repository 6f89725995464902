"""Security identifiers: check digits, what a value is by its digits, and the ISIN a national number belongs to."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

# Countries as three letters, where two are meant: CountryOfIssue(470) and Country(421).
_ALPHA_3 = """
ARE AE ARG AR AUS AU AUT AT BEL BE BGR BG BHR BH BMU BM BRA BR CAN CA CHE CH CHL CL CHN CN COL CO CYM KY CYP CY CZE CZ
DEU DE DNK DK EGY EG ESP ES EST EE FIN FI FRA FR GBR GB GGY GG GRC GR HKG HK HRV HR HUN HU IDN ID IMN IM IND IN IRL IE
ISL IS ISR IL ITA IT JEY JE JPN JP KAZ KZ KEN KE KOR KR KWT KW LBR LR LTU LT LUX LU LVA LV MAR MA MEX MX MHL MH MLT MT
MUS MU MYS MY NGA NG NLD NL NOR NO NZL NZ OMN OM PAK PK PAN PA PER PE PHL PH POL PL PRI PR PRT PT QAT QA ROU RO RUS RU
SAU SA SGP SG SRB RS SVK SK SVN SI SWE SE THA TH TUN TN TUR TR TWN TW UKR UA URY UY USA US VGB VG VNM VN ZAF ZA
"""
_WORDS = _ALPHA_3.split()
COUNTRIES: Mapping[str, str] = MappingProxyType(dict(zip(_WORDS[::2], _WORDS[1::2], strict=True)))
# Countries whose ISINs are made of the number in question: CUSIPs, and SEDOLs with two zeros before.
_CUSIP_COUNTRIES = frozenset({"US", "CA", "PR"})
_SEDOL_COUNTRIES = frozenset({"GB", "GG", "IM", "JE"})


def isin(text: str) -> str | None:
    """The ISIN in upper case if its check digit holds, else None (ISO 6166)."""
    value = text.upper()
    if not re.fullmatch(r"[A-Z]{2}[A-Z0-9]{9}\d", value):
        return None
    digits = "".join(str(int(char, 36)) for char in value[:-1])
    total = sum(sum(divmod(int(d) * (2 - n % 2), 10)) for n, d in enumerate(reversed(digits)))
    return value if (10 - total % 10) % 10 == int(value[-1]) else None


def cusip(text: str) -> str | None:
    """The CUSIP if its check digit holds; leading zeros a spreadsheet dropped are put back only when it proves them."""
    value = text.upper().zfill(9)
    if not re.fullmatch(r"[0-9A-Z*@#]{8}\d", value):
        return None
    total = 0
    for position, char in enumerate(value[:8]):
        number = int(char, 36) if char.isalnum() else 36 + "*@#".index(char)
        total += sum(divmod(number * (1 + position % 2), 10))
    return value if (10 - total % 10) % 10 == int(value[8]) else None


def sedol(text: str) -> str | None:
    """The SEDOL if its check digit holds, zero-padded only when the digit proves it."""
    value = text.upper().zfill(7)
    if not re.fullmatch(r"[0-9B-DF-HJ-NP-TV-Z]{6}\d", value):
        return None
    total = sum(int(char, 36) * weight for char, weight in zip(value[:6], (1, 3, 1, 7, 3, 9), strict=True))
    return value if (10 - total % 10) % 10 == int(value[6]) else None


def figi(text: str) -> str | None:
    """The FIGI in upper case if it has the form of one."""
    value = text.upper()
    return value if re.fullmatch(r"[A-Z]{2}G[A-Z0-9]{8}\d", value) else None


CHECKS: Mapping[str, Callable[[str], str | None]] = MappingProxyType({"4": isin, "2": sedol, "1": cusip, "S": figi})


def country(text: str) -> str:
    """Two letters for a country given as two or three; anything else as it came."""
    code = text.strip().upper()
    return COUNTRIES.get(code, code)


def isin_of(source: str, value: str, country_code: str) -> str | None:
    """The ISIN made of a CUSIP (source 1) or SEDOL (2) of that country; None where its ISINs are made otherwise.

    The number alone does not say the country, so without one there is no answer.
    """
    if source == "1" and country_code in _CUSIP_COUNTRIES and value[:1].isdigit():
        stem = country_code + value
    elif source == "2" and country_code in _SEDOL_COUNTRIES and not value[:1].isalpha():
        stem = f"{country_code}00{value}"
    else:
        return None
    return next((found for digit in range(10) if (found := isin(f"{stem}{digit}")) is not None), None)
