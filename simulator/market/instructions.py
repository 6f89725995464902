"""Standing settlement instructions: where each account's trades of a market are delivered and paid."""

from dataclasses import dataclass

import numpy as np

from simulator.market.world import CURRENCIES, Asset, Text, World
from simulator.records import Source

# market -> place of settlement (BIC), agent's BIC by the order of the prime brokers
_PLACES = {
    "US": "DTCYUS33",
    "UST": "FRNYUS33",
    "XLON": "CRSTGB22",
    "XETR": "DAKVDEFF",
    "XPAR": "SICVFRPP",
    "XAMS": "NECINL2A",
    "XTKS": "JJSDJPJT",
    "XHKG": "XHKCHKH1",
    "GILT": "CRSTGB22",
}
_AGENTS = {
    Source.ALPHA: "ALPBUS33",
    Source.BRAVO: "BRPBUS33",
    Source.CHARLIE: "CHPBGB2L",
    Source.DELTA: "DLPBUS3N",
    Source.ECHO: "ECPBUS33",
}
_US_MICS = ("XNYS", "XNAS", "ARCX", "XCBO")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One account's standing instruction in one market; `account` is a row of the world's accounts."""

    ssi_id: str
    account: int
    market: str
    place: str
    agent: str
    agent_account: str


def instructions(world: World) -> list[Instruction]:
    """Every account's instruction in every market that settles by delivery."""
    made = []
    for account, pb in enumerate(world.accounts.pb.tolist()):
        for number, (market, place) in enumerate(_PLACES.items()):
            ssi_id = f"SSI-{account + 1:02d}-{market}"
            at_agent = f"{7300 + 17 * account:04d}{100 * number + 11:04d}"
            made.append(Instruction(ssi_id, account, market, place, _AGENTS[Source(pb)], at_agent))
    return made


def settlement_markets(world: World) -> Text:
    """The market whose instruction settles each instrument: US, UST, GILT or a MIC; empty: nothing is delivered."""
    lines = world.instruments
    listed = np.isin(lines.asset, (Asset.EQUITY, Asset.ETF, Asset.OPTION))
    made = np.where(listed, np.where(np.isin(lines.mic, _US_MICS), "US", lines.mic), "")
    treasury = np.char.startswith(lines.cusip, "912")
    dollar = np.where(treasury, "UST", "US")
    bond = np.where(lines.ccy == CURRENCIES.index("GBP"), "GILT", dollar)
    return np.where(lines.asset == Asset.BOND, bond, made)
