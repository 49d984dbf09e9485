"""Convert between clips and LlamaIndex nodes.

A stored clip becomes a TextNode with non-empty text, flat metadata and a SOURCE relationship to its video. Nodes of other
origin are read too: a Node with a video_resource, or any node whose metadata names a file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from llama_index.core.schema import BaseNode, MetadataMode, NodeRelationship, NodeWithScore, RelatedNodeInfo, TextNode

from rankvideo_rag.errors import InputError
from rankvideo_rag.ranking.fusion import FusedHit
from rankvideo_rag.ranking.pointwise import VideoSpan
from rankvideo_rag.schema import Clip, Hit, Modality, SearchChannel, Video
from rankvideo_rag.storage.passages import Passage

NO_TEXT = "(no text in this clip)"
PATH_KEYS = ("file_path", "video_path", "path")
CHANNELS: tuple[SearchChannel, ...] = get_args(SearchChannel)
# Metadata that neither a language model nor an embedder should read.
HIDDEN_KEYS = (
    "video_id",
    "file_path",
    *(f"{kind}_{channel}" for kind in ("rank", "score") for channel in CHANNELS),
    "passage_start",
    "passage_end",
    "duplicate_of",
)

MODALITIES: tuple[Modality, ...] = get_args(Modality)

VideoResolver = Callable[[BaseNode], str]


class NodeClip(NamedTuple):
    """The clip that a node represents."""

    span: VideoSpan
    video_id: str
    title: str


def clip_to_node(
    video: Video,
    clip: Clip,
    text: str,
    hit: FusedHit | None = None,
    *,
    passage: Passage | None = None,
    duplicate_of: str | None = None,
) -> TextNode:
    """Return the node of a clip.

    `hit` has its ranks and scores by channel, `passage` is the best one of its text, `duplicate_of` the clip_id of a better hit
    of which it is a near-duplicate.
    """
    metadata: dict[str, str | float | int] = {
        "title": video.title,
        "start": clip.start,
        "end": clip.end,
        "video_id": video.video_id,
        "file_path": video.path,
    }
    if hit:
        metadata |= {f"rank_{channel}": rank for channel, rank in hit.ranks.items()}
        metadata |= {f"score_{channel}": round(score, 4) for channel, score in hit.scores.items()}
    if passage:
        metadata |= {"passage_start": passage.start, "passage_end": passage.end}
    if duplicate_of:
        metadata["duplicate_of"] = duplicate_of
    return TextNode(
        id_=clip.clip_id,
        text=text or NO_TEXT,
        metadata=metadata,
        excluded_llm_metadata_keys=list(HIDDEN_KEYS),
        excluded_embed_metadata_keys=list(HIDDEN_KEYS),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=video.video_id)},
    )


def nodes_to_hits(nodes: Sequence[NodeWithScore]) -> list[Hit]:
    """Return nodes as search results. Of near-duplicates the first in this order counts as the original."""
    first: dict[str, int] = {}  # clip_id -> rank
    originals = [hit.node.metadata.get("duplicate_of") or hit.node.node_id for hit in nodes]
    ranked = enumerate(zip(nodes, originals, strict=True), 1)
    return [_hit(rank, hit, first.setdefault(original, rank)) for rank, (hit, original) in ranked]


def _hit(rank: int, hit: NodeWithScore, first: int) -> Hit:
    clip, text, metadata = node_to_clip(hit.node), hit.node.get_content(MetadataMode.NONE), hit.node.metadata
    return Hit(
        rank=rank,
        video_id=clip.video_id,
        path=clip.span.path,
        title=clip.title,
        start=clip.span.start,
        end=clip.span.end,
        score=hit.score,
        channels={channel: metadata[key] for channel in CHANNELS if (key := f"rank_{channel}") in metadata},
        scores={channel: metadata[key] for channel in CHANNELS if (key := f"score_{channel}") in metadata},
        text="" if text == NO_TEXT else text,
        duplicate_of=first if first < rank else None,
        evidence=_evidence(metadata),
        unscored={modality: reason for modality in MODALITIES if (reason := metadata.get(f"unscored_{modality}"))},
    )


def _evidence(metadata: Mapping[str, Any]) -> dict[Modality, float | None]:
    """Return the score of each modality that a reranker was asked for."""
    scores: dict[Modality, float | None] = {"picture": metadata.get("rerank_score"), "text": metadata.get("relevance_text")}
    return {modality: score for modality, score in scores.items() if score is not None or f"unscored_{modality}" in metadata}


def node_to_clip(node: BaseNode, resolver: VideoResolver | None = None) -> NodeClip:
    """Return the clip that a node represents; without start and end in its metadata, the whole file.

    The path comes from `resolver` if given, else from the node's video_resource or its metadata file_path, video_path or path.
    Raises InputError if there is none of these, or if start or end is not a number.
    """
    path = resolver(node) if resolver else _path_of(node)
    start, end = (_seconds(node, key) for key in ("start", "end"))
    video_id = str(node.metadata.get("video_id") or path)
    title = str(node.metadata.get("title") or path.rpartition("/")[2])
    return NodeClip(VideoSpan(path, start, end), video_id, title)


def _path_of(node: BaseNode) -> str:
    resource = getattr(node, "video_resource", None)
    if resource is not None and resource.path:
        return str(resource.path)
    for key in PATH_KEYS:
        if node.metadata.get(key):
            return str(node.metadata[key])
    raise InputError(
        f"node {node.node_id} names no video file: it has no video_resource with a path, and none of {', '.join(PATH_KEYS)} in "
        f"its metadata ({', '.join(node.metadata) or 'empty'}). Pass video_resolver=, a function from a node to a path."
    )


def _seconds(node: BaseNode, key: str) -> float | None:
    value = node.metadata.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"node {node.node_id} has {key} = {value!r} in its metadata: it must be a number of seconds")
    return float(value)


def copy_with_score(hit: NodeWithScore, score: float | None, metadata: Mapping[str, str | float | None]) -> NodeWithScore:
    """Return a copy of a hit with another score and more metadata, hidden from language models and embedders.

    What else the node holds is shared, not copied: an IndexNode may hold a query engine, which cannot be copied.
    A key with the value None is deleted: an earlier pass may have set it.
    """
    node = hit.node
    changed: dict[str, Any] = {
        "metadata": {k: v for k, v in (node.metadata | dict(metadata)).items() if k not in metadata or v is not None}
    }
    for name in ("excluded_llm_metadata_keys", "excluded_embed_metadata_keys"):
        changed[name] = list(dict.fromkeys([*getattr(node, name), *metadata]))
    return NodeWithScore(node=node.model_copy(update=changed), score=score)
