"""The page of the ledger in headless Chromium: what its filters show. Run by `make test-viewer`."""

import shutil

import pandas as pd
import pytest

from vzlib.paths import FIGURES, REPOSITORY
from vzlib.site.ledger import ledger

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium"),
]
playwright = pytest.importorskip("playwright.sync_api", reason="make test-viewer has playwright")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.read_csv(FIGURES / "15_claims_table.csv", keep_default_na=False)


def test_words_verdict_and_section_choose_rows_as_does_the_address(table, tmp_path):
    script = (REPOSITORY / "docs" / "javascripts" / "ledger.js").read_text(encoding="utf-8")
    page = f"<!doctype html><script>{script}</script>{ledger(table, [])}"
    (tmp_path / "ledger.html").write_text(page, encoding="utf-8")
    address = f"file://{tmp_path}/ledger.html"
    verdicts = table[["verdict", *(name for name in table if name.startswith("verdict "))]]
    found = table[(verdicts == "found").any(axis=1)]
    section = found["section"].value_counts().index[0]
    both = found[found["section"] == section]
    assert 0 < len(both) < len(found) < len(table)
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.set_default_timeout(60_000)

        def shown() -> list[str]:
            rows = opened.locator("#ledger-table tbody tr:visible").all()
            count = opened.inner_text("#ledger-count")
            assert count == f"{len(rows)} of {len(table)}"
            return [row.get_attribute("id") for row in rows]

        opened.goto(address)
        assert shown() == table["claim"].tolist()
        opened.select_option("#ledger-verdict", label="found")
        assert shown() == found["claim"].tolist()
        opened.select_option("#ledger-section", label=section)
        assert shown() == both["claim"].tolist()
        opened.fill("#ledger-words", f"{both['claim'].iloc[0]} no-such-word")
        assert shown() == []
        opened.fill("#ledger-words", both["claim"].iloc[0].lower())
        assert both["claim"].iloc[0] in shown()
        opened.goto(f"{address}?verdict=found")
        assert shown() == found["claim"].tolist()
        browser.close()
