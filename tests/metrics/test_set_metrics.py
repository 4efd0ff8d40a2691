"""Test FID, KID, P-IDS and U-IDS on features against torch-fidelity, torchmetrics, SciPy and closed forms."""

import numpy as np
import pytest
import torch
from scipy import linalg, optimize

from inpaint_zoo.errors import ZooError
from inpaint_zoo.metrics import FID, IDS, KID, create_metric
from inpaint_zoo.metrics.discriminative import fit_linear_svm
from inpaint_zoo.metrics.frechet import frechet_distance, frechet_influences
from inpaint_zoo.metrics.kernel import kernel_distance, kernel_influences

SET_NAMES = ["fid", "fid_clean", "fid_pytorch", "kid", "kid_clean", "kid_pytorch", "p_ids", "u_ids"]


def features(count, dimensions=16, seed=0, shift=0.0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(dimensions, dimensions, generator=torch.Generator().manual_seed(99)) / dimensions**0.5
    return (torch.randn(count, dimensions, generator=generator) @ mix * scale + shift).relu()


@pytest.mark.parametrize(("n", "m", "dimensions"), [(300, 200, 16), (17, 18, 16), (500, 500, 64)])
def test_fid_matches_torch_fidelity(n, m, dimensions, extractor):
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    pred, target = features(n, dimensions), features(m, dimensions, seed=1, shift=0.2, scale=1.3)
    statistics = [fidelity.fid_features_to_statistics(x.double()) for x in (pred, target)]
    expected = fidelity.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    metric = create_metric("fid", extractor=extractor)
    assert metric.from_features(pred, target).item() == pytest.approx(expected, rel=1e-6)
    assert metric.biased is False


def test_fid_matches_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    pred, target = features(400).double(), features(300, seed=1, shift=0.1).double()
    expected = _compute_fid(pred.mean(0), pred.T.cov(), target.mean(0), target.T.cov())
    assert frechet_distance(pred, target).item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(10, 12), (10, 400), (16, 16), (3, 2)])
def test_fid_of_few_samples_matches_the_matrix_square_root(n, m, extractor):
    pred, target = features(n).double(), features(m, seed=1, shift=0.3).double()
    s, t = (np.cov(x.numpy(), rowvar=False) for x in (pred, target))
    eigenvalues = linalg.eigvals(s @ t)
    expected = (
        ((pred.mean(0) - target.mean(0)) ** 2).sum().item() + np.trace(s + t) - 2 * np.sqrt(eigenvalues + 0j).real.sum()
    )
    metric = FID(extractor=extractor)
    assert metric.from_features(pred, target).item() == pytest.approx(expected, abs=1e-3)
    assert metric.biased is True
    assert metric.note == f"biased, small N: {min(n, m)} images for 16 features"


def test_fid_both_ways_agree_where_both_work():
    pred, target = features(60, 32).double(), features(60, 32, seed=1, shift=0.3).double()
    a, b = ((x - x.mean(0)) / 59**0.5 for x in (pred, target))
    root = torch.linalg.svdvals(a @ b.T).sum()
    expected = (pred.mean(0) - target.mean(0)).square().sum() + a.square().sum() + b.square().sum() - 2 * root
    assert frechet_distance(pred, target).item() == pytest.approx(expected.item(), rel=1e-10)


def test_fid_closed_form():
    """For diagonal covariances, FID is |difference of means|² + Σ (s - t)²."""
    base = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64) * (3 / 4) ** 0.5
    pred = base * torch.tensor([1.0, 2.0])
    target = base * torch.tensor([3.0, 5.0]) + torch.tensor([1.0, 0.0])
    assert frechet_distance(pred, target).item() == pytest.approx(1 + 4 + 9, abs=1e-12)
    assert frechet_distance(target, pred).item() == pytest.approx(14, abs=1e-12)
    assert 0 <= frechet_distance(pred, pred).item() < 1e-12


@pytest.mark.parametrize(("n", "m"), [(40, 40), (60, 45)])
def test_kid_matches_torch_fidelity(n, m, extractor):
    fidelity = pytest.importorskip("torch_fidelity.metric_kid")
    pred, target = features(n), features(m, seed=1, shift=0.2)
    theirs = fidelity.kid_features_to_metric(
        pred.double(), target.double(), kid_subsets=7, kid_subset_size=30, rng_seed=2020, verbose=False
    )
    metric = create_metric("kid", extractor=extractor, subsets=7, subset_size=30)
    ours = metric.from_features(pred, target).item()
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert metric.note == "7 subsets of 30 images"
    assert metric.from_features(pred, target).item() == ours


