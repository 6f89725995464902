"""The console in Chromium: the keyboard, 5,000 rows, the graph, themes, and a console without errors."""

import json
import re
from dataclasses import dataclass

import pytest

from alerting.playbook import load_playbooks
from app.decisions import Decisions
from console.app import create_console
from console.ports import Actions
from domain.clock import SystemClock
from domain.principal import Principal
from tests.console.conftest import TOKEN
from warehouse.duckdb import DuckDbWarehouse

ROWS = 300
MANY = 5_000
pytestmark = pytest.mark.browser


@dataclass
class Site:
    """A running console and what it shows."""

    base: str
    break_id: str
    actions: Actions


@pytest.fixture(scope="module")
def site(seeded, serve) -> Site:  # type: ignore[no-untyped-def]
    warehouse: DuckDbWarehouse = seeded.warehouse
    ids = seeded.seed_breaks(warehouse, ROWS)
    seeded.seed_members(warehouse, ids[0])
    deps = seeded.make_deps(
        warehouse, seeded.engine, open_reads_on_loopback=True, poll_seconds=0.3, stream_seconds=60.0
    )
    return Site(serve(create_console(deps)), ids[0], deps.actions)


@pytest.fixture(scope="module")
def context(browser):  # type: ignore[no-untyped-def]
    found = browser.new_context(viewport={"width": 1440, "height": 860}, reduced_motion="reduce")
    found.set_default_timeout(15_000)
    yield found
    found.close()


@pytest.fixture
def page(context, site: Site):  # type: ignore[no-untyped-def]
    found = context.new_page()
    problems: list[str] = []
    found.on("console", lambda message: problems.append(message.text) if message.type in ("error", "warning") else None)
    found.on("pageerror", lambda error: problems.append(str(error)))
    yield found
    found.close()
    assert problems == []


def open_queue(page, site: Site, query: str = ""):  # type: ignore[no-untyped-def]
    page.goto(f"{site.base}/breaks{query}")
    page.wait_for_selector(".row .c-sev")
    return page


def active_id(page) -> str:  # type: ignore[no-untyped-def]
    return str(page.get_attribute(".row.active", "data-id"))


def test_keyboard_flow(page, site: Site) -> None:  # type: ignore[no-untyped-def]
    open_queue(page, site, "?severity=3")  # a critical one takes a second person
    rows = int(page.get_attribute("#grid", "aria-rowcount"))
    page.keyboard.press("j")
    mine = active_id(page)
    page.keyboard.press("Enter")
    page.wait_for_selector(f'#drawer .break[data-break="{mine}"]')
    assert page.url.endswith(f"#{mine}")
    page.keyboard.press("c")
    page.keyboard.type("Asked the broker <b>today</b>")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#drawer .tl-person:has-text('Asked the broker <b>today</b>')")
    page.keyboard.press("r")
    page.click("#act-go")
    assert "Say why" in page.inner_text("#act-problem"), "a resolve without a reason is refused"
    page.fill("#act-reason", "Broker corrected its fill")
    page.click("#act-go")
    page.wait_for_selector("#drawer .bs-resolved")
    page.wait_for_function(
        "n => document.querySelector('#grid').getAttribute('aria-rowcount') === String(n)", arg=rows - 1
    )
    page.wait_for_selector(f'.row[data-id="{mine}"]', state="detached")
    page.keyboard.press("Escape")
    assert page.locator("#drawer").is_hidden()
    page.goto(f"{site.base}/breaks?state=RESOLVED")
    page.wait_for_selector(f'.row[data-id="{mine}"]')
    page.keyboard.press("r")
    assert page.inner_text("#act-title") == "Reopen"
    page.fill("#act-reason", "It is back")
    page.click("#act-go")
    page.wait_for_selector("#empty:not([hidden])")


def test_select_and_assign_two(page, site: Site) -> None:  # type: ignore[no-untyped-def]
    open_queue(page, site)
    for key in ("x", "j", "x"):
        page.keyboard.press(key)
    assert page.inner_text("#selected") == "2 selected"
    page.keyboard.press("a")
    assert "2 selected breaks" in page.inner_text("#act-what")
    page.fill("#act-assignee", "Bo Trader")
    page.click("#act-go")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.row .c-state')].filter(n => n.textContent === 'Bo Trader').length === 2"
    )


