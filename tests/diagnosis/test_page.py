"""The page of a diagnosis, read by a parser: whole, valid, escaped, small, and the same findings as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis import Diagnosis, Finding
from wellbegun.diagnosis.page import render_page
from wellbegun.errors import MissingExtraError, OutputError

VOID = {"meta", "br", "link", "img", "input", "hr"}
HOSTILE = "</code><script>alert('x')</script><img src=\"http://evil/\" onerror=alert(2)>{{ 7*7 }}&amp;"


class Page(HTMLParser):
    """Elements with their attributes and text; fails on tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = (tag, dict(attrs), [])
        assert len(dict(attrs)) == len(attrs)
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for _, _, words in self._open:
            words.append(data)

    def all(self, *tags: str) -> list[tuple[str, dict[str, str | None], str]]:
        return [(tag, given, "".join(words)) for tag, given, words in self.elements if tag in tags]

    def texts(self, *tags: str) -> list[str]:
        return [text for _, _, text in self.all(*tags)]


def chain(activation: type[nn.Module], depth: int, width: int = 32) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(*hidden, nn.Linear(width, 4))


def batch(width: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(3)
    return torch.randn(48, width, generator=made), torch.randint(4, (48,), generator=made)


@pytest.fixture(scope="module")
def deep() -> Diagnosis:
    torch.manual_seed(0)
    return wb.diagnose(chain(nn.ReLU, 20), batch(), theory=True)


@pytest.fixture(scope="module")
def page(deep) -> Page:
    return Page(render_page(deep))


def test_the_verdict_comes_first_and_headings_are_in_order(deep, page) -> None:
    headings = [(tag, text) for tag, _, text in page.all("h1", "h2", "h3", "h4")]
    findings = [("h3", f"{f.level}{f.kind} at {f.layer}") for f in deep.findings]
    assert headings == [
        ("h1", deep.verdict), ("h2", "Findings"), *findings, ("h2", "From layer to layer"), ("h2", "Layers"),
    ]  # fmt: skip
    assert page.texts("title")[0] == deep.verdict
    assert page.elements[0][:2] == ("html", {"lang": "en"})


def test_the_page_and_json_tell_the_same_findings(deep, page) -> None:
    told = json.loads(deep.to_json())
    assert len(told["findings"]) >= 2
    articles = [" ".join(text.split()) for text in page.texts("article")]
    assert articles == [
        f"{f['level']}{f['kind']} at {f['layer']} {f['message']}. Mend: {f['remedy']}." for f in told["findings"]
    ]
    assert page.texts("h1") == [told["verdict"]]


def test_the_table_has_every_layer_and_every_number(deep, page) -> None:
    heads = [given for _, given, _ in page.all("th") if given.get("scope") == "col"]
    assert [given["data-name"] for given in heads] == [
        *("order of execution", "layer", "activation", "signal", "signal by theory", "gradient"),
        *("gradient by theory", "dead", "saturated", "cosine"),
    ]
    assert [given.get("aria-sort") for given in heads] == ["ascending", *[None] * 9]
    assert page.texts("button") == [*"# layer activation signal theory gradient theory dead saturated cosine".split()]
    assert all(given == {"type": "button"} for _, given, _ in page.all("button"))
    names = [text for _, given, text in page.all("th") if given.get("scope") == "row"]
    assert names == [layer.name for layer in deep.layers]
    cells = page.texts("td")
    rows = [cells[place : place + 9] for place in range(0, len(cells), 9)]
    assert len(rows) == 21
    for place, (row, layer) in enumerate(zip(rows, deep.layers, strict=True), start=1):
        assert row[:2] == [str(place), layer.activation]
        assert float(row[2]) == pytest.approx(layer.signal, rel=0.005)
        assert float(row[4]) == pytest.approx(layer.gradient, rel=0.005)
        assert row[6] == (f"{layer.dead:.1%}" if layer.activation else "")
    guilty = {finding.layer for finding in deep.findings if finding.level == "error"}
    marked = [given.get("class") == "faulty" for tag, given, _ in page.all("tr")][1:]
    assert marked == [layer.name in guilty for layer in deep.layers]


def test_nothing_is_loaded_and_only_the_page_s_own_script_runs(deep, page) -> None:
    for tag, given, _ in page.all(*{element[0] for element in page.elements}):
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form"}
        for key in ("src", "href", "xlink:href", "action", "data"):
            assert (given.get(key) or "#").startswith("#")
        assert not any(key.startswith("on") for key in given)
    (style,) = page.texts("style")
    assert "url(" not in style
    assert "@import" not in style
    assert "@font-face" not in style
    (script,) = page.texts("script")
    policy = next(given["content"] for _, given, _ in page.all("meta") if "http-equiv" in given)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}';" in policy
    assert script.isascii()
    assert not re.search(r"fetch|XMLHttp|import|eval|innerHTML", script)
    for one, other in ("()", "[]", "{}"):
        assert script.count(one) == script.count(other)


def test_ids_are_unique_and_references_lead_somewhere(page) -> None:
    ids = [given["id"] for _, given, _ in page.all(*{e[0] for e in page.elements}) if "id" in given]
    assert len(ids) == len(set(ids))
    attributes = [value or "" for _, given, _ in page.elements for value in given.values()]
    wanted = {name for value in attributes for name in re.findall(r"url\(#([^)]+)\)|^#(.+)$", value) for name in name}
    wanted |= {given["aria-labelledby"] for _, given, _ in page.elements if "aria-labelledby" in given}
    assert wanted - {""}
    assert wanted - {""} <= set(ids)


