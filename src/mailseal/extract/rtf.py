r"""Text of RTF (Rich Text Format 1.9.1): one pass over its tokens. Notes, fields, hidden and deleted text go aside.

Pictures and embedded objects, which are written in hexadecimal or behind \\bin, are read as files.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mailseal.extract.codepage import decode
from mailseal.extract.transfer import say_fragment
from mailseal.extract.walk import Walk

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?[0-9]{1,10})? ?|\\'([0-9a-fA-F]{2})|\\(.)|([{}])|[\r\n]+|([^\\{}\r\n]++)|.", re.DOTALL
)
_BREAKS: Mapping[bytes, str] = {
    **dict.fromkeys((b"par", b"line", b"cell", b"row", b"nestcell", b"nestrow", b"sect", b"page", b"column"), "\n"),
    b"tab": "\t",
    b"emdash": "\u2014",
    b"endash": "\u2013",
    b"lquote": "\u2018",
    b"rquote": "\u2019",
    b"ldblquote": "\u201c",
    b"rdblquote": "\u201d",
    b"bullet": "\u2022",
    b"emspace": " ",
    b"enspace": " ",
    b"qmspace": " ",
}
_SYMBOLS: Mapping[bytes, str] = {b"~": "\u00a0", b"_": "\u2011", b"-": "", b"\n": "\n", b"\r": "\n", b"\t": "\t"}
_ASIDE = frozenset(
    b"footnote annotation atnid atnauthor header headerl headerr headerf footer footerl footerr footerf fldinst info "
    b"fonttbl colortbl stylesheet listtable listoverridetable revtbl generator xe tc rxe bkmkstart bkmkend datafield "
    b"listtext pntext shpinst sp sn sv userprops propname staticval docvar themedata colorschememapping rsidtbl "
    b"objclass objname nonshppict formfield ffname ffdeftext ffhelptext ffstattext mmath filetbl template".split()
)
_HEX = frozenset({b"pict", b"objdata", b"themedata", b"colorschememapping", b"datastore", b"blipuid"})
_TOGGLES = frozenset({b"v", b"deleted", b"webhidden"})
_CHARSETS: Mapping[int, int] = {
    77: 10000,
    128: 932,
    129: 949,
    134: 936,
    136: 950,
    161: 1253,
    162: 1254,
    163: 1258,
    177: 1255,
    178: 1256,
    186: 1257,
    204: 1251,
    222: 874,
    238: 1250,
}
_NO_HEX = re.compile(rb"[^0-9a-fA-F]")
_MAX_SKIP = 16


@dataclass(slots=True)
class _Group:
    r"""What a group inherits: whether its text is set aside or hexadecimal, \\uc, the code page, hidden by what."""

    aside: bool = False
    is_hex: bool = False
    skip: int = 1
    page: int = 1252
    hidden: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class _Reader:
    octets: bytes
    walk: Walk
    text: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    group: _Group = field(default_factory=_Group)
    above: list[_Group] = field(default_factory=list)
    fonts: dict[int, int] = field(default_factory=dict)
    font: int = 0
    page: int = 1252
    to_skip: int = 0
    pending: list[bytes] = field(default_factory=list)
    hexadecimal: list[bytes] = field(default_factory=list)
    surrogate: int = 0

    def run(self) -> None:
        at = 0
        while found := _TOKEN.match(self.octets, at):
            at = found.end()
            word, number, escaped, symbol, brace, text = found.groups()
            if word is not None:
                at = self._word(word, number, at)
            elif brace is not None:
                self._brace(opens=brace == b"{")
            elif text is not None:
                self._octets(text)
            elif escaped is not None:
                self._octets(bytes.fromhex(escaped.decode("ascii")))
            elif symbol is not None:
                self._symbol(symbol)
        self._flush()
        self._end_hex()

    def _out(self) -> list[str]:
        return self.aside if self.group.aside or self.group.hidden else self.text

    def _flush(self) -> None:
        if self.pending:
            self._out().append(decode(b"".join(self.pending), self.group.page))
            self.pending.clear()

    def _octets(self, octets: bytes) -> None:
        if self.group.is_hex:
            self.hexadecimal.append(octets)
            return
        if self.to_skip:
            skipped = min(self.to_skip, len(octets))
            self.to_skip -= skipped
            octets = octets[skipped:]
        if octets:
            self.pending.append(octets)

    def _characters(self, text: str) -> None:
        self._flush()
        self.to_skip = 0
        self._out().append(text)

    def _brace(self, *, opens: bool) -> None:
        self._flush()
        self.to_skip = 0
        if opens:
            self.above.append(self.group)
            return
        if self.group.aside:
            self.aside.append("\n")
        was_hex = self.group.is_hex
        self.group = self.above.pop() if self.above else _Group()
        if was_hex and not self.group.is_hex:
            self._end_hex()

    def _end_hex(self) -> None:
        digits = _NO_HEX.sub(b"", b"".join(self.hexadecimal))
        self.hexadecimal.clear()
        if digits:
            octets = bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
            say_embedded(octets, self.walk)

    def _symbol(self, symbol: bytes) -> None:
        if symbol in b"\\{}":
            self._octets(symbol)
        elif symbol != b"*":  # an unknown destination: read, since somebody may know it
            self._characters(_SYMBOLS.get(symbol, ""))
        elif not self.group.is_hex:
            self._change(aside=True)

    def _change(self, **changes: object) -> None:
        self._flush()
        self.group = replace(self.group, **changes)  # type: ignore[arg-type]  # names and types as of _Group

    def _word(self, word: bytes, number: bytes | None, at: int) -> int:
        """One control word; where reading goes on."""
        value = int(number) if number else 0
        if word == b"bin":
            end = min(len(self.octets), at + max(value, 0))
            say_embedded(self.octets[at:end], self.walk)
            return end
        if word == b"u":
            self._unicode(value & 0xFFFF)
        elif word in _BREAKS:
            self._characters(_BREAKS[word])
        elif word in _HEX:
            self._change(is_hex=True, aside=True)
        elif word in _ASIDE:
            self._change(aside=True, is_hex=False)
        elif word in _TOGGLES:
            off = number == b"0"
            self._change(hidden=self.group.hidden - {word} if off else self.group.hidden | {word})
        elif word == b"plain":
            self._change(hidden=frozenset())
        else:
            self._setting(word, value)
        return at

    def _setting(self, word: bytes, value: int) -> None:
        if word == b"uc":
            self._change(skip=min(max(value, 0), _MAX_SKIP))
        elif word == b"ansicpg":
            self.page = value
            self._change(page=value)
        elif word == b"f":
            self.font = value
            self._change(page=self.fonts.get(value, self.page))
        elif word == b"fcharset" and len(self.fonts) < 10_000:
            self.fonts[self.font] = _CHARSETS.get(value, self.page)

    def _unicode(self, unit: int) -> None:
        if 0xD800 <= unit < 0xDC00:
            self.surrogate = unit
        elif 0xDC00 <= unit < 0xE000 and self.surrogate:
            self._characters(chr(0x10000 + ((self.surrogate - 0xD800) << 10) + unit - 0xDC00))
            self.surrogate = 0
        else:
            self._characters(chr(unit))
        self.to_skip = self.group.skip


def read_rtf(octets: bytes, walk: Walk) -> None:
    """Say what RTF says; raises OverBudgetError."""
    reader = _Reader(octets[octets.find(b"{") :], walk)
    reader.run()
    walk.say("".join(reader.text))
    walk.say("".join(reader.aside), "aside")


def say_embedded(octets: bytes, walk: Walk) -> None:
    """A picture or an object (MS-OLEDS §2.2): the file that stands in it, from where it starts; its strings."""
    walk.budget.unpack(len(octets))
    start = min((at for at in map(octets[:8192].find, _MARKS) if at >= 0), default=0)
    say_fragment(octets[start:], walk, "object")
    if start:
        say_fragment(octets[:start], walk, "object")


_MARKS = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"PK\x03\x04", b"%PDF-", b"{\\rtf", b"\x89PNG", b"\xff\xd8\xff")
