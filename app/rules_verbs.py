"""Work behind `tieout rules ...`: rule files read, checked and held against history."""

from pathlib import Path

from app.build import open_rules
from app.history import HistoryError, open_history
from domain.errors import PermanentError, TransientError
from matching.backtest import Backtest, backtest
from matching.check_rules import Checked, check_text
from matching.engine import match
from matching.rules import RuleSet, load_rules
from matching.suggest_train import Fitted, TrainingError, train


class RulesError(Exception):
    """The verb cannot be carried out; the text says why and what to do."""


def checked(file: Path) -> Checked:
    """The check of a rule file. Raises RulesError when it cannot be read."""
    return check_text(text_of(file), str(file))


def text_of(file: Path) -> str:
    """The file's text. Raises RulesError."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RulesError(f"{file}: not a text file") from None
    except OSError as error:
        raise RulesError(f"{file}: {(error.strerror or str(error)).lower()}") from None


def tried(new: Path, history: Path, against: Path | None, config: Path | None) -> tuple[Backtest, str]:
    """The back-test of a rule file on a history, and the history's name. Raises RulesError or SettingsError.

    `against` is the rule file to compare with; without it the one the history's settings name.
    """
    changed = usable(new)
    try:
        current = usable(against) if against else None
        with open_history(history, changed, config) as facts:
            old = current or open_rules(facts.settings)
            found = backtest(
                facts.warehouse, old, changed, feeds=facts.feeds, as_of=facts.as_of, tenant=facts.settings.tenant
            )
            return found, facts.name
    except (HistoryError, PermanentError, TransientError) as error:
        raise RulesError(str(error)) from None


def usable(file: Path) -> RuleSet:
    """The rule set in a file. Raises RulesError with its first fault."""
    done = checked(file)
    if done.rules is None:
        raise RulesError(done.faults[0])
    return done.rules


def trained(history: Path, config: Path | None) -> Fitted:
    """Weights of a score pass fitted to a history matched by its own rules. Raises RulesError or SettingsError."""
    try:
        rules = load_rules()
        with open_history(history, rules, config) as facts:
            match(
                facts.warehouse, execution="train-suggestions", as_of=facts.as_of, rules=open_rules(facts.settings),
                feeds=facts.feeds, tenant=facts.settings.tenant,
            )  # fmt: skip
            return train(facts.warehouse)
    except (HistoryError, TrainingError, PermanentError, TransientError) as error:
        raise RulesError(str(error)) from None
