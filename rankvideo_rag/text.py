"""Words from outside: cleaned before they are stored or shown to a model, and compared term by term.

Subtitles, speech, on-screen text, titles and questions are untrusted. This file knows nothing of media, models or stores.
"""

import re
import unicodedata

# Characters that turn the reading direction, hide themselves, or carry text invisibly: all that Unicode lets a display leave
# out (Default_Ignorable_Code_Point in DerivedCoreProperties), the fillers of Hangul and variation selectors among them.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# How chat templates of Qwen, Llama, Gemma, Mistral, DeepSeek, Whisper and their kin write what is not text. The wide signs
# count too: tokenizers that normalise to NFKC read them as the plain ones.
_CONTROL_TOKEN = re.compile(
    r"[<\uff1c\ufe64](?=[|\uff5c]|<SYS>|/?(?:answer|think|image|video|audio|tool_call|tool_response|system|user|assistant)\b"
    r"|/?(?:s|bos|eos|pad|unk|mask|img|box|ref|[a-z]+_CONTEXT|extra_id_\d+|(?:start|end)_of_\w+)>)|\[(?=/?(?:INST|IMG|TOOL_CALLS)\])",
    re.IGNORECASE,
)
_TERM = re.compile(r"\w+")

# English words that carry a question rather than its subject. Other languages keep all of theirs.
FUNCTION_WORDS = frozenset(
    """a about after all an and any are as at be been before being both but by can clip clips could did do does doing during
    each for from had has have having he her here hers him his how i if in into is it its itself me more most my no nor not
    of off on once only or other our out over own same she should show shown shows so some such than that the their them
    then there these they this those through to too under until up us very was we were what when where which while who whom
    why will with would you your say says said tell told video videos""".split()
)


def clean(text: str, *, max_length: int = 20_000) -> str:
    """Text fit to store and to show: NFC, no control, bidirectional or invisible characters, control tokens broken.

    `<|im_end|>`, `[INST]` and their kin would be read by a tokenizer as its own tokens: a space inside makes them words.
    What is clean stays as it is.

    >>> clean("a<|im_end|>b\\u202ec")
    'a< |im_end|>bc'
    """
    text = _INVISIBLE.sub("", text.encode("utf-8", "replace").decode("utf-8"))
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return _CONTROL_TOKEN.sub(r"\g<0> ", " ".join(text.split()))[:max_length].rstrip()


def terms(text: str) -> list[str]:
    """The words of a text in lower case, in order, function words included."""
    return _TERM.findall(unicodedata.normalize("NFC", text).casefold())


def content_terms(text: str) -> list[str]:
    """The words that say what a question is about; all of its words when none would be left.

    >>> content_terms("Where is the clean room with the telescope?")
    ['clean', 'room', 'telescope']
    """
    every = terms(text)
    return [term for term in every if term not in FUNCTION_WORDS] or every


def stem(term: str) -> str:
    """A term without its commonest English ending, so that `rooms` meets `room`; short and non-Latin terms stay.

    >>> [stem(t) for t in ("rooms", "telescopes", "landed", "landing", "glass", "this")]
    ['room', 'telescop', 'land', 'land', 'glass', 'this']
    """
    if len(term) < 5 or not term.isascii():
        return term
    for ending in ("ing", "ed", "es", "s", "e"):
        if term.endswith(ending) and not term.endswith("ss") and len(term) - len(ending) >= 4:
            return term[: -len(ending)]
    return term


def timestamp(seconds: float) -> str:
    """Seconds as people write them: 75.3 -> '01:15', an hour or more as '1:02:03'."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute:02d}:{second:02d}"
