"""Mean and covariance of patches, against the patches themselves."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from numnist.arrays import Array
from numnist.engine.kernels.patch_moments import LineSums, LineSumsWork, PatchMoments
from numnist.engine.kernels.patches import Patches
from numnist.engine.stage import run
from numnist.ops.patches import unfold


@pytest.mark.parametrize("in_float64", [False, True])
@given(
    shards=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    C=st.integers(1, 3),
    side=st.integers(1, 4),
    padding=st.integers(0, 2),
    k=st.integers(1, 2),
    shift=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_moments_of_a_batch_in_shards(
    in_float64: bool, shards: list[int], C: int, side: int, padding: int, k: int, shift: float, seed: int
) -> None:
    rows, columns = 3, 2
    H, W = k * rows + side - 1 - 2 * padding, k * columns + side - 1 - 2 * padding
    assume(min(H, W) >= 1)
    rng = np.random.default_rng(seed)
    # Fractions that float32 holds, also less the shift.
    x = np.round(rng.normal(shift, 1, (sum(shards), C, H, W)) * 2**10).astype(np.float32) / 2**10
    weight = rng.normal(size=(C * side**2, 4)).astype(np.float32)
    lines = LineSums(C, side, H + 2 * padding, W + 2 * padding)
    of_shards, outputs = np.full((len(shards), *lines.shape), np.nan), np.empty((2, 4))
    moments = PatchMoments(lines, of_shards, None, weight, outputs)
    for images, out in zip(np.split(x, np.cumsum(shards)[:-1]), of_shards, strict=True):
        patches = Patches(images, side, padding, k, rows, columns)
        patches.shift[...] = shift
        run(patches.unroll)
        work = LineSumsWork(patches, lines, out)
        if in_float64:
            work.in_float64()
        else:
            run(work.steps)
        assert patches.positions == k * rows * k * columns
    run(moments.steps)

    # Taps in the order (u, c, v).
    unfolded = unfold(x.astype(np.float64), (side, side), 1, padding).reshape(len(x), C, side, side, -1)
    P = unfolded.transpose(2, 1, 3, 0, 4).reshape(C * side**2, -1) - shift
    c = weight.T @ P
    assert P.shape[1] == len(x) * k * rows * k * columns

    def require_close(ours: Array, theirs: Array) -> None:
        close = 1e-12 if in_float64 else 1e-5
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=close * (1 + np.abs(theirs).max()))

    require_close(moments.of_taps, P.sum(axis=1))
    require_close(moments.projected, P @ P.T @ weight)
    require_close(outputs, np.stack([c.sum(axis=1), np.square(c).sum(axis=1)]))
    require_close(
        moments.uncorrelated(),
        np.square(weight.astype(np.float64)).sum(axis=0) * np.square(P).sum(axis=1).max(),
    )
