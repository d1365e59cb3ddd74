"""Check a built site's own links: every file and every anchor that a page names.

    python docs/check_links.py docs/_build/html

Prints each link that leads nowhere and ends with status 1 if there is one. Links to
other sites are not followed: this runs without network.
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and the anchors that others may link to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect a tag's link and anchor."""
        for name, value in attrs:
            if value and name in ("id", "name"):
                self.anchors.add(value)
            elif value and name in ("href", "src"):
                self.links.append(value)


def broken_links(site: Path) -> Iterator[tuple[Path, str]]:
    """Find links that lead nowhere, as (page, link)."""
    pages = {path.resolve(): read(path) for path in pages_of(site)}
    for path, page in sorted(pages.items()):
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve()
            target = path if not parts.path else target
            anchor = unquote(parts.fragment)
            is_missing = not target.exists()
            if not is_missing and anchor and target in pages:
                is_missing = anchor not in pages[target].anchors
            if is_missing:
                yield path.relative_to(site.resolve()), link


def pages_of(site: Path) -> list[Path]:
    """List the pages; what the theme keeps in ``_static`` is none."""
    static = site / "_static"
    return [path for path in site.rglob("*.html") if static not in path.parents]


def read(path: Path) -> Page:
    """Read one page."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def main() -> int:
    """Check the site that the command line names."""
    site = Path(sys.argv[1])
    n_pages = len(pages_of(site))
    if not n_pages:
        print(f"{site} holds no page.")
        return 1
    broken = list(broken_links(site))
    for page, link in broken:
        print(f"{page}: {link} leads nowhere")
    print(f"{n_pages} pages, {len(broken)} broken links")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
