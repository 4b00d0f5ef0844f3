"""Where every random number of a run comes from."""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """One stream of random numbers for each use, so that using more of one leaves the others as they are."""

    INITIALISATION = 0
    SHUFFLING = 1
    AUGMENTATION = 2
    DROPOUT = 3


def generator(seed: int, stream: Stream, counter: int = 0) -> np.random.Generator:
    """A generator for one use at one moment: seeded by (seed, stream, counter) and by nothing else.

    counter: the epoch for shuffling, the step for augmentation and dropout, 0 for initialisation. So the
    random numbers of any moment follow from arithmetic, and a resumed run draws what an uninterrupted one
    would have drawn.
    """
    return np.random.default_rng((seed, int(stream), counter))
