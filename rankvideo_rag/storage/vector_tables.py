"""The stored vectors that are searched: those of clips, and those of the passages of each text channel, each with an index."""

from typing import NamedTuple

from rankvideo_rag.schema import Channel
from rankvideo_rag.storage.database import TEXT_CHANNELS


class VectorTable(NamedTuple):
    """Vectors that one index is built from."""

    name: Channel  # of the index's files: NAME.faiss
    table: str
    key: str  # its column of row numbers
    source: str  # SQL: what follows FROM to get the rows of this index
    generation: str  # key in the table meta: a number that grows with every change of the vectors, or of the passages


VISUAL = VectorTable("visual", "vectors", "clip", "vectors", "generation")
_PASSAGES = "text_vectors JOIN passages USING (passage) WHERE channel = '{0}'"
VECTOR_TABLES: dict[Channel, VectorTable] = {
    "visual": VISUAL,
    **{
        channel: VectorTable(channel, "text_vectors", "passage", _PASSAGES.format(channel), f"{channel}_generation")
        for channel in TEXT_CHANNELS
    },
}
