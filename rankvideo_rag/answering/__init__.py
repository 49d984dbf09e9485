"""Answers that rest on evidence: numbered blocks of words with times, citations that are checked before they are shown."""

from rankvideo_rag.answering.synthesizer import VideoAnswerSynthesizer

__all__ = ["VideoAnswerSynthesizer"]
