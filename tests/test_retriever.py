"""VideoRetriever and the query engine: channels, filters, answers."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.schema import MetadataMode, QueryBundle
from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters
from support.world import World, asked, narrated, stems

from rankvideo_rag import VideoArchive
from rankvideo_rag.errors import ArchiveMismatch, InputError
from rankvideo_rag.nodes import CHANNELS, NO_TEXT, nodes_to_hits
from rankvideo_rag.schema import Answer, SearchChannel
from rankvideo_rag.synthetic import generate_questions


@pytest.fixture(scope="module")
def archive(world: World) -> VideoArchive:
    return VideoArchive.open(world.archive)


# Retrieval


def test_a_question_about_speech_finds_its_clip(world: World, archive: VideoArchive) -> None:
    for question in asked(world, "speech"):
        (stem,) = question.judgements
        assert stems(archive.as_retriever(top_k=1).retrieve(question.text)) == [stem]


async def test_async_retrieval_returns_the_same_as_sync(
    world: World, archive: VideoArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever = archive.as_retriever()
    texts = [question.text for question in generate_questions(world.clips)[:5]]
    together = await asyncio.gather(*(retriever.aretrieve(text) for text in texts))
    assert [stems(nodes) for nodes in together] == [stems(retriever.retrieve(text)) for text in texts]


def test_the_ranks_of_each_channel_are_kept_and_hidden_from_models(world: World, archive: VideoArchive) -> None:
    clip = narrated(world)
    node = archive.as_retriever().retrieve(f"{clip.shots[0][0].colour} {clip.narration[0].text}")[0].node
    assert node.metadata["rank_speech"] == 1
    assert node.metadata["rank_visual"] >= 1
    for mode in (MetadataMode.LLM, MetadataMode.EMBED):
        seen = node.get_content(mode)
        assert "rank_" not in seen
        assert "file_path" not in seen
    assert "start" in node.get_content(MetadataMode.LLM)


def test_channel_weights_switch_channels_off_and_scale_scores(world: World, archive: VideoArchive) -> None:
    clip = narrated(world)
    question = clip.narration[0].text
    others: dict[SearchChannel, float] = {channel: 0.0 for channel in CHANNELS} | {"visual": 1.0}
    assert stems(archive.as_retriever(weights=others).retrieve(question)) == []
    equal = archive.as_retriever(weights={**others, "speech": 1.0}).retrieve(question)[0]
    more = archive.as_retriever(weights={**others, "speech": 3.0}).retrieve(question)[0]
    held = equal.node.metadata["score_speech"]
    assert equal.score == pytest.approx(held / 2**0.5, abs=1e-4)
    assert more.score == pytest.approx(held * 0.75**0.5, abs=1e-4)
    with pytest.raises(InputError, match="unknown channel smell"):
        archive.as_retriever(weights={"smell": 1.0})


def test_each_part_of_a_question_is_searched(world: World, archive: VideoArchive) -> None:
    one, two = (question.text for question in asked(world, "speech")[:2])

    def scores(question: str) -> dict[str, float | None]:
        return {hit.metadata["title"]: hit.score for hit in archive.as_retriever(top_k=100).retrieve(question)}

    apart = scores(one), scores(two)
    expected = {title: max(part.get(title) or 0.0 for part in apart) for title in apart[0] | apart[1]}
    assert scores(f"{one} {two}") == expected
    assert list(scores(f"{two} {one}").values()) == sorted(expected.values(), reverse=True)


def test_a_given_embedding_is_used_instead_of_the_text(world: World, archive: VideoArchive) -> None:
    pictures: dict[SearchChannel, float] = {channel: 0.0 for channel in CHANNELS} | {"visual": 1.0}
    by_text = archive.as_retriever(weights=pictures).retrieve("something red")
    vector = archive.embedder().embed_queries(["something red"])[0]
    assert vector is not None
    bundle = QueryBundle("no words that match", embedding=(3.0 * vector).tolist())
    assert stems(archive.as_retriever(weights=pictures).retrieve(bundle)) == stems(by_text) != []
    assert bundle.embedding == (3.0 * vector).tolist()


@pytest.mark.parametrize("embedding", [[1.0, 2.0], [0.0] * 6, [float("nan")] * 6])
def test_an_unusable_embedding_is_refused(archive: VideoArchive, embedding: list[float]) -> None:
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
    ("wrong", "message"),
    [
        (MetadataFilter(key="colour", value="red"), "cannot be filtered by 'colour': their metadata are video_id, title"),
        (MetadataFilter(key="title", value="x", operator=FilterOperator.CONTAINS), "with the operator 'contains': use one of"),
        (MetadataFilter(key="title", value="x", operator=FilterOperator.IN), "need a list"),
    ],
)
def test_an_unsupported_filter_is_refused_with_the_supported_ones(
    archive: VideoArchive, wrong: MetadataFilter, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        archive.as_retriever(filters=MetadataFilters(filters=[wrong]))


@pytest.mark.parametrize("question", ["", "   ", "?!", "\x00", "x" * 2001])
def test_an_empty_or_long_question_is_refused(archive: VideoArchive, question: str) -> None:
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
def test_query_syntax_in_a_question_is_searched_as_text(archive: VideoArchive, question: str) -> None:
    if any(character.isalnum() for character in question):
        archive.as_retriever().retrieve(question)
    else:
        with pytest.raises(InputError):
            archive.as_retriever().retrieve(question)


def test_a_clip_without_text_is_a_node_with_placeholder_text(world: World, archive: VideoArchive) -> None:
    silent = next(clip for clip in world.clips if not clip.narration)
    nodes = archive.as_retriever(top_k=50).retrieve(f"something {silent.shots[0][0].colour}")
    node = next(n.node for n in nodes if n.node.metadata["title"] == silent.stem)
    assert node.get_content(MetadataMode.NONE) == NO_TEXT
    assert next(hit.text for hit in nodes_to_hits(nodes) if hit.title == silent.stem) == ""


def test_an_archive_is_not_opened_with_another_embedder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKVIDEO_EMBEDDER")
    with pytest.raises(ArchiveMismatch, match=r"made with the embedder scripted:built-in .* not with sentence_transformers:"):
        VideoArchive.open(world.archive, profile="gpu")


# Answers


async def test_the_query_engine_answers_from_speech_and_cites_video_and_time(world: World, archive: VideoArchive) -> None:
    engine = archive.as_query_engine()
    for question in asked(world, "speech"):
        for response in (engine.query(question.text), await engine.aquery(question.text)):
            answer = Answer.model_validate(response.metadata["answer"])  # type: ignore[index]
            clip = next(c for c in world.clips if c.stem in question.judgements)
            assert clip.narration[0].text in answer.text
            citation = answer.citations[0]
            assert Path(citation.path).stem == clip.stem
            assert (citation.start, citation.end) == (  # type: ignore[comparison-overlap]
                pytest.approx(clip.narration[0].start, abs=0.01),
                pytest.approx(clip.narration[0].end, abs=0.01),
            )


def test_an_answer_about_frames_cites_a_clip_that_shows_it(world: World, archive: VideoArchive) -> None:
    engine = archive.as_query_engine()
    for question in asked(world, "visual"):
        if "ground" in question.text:
            continue  # the scripted models do not recognise backgrounds
        answer = Answer.model_validate(engine.query(question.text).metadata["answer"])  # type: ignore[index]
        assert answer.text.startswith("Seen in [")
        assert {Path(c.path).stem for c in answer.citations} <= set(question.judgements)


def test_a_question_without_evidence_is_not_answered(archive: VideoArchive) -> None:
    response = archive.as_query_engine().query("Who won the football cup in 1998?")
    assert str(response) == "The archive does not answer this."


def test_a_real_video_is_cited_with_the_span_of_the_quoted_speech(shared_videos: Path, tmp_path: Path) -> None:
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
