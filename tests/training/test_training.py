"""RankVideo's loss against the reference's numbers, and the published training format."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import FirstStage, TrainingExample, VideoEvidence, read_examples, write_examples
from rankvideo_rag.training.losses import infonce, ranking_loss, teacher_distillation, weighted_pointwise

MARGINS = torch.tensor([2.0, -1.0, 0.5])
LABELS = torch.tensor([1, 0, 0])
TEACHER = torch.tensor([0.9, 0.1, -1.0])


def ranking(margins: Tensor, labels: Tensor, teacher: Tensor, **options: float) -> Tensor:
    """The loss of one group."""
    return ranking_loss(margins[None], labels[None], teacher[None], **options)[0]


def printed(loss: Tensor) -> float:
    return round(float(loss), 6)


def cross_entropy(logit: float, target: float) -> float:
    p = 1 / (1 + math.exp(-logit))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


# --- objectives -----------------------------------------------------------------------------------------------------


def test_each_loss_has_the_value_of_the_reference() -> None:
    assert printed(infonce(MARGINS[None], LABELS[None] >= 1, tau=10)) == 0.956098
    assert printed(teacher_distillation(MARGINS, TEACHER)) == 0.585577
    assert printed(weighted_pointwise(MARGINS, LABELS)) == 0.265199


def test_the_total_uses_the_weights_of_the_paper_or_of_its_code() -> None:
    assert printed(ranking(MARGINS, LABELS, TEACHER)) == 4.016583
    assert printed(ranking(MARGINS, LABELS, TEACHER, lambda_pointwise=1.0)) == 4.149183


def test_temperatures_and_weights_change_the_loss() -> None:
    found = ranking(
        MARGINS, LABELS, TEACHER, tau_pair=2, tau_teacher=3, tau_pointwise=4, lambda_teacher=0.5, lambda_pointwise=2
    )
    shares = [math.exp(s / 2) for s in (2.0, -1.0, 0.5)]
    pair = -math.log(shares[0] / sum(shares))
    teacher = (cross_entropy(2 / 3, 0.9) + cross_entropy(-1 / 3, 0.1)) / 2
    pointwise = (cross_entropy(2 / 4, 1) + 0.5 * cross_entropy(-1 / 4, 0.1) + 0.5 * cross_entropy(0.5 / 4, 0.1)) / 3
    assert float(found) == pytest.approx(pair + 0.5 * teacher + 2 * pointwise, rel=1e-6)


def test_without_teacher_scores_loss_and_gradient_are_zero() -> None:
    margins = MARGINS.clone().requires_grad_()
    loss = teacher_distillation(margins, torch.full((3,), -1.0))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert margins.grad is not None
    assert margins.grad.tolist() == [0.0, 0.0, 0.0]
    assert printed(ranking(MARGINS, LABELS, torch.full((3,), -1.0))) == round(0.956098 + 0.5 * 0.265199, 6)


@pytest.mark.parametrize("labels", [[1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 1]])
def test_gradients_agree_with_finite_differences(labels: list[int]) -> None:
    margins = MARGINS.double().requires_grad_()
    ranking(margins, torch.tensor(labels), TEACHER).backward()  # type: ignore[no-untyped-call]
    assert margins.grad is not None
    step = 1e-6
    for i in range(3):
        nudge = step * torch.eye(3, dtype=torch.float64)[i]
        above, below = (ranking(MARGINS.double() + s * nudge, torch.tensor(labels), TEACHER) for s in (1, -1))
        assert float(margins.grad[i]) == pytest.approx(float(above - below) / (2 * step), rel=1e-5, abs=1e-9)


def test_half_precision_margins_are_computed_in_32_bits() -> None:
    loss = ranking(MARGINS.bfloat16(), LABELS, TEACHER.bfloat16().float())
    assert loss.dtype == torch.float32
    assert float(ranking(MARGINS.bfloat16(), LABELS, TEACHER)) == pytest.approx(4.016583, abs=1e-6)


def test_large_margins_stay_finite() -> None:
    assert torch.isfinite(ranking(torch.tensor([-1e4, 1e4]), torch.tensor([1, 0]), torch.tensor([1.5, 0.0])))


def test_vectors_of_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match=r"got shapes \[\(1, 3\), \(1, 2\)\]"):
        ranking(MARGINS, LABELS[:2], TEACHER)
    with pytest.raises(InputError, match="got shapes"):
        weighted_pointwise(MARGINS[:0], LABELS[:0])
    with pytest.raises(InputError, match="write -1 where the teacher gave none"):
        teacher_distillation(MARGINS, torch.tensor([0.5, math.nan, 0.5]))


# --- records --------------------------------------------------------------------------------------------------------

PUBLISHED = {
    "query_id": "q001",
    "query": "person playing guitar on stage",
    "doc_id": "video_123",
    "videos": ["/videos/video_123.mp4"],
    "true_label": 1,
    "teacher_p_yes": 0.85,
    "evidence": {"caption": "A musician performs.", "asr": "gracias\u2028a todos"},
    "teacher_reasoning": "The caption names a guitar.",
    "teacher_label": 1,
    "teacher_logit_delta": 1.734,
    "meta": {"rank": 3, "score": 0.95},
}


def lines(path: Path, *records: object) -> Path:
    path.write_text(
        "".join(f"{json.dumps(record, ensure_ascii=False)}\r\n" for record in records), encoding="utf-8-sig", newline=""
    )
    return path


def test_a_published_example_is_read_whole(tmp_path: Path) -> None:
    (example,) = read_examples(lines(tmp_path / "train.jsonl", PUBLISHED))
    assert example == TrainingExample(
        query_id="q001",
        query="person playing guitar on stage",
        doc_id="video_123",
        videos=("/videos/video_123.mp4",),
        true_label=1,
        teacher_p_yes=0.85,
        evidence=VideoEvidence(caption="A musician performs.", asr="gracias\u2028a todos"),
        teacher_reasoning="The caption names a guitar.",
        teacher_label=1,
        teacher_logit_delta=1.734,
        meta=FirstStage(rank=3, score=0.95),
    )


def test_examples_come_back_as_they_were_written(tmp_path: Path) -> None:
    bare = {"query_id": "q2", "query": "", "doc_id": "v", "teacher_p_yes": None}
    examples = list(read_examples(lines(tmp_path / "train.jsonl", PUBLISHED, bare)))
    write_examples(tmp_path / "again.jsonl", examples)
    assert list(read_examples(tmp_path / "again.jsonl")) == examples
    first, second = (tmp_path / "again.jsonl").read_text(encoding="utf-8").split("\n")[:2]
    assert json.loads(first) == PUBLISHED
    assert json.loads(second).keys() == PUBLISHED.keys()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"true_lable": 1}, "true_lable: Extra inputs are not permitted"),
        ({"query": None}, "query: Input should be a valid string"),
        ({"doc_id": ""}, "doc_id: String should have at least 1 character"),
        ({"teacher_p_yes": 1.2}, "teacher_p_yes: Input should be less than or equal to 1"),
        ({"teacher_p_yes": math.nan}, "teacher_p_yes: Input should be"),
        ({"teacher_logit_delta": math.inf}, "teacher_logit_delta: Input should be a finite number"),
        ({"meta": {"rank": "third"}}, "meta.rank: Input should be a valid integer"),
    ],
)
def test_a_faulty_example_is_refused_with_its_line_and_field(tmp_path: Path, change: dict[str, object], words: str) -> None:
    path = lines(tmp_path / "train.jsonl", PUBLISHED, PUBLISHED | change)
    with pytest.raises(InputError) as error:
        list(read_examples(path))
    assert f"{path}, line 2 is not a valid training example: {words}" in str(error.value)


def test_invalid_json_and_missing_fields_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"query_id": "q1", "query": "x"\n')
    with pytest.raises(InputError, match=r"line 1 is not a valid training example: line: Invalid JSON"):
        list(read_examples(path))
    path.write_text('\n{"query_id": "q1", "query": "x"}\n')
    with pytest.raises(InputError, match=r"line 2 is not a valid training example: doc_id: Field required"):
        list(read_examples(path))


@pytest.mark.parametrize(
    ("true_label", "teacher_label", "relevant"),
    [(1, 0, True), (0, 1, False), (None, 1, True), (None, 0, False), (None, None, None)],
)
def test_human_labels_precede_the_teachers_and_none_means_unjudged(
    true_label: int | None, teacher_label: int | None, relevant: bool | None
) -> None:
    example = TrainingExample(query_id="q", query="x", doc_id="v", true_label=true_label, teacher_label=teacher_label)
    assert example.relevant is relevant
