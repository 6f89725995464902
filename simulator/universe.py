"""The simulated world: instruments with valid identifiers, the fund's accounts, the prime brokers, currency rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

FUND = "MERIDIAN"
OMS = "OMS"
PRIME_BROKERS = ("ALPHA", "BRAVO", "CHARLIE")
# An order goes to one of the fund's accounts; an account is held at one prime broker.
_ACCOUNTS_PER_PB = 3
_OPEN_END = date(2015, 1, 1)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A listed line: `symbol` as the fund writes it, `broker_symbol` as a broker may; `tick` is the price step."""

    symbol: str
    broker_symbol: str
    name: str
    isin: str
    mic: str
    ccy: str
    price: Decimal
    tick: Decimal

    @property
    def identifiers(self) -> tuple[tuple[str, str], ...]:
        """(SecurityIDSource(22), value) pairs: ISIN, and the CUSIP or SEDOL the ISIN is built on."""
        found = [("4", self.isin)]
        if self.isin.startswith("US"):
            found.append(("1", self.isin[2:11]))
        if self.isin.startswith("GB00"):
            found.append(("2", self.isin[4:11]))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Account:
    """A fund account: `alias` is how its prime broker writes it (equal to `account_id` where it uses ours)."""

    account_id: str
    pb: str
    alias: str


@dataclass(frozen=True, slots=True)
class Universe:
    """Everything static a day needs."""

    instruments: tuple[Instrument, ...]
    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """Reference rows as dicts keyed by the warehouse's column names, ready to load."""

    account_map: tuple[Mapping[str, object], ...]
    instruments: tuple[Mapping[str, object], ...]
    identifiers: tuple[Mapping[str, object], ...]
    fx_rates: tuple[Mapping[str, object], ...]


