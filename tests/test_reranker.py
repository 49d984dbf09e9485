"""RankVideoRerank as LlamaIndex sees it: any node, sync and async, copies, statuses, events, windows, reasoning, threads."""

import asyncio
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import MockLLM
from llama_index.core.schema import IndexNode, MediaResource, MetadataMode, Node, NodeWithScore, TextNode
from support.world import World, asked, narrated, stems

from rankvideo_rag import RankVideoError, RankVideoRerank, VideoArchive
from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.ranking.windows import Windowing


@pytest.fixture(scope="module")
def archive(world: World) -> VideoArchive:
    return VideoArchive.open(world.archive)


def test_watching_the_clips_puts_the_one_that_is_asked_for_first(world: World, archive: VideoArchive) -> None:
    reranker = archive.as_reranker(top_n=20)
    assert reranker is not None
    for question in asked(world, "visual"):
        nodes = reranker.postprocess_nodes(archive.as_retriever().retrieve(question.text), query_str=question.text)
        assert stems(nodes)[0] in question.judgements
        margins = [node.score for node in nodes]
        assert margins == sorted(margins, key=lambda m: -(m if m is not None else -1e9))


def test_a_clip_is_as_relevant_as_to_the_part_of_the_question_that_it_answers(world: World, archive: VideoArchive) -> None:
    one, two = asked(world, "speech")[:2]
    reranker = archive.as_reranker(evidence="text", top_n=20)
    assert reranker is not None

    def relevance(question: str) -> dict[str, float]:
        nodes = archive.as_retriever().retrieve(f"{one.text} {two.text}")
        found = reranker.postprocess_nodes(nodes, query_str=question)
        return {stems([hit])[0]: hit.metadata["relevance_text"] for hit in found if "relevance_text" in hit.metadata}

    apart = relevance(one.text), relevance(two.text)
    assert relevance(f"{one.text} {two.text}") == {stem: max(apart[0][stem], apart[1][stem]) for stem in apart[0]}


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


def test_nodes_that_hold_objects_are_passed_on_with_the_same_objects(world: World) -> None:
    """Recursive retrieval puts query engines into nodes; these hold locks and connections, which cannot be copied."""
    engine = threading.Lock()
    path = str(world.videos / f"{world.clips[0].stem}.mp4")
    node = IndexNode(text="x", index_id="1", obj=engine, metadata={"file_path": path})
    found = RankVideoRerank(backend="scripted", model=None).postprocess_nodes([NodeWithScore(node=node)], query_str="a circle")
    assert isinstance(found[0].node, IndexNode)
    assert found[0].node.obj is engine
    assert found[0].node is not node
    assert node.metadata == {"file_path": path}


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
    with pytest.raises(RankVideoError, match="3 of 4 clips could not be scored"):
        RankVideoRerank(backend="scripted", model=None, on_error="raise").postprocess_nodes(nodes, query_str=question.text)


def test_when_every_clip_failed_there_is_no_ranking(tmp_path: Path) -> None:
    nodes = [NodeWithScore(node=TextNode(text="x", metadata={"file_path": str(tmp_path / "gone.mp4")}))]
    with pytest.raises(RankVideoError, match="1 of 1 clips could not be scored; 1 of them: vanished"):
        RankVideoRerank(backend="scripted", model=None).postprocess_nodes(nodes, query_str="a red circle")


def test_a_judge_that_has_nothing_to_say_keeps_the_order_and_says_so(world: World, archive: VideoArchive) -> None:
    clip = narrated(world)
    nodes = archive.as_retriever().retrieve(clip.narration[0].text)
    found = RankVideoRerank(backend="scripted", model=None).postprocess_nodes(nodes, query_str="When was it built?")
    assert stems(found) == stems(nodes)[:5]
    assert all(node.metadata["rerank_status"].startswith("abstained: the scripted model knows only") for node in found)
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


SHOWN: list[str] = []  # texts of the last prompts


