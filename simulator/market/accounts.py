"""The fund's twelve accounts: four funds by three strategies over five prime brokers, and how brokers write them."""

import numpy as np

from simulator.market.world import Accounts
from simulator.records import Source

# The account blocks are executed in before they are allocated.
BLOCK_ACCOUNT = "MERIDIAN-BLK"
FUNDS = ("GEQ", "MAC", "CRD", "EVT")
STRATEGIES = ("LS", "QNT", "HDG")
# Accounts go round the brokers, so that a fund's three are at three of them.
_PBS = (Source.ALPHA, Source.BRAVO, Source.CHARLIE, Source.DELTA, Source.ECHO)
_MASTERS = {
    Source.ALPHA: "MERMST",
    Source.BRAVO: "BR-7700",
    Source.CHARLIE: "MERID",
    Source.DELTA: "4QM10000",
    Source.ECHO: "F1029000",
}
# DELTA's account number ends in a digit for the type of account: cash, margin, short, arbitrage.
DELTA_TYPES = ("1", "2", "3", "5")


def accounts() -> Accounts:
    """MER-GEQ-LS and its like; at BRAVO BR-77nn, at DELTA office 4QM and a five-digit base without the type digit."""
    rows = []
    for number in range(len(FUNDS) * len(STRATEGIES)):
        fund, strategy = FUNDS[number // len(STRATEGIES)], STRATEGIES[number % len(STRATEGIES)]
        pb = _PBS[number % len(_PBS)]
        account_id = f"MER-{fund}-{strategy}"
        alias = {Source.BRAVO: f"BR-77{number + 1:02d}", Source.DELTA: f"4QM{10027 + 525 * number}"}.get(pb, account_id)
        rows.append((account_id, alias, f"{_MASTERS[pb]}/{alias}", f"MERIDIAN-{fund}", strategy, int(pb)))
    names, aliases, masters, funds, strategies, pbs = zip(*rows, strict=True)
    return Accounts(
        account_id=np.array(names),
        alias=np.array(aliases),
        master=np.array(masters),
        fund=np.array(funds),
        strategy=np.array(strategies),
        pb=np.array(pbs, np.int16),
    )
