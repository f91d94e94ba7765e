"""The page of a report: well-formed, of itself alone, escaped, its figures those of the JSON, small enough."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import msgspec
import pytest
from report_runs import BEGIN_NS, made

from sofia_streams.model import NS_PER_DAY
from sofia_streams.ops.report import charts
from sofia_streams.ops.report.making import make_baseline, make_report, write_report
from sofia_streams.ops.report.page import page
from sofia_streams.ops.report.records import Chart, Sweep, SweepTrial
from sofia_streams.ops.report.tables import GROUPS, shown

pytestmark = pytest.mark.slow

VOID = {"meta", "br", "hr", "img", "input", "link"}
EVIL = '<script>alert("1")</script>&'


class Reader(HTMLParser):
    """Checks that tags close in order; keeps attributes, and the text of figures by their place."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.figures, self.counts, self._into = [], [], {}, {}, None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        self._into = (self.figures, found["data-figure"]) if "data-figure" in found else None
        self._into = (self.counts, found["data-count"]) if "data-count" in found else self._into

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        self._into = None

    def handle_data(self, data):
        if self._into:
            where, name = self._into
            where.setdefault(name, []).append(data)


def full(minutes=35 * 1440, **options):
    """A report with everything in it."""
    run, prices = made(minutes, every=300, said_every=30)
    days = range(minutes // 1440 + 1)
    hold = make_baseline("hold", [(BEGIN_NS + day * NS_PER_DAY, 10.0 + day % 3) for day in days])
    trials = [SweepTrial({"size": str(n)}, 0.1, n / 50 if n else None, -0.1, 5) for n in range(40)]
    options = {"title": "Ours", "baselines": [hold], "sweep": Sweep(trials, 1), "rules": {"seed": "1"}} | options
    return make_report(run, prices=prices, **options)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    data, html = write_report(full(), tmp_path_factory.mktemp("report"))
    return msgspec.json.decode(data.read_bytes()), html.read_text()


def place(found, path):
    for name in path.split("."):
        found = found[name]
    return found


def test_every_figure_is_that_of_the_json(written):
    data, text = written
    seen = Reader(text)
    wanted = {path: how for rows in GROUPS.values() for _, path, how, _ in rows}
    assert set(seen.figures) == set(wanted)
    for path, texts in seen.figures.items():
        value = place(data["statistics"], path)
        assert set(texts) == {shown(value, wanted[path])}
    exact = {found["data-figure"]: found["title"] for _, found in seen.tags if "data-figure" in found}
    for path, text_of in exact.items():
        value = place(data["statistics"], path)
        assert (text_of == "null") if value is None else float(text_of) == pytest.approx(float(value), rel=1e-15)


def test_orders_months_and_fills_are_those_of_the_json(written):
    data, text = written
    seen, orders = Reader(text), data["statistics"]["orders"]
    counts = orders["by_status"] | orders["rejections"] | orders["endings"]
    assert {name: int(texts[0].replace(",", "")) for name, texts in seen.counts.items()} == counts
    months = [found for _, found in seen.tags if "data-month" in found]
    assert [one["data-month"] for one in months] == ["2024-01", "2024-02"]
    assert [float(one["title"].split()[0]) for one in months] == [one["value"] for one in data["statistics"]["months"]]
    marks = [found["class"] for tag, found in seen.tags if tag == "path" and found["class"] in ("buy", "sell")]
    assert marks == [one["side"] for chart in data["charts"] for one in chart["marks"]]
    assert len(marks) > 50


def test_charts_are_well_formed_xml_without_a_number_that_is_none(written):
    drawings = re.findall(r"<svg.*?</svg>", written[1], re.DOTALL)
    assert len(drawings) == 4
    for one in drawings:
        root = ET.fromstring(one)
        paths = [element.get("d") for element in root.iter("path")]
        assert paths
        assert all(re.fullmatch(r"[MLHVZlhz0-9. -]+", path) for path in paths)


def test_nothing_comes_from_elsewhere_and_nothing_runs(written):
    seen = Reader(written[1])
    assert not {"script", "link", "img", "iframe", "object", "embed", "use", "image"} & {tag for tag, _ in seen.tags}
    for _, attributes in seen.tags:
        assert not {"src", "href", "xlink:href", "srcset", "action"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"https?:|//[a-z]|url\(|@import", written[1])
    assert "prefers-color-scheme: dark" in written[1]


def test_everything_that_may_be_said_is_escaped():
    run, prices = made(200, every=5, symbols=(EVIL,))
    orders = [
        msgspec.structs.replace(one, reason=f"{EVIL}: why", status="rejected", purpose=EVIL) for one in run.orders
    ]
    trial = SweepTrial({EVIL: EVIL}, 0.0, 0.1, 0.0, 0)
    baseline = make_baseline(EVIL, [(BEGIN_NS, 1.0), (BEGIN_NS + NS_PER_DAY, 2.0)], note=EVIL)
    text = page(
        make_report(
            run._replace(orders=orders), title=EVIL, prices=prices, currency=EVIL, rules={EVIL: EVIL},
            warnings=[EVIL], baselines=[baseline], sweep=Sweep([trial], 0),
        )
    )  # fmt: skip
    assert "<script" not in text
    assert text.count("&lt;script&gt;") > 10
    Reader(text)


def test_the_least_there_can_be_is_a_page_too():
    run, _ = made(1, every=10**9)
    text = page(make_report(run, title="", prices={}))
    assert "NaN" not in text
    assert Reader(text).figures["ratios.sharpe"] == ["–", "–"]
    assert "null: expected at least 30 daily returns, found 0" in text
    page(make_report(run, title="", prices={"BTC/USDT": [], "ETH/USDT": [(BEGIN_NS, 5.0)]}))


def test_it_is_the_same_page_again():
    assert page(full(3 * 1440)) == page(full(3 * 1440))


def test_a_report_of_many_fills_stays_small(tmp_path):
    run, prices = made(90 * 1440, every=20, said_every=10, symbols=("A/B", "C/D", "E/F"))
    files = write_report(make_report(run, title="Ours", prices=prices), tmp_path)
    assert len(run.fills) > 10_000
    assert files[1].stat().st_size < 3_000_000
    assert files[0].stat().st_size < 3_000_000


@pytest.mark.parametrize(("span", "most", "step"), [(10.0, 5, 2.0), (0.07, 5, 0.02), (9e4, 4, 5e4), (1.0, 10, 0.1)])
def test_ticks_are_round(span, most, step):
    assert charts.nice_step(span, most) == pytest.approx(step)


def test_a_mark_points_at_its_price_from_below_for_a_buy_and_says_what_it_was():
    run, prices = made(300, every=20, symbols=("A/B",))
    report = make_report(run, title="", prices=prices)
    (chart,) = report.charts
    two = Chart(chart.symbol, chart.points, chart.marks[:2])
    text = charts.prices(two, height=280, span=(BEGIN_NS, report.until_ns), label="x")
    shape = r'<path class="(buy|sell)" d="M([0-9.]+) ([0-9.]+)l5 (-?9)h-10z"><title>(.*?)</title>'
    bought, sold = re.findall(shape, text, re.DOTALL)
    assert (bought[0], bought[3], sold[0], sold[3]) == ("buy", "9", "sell", "-9")
    first = chart.marks[0]
    assert bought[4].startswith(f"buy {first.quantity:f} at {first.price:f}\n2024-01-01 ")
    assert bought[4].endswith("\nentry")