def test_filters_live_in_the_address(page, site: Site) -> None:  # type: ignore[no-untyped-def]
    open_queue(page, site)
    page.keyboard.press("/")
    page.keyboard.type("aapl")
    page.wait_for_url("**/breaks?q=aapl")
    page.keyboard.press("Escape")
    page.check("input[name=severity][value='4']", force=True)
    page.wait_for_url(re.compile(r"severity=4"))
    page.wait_for_function(
        "() => [...document.querySelectorAll('.row .c-sev')].every(n => n.textContent === 'Critical')"
    )
    page.wait_for_function("() => document.querySelector('#foot').textContent !== '300 breaks'")
    shown = page.inner_text("#foot")
    page.reload()
    page.wait_for_selector(".row .c-sev")
    assert page.inner_text("#foot") == shown and page.input_value("#q") == "aapl"
    page.click("[data-sort=exposure]")
    page.wait_for_url(re.compile(r"sort=exposure"))
    assert page.get_attribute(".c-money[role=columnheader]", "aria-sort") == "descending"
    page.click("#clear")
    page.wait_for_function(
        "n => document.querySelector('#grid').getAttribute('aria-rowcount') === String(n)", arg=ROWS + 1
    )


def test_hostile_text_stays_text(page, site: Site) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{site.base}/breaks/{site.break_id}")
    assert "<script>alert(1)</script>" in page.inner_text(".message:last-of-type")
    assert page.locator(".break script, .break b:has-text('BOLD')").count() == 0


def test_shortcuts_do_nothing_while_typing_and_help_opens(page, site: Site) -> None:  # type: ignore[no-untyped-def]
    open_queue(page, site)
    page.focus("#q")
    page.keyboard.type("xac")
    assert page.locator("dialog[open]").count() == 0 and page.inner_text("#selected") == ""
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.wait_for_selector("#keys[open]")


def test_changes_by_others_appear_by_themselves(page, site: Site) -> None:  # type: ignore[no-untyped-def]
    open_queue(page, site, "?sort=symbol")
    page.wait_for_selector("#live[data-state=on]")
    page.wait_for_timeout(400)
    mine = page.get_attribute('.row[data-index="3"]', "data-id")
    site.actions.record(
        mine, Principal("Someone", roles=frozenset({"analyst"})), "assign", "", {"assignee": "Elsewhere"}
    )
    page.wait_for_selector(".row .c-state:has-text('Elsewhere')")


def test_graph_shows_the_failed_state(page, site: Site) -> None:  # type: ignore[no-untyped-def]
    page.goto(f"{site.base}/runs/run-bad")
    node = page.locator('.graph [data-state="Ticket"]')
    assert "Failed" in node.text_content()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        stroke = page.evaluate("getComputedStyle(document.querySelector('.graph [data-state=\"Ticket\"] rect')).stroke")
        red, green, _ = (int(float(n)) for n in re.findall(r"[\d.]+", stroke)[:3])
        assert red > 150 > green or red - green > 60
    assert page.inner_text(".state:not([hidden]) h2").startswith("Ticket")
    page.locator('.graph [data-state="Match"]').click()
    assert page.inner_text(".state:not([hidden]) h2").startswith("Match")
    page.click("#tab-events")
    page.check("#only-failed")
    shown = page.locator("#events tbody tr:visible").all_inner_texts()
    assert len(shown) >= 3 and all("Failed" in text for text in shown)
    page.click("#redrive")
    page.wait_for_function("() => document.querySelector('#toast').textContent === 'Redrive started.'")


def test_pages_are_quiet_and_the_theme_is_kept(page, site: Site) -> None:  # type: ignore[no-untyped-def]
    for path in ("/runs", "/runs/run-good", "/feeds", "/rules", "/audit", "/health", "/help"):
        page.goto(site.base + path)
    page.click("#theme")
    assert page.get_attribute("html", "data-theme") == "dark"
    page.goto(f"{site.base}/feeds")
    assert page.get_attribute("html", "data-theme") == "dark"
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != dark


def test_five_thousand_rows_scroll_with_few_nodes(page, site: Site, seeded) -> None:  # type: ignore[no-untyped-def]
    # The last test: the others need no more than a few hundred.
    seeded.seed_breaks(seeded.warehouse, MANY - ROWS, first=ROWS)
    open_queue(page, site)
    assert page.get_attribute("#grid", "aria-rowcount") == str(MANY + 1)
    page.keyboard.press("End")
    page.wait_for_selector(f'.row[aria-rowindex="{MANY + 1}"] .c-sev')
    assert 10 < page.locator(".row").count() < 80
    assert page.get_attribute("#grid", "aria-activedescendant") == f"row-{MANY - 1}"
    page.evaluate("document.querySelector('#viewport').scrollTop = 38 * 2500")
    page.wait_for_selector('.row[aria-rowindex="2510"] .c-sev')


