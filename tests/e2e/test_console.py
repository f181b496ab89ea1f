"""The console in a real Chromium: both dashboards with live, moving data; a query drawn; the cluster; nothing from elsewhere.

Screenshots are left in tests/out for people to look at.
"""

import json
import re
import time

import pytest
import requests
from conftest import OUT, free_port, need, wait_until

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
    headings = panel(page, "Hosts").locator("th").all_inner_texts()
    assert "Host" in headings[0] and not [text for text in headings if "time" in text.lower().replace("uptime", "")], headings
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


FLUX_DASHBOARD = {
    "uid": "flux",
    "title": "In Flux",
    "schemaVersion": 42,
    "time": {"from": "now-15m", "to": "now"},
    "templating": {
        "list": [{"name": "bucket", "type": "query", "query": "buckets()", "regex": "/^(telegraf)\\/autogen$/"}]
    },
    "panels": [
        {
            "id": 1,
            "type": "timeseries",
            "title": "Memory",
            "gridPos": {"x": 0, "y": 0, "w": 24, "h": 10},
            "targets": [
                {
                    "refId": "A",
                    "query": 'from(bucket: "${bucket}") |> range(start: v.timeRangeStart, stop: v.timeRangeStop)'
                    ' |> filter(fn: (r) => r._measurement == "libvirt_balloon" and r._field == "rss")',
                }
            ],
        }
    ],
}


def type_query(page, language, text):
    """Types a query in place of what is in Explore's editor, and runs it."""
    page.get_by_role("textbox", name=f"{language} query").click()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")


def test_explore_speaks_flux_and_marks_an_error_at_its_place(machines, page):
    page.goto(f"{machines.console_url}/explore?from=now-15m&to=now")
    page.get_by_text("Flux", exact=True).click()
    page.wait_for_url(re.compile("lang=flux"))
    source = "from(bucket: v.bucket) |> range(start: v.timeRangeStart, stop: v.timeRangeStop)"
    type_query(page, "Flux", f'{source} |> filter(fn: (r) => r._measurement == "libvirt_balloon" and r._field == "rss")')
    page.locator("canvas").first.wait_for()
    text = page.locator('section[aria-label="Result"]').inner_text()
    assert "in 2 series" in text and "web-1" in text and "_value" in text, text
    page.screenshot(path=OUT / "console-explore-flux.png")

    # The place that the server names lies behind macros, which are longer than what they were typed as.
    type_query(page, "Flux", f"{source} |> filtr(fn: (r) => true)")
    page.get_by_text('undefined identifier "filtr"').first.wait_for()
    marked = page.locator(".cm-lintRange-error")
    marked.first.wait_for()
    assert marked.all_inner_texts() == ["filtr"]
    page.screenshot(path=OUT / "console-explore-flux-error.png")

    # Each language keeps its text, and the history knows which one a query was in.
    page.get_by_text("InfluxQL", exact=True).click()
    type_query(page, "InfluxQL", "SHOW MEASUREMENTS")
    page.get_by_text("libvirt_vcpu_total").last.wait_for()
    page.get_by_role("button", name="Earlier queries").click()
    page.get_by_role("menuitem", name=re.compile("libvirt_balloon.*Flux", re.S)).click()
    page.locator("canvas").first.wait_for()
    assert "lang=flux" in page.url


def test_explore_begins_with_flux_that_works(machines, page):
    # One point is no line.
    samples = "SELECT count(usage_idle) FROM cpu WHERE cpu = 'cpu-total'"
    wait_until(lambda: machines.rows(samples, "telegraf")[0][1] > 1, "a second sample of the host's CPU", 60)
    page.goto(f"{machines.console_url}/explore?lang=flux&from=now-5m&to=now")
    editor = page.get_by_role("textbox", name="Flux query")
    wait_until(lambda: page.wait_for_timeout(100) or "aggregateWindow" in editor.inner_text(), "a text to begin with")
    editor.click()
    page.keyboard.press("Control+Enter")
    page.locator("canvas").first.wait_for()


