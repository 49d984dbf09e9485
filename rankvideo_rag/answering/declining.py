"""Recognize that a language model says that the evidence does not answer the question.

The prompts ask for `DECLINED` or for no claims; models also say so in words of their own and in the question's language.
"""

import re
from collections.abc import Iterable

from rankvideo_rag.answering.parsing import ParsedClaim

DECLINED = "The evidence does not answer the question."

_QUOTED = re.compile(r"[“\"«„「][^“”\"«»„「」]*[”\"»“」]")
# What the prompt calls its evidence, as models name it.
_EVIDENCE = re.compile(
    r"\b(?:evidence|context|transcripts?|excerpts|sources|passages|clips"
    r"|beleg\w*|beweis\w*|nachweis\w*|evidenz\w*|kontext\w*|quellen|ausschnitte?n?"
    r"|preuves?|contexte|éléments|extraits?|evidencias?|contexto|pruebas|fuentes|fragmentos"
    r"|prove|contesto|fonti|evidências?|provas|bewijs\w*|bronnen|kanıt\w*|bağlam\w*|dowod\w*|dowód|kontekst\w*)\b"
    r"|证据|證據|上下文|片段|资料|資料|根拠|証拠|문맥|증거|자료|доказательств|контекст|материал|الأدلة|الدليل|السياق|साक्ष्य|प्रमाण",
    re.IGNORECASE,
)
_ARCHIVE = re.compile(
    r"\b(?:clips?|videos?|archive|footage|recordings?|texte?|information|materials?|documents?|(?:provided|given|supplied)\s+\w+)\b",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:not|cannot|none|neither|nor|nothing|no|unable|unclear|insufficient\w*|nicht|keine?[nrms]?|nichts|weder|pas|aucun\w*|rien|ningun[ao]?"
    r"|non|nessun\w*|não|nenhum\w*|niet|geen|nie|brak|не|нет|yok|لا|لم|ليس|नहीं)\b|n[’']t\b|[没沒无無未不]|ません|ない|않|없|\w+m[ıiuü]yor",
    re.IGNORECASE,
)
_SAY = re.compile(
    r"\b(?:answer|sa(?:y|id)|stat(?:e|ing)|mention|contain|provid|specif|includ|indicat|give|show|tell|reveal|address|discuss|describ"
    r"|explain|identif|cover|support|disclos|determin|sufficient|insufficient|unclear"
    r"|beantwort|antwort|erwähn|nenn|enthalt|enthält|sag|hervor|liefer|répond|mentionn|contien|précis|indiqu|permet|fourni|di(?:t|sent)\b"
    r"|respond|risp|mencion|menzion|cont[eé]m|contêm|contengono|indic|especific|proporcion|forn|dic|diz"
    r"|vermeld|noem|bevat|yanıt|cevap|bahset|belirt|içer|odpowiad|zawier|wspomin|отвеча|содерж|упомина|указ)"
    r"|回答|提到|提及|说明|說明|提供|包含|记载|答え|記載|言及|含ま|述べ|답|언급|포함|나와|[تي]جيب|[تي]ذكر|[تي]حتوي|उत्तर|बताया|दिया",
    re.IGNORECASE,
)
# Sentences that decline by themselves, where they cite nothing.
_DECLINES = re.compile(
    r"\b(?:i|we)\s+(?:do(?:n[’']t|\s+not)\s+(?:\w+ly\s+)?(?:know|have\s+(?:enough|any|sufficient|the)))"
    r"|\b(?:i|we)(?:\s+am|[’']m|\s+are|[’']re)?\s+(?:cannot|can(?:[’']t|\s+not)|could(?:n[’']t|\s+not)|unable\s+to|not\s+able\s+to)\s+"
    r"(?:\w+ly\s+)?(?:answer|determine|say|tell|find|know|confirm|identify|provide\s+an\s+answer)"
    r"|\b(?:un|not\s+)answer(?:able|ed)|\bcan\s*(?:not|[’']t)\s+be\s+(?:\w+ly\s+)?(?:answered|determined|found|known|said|inferred)"
    r"|\b(?:no|not\s+enough|insufficient)\s+(?:\w+\s+)?(?:information|mention|evidence|answer|data|details?|indication)\b"
    r"|^\W*(?:it\s+is\s+|it[’']s\s+|this\s+is\s+)?(?:unknown|unclear|not\s+(?:known|clear|\w*\s*(?:mentioned|stated|specified|given|said)))\b"
    r"|\bnot\s+(?:mentioned|stated|specified|said|given)\W*$|^\W*n/a\W*$"
    r"|\bweiß\s+(?:ich\s+)?(?:es\s+|das\s+)?nicht|\bnicht\s+(?:beantwort\w*|ersichtlich|bekannt|genannt|erwähnt|angegeben)|\bgeht\b.*\bnicht\b.*\bhervor"
    r"|\bkeine?\s+(?:information\w*|angaben?|antwort|hinweise?)\b"
    r"|\bje\s+ne\s+sais\s+pas|\bimpossible\s+de\s+(?:répondre|déterminer|savoir)|\bne\s+peux\s+pas\s+répondre|\baucune\s+(?:information|réponse|mention)"
    r"|\bno\s+(?:lo\s+)?sé\b|\bno\s+(?:puedo|es\s+posible|se\s+puede)\s+(?:responder|determinar|saber)|\bno\s+(?:hay|se)\s+(?:información|respuesta|menciona|indica|especifica|dice)"
    r"|\bnon\s+(?:lo\s+)?so\b|\bnon\s+(?:posso|è\s+possibile)\s+(?:rispondere|determinare)|\bnon\s+(?:è|viene)\s+(?:specificat|menzionat|indicat|dett)\w+"
    r"|\bnão\s+(?:sei|posso\s+responder|é\s+possível\s+(?:responder|determinar)|há\s+(?:informaç|resposta)\w*)"
    r"|\b(?:ik\s+)?weet\s+(?:het\s+|ik\s+)?niet|\bniet\s+(?:beantwoorden|vermeld|genoemd)|\bgeen\s+(?:informatie|antwoord)"
    r"|不知道|不清楚|[无無][法从從]|不能回答|[没沒]有(?:回答|提到|提及|说明|說明|提供|足够|足夠|相关|相關|给出|答案|信息|資訊)|未(?:提及|提到|提供|说明|說明|回答|给出)"
    r"|[わ分]かりません|分からない|答えられません|回答できません|記載(?:されて|が|は)(?:い)?(?:ません|ありません)|情報(?:が|は)(?:ありません|含まれて)|不明です"
    r"|모르겠|알\s*수\s*없|답(?:변)?할\s*수\s*없|언급(?:되|하)지\s*않|정보가\s*(?:없|부족)|나와\s*있지\s*않"
    r"|\bне\s+(?:знаю|могу\s+ответить|указан\w*|упомина\w*|сказано|сообща\w*)|\bнет\s+(?:информации|ответа|данных)|\bневозможно\s+(?:ответить|определить)"
    r"|لا\s+(?:أعرف|أعلم|أستطيع|يمكن)|لم\s+(?:يذكر|تذكر|يرد)|لا\s+(?:توجد|يوجد)\s+(?:معلومات|إجابة)|غير\s+(?:مذكور|معروف)"
    r"|\bbilmiyorum\b|\byanıtla(?:ya)?m[ıa]\w+|\b(?:bilgi|yanıt|cevap)\s+(?:yok|bulunm\w+)|\bbelirtilm[ei]\w+"
    r"|\bnie\s+(?:wiem|mogę\s+odpowiedzieć|można\s+(?:odpowiedzieć|określić))|\bbrak\s+(?:informacji|odpowiedzi)"
    r"|(?:पता|जानकारी|उत्तर|जानता)\s+नहीं|नहीं\s+(?:पता|जानता|बताया|दिया)",
    re.IGNORECASE,
)


def is_decline(claim: ParsedClaim) -> bool:
    """Return whether a claim says that the evidence does not answer the question. What it quotes does not count.

    >>> from rankvideo_rag.answering.parsing import parse_claims
    >>> [is_decline(one) for one in parse_claims("The provided clips do not say who pays [1]. The car park does not pay [2].")]
    [True, False]
    """
    text = _QUOTED.sub("", claim.text)
    names_evidence, negates = _EVIDENCE.search(text), _NOT.search(text)
    if claim.markers:  # evidence, sources and clips may be what a cited claim is about
        return bool(names_evidence and negates and _SAY.search(text))
    is_empty_list = re.fullmatch(r"\W*claims\W*", claim.text)  # {"claims": []}
    return bool(is_empty_list or _DECLINES.search(text) or (negates and (names_evidence or _ARCHIVE.search(text))))


def begins_with_decline(claims: Iterable[ParsedClaim]) -> bool:
    """Return whether the first claim is a decline: what follows it is beside the question."""
    return any(is_decline(claim) for claim in list(claims)[:1])
