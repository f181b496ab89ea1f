"""The console in a real Chromium: both dashboards with live, moving data; a query drawn; nothing from elsewhere.

Screenshots are left in tests/out for people to look at.
"""

import re
import time

import pytest
from conftest import OUT, need, wait_until

CHROMIUM_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    executable = need("chromium", "chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page that fails the test on a script error or a request to another host."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page = context.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    page.on(
        "request",
        lambda request: request.url.startswith(("http://127.0.0.1:", "data:", "blob:"))
        or problems.append(f"request to {request.url}"),
    )
    yield page
    context.close()
    assert problems == []


@pytest.fixture
def machines(start_skywatch):
    """A server that watches this host, and two virtual machines written as the agent writes them."""
    server = start_skywatch(agent=True, console=True)
    now = int(time.time())
    lines = []
    for second in range(-600, 1, 10):
        for number, name in enumerate(["web-1", "db-1"]):
            tags = f"domain_name={name},host=kvm-01"
            busy = (second + 600) * 1_000_000 * (200 + 100 * number)
            lines += [
                f"libvirt_state,{tags} state=1i,reason=1i {now + second}",
                f"libvirt_cpu,{tags} user={busy // 2}i,system={busy // 2}i {now + second}",
                f"libvirt_balloon,{tags} current=1048576i,maximum=1048576i,rss=524288i {now + second}",
                f"libvirt_vcpu_total,{tags} current=1i,maximum=1i {now + second}",
            ]
    assert server.write("\n".join(lines), "telegraf", precision="s").status_code == 204
    wait_until(lambda: server.rows("SELECT last(usage_idle) FROM cpu", "telegraf"), "the host's CPU", 60)
    return server


def panel(page, title):
    return page.locator(f'section[aria-label="{title}"]').first


def drawn_pixels(page, title):
    """How many pixels of a panel's chart are not transparent; 0 when nothing is drawn."""
    return page.evaluate(
        """title => {
            const canvas = document.querySelector(`section[aria-label="${title}"] canvas`);
            if (!canvas || !canvas.width) return 0;
            const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let drawn = 0;
            for (let i = 3; i < data.length; i += 4) drawn += data[i] > 0;
            return drawn;
        }""",
        title,
    )


def picture(page, title):
    return page.evaluate(
        "title => document.querySelector(`section[aria-label=\"${title}\"] canvas`).toDataURL()", title
    )


def test_hosts_dashboard_shows_this_host_and_moves(machines, page):
    page.goto(f"{machines.console_url}/d/hosts?from=now-5m&to=now&refresh=5s")
    panel(page, "CPU by mode").wait_for()
    wait_until(lambda: page.wait_for_timeout(200) or drawn_pixels(page, "CPU by mode") > 500, "a drawn chart", 30)
    text = page.inner_text("body")
    assert "Hosts reporting" in text and "Memory used" in text
    before = picture(page, "CPU by mode")
    wait_until(
        lambda: page.wait_for_timeout(500) or picture(page, "CPU by mode") != before, "the chart to move by itself", 40
    )
    page.screenshot(path=OUT / "console-hosts.png")


def test_virtual_machines_dashboard_names_each_machine(machines, page):
    page.goto(f"{machines.console_url}/d/virtual-machines?from=now-15m&to=now")
    panel(page, "CPU by virtual machine").wait_for()
    wait_until(
        lambda: page.wait_for_timeout(200) or drawn_pixels(page, "CPU by virtual machine") > 500, "a drawn chart", 30
    )
    table = panel(page, "Virtual machines").inner_text()
    for word in ("web-1", "db-1", "running"):
        assert word in table, table
    # 200 ms and 300 ms of CPU time a second, in user and system mode: the rates of the counters.
    legend = panel(page, "CPU by virtual machine").inner_text()
    assert re.search(r"20\.0\s*%", legend) and re.search(r"30\.0\s*%", legend), legend
    page.screenshot(path=OUT / "console-virtual-machines.png")


def test_one_click_leads_from_the_front_page_to_the_hosts(machines, page):
    page.goto(machines.console_url)
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Hosts").click()
    panel(page, "CPU by mode").wait_for()
    page.screenshot(path=OUT / "console-one-click.png")


def test_explore_draws_any_query_and_shows_the_position_of_an_error(machines, page):
    page.goto(f"{machines.console_url}/explore")
    editor = page.get_by_role("textbox", name="InfluxQL query")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("SELECT mean(usage_idle) FROM cpu WHERE time > now() - 5m GROUP BY time(10s)")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    page.locator("canvas").first.wait_for()
    page.screenshot(path=OUT / "console-explore.png")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("SELECT mean(usage_idle) FORM cpu")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    page.get_by_text("found FORM, expected FROM").first.wait_for()


def test_light_and_narrow(machines, browser):
    context = browser.new_context(viewport={"width": 480, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.goto(f"{machines.console_url}/d/hosts?from=now-5m&to=now")
    panel(page, "CPU by mode").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "no sideways scrolling"
    page.screenshot(path=OUT / "console-narrow.png")
    context.close()


def test_unknown_pages_say_so_and_headers_protect(machines, page):
    answer = machines.session.get(f"{machines.console_url}/api/info", timeout=10)
    assert answer.status_code == 200
    assert "default-src" in answer.headers["Content-Security-Policy"] or "self" in answer.headers["Content-Security-Policy"]
    page.goto(f"{machines.console_url}/nowhere")
    page.get_by_text(re.compile("no such page|not found|nothing here", re.I)).first.wait_for()