@pytest.fixture
def start_with_dashboard(start_skywatch, tmp_path):
    """A function that starts a server with a dashboard of the user's own, found under its uid."""

    def start(dashboard):
        dashboards = tmp_path / "dashboards"
        dashboards.mkdir()
        (dashboards / f"{dashboard['uid']}.json").write_text(json.dumps(dashboard))
        config = tmp_path / "skywatch.toml"
        config.write_text(f'[console]\ndashboards-dir = "{dashboards}"\n')
        server = start_skywatch("--config", config, console=True)
        server.query("CREATE DATABASE telegraf")
        return server

    return start


def test_a_dashboard_may_ask_in_flux(start_with_dashboard, page):
    server = start_with_dashboard(FLUX_DASHBOARD)
    now = int(time.time())
    lines = [f"libvirt_balloon,domain_name=web-1 rss={second + 600} {now + second}" for second in range(-600, 1, 10)]
    assert server.write("\n".join(lines), "telegraf", precision="s").status_code == 204
    page.goto(f"{server.console_url}/d/flux")
    wait_until(lambda: page.wait_for_timeout(200) or drawn_pixels(page, "Memory") > 500, "a drawn chart", 30)
    assert "web-1" in panel(page, "Memory").inner_text()
    page.screenshot(path=OUT / "console-dashboard-flux.png")
    # From the panel to Explore, where the query moves with the clock again.
    panel(page, "Memory").hover()
    panel(page, "Memory").get_by_role("button", name="Panel menu").click()
    page.get_by_role("menuitem", name="Explore query A").click()
    page.locator("canvas").first.wait_for()
    assert "lang=flux" in page.url
    assert "v.timeRangeStart" in page.get_by_role("textbox", name="Flux query").inner_text()


def target(query, **more):
    return {"refId": "A", "rawQuery": True, "query": query, "resultFormat": "time_series", **more}


# As Grafana saves it: states of machines with their words and colours, lines of a log, shares, and joined queries whose times
# are hidden by the names that Grafana gives them.
GRAFANA_DASHBOARD = {
    "uid": "grafana",
    "title": "Out of Grafana",
    "schemaVersion": 41,
    "time": {"from": "now-10m", "to": "now"},
    "panels": [
        {
            "id": 1,
            "type": "state-timeline",
            "title": "States",
            "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
            "fieldConfig": {
                "defaults": {
                    "mappings": [
                        {
                            "type": "value",
                            "options": {"1": {"text": "running", "color": "green"}, "5": {"text": "off", "color": "red"}},
                        }
                    ]
                },
                "overrides": [],
            },
            "targets": [
                target(
                    'SELECT last("state") FROM "libvirt_state" WHERE $timeFilter'
                    ' GROUP BY time($__interval), "domain_name" fill(none)',
                    alias="$tag_domain_name",
                )
            ],
        },
        {
            "id": 2,
            "type": "logs",
            "title": "Log",
            "gridPos": {"x": 12, "y": 0, "w": 12, "h": 8},
            "targets": [target('SELECT "message" FROM "syslog" WHERE $timeFilter GROUP BY "host"', resultFormat="logs")],
        },
        {
            "id": 3,
            "type": "piechart",
            "title": "Shares",
            "gridPos": {"x": 0, "y": 8, "w": 12, "h": 6},
            "targets": [target('SELECT last("state") FROM "libvirt_state" WHERE $timeFilter GROUP BY "domain_name"')],
        },
        {
            "id": 4,
            "type": "table",
            "title": "Joined",
            "gridPos": {"x": 12, "y": 8, "w": 12, "h": 6},
            "targets": [
                target(f'SELECT last("state") AS "{name}" FROM "libvirt_state" WHERE $timeFilter GROUP BY "domain_name"')
                | {"refId": ref, "resultFormat": "table"}
                for ref, name in (("A", "one"), ("B", "two"))
            ],
            "transformations": [
                {"id": "joinByField", "options": {"byField": "domain_name", "mode": "outer"}},
                {"id": "organize", "options": {"excludeByName": {"Time 1": True, "Time 2": True}}},
            ],
        },
    ],
}