def test_kid_of_one_subset_holds_all_images(extractor):
    from torchmetrics.image.kid import poly_mmd

    pred, target = features(40).double(), features(40, seed=1, shift=0.2).double()
    metric = KID(extractor=extractor)
    value = metric.from_features(pred, target)
    assert metric.note == "all 40 images at once"
    assert value.item() == pytest.approx(poly_mmd(target, pred).item(), rel=1e-9)
    assert metric.from_features(pred.flip(0), target).item() == pytest.approx(value.item(), rel=1e-9)


def test_kid_by_hand():
    """With one feature and two samples each, the kernel is (x y + 1)³."""
    pred, target = torch.tensor([[0.0], [1.0]]).double(), torch.tensor([[1.0], [1.0]]).double()
    # off the diagonals: pred (0 + 1)³ = 1, target 2³ = 8; across: mean of 1, 1, 8, 8
    assert kernel_distance(pred, target).item() == 1 + 8 - 2 * 4.5


@pytest.mark.parametrize(("n", "dimensions"), [(120, 10), (30, 80)])
def test_svm_solves_the_problem_of_an_independent_solver(n, dimensions):
    pred, target = features(n, dimensions).double(), features(n, dimensions, seed=1, shift=0.1).double()
    x = torch.cat([target, pred])
    y = torch.cat([torch.ones(n), -torch.ones(n)]).double()
    design = np.hstack([x.numpy(), np.ones((2 * n, 1))])

    def objective(w):
        slack = np.maximum(0, 1 - y.numpy() * (design @ w))
        return w @ w / 2 + (slack**2).sum(), w - 2 * design.T @ (y.numpy() * slack)

    start = np.zeros(dimensions + 1)
    options = {"maxiter": 20000, "maxfun": 40000, "ftol": 1e-16, "gtol": 1e-9}
    theirs = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    ours = fit_linear_svm(x, y).numpy()
    assert objective(ours)[0] <= theirs.fun * (1 + 1e-12)
    assert np.abs(objective(ours)[1]).max() < 1e-7
    assert np.allclose(ours, theirs.x, atol=1e-4)


def test_ids_by_hand(extractor):
    """One feature separates all pairs except one, in which the result looks real."""
    target = torch.tensor([[2.0], [2.0], [2.0], [1.0]])
    pred = torch.tensor([[-2.0], [-2.0], [-2.0], [1.5]])
    assert IDS("paired", extractor).from_features(pred, target).item() == 0.25
    assert IDS("unpaired", extractor).from_features(pred, target).item() == 0.125  # 1.5 alone is on the wrong side


def test_ids_of_equal_and_of_separable_sets(extractor):
    x = features(50)
    for kind, equal in (("paired", 0.0), ("unpaired", 0.5)):
        metric = IDS(kind, extractor)
        assert metric.from_features(x, x).item() == equal
        assert metric.from_features(x, x + 100).item() == 0
        assert metric.from_features(x + 100, x).item() == 0
        assert metric.biased is False
        metric.from_features(features(5), features(5, seed=1))
        assert metric.biased is True


def weighted_fid(pred, target, weights):
    """Compute FID of pairs with weights, with SciPy and covariance matrices."""
    n, moments = len(pred), []
    for x in (pred, target):
        mean = weights @ x
        moments.append((mean, n / (n - 1) * ((x - mean).T * weights) @ (x - mean)))
    (mean_p, s), (mean_t, t) = moments
    root = np.sqrt(linalg.eigvals(s @ t) + 0j).real.sum()
    return ((mean_p - mean_t) ** 2).sum() + np.trace(s + t) - 2 * root