class Brightness:
    """Judges by the mean brightness of the frames that it is given; counts its prompts; can be slow, doubtful or dead."""

    name = "brightness"

    def __init__(self, *, seconds: float = 0.0, dead: bool = False) -> None:
        self.prompts = 0
        self.running = 0
        self.most_running = 0
        self._lock = threading.Lock()
        self._seconds = seconds
        self._dead = dead

    def label_logprobs(self, prompts: list[Prompt], labels: list[str]) -> list[LabelLogprobs]:
        with self._lock:
            SHOWN[:] = [part for prompt in prompts for part in prompt.user if isinstance(part, str)]
            self.prompts += len(prompts)
            self.running += 1
            self.most_running = max(self.most_running, self.running)
        time.sleep(self._seconds)
        with self._lock:
            self.running -= 1
        if self._dead:
            raise ModelError("connection refused")
        means = [float(np.mean(next(p for p in prompt.user if not isinstance(p, str)).pixels)) for prompt in prompts]
        scales = [255 if prompt.prefill.startswith("It is") else 2550 for prompt in prompts]  # surer after a rationale
        return [LabelLogprobs((-1.0, -1.0 - mean / scale)) for mean, scale in zip(means, scales, strict=True)]

    def generate(self, prompts: list[Prompt], *, max_tokens: int) -> list[Generation]:
        return [Generation("It is bright. <answer>yes", 5) for _ in prompts]

    def __reduce__(self) -> str:
        raise AssertionError("a loaded model must not be pickled")


JUDGES = {"counting": Brightness(), "slow": Brightness(seconds=0.3), "dead": Brightness(dead=True)}


def load_counting(model: str | None, *, device: str | None = None) -> Brightness:
    return JUDGES["counting"]


def load_slow(model: str | None, *, device: str | None = None) -> Brightness:
    return JUDGES["slow"]


def load_dead(model: str | None, *, device: str | None = None) -> Brightness:
    return JUDGES["dead"]


def by(judge: str, **options: Any) -> RankVideoRerank:
    return RankVideoRerank(backend=f"{__name__}:load_{judge}", model=None, **options)


def test_nodes_of_one_clip_are_watched_once(world: World) -> None:
    path = str(world.videos / "clip-01.mp4")
    nodes = [NodeWithScore(node=TextNode(text=str(i), metadata={"file_path": path})) for i in range(5)]
    before = JUDGES["counting"].prompts
    found = by("counting").postprocess_nodes(nodes, query_str="x")
    assert JUDGES["counting"].prompts - before == 1
    assert [n.get_content(MetadataMode.NONE) for n in found] == list("01234")
    assert len({n.score for n in found}) == 1


# What comes back


def test_what_the_reranker_found_is_hidden_from_models_and_made_of_plain_numbers(world: World) -> None:
    nodes = foreign_nodes(world)[8:10]
    found = by("counting", windows=Windowing(seconds=1), reasoning="always").postprocess_nodes(nodes, query_str="x")
    for hit in found:
        metadata = hit.node.metadata
        assert type(hit.score) is float
        assert hit.score == metadata["rerank_score"]
        assert metadata["retrieval_score"] == 0.5
        assert metadata["rerank_rationale"] == "It is bright."
        assert metadata["rerank_tokens"] == 10  # two windows, five each
        assert metadata["rerank_reasoned_share"] == 1.0
        assert (metadata["rerank_start"], metadata["rerank_end"]) in {(0.0, 1.0), (1.0, 2.0)}
        assert metadata["rerank_model"] == "brightness"
        for mode in (MetadataMode.LLM, MetadataMode.EMBED):
            assert "rerank" not in hit.node.get_content(mode)
            assert "bright" not in hit.node.get_content(mode)
        assert "NaN" not in hit.to_json()


def test_a_score_threshold_drops_what_is_below_and_keeps_what_could_not_be_judged(world: World, tmp_path: Path) -> None:
    nodes = foreign_nodes(world)[:4]
    nodes.insert(1, NodeWithScore(node=TextNode(text="gone", metadata={"file_path": str(tmp_path / "gone.mp4")})))
    judged = by("counting").postprocess_nodes(nodes, query_str="x")
    margins = sorted(hit.score for hit in judged if hit.score is not None)
    found = by("counting", score_threshold=margins[2]).postprocess_nodes(nodes, query_str="x")
    assert [hit.score for hit in found] == [margins[3], margins[2], None]
    assert by("counting", score_threshold=99.0, top_n=1).postprocess_nodes(nodes, query_str="x")[0].score is None