def test_a_dashboard_of_grafana_with_states_a_log_and_joined_tables(start_with_dashboard, page):
    server = start_with_dashboard(GRAFANA_DASHBOARD)
    now = int(time.time())
    lines = []
    for second in range(-600, 1, 10):
        lines.append(f"libvirt_state,domain_name=web-1 state={1 if second < -300 else 5}i {now + second}")
        lines.append(f"libvirt_state,domain_name=db-1 state=1i {now + second}")
    lines.append(f'syslog,host=kvm-01 message="the disk is slow" {now - 60}')
    assert server.write("\n".join(lines), "telegraf", precision="s").status_code == 204
    page.goto(f"{server.console_url}/d/grafana")
    page.get_by_role("img", name="web-1: off").wait_for()
    assert page.get_by_role("img", name="web-1: off").locator("span").all_inner_texts() == ["running", "off"]
    assert page.get_by_role("img", name="db-1: running").count() == 1
    assert re.search(r"\d\d:\d\d:\d\d\s+the disk is slow\s+host=kvm-01", panel(page, "Log").inner_text())
    assert "web-1" in panel(page, "Shares").inner_text()
    assert panel(page, "Joined").locator("th").all_inner_texts() == ["domain_name", "one", "two"]
    page.screenshot(path=OUT / "console-dashboard-grafana.png")


def test_copying_works_without_a_clipboard_and_suggestions_give_way_to_the_answer(machines, page):
    # As over plain HTTP from another machine.
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(f"{machines.console_url}/explore")
    editor = page.get_by_role("textbox", name="InfluxQL query")
    editor.click()
    page.keyboard.type("SELECT count(usage_idle) FROM cpu")
    page.keyboard.press("Control+Enter")
    page.get_by_text("1 row in 1 series").wait_for()
    page.wait_for_timeout(300)
    assert page.locator(".cm-tooltip-autocomplete").count() == 0
    page.get_by_role("button", name="Copy as curl").click()
    page.get_by_text("Copied").wait_for()
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Control+v")
    wait_until(lambda: "curl -sG" in editor.inner_text(), "what was copied")


def test_every_page_is_in_the_navigation_of_a_phone(machines, browser):
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(f"{machines.console_url}/alerts")
    links = page.get_by_role("navigation", name="Pages").get_by_role("link")
    names = links.all_text_contents()
    assert names == ["Overview", "Hosts", "Virtual machines", "Explore", "Alerts", "Cluster"], "what a screen reader says"
    for name in names:
        box = page.get_by_role("link", name=name, exact=True).bounding_box()
        assert 0 <= box["x"] and box["x"] + box["width"] <= 390, f"{name} can be seen"
    context.close()


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


def press(page, sequence, until):
    """A shortcut of several keys, pressed again, as anybody would, where a busy machine let more than a second pass between
    them."""
    page.locator("main").wait_for()

    def arrived():
        for key in sequence.split(" "):
            page.keyboard.press(key)
        return page.url.split("?")[0].endswith(until)

    wait_until(arrived, f"{sequence} to lead to {until}")


def test_a_single_server_says_that_it_is_one_and_how_to_have_a_cluster(machines, page):
    page.goto(machines.console_url)
    press(page, "g c", until="/cluster")
    page.get_by_text("This is a single server").wait_for()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy: make cluster").press("Enter")
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "make cluster"
    page.screenshot(path=OUT / "console-cluster-single.png")


def card(page, title):
    """A card's rows, each as the texts of its cells."""
    rows = page.locator(f'section[aria-label="{title}"] tbody tr').all()
    return [[cell.inner_text().strip() for cell in row.locator("td").all()] for row in rows]


