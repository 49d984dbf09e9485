"""Text and questions as the full-text index takes them: tokens of `rankvideo_rag.text`, separated by spaces.

FTS5's own tokenizer only has to split at the spaces, so that the index and Python agree on what a word is.
"""

from rankvideo_rag.text import joined_terms, query_terms, tokenize

TOKENIZER = "unicode61 remove_diacritics 0 categories 'L* M* N* Co'"
MAX_PHRASES = 512  # of a question: FTS5 takes many seconds for the 2,000 phrases of a long Chinese question


def normalize(text: str) -> str:
    """Return text as the full-text index stores it.

    >>> normalize("Das Café hieß «L’Œuvre», 清潔室 no. ٣")
    'das cafe hiess l oeuvr 清 潔 室 no 3'
    """
    return " ".join(token.term for token in tokenize(text))


def match_expression(question: str) -> str:
    """Return a question as an FTS5 expression: any of its words, joined neighbours (clean room, cleanroom) or character pairs.

    Function words count only if there is nothing else. Returns '' for a question without terms.

    >>> match_expression("Where is the clean room?")
    '"clean" OR "room" OR "cleanroom"'
    >>> match_expression("望遠鏡 猫")
    '"望 遠" OR "遠 鏡" OR "猫"'
    """
    asked = dict.fromkeys([*query_terms(question), *joined_terms(question)])
    return " OR ".join(f'"{phrase}"' for phrase in list(asked)[:MAX_PHRASES])
