"""Octets to text: charsets by the names senders use, and a guess where they lie.

Only codecs from the table below are ever used: a charset label comes from a
stranger, and Python's registry also holds codecs that unpack archives or take
quadratic time. Nothing here raises; the result never holds a surrogate or NUL.
"""

from __future__ import annotations

import base64
import codecs
import re
from typing import Final

Octets = bytes | memoryview

_SURROGATE = re.compile("[\ud800-\udfff]")
_UTF7_BASE64 = re.compile(rb"\+[A-Za-z0-9+/]{2,}-?")
_NOT_NAME = re.compile(r"[^a-z0-9]+")

# WHATWG's windows-1252: the five octets the code page leaves undefined are C1 controls.
_WESTERN: Final = "".join(
    chr(n) if (c := bytes([n]).decode("cp1252", "replace")) == "\ufffd" else c for n in range(256)
)

_SAME: Final = {
    # A label that says less than its senders mean is read as the superset mail programs use.
    "western": "usascii ascii ansix341968 iso88591 iso885911987 latin1 l1 windows1252 cp1252 "
    "xcp1252 win1252 ansi xansi 8bit ibm819 cp819 csisolatin1 iso646us",
    "utf-8": "utf8 utf xutf8 unicode11utf8 csutf8 utf8mb4 utf8n unicode utf8bom",
    "utf-7": "utf7 unicode11utf7 unicode20utf7 xutf7 csutf7",
    "utf-16": "utf16 ucs2 iso10646ucs2",
    "utf-16-le": "utf16le unicodelittle",
    "utf-16-be": "utf16be unicodefffe",
    "utf-32": "utf32 ucs4 iso10646ucs4",
    "utf-32-le": "utf32le",
    "utf-32-be": "utf32be",
    "gb18030": "gb2312 gbk gb18030 cp936 ms936 windows936 xgbk csgb2312 euccn gb231280 gb231280t "
    "chinese xeuccn eucgb2312cn isoir58 csiso58gb231280 gb 936",
    "hz": "hz hzgb2312 hzgb",
    "big5hkscs": "big5 big5hkscs xbig5 cnbig5 csbig5 big5tw",
    "cp950": "cp950 windows950 ms950",
    "cp932": "shiftjis sjis xsjis mskanji cp932 windows31j windows932 csshiftjis ms932 shiftjisx",
    "euc_jis_2004": "eucjp xeucjp ujis cseucpkdfmtjapanese eucjpms",
    "iso2022_jp_ext": "iso2022jp iso2022jp1 iso2022jp2 iso2022jp3 csiso2022jp iso2022jpms "
    "cp50220 cp50221 cp50222 jis",
    "iso2022_jp_2004": "iso2022jp2004",
    "iso2022_kr": "iso2022kr csiso2022kr",
    "cp949": "euckr ksc56011987 ksc5601 ksc56011989 kscode5601 cp949 uhc windows949 ms949 "
    "korean ks cseuckr isoir149",
    "johab": "johab cp1361",
    "koi8-r": "koi8r koi8 cskoi8r koi",
    "koi8-u": "koi8u koi8ru",
    "cp1250": "windows1250 cp1250 xcp1250 win1250",
    "cp1251": "windows1251 cp1251 xcp1251 win1251 win cp51251",
    "cp1253": "windows1253 cp1253 xcp1253",
    "cp1254": "windows1254 cp1254 xcp1254 iso88599 latin5 iso885991989 csisolatin5 l5",
    "cp1255": "windows1255 cp1255 xcp1255",
    "cp1256": "windows1256 cp1256 xcp1256",
    "cp1257": "windows1257 cp1257 xcp1257",
    "cp1258": "windows1258 cp1258 xcp1258",
    "cp874": "tis620 iso885911 windows874 cp874 tis62025330 dos874 thai xwindows874",
    "iso8859-2": "iso88592 latin2 csisolatin2 iso885921987 l2",
    "iso8859-3": "iso88593 latin3 csisolatin3 l3",
    "iso8859-4": "iso88594 latin4 csisolatin4 l4",
    "iso8859-5": "iso88595 csisolatincyrillic cyrillic iso885951988",
    "iso8859-6": "iso88596 csisolatinarabic arabic iso88596i iso88596e asmo708",
    "iso8859-7": "iso88597 csisolatingreek greek greek8 iso885971987",
    "iso8859-8": "iso88598 iso88598i iso88598e csisolatinhebrew hebrew logical visual csiso88598i",
    "iso8859-10": "iso885910 latin6 l6 csisolatin6",
    "iso8859-13": "iso885913 latin7",
    "iso8859-14": "iso885914 latin8",
    "iso8859-15": "iso885915 latin9 l9 latin0 csiso885915",
    "iso8859-16": "iso885916 latin10",
    "cp437": "cp437 ibm437 cspc8codepage437",
    "cp737": "cp737 ibm737",
    "cp775": "cp775 ibm775",
    "cp850": "cp850 ibm850 cspc850multilingual",
    "cp852": "cp852 ibm852 cspcp852",
    "cp855": "cp855 ibm855",
    "cp857": "cp857 ibm857",
    "cp858": "cp858 ibm858 ibm00858",
    "cp862": "cp862 ibm862 dos862",
    "cp864": "cp864 ibm864",
    "cp865": "cp865 ibm865",
    "cp866": "cp866 ibm866 csibm866",
    "mac_roman": "macintosh mac macroman xmacroman csmacintosh xmacintosh",
    "mac_cyrillic": "maccyrillic xmaccyrillic xmacukrainian",
    "mac_latin2": "maccentraleurope xmacce macce",
    "mac_greek": "macgreek xmacgreek",
    "mac_turkish": "macturkish xmacturkish",
    "ptcp154": "ptcp154 cp154",
}
_CODEC: Final = {alias: name for name, aliases in _SAME.items() for alias in aliases.split()}
_SEVEN_BIT: Final = frozenset({"utf-7", "hz", "iso2022_jp_ext", "iso2022_jp_2004", "iso2022_kr"})
_WIDE: Final = frozenset({"utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})


def codec_of(label: str) -> str | None:
    """The codec for a charset label as senders write it, or None when nobody knows it.

    ``western`` is our own name for WHATWG's windows-1252.
    """
    if len(label) > 100:
        return None
    return _CODEC.get(_NOT_NAME.sub("", label.lower()))


def decode_text(octets: Octets, charset: str | None) -> str:
    """The text of these octets; ``charset`` is the sender's label or None."""
    plain = bytes(octets)
    codec = codec_of(charset) if charset else None
    if codec is None or codec in ("western", "utf-8"):
        text = _guess(plain) if codec != "western" else _western_unless_utf8(plain)
    else:
        text = _by(codec, plain)
    return clean(text)


def clean(text: str) -> str:
    """The text without NUL and without lone surrogates."""
    if "\0" in text:
        text = text.replace("\0", "")
    if _SURROGATE.search(text):
        # UTF-7 and JSON-like mailers write astral letters as two surrogates; join what pairs.
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _guess(plain: bytes) -> str:
    """UTF-8, else windows-1252 (UTF-16 by its byte order mark)."""
    if plain[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return plain.decode("utf-16", "replace")
    if plain.startswith(codecs.BOM_UTF8):
        plain = plain[3:]
    try:
        return plain.decode("utf-8")
    except UnicodeDecodeError:
        text = plain.decode("utf-8", "replace")
    # A text cut inside a letter, or with one damaged octet, is still UTF-8.
    damaged = text.count("\ufffd")
    sound = len(text) - len(text.encode("ascii", "ignore")) - damaged
    return text if damaged * 4 <= sound else _western(plain)


def _western(plain: bytes) -> str:
    return codecs.charmap_decode(plain, "strict", _WESTERN)[0]


def _western_unless_utf8(plain: bytes) -> str:
    """Latin-1 as labelled; but octets that are valid UTF-8 are never Latin-1 by chance."""
    try:
        return plain.decode("utf-8")
    except UnicodeDecodeError:
        return _western(plain)


def _by(codec: str, plain: bytes) -> str:
    if codec == "utf-7":
        return _utf7(plain)
    if codec in _WIDE:
        return _wide(codec, plain)
    try:
        return plain.decode(codec)
    except (UnicodeDecodeError, ValueError):
        pass
    if codec in _SEVEN_BIT and not plain.isascii():
        # 8-bit octets under a 7-bit label: the label is the lie.
        return _guess(plain)
    try:
        plain_utf8 = plain.decode("utf-8")
    except UnicodeDecodeError:
        return plain.decode(codec, "replace")
    return plain_utf8


def _wide(codec: str, plain: bytes) -> str:
    if plain.isascii() and b"\0" not in plain:
        return plain.decode("ascii")  # labelled UTF-16 by a program that sent ASCII
    if codec == "utf-16" and plain[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        codec = "utf-16-be"  # RFC 2781 §4.3
        if plain[1::2].count(0) > plain[::2].count(0):
            codec = "utf-16-le"
    text = plain.decode(codec, "replace")
    return text[1:] if text.startswith("\ufeff") else text


def _utf7(plain: bytes) -> str:
    """RFC 2152, tolerant: a run that does not decode stays as it is."""

    def run(match: re.Match[bytes]) -> bytes:
        coded = match.group().strip(b"+-") if match.group().endswith(b"-") else match.group()[1:]
        coded = coded[: len(coded) - (1 if len(coded) % 4 == 1 else 0)]
        wide = base64.b64decode(coded + b"=" * (-len(coded) % 4))
        wide = wide[: len(wide) - len(wide) % 2]
        return wide.decode("utf-16-be", "replace").encode("utf-8")

    try:
        return plain.decode("utf-7")
    except (UnicodeDecodeError, ValueError):
        pass
    if not plain.isascii():
        return _guess(plain)
    return _UTF7_BASE64.sub(run, plain).replace(b"+-", b"+").decode("utf-8", "replace")
