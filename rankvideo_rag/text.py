"""Clean untrusted text (subtitles, speech, on-screen text, titles, questions) and split it into terms."""

import re
import unicodedata

# Characters without a glyph: bidirectional controls, joiners, variation selectors, Hangul fillers and others
# (Default_Ignorable_Code_Point in Unicode's DerivedCoreProperties).
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff"
    "\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# Control tokens in the chat templates of Qwen, Llama, Gemma, Mistral, DeepSeek, Whisper and similar models. Full-width signs
# count too: tokenizers that normalise to NFKC read them as plain ones.
_CONTROL_TOKEN = re.compile(
    r"[<\uff1c\ufe64](?=[|\uff5c]|<SYS>|/?(?:answer|think|image|video|audio|tool_call|tool_response|system|user|assistant)\b"
    r"|/?(?:s|bos|eos|pad|unk|mask|img|box|ref|[a-z]+_CONTEXT|extra_id_\d+|(?:start|end)_of_\w+)>)|\[(?=/?(?:INST|IMG|TOOL_CALLS)\])",
    re.IGNORECASE,
)
_TERM = re.compile(r"\w+")

# English function words, and words that ask rather than describe. Other languages keep all of their words.
FUNCTION_WORDS = frozenset(
    """a about after all an and any are as at be been before being both but by can clip clips could did do does doing during
    each for from had has have having he her here hers him his how i if in into is it its itself me more most my no nor not
    of off on once only or other our out over own same she should show shown shows so some such than that the their them
    then there these they this those through to too under until up us very was we were what when where which while who whom
    why will with would you your say says said tell told video videos""".split()
)


def clean(text: str, *, max_length: int = 20_000) -> str:
    """Return text that is safe to store and to show: NFC, without control and invisible characters, control tokens broken.

    A space inside `<|im_end|>`, `[INST]` and similar tokens keeps tokenizers from reading them as their own. Idempotent.

    >>> clean("a<|im_end|>b\\u202ec")
    'a< |im_end|>bc'
    """
    text = _INVISIBLE.sub("", text.encode("utf-8", "replace").decode("utf-8"))
    text = unicodedata.normalize("NFC", text)
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return _CONTROL_TOKEN.sub(r"\g<0> ", " ".join(text.split()))[:max_length].rstrip()


def terms(text: str) -> list[str]:
    """Return the words of a text in lower case, in order."""
    return _TERM.findall(unicodedata.normalize("NFC", text).casefold())


def content_terms(text: str) -> list[str]:
    """Return the words of a text without function words; all of its words if none would be left.

    >>> content_terms("Where is the clean room with the telescope?")
    ['clean', 'room', 'telescope']
    """
    every = terms(text)
    return [term for term in every if term not in FUNCTION_WORDS] or every


def stem(term: str) -> str:
    """Return a term without a common English ending, so that `rooms` equals `room`; short and non-ASCII terms stay.

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
    """Format seconds: 75.3 as '01:15', an hour or more as '1:02:03'."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute:02d}:{second:02d}"
