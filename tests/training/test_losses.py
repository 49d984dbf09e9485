"""Losses against values by hand, plain loops and finite differences; extreme and empty inputs."""

import math
import random
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.measures import compute_measures
from rankvideo_rag.training.losses import (
    bce_yes_no,
    infonce,
    lambdarank,
    listnet,
    ranking_loss,
    ranknet,
    symmetric_kl,
    teacher_distillation,
    weighted_pointwise,
)

GroupObjective = Callable[[Tensor, Tensor], Tensor]
GRADED: dict[str, GroupObjective] = {"ranknet": ranknet, "lambdarank": lambdarank, "listnet": listnet}
OF_A_GROUP: dict[str, GroupObjective] = {
    **GRADED,
    "bce_yes_no": bce_yes_no,
    "weighted_pointwise": weighted_pointwise,
    "teacher_distillation": lambda margins, grades: teacher_distillation(margins, grades / 3),
    "ranking_loss": lambda margins, grades: ranking_loss(margins[None], grades[None], grades[None] / 3)[0],
}
GRADES = [[3, 0, 1, 1], [1, 0], [2], [1, 1, 1]]  # several, one pair, one video, no negatives


def numbers(seed: int, n: int) -> Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def printed(loss: Tensor) -> float:
    return round(loss.item(), 6)


def gradient(loss: Callable[[Tensor], Tensor], at: Tensor) -> list[float]:
    (found,) = torch.autograd.grad(loss(moved := at.clone().requires_grad_()), moved)
    values: list[float] = found.flatten().tolist()
    return values


def groups(seed: int) -> tuple[list[float], list[int]]:
    """Margins, one of them there twice, and grades of 0 to 3."""
    chance = random.Random(seed)
    margins = [chance.gauss(0, 3) for _ in range(chance.randint(1, 11))]
    return [*margins, margins[0]], [chance.randint(0, 3) for _ in range(len(margins) + 1)]


# --- over one query's videos ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "margins", "grades", "expected"),
    [
        (ranknet, [0, 0], [1, 0], 0.693147),  # log 2
        (ranknet, [1, 0], [1, 0], 0.313262),  # log(1 + 1/e)
        (ranknet, [0, 1], [1, 0], 1.313262),
        (partial(ranknet, sigma=2), [0.5, 0], [1, 0], 0.313262),
        (ranknet, [1, 0, 0], [2, 1, 0], 0.439890),  # (0.313262 + 0.313262 + 0.693147) / 3
        # Swapped, the only relevant one falls from rank 1 to 2: nDCG from 1 to 1 / log2(3), so 0.369070 of RankNet's loss.
        (lambdarank, [1, 0], [1, 0], 0.115616),
        (lambdarank, [0, 1], [1, 0], 0.484686),
        (lambdarank, [1, 0], [3, 0], 0.115616),  # a grade cancels out where it is the only one
        # Linear gains: 2 (1 - 1 / log2(3)) of the ideal 3 + 1 / log2(3), so 0.203292. With 2^grade - 1: 6 of 7 and 1, 0.290191.
        (lambdarank, [1, 0], [3, 1], 0.063684),
        (partial(lambdarank, k=1), [2, 1, 0], [0, 1, 0], 1.313262),  # rank 1 gains all; ranks 2 and 3 do not differ
        (listnet, [0, 0], [1, 0], 0.693147),
        (listnet, [1, 0], [1, 0], 0.582203),  # of shares 0.731059 and 0.268941: their entropy
        (partial(listnet, tau=2), [2, 0], [1, 0], 0.582203),
        (bce_yes_no, [0, 0], [1, 0], 0.693147),
        (bce_yes_no, [1, 1], [2, 0], 0.813262),  # (0.313262 + 1.313262) / 2
    ],
)
def test_each_objective_has_the_value_worked_out_by_hand(
    loss: GroupObjective, margins: list[float], grades: list[int], expected: float
) -> None:
    assert printed(loss(torch.tensor(margins, dtype=torch.float32), torch.tensor(grades))) == expected


@pytest.mark.parametrize("seed", range(20))
def test_ranknet_is_the_mean_of_a_loop_over_pairs(seed: int) -> None:
    margins, grades = groups(seed)
    losses = [
        math.log1p(math.exp(-1.5 * (margins[i] - margins[j])))
        for i in range(len(grades))
        for j in range(len(grades))
        if grades[i] > grades[j]
    ]
    found = ranknet(torch.tensor(margins, dtype=torch.float64), torch.tensor(grades), sigma=1.5)
    assert found.item() == pytest.approx(sum(losses) / max(len(losses), 1), rel=1e-12)


