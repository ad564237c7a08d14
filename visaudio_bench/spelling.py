"""Two spellings of one name: what people, file systems and spreadsheets do to ids."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping

from visaudio_bench.errors import UsageError

# Blanks between digits tell numbers apart: "1 10" is not "11 0".
_BLANKS = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_ZEROS = re.compile(r"(?<![\d.,])0+(?=\d)")
_WHOLE = re.compile(r"(\d+)[.,]0+")
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan janv january januar", "feb févr fev february februar", "mar mrz mars march märz", "apr avr april",
            "may mai", "jun juin june juni", "jul juil july juli", "aug août august", "sep sept september",
            "oct okt october oktober", "nov november", "dec dez déc december dezember",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_DAY_MONTH = re.compile(r"(?P<day>\d{1,2})[-. ]{1,2}(?P<month>[^\W\d_]{3,9})\.?")
_MONTH_DAY = re.compile(r"(?P<month>[^\W\d_]{3,9})\.?[-. ]{1,2}(?P<day>\d{1,2})")
_YEARS = (
    re.compile(r"\d{4}-(?P<month>\d{1,2})-(?P<day>\d{1,2})( 00:00(:00)?)?"),
    re.compile(r"(?P<month>\d{1,2})[/.](?P<day>\d{1,2})[/.]\d{2,4}"),
)
_PAIR = re.compile(r"0*(?P<one>\d{1,2})[-/. ]0*(?P<other>\d{1,2})")


def plain(name: str) -> str:
    """A column's name without regard to case, blanks, hyphens and characters that do not show."""
    return re.sub(r"[\s_-]+", "_", _visible(unicodedata.normalize("NFKC", name)).casefold().strip())


def alike(name: str) -> str:
    """The same text for two names that look the same or that a spreadsheet makes of one another.

    Without regard to Unicode form, case, blanks, characters that do not show, and zeros before a number.
    """
    text = _visible(unicodedata.normalize("NFKC", name)).casefold().strip().removeprefix("'")
    text = _BLANKS.sub("", text)
    whole = _WHOLE.fullmatch(text)
    return _ZEROS.sub("", whole[1] if whole else text)


def _visible(text: str) -> str:
    """Without format characters (byte order marks, zero-width blanks), which no font shows."""
    if text.isascii():
        return text
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")


def date_of(name: str) -> tuple[int, int] | None:
    """The two numbers of a name that a spreadsheet took for a date, as `02-Jan` of `1-2`; None if it is no date."""
    for pattern in (_DAY_MONTH, _MONTH_DAY):
        match = pattern.fullmatch(name)
        if match and match["month"].casefold() in _MONTHS:
            return _MONTHS[match["month"].casefold()], int(match["day"])
    for pattern in _YEARS:
        match = pattern.fullmatch(name)
        if match:
            return int(match["month"]), int(match["day"])
    return None


def pairs_alike(names: Iterable[str], key: Callable[[str], str] = alike) -> list[tuple[str, str]]:
    """Find names that are other spellings of one another.

    Args:
        names: in their order.
        key: what is equal for two spellings of one name.

    Returns:
        Each name that is taken for another spelling of one before, behind that one.
    """
    seen: dict[str, str] = {}
    dates: dict[tuple[int, ...], str] = {}
    pairs: dict[tuple[int, ...], str] = {}
    respelt = []
    for name in names:
        first = seen.setdefault(key(name), name)
        date, pair = date_of(name), _PAIR.fullmatch(name)
        numbers = date or ((int(pair["one"]), int(pair["other"])) if pair else None)
        if numbers is not None:
            # Day and month, or month and day: that depends on the spreadsheet's language.
            place = tuple(sorted(numbers))
            mine, others = (dates, pairs) if date is not None else (pairs, dates)
            mine.setdefault(place, name)
            first = others.get(place, first)
        if first != name:
            respelt.append((first, name))
    return respelt


def difference(first: str, second: str) -> str:
    """Put in words in which way two names differ that are `alike`.

    Args:
        first: a name.
        second: another one.

    Returns:
        The words.
    """
    if date_of(first) is not None or date_of(second) is not None:
        return "a spreadsheet takes such names for dates"
    steps: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("they differ in their Unicode form", lambda text: unicodedata.normalize("NFKC", text)),
        ("one holds characters that do not show", _visible),
        ("they differ in upper and lower case", str.casefold),
        ("they differ in blanks", lambda text: _BLANKS.sub("", text.strip())),
        ("they differ in hyphens or underscores", lambda text: re.sub("[-_]", "", text)),
        ("they differ in zeros, which a spreadsheet takes from what looks like a number", alike),
    )
    alone = (words for words, step in steps if step(first) == step(second))
    return next(alone, "they differ in case, blanks, hyphens, zeros or characters that do not show")


def refuse_misspelt(listed: Mapping[str, str], spare: Iterable[str], holder: str) -> None:
    """Refuse a list whose names are there but for the spelling: they would be taken for missing.

    Args:
        listed: file and line by name, of names that were not found.
        spare: names that are there and that no list has.
        holder: what has them, for the message: `the folder has a video called`.

    Raises:
        UsageError: the first such name, and how many more there are.
    """
    by_key = {alike(name): name for name in spare}
    pairs = [(name, by_key[alike(name)]) for name in listed if alike(name) in by_key]
    if pairs:
        name, other = pairs[0]
        more = f" So it is with {len(pairs) - 1} more." if len(pairs) > 1 else ""
        raise UsageError(
            f'{listed[name]}: "{name}" is listed, and {holder} "{other}": {difference(name, other)}.{more}'
        )