def weighted_kid(pred, target, weights):
    """Compute KID of pairs with weights, with one term for each pair of different images."""
    pairs = np.outer(weights, weights)
    others = pairs * (1 - np.eye(len(weights)))
    kernels = [(a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((pred, pred), (target, target), (pred, target))]
    return sum((k * others).sum() / others.sum() for k in kernels[:2]) - 2 * (kernels[2] * pairs).sum()


@pytest.mark.parametrize(("slow", "fast"), [(weighted_fid, frechet_influences), (weighted_kid, kernel_influences)])
@pytest.mark.parametrize("n", [12, 60])  # fewer and more images than features
def test_influences_are_derivatives(slow, fast, n):
    pred, target = features(n).double() ** 0.5, features(n, seed=1, shift=0.2).double() ** 0.5
    found = fast(pred, target)
    assert found.sum().item() == pytest.approx(0, abs=1e-8)
    for index in (0, n // 2):
        ends = []
        for step in (1e-5, -1e-5):
            weights = np.full(n, (1 - step) / n)
            weights[index] += step
            ends.append(slow(pred.numpy(), target.numpy(), weights))
        assert found[index].item() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=2e-3, abs=1e-4)


def test_influences_give_the_spread_of_fid():
    """The standard error is that of 120 samples for many images, and not too small for few."""
    for n, limits in ((200, (0.85, 1.2)), (14, (0.9, 1.8))):
        values, errors = [], []
        for seed in range(120):
            target = features(n, seed=seed).double()
            pred = target * 0.8 + features(n, seed=1000 + seed).double() * 0.4
            values.append(frechet_distance(pred, target).item())
            influences = frechet_influences(pred, target) / n
            errors.append((n / (n - 1) * influences.square().sum()).sqrt().item())
        assert limits[0] < np.mean(errors) / np.std(values) < limits[1]


def test_influences_on_ids_by_hand(extractor):
    target = torch.tensor([[2.0], [2.0], [2.0], [1.0]])
    pred = torch.tensor([[-2.0], [-2.0], [-2.0], [1.5]])
    paired = IDS("paired", extractor).influences_from_features(pred, target)
    assert paired.tolist() == [-0.25, -0.25, -0.25, 0.75]
    assert IDS("unpaired", extractor).influences_from_features(pred, target).tolist() == (paired / 2).tolist()


def test_influences_need_pairs(extractor):
    with pytest.raises(ZooError, match="must be pairs"):
        FID(extractor=extractor).influences_from_features(features(5), features(6))
    assert KID(extractor=extractor).influences_from_features(features(1), features(1)).isnan().all()


def test_pairs_must_be_pairs(extractor):
    with pytest.raises(ZooError, match="got 5 results and 6 ground truth images"):
        IDS("paired", extractor).from_features(features(5), features(6))
    assert IDS("unpaired", extractor).from_features(features(50), features(60)).isfinite()


@pytest.mark.parametrize("name", SET_NAMES)
def test_value_does_not_depend_on_the_batch(name, extractor, random_batch):
    pred, target, mask = random_batch(64, 20, 23)
    values = []
    for size in (1, 7, 64):
        metric = create_metric(name, extractor=extractor)
        for batch in zip(pred.split(size), target.split(size), mask.split(size), strict=True):
            metric.update(*batch)
        values.append(metric.compute())
    assert values[0].dtype == torch.float64
    assert values[0] == values[1] == values[2]
    cached = metric.from_features(metric.extract(pred), metric.extract(target))
    assert cached == values[0]


@pytest.mark.parametrize("name", SET_NAMES)
def test_too_few_images_are_nan_and_say_so(name, extractor, random_batch):
    metric = create_metric(name, extractor=extractor)
    metric.update(*random_batch(1))
    assert metric.compute().isnan()
    assert metric.note == "undefined: needs at least 2 images, got 1"


def test_images_of_many_sizes_make_one_set(extractor, random_batch):
    metric = create_metric("fid", extractor=extractor)
    for seed, size in enumerate([(16, 16), (17, 31), (40, 19)]):
        metric.update(*random_batch(2, *size, seed=seed))
    assert metric.compute().isfinite()
    assert metric.note == "biased, small N: 6 images for 6 features"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", SET_NAMES)
def test_cuda_gives_the_value_of_the_cpu(name, extractor, random_batch):
    batch, values = random_batch(20, 20, 23), []
    for device in ("cpu", "cuda"):
        metric = create_metric(name, extractor=extractor).to(device)
        metric.update(*(x.to(device) for x in batch))
        values.append(metric.compute().cpu())
    assert torch.allclose(*values, rtol=1e-4, atol=1e-4)


def test_feature_keys_say_what_can_be_shared(extractor):
    assert (
        create_metric("fid", extractor=extractor).feature_key == create_metric("kid", extractor=extractor).feature_key
    )


def test_bad_features_and_images_are_named(extractor):
    metric = FID(extractor=extractor)
    with pytest.raises(ZooError, match=r"Features must be \(N, D\) and \(M, D\).*got \(4, 3\)"):
        metric.from_features(torch.zeros(4, 3), torch.zeros(4, 5))
    with pytest.raises(ZooError, match="`images` must hold at least one image"):
        metric.extract(torch.zeros(0, 3, 16, 16))
    with pytest.raises(ZooError, match=r"must lie in \[0, 1\]"):
        metric.extract(torch.full((1, 3, 16, 16), 255.0))
