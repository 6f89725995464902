"""Signing in with the form, in Chromium."""

from typing import Any

import pytest

from console.app import create_console

TOKEN = "test-token-5f2c"
pytestmark = pytest.mark.browser


def test_wrong_token_says_so_and_the_right_one_opens_the_queue(browser: Any, seeded: Any, serve: Any) -> None:
    seeded.seed_breaks(seeded.warehouse, 12)
    base = serve(create_console(seeded.make_deps(seeded.warehouse, seeded.engine, token_hint="/data/service.json")))
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(15_000)
    page = context.new_page()
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{base}/breaks?sort=symbol")
    field = page.get_by_label("Token")
    assert "/data/service.json" in page.inner_text("#where")
    assert page.evaluate("document.activeElement.id") == "token"
    for wrong in ("not-the-token", "tökén"):
        field.fill(wrong)
        page.keyboard.press("Enter")
        page.wait_for_selector("[role=alert]:has-text('This is not the token')")
        assert field.input_value() == "" and field.get_attribute("type") == "password"
    field.fill(f"  {TOKEN} ")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector(".row .c-sev")
    assert page.url == f"{base}/breaks?sort=symbol"
    # The token is in no address, in no storage a script can read, and the cookie is not readable at all.
    assert not any(TOKEN in address for address in addresses)
    assert TOKEN not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert page.evaluate("document.cookie") == ""
    page.goto(f"{base}/signin")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{base}/breaks")
    # Chromium reports the refused answers by itself; nothing else may be there.
    assert all("401 (Unauthorized)" in text for text in said), said
    context.close()
