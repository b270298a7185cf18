"""A letter's HTML: nothing acts, nothing loads, and what is harmless stays."""

from __future__ import annotations

import json
import os
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from appliance.mail.decoding import decoded_text
from appliance.mail.structure import structure_of
from web import sanitise
from web.sanitise import ATTRIBUTES, LIMIT, TAGS, TooLarge, shown
from web.styles import PROPERTIES, dressed
from web.tidy import DEPTH, tidied

INLINE = "/inline/1/2?s=x"


def part_url(content_id: str) -> str | None:
    return INLINE if content_id == "logo@shop" else None


def clean(html: str) -> str:
    return shown(html, part_url).html


class Inspector(HTMLParser):
    """Everything in a page that could act or load, by our own reading of it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.bad: list[str] = []
        self.deepest = self._depth = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.bad.append(f"<{tag}>")
        if tag not in {"br", "col", "hr", "img", "wbr"}:
            self._depth += 1
            self.deepest = max(self.deepest, self._depth)
        for name, value in attrs:
            self._attribute(tag, name, value or "")

    def handle_endtag(self, tag: str) -> None:
        self._depth -= 1

    def handle_comment(self, data: str) -> None:
        self.bad.append(f"comment {data}")

    def handle_decl(self, decl: str) -> None:
        self.bad.append(f"declaration {decl}")

    def unknown_decl(self, data: str) -> None:
        self.bad.append(f"declaration {data}")

    def handle_pi(self, data: str) -> None:
        self.bad.append(f"instruction {data}")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        ours = {"a": {"target", "rel"}, "img": {"loading"}}.get(tag, set())
        known = ATTRIBUTES.get(tag, frozenset()) | ATTRIBUTES["*"] | ours
        if name not in known:
            self.bad.append(f"{tag} {name}={value}")
        elif name == "href" and urlsplit(value.strip()).scheme.lower() not in {
            *("http", "https", "mailto", "tel"),
        }:
            self.bad.append(f"{tag} href={value}")
        elif (
            name == "src"
            and value != INLINE
            and not re.fullmatch(
                r"data:image/(png|jpe?g|gif|webp|bmp);base64,[\w+/=\s]*", value, re.IGNORECASE
            )
        ):
            self.bad.append(f"{tag} src={value}")
        elif name == "style":
            self._style(value)

    def _style(self, value: str) -> None:
        for declaration in value.split(";"):
            name, _, body = declaration.partition(":")
            called = set(re.findall(r"([\w-]+)\s*\(", body))
            if name.strip() not in PROPERTIES or called - {"rgb", "rgba", "hsl", "hsla"}:
                self.bad.append(f"style {declaration}")
            if re.search(r"[\\<>@{}]|/\*", body):
                self.bad.append(f"style {declaration}")


def harmless(html: str) -> list[str]:
    """What is not: [] when all is well."""
    return Inspector(html).bad


def skeleton(html: str) -> list[str]:
    """Tags with their attributes in order, and the texts between."""
    pieces = re.split(r"(<[^>]*>)", html)
    return [" ".join(sorted(piece.strip("<>").split())) for piece in pieces]


SHAPES = {
    "svg use data": '<svg><use href="data:image/s\tvg+xml;base64,PHN2Zz4="></use></svg>',
    "svg animate": '<svg><a><animate attributeName="href " values="javascript:alert(1)"/>x</a>',
    "svg set": "<svg><set attributeName=onmouseover to=alert(1)>",
    "svg by": "<svg><animate attributeName=href by=javascript:alert(1)>",
    "svg fill": '<svg><rect fill="url(https://t.example/x)"/></svg>',
    "svg feimage": '<svg><filter><feImage href="https://t.example/x"/></filter></svg>',
    "body attributes": '<body onload=alert(1) background="x);background:url(//t.example">x</body>',
    "css escape": r'<p style="backgr\ound-image:\ur\l(https://t.example/x)">x</p>',
    "css comment": '<p style="background:u/**/rl(https://t.example/x)">x</p>',
    "css var": '<p style="--x:url(https://t.example);background:var(--x,url(//t.example))">x</p>',
    "css image-set": "<p style=\"background:image-set('https://t.example/x' 1x)\">x</p>",
    "css cross-fade": '<p style="background:cross-fade(url(a),url(b))">x</p>',
    "css unclosed": '<p style="background:url(https://t.example/x">x</p>',
    "css expression": '<p style="width:expression(alert(1))">x</p>',
    "css entity": '<p style="background&#58;url&#40;https://t.example/x&#41;">x</p>',
    "css quote": "<p style=\"font-family:'a;background:url(//t.example)'\">x</p>",
    "css behavior": '<p style="behavior:url(x.htc);-moz-binding:url(x)">x</p>',
    "fixed overlay": '<div style="position:fixed !important;top:0;left:0;width:100%">x</div>',
    "style import": '<style>@import "https://t.example/x.css";</style><p>x</p>',
    "style in attribute end": '<style><a title="</style><img src=x onerror=alert(1)>">',
    "link": "<link rel=stylesheet href=http://192.168.1.1/x.css>",
    "dns prefetch": "<link rel=dns-prefetch href=//t.example>",
    "meta refresh": '<meta http-equiv=refresh content="0;url=javascript:alert(1)">',
    "base": '<base href="https://t.example/"><a href="x">x</a>',
    "lan image": '<img src="http://192.168.0.1/admin?reboot=1">',
    "protocol relative": '<img src="//t.example/x.gif"><a href="//t.example">x</a>',
    "own addresses": '<img src="/message/1/source"><a href="/sign-out">x</a><a href="#x">y</a>',
    "srcset": '<img srcset="https://t.example/x 2x" src="x"><picture><source srcset="//t/x">',
    "poster": '<video poster="https://t.example/x" src=x onerror=alert(1)></video>',
    "input image": "<input type=image src=x onerror=a(1)><button formaction=javascript:a(1)>x",
    "form": '<form action="https://t.example"><input name=password><textarea>x</textarea></form>',
    "iframe": '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    "object": '<object data="data:text/html,<script>alert(1)</script>"></object><embed src=x>',
    "javascript": '<a href="java\tscript:alert(1)">x</a><a href=" javascript:alert(1)">x</a>',
    "javascript entity": '<a href="&#106;avascript&colon;alert(1)">x</a>',
    "vbscript": '<a href="vbscript:x">x</a><a href="file:///etc/passwd">x</a>',
    "data link": '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    "data svg": '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
    "data html image": '<img src="data:text/html;base64,PHN2Zz4=">',
    "cid link": '<a href="cid:logo@shop">x</a><img src="cid:unknown">',
    "handlers": '<p onclick=a() ONMOUSEOVER="b()" onfocus=c() autofocus tabindex=1>x</p>',
    "unquoted slash": "<img/src=x/onerror=alert(1)>",
    "null in name": "<scr\x00ipt>alert(1)</scr\x00ipt><img src=x on\x00error=alert(1)>",
    "mxss math": "<math><mtext><table><mglyph><style><!--</style>"
    '<img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">',
    "mxss noscript": '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "mxss xmp": '<xmp><p title="</xmp><img src=x onerror=alert(1)>">',
    "mxss title": '<title><p title="</title><img src=x onerror=alert(1)>">',
    "mxss template": '<template><p title="</template><img src=x onerror=alert(1)>">',
    "mxss comment": "<!--><img src=x onerror=alert(1)>--><!-- --!><img src=x onerror=alert(1)>",
    "mxss form": "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "annotation": '<math><annotation-xml encoding="text/html"><img src=x onerror=alert(1)>',
    "cdata": '<![CDATA[<img src=x onerror=alert(1)>]]><?xml version="1.0"?><?php x ?>',
    "clobbering": "<a id=body name=cookie></a><img name=getElementById><p class=js id=main>x</p>",
    "broken tag": "<img src=x onerror=alert(1)//",
    "nested tag": "<<script>script>alert(1)<</script>/script>",
    "quote break": '<p title="a\'b&quot;onclick=alert(1) x=&quot;">x</p>',
    "backtick": '<img alt="`onerror=alert(1)`" src=x>',
    "html in svg": '<svg></p><style><g title="</style><img src onerror=alert(1)>">',
    "select": "<select><option><style></option></select><img src=x onerror=alert(1)></style>",
    "plaintext": "<p>x<plaintext><img src=x onerror=alert(1)>",
    "isindex": "<isindex action=javascript:alert(1) type=image>",
    "ics ontoggle": "<details ontoggle=alert(1) open><summary>x</summary></details>",
}


@pytest.mark.parametrize("html", SHAPES.values(), ids=SHAPES.keys())
def test_shapes_of_known_attacks_come_out_harmless(html: str) -> None:
    assert harmless(clean(html)) == []
    # A second reading changes nothing: no markup that only appears when read again.
    again = clean(clean(html).replace(INLINE, "cid:logo@shop"))
    assert skeleton(again) == skeleton(clean(html))


def test_what_dresses_a_letter_stays() -> None:
    html = (
        '<table width="600" bgcolor="#eee" cellpadding="4"><tbody><tr><td align="center" '
        'colspan="2" '
        "style=\"padding:10px 5px; color:rgb(1, 2, 3); font-family:Arial, 'Segoe UI'\">"
        '<font color="red" size="4">Hello</font><br><b>you</b></td></tr></tbody></table>'
        "<ul><li>one<li>two</ul><blockquote>quoted</blockquote><pre>a  b</pre>"
    )
    out = clean(html)
    for kept in (
        'bgcolor="#eee"',
        'colspan="2"',
        "padding: 10px 5px",
        "color: rgb(1, 2, 3)",
        "Segoe UI",
        '<font color="red" size="4">',
        "<li>one</li><li>two</li>",
        "<pre>a  b",
    ):
        assert kept in out


def test_links_open_elsewhere_and_tell_nothing() -> None:
    out = clean('<a href="https://example.org/a?b=1&amp;c=2" target=_self rel=opener>x</a>')
    assert 'href="https://example.org/a?b=1&amp;c=2"' in out
    assert 'target="_blank"' in out
    assert 'rel="noopener noreferrer nofollow"' in out
    assert "_self" not in out


@pytest.mark.parametrize(
    "scheme", ["http://x.example", "https://x.example", "mailto:a@b.c", "tel:+491"]
)
def test_the_four_schemes_of_links_work(scheme: str) -> None:
    assert f'href="{scheme}"' in clean(f'<a href="{scheme}">x</a>')


def test_inline_images_get_their_signed_address_and_remote_ones_are_counted() -> None:
    out = shown(
        '<img src="cid:logo@shop"><img src="CID:other"><img src="https://a.example/1.gif">'
        '<img src="//a.example/2.gif"><img src="data:image/png;base64,AAAA">',
        part_url,
    )
    assert out.remote_images == 2
    assert f'src="{INLINE}"' in out.html
    assert 'src="data:image/png;base64,AAAA"' in out.html
    assert "a.example" not in out.html


def test_too_large_is_said_not_cut() -> None:
    with pytest.raises(TooLarge):
        shown("x" * (LIMIT + 1), part_url)


BOMBS = {
    "nesting": "<div>" * 50_000,
    "formatting left open": "<p>"
    + "".join(f"<font size={n}>" for n in range(300))
    + "</p>"
    + "<p>x</p>" * 20_000,
    "attributes": "<p " + " ".join(f"a{n}" for n in range(100_000)) + ">x",
    "unclosed comments": "<!--" * 100_000,
    "unclosed quotes": '<a b="' * 100_000,
    "unclosed tags": "<svg " * 100_000,
    "angle brackets": "<" * 200_000,
    "cells": "<td>" * 100_000,
    "tables": "<table>" * 50_000,
    "raw text": "<style>" * 100_000,
    "end tags": "</div>" * 200_000,
    "style": f'<p style="{"a:b;" * 200_000}">x</p>',
    "data image": f'<img src="data:image/png;base64,{"A" * 900_000}">',
    "entities": "&lt;" * 200_000,
    "spaces": "<p" + " " * 500_000 + ">",
}


@pytest.mark.parametrize("html", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_shallow_and_linear(html: str) -> None:
    """Each takes a small part of a second; without the first pass the first takes minutes."""
    begun = time.perf_counter()
    out = clean(html)
    assert time.perf_counter() - begun < 5
    assert harmless(out) == []
    assert Inspector(out).deepest <= DEPTH + 4


def test_tidying_loses_no_words() -> None:
    words = (
        "one <b>two <i>three</b> four</i> <p>five <li>six <unknown>seven</unknown> a < b & c > d"
    )
    text = re.sub(r"<[^>]*>", "", tidied(words, ATTRIBUTES))
    assert [w for w in text.split() if w.isalpha()] == [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "a",
        "b",
        "c",
        "d",
    ]


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        ("color: red", "color: red"),
        ("COLOR:#FFF;margin:0 auto!important", "color: #FFF; margin: 0 auto!important"),
        ("background:url(x)", ""),
        ("background:rgb(0,0,0) url(x)", ""),
        ("position:absolute;color:red", "color: red"),
        ("width:calc(100% - 1px)", ""),
        ("color:red;" * 2000, ""),
        ("font:12px 'x", ""),
        ("color", ""),
        (":red", ""),
        ("", ""),
    ],
)
def test_styles_keep_what_dresses(style: str, kept: str) -> None:
    assert dressed(style) == kept


# -- corpora


@pytest.fixture(scope="session")
def attacks() -> Path:
    beside = Path(__file__).parents[3] / "shared" / "corpora"
    corpora = Path(os.environ.get("HAUSPOST_CORPORA", beside))
    if not (corpora / "html_attacks").is_dir():
        pytest.skip("the mail corpora are not beside the checkout")
    return corpora / "html_attacks"


@pytest.mark.corpora
def test_every_attack_of_dompurify_comes_out_harmless(attacks: Path) -> None:
    cases = json.loads((attacks / "dompurify" / "cases.json").read_text("utf-8"))
    assert len(cases) > 200
    found = {case["title"]: harmless(clean(case["payload"])) for case in cases}
    assert {title: bad for title, bad in found.items() if bad} == {}


@pytest.mark.corpora
def test_every_page_of_the_attack_mails_comes_out_harmless(attacks: Path) -> None:
    seen = 0
    for path in sorted((attacks / "cw-l-email-corpus").glob("**/*.eml")):
        octets = path.read_bytes()
        for _, part in structure_of(octets).walk():
            if (part.media_type, part.subtype) == ("text", "html"):
                source = decoded_text(octets, part)
                if len(source) <= sanitise.LIMIT:
                    assert harmless(clean(source)) == [], path.name
                    seen += 1
    assert seen > 50
