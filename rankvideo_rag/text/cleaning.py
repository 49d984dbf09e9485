"""Make untrusted text (subtitles, speech, on-screen text, titles, questions) safe to store and to show; write times."""

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


def timestamp(seconds: float) -> str:
    """Format seconds: 75.3 as '01:15', an hour or more as '1:02:03'."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute:02d}:{second:02d}"
