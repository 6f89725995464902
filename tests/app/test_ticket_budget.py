"""The budget file: what one process spent is what the next one knows."""

import json
import threading

import pytest

from alerting.gate import Budget
from alerting.port import TicketThrottled
from app.build_tickets import open_ticketing
from app.settings import Settings
from app.ticket_budget import BudgetFile
from domain.clock import SystemClock


def test_a_budget_is_kept_for_its_ticket_system_only(tmp_path):
    path = tmp_path / "tickets.budget.json"
    kept = Budget(12.5, 1_770_000_000_000_000_000, 500, 1_770_000_060_000_000_000)
    BudgetFile(path, "https://a").keep(kept)
    assert BudgetFile(path, "https://a").load() == kept and path.stat().st_mode & 0o777 == 0o600
    assert BudgetFile(path, "https://b").load() is None
    for broken in ("", "[1]", json.dumps({"address": "https://a", "left": "x"})):
        path.write_text(broken)
        assert BudgetFile(path, "https://a").load() is None


def test_a_disk_that_refuses_costs_no_ticket(tmp_path, caplog):
    BudgetFile(tmp_path / "absent" / "tickets.budget.json", "x").keep(Budget(1.0, 1))
    assert "cannot be kept" in caplog.text


def test_a_service_that_starts_again_goes_on_with_what_is_left(tmp_path):
    (tmp_path / "data").mkdir()
    settings = Settings(data_dir=tmp_path / "data", ticketing={"rate": {"requests_per_hour": 60, "burst": 20}})
    for turn in ("first", "again"):
        stop = threading.Event()
        system = open_ticketing(settings, SystemClock(), stop)
        try:
            if turn == "first":
                system.gate.enter(20)
            else:
                with pytest.raises(TicketThrottled):
                    system.gate.enter(5)
        finally:
            system.real.close()
            stop.set()
