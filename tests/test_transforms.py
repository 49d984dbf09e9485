"""VideoClips in a LlamaIndex pipeline: its nodes are those of an archive, and files that cannot be read are not passed over."""

import logging
from pathlib import Path

import pytest
from llama_index.core import Document
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import MetadataMode, TransformComponent
from support.world import World

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.transforms import VideoClips

OPTIONS = {"embedder": "scripted", "ocr": "none"}


def documents(files: list[Path]) -> list[Document]:
    return [Document(text=file.stem, metadata={"file_path": str(file)}) for file in files]


def test_a_pipeline_gives_the_clips_words_and_vectors_of_an_archive(world: World) -> None:
    clips = VideoClips(options=OPTIONS)
    assert isinstance(clips, TransformComponent)
    files = sorted(world.videos.glob("*.mp4"))
    made = {node.node_id: node for node in IngestionPipeline(transformations=[clips]).run(documents=documents(files))}
    with VideoArchive.open(world.archive) as archive:
        nodes = {hit.node.node_id: hit.node for hit in archive.as_retriever(top_k=50).retrieve("something red")}
        vectors = {clip: vector for v in archive.store.videos() for clip, vector in archive.store.vectors_of(v).items()}
        question = archive.embedder().embed_queries(["a red circle"])[0]
    assert len(made) == len(files) == len(vectors)
    assert set(nodes) <= set(made)
    for clip_id, node in nodes.items():
        same = {key: node.metadata[key] for key in ("title", "start", "end", "video_id", "file_path")}
        assert made[clip_id].metadata == same
        assert made[clip_id].get_content(MetadataMode.NONE) == node.get_content(MetadataMode.NONE)
    assert {clip_id: node.embedding for clip_id, node in made.items()} == {c: v.tolist() for c, v in vectors.items()}
    assert question is not None
    assert clips.embed_query("a red circle") == question.tolist()
    assert clips.embed_query("Who won the cup in 1998?") is None  # the pixel rules know nothing of it


def test_options_of_settings_decide_and_wrong_ones_are_refused(world: World) -> None:
    file = max(world.videos.glob("*.mp4"), key=lambda path: path.stat().st_size)
    whole = VideoClips(options=OPTIONS)(documents([file]))
    parts = VideoClips(options={**OPTIONS, "clip_seconds": 1})(documents([file]))
    assert len(whole) == 1
    assert len(parts) >= 2
    assert parts[-1].metadata["end"] == whole[0].metadata["end"]
    with pytest.raises(InputError, match="unknown option 'colour'"):
        VideoClips(options={"colour": "red"})(documents([file]))


def test_a_file_that_cannot_be_read_is_an_error_or_a_line_in_the_log(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "letter.mp4").write_text("Dear Sir or Madam")
    good = next(iter(world.videos.glob("*.mp4")))
    given = documents([tmp_path / "letter.mp4", tmp_path / "gone.mp4", good])
    with pytest.raises(MediaError):
        VideoClips(options=OPTIONS)(given)
    caplog.set_level(logging.WARNING)
    (left,) = VideoClips(options=OPTIONS, on_error="skip")(given)
    assert left.metadata["file_path"] == str(good)
    told = [record.getMessage() for record in caplog.records]
    assert [f"{tmp_path / name} is left out: " in line for name, line in zip(("letter.mp4", "gone.mp4"), told, strict=True)]


def test_a_node_that_names_no_file_is_refused() -> None:
    with pytest.raises(InputError, match="names no video file"):
        VideoClips(options=OPTIONS)([Document(text="a text")])