def test_the_retrieval_score_is_left_out_when_it_is_not_wanted(world: World) -> None:
    (hit,) = by("counting", keep_retrieval_score=False).postprocess_nodes(foreign_nodes(world)[:1], query_str="x")
    assert "retrieval_score" not in hit.node.metadata


def test_what_an_earlier_pass_found_does_not_pass_for_this_ones_finding(world: World, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes((world.videos / "clip-01.mp4").read_bytes())
    nodes = [NodeWithScore(node=TextNode(text="t", metadata={"file_path": str(path)})), *foreign_nodes(world)[:1]]
    first = by("counting", windows=Windowing(seconds=1), reasoning="always").postprocess_nodes(nodes, query_str="x")
    path.unlink()
    second = by("counting").postprocess_nodes(first, query_str="x")
    gone = second[-1].node.metadata
    assert gone["rerank_status"].startswith("failed: vanished")
    assert not {"rerank_score", "rerank_p_yes", "rerank_start", "rerank_end", "rerank_rationale"} & set(gone)


def test_a_clip_that_was_watched_in_windows_is_cited_by_the_window(world: World, archive: VideoArchive) -> None:
    clip = next(clip for clip in world.clips if clip.seconds == 6.0 and not clip.narration)
    thing = clip.shots[0][0]
    node = TextNode(text="(no text in this clip)", metadata={"file_path": str(world.videos / f"{clip.stem}.mp4")})
    question = f"a {thing.colour} {thing.shape}"
    reranker = RankVideoRerank(backend="scripted", model=None, windows=Windowing(seconds=2))
    hits = reranker.postprocess_nodes([NodeWithScore(node=node)], query_str=question)
    start, end = hits[0].node.metadata["rerank_start"], hits[0].node.metadata["rerank_end"]
    assert end - start == 2.0
    response = archive.as_synthesizer().synthesize(question, hits)
    (citation,) = response.metadata["answer"]["citations"]  # type: ignore[index]
    assert (citation["start"], citation["end"]) == (start, end)


# Evidence: picture, text, both

SIGN = "The sign at the pier reads PLATFORM 12."


def with_texts(world: World, *texts: str) -> list[NodeWithScore]:
    """Nodes of the world's clips with these texts."""
    return [
        NodeWithScore(node=TextNode(text=text, metadata={"file_path": str(world.videos / f"{clip.stem}.mp4")}), score=0.5)
        for text, clip in zip(texts, world.clips, strict=False)
    ]


def test_words_that_answer_keep_a_clip_first_whatever_its_picture_and_the_reverse(world: World) -> None:
    shape = world.clips[0].shots[0][0]
    seen = f"a {shape.colour} {shape.shape}"
    nodes = with_texts(world, "", *([SIGN] * 11))
    pictures = RankVideoRerank(backend="scripted", model=None, top_n=12).postprocess_nodes(nodes, query_str=seen)
    worst = next(hit for hit in pictures[::-1] if hit.score is not None)
    clips = [nodes[0], NodeWithScore(node=worst.node)]
    both = RankVideoRerank(backend="scripted", model=None, evidence="both")
    for question, first in ((seen, clips[0]), ("What does the sign at the pier read?", clips[1])):
        found = both.postprocess_nodes(clips, query_str=question)
        assert found[0].node.node_id == first.node.node_id
        scores = [hit.score for hit in found]
        assert scores == sorted(scores, key=lambda score: -(score or 0.0))
        assert scores == [hit.node.metadata.get("relevance") for hit in found]


def test_each_hit_says_which_sense_supports_it(world: World) -> None:
    nodes = with_texts(world, SIGN, "")
    found = by("counting", evidence="both").postprocess_nodes(nodes, query_str="the sign at the pier")
    spoken, silent = sorted(nodes_to_hits(found), key=lambda hit: hit.text, reverse=True)
    assert spoken.evidence.keys() == silent.evidence.keys() == {"picture", "text"}
    assert (silent.evidence["text"], silent.unscored.keys()) == (None, {"text"})  # type: ignore[comparison-overlap]
    assert silent.unscored["text"].startswith("abstained: no_text")
    assert spoken.unscored == {}
    by_id = {hit.node.node_id: hit.node.metadata for hit in found}
    metadata = by_id[nodes[0].node.node_id]
    assert spoken.evidence == {"picture": metadata["rerank_score"], "text": metadata["relevance_text"]}
    # 1 - (1 - picture) * (1 - text)
    combined = 1 - (1 - metadata["relevance_picture"]) * (1 - metadata["relevance_text"])
    assert spoken.score == pytest.approx(combined)
    assert silent.score == by_id[nodes[1].node.node_id]["relevance_picture"]
    assert "relevance" not in found[0].node.get_content(MetadataMode.LLM)
    assert "relevance" not in found[0].node.get_content(MetadataMode.EMBED)


def test_text_alone_needs_no_model_and_no_video() -> None:
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in ("Good shoes.", SIGN, "")]
    found = by("dead", evidence="text").postprocess_nodes(nodes, query_str="Which platform does the sign at the pier read?")
    assert [hit.get_content() for hit in found] == [SIGN, "Good shoes.", ""]
    assert [hit.score is None for hit in found] == [False, False, True]
    assert found[-1].node.metadata["rerank_status"].startswith("abstained: no_text")
    assert not {"relevance_picture", "unscored_picture", "rerank_score"} & found[0].node.metadata.keys()


