"""Fixed-width samples: width, header and trailer, where fields end, implied decimals; the proposal reads its sample."""

from pathlib import Path

from app.learn import check, learn
from ingest.learn.fixed_layout import fixed_sample, implied_decimals
from ingest.learn.proposal import MARK

ISINS, WIDTH = ("US0846707026", "US0378331005", "GB0002634946"), 90


def lines(count: int = 30) -> list[str]:
    """Records A of: id, account, ISIN, side, signed quantity, price, gross in hundredths, currency, days."""
    made = [f"{'BOF NORTHGATE TRADES':<{WIDTH}}"]
    for n in range(count):
        qty, price = 100 + 37 * n, 1_250 + 7 * n
        made.append(
            f"A{f'T{5000 + n}':<10}{f'FUND-{n % 4}':<12}{ISINS[n % 3]}{'BS'[n % 2]}{qty:011d}{'+-'[n % 2]}"
            f"{price / 100:>9.2f}{qty * price:013d}{'+-'[n % 2]}{('USD', 'EUR')[n % 2]}"
            f"202611{13 + n % 7}202611{20 + n % 5}"
        )
    return [*made, f"{f'EOF {count:010d}':<{WIDTH}}"]


def test_the_layout_is_read_off_the_lines() -> None:
    found = fixed_sample(["\n".join(lines()) + "\n"])
    assert found is not None
    layout = found.layout
    assert (layout.width, layout.record, layout.header, layout.trailer) == (WIDTH, "A", "BOF", "EOF")
    assert layout.count is not None and found.sample.rows == 30
    assert {(one.at, one.form) for one in layout.fields} >= {
        (24, "X"),
        (37, "S"),
        (58, "S"),
        (72, "X"),
        (75, "X"),
        (83, "X"),
    }
    assert implied_decimals(found) == {"c58": 2}


def test_what_is_no_fixed_width_is_left_alone() -> None:
    assert fixed_sample(["a,b\n1,2\n"]) is None
    assert fixed_sample(["short\n" * 9]) is None
    assert fixed_sample(["\n".join("x" * (20 + n) for n in range(30))]) is None


def test_a_confirmed_proposal_reads_its_sample(tmp_path: Path) -> None:
    sample, file = tmp_path / "northgate.txt", tmp_path / "northgate.yaml"
    sample.write_text("\n".join(lines()) + "\n")
    learnt = learn([sample], [], "northgate")
    assert learnt.kind == "file dialect" and any(line.key == "fixed.fields" for line in learnt.open)
    assert MARK in learnt.text and "kind: fixed" in learnt.text
    file.write_text(learnt.text)
    assert not check(file, []).good, "nothing is used before somebody confirms it"
    file.write_text(learnt.text.replace(MARK, "confirmed"))
    told = check(file, [sample])
    assert told.good, (told.lines, learnt.text)
