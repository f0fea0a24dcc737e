"""Paragraphs and lists made of claims. No torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from emotion_utils.report.claims import Claim
from emotion_utils.report.exhibits import Exhibited, Shown


class Prose:
    """One section's generated text: claims, gathered into paragraphs and list items."""

    def __init__(self, results: Exhibited, section: str, css: str = "") -> None:
        self.results, self.section, self.css = results, section, css
        self.names = results.exhibits
        self._blocks: list[tuple[str, list[Claim]]] = []

    def paragraph(self) -> None:
        """What is said from here on is a new paragraph."""
        self._blocks.append(("p", []))

    def item(self) -> None:
        """What is said from here on is an item of a list."""
        self._blocks.append(("li", []))

    def say(self, template: str, *, metric: str = "", comparison: str = "value", **values: Any) -> None:
        """Adds one sentence (see claims.py for the template)."""
        if not self._blocks:
            self.paragraph()
        self._blocks[-1][1].append(Claim(self.section, template, values, metric, comparison, self.names))

    def echo(self, claims: Iterable[Claim]) -> None:
        """Adds sentences that another section has made."""
        for claim in claims:
            self.say(claim.template, metric=claim.metric, comparison=claim.comparison, **claim.values)

    @property
    def claims(self) -> list[Claim]:
        return [claim for _, claims in self._blocks for claim in claims]

    def markdown(self) -> str:
        """The text as Markdown, a paragraph for each block."""
        return "\n\n".join(" ".join(claim.markdown for claim in claims) for _, claims in self._blocks if claims)

    def show(self) -> Shown:
        """The text as HTML, each model that rests on proxy weights marked at its first mention."""
        proxies = set(self.results.proxies)
        html, inside = "", False
        for kind, claims in self._blocks:
            if not claims:
                continue
            sentences = " ".join(claim.html(proxies) for claim in claims)
            html += "<ul>" * (kind == "li" and not inside) + "</ul>" * (kind == "p" and inside)
            html += f"<{kind}>{sentences}</{kind}>"
            inside = kind == "li"
        css = f"prose {self.css}".strip()
        return Shown(f'<div class="{css}">{html}{"</ul>" * inside}</div>')
