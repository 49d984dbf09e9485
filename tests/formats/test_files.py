"""Published data sets and files that others wrote: read strictly, faults named with their place, nothing dropped in silence."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.corpora import CORPORA, check_corpus
from rankvideo_rag.eval.measures import compute_measures
from rankvideo_rag.eval.prepare import prepare_dataset
from rankvideo_rag.eval.slices import read_query_labels
from rankvideo_rag.formats.captions import Layout, read_captions
from rankvideo_rag.formats.multivent import evidence_channel, load_qrels, read_multivent_queries, write_submission
from rankvideo_rag.formats.rankvideo import load_run, read_queries, write_queries
from rankvideo_rag.formats.trec import rank_documents, read_claims, read_qrels, read_run, write_claims, write_qrels
from rankvideo_rag.formats.wikivideo import read_wikivideo

RUN = "\ufeffq1 Q0 v1 1 2.5 tag\r\n\r\nq2 Q0 größe 1 7 tag\r\n"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Any], Path]:
    def write(content: Any) -> Path:
        path = tmp_path / "file"
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else json.dumps(content)).encode()
        path.write_bytes(content)
        return path

    return write


# --- gzip -----------------------------------------------------------------------------------------------------------


def test_a_gzipped_run_is_read_whatever_its_name_with_byte_order_mark_and_windows_line_ends(
    written: Callable[[Any], Path],
) -> None:
    assert read_run(written(gzip.compress(RUN.encode()))) == {"q1": {"v1": 2.5}, "q2": {"größe": 7.0}}
    assert load_run(written(gzip.compress(b'{"q": {"v": 1}}'))) == {"q": {"v": 1.0}}


def test_a_fault_in_a_gzipped_file_has_the_line_number_of_what_was_packed(written: Callable[[Any], Path]) -> None:
    with pytest.raises(InputError, match="line 3: the score 'nan' is not a finite number"):
        read_run(written(gzip.compress(b"q Q0 v 1 2 t\n\nq Q0 w 2 nan t\n")))


@pytest.mark.parametrize("kept", [5, 30, 60])
def test_a_gzipped_file_that_was_cut_off_is_refused(written: Callable[[Any], Path], kept: int) -> None:
    packed = gzip.compress("".join(f"q{i} Q0 v 1 {i * 37 % 101} t\n" for i in range(50)).encode())
    with pytest.raises(InputError, match="is not a complete gzip file"):
        read_run(written(packed[:kept]))


def test_a_gzipped_file_that_was_damaged_is_refused(written: Callable[[Any], Path]) -> None:
    packed = bytearray(gzip.compress(b"q1 Q0 v1 1 2.5 tag\n" * 1))
    packed[-6] ^= 0xFF  # its checksum
    with pytest.raises(InputError, match="is not a complete gzip file"):
        read_run(written(bytes(packed)))


# --- claims and qrels -----------------------------------------------------------------------------------------------


def test_claims_and_qrels_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    claims = {"q1": {"c1": frozenset(["a", "b"]), "c2": frozenset(["b"])}, "q2": {"c1": frozenset(["z"])}}
    write_claims(tmp_path / "claims", claims)
    assert (tmp_path / "claims").read_text() == "q1 c1 a 1\nq1 c1 b 1\nq1 c2 b 1\nq2 c1 z 1\n"
    assert read_claims(tmp_path / "claims") == claims
    write_qrels(tmp_path / "qrels", {"q1": {"a": 3, "b": 0}})
    assert read_qrels(tmp_path / "qrels") == {"q1": {"a": 3, "b": 0}}


def test_a_claim_that_no_document_holds_is_kept(written: Callable[[Any], Path]) -> None:
    assert read_claims(written("q c1 a 0\nq c2 a 2\n")) == {"q": {"c1": frozenset(), "c2": frozenset("a")}}


def test_a_document_twice_for_a_claim_is_refused_and_for_two_claims_is_not(written: Callable[[Any], Path]) -> None:
    with pytest.raises(InputError, match="line 3: query 'q, claim c1' has document 'a' a second time"):
        read_claims(written("q c1 a 1\nq c2 a 1\nq c1 a 1\n"))


def test_ids_that_qrels_cannot_hold_are_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="document id 'my video' must be one word"):
        write_qrels(tmp_path / "qrels", {"q": {"a": 1, "my video": 1}})
    assert not (tmp_path / "qrels").exists()


def test_query_texts_are_read_back_each_on_one_line(tmp_path: Path) -> None:
    write_queries(tmp_path / "q.tsv", {"q1": "two\nlines\tand  a tab", "q2": "größe"})
    assert read_queries(tmp_path / "q.tsv") == {"q1": "two lines and a tab", "q2": "größe"}


# --- MultiVENT 2.0 --------------------------------------------------------------------------------------------------


def test_multivent_queries_are_read_with_quoted_commas_and_windows_line_ends(written: Callable[[Any], Path]) -> None:
    text = '\ufeffQuery_id,query\r\na_ocr_5,"Mitch McConnell, ""Truth Social"" November"\r\nb_base_0,"over two\r\nlines"\r\n'
    assert read_multivent_queries(written(text)) == {
        "a_ocr_5": 'Mitch McConnell, "Truth Social" November',
        "b_base_0": "over two\nlines",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Query_id,query\nq1,text\n\nq1,again\n", "line 4: query 'q1' comes a second time"),
        ("Query_id,query\nq1,text,more\n", "line 2 has 3 cells, not the 2 of its header"),
        ("Query_id,query\nq1, \n", "line 2: the text of 'q1'"),
        ("Query_id,query\nq 1,text\n", "line 2: the query id 'q 1' must be one word"),
        ("id,query\nq1,text\n", "line 1, the header, has no column Query_id"),
        ("Query_id,query,query\nq1,a,b\n", "has a column twice"),
        ('Query_id,query\nq1,"open\n', "is not valid CSV"),
        ("", "is empty: a header with Query_id, query is needed"),
    ],
)
def test_faulty_multivent_queries_are_refused_with_their_line(written: Callable[[Any], Path], text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_multivent_queries(written(text))
    assert words in str(error.value)


def judged(*rows: tuple[Any, Any, Any]) -> str:
    return "".join(json.dumps({"query_id": q, "doc_id": d, "relevance": r, "video_language": "en"}) + "\n" for q, d, r in rows)


def test_multivent_judgements_count_a_line_that_repeats_another_once_and_say_so(written: Callable[[Any], Path]) -> None:
    found = load_qrels(written(judged(("q1", "v1", 3), ("q1", 17, 0), ("q1", "v1", 3))))
    assert found.qrels == {"q1": {"v1": 3, "17": 0}}
    assert len(found.notes) == 1
    assert found.notes[0].endswith("judgements given twice, with the same grade: 1")


def test_trec_judgements_are_told_apart(written: Callable[[Any], Path]) -> None:
    assert load_qrels(written("q1 0 v1 2\n")) == ({"q1": {"v1": 2}}, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (judged(("q1", "v1", 3), ("q1", "v1", 2)), "line 2: query 'q1' and video 'v1' have the grade 3 and now 2"),
        (judged(("q1", "v1", 1.5)), "line 1: relevance = 1.5 is not a whole number"),
        (judged(("q1", "v1", True)), "line 1: relevance = true is not a whole number"),
        (judged(("q1", None, 1)), "line 1: the doc_id null must be a word"),
        ('{"query_id": "q", "doc_id": "v", "relevance": NaN}\n', "line 1: NaN is not a number"),
        ('{"query_id": "q", "query_id": "r", "doc_id": "v", "relevance": 1}\n', "line 1: the key 'query_id' stands twice"),
        (judged(("q", "v", 1)) + '{"query_id": "q2", "do', "line 2, column"),
        ('{"query_id": "q"}\n[1]\n', "line 1: the doc_id null"),
        (judged(("q", "v", 1)) + "[1]\n", "line 2: an object of query_id, doc_id and relevance is needed"),
    ],
)
def test_faulty_multivent_judgements_are_refused_with_their_line(written: Callable[[Any], Path], text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        load_qrels(written(text))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("query", "channel"),
    [
        ("internvid_korean_political_professional_speech_16", "speech"),
        ("x_description_0", "description"),
        ("test_pt2_query_773", None),
    ],
)
def test_a_multivent_query_names_the_channel_of_its_evidence(query: str, channel: str | None) -> None:
    assert evidence_channel(query) == channel


def test_a_submission_holds_the_order_and_no_ties(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.json", {"q1": ["b", "z", "a"], "q2": ["only"]})
    assert json.loads((tmp_path / "s.json").read_text()) == {"q1": {"b": 3, "z": 2, "a": 1}, "q2": {"only": 1}}
    assert rank_documents(load_run(tmp_path / "s.json"))["q1"] == ["b", "z", "a"]
    with pytest.raises(InputError, match="holds 'a' twice"):
        write_submission(tmp_path / "t.json", {"q": ["a", "a"]})


# --- WikiVideo ------------------------------------------------------------------------------------------------------

TOPIC = {
    "query_id": "test_pt2_query_1",
    "videos": {
        "yt1": {"anon_scale_id": "19202", "language": "english", "relevance": 3},
        "yt2": {"anon_scale_id": "43000", "relevance": 2},
        "yt3": {"language": "english"},
    },
    "claims_to_supporting_videos": {
        "It erupted": {"supporting_videos": ["yt1", "watch?v=yt3&t=46s"], "videos_modalities": {}},
        "Nobody shows it": {"supporting_videos": []},
    },
    "article": "…",
}


def test_wikivideo_gives_grades_and_claims_and_counts_what_is_odd(written: Callable[[Any], Path]) -> None:
    found = read_wikivideo(written({"2018_eruption": TOPIC}))
    assert found.queries == {"2018_eruption": "2018 eruption"}
    assert found.qrels == {"2018_eruption": {"yt1": 3, "yt2": 2, "yt3": 1}}
    assert found.claims == {"2018_eruption": {"c1": frozenset(["yt1", "yt3"]), "c2": frozenset()}}
    assert found.claim_texts == {"2018_eruption": {"c1": "It erupted", "c2": "Nobody shows it"}}
    assert [note.partition(": ")[2] for note in found.notes] == [
        "videos without a grade, taken as grade 1: 1",
        "supporting videos named as a link (watch?v=…), taken as the video: 1",
    ]


def test_wikivideos_videos_go_by_their_numbers_in_multivent_where_they_have_one(written: Callable[[Any], Path]) -> None:
    found = read_wikivideo(written({"t": TOPIC}), multivent_ids=True)
    assert found.qrels == {"t": {"19202": 3, "43000": 2, "yt3": 1}}
    assert found.claims["t"]["c1"] == frozenset(["19202", "yt3"])
    assert any("have no number in MultiVENT 2.0, under their own id: 1" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"videos": None}, "'t': an object of videos is needed"),
        ({"videos": {"yt1": {"relevance": "3"}}}, "'yt1': relevance = \"3\" is not a whole number"),
        (
            {"claims_to_supporting_videos": {"c": {"supporting_videos": ["yt9"]}}},
            "claim 1: the supporting video 'yt9' is not among",
        ),
        ({"claims_to_supporting_videos": {"c": {"supporting_videos": "yt1"}}}, "is not a list of video ids"),
        ({"claims_to_supporting_videos": {" ": {"supporting_videos": []}}}, "a claim = "),
    ],
)
def test_a_faulty_topic_is_refused(written: Callable[[Any], Path], change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as error:
        read_wikivideo(written({"t": {**TOPIC, **change}}))
    assert words in str(error.value)


# --- captions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["sentence", "sentences"])
def test_the_msrvtt_test_file_becomes_queries_with_one_video_each(written: Callable[[Any], Path], column: str) -> None:
    text = f"key,vid_key,video_id,{column}\nret0,msr9770,video9770,a person is connecting something\nret1,msr1,video1,cars\n"
    found = read_captions(written(text), "msrvtt")
    assert found.queries == {"ret0": "a person is connecting something", "ret1": "cars"}
    assert found.qrels == {"ret0": {"video9770": 1}, "ret1": {"video1": 1}}
    assert found.moments == {}


def test_the_msrvtt_annotations_keep_every_caption_of_a_video(written: Callable[[Any], Path]) -> None:
    rows = [{"sen_id": 7, "video_id": "video1", "caption": "a dog"}, {"sen_id": 8, "video_id": "video1", "caption": "the dog"}]
    found = read_captions(written({"info": {}, "videos": [], "sentences": rows}), "msrvtt")
    assert (found.queries, found.qrels) == ({"7": "a dog", "8": "the dog"}, {"7": {"video1": 1}, "8": {"video1": 1}})


DIDEMO = [
    {"annotation_id": 1, "video": "a_1.mov", "description": "a bug", "times": [[4, 4], [0, 1], [4, 4]], "num_segments": 6},
    {"annotation_id": 2, "video": "a_1.mp4", "description": "rocks ", "times": [[0, 0]]},
]


def test_didemos_pieces_are_five_seconds_and_each_annotators_span_is_a_moment(written: Callable[[Any], Path]) -> None:
    found = read_captions(written(DIDEMO), "didemo")
    assert found.moments == {"1": {"a_1#t=20,25": 1, "a_1#t=0,10": 1}, "2": {"a_1#t=0,5": 1}}
    assert found.qrels == {"1": {"a_1": 1}, "2": {"a_1": 1}}
    assert [note.partition(": ")[2] for note in found.notes] == ["videos with two file names, taken as one: 1"]
    assert compute_measures({"1": ["a_1#t=20,25"], "2": ["a_1#t=5,10"]}, found.moments, ["R(tIoU=0.5)@1"]) == {
        "R(tIoU=0.5)@1": 0.5
    }


def test_a_paragraph_is_all_captions_of_a_video_in_their_order(written: Callable[[Any], Path]) -> None:
    found = read_captions(written(DIDEMO), "didemo", paragraphs=True)
    assert (found.queries, found.qrels, found.moments) == ({"a_1": "a bug rocks"}, {"a_1": {"a_1": 1}}, {})


def test_activitynet_captions_have_times_and_one_that_ends_before_it_begins_is_counted(written: Callable[[Any], Path]) -> None:
    video = {
        "duration": 82.73,
        "timestamps": [[0.83, 19.86], [20, 20], [60.4, 50]],
        "sentences": ["A man.", " He runs.", "End."],
    }
    found = read_captions(written({"v_x": video}), "activitynet")
    assert found.queries == {"v_x.0": "A man.", "v_x.1": "He runs.", "v_x.2": "End."}
    assert found.moments == {"v_x.0": {"v_x#t=0.83,19.86": 1}}
    assert set(found.qrels) == {"v_x.0", "v_x.1", "v_x.2"}
    assert found.notes[0].endswith("spans that do not end after they begin, left out: 2")


def test_pairs_number_the_captions_of_a_video_over_all_its_entries(written: Callable[[Any], Path]) -> None:
    rows = [{"video": "folder/x.mp4", "caption": ["one", "two"]}, {"video": "y.mp4", "caption": "three"}]
    found = read_captions(written([*rows, {"video": "folder/x.mp4", "caption": "four"}]), "pairs")
    assert found.queries == {"x.0": "one", "x.1": "two", "y.0": "three", "x.2": "four"}


@pytest.mark.parametrize(
    ("layout", "content", "words"),
    [
        ("msrvtt", "key,video_id,sentence\nret0,v,a\nret0,w,b\n", "the caption 'ret0' comes a second time"),
        ("msrvtt", "key,video_id,caption\nret0,v,a\n", "line 1, the header, has no column sentence"),
        ("msrvtt", {"videos": []}, "the captions = null is not a list"),
        ("didemo", [{"annotation_id": 1, "video": "v", "description": "", "times": []}], "entry 1: the caption = "),
        ("didemo", [{"annotation_id": 1, "video": "v", "description": "a", "times": [[1]]}], "[1] is not a pair"),
        ("didemo", [{"annotation_id": 1, "description": "a", "times": []}], "entry 1: the video = null is not a text"),
        ("activitynet", {"v": {"timestamps": [[0, 1]], "sentences": []}}, "0 sentences and 1 timestamps"),
        ("activitynet", {"v": {"timestamps": [[-1, 1]], "sentences": ["a"]}}, "a time of -1 lies before the video"),
        ("activitynet", {"v": {"timestamps": [["0", 1]], "sentences": ["a"]}}, 'a time = "0" is not a finite number'),
        ("pairs", [{"video": "my video.mp4", "caption": "a"}], "must be one word"),
        ("pairs", [], "holds no caption"),
    ],
)
def test_faulty_captions_are_refused(written: Callable[[Any], Path], layout: Layout, content: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_captions(written(content), layout)
    assert words in str(error.value)


# --- slices ---------------------------------------------------------------------------------------------------------


def test_labels_are_read_from_tables_and_an_empty_cell_is_none(written: Callable[[Any], Path]) -> None:
    expected = {"language": {"q1": ("en",), "q2": ("zh",)}, "type": {"q1": ('"ocr"',)}}
    assert read_query_labels(written('query_id\tlanguage\ttype\nq1\ten\t"ocr"\nq2\tzh\t\n')) == expected
    assert read_query_labels(written('query_id,query,language,type\nq1,"a, b",en,"""ocr"""\nq2,c,zh,\n')) == expected


def test_multivents_judgements_are_labels_and_a_query_may_have_several(written: Callable[[Any], Path]) -> None:
    rows = [
        {"query_id": "q1", "doc_id": "v1", "relevance": 3, "video_language": "en", "video_modality": ["speech", "ocr"]},
        {"query_id": "q1", "doc_id": "v2", "relevance": 1, "video_language": "ar", "video_modality": None},
    ]
    found = read_query_labels(written("\n".join(json.dumps(row) for row in rows)))
    assert found == {"video_language": {"q1": ("en", "ar")}, "video_modality": {"q1": ("speech", "ocr")}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("query_id\nq1\n", "has no labels"),
        ("query\tlanguage\nq1\ten\n", "has no column query_id"),
        ('{"query_id": "q1", "language": 3}\n', "line 1: language = 3: a label is a text"),
        ('{"language": "en"}\n', "line 1: the query_id null must be a word"),
    ],
)
def test_faulty_labels_are_refused(written: Callable[[Any], Path], content: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_query_labels(written(content))
    assert words in str(error.value)


# --- corpora and prepared files -------------------------------------------------------------------------------------


def test_a_corpus_folder_is_told_file_by_file(tmp_path: Path) -> None:
    queries = "".join(f"q{i},text\n" for i in range(2546))
    (tmp_path / "multivent_2_test_queries.csv").write_text("Query_id,query\n" + queries)
    (tmp_path / "multivent_2_train_queries.csv").write_text("Query_id,query\nq1,text\n")
    (tmp_path / "multivent_2_train_judgments.jsonl").write_text('{"query_id": "q1"}\n')
    states = {state.path: state for state in check_corpus("multivent2", tmp_path)}
    assert [state.state for state in states.values()] == ["present", "other counts", "malformed"]
    assert states["multivent_2_test_queries.csv"].found == {"queries": 2546}
    assert states["multivent_2_test_queries.csv"].expected == {"queries": "2545 to 2549"}
    assert "line 1: the doc_id null" in str(states["multivent_2_train_judgments.jsonl"].reason)


@pytest.mark.parametrize("corpus", CORPORA)
def test_of_an_empty_folder_every_file_is_missing(tmp_path: Path, corpus: str) -> None:
    assert {(state.state, state.found) for state in check_corpus(corpus, tmp_path)} == {("missing", None)}


def test_an_unknown_corpus_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of multivent2, wikivideo, rankvideo"):
        check_corpus("msmarco", tmp_path)


def test_multivent_is_prepared_with_channels_as_slices(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("Query_id,query\nx_ocr_1,a sign\nx_base_2,a march\n")
    (tmp_path / "j.jsonl").write_text(judged(("x_ocr_1", "v1", 1), ("strange", "v1", 1)))
    found = prepare_dataset("multivent2", tmp_path / "q.csv", tmp_path / "out", judgements=tmp_path / "j.jsonl")
    assert {Path(path).name: lines for path, lines in found.files.items()} == {
        "queries.tsv": 2,
        "qrels.trec": 2,
        "slices.tsv": 2,
    }
    assert found.notes == ("queries with judgements and without a text: 1 ('strange')",)
    assert read_queries(tmp_path / "out" / "queries.tsv") == {"x_ocr_1": "a sign", "x_base_2": "a march"}
    assert read_qrels(tmp_path / "out" / "qrels.trec") == {"x_ocr_1": {"v1": 1}, "strange": {"v1": 1}}
    assert read_query_labels(tmp_path / "out" / "slices.tsv") == {"channel": {"x_ocr_1": ("ocr",), "x_base_2": ("base",)}}


def test_wikivideo_is_prepared_with_claims_and_captions_with_moments(written: Callable[[Any], Path], tmp_path: Path) -> None:
    prepare_dataset("wikivideo", written({"t": TOPIC}), tmp_path / "wiki")
    assert read_claims(tmp_path / "wiki" / "claims.trec") == {"t": {"c1": frozenset(["yt1", "yt3"])}}
    prepare_dataset("didemo", written(DIDEMO), tmp_path / "didemo")
    assert read_qrels(tmp_path / "didemo" / "moments.trec")["2"] == {"a_1#t=0,5": 1}
    assert sorted(path.name for path in (tmp_path / "didemo").iterdir()) == ["moments.trec", "qrels.trec", "queries.tsv"]


@pytest.mark.parametrize(
    ("data_set", "option"),
    [("didemo", {"multivent_ids": True}), ("wikivideo", {"paragraphs": True}), ("pairs", {"judgements": "j"})],
)
def test_an_option_that_does_not_go_with_a_data_set_is_refused(tmp_path: Path, data_set: Any, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))} has no meaning for {data_set}"):
        prepare_dataset(data_set, tmp_path / "none", tmp_path, **option)
