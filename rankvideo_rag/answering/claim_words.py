"""Words that decide what a statement claims: negations, hedges, quantifiers, causes and comparisons, by language.

Only for en, de, es, fr and zh: claims in other languages are checked for verbatim overlap and for quantities.
"""

import re
from functools import lru_cache

from rankvideo_rag.text.tokens import stem

LANGUAGES = ("en", "de", "es", "fr", "zh")

_NEGATIONS = {
    "en": r"not|no|never|none|nobody|nothing|nowhere|neither|nor|cannot|\w+n['’]t|without|hardly|barely|rather than|instead of"
    r"|ruled out|den(?:y|ies|ied)|refus(?:e|es|ed)|fail(?:s|ed)? to|no longer|unable|lacks?|lacked",
    "de": r"nicht|kein\w*|nie|niemals|niemand\w*|nichts|nirgends|weder|noch nie|ohne|statt|anstatt|kaum",
    "es": r"no|nunca|jamás|nadie|nada|ningún|ningun[oa]s?|tampoco|sin|ni|en vez de",
    "fr": r"ne|n['’](?=\w)|pas|jamais|rien|personne|aucune?s?|sans|ni|au lieu de",
    "zh": r"不|没|沒|未|无|無|别(?!墅)|并非|非(?!常|洲)",
}
_NO_NEGATIONS = {
    "en": r"not only|no doubt|nothing but|why not|no\. \d",
    "de": r"nicht nur",
    "es": r"no solo|no sólo",
    "fr": r"ne \w+ que|non seulement",
    "zh": r"不过|不过|不但|不仅|不只|差不多|不久|不少|不断|无论|无数|未来|不同|没错|对不起|不得不",
}
_HEDGES = {
    "en": r"may|might|could|perhaps|maybe|probabl[ey]|possibl[ey]|likely|apparently|presumably|seems?|seemed|appears?"
    r"|I think|we think"
    r"|they think|thinks?|believes?|believed|guess|suppose|not sure|unsure|rumou?r(?:s|ed)?|supposedly|allegedly|unclear"
    r"|(?:don['’]t|doesn['’]t|do not|does not|nobody|not) know\w*|hopes?|hoped|plans?|planned|should be",
    "de": r"vielleicht|wohl|vermutlich|wahrscheinlich|möglicherweise|angeblich|könnten?|dürften?|eventuell|scheint"
    r"|scheinbar|glaub\w*"
    r"|mutmaßlich|denke|denken|unklar|nicht sicher",
    "es": r"quizás?|tal vez|probablemente|posiblemente|podrían?|puede que|parece|creo|creen|creemos|supuestamente|a lo mejor",
    "fr": r"peut-être|probablement|sans doute|pourrai(?:t|ent)|semble|paraît|crois|croit|pense|pensent|éventuellement"
    r"|apparemment",
    "zh": r"可能|也许|或许|大概|恐怕|据说|好像|似乎|应该|估计|说不定|认为|觉得",
}
_CERTAIN = {
    "en": r"certainly|definitely|surely|exactly|precisely|undoubtedly|proven|proved|guaranteed to|for sure|known to"
    r"|always|must have",
    "de": r"sicher|sicherlich|bestimmt|genau|zweifellos|garantiert|nachweislich|immer",
    "es": r"seguro que|seguramente|ciertamente|exactamente|sin duda|siempre",
    "fr": r"certainement|exactement|précisément|assurément|toujours",
    "zh": r"一定|肯定|确实|正好|刚好|总是|必然",
}
_UNIVERSAL = {
    "en": r"all|every|each|everyone|everybody|everything|everywhere|always|ever|any|anyone|whole|entire|completely|both",
    "de": r"all(?:e[nrms]?)?|jede[nrms]?|immer|stets|ganze?[nrs]?|sämtliche|beide",
    "es": r"tod[oa]s?|cada|siempre|ambos|ambas",
    "fr": r"tous|toutes?|tout|chaque|toujours|les deux",
    "zh": r"所有|全部|每|总是|从来|一切|全都|都|任何|永远",
}
_ONLY = {
    "en": r"only|solely|exclusively|nothing but",
    "de": r"nur|ausschließlich|lediglich",
    "es": r"solo|sólo|solamente|únicamente",
    "fr": r"seulement|uniquement|ne \w+ que",
    "zh": r"只|仅",
}
_NEVER = {
    "en": r"never|nobody|no one|none|nothing|nowhere",
    "de": r"nie|niemals|niemand\w*|nichts|nirgends",
    "es": r"nunca|jamás|nadie|nada",
    "fr": r"jamais|personne|rien",
    "zh": r"从不|从没|没有人|从来不|从来没",
}
_PARTIAL = {
    "en": r"some|most|mostly|many|few|several|half|part of|partly|a third|nearly all|almost all|majority|sometimes"
    r"|often|usually"
    r"|except|but not|apart from|other than|a couple",
    "de": r"einige[rn]?|manche[rn]?|meist\w*|viele[rn]?|wenige[rn]?|mehrere[rn]?|hälfte|teilweise|manchmal|oft|außer|fast alle"
    r"|ein Teil|drittel",
    "es": r"algun[oa]s|algún|mayoría|much[oa]s|poc[oa]s|vari[oa]s|mitad|a veces|menos|excepto|salvo|casi tod[oa]s|parte",
    "fr": r"certaine?s|quelques|plupart|beaucoup|peu|plusieurs|moitié|parfois|souvent|sauf|presque tous|une partie",
    "zh": r"有些|一些|大部分|多数|少数|几个|一半|有时|除了|除外|部分|其他|其余",
}
_CAUSES = {
    "en": r"because|due to|owing to|thanks to|on account of|so that|therefore|as a result|that['’]s why|which is why"
    r"|since(?! \d)",
    "de": r"weil|denn|wegen|deshalb|deswegen|darum|daher|dank|aufgrund",
    "es": r"porque|debido a|por eso|ya que|a causa de|gracias a|puesto que",
    "fr": r"parce qu['’e]?|car|à cause d|grâce à|puisqu['’e]?|c['’]est pourquoi",
    "zh": r"因为|由于|所以|因此|因而",
}
# In evidence these state a cause too.
_LOOSE_CAUSES = {
    "en": r"so|otherwise|as|for|why|in case|meant|means|hence|or else",
    "de": r"da|sonst|also|damit|so dass|sodass",
    "es": r"por|para que|así que|pues",
    "fr": r"donc|sinon|comme|pour",
    "zh": r"怕|为了|就|才",
}
_CONDITIONS = {
    "en": r"if|unless|provided|in case",
    "de": r"wenn|falls|sofern",
    "es": r"si",
    "fr": r"s['’]ils?|si",
    "zh": r"如果|要是|若|假如|除非",
}
_SPLITS = {
    "en": r"and|but|because|although|though|whereas|while|which|who|rather than|instead of|so that|since|after which"
    r"|until when",
    "de": r"und|aber|sondern|weil|denn|obwohl|während|statt|anstatt|doch",
    "es": r"y|e|pero|sino|porque|aunque|mientras|en vez de",
    "fr": r"et|mais|parce qu['’e]|car|bien que|tandis que|au lieu de",
    "zh": r"但是|但|而且|而是|因为|所以|虽然|可是",
}
_AFTER = {  # what stands after these is what is compared with
    "en": r"than|ahead of|before|after|behind",
    "de": r"als|vor|nach|hinter",
    "es": r"que|antes de|después de|delante de|detrás de",
    "fr": r"que|avant|après|devant|derrière",
    "zh": r"比",
}
_COMPARES = {
    "en": r"more|less|fewer|better|worse|ahead of|behind|\w{2,}er(?= than)|before|after|further|farther",
    "de": r"mehr|weniger|besser|schlechter|lieber|\w{3,}er(?=e?[nrs]? als)|vor|nach|hinter",
    "es": r"más|menos|mejor|peor|mayor|menor|antes de|después de|delante de|detrás de",
    "fr": r"plus|moins|mieux|pire|meilleure?s?|avant|après|devant|derrière",
    "zh": r"比",
}
_PASSIVE = {"en": r"by", "de": r"von|vom|durch", "es": r"por", "fr": r"par", "zh": r"被"}

