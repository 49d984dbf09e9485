"""Hold a published dataset as a retrieval task: queries, judgements and what else it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rankvideo_rag.formats.trec import Claims, Qrels


@dataclass
class RetrievalDataset:
    """A retrieval task; what a dataset lacks is empty."""

    queries: dict[str, str] = field(default_factory=dict)  # query id -> text
    qrels: Qrels = field(default_factory=dict)
    claims: Claims = field(default_factory=dict)
    claim_texts: dict[str, dict[str, str]] = field(default_factory=dict)  # query id -> claim id -> the claim
    moments: Qrels = field(default_factory=dict)  # query id -> moment (moments.py) -> 1
    channels: dict[str, str] = field(default_factory=dict)  # query id -> channel of its evidence
    notes: list[str] = field(default_factory=list)  # on the source

    def add_counts(self, source: object, counts: Mapping[str, int]) -> None:
        """Note each count that is not 0."""
        self.notes += [f"{source}: {what}: {count}" for what, count in counts.items() if count]