def ndcg_after_swap(margins: Sequence[float], grades: Sequence[int], k: int, i: int, j: int) -> float:
    """By the measure with which rankings are evaluated."""
    order = sorted(range(len(margins)), key=lambda video: -margins[video])
    swapped = [j if video == i else i if video == j else video for video in order]
    qrels = {"q": {f"v{video}": grade for video, grade in enumerate(grades)}}
    return compute_measures({"q": [f"v{video}" for video in swapped]}, qrels, [f"nDCG@{k}"])[f"nDCG@{k}"]


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("seed", range(5))
def test_lambdarank_weights_pairs_by_the_change_of_ndcg(seed: int, k: int) -> None:
    margins, grades = groups(seed)
    expected, slopes = 0.0, [0.0] * len(grades)
    for i in range(len(grades)):
        for j in range(len(grades)):
            if grades[i] > grades[j]:
                change = abs(ndcg_after_swap(margins, grades, k, i, j) - ndcg_after_swap(margins, grades, k, i, i))
                expected += change * math.log1p(math.exp(-2 * (margins[i] - margins[j])))
                pull = 2 * change / (1 + math.exp(2 * (margins[i] - margins[j])))  # the paper's lambda
                slopes[i], slopes[j] = slopes[i] - pull, slopes[j] + pull
    at, judged = torch.tensor(margins, dtype=torch.float64), torch.tensor(grades)
    assert lambdarank(at, judged, sigma=2, k=k).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert gradient(lambda m: lambdarank(m, judged, sigma=2, k=k), at) == pytest.approx(slopes, rel=1e-9, abs=1e-12)


def test_equal_margins_rank_in_the_order_given() -> None:
    relevant_first = torch.tensor([1, *[0] * 299])
    # At k = 1 only a swap with the first counts, all of it: 299 pairs of log 2, or the last video's one.
    assert lambdarank(torch.zeros(300), relevant_first, k=1).item() == pytest.approx(299 * math.log(2))
    assert lambdarank(torch.zeros(300), relevant_first.flip(0), k=1).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("seed", range(20))
def test_listnet_is_the_cross_entropy_of_two_softmaxes(seed: int) -> None:
    margins, grades = groups(seed)
    by_grade, by_margin = ([math.exp(x) for x in values] for values in (grades, [m / 2 for m in margins]))
    expected = -sum(
        g / sum(by_grade) * math.log(m / sum(by_margin)) for g, m in zip(by_grade, by_margin, strict=True)
    )  # fmt: skip
    found = listnet(torch.tensor(margins, dtype=torch.float64), torch.tensor(grades), tau=2)
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", OF_A_GROUP)
@pytest.mark.parametrize("grades", GRADES, ids=str)
def test_every_objective_of_a_group_has_the_gradient_of_finite_differences(name: str, grades: list[int]) -> None:
    judged = torch.tensor(grades)
    assert torch.autograd.gradcheck(lambda m: OF_A_GROUP[name](m, judged), numbers(1, len(grades)).requires_grad_())


@pytest.mark.parametrize("name", OF_A_GROUP)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("grades", [*GRADES, [0, 1, 0, 2, 0]], ids=str)
@pytest.mark.parametrize("sign", [1, -1])
def test_margins_of_ten_thousand_keep_loss_and_gradient_finite(
    name: str, dtype: torch.dtype, grades: list[int], sign: int
) -> None:
    margins = torch.tensor([sign * 1e4, -sign * 1e4, 0, 1e4, -1e4][: len(grades)], dtype=dtype)
    loss = OF_A_GROUP[name](margins, torch.tensor(grades))
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    assert loss.isfinite()
    assert all(map(math.isfinite, gradient(lambda m: OF_A_GROUP[name](m, torch.tensor(grades)), margins)))


@pytest.mark.parametrize(
    ("name", "grades"),
    [
        *((name, grades) for name in ("ranknet", "lambdarank") for grades in ([0, 0, 0], [2, 2, 2], [0], [1])),
        ("listnet", [0]),
        ("listnet", [1]),
    ],
)
def test_a_group_of_one_grade_has_loss_and_gradient_zero(name: str, grades: list[int]) -> None:
    margins, judged = numbers(2, len(grades)), torch.tensor(grades)
    assert OF_A_GROUP[name](margins, judged).item() == 0.0
    assert gradient(lambda m: OF_A_GROUP[name](m, judged), margins) == [0.0] * len(grades)


