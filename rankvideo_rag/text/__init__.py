"""The one definition of text: cleaning, tokens, content, sentences and languages.

The full-text index, questions, answers and the checks of claims use these functions. Loads nothing but the standard library.
"""

from rankvideo_rag.text.cleaning import clean as clean
from rankvideo_rag.text.cleaning import timestamp as timestamp
from rankvideo_rag.text.content import content_tokens as content_tokens
from rankvideo_rag.text.content import found_terms as found_terms
from rankvideo_rag.text.content import joined_terms as joined_terms
from rankvideo_rag.text.content import phrases as phrases
from rankvideo_rag.text.content import query_terms as query_terms
from rankvideo_rag.text.content import text_terms as text_terms
from rankvideo_rag.text.languages import language_of as language_of
from rankvideo_rag.text.sentences import split_sentences as split_sentences
from rankvideo_rag.text.timed import TimedSentence as TimedSentence
from rankvideo_rag.text.timed import timed_sentences as timed_sentences
from rankvideo_rag.text.tokens import Token as Token
from rankvideo_rag.text.tokens import split_words as split_words
from rankvideo_rag.text.tokens import stem as stem
from rankvideo_rag.text.tokens import tokenize as tokenize
