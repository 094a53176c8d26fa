"""The name of a month, in the languages that logs are written in, to its number. No I/O."""

import unicodedata

_LANGUAGES = {
    "English": """
        january february march april may june july august september october november december
        jan feb mar apr may jun jul aug sep oct nov dec  . . . . . . . . sept . . .""",
    "German": """
        januar februar märz april mai juni juli august september oktober november dezember
        jan feb mär apr mai jun jul aug sep okt nov dez
        jänner feber mrz . . . . . sept . . .  jän . . . . . . . . . . .""",
    "French": """
        janvier février mars avril mai juin juillet août septembre octobre novembre décembre
        janv févr mars avr mai juin juil août sept oct nov déc  jan fév mar avr mai jun jul aoû sep oct nov déc""",
    "Spanish": """
        enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
        ene feb mar abr may jun jul ago sep oct nov dic  . . . . . . . . sept . . .  . . . . . . . . setiembre . . .""",
    "Italian": """
        gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
        gen feb mar apr mag giu lug ago set ott nov dic""",
    "Portuguese": """
        janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
        jan fev mar abr mai jun jul ago set out nov dez""",
    "Dutch": """
        januari februari maart april mei juni juli augustus september oktober november december
        jan feb mrt apr mei jun jul aug sep okt nov dec""",
    "Polish": """
        styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień
        stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
        sty lut mar kwi maj cze lip sie wrz paź lis gru""",
}
"""By language twelve names, and so on for every way to write them; a dot where there is no other."""

LONGEST = 13
"""Characters of the longest name, with the dot that some locales put behind a short one."""


def _bare(name: str) -> str:
    """A name without its accents, as it is written where nobody has them."""
    return "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))


def _numbers() -> dict[str, int]:
    numbers: dict[str, int] = {}
    for names in _LANGUAGES.values():
        for at, name in enumerate(names.split()):
            if name != ".":
                numbers[name] = numbers[_bare(name)] = at % 12 + 1
    return numbers


_NUMBERS = _numbers()


def month_of(name: str) -> int | None:
    """The number of a month; capitals and a dot at the end do not matter; None if no language calls one so."""
    return _NUMBERS.get(unicodedata.normalize("NFC", name).casefold().removesuffix("."))
