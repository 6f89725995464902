"""Standing settlement instructions: where each account's securities of a market are delivered, and through whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from simulator.market.bonds import TREASURY_ISSUERS
from simulator.market.world import CURRENCIES, Asset, Text, World
from simulator.records import I8, Source

# market -> (BIC of the place of settlement, agent's BIC there)
MARKETS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "US": ("DTCYUS33", "IRVTUS3N"),
        "FED": ("FRNYUS33", "IRVTUS3N"),
        "GB": ("CRSTGB22", "HSBCGB2L"),
        "EU": ("MGTCBEBE", "PARBFRPP"),
        "JP": ("JJSDJPJT", "SMBCJPJT"),
        "HK": ("XHKCHKH1", "HSBCHKHH"),
        "FX": ("CLSBUS33", "CITIUS33"),
        "OTC": ("LCHLGB2L", "CITIUS33"),
    }
)
_NAMES = tuple(MARKETS)
_BY_MIC = {"XLON": "GB", "XETR": "EU", "XPAR": "EU", "XAMS": "EU", "XTKS": "JP", "XHKG": "HK", "XEUR": "EU"}
_BY_ASSET = {
    Asset.FX_SPOT: "FX", Asset.FX_FWD: "FX", Asset.FX_NDF: "FX", Asset.CDS: "OTC", Asset.TRS: "OTC",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instruction:
    """One account's instruction for a market, as the reference file `ssi` lists it; `account` is a row of Accounts."""

    ssi_id: str
    party: str
    account: int
    market: str
    place: str
    agent: str
    agent_account: str


def instructions(world: World) -> list[Instruction]:
    """Every account's instruction for every market: row `account * len(MARKETS) + market`."""
    made = []
    for account, (account_id, pb) in enumerate(zip(world.accounts.account_id, world.accounts.pb, strict=True)):
        for number, (market, (place, agent)) in enumerate(MARKETS.items()):
            ssi_id = f"SSI-{str(account_id).removeprefix('MER-')}-{market}"
            agent_account = f"{7_100_000 + 1_000 * account + 10 * number}"
            made.append(Instruction(ssi_id, Source(int(pb)).name, account, market, place, agent, agent_account))
    return made


def market_of(world: World) -> I8:
    """The market each instrument settles in, as a place in MARKETS."""
    lines, made = world.instruments, []
    columns = (lines.asset, lines.mic, lines.ccy, lines.cusip)
    for asset, mic, ccy, cusip in zip(*(column.tolist() for column in columns), strict=True):
        market = _BY_ASSET.get(Asset(asset)) or _BY_MIC.get(mic, "US")
        if asset == Asset.BOND:
            market = "GB" if CURRENCIES[ccy] == "GBP" else "FED" if cusip.startswith(TREASURY_ISSUERS) else "US"
        made.append(_NAMES.index(market))
    return np.array(made, np.int8)


def settlement_markets(world: World) -> Text:
    """The market each instrument settles in, by name."""
    made: Text = np.array(_NAMES)[market_of(world)]
    return made