class Two:
    """An analyst and a supervisor, whose passwords are their names."""

    def find(self, name: str) -> Principal | None:
        roles = {"ana": frozenset({"analyst"}), "sue": frozenset({"analyst", "approver"})}
        return Principal(name, "user", roles[name]) if name in roles else None  # type: ignore[arg-type]

    def authenticate(self, name: str, password: str) -> Principal | None:
        return self.find(name) if password == name else None


def test_what_one_proposes_another_approves(browser, seeded, serve) -> None:  # type: ignore[no-untyped-def]
    ids = seeded.seed_breaks(seeded.warehouse, 40, seed=11, first=70_000)
    deps = seeded.make_deps(seeded.warehouse, seeded.engine, people=Two())
    base = serve(create_console(deps))
    critical = seeded.warehouse.query(
        f"SELECT break_id FROM break_queue WHERE severity = 4 AND state = 'OPEN' AND break_id IN {tuple(ids)} LIMIT 1"
    )["break_id"][0].as_py()
    for name in ("ana", "sue"):
        context = browser.new_context(reduced_motion="reduce")
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.goto(f"{base}/breaks/{critical}")
        page.fill("#user", name)
        page.fill("#password", name)
        page.click("#person-go")
        page.wait_for_selector(".break-title")
        # The page's modules have run by then: a click before that does nothing.
        page.wait_for_load_state("domcontentloaded")
        assert page.inner_text(".who-name b") == name
        if name == "ana":
            page.click("[data-action=resolve]")
            page.fill("#act-reason", "Booked again with the right side")
            page.click("#act-go")
            page.wait_for_selector(".proposal:has-text('Waits for a second person')")
            assert page.locator("[data-verdict=approve]").count() == 0
            page.goto(f"{base}/proposals")
            assert "Booked again with the right side" in page.inner_text("#waiting tbody tr")
            assert page.locator("#waiting [data-verdict=withdraw]").count() == 1
        else:
            page.click("nav a[href='/proposals']")
            assert "ana" in page.inner_text("#waiting tbody tr")
            page.click("#waiting [data-verdict=approve]")
            page.wait_for_selector("text=Nothing waits for a second person.")
            page.goto(f"{base}/breaks/{critical}")
            page.wait_for_selector(".bs-resolved")
        context.close()


def test_a_playbook_is_worked_through_and_says_how_it_ended(browser, seeded, serve) -> None:  # type: ignore[no-untyped-def]
    ids = seeded.seed_breaks(seeded.warehouse, 30, seed=12, first=80_000)
    books = load_playbooks()
    decisions = Decisions(seeded.warehouse, SystemClock(), lambda _id: None, playbooks=books)
    base = serve(create_console(seeded.make_deps(seeded.warehouse, seeded.engine, playbooks=books, actions=decisions)))
    found = seeded.warehouse.query(
        "SELECT break_id, code FROM break_queue WHERE severity < 4 AND state = 'OPEN'"
        f" AND break_id IN {tuple(ids)} ORDER BY break_id LIMIT 1"
    ).to_pylist()[0]
    book = books[found["code"]]
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{base}/breaks/{found['break_id']}")
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_selector(".checklist")
    page.wait_for_load_state("domcontentloaded")
    page.click(f"[data-step={book.checks[0].id}]")
    page.wait_for_selector(f"[data-step={book.checks[0].id}]:checked")
    page.wait_for_selector(f".timeline li:has-text('Checked: {book.checks[0].text[:20]}')")
    page.wait_for_load_state("domcontentloaded")
    page.click("[data-action=resolve]")
    page.select_option("#act-outcome", book.outcomes[-1].id)
    page.fill("#act-reason", "Looked into")
    page.click("#act-go")
    page.wait_for_selector(".bs-resolved")
    kept = seeded.warehouse.query("SELECT payload FROM action WHERE break_id = :b AND kind = 'resolve'",
                                  {"b": found["break_id"]})["payload"][0].as_py()  # fmt: skip
    assert json.loads(kept)["outcome"] == book.outcomes[-1].id
    context.close()
