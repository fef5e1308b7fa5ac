"""A report's page taken apart."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = ("meta", "link", "img", "br", "input")


class Page(HTMLParser):
    """A page taken apart; complains about tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.tags: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [(tag, given[name] or "") for name in ("src", "href", "srcset", "action") if name in given]
        self.ids += [given["id"] or ""] if "id" in given else []
        if tag == "img":
            self.images.append(given)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        self.text += data
        if self._open and {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data.strip()

    def table(self, first_heading: str) -> list[dict[str, str]]:
        """Rows of the first table that begins with this heading."""
        for headings, *rows in self.tables:
            if headings[0] == first_heading:
                return [dict(zip(headings, row, strict=True)) for row in rows]
        raise AssertionError(f"no table of {first_heading}")

    def fact(self, name: str) -> str:
        """What stands beside a name."""
        lines = [line.strip() for line in self.text.splitlines()]
        return next(line.removeprefix(name) for line in lines if line.startswith(name) and line != name)
