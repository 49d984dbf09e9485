"""The archive asked through LlamaIndex: channels, filters, reranking, answers."""

import asyncio
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import World
from llama_index.core import VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.llms import MockLLM
from llama_index.core.schema import MediaResource, MetadataMode, Node, NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from rankvideo_rag import RankVideoError, RankVideoRerank, VideoArchive
from rankvideo_rag.demo import Question, WorldClip, questions
from rankvideo_rag.errors import ArchiveMismatch, InputError
from rankvideo_rag.nodes import NO_WORDS, hits_of
from rankvideo_rag.schema import Answer
from rankvideo_rag.vlm import LabelLogprobs, Prompt


@pytest.fixture(scope="module")
def archive(world: World) -> VideoArchive:
    return VideoArchive.open(world.archive)


def stems(nodes: list[NodeWithScore]) -> list[str]:
    return [Path(hit.path).stem for hit in hits_of(nodes)]


def asked(world: World, channel: str) -> list[Question]:
    return [question for question in questions(world.clips) if question.channel == channel]


def narrated(world: World) -> WorldClip:
    return next(clip for clip in world.clips if clip.narration)


# Retrieving


def test_what_is_said_finds_the_clip_in_which_it_is_said(world: World, archive: VideoArchive) -> None:
    for question in asked(world, "speech"):
        (stem,) = question.judgements
        assert stems(archive.as_retriever(top_k=1).retrieve(question.text)) == [stem]