def test_the_cluster_page_shows_who_is_how_and_what_to_do(start_cluster, browser):
    port = free_port()
    cluster = start_cluster(metas=3, data=2)
    first, second = cluster.data
    first.configure({"console": {"enabled": True, "bind": f"127.0.0.1:{port}"}})
    first.restart()
    cluster.ctl("node-labels", "set", "-nodeid", str(second.id), "-labels", '{"dc":"east","rack":"r7"}')
    cluster.settle()
    first.query("CREATE DATABASE db WITH REPLICATION 2")
    assert first.write("cpu,host=a value=1 1000000000", consistency="all").status_code == 204
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{port}/cluster")
    page.get_by_text("All is well").wait_for()

    nodes = {row[0].split()[-1]: row for row in card(page, "Data nodes")}
    assert {first.tcp, second.tcp} == set(nodes)
    assert nodes[first.tcp][1] == nodes[second.tcp][1] == "in step"
    assert nodes[second.tcp][2] == "east / r7" and nodes[first.tcp][2] == "\u2013"
    assert re.fullmatch(r"\d+\.\d+\.\d+", nodes[second.tcp][3]) and nodes[first.tcp][4] == "1"
    metas = {row[0].split()[-1]: row[1] for row in card(page, "Meta nodes")}
    assert metas.pop(cluster.leader().http) == "leader" and list(metas.values()) == ["follower"] * 2
    assert [row[0].split() + row[1:4] for row in card(page, "Copies")] == [["db", "autogen", "1", "2", "2"]]
    assert "Nothing waits for anybody" in page.locator('section[aria-label="Hinted handoff"]').inner_text()
    assert page.get_by_text("Kafka").count() == 0, "writes go to owners directly"
    page.screenshot(path=OUT / "console-cluster-light.png")

    # A frozen data node, a meta node that is gone, and what is kept meanwhile: seen without a reload.
    gone = next(meta for meta in cluster.metas if meta is not cluster.leader())
    gone.kill()
    second.freeze()
    for value in range(5):
        assert first.write(f"cpu,host=a value={value} {2 + value}000000000").status_code == 204
    page.get_by_text(f"Data node {second.tcp} does not answer").wait_for()
    page.get_by_text(f"Meta node {gone.http} does not answer").wait_for()
    assert page.get_by_text("2 things to look at").count() == 1
    assert page.get_by_role("navigation", name="Pages").get_by_label("2 to look at").count() == 1
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "no sideways scrolling"
    page.set_viewport_size({"width": 1440, "height": 900})
    wait_until(lambda: page.wait_for_timeout(200) or card(page, "Hinted handoff"), "a row of hinted handoff")
    by, to, writes, size, given_up = card(page, "Hinted handoff")[0]
    assert (by, to, writes, given_up) == (first.tcp, second.tcp, "5", "none") and size.endswith("B")
    command = page.get_by_role("button", name=re.compile("Copy: .* show -v")).first.get_attribute("aria-label")
    arguments = command.removeprefix("Copy: skywatch ctl ").split()
    assert second.tcp in cluster.ctl(*arguments[2:], bind=arguments[1]), "the command that it gives works"
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=OUT / "console-cluster-dark.png")

    second.thaw()
    gone.start()
    page.get_by_text("All is well").wait_for(timeout=60_000)
    assert card(page, "Hinted handoff") == []
    page.set_viewport_size({"width": 480, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "no sideways scrolling"
    page.screenshot(path=OUT / "console-cluster-narrow.png")
    context.close()


def test_the_cluster_is_shown_to_administrators_alone(start_cluster):
    port = free_port()
    cluster = start_cluster(metas=1, data=1)
    node = cluster.data[0]
    node.query("CREATE USER root WITH PASSWORD 'root-password' WITH ALL PRIVILEGES; CREATE USER reader WITH PASSWORD 'reader-password'")
    node.configure({"http": {"auth-enabled": True}, "console": {"enabled": True, "bind": f"127.0.0.1:{port}"}})
    node.restart()
    url = f"http://127.0.0.1:{port}/api/cluster"
    ask = lambda *user: requests.get(url, auth=user or None, timeout=10)  # noqa: E731
    wait_until(lambda: ask("root", "root-password").status_code == 200, "the console to answer")
    assert [row["tcp_addr"] for row in ask("root", "root-password").json()["data_nodes"]] == [node.tcp]
    assert ask().status_code == 401
    refused = ask("reader", "reader-password")
    assert refused.status_code == 403 and "reader" in refused.json()["error"]
    assert requests.get(url, auth=("root", "root-password"), headers={"Sec-Fetch-Site": "cross-site"}, timeout=10).status_code == 403