def test_a_picture_outside_the_models_domain_is_not_scored(world: World) -> None:
    nodes = with_texts(world, SIGN, "", "Lunch is served at noon.")
    reranker = by("counting", evidence="both", out_of_domain=lambda node, question: "it knows other videos")
    found = reranker.postprocess_nodes(nodes, query_str="the sign at the pier")
    assert found[0].get_content() == SIGN
    assert all(hit.node.metadata["unscored_picture"] == "abstained: out_of_domain: it knows other videos" for hit in found)
    assert found[-1].score is None


def test_a_picture_that_cannot_be_read_leaves_the_text(world: World, tmp_path: Path) -> None:
    gone = NodeWithScore(node=TextNode(text=SIGN, metadata={"file_path": str(tmp_path / "gone.mp4")}))
    found = by("counting", evidence="both").postprocess_nodes([*with_texts(world, ""), gone], query_str="the sign at the pier")
    (metadata,) = [hit.node.metadata for hit in found if hit.get_content() == SIGN]
    assert metadata["unscored_picture"].startswith("failed: vanished")
    assert metadata["relevance"] == metadata["relevance_text"]
    assert metadata["rerank_status"] == "ok"


def test_a_prompt_with_a_place_for_it_gets_text_and_retrieval_scores_and_keys_the_cache(world: World, tmp_path: Path) -> None:
    (node,) = with_texts(world, SIGN)
    node.node.metadata |= {"score_speech": 0.71, "rank_speech": 1}
    before = JUDGES["counting"].prompts
    reranker = by("counting", prompt="with-transcript", cache=str(tmp_path / "scores.db"))
    for text, count in ((SIGN, 1), (SIGN, 1), ("Other words.", 2)):
        other = node.model_copy(deep=True)
        assert isinstance(other.node, TextNode)
        other.node.text = text
        reranker.postprocess_nodes([other], query_str="x")
        assert JUDGES["counting"].prompts - before == count
    assert "Other words." in SHOWN[0]
    assert "speech 71" in SHOWN[0]


# Faults


def test_a_model_that_is_dead_gives_no_ranking_but_an_error(world: World) -> None:
    with pytest.raises(RankVideoError, match="4 of 4 clips could not be scored; 4 of them: model: connection refused"):
        by("dead").postprocess_nodes(foreign_nodes(world)[:4], query_str="x")


