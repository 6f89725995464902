"""`acknowledge` in the settings: receipts for the sessions that ask for them."""

from app.run_acceptor import acceptor_config
from app.settings import Settings
from domain.clock import ManualClock


def test_the_settings_turn_receipts_on_for_one_session() -> None:
    config = acceptor_config(
        Settings(
            feeds=[
                {
                    "name": name,
                    "role": "PB",
                    "party": name,
                    "session": {"sender_comp_id": name, "target_comp_id": "US", **more},
                }
                for name, more in (("ALPHA", {"acknowledge": True}), ("BRAVO", {}))
            ]
        ),
        ManualClock(),
    )
    assert list(config.respond) == ["ALPHA->US"]
