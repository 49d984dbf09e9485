"""Downloads of published corpora."""

from pathlib import Path

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.corpora import CORPORA, check_corpus


def test_files_are_present_malformed_or_of_other_counts(tmp_path: Path) -> None:
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
def test_every_file_of_an_empty_folder_is_missing(tmp_path: Path, corpus: str) -> None:
    assert {(state.state, state.found) for state in check_corpus(corpus, tmp_path)} == {("missing", None)}


def test_an_unknown_corpus_is_refused_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="choose one of multivent2, wikivideo, rankvideo"):
        check_corpus("msmarco", tmp_path)
