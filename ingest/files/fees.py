"""Fee columns of a file as fee rows of its trades."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.schema import TYPES
from ingest.files import codes
from ingest.files.aliases import key_of
from ingest.files.numbers import decimal_mark, numbers
from ingest.files.sheet import Mask, Sheet
from ingest.normalise_trades import FEE_SCHEMA


@dataclass(frozen=True, slots=True)
class Fees:
    """Amounts by fee type, one per row of the sheet (null where there is none), in the trade's currency."""

    amounts: dict[str, pa.Array]
    ccy: pa.Array


def read_fees(sheet: Sheet, file: str) -> Fees:
    """The fee columns the map names and the file has, as costs; a cell that is no amount sets its row aside."""
    present = {key_of(name): at for at, name in reversed(list(enumerate(sheet.table.header))) if name}
    money = TYPES["money"].arrow
    found = {}
    for kind, header in sheet.mapping.fees.items():
        at = present.get(key_of(header))
        if at is None:
            continue
        cells = sheet.table.text.column(at).combine_chunks()
        cleaned = numbers(cells, money, sheet.mapping.decimal or decimal_mark([cells], file))
        sheet.fail_cells(cleaned.bad, "bad_number", header, cells, "is not a number Tieout can hold exactly")
        found[kind] = pc.negate(cleaned.values) if sheet.mapping.cost_sign == "negative" else cleaned.values
    # As commission and net money: quoted in pence, paid in pounds.
    return Fees(found, codes.by_unique(sheet.cells("trade_ccy"), lambda text: codes.minor_unit(text)[0]))


def fee_rows(fees: Fees, record_ids: pa.Array, good: Mask) -> pa.Table:
    """The fees of the good rows that are not nothing, by record and in the order of the columns."""
    keep = pa.array(good)
    ids, ccy = pa.array(record_ids.to_pylist(), pa.string()), fees.ccy.filter(keep)
    nothing = pa.scalar(0, TYPES["money"].arrow)
    tables: list[pa.Table] = []
    for kind, amounts in fees.amounts.items():
        mine = amounts.filter(keep)
        some = pc.fill_null(pc.not_equal(mine, nothing), False)
        count = int(pc.sum(some).as_py() or 0)
        columns = {
            "record_id": ids.filter(some), "ordinal": np.full(count, len(tables)), "fee_type": [kind] * count,
            "ccy": ccy.filter(some), "amount": mine.filter(some), "basis": [None] * count,
        }  # fmt: skip
        tables.append(pa.Table.from_arrays([pa.array(columns[f.name], f.type) for f in FEE_SCHEMA], schema=FEE_SCHEMA))
    return pa.concat_tables([FEE_SCHEMA.empty_table(), *tables])
