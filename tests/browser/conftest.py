"""A headless Chromium, or a reason why there is none."""

import shutil

import pytest

SIZE = (1200, 950)


@pytest.fixture(scope="session")
def driver():
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="selenium is absent: make test-browser installs it"
    )
    from selenium.webdriver.chrome.service import Service

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    bridge = shutil.which("chromedriver")
    if browser is None or bridge is None:
        pytest.skip("chromium or chromedriver is absent: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in ("headless=new", "no-sandbox", "disable-gpu", "force-device-scale-factor=1"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(bridge))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def browser(driver):
    """A browser of the usual size, whose console stays empty."""
    driver.set_window_size(*SIZE)
    yield driver
    assert driver.get_log("browser") == []