def test_listnet_pulls_the_margins_of_videos_of_one_grade_together() -> None:
    slopes = gradient(lambda m: listnet(m, torch.tensor([1, 1])), torch.tensor([2.0, -1.0]))
    assert slopes[0] > 0 > slopes[1]


@pytest.mark.parametrize("name", GRADED)
@pytest.mark.parametrize("grade", [-1.0, math.nan])
def test_invalid_grades_are_refused(name: str, grade: float) -> None:
    with pytest.raises(InputError, match="leave a video without a judgement out"):
        GRADED[name](torch.zeros(2), torch.tensor([1.0, grade]))


@pytest.mark.parametrize("name", [*GRADED, "bce_yes_no"])
def test_groups_of_wrong_shapes_are_refused(name: str) -> None:
    for margins, grades in [(torch.zeros(3), torch.zeros(2)), (torch.zeros(0), torch.zeros(0)), (torch.zeros(1, 2),) * 2]:
        with pytest.raises(InputError, match="got shapes"):
            OF_A_GROUP[name](margins, grades)


def test_a_depth_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="k = 0: nDCG@k needs"):
        lambdarank(torch.zeros(2), torch.tensor([1, 0]), k=0)


# --- over queries and documents -------------------------------------------------------------------------------------


def matrices(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines, other cosines, and a mask of which one row is empty, another full, and a third has one document."""
    similarity, other = (2 * torch.sigmoid(numbers(seed + i, 30).reshape(5, 6)) - 1 for i in (0, 1000))
    mask = numbers(seed + 2000, 30).reshape(5, 6) > 0
    mask[0], mask[1], mask[2] = False, True, torch.arange(6) == 4
    return similarity, other, mask


def test_infonce_has_the_value_worked_out_by_hand() -> None:
    similarity = torch.tensor([[0.02, 0.0], [0.0, 0.0]])
    assert printed(infonce(similarity, torch.eye(2, dtype=torch.bool))) == 0.503204  # (0.313262 + 0.693147) / 2
    assert printed(infonce(50 * similarity, torch.eye(2, dtype=torch.bool), tau=1)) == 0.503204


@pytest.mark.parametrize("seed", range(20))
def test_infonce_is_the_mean_of_a_loop_over_positives(seed: int) -> None:
    similarity, _, positives = matrices(seed)
    means = []
    for scores, judged in zip(similarity.tolist(), positives.tolist(), strict=True):
        shares = [math.exp(score / 0.05) for score in scores]
        against = sum(share for share, is_positive in zip(shares, judged, strict=True) if not is_positive)
        losses = [-math.log(shares[d] / (shares[d] + against)) for d in range(6) if judged[d]]
        if losses:
            means.append(sum(losses) / len(losses))
    assert infonce(similarity, positives, tau=0.05).item() == pytest.approx(sum(means) / len(means), rel=1e-9)


def test_positives_are_no_negatives_of_each_other() -> None:
    similarity, positives = torch.tensor([[0.3, 0.9, 0.1]]), torch.tensor([[True, True, False]])
    alone = [infonce(similarity[:, [d, 2]], torch.tensor([[True, False]])).item() for d in (0, 1)]
    assert infonce(similarity, positives).item() == pytest.approx(sum(alone) / 2)
    assert gradient(lambda s: infonce(s, positives, tau=1), similarity)[1] < 0  # drawn up, not pushed down


def test_symmetric_kl_has_the_value_worked_out_by_hand() -> None:
    student, teacher = torch.tensor([[math.log(3.0), 0.0]]), torch.zeros(1, 2)
    # Shares (3/4, 1/4) and (1/2, 1/2): half the sum of (1/4) log(3/2) and (-1/4) log(1/2) is log(3) / 8.
    assert printed(symmetric_kl(student, teacher, tau=1)) == 0.137327
    assert printed(symmetric_kl(student / 50, teacher, tau=0.02)) == 0.137327


@pytest.mark.parametrize("seed", range(20))
def test_symmetric_kl_is_the_mean_of_both_divergences_over_present_documents(seed: int) -> None:
    student, teacher, present = matrices(seed)
    rows = []
    for s, t, there in zip(student.tolist(), teacher.tolist(), present.tolist(), strict=True):
        weights = [[math.exp(row[d] / 0.1) for d in range(6) if there[d]] for row in (s, t)]
        p, q = ([weight / sum(row) for weight in row] for row in weights)
        if any(there):
            rows.append(sum(a * math.log(a / b) + b * math.log(b / a) for a, b in zip(p, q, strict=True)) / 2)
    expected = sum(rows) / len(rows)
    assert symmetric_kl(student, teacher, present, tau=0.1).item() == pytest.approx(expected, rel=1e-9)


def test_symmetric_kl_is_symmetric_and_zero_for_equal_inputs() -> None:
    student, teacher, present = matrices(7)
    assert symmetric_kl(student, student, present, tau=0.02).item() == 0.0
    assert symmetric_kl(student, student + 3, tau=0.02).item() == pytest.approx(0.0, abs=1e-12)
    assert symmetric_kl(student, teacher, tau=0.1).item() == symmetric_kl(teacher, student, tau=0.1).item() > 0


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, 1e30])
def test_the_scores_of_absent_documents_do_not_matter(score: float) -> None:
    student, teacher, present = matrices(3)
    disturbed = teacher.masked_fill(~present, score)
    expected = symmetric_kl(student, teacher, present, tau=0.1)
    assert symmetric_kl(student, disturbed, present, tau=0.1).item() == expected.item()
    slopes = gradient(lambda s: symmetric_kl(s, disturbed, present, tau=0.1), student)
    assert all(slope == 0.0 for slope, there in zip(slopes, present.flatten().tolist(), strict=True) if not there)


def test_objectives_of_similarities_have_the_gradient_of_finite_differences() -> None:
    similarity, other, mask = matrices(5)
    similarity.requires_grad_()
    assert torch.autograd.gradcheck(lambda s: infonce(s, mask), similarity)
    assert torch.autograd.gradcheck(lambda s: symmetric_kl(s, other, mask, tau=0.1), similarity)
    assert torch.autograd.gradcheck(lambda s, t: symmetric_kl(s, t, tau=0.1), (similarity, other.requires_grad_()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_similarities_of_ten_thousand_keep_loss_and_gradient_finite(dtype: torch.dtype) -> None:
    similarity, _, mask = matrices(6)
    extreme = (1e4 * similarity.sign()).to(dtype)
    for loss in (
        lambda s: infonce(s, mask),
        lambda s: symmetric_kl(s, -extreme, mask, tau=0.02),
        lambda s: symmetric_kl(s, -extreme, tau=0.02),
    ):
        assert loss(extreme).dtype == torch.promote_types(dtype, torch.float32)  # type: ignore[no-untyped-call]
        assert loss(extreme).isfinite()  # type: ignore[no-untyped-call]
        assert all(map(math.isfinite, gradient(loss, extreme)))


@pytest.mark.parametrize(
    ("loss", "mask"),
    [
        (infonce, [[False, False], [False, False]]),  # no query has a positive
        (infonce, [[True, True], [False, False]]),  # one has no negative, the other no positive
        (partial(symmetric_kl, torch.ones(2, 2), tau=0.02), [[False, False], [False, False]]),  # no documents
        (partial(symmetric_kl, torch.ones(2, 2), tau=0.02), [[True, False], [False, False]]),  # one document
    ],
)
def test_queries_without_a_pair_have_loss_zero_with_a_gradient(
    loss: Callable[[Tensor, Tensor], Tensor], mask: list[list[bool]]
) -> None:
    similarity = torch.tensor([[0.9, -0.3], [0.1, 0.4]])
    assert loss(similarity, torch.tensor(mask)).item() == 0.0
    assert gradient(lambda s: loss(s, torch.tensor(mask)), similarity) == [0.0] * 4
    one = similarity[:1, :1]
    assert infonce(one, torch.tensor([[True]])).item() == symmetric_kl(one, -one, tau=0.02).item() == 0.0


def test_queries_without_a_positive_are_not_averaged_in() -> None:
    similarity, positives = torch.tensor([[0.1, 0.2], [0.3, 0.1]]), torch.tensor([[True, False], [False, False]])
    assert infonce(similarity, positives).item() == infonce(similarity[:1], positives[:1]).item()


def test_matrices_of_different_shapes_are_refused() -> None:
    similarity = torch.zeros(2, 3)
    with pytest.raises(InputError, match=r"got shapes \[\(2, 3\), \(3, 2\)\]"):
        infonce(similarity, torch.ones(3, 2, dtype=torch.bool))
    with pytest.raises(InputError, match=r"got shapes \[\(2, 3\), \(2, 3\), \(3,\)\]"):
        symmetric_kl(similarity, similarity[0], tau=1)
    with pytest.raises(InputError, match="neither of them 0"):
        infonce(similarity[:0], similarity[:0].bool())
    with pytest.raises(InputError, match=r"got torch.float32: write `labels >= 1`"):
        infonce(similarity, similarity)
