"""What a trade costs: commissions, exchange fees, stamp duty, accrued interest, and the gross and net that follow."""

import numpy as np

from simulator.market.world import CURRENCIES, Asset, World
from simulator.records import I8, I32, I64, MONEY_UNIT, PRICE_UNIT, Bool, Records, Side, divide, money

_CENT = MONEY_UNIT // 100
_WHOLE = np.array([ccy in ("JPY", "KRW") for ccy in CURRENCIES])
_USD, _GBP = CURRENCIES.index("USD"), CURRENCIES.index("GBP")
# US commission: 0.20 to 0.45 cents a share, by executing broker, in PRICE_UNITs; elsewhere 1.5 to 2.5 basis points.
_PER_SHARE, _PER_SHARE_STEP, _SHARE_STEPS = 200_000, 50_000, 6
_BP_TENTHS, _BP_TENTHS_STEP, _BP_STEPS = 15, 5, 3
_BP_TENTH = 100_000
# Per contract, in MONEY_UNITs.
_OPTION_TICKET, _FUTURE_TICKET = 6_500, 12_000
# SEC fee per million dollars sold, rounded up to the cent; the exchange's activity fee per share sold, capped.
_SEC_PER_MILLION = 278_000  # MONEY_UNITs
_MILLION = 1_000_000 * MONEY_UNIT
_ACTIVITY, _ACTIVITY_CAP = 16_600, 83_000  # PRICE_UNITs a share, MONEY_UNITs
_STAMP_PART = 200  # half a per cent
_HALF_YEAR, _YEAR = 180, 360
_BASIS_POINT = 10_000


def recompute(records: Records, world: World) -> Records:
    """The same records with gross and net that follow from quantity, price, multiplier, fees and currencies.

    Gross is in the trade currency (FX: the second currency). Net is signed, in the settlement currency: what is paid
    or received on the settlement date. Futures pay fees alone, an NDF nothing until it is fixed.
    """
    asset = world.instruments.asset[records.instrument]
    gross = gross_of(records, asset)
    fees = records.commission + records.fee_sec + records.fee_exchange + records.tax
    principal = np.where(asset == Asset.FUTURE, 0, gross + records.accrued)
    net = np.where(records.side == Side.BUY, -principal, principal) - fees
    net[asset == Asset.FX_NDF] = 0
    crossed = np.flatnonzero((records.fx_rate != 0) & (records.settle_ccy != records.ccy))
    net[crossed] = converted(net[crossed], records.fx_rate[crossed])
    upfront = np.where(asset == Asset.CDS, gross, 0)
    return records.with_(gross=gross, net=net, upfront=upfront)


def gross_of(records: Records, asset: I8) -> I64:
    """Quantity by price: per 100 of face for bonds and credit default swaps, by contract size for contracts."""
    percent = np.flatnonzero((asset == Asset.BOND) | (asset == Asset.CDS))
    gross = money(records.qty, records.price, records.multiplier)
    gross[percent] = divide(records.qty[percent] * records.price[percent], PRICE_UNIT) * _CENT
    return gross


def converted(amount: I64, rate: I64) -> I64:
    """Money times a rate in PRICE_UNITs, to the cent; in two parts, because the product does not fit 64 bits."""
    part = MONEY_UNIT
    made = divide(amount * (rate // part) + divide(amount * (rate % part), part), PRICE_UNIT // part)
    return divide(made, _CENT) * _CENT


def charge(records: Records, world: World) -> Records:
    """The same records with commission, fees, tax and accrued interest by schedule, and gross and net to match."""
    lines = world.instruments
    asset, mic = lines.asset[records.instrument], _market(world)[records.instrument]
    gross = gross_of(records, asset)
    selling = records.side != Side.BUY
    share = (asset == Asset.EQUITY) | (asset == Asset.ETF)
    us_share = share & (records.ccy == _USD) & (mic == 0)
    charged = records.with_(
        commission=_commission(records, asset, gross, us_share),
        fee_sec=np.where(us_share & selling, -(-gross * _SEC_PER_MILLION // _MILLION // _CENT) * _CENT, 0),
        fee_exchange=np.where(us_share & selling, _activity(records.qty), 0),
        tax=np.where(_stamped(records, asset, mic), divide(gross, _STAMP_PART * _CENT) * _CENT, 0),
        accrued=accrued(records, world),
    )
    return recompute(charged, world)


def accrued(records: Records, world: World) -> I64:
    """Interest of bonds since the last coupon, 30/360 to the settlement date, half-yearly coupons."""
    lines = world.instruments
    made = np.zeros(len(records), np.int64)
    of = np.flatnonzero(lines.asset[records.instrument] == Asset.BOND)
    if len(of):
        line = records.instrument[of]
        left = _days360(lines.expiry[line]) - _days360(records.settle_date[of])
        days = (_HALF_YEAR - left % _HALF_YEAR) % _HALF_YEAR
        yearly = records.qty[of] * lines.coupon[line].astype(np.int64)
        made[of] = divide(yearly * days * 100, _BASIS_POINT * _YEAR) * _CENT
    return made


def _market(world: World) -> I8:
    """0 for US markets, 1 for London, 2 for the rest."""
    mic = world.instruments.mic
    away = np.isin(mic, ["XLON", "XETR", "XPAR", "XAMS", "XTKS", "XHKG"])
    return np.where(mic == "XLON", 1, np.where(away, 2, 0)).astype(np.int8)


def _stamped(records: Records, asset: I8, mic: I8) -> Bool:
    found: Bool = (asset == Asset.EQUITY) & (mic == 1) & (records.ccy == _GBP) & (records.side == Side.BUY)
    return found


def _commission(records: Records, asset: I8, gross: I64, us_share: Bool) -> I64:
    broker = records.broker.astype(np.int64)
    per_share = _PER_SHARE + _PER_SHARE_STEP * (broker % _SHARE_STEPS)
    tenths = _BP_TENTHS + _BP_TENTHS_STEP * (broker % _BP_STEPS)
    shares = divide(records.qty * per_share, PRICE_UNIT // MONEY_UNIT)
    points = divide(gross * tenths, _BP_TENTH)
    by_value = (asset == Asset.EQUITY) | (asset == Asset.ETF) | (asset == Asset.TRS)
    made = np.where(us_share, shares, np.where(by_value, points, 0))
    made = np.where(asset == Asset.OPTION, records.qty * _OPTION_TICKET, made)
    made = np.where(asset == Asset.FUTURE, records.qty * _FUTURE_TICKET, made)
    unit = np.where(_WHOLE[records.ccy], MONEY_UNIT, _CENT)
    rounded = np.maximum(divide(made, unit) * unit, unit)
    return np.where(made > 0, rounded, 0)


def _activity(qty: I64) -> I64:
    fee = divide(qty * _ACTIVITY, PRICE_UNIT // 100) * _CENT
    return np.clip(fee, _CENT, _ACTIVITY_CAP)


def _days360(days: I32) -> I64:
    date = days.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    day = (date - month).astype(np.int64) + 1
    made: I64 = 30 * month.astype(np.int64) + np.minimum(day, 30)
    return made
