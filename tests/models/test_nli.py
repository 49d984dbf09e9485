"""NLI models: how a premise relates to a hypothesis. The network is random; outputs that matter are given."""

from typing import Any

import numpy as np
import pytest
from support.answering import FERRY, context_of
from support.tiny_nli import make_tiny_nli

from rankvideo_rag.answering.parsing import parse_claims
from rankvideo_rag.answering.verification import verify_claim
from rankvideo_rag.errors import ModelError
from rankvideo_rag.models.nli import Inference, load_nli
from rankvideo_rag.models.nli.sentence_transformers import CrossEncoderNli, find_labels

PAIR = ("the hall has a dome", "a dome")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> CrossEncoderNli:
    loaded = load_nli("sentence_transformers", str(make_tiny_nli(tmp_path_factory.mktemp("nli"))), device="cpu")
    assert isinstance(loaded, CrossEncoderNli)
    return loaded


def give(model: CrossEncoderNli, monkeypatch: pytest.MonkeyPatch, rows: list[list[float]]) -> list[str]:
    """Make the network return these logits for entailment, neutral and contradiction; collect the premises."""
    seen: list[str] = []

    def predict(pairs: list[tuple[str, str]], **_: Any) -> np.ndarray:
        seen.extend(premise for premise, _ in pairs)
        return np.array([rows[index % len(rows)] for index in range(len(pairs))])

    monkeypatch.setattr(model._network, "predict", predict)
    return seen


def test_no_model_without_a_backend() -> None:
    assert load_nli("none") is None


def test_labels_are_found_by_name() -> None:
    assert find_labels({0: "contradiction", 1: "neutral", 2: "entailment"}, "m") == {"entailment": 2, "contradiction": 0}
    assert find_labels({0: "ENTAILMENT", 1: "NOT_ENTAILMENT"}, "m") == {"entailment": 0}
    for labels in ({0: "LABEL_0", 1: "LABEL_1"}, {0: "entailment"}):
        with pytest.raises(ModelError, match="an NLI model with one called entailment"):
            find_labels(labels, "m")


def test_a_random_model_of_the_named_architecture_runs(model: CrossEncoderNli) -> None:
    first, second = model.infer([PAIR, ("no tower", "a dome")])
    assert {first.relation, second.relation} <= {"entailment", "neutral", "contradiction"}
    assert 1 / 3 <= (first.probability or 0) <= 1
    assert model.infer([]) == []


def test_the_likeliest_label_is_the_relation(model: CrossEncoderNli, monkeypatch: pytest.MonkeyPatch) -> None:
    third = 1 / (1 + 2 * np.exp(-1))  # softmax of 1, 0, 0
    for index, relation in enumerate(("entailment", "neutral", "contradiction")):
        give(model, monkeypatch, [[float(index == place) for place in range(3)]])
        assert model.infer([PAIR]) == [(relation, pytest.approx(third), None)]  # type: ignore[comparison-overlap]
    give(model, monkeypatch, [[float("nan")] * 3])
    assert model.infer([PAIR]) == [Inference(None, reason="the model gave numbers that are not finite")]


def test_a_long_premise_entails_what_one_part_entails(model: CrossEncoderNli, monkeypatch: pytest.MonkeyPatch) -> None:
    premise = "the hall has no tower . " * 4 + "a dome"  # 26 tokens; 16, less 3 marks and 1 of the hypothesis, fit
    seen = give(model, monkeypatch, [[0, 0, 2], [2, 0, 0], [0, 2, 0]])
    assert model.infer([(premise, "dome")])[0].relation == "entailment"
    assert len(seen) > 2
    assert all(len(part.split()) <= 12 for part in seen)
    give(model, monkeypatch, [[0, 2, 0], [0, 0, 2]])
    assert model.infer([(premise, "dome")])[0].relation == "contradiction"
    assert model.infer([("a dome", "dome " * 20)])[0].reason == "the claim is too long for the model"


class FixedNli:
    """Finds the same relation everywhere, and counts how often it is asked."""

    name = "fixed"

    def __init__(self, relation: Any) -> None:
        self.relation, self.asked = relation, 0

    def infer(self, pairs: Any) -> list[Inference]:
        self.asked += len(pairs)
        return [Inference(self.relation, 0.9)] * len(pairs)


@pytest.mark.parametrize(
    ("written", "relation", "status", "asked"),
    [
        ("Die Fähre geht um neun [1].", "entailment", "cited", 1),
        ("Die Fähre geht um neun [1].", "contradiction", "contradicted", 1),
        ("Die Fähre geht um neun [1].", "neutral", "unchecked", 1),
        ("It departs at nine [1].", "entailment", "cited", 1),
        ("It leaves at nine [1].", "contradiction", "cited", 0),  # rules decide
        ("It leaves at ten [1].", "entailment", "contradicted", 0),
        ("It leaves Velden at nine [1].", "entailment", "unchecked", 0),  # a name that the evidence does not have
    ],
)
def test_an_nli_model_decides_what_rules_leave_open(written: str, relation: str, status: str, asked: int) -> None:
    nli = FixedNli(relation)
    context = context_of("when?", [FERRY])
    result = verify_claim(parse_claims(written)[0], type(context)(**(vars(context) | {"nli": nli})))
    claim = result.claim or result.removed
    assert claim is not None
    assert (claim.status, nli.asked) == (status, asked)