def test_drawings_have_names_and_take_the_page_s_colours(page) -> None:
    drawings = [(given, text) for tag, given, text in page.all("svg")]
    names = ["signal", "gradient", "cosine between inputs", "lost units", "outputs", "activations", "phase diagram"]
    assert [given["aria-label"] for given, _ in drawings] == names
    assert all(given["role"] == "img" for given, _ in drawings)
    styles = " ".join(given.get("style") or "" for _, given, _ in page.elements)
    (sheet,) = page.texts("style")
    used = set(re.findall(r"var\((--\w+)\)", styles))
    assert used == {
        *("--paper", "--ink", "--quiet", "--grid", "--fault", "--measured", "--theory"),
        *("--ordered", "--chaotic", "--unbounded"),
    }  # fmt: skip
    light, dark = sheet.split("prefers-color-scheme: dark", 1)
    for name in used:
        assert f"{name}: #" in light
        assert f"{name}: #" in dark
    assert not set(re.findall(r"#[0-9a-f]{6}", styles)) - {"#000000"}


def test_names_of_users_are_text() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module(HOSTILE, nn.Linear(32, 32))
            self.head = nn.Linear(32, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.tanh(self._modules[HOSTILE](x)))

    model = Named()
    Named.__name__ = HOSTILE
    with torch.no_grad():
        model._modules[HOSTILE].weight.fill_(1.0)
    found = wb.diagnose(model, batch())
    assert any(finding.layer == f"{HOSTILE}.weight" for finding in found.findings)
    text = render_page(found)
    page = Page(text)
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert page.texts("h1") == [found.verdict]
    assert HOSTILE in found.verdict
    assert f"{HOSTILE}.weight" in page.texts("th")
    assert page.texts("p")[0].startswith(f"{HOSTILE}: 2 layers, ")
    assert f"{HOSTILE}" not in found._repr_html_()
    assert "&lt;script&gt;" in found._repr_html_()


def test_half_a_surrogate_pair_in_a_name_is_written_as_its_number(deep, tmp_path) -> None:
    layers = (replace(deep.layers[0], name="a\ud800b"), *deep.layers[1:])
    found = replace(deep, facts=replace(deep.facts, layers=layers))
    found.save_html(tmp_path / "page.html")
    assert "a\\ud800b" in (tmp_path / "page.html").read_text("utf-8")


def test_the_same_diagnosis_gives_the_same_text(deep) -> None:
    assert render_page(deep) == render_page(deep)


def test_a_sound_network_of_100_layers_fits_far_below_2_mb(tmp_path: Path) -> None:
    model = chain(nn.Tanh, 100)
    wb.initialize(model, batch()[0], seed=0)
    found = wb.diagnose(model, batch(), theory=True)
    found.save_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 300_000
    page = Page((tmp_path / "page.html").read_text("utf-8"))
    assert len(page.all("tr")) == 102
    assert page.all("h1")[0][1:] == ({"class": "sound"}, "sound: no faults found")
    assert "nothing stands in the way of training" in " ".join(page.texts("p"))
    assert page.all("article") == []


def test_3000_layers_with_long_names_stay_below_2_mb(deep) -> None:
    named = [f"transformer.blocks.{k}.mixture.experts.{k}.feed_forward.weight" for k in range(3000)]
    layers = tuple(replace(deep.layers[k % 20], name=name) for k, name in enumerate(named))
    bands = tuple(deep.facts.bands[k % 20] for k in range(3000))
    text = render_page(replace(deep, facts=replace(deep.facts, layers=layers, bands=bands)))
    assert len(text.encode()) < 2_000_000
    assert text.count("<tr>") == 3001


def test_a_skeleton_and_a_network_that_is_not_finite_have_pages() -> None:
    with wb.skeleton():
        empty = chain(nn.Tanh, 4)
    page = Page(render_page(wb.diagnose(empty, "vector:32", plan=wb.plan(empty, "vector:32", seed=1))))
    assert "nothing was run" in page.texts("p")[0]
    assert page.texts("button") == ["#", "layer", "activation", "signal", "gradient"]
    model = chain(nn.Tanh, 3)
    with torch.no_grad():
        model[4].weight[0, 0] = math.nan
    page = Page(render_page(wb.diagnose(model, batch())))
    assert page.texts("h1")[0].startswith("not sound: non-finite at 4.weight")
    assert "nan" not in page.texts("td")


def test_no_layers_and_no_place_in_a_finding_have_a_page(deep) -> None:
    finding = Finding("unused", "warning", "", "a parameter is not used", "take it out")
    found = replace(deep, facts=replace(deep.facts, layers=()), findings=(finding,))
    page = Page(render_page(found))
    assert page.all("svg") == []
    assert page.texts("h3") == ["warningunused"]
    assert page.all("h1")[0][1] == {"class": "warning"}
    assert len(page.all("tr")) == 1


def test_the_file_appears_whole_or_not_at_all(deep, tmp_path: Path, monkeypatch) -> None:
    target = tmp_path / "page.html"
    target.write_text("before")
    monkeypatch.setitem(sys.modules, "wellbegun.diagnosis.page_svg", None)  # the drawing fails
    with pytest.raises(ImportError):
        deep.save_html(target)
    assert target.read_text() == "before"
    monkeypatch.undo()
    with pytest.raises(OutputError, match="nowhere"):
        deep.save_html(tmp_path / "nowhere" / "page.html")
    deep.save_html(str(target))
    assert target.read_text("utf-8") == render_page(deep)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_without_the_extra_the_error_says_what_to_install(deep, tmp_path, monkeypatch, library: str) -> None:
    found = sys.modules["importlib.util"].find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == library else found(name))
    with pytest.raises(MissingExtraError, match=rf"{library}.*wellbegun\[report\]"):
        deep.save_html(tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []
