"""Zones and currencies of markets: what a venue, a currency or an ISIN says about local time."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

# Zones local times are written in, most usual first: of two that fit alike the first is proposed and both are told.
ZONES = (
    "UTC", "America/New_York", "Europe/London", "America/Chicago", "Asia/Tokyo", "Asia/Hong_Kong", "Europe/Zurich",
    "Europe/Berlin", "Asia/Singapore", "Australia/Sydney", "America/Toronto", "Asia/Kolkata", "Africa/Johannesburg",
    "America/Sao_Paulo", "Europe/Helsinki", "Asia/Seoul", "Asia/Shanghai", "America/Los_Angeles", "Asia/Dubai",
    "Asia/Jerusalem", "Pacific/Auckland",
)  # fmt: skip
_VENUES = """
America/New_York: XNYS XNAS XASE ARCX BATS BATY EDGX EDGA IEXG XPHL XISX XBOS XCIS MEMX XOTC OTCM XNGS XNCM XNMS
America/Chicago: XCME XCBT XCBO XNYM XCEC XCHI GLBX C2OX CBSX
Europe/London: XLON XLME IFEU XLIF BATE CHIX TRQX LMAX AIMX
Europe/Berlin: XETR XFRA XEUR XPAR XAMS XBRU XMIL XMAD MTAA XSTO XCSE XOSL XWBO
Europe/Zurich: XSWX XVTX
Asia/Tokyo: XTKS XJPX XOSE
Asia/Hong_Kong: XHKG XHKF
Asia/Singapore: XSES
Australia/Sydney: XASX
America/Toronto: XTSE XTSX
Asia/Kolkata: XBOM XNSE
Africa/Johannesburg: XJSE
America/Sao_Paulo: BVMF
Asia/Seoul: XKRX
Asia/Shanghai: XSHG XSHE
"""
_CURRENCIES = """
America/New_York: USD
America/Toronto: CAD
Europe/London: GBP GBX GBp
Europe/Berlin: EUR
Europe/Zurich: CHF
Asia/Tokyo: JPY
Asia/Hong_Kong: HKD
Asia/Singapore: SGD
Australia/Sydney: AUD
Asia/Kolkata: INR
Africa/Johannesburg: ZAR ZAc ZAC
America/Sao_Paulo: BRL
Asia/Seoul: KRW
Asia/Shanghai: CNY CNH
"""
_COUNTRIES = """
America/New_York: US
America/Toronto: CA
Europe/London: GB
Europe/Berlin: DE FR NL BE IT ES AT
Europe/Zurich: CH
Asia/Tokyo: JP
Asia/Hong_Kong: HK KY BM
Australia/Sydney: AU
"""
# Continuous trading of equities, local, with the auctions around it.
_OPEN_MINUTES, _CLOSE_MINUTES = 8 * 60, 17 * 60 + 45
_ISO = """
USD EUR GBP JPY CHF CAD AUD NZD HKD SGD SEK NOK DKK CNY CNH KRW INR BRL MXN ZAR ILS PLN CZK HUF TRY TWD THB IDR MYR PHP
SAR AED CLP COP PEN RON
"""
CURRENCIES = frozenset(_ISO.split())
MINOR_UNITS: Mapping[str, str] = MappingProxyType(
    {"GBX": "GBP", "GBp": "GBP", "GBx": "GBP", "ZAc": "ZAR", "ZAC": "ZAR", "ZAX": "ZAR", "ILA": "ILS", "ILa": "ILS",
     "ILX": "ILS", "USX": "USD", "USc": "USD", "EUc": "EUR"}
)  # fmt: skip


def _table(text: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in text.strip().splitlines())
    return MappingProxyType({word: zone for zone, _, words in pairs for word in words.split()})


VENUE_ZONES = _table(_VENUES)
CURRENCY_ZONES = _table(_CURRENCIES)
COUNTRY_ZONES = _table(_COUNTRIES)


def offset_seconds(moment: datetime, zone: str) -> int:
    """Seconds to subtract from a local time in `zone` to have UTC."""
    return int((moment.replace(tzinfo=ZoneInfo(zone)).utcoffset() or timedelta(0)).total_seconds())


def to_utc(moment: datetime, zone: str) -> datetime:
    """A naive local time as naive UTC."""
    return moment - timedelta(seconds=offset_seconds(moment, zone))


def home_zone(venues: Iterable[str], currencies: Iterable[str], isins: Iterable[str] = ()) -> tuple[str, str, float]:
    """The zone of most rows by venue, else by currency, else by country: (zone, what says so, share); `UTC` if none."""
    told: Sequence[tuple[str, Mapping[str, str], list[str]]] = (
        ("venues", VENUE_ZONES, [v for v in venues if v]),
        ("currencies", CURRENCY_ZONES, [c for c in currencies if c]),
        ("countries of ISINs", COUNTRY_ZONES, [i[:2] for i in isins if i]),
    )
    for what, table, values in told:
        found = Counter(table[value] for value in values if value in table)
        if found and sum(found.values()) * 2 >= len(values):
            zone, count = found.most_common(1)[0]
            return zone, what, count / sum(found.values())
    return "UTC", "", 0.0


def in_market_hours(moment_utc: datetime, zone: str) -> bool:
    """Whether a UTC time lies between 08:00 and 17:45 of a weekday in the zone."""
    local = moment_utc + timedelta(seconds=offset_seconds(moment_utc, zone))
    return local.weekday() < 5 and _OPEN_MINUTES <= local.hour * 60 + local.minute <= _CLOSE_MINUTES