def isin_check_digit(body: str) -> str:
    """The Luhn check digit of an 11-character ISIN body, letters counted as two digits (ISO 6166)."""
    digits = "".join(str(int(char, 36)) for char in body)
    total = 0
    for position, char in enumerate(reversed(digits)):
        doubled = int(char) * (2 if position % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return str(-total % 10)


# symbol, name, ISIN without its check digit, market, price
_US = """
AAPL|Apple|US037833100|XNAS|231.45
MSFT|Microsoft|US594918104|XNAS|428.10
AMZN|Amazon.com|US023135106|XNAS|202.35
GOOGL|Alphabet A|US02079K305|XNAS|176.20
GOOG|Alphabet C|US02079K107|XNAS|177.90
META|Meta Platforms|US30303M102|XNAS|561.75
NVDA|NVIDIA|US67066G104|XNAS|141.60
TSLA|Tesla|US88160R101|XNAS|338.20
BRK.B|Berkshire Hathaway B|US084670702|XNYS|472.60
BF.B|Brown-Forman B|US115637209|XNYS|41.85
JPM|JPMorgan Chase|US46625H100|XNYS|243.10
V|Visa|US92826C839|XNYS|309.45
MA|Mastercard|US57636Q104|XNYS|521.30
JNJ|Johnson & Johnson|US478160104|XNYS|154.40
WMT|Walmart|US931142103|XNYS|88.15
PG|Procter & Gamble|US742718109|XNYS|171.90
HD|Home Depot|US437076102|XNYS|409.25
XOM|Exxon Mobil|US30231G102|XNYS|120.55
CVX|Chevron|US166764100|XNYS|160.80
KO|Coca-Cola|US191216100|XNYS|63.70
PEP|PepsiCo|US713448108|XNAS|159.20
ABBV|AbbVie|US00287Y109|XNYS|172.60
MRK|Merck|US58933Y105|XNYS|98.45
PFE|Pfizer|US717081103|XNYS|25.60
COST|Costco|US22160K105|XNAS|951.20
AVGO|Broadcom|US11135F101|XNAS|164.75
CSCO|Cisco|US17275R102|XNAS|58.40
ORCL|Oracle|US68389X105|XNYS|190.15
ADBE|Adobe|US00724F101|XNAS|512.35
CRM|Salesforce|US79466L302|XNYS|341.05
NFLX|Netflix|US64110L106|XNAS|887.40
INTC|Intel|US458140100|XNAS|24.35
AMD|Advanced Micro Devices|US007903107|XNAS|138.60
QCOM|Qualcomm|US747525103|XNAS|157.10
TXN|Texas Instruments|US882508104|XNAS|199.80
IBM|IBM|US459200101|XNYS|222.95
GE|GE Aerospace|US369604301|XNYS|180.20
CAT|Caterpillar|US149123101|XNYS|395.60
BA|Boeing|US097023105|XNYS|149.30
DIS|Walt Disney|US254687106|XNYS|115.65
NKE|Nike|US654106103|XNYS|77.25
MCD|McDonald's|US580135101|XNYS|290.85
GS|Goldman Sachs|US38141G104|XNYS|597.20
MS|Morgan Stanley|US617446448|XNYS|134.55
BAC|Bank of America|US060505104|XNYS|47.10
C|Citigroup|US172967424|XNYS|69.80
WFC|Wells Fargo|US949746101|XNYS|75.95
T|AT&T|US00206R102|XNYS|22.90
VZ|Verizon|US92343V104|XNYS|42.55
UNH|UnitedHealth|US91324P102|XNYS|601.40
LLY|Eli Lilly|US532457108|XNYS|748.95
SPY|SPDR S&P 500 ETF|US78462F103|ARCX|595.50
QQQ|Invesco QQQ|US46090E103|XNAS|505.80
IWM|iShares Russell 2000|US464287655|ARCX|238.70
GLD|SPDR Gold Shares|US78463V107|ARCX|250.60
TLT|iShares 20+ Year Treasury|US464287432|XNAS|91.35
XLF|Financial Select Sector|US81369Y605|ARCX|50.45
"""
_UK = """
VOD.L|VOD LN|Vodafone|GB00BH4HKS3|0.7052
HSBA.L|HSBA LN|HSBC Holdings|GB000540528|7.3260
BP.L|BP/ LN|BP|GB000798059|3.8745
AZN.L|AZN LN|AstraZeneca|GB000989529|104.4600
GSK.L|GSK LN|GSK|GB00BN7SWP6|13.4050
BARC.L|BARC LN|Barclays|GB003134865|2.5870
TSCO.L|TSCO LN|Tesco|GB00BLGZ986|3.5610
"""
_EURO = """
SAP.DE|SAP GY|SAP|DE000716460|XETR|222.85
SIE.DE|SIE GY|Siemens|DE000723610|XETR|183.42
ASML.AS|ASML NA|ASML Holding|NL001027321|XAMS|646.30
MC.PA|MC FP|LVMH|FR000012101|XPAR|588.40
"""


def universe() -> Universe:
    """The fixed world of the equity scenario: 57 US lines, 7 London lines, 4 euro lines, nine accounts."""
    lines = (
        [_us(*row) for row in _rows(_US)] + [_uk(*row) for row in _rows(_UK)] + [_euro(*row) for row in _rows(_EURO)]
    )
    accounts = []
    for number in range(_ACCOUNTS_PER_PB * len(PRIME_BROKERS)):
        pb = PRIME_BROKERS[number // _ACCOUNTS_PER_PB]
        account_id = f"MERID-EQ-{number + 1:02d}"
        alias = f"BR-77{number + 1:02d}" if pb == "BRAVO" else account_id
        accounts.append(Account(account_id, pb, alias))
    return Universe(tuple(lines), tuple(accounts))


def _rows(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.strip().splitlines()]


def _us(symbol: str, name: str, body: str, mic: str, price: str) -> Instrument:
    isin = body + isin_check_digit(body)
    return Instrument(symbol, symbol.replace(".", "/"), name, isin, mic, "USD", Decimal(price), Decimal("0.01"))


def _uk(symbol: str, broker_symbol: str, name: str, body: str, price: str) -> Instrument:
    isin = body + isin_check_digit(body)
    return Instrument(symbol, broker_symbol, name, isin, "XLON", "GBP", Decimal(price), Decimal("0.0005"))


def _euro(symbol: str, broker_symbol: str, name: str, body: str, mic: str, price: str) -> Instrument:
    isin = body + isin_check_digit(body)
    return Instrument(symbol, broker_symbol, name, isin, mic, "EUR", Decimal(price), Decimal("0.02"))


def reference(world: Universe) -> Reference:
    """Account map, instruments, identifiers and currency rates of `world`, valid from 2015 on."""
    accounts: list[Mapping[str, object]] = []
    for account in world.accounts:
        same: Mapping[str, object] = {"account_id": account.account_id, "fund": FUND, "pb_id": account.pb}
        accounts.append({"alias": account.account_id, "party": "*", **same, "valid_from": _OPEN_END})
        if account.alias != account.account_id:
            accounts.append({"alias": account.alias, "party": account.pb, **same, "valid_from": _OPEN_END})
    return Reference(
        account_map=tuple(accounts),
        instruments=tuple(_instrument_row(line) for line in world.instruments),
        identifiers=tuple(row for line in world.instruments for row in _identifier_rows(line)),
        fx_rates=tuple(_rate_rows((("GBP", "1.2600"), ("EUR", "1.0500")))),
    )


def _instrument_row(line: Instrument) -> Mapping[str, object]:
    return {
        "instrument_id": line.isin,
        "name": line.name,
        "asset_class": "EQUITY",
        "ccy": line.ccy,
        "mic": line.mic,
        "multiplier": Decimal(1),
        "price_unit": "MAJOR",
        "valid_from": _OPEN_END,
    }


def _identifier_rows(line: Instrument) -> list[Mapping[str, object]]:
    pairs = [*line.identifiers, *(("8", symbol) for symbol in dict.fromkeys((line.symbol, line.broker_symbol)))]
    return [
        {"instrument_id": line.isin, "id_source": kind, "id_value": value, "valid_from": _OPEN_END}
        for kind, value in pairs
    ]


def _rate_rows(rates: Sequence[tuple[str, str]]) -> list[Mapping[str, object]]:
    return [{"from_ccy": ccy, "to_ccy": "USD", "rate": Decimal(rate), "valid_from": _OPEN_END} for ccy, rate in rates]
