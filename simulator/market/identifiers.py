"""Security and entity identifiers with valid check digits: ISIN, CUSIP, SEDOL, LEI, and the OCC's option symbols."""

from datetime import date

from numpy.random import Generator

_SEDOL_WEIGHTS = (1, 3, 1, 7, 3, 9)
_SEDOL_LETTERS = "BCDFGHJKLMNPQRSTVWXYZ0123456789"
_DIGITS = "0123456789"
# Without I and O, which CUSIP avoids.
_CUSIP_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
_STRIKE_UNIT = 1000


def isin(body: str) -> str:
    """An ISIN from its first eleven characters: letters count as two digits, then Luhn (ISO 6166)."""
    digits = "".join(str(int(char, 36)) for char in body)
    doubled = (int(char) * (2 if at % 2 == 0 else 1) for at, char in enumerate(reversed(digits)))
    return f"{body}{-sum(sum(divmod(number, 10)) for number in doubled) % 10}"


def cusip(body: str) -> str:
    """A CUSIP from its first eight characters."""
    weighed = (int(char, 36) * (1 + at % 2) for at, char in enumerate(body))
    return f"{body}{-sum(sum(divmod(number, 10)) for number in weighed) % 10}"


def sedol(body: str) -> str:
    """A SEDOL from its first six characters."""
    return f"{body}{-sum(int(char, 36) * weight for char, weight in zip(body, _SEDOL_WEIGHTS, strict=True)) % 10}"


def lei(body: str) -> str:
    """An LEI from its first eighteen characters (ISO 7064 mod 97-10)."""
    number = int("".join(str(int(char, 36)) for char in body) + "00")
    return f"{body}{98 - number % 97:02d}"


def occ_symbol(root: str, expiry: date, call: bool, strike_thousandths: int) -> str:
    """The 21 characters of the OCC: root padded to six, expiry, C or P, strike x 1000 in eight digits."""
    return f"{root:<6}{expiry:%y%m%d}{'C' if call else 'P'}{strike_thousandths:08d}"


def strike_thousandths(strike: int, price_unit: int) -> int:
    """A strike in PRICE_UNITs as the OCC symbol counts it."""
    return strike * _STRIKE_UNIT // price_unit


def drawn(random: Generator, letters: str, count: int) -> str:
    """`count` random characters of `letters`."""
    return "".join(letters[at] for at in random.integers(0, len(letters), count))


def drawn_cusip(random: Generator, issuer: str = "", issue: str = "10") -> str:
    """A CUSIP of a six-character issuer (drawn if empty) and a two-character issue."""
    # Real issuer codes start with digits; the middle characters may be letters.
    made = issuer or drawn(random, _DIGITS, 3) + drawn(random, _CUSIP_LETTERS, 2) + drawn(random, _DIGITS, 1)
    return cusip(made + issue)


def drawn_sedol(random: Generator) -> str:
    """A SEDOL of the form given out since 2004: a B, then consonants and digits."""
    return sedol("B" + drawn(random, _SEDOL_LETTERS, 5))


def drawn_isin(random: Generator, country: str, sedol_code: str = "") -> str:
    """An ISIN in the usual form of a country; a British one is built on the SEDOL."""
    if country == "GB":
        return isin(f"GB00{sedol_code}")
    prefix, digits = {"DE": ("DE000", 6), "FR": ("FR000", 6), "NL": ("NL001", 6), "JP": ("JP3", 8), "HK": ("HK0", 8)}[
        country
    ]
    return isin(prefix + drawn(random, _DIGITS, digits))
