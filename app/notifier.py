"""Notifications in the background: the service looks at itself and tells people what needs them."""

import logging
import threading

from alerting.notify import Notice, Notifier, standing_notices
from alerting.notify_settings import NotifySettings
from app.alerts import standing
from app.installation import Installation
from app.settings import SettingsError
from domain.errors import PermanentError, TransientError

logger = logging.getLogger(__name__)
_WORDS = {"completeness": "Something received is not accounted for", "proof": "The nightly proof found a difference"}


def addresses(settings: NotifySettings) -> tuple[str, ...]:
    """The channels' addresses, from settings and file. Raises SettingsError naming the key."""
    found = [url.get_secret_value().strip() for url in settings.urls]
    if settings.urls_file is not None:
        try:
            text = settings.urls_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"notifications.urls_file: {settings.urls_file}: cannot be read: {error}") from None
        found += [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return tuple(url for url in found if url)


def open_notifier(installation: Installation, console_url: str) -> "Watch | None":
    """The watch, None where nobody is to be told. Raises SettingsError for an address that cannot be used."""
    from alerting.apprise_channel import AppriseChannel

    settings = installation.settings.notifications
    urls = addresses(settings)
    if not urls:
        return None
    try:
        channel = AppriseChannel(urls, settings.timeout_seconds)
    except PermanentError as error:
        raise SettingsError(f"notifications: {error}") from None
    notifier = Notifier(installation.warehouse, channel, settings, installation.settings.tenant, console_url)
    return Watch(installation, notifier)


def health(installation: Installation) -> tuple[Notice, ...]:
    """What the service knows of its own trouble: failed executions and critical alerts."""
    found = []
    counts = installation.engine.counts()
    failed = counts.get("FAILED", 0) + counts.get("TIMED_OUT", 0)
    if failed:
        words = f"{failed} {'execution' if failed == 1 else 'executions'} failed and wait for a redrive"
        found.append(Notice("engine", words, "/runs?status=FAILED"))
    kinds = sorted({str(row["kind"]) for row in standing(installation.warehouse) if row["severity"] == "CRITICAL"})
    found += [
        Notice(f"alert|{kind}", _WORDS.get(kind, f"A critical alert stands: {kind}"), "/health") for kind in kinds
    ]
    return tuple(found)


class Watch:
    """One thread that tells; a channel that hangs holds up nothing else.

    Of several workers the one that leads tells.
    """

    def __init__(self, installation: Installation, notifier: Notifier) -> None:
        self._here, self._notifier = installation, notifier
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> "Watch":
        """Begin; conditions are looked at every `notifications.every_seconds`."""
        self._thread.start()
        return self

    def close(self) -> None:
        """End; a sending that hangs is left behind."""
        self._stop.set()
        self._thread.join(self._notifier.settings.timeout_seconds)

    def once(self) -> int:
        """Look and tell now; returns how many sendings were tried."""
        here, now = self._here, self._here.clock.now_ns()
        notices = standing_notices(here.warehouse, self._notifier.settings, health(here), now)
        return self._notifier.step(notices, now)

    def _run(self) -> None:
        while not self._stop.wait(self._notifier.settings.every_seconds):
            try:
                with self._here.leading() as leads:
                    if leads:
                        self.once()
            except (TransientError, PermanentError) as error:
                logger.warning("notifications could not be looked at: %s", error)
            except Exception:
                logger.exception("notifications failed")