def test_after_the_deadline_the_rest_stand_last_in_the_order_in_which_they_came(world: World) -> None:
    nodes = foreign_nodes(world)
    reranker = by("slow", deadline=0.5, batch_size=1, top_n=12)
    started = time.monotonic()
    found = reranker.postprocess_nodes(nodes, query_str="x")
    assert time.monotonic() - started < 3.0
    late = [hit for hit in found if hit.score is None]
    assert len(late) >= 8
    assert all(hit.node.metadata["rerank_status"].startswith("failed: timeout") for hit in late)
    places = [[node.node_id for node in nodes].index(hit.node_id) for hit in late]
    assert places == sorted(places)
    assert found[: len(found) - len(late)] == [hit for hit in found if hit.score is not None]


@pytest.mark.parametrize(
    "wrong",
    [{"top_n": 0}, {"batch_size": 0}, {"deadline": 0}, {"on_error": "ignore"}, {"reasoning": "often"}, {"prompts": "x"}],
)
def test_an_option_that_cannot_be_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RankVideoRerank(backend="scripted", model=None, **wrong)


# Threads, loops, copies


def test_concurrent_queries_get_what_each_would_get_alone(world: World) -> None:
    texts = [question.text for question in asked(world, "visual")][:4]
    reranker, nodes = RankVideoRerank(backend="scripted", model=None, top_n=12), foreign_nodes(world)[::2]

    def ranked(text: str) -> list[tuple[str, float | None]]:
        return [(hit.node_id, hit.score) for hit in reranker.postprocess_nodes(nodes, query_str=text)]

    alone = [ranked(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ranked, texts)) == alone


async def test_async_queries_run_side_by_side_and_do_not_hold_up_the_loop(world: World) -> None:
    reranker, nodes = by("slow"), foreign_nodes(world)[:1]
    JUDGES["slow"].most_running = 0
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.02)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(reranker.apostprocess_nodes(nodes, query_str=f"question {i}") for i in range(3)))
    ticking.cancel()
    assert ticks >= 5
    assert JUDGES["slow"].most_running >= 2


async def test_sync_and_async_reranking_each_have_a_span_of_their_own(world: World) -> None:
    spans = SimpleSpanHandler()
    get_dispatcher().add_span_handler(spans)
    try:
        reranker, nodes = by("counting"), foreign_nodes(world)[:1]
        reranker.postprocess_nodes(nodes, query_str="x")
        await reranker.apostprocess_nodes(nodes, query_str="x")
    finally:
        get_dispatcher().span_handlers.remove(spans)
    names = [span.id_.partition("-")[0] for span in spans.completed_spans]
    assert names.count("RankVideoRerank._postprocess_nodes") == 1
    assert names.count("RankVideoRerank._apostprocess_nodes") == 1


def test_a_loaded_model_stays_behind_when_the_reranker_is_pickled_or_copied(
    world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    reranker = by("counting", windows=Windowing(seconds=2, aggregate="noisy-or"), cache=str(tmp_path / "scores.db"))
    nodes = foreign_nodes(world)[:3]
    expected = reranker.postprocess_nodes(nodes, query_str="x")
    copies = (
        pickle.loads(pickle.dumps(reranker)),
        reranker.model_copy(deep=True),
        RankVideoRerank.from_dict(reranker.to_dict()),
        RankVideoRerank.from_json(reranker.to_json()),
    )
    for copy in copies:
        assert copy.to_dict() == reranker.to_dict()
        assert copy.postprocess_nodes(nodes, query_str="x") == expected
    assert caplog.text == ""  # LlamaIndex warns of what it cannot pickle


def test_a_cache_spares_the_model_the_second_time(world: World, tmp_path: Path) -> None:
    nodes = foreign_nodes(world)[:3]
    first = by("counting", cache=str(tmp_path / "scores.db")).postprocess_nodes(nodes, query_str="x")
    before = JUDGES["counting"].prompts
    again = by("counting", cache=str(tmp_path / "scores.db")).postprocess_nodes(nodes, query_str="x")
    assert JUDGES["counting"].prompts == before
    assert [(hit.node_id, hit.score) for hit in again] == [(hit.node_id, hit.score) for hit in first]
