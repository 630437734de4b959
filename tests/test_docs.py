"""The pages: every link leads somewhere, and every picture is on a page."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.M | re.S)


def links(page: Path) -> list[str]:
    """Targets of all links and pictures of a page, code left out."""
    text = re.sub(r"`[^`\n]*`", "", FENCED.sub("", page.read_text(encoding="utf-8")))
    return LINK.findall(text)


def anchors(page: Path) -> set[str]:
    """What the headings of a page can be reached by, as GitHub makes it."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    heads = [re.sub(r"[*`]|\[([^\]]*)\]\([^)]*\)", r"\1", head) for head in re.findall(r"^#+ +(.+?) *$", text, re.M)]
    slugs = [re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads]
    return {slug if n == 0 else f"{slug}-{n}" for i, slug in enumerate(slugs) for n in [slugs[:i].count(slug)]}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = page if not path else (page.parent / path).resolve()
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_a_broken_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `thing`, two\n[a](#one-thing-two) [b](gone.md)\n```\n[c](no link)\n```\n")
    assert links(page) == ["#one-thing-two", "gone.md"]
    assert anchors(page) == {"one-thing-two"}


def test_every_picture_is_on_a_page() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    unused = [p.name for p in (ROOT / "docs" / "images").iterdir() if p.suffix != ".md" and p.resolve() not in shown]
    assert unused == []


def test_every_page_is_listed() -> None:
    listed = {(ROOT / "docs" / link).resolve() for link in links(ROOT / "docs" / "index.md")}
    others = {page for page in PAGES if page.parent == ROOT / "docs" and page.name != "index.md"}
    assert sorted(page.name for page in others - listed) == []
