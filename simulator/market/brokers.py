"""Executing brokers: invented firms with codes, LEIs that check, MPIDs and another spelling of each name."""

from simulator.market.identifiers import lei
from simulator.market.world import Broker

_BROKERS = """
HBLN|Harbourline Securities LLC|Harbourline Sec.
NSEC|Northgate Securities Inc|NORTHGATE SECURITIES INCORPORATED
CRHA|Crédit Hallaine SA|Credit Hallaine S.A.
KMBR|Kember & Rowe LLP|Kember and Rowe
VLTR|Valtara Markets LLC|Valtara Mkts
ZKBU|Zürcher Kontor AG|Zuercher Kontor
TKYO|Tokiwa Shoken KK|Tokiwa Securities Co., Ltd.
ATLC|Atlantic Cross Capital LP|Atlantic Cross
MDWY|Midway Electronic Trading LLC|MIDWAY ELEC TRADING
OAKS|Oakshott Brokers plc|Oakshott Brokers PLC
"""


def brokers() -> tuple[Broker, ...]:
    """Ten brokers; the row number is `records.broker`."""
    made = []
    for number, row in enumerate(_BROKERS.strip().splitlines()):
        code, name, other = row.split("|")
        made.append(Broker(code, name, lei(f"5493{number:02d}TIEOUT{code}{number:02d}"), code, other))
    return tuple(made)