# Verbs and nouns that carry little: a paraphrase may use others.
LIGHT = frozenset(
    """add ask become begin bring come contain cost get give go happen have hold include keep let lie make mean need people
    person place put reach run see serve set sit stand start state stay take thing turn use want way work time own call
    mention amount say tell total altogether speaker note report explain day year there now still already back round
    around along across near beside per via quote report claim announce suggest write geben gehen haben kommen kosten
    machen nehmen liegen stehen sagen menschen leute zeit befinden betragen hacer tener ir dar poner costar decir gente
    cosa ser haber faire aller avoir prendre mettre coûter dire gens chose""".split()
)
_LIGHT_STEMS = frozenset(stem(word) for word in LIGHT)


def is_light(term: str) -> bool:
    """Return whether a stem carries little of what a statement claims."""
    return term in _LIGHT_STEMS


@lru_cache(maxsize=256)
def _pattern(table: str, language: str) -> re.Pattern[str]:
    words = _TABLES[table].get(language, "")
    if not words:
        return re.compile(r"(?!)")
    return re.compile(words if language == "zh" else rf"(?<![\w'’])(?:{words})(?![\w])", re.IGNORECASE)


_TABLES = {
    "negation": _NEGATIONS, "no negation": _NO_NEGATIONS, "hedge": _HEDGES, "certain": _CERTAIN, "universal": _UNIVERSAL,
    "only": _ONLY, "never": _NEVER, "partial": _PARTIAL, "cause": _CAUSES, "loose cause": _LOOSE_CAUSES,
    "condition": _CONDITIONS, "split": _SPLITS, "compared with": _AFTER, "comparison": _COMPARES, "passive": _PASSIVE,
}  # fmt: skip


def find_words(table: str, text: str, language: str) -> list[re.Match[str]]:
    """Return where the words of a table occur: "negation", "hedge", "certain", "universal", "partial", "cause", … ."""
    return list(_pattern(table, language).finditer(text))


def is_negated(text: str, language: str) -> bool:
    """Return whether a clause contains a negation.

    >>> is_negated("It didn't win", "en"), is_negated("not only here", "en"), is_negated("他不喝咖啡", "zh")
    (True, False, True)
    """
    return _pattern("negation", language).search(_pattern("no negation", language).sub(" ", text)) is not None