async def test_async_retrieval_gives_the_same_as_sync_and_does_not_block_the_loop(
    world: World, archive: VideoArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = archive.as_retriever()
    texts = [question.text for question in questions(world.clips)[:5]]
    together = await asyncio.gather(*(retriever.aretrieve(text) for text in texts))
    assert [stems(nodes) for nodes in together] == [stems(retriever.retrieve(text)) for text in texts]


def test_the_ranks_of_each_channel_are_kept_and_hidden_from_models(world: World, archive: VideoArchive) -> None:
    clip = narrated(world)
    node = archive.as_retriever().retrieve(f"{clip.things[0].colour} {clip.narration[0].text}")[0].node
    assert node.metadata["rank_speech"] == 1
    assert node.metadata["rank_visual"] >= 1
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        seen = node.get_content(mode)
        assert "rank_" not in seen
        assert "file_path" not in seen
    assert "start" in node.get_content(MetadataMode.LLM)


def test_a_channel_can_be_switched_off_or_made_to_weigh_more(world: World, archive: VideoArchive) -> None:
    clip = narrated(world)
    question = clip.narration[0].text
    assert stems(archive.as_retriever(weights={"speech": 0.0}).retrieve(question)) == []
    once = archive.as_retriever().retrieve(question)[0].score
    twice = archive.as_retriever(weights={"speech": 2.0}).retrieve(question)[0].score
    assert (once, twice) == (pytest.approx(1 / 61), pytest.approx(2 / 61))
    with pytest.raises(InputError, match="unknown channel smell"):
        archive.as_retriever(weights={"smell": 1.0})  # type: ignore[dict-item]


def test_a_given_embedding_is_used_instead_of_the_text(world: World, archive: VideoArchive) -> None:
    by_text = archive.as_retriever(weights={"speech": 0.0}).retrieve("something red")
    vector = archive.embedder().embed_queries(["something red"])[0]
    assert vector is not None
    bundle = QueryBundle("no words that match", embedding=(3.0 * vector).tolist())
    assert stems(archive.as_retriever().retrieve(bundle)) == stems(by_text) != []
    assert bundle.embedding == (3.0 * vector).tolist()


@pytest.mark.parametrize("embedding", [[1.0, 2.0], [0.0] * 6, [float("nan")] * 6])
def test_an_embedding_that_cannot_be_used_is_refused(archive: VideoArchive, embedding: list[float]) -> None:
    with pytest.raises(InputError, match=r"QueryBundle\.embedding must be 6 finite numbers"):
        archive.as_retriever().retrieve(QueryBundle("x", embedding=embedding))


def test_filters_restrict_every_channel(world: World, archive: VideoArchive) -> None:
    question = "red green blue yellow purple orange " + " ".join(c.narration[0].text for c in world.clips if c.narration)
    everything = archive.as_retriever(top_k=50).retrieve(question)
    titles = [node.metadata["title"] for node in everything]
    assert len(titles) == len(world.clips)

    def found(*filters: Any, condition: FilterCondition = FilterCondition.AND) -> set[str]:
        chosen = MetadataFilters(filters=list(filters), condition=condition)
        return {node.metadata["title"] for node in archive.as_retriever(top_k=50, filters=chosen).retrieve(question)}

    one = MetadataFilter(key="title", value=titles[0])
    two = MetadataFilter(key="title", value=titles[:2], operator=FilterOperator.IN)
    long = MetadataFilter(key="duration", value=4.5, operator=FilterOperator.GT)
    assert found(one) == {titles[0]}
    assert found(two) == set(titles[:2])
    assert found(one, MetadataFilter(key="title", value=titles[1]), condition=FilterCondition.OR) == set(titles[:2])
    assert found(two, condition=FilterCondition.NOT) == set(titles[2:])
    assert found(long) == {clip.stem for clip in world.clips if clip.seconds > 4.5}
    assert found(MetadataFilters(filters=[two, long])) == {c.stem for c in world.clips if c.seconds > 4.5} & set(titles[:2])
    assert found(MetadataFilter(key="title", value="'; DROP TABLE clips --")) == set()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (MetadataFilter(key="colour", value="red"), "cannot be filtered by 'colour': their metadata are video_id, title"),
        (MetadataFilter(key="title", value="x", operator=FilterOperator.CONTAINS), "with the operator 'contains': use one of"),
        (MetadataFilter(key="title", value="x", operator=FilterOperator.IN), "need a list"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_with_what_can(archive: VideoArchive, wrong: MetadataFilter, words: str) -> None:
    with pytest.raises(InputError, match=words):
        archive.as_retriever(filters=MetadataFilters(filters=[wrong]))


@pytest.mark.parametrize("question", ["", "   ", "?!", "\x00", "x" * 2001])
def test_a_question_that_cannot_be_asked_is_refused(archive: VideoArchive, question: str) -> None:
    with pytest.raises(InputError, match="the question"):
        archive.as_retriever().retrieve(question)


@pytest.mark.parametrize(
    "question",
    [
        'a "quoted" word',
        "NEAR(a b)",
        "a* OR b",
        "title:x",
        "-x",
        "'; DROP TABLE clips",
        "a\x00b",
        "a\ud800b",
        "🦊",
        "x <|im_end|>",
    ],
)
def test_any_other_question_is_searched_as_words(archive: VideoArchive, question: str) -> None:
    if any(character.isalnum() for character in question):
        archive.as_retriever().retrieve(question)
    else:
        with pytest.raises(InputError):
            archive.as_retriever().retrieve(question)


def test_a_clip_without_words_is_a_node_with_text_all_the_same(world: World, archive: VideoArchive) -> None:
    silent = next(clip for clip in world.clips if not clip.narration)
    nodes = archive.as_retriever(top_k=50).retrieve(f"something {silent.things[0].colour}")
    node = next(n.node for n in nodes if n.node.metadata["title"] == silent.stem)
    assert node.get_content(MetadataMode.NONE) == NO_WORDS
    assert next(hit.text for hit in hits_of(nodes) if hit.title == silent.stem) == ""


def test_an_archive_named_with_another_profile_is_not_opened(world: World) -> None:
    with pytest.raises(ArchiveMismatch, match=r"made with the embedder scripted:built-in .* not with sentence_transformers:"):
        VideoArchive.open(world.archive, profile="gpu")


# Reranking


def test_watching_the_clips_puts_the_one_that_is_asked_for_first(world: World, archive: VideoArchive) -> None:
    reranker = archive.as_reranker(top_n=20)
    assert reranker is not None
    for question in asked(world, "visual"):
        nodes = reranker.postprocess_nodes(archive.as_retriever().retrieve(question.text), query_str=question.text)
        assert stems(nodes)[0] in question.judgements
        margins = [node.score for node in nodes]
        assert margins == sorted(margins, key=lambda m: -(m if m is not None else -1e9))


def foreign_nodes(world: World) -> list[NodeWithScore]:
    """Nodes as other people's indexes make them."""
    paths = [world.videos / f"{clip.stem}.mp4" for clip in world.clips]
    nodes: list[Any] = [TextNode(text=f"text {i}", metadata={"file_path": str(path)}) for i, path in enumerate(paths[:4])]
    nodes += [Node(video_resource=MediaResource(path=path), text_resource=MediaResource(text="t")) for path in paths[4:8]]
    nodes += [TextNode(text="part", metadata={"video_path": str(path), "start": 0.0, "end": 2.0}) for path in paths[8:]]
    return [NodeWithScore(node=node, score=0.5) for node in nodes]


async def test_nodes_that_somebody_elses_index_made_are_reranked_sync_and_async(world: World) -> None:
    question = next(q for q in asked(world, "visual") if any(int(stem[-2:]) <= 8 for stem in q.judgements))
    reranker = RankVideoRerank(backend="scripted", model=None, top_n=12)
    nodes = foreign_nodes(world)
    before = [node.model_dump() for node in nodes]
    found = reranker.postprocess_nodes(nodes, query_str=question.text)
    assert stems(found)[0] in question.judgements
    assert [node.node_id for node in await reranker.apostprocess_nodes(nodes, query_str=question.text)] == [
        node.node_id for node in found
    ]
    assert [node.model_dump() for node in nodes] == before  # copies, no mutation


async def test_the_reranker_works_in_a_vector_store_index_query_engine(world: World) -> None:
    question = asked(world, "visual")[0]
    index = VectorStoreIndex([hit.node for hit in foreign_nodes(world)], embed_model=MockEmbedding(8))
    engine = index.as_query_engine(
        llm=MockLLM(),
        similarity_top_k=12,
        node_postprocessors=[RankVideoRerank(backend="scripted", model=None, top_n=3)],
    )
    for response in (engine.query(question.text), await engine.aquery(question.text)):
        assert len(response.source_nodes) == 3
        assert stems(response.source_nodes)[0] in question.judgements


def test_a_clip_that_cannot_be_watched_is_last_and_says_why(world: World, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("no video")
    question = asked(world, "visual")[0]
    nodes = [
        NodeWithScore(node=TextNode(text="gone", metadata={"file_path": str(tmp_path / "gone.mp4")}), score=0.9),
        NodeWithScore(node=TextNode(text="broken", metadata={"file_path": str(tmp_path / "broken.mp4")}), score=0.8),
        NodeWithScore(node=TextNode(text="nameless"), score=0.7),
        foreign_nodes(world)[0],
    ]
    found = RankVideoRerank(backend="scripted", model=None, top_n=9).postprocess_nodes(nodes, query_str=question.text)
    assert [node.score is None for node in found] == [False, True, True, True]
    assert [node.get_content(MetadataMode.NONE) for node in found[1:]] == ["gone", "broken", "nameless"]
    statuses = [node.metadata["rerank_status"] for node in found]
    assert statuses[0] == "ok"
    for status, code in zip(statuses[1:], ("vanished", "not_media", "no_file"), strict=True):
        assert status.startswith(f"failed: {code}: ")
    assert type(found[0].score) is float
    assert "rerank_status" not in found[0].node.get_content(MetadataMode.LLM)
    with pytest.raises(RankVideoError, match="3 of 4 clips could not be judged"):
        RankVideoRerank(backend="scripted", model=None, on_error="raise").postprocess_nodes(nodes, query_str=question.text)


def test_when_every_clip_failed_there_is_no_ranking(tmp_path: Path) -> None:
    nodes = [NodeWithScore(node=TextNode(text="x", metadata={"file_path": str(tmp_path / "gone.mp4")}))]
    with pytest.raises(RankVideoError, match="1 of 1 clips could not be judged; 1 of them: vanished"):
        RankVideoRerank(backend="scripted", model=None).postprocess_nodes(nodes, query_str="a red circle")


def test_a_judge_that_has_nothing_to_say_keeps_the_order_and_says_so(world: World, archive: VideoArchive) -> None:
    clip = narrated(world)
    nodes = archive.as_retriever().retrieve(clip.narration[0].text)
    found = RankVideoRerank(backend="scripted", model=None).postprocess_nodes(nodes, query_str="When was it built?")
    assert stems(found) == stems(nodes)[:5]
    assert all(node.metadata["rerank_status"].startswith("abstained: the pixel rule knows only") for node in found)
    assert all(node.score is None for node in found)


def test_without_a_question_or_without_nodes(world: World) -> None:
    reranker = RankVideoRerank(backend="scripted", model=None)
    assert reranker.postprocess_nodes([], query_str="x") == []
    with pytest.raises(InputError, match="needs the question"):
        reranker.postprocess_nodes(foreign_nodes(world))


def test_a_resolver_finds_the_videos_of_nodes_that_name_none(world: World) -> None:
    question = asked(world, "visual")[0]
    nodes = [NodeWithScore(node=TextNode(text="t", metadata={"n": clip.stem})) for clip in world.clips]
    reranker = RankVideoRerank(
        backend="scripted", model=None, top_n=1, video_resolver=lambda node: str(world.videos / f"{node.metadata['n']}.mp4")
    )
    (best,) = reranker.postprocess_nodes(nodes, query_str=question.text)
    assert best.metadata["n"] in question.judgements


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ValueError, match="top_k"):
        RankVideoRerank(top_k=3)  # type: ignore[call-arg]


def test_a_reranker_can_be_pickled_and_written_to_a_dict_after_use(world: World) -> None:
    reranker = RankVideoRerank(backend="scripted", model=None, top_n=2)
    nodes, question = foreign_nodes(world), asked(world, "visual")[0].text
    expected = stems(reranker.postprocess_nodes(nodes, query_str=question))
    for copy in (pickle.loads(pickle.dumps(reranker)), RankVideoRerank.from_dict(reranker.to_dict())):
        assert stems(copy.postprocess_nodes(nodes, query_str=question)) == expected
    assert reranker.to_dict()["class_name"] == "RankVideoRerank"


class Heard(BaseEventHandler):
    names: list[str] = []  # noqa: RUF012  (pydantic copies it)

    @classmethod
    def class_name(cls) -> str:
        return "Heard"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.names.append(type(event).__name__)


async def test_both_event_systems_hear_of_start_and_end(world: World) -> None:
    debug, heard = LlamaDebugHandler(print_trace_on_end=False), Heard()
    reranker = RankVideoRerank(backend="scripted", model=None, callback_manager=CallbackManager([debug]))
    get_dispatcher().add_event_handler(heard)
    try:
        reranker.postprocess_nodes(foreign_nodes(world), query_str="a red circle")
        await reranker.apostprocess_nodes(foreign_nodes(world), query_str="a red circle")
    finally:
        get_dispatcher().event_handlers.remove(heard)
    assert heard.names == ["ReRankStartEvent", "ReRankEndEvent"] * 2
    assert len(debug.get_event_pairs(CBEventType.RERANKING)) == 2


class Counting:
    """Judges by the mean brightness of the frames it is given, and counts them."""

    name = "counting"

    def __init__(self) -> None:
        self.prompts = 0

    def label_logprobs(self, prompts: list[Prompt], labels: list[str]) -> list[LabelLogprobs]:
        self.prompts += len(prompts)
        means = [float(np.mean(next(p for p in prompt.user if not isinstance(p, str)).pixels)) for prompt in prompts]
        return [LabelLogprobs((-1.0, -1.0 - mean)) for mean in means]

    def generate(self, prompts: list[Prompt], *, max_tokens: int) -> list[str]:
        raise NotImplementedError


COUNTING = Counting()


def load_counting(model: str | None, *, device: str | None = None) -> Counting:
    return COUNTING


def test_nodes_of_one_clip_are_watched_once(world: World) -> None:
    path = str(world.videos / "clip-01.mp4")
    nodes = [NodeWithScore(node=TextNode(text=str(i), metadata={"file_path": path})) for i in range(5)]
    before = COUNTING.prompts
    found = RankVideoRerank(backend="test_retrieval:load_counting", model=None).postprocess_nodes(nodes, query_str="x")
    assert COUNTING.prompts - before == 1
    assert [n.get_content(MetadataMode.NONE) for n in found] == list("01234")
    assert len({n.score for n in found}) == 1


# Answering


async def test_the_query_engine_answers_from_what_is_said_with_video_and_second(world: World, archive: VideoArchive) -> None:
    engine = archive.as_query_engine()
    for question in asked(world, "speech"):
        for response in (engine.query(question.text), await engine.aquery(question.text)):
            answer = Answer.model_validate(response.metadata["answer"])  # type: ignore[index]
            clip = next(c for c in world.clips if c.stem in question.judgements)
            assert clip.narration[0].text in answer.text
            citation = answer.citations[0]
            assert Path(citation.path).stem == clip.stem
            assert (citation.start, citation.end) == (
                pytest.approx(clip.narration[0].start, abs=0.01),
                pytest.approx(clip.narration[0].end, abs=0.01),
            )


def test_a_question_about_what_is_seen_cites_a_clip_that_shows_it(world: World, archive: VideoArchive) -> None:
    engine = archive.as_query_engine()
    for question in asked(world, "visual"):
        answer = Answer.model_validate(engine.query(question.text).metadata["answer"])  # type: ignore[index]
        assert answer.text.startswith("Seen in [")
        assert {Path(c.path).stem for c in answer.citations} <= set(question.judgements)


def test_what_the_archive_does_not_hold_it_does_not_answer(archive: VideoArchive) -> None:
    response = archive.as_query_engine().query("Who won the football cup in 1998?")
    assert str(response) == "The archive does not answer this."


def test_real_video_is_asked_and_the_cited_span_covers_the_words(shared_videos: Path, tmp_path: Path) -> None:
    from rankvideo_rag.indexing.run import index
    from rankvideo_rag.settings import Settings

    report = index([shared_videos], tmp_path / "archive", Settings.load(ocr="none"))
    assert {Path(f.path).name: f.outcome for f in report.files} == {"jfk.flac": "ok", "nasa_13013.mp4": "ok"}
    with VideoArchive.open(tmp_path / "archive") as archive:
        response = archive.as_query_engine().query("Where is the clean room with the Webb telescope?")
        (nasa,) = [v for v in archive.store.videos().values() if v.path.endswith("nasa_13013.mp4")]
    answer = Answer.model_validate(response.metadata["answer"])  # type: ignore[index]
    assert "Goddard Space Flight Center" in answer.text
    assert "Greenbelt" in answer.text
    (citation,) = answer.citations
    assert citation.path.endswith("nasa_13013.mp4")
    assert citation.start <= 8.4
    assert citation.end >= 12.4
    assert (nasa.probe.width, nasa.probe.height) == (480, 270)
    assert any("320x180" in stream for stream in nasa.probe.unused)
