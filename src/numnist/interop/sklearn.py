"""numnist as a scikit-learn classifier. Needs the extra `sklearn`."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from threading import Lock
from typing import Any

import numpy as np

from numnist.arrays import Array
from numnist.data import Split
from numnist.engine import Engine
from numnist.interop.samples import Samples, flat, image_size
from numnist.interop.settings import settings_of
from numnist.nn import Model, Preprocess, network_from
from numnist.ops import log_softmax, softmax
from numnist.optim import State
from numnist.predict import Predictor
from numnist.train import (
    Callback,
    Config,
    DivergenceError,
    EpochReport,
    TrainingImages,
    TrainState,
    last_batch_problem,
    new_model,
    set_up,
)
from numnist.train.divergence import ADVICE
from numnist.train.interrupts import ASKING
from numnist.train.prepare import OWN_NETWORK

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError('numnist.interop.sklearn needs scikit-learn: pip install "numnist[sklearn]"') from error

Table = str | Mapping[str, Any]
"""A kind ("adam"), or a table as in a TOML file of settings ({"kind": "sgd", "weight_decay": 1e-4})."""


DTYPES = (np.float32, np.uint8)
"""What X is converted to, the first of these unless it has the second already."""


class NumnistClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A network of numnist as a scikit-learn classifier: in pipelines, grid searches, cross-validation.

    X: flat, (N, F), or images, (N, H, W). uint8 counts from 0 to 255; everything is standardised by one mean
    and one standard deviation, those of the first data that come (features of different units want a
    StandardScaler in front). y: labels of any kind. sample_weight: the loss is sum of w l / sum of w, and a
    weight of 0 is the same as leaving the sample out.

    model: a name of the zoo ("mlp:300,100", "cnn"), a .toml file, or a list of layers as in one.
    epochs, batch_size: of `fit`. optimizer, schedule: kinds or tables, see `numnist train --help`.
    learning_rate: the highest that the schedule reaches; None for the optimizer's own.
    init: how the weights are drawn (see `nn.INITIALISERS`); what scikit-learn's own MLP does.
    augment: a table of `Augmentation`'s fields, for images: {"rotation": 10, "translation": 2}.
    image_shape: (H, W) of flat X, for convolutions; None for a square where F is one, else (1, F).
    warm_start: whether `fit` goes on from the weights that are there, with a new optimizer.
    random_state: as everywhere in scikit-learn; the same number gives the same bits.
    threads: cores to use, None for all; never changes the result. One suits small networks, and n_jobs above.
    verbose: whether to print the loss of each epoch.

    Attributes: classes_ (K,); model_, the `nn.Model`, which `nn.save_model` takes; loss_curve_, the mean loss
    of each epoch; n_features_in_; feature_names_in_ where X is a data frame.

    Raises: ValueError naming the parameter that is wrong, or what of the data does not fit; DivergenceError
            when the loss becomes infinite or NaN.
    Source: scikit-learn documentation, Developing scikit-learn estimators.
    """

    _optimizer_state: State | None

    def __init__(
        self,
        model: str | Sequence[Mapping[str, Any]] = "mlp:100",
        *,
        epochs: int = 20,
        batch_size: int = 32,
        optimizer: Table = "adam",
        learning_rate: float | None = None,
        schedule: Table = "one-cycle",
        init: str = "xavier_uniform",
        augment: Mapping[str, Any] | None = None,
        image_shape: tuple[int, int] | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        threads: int | None = 1,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.init = init
        self.augment = augment
        self.image_shape = image_shape
        self.warm_start = warm_start
        self.random_state = random_state
        self.threads = threads
        self.verbose = verbose

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "NumnistClassifier":
        """Train on all of X for `epochs` epochs.

        Shapes: X (N, F) or (N, H, W); y (N,); sample_weight (N,) or None.
        """
        goes_on = self.warm_start and hasattr(self, "model_")
        with self._or_as_before():
            samples = self._samples(X, y, sample_weight, reset=not goes_on)
            classes = np.unique(samples.y)
            if goes_on and not np.array_equal(classes, self.classes_):
                raise ValueError(f"warm_start: expected the classes {self.classes_}, got {classes}")
            if goes_on and self.model != self._made_from:
                raise ValueError(f"warm_start: expected the model {self._made_from!r}, got {self.model!r}")
            samples = samples.counted()
            if not goes_on:
                self._begin(samples, classes)
            self._optimizer_state = None
            self._train(self._config(), samples)
            self._optimizer_state = None  # what `partial_fit` begins with
        return self

    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> "NumnistClassifier":
        """One epoch on X at a constant learning rate, from where the last call left the optimizer.

        classes: all labels that will ever come, (K,); needed in the first call.
        Shapes: as in `fit`.
        """
        first = not hasattr(self, "model_")
        if first and classes is None:
            raise ValueError("classes: must be passed on the first call to partial_fit")
        known = self.classes_ if classes is None else np.unique(classes)
        if not first and not np.array_equal(known, self.classes_):
            raise ValueError(f"classes: expected those of before, {self.classes_}, got {known}")
        with self._or_as_before():
            samples = self._samples(X, y, sample_weight, reset=first)
            if not np.isin(samples.y, known).all():
                raise ValueError(f"y: expected labels among {known}, got {np.setdiff1d(samples.y, known)}")
            samples = samples.counted()
            if first:
                self._begin(samples, known)
            self._train(self._config(epochs=1, schedule="constant"), samples)
        return self

    @contextmanager
    def _or_as_before(self) -> Iterator[None]:
        """Where something is wrong, leave the estimator as it was: fitted as before, or not at all."""
        before = dict(vars(self))
        model, losses = before.get("model_"), list(before.get("loss_curve_", ()))
        weights = None if model is None else (model.parameters.copy(), model.buffers.copy())
        try:
            yield
        except Exception:
            self.__dict__.clear()
            self.__dict__.update(before)
            if model is not None and weights is not None:
                model.parameters[...], model.buffers[...] = weights
                model.mark_changed()
                setattr(self, "loss_curve_", losses)  # noqa: B010 -- it is declared where a model begins
                self._optimizer_state = None
            raise

    def predict(self, X: Any) -> Array:
        """The most probable label of each sample. Shapes: X as in `fit` -> (N,)."""
        answers = self._logits(X).argmax(axis=1)
        chosen: Array = self.classes_[answers]
        return chosen

    def predict_proba(self, X: Any) -> Array:
        """Probabilities, in the order of `classes_`. Shapes: X as in `fit` -> (N, K), float32."""
        return softmax.forward(self._logits(X))[0]

    def predict_log_proba(self, X: Any) -> Array:
        """Their natural logarithms. Shapes: as in `predict_proba`."""
        return log_softmax.forward(self._logits(X))[0]

    def _samples(self, X: Any, y: Any, sample_weight: Any, *, reset: bool) -> Samples:
        """What training is given, checked. reset: whether X is the first that the estimator sees."""
        X, size = flat(X)
        X, y = validate_data(self, X, y, dtype=DTYPES, reset=reset)
        check_classification_targets(y)
        if sample_weight is None:
            return Samples(X, size, y, None)
        weights: Array = _check_sample_weight(sample_weight, X, dtype=np.float64)
        if (weights < 0).any() or not weights.any():
            raise ValueError("sample_weight: expected no weight below zero, and not every weight zero")
        return Samples(X, size, y, weights)

    def _as_images(self, X: Array, size: tuple[int, int] | None) -> Array:
        """X as images of the size that the model has seen. size: of its images, if it came as images."""
        seen = self.model_.preprocess.image_size
        if size is not None and size != seen:
            raise ValueError(f"X: expected images of shape {seen}, got {size}")
        return X.reshape(len(X), *seen)

    def _begin(self, samples: Samples, classes: Array) -> None:
        """Make a model with fresh weights for such X and classes."""
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        config = self._config().model_copy(update={"seed": seed})
        size = image_size(self.image_shape, samples.size, samples.X.shape[1])
        preprocess = Preprocess.fit(samples.X.reshape(-1, *size), [str(label) for label in classes])
        try:
            network = None
            if not isinstance(self.model, str):
                network = network_from(self.model, preprocess.input_shape, len(classes))
            self.model_: Model = new_model(config, preprocess, network)
        except ValueError as error:
            raise ValueError(f"model: {error}") from error
        self.classes_, self._made_from = classes, self.model
        self.loss_curve_: list[float] = []
        self._seed, self._calls = seed, 0
        self._optimizer_state = None
        self._asked = _Asked(self.model_, self.threads)

    def _config(self, **others: Any) -> Config:
        """The parameters as settings; ValueError naming the parameter that is wrong."""
        if self.threads is not None and (not isinstance(self.threads, Integral) or self.threads < 1):
            raise ValueError(f"threads: expected at least 1, or None for all cores, got {self.threads!r}")
        names = ("epochs", "batch_size", "optimizer", "learning_rate", "schedule", "init", "augment")
        model = self.model if isinstance(self.model, str) else OWN_NETWORK
        return settings_of({"model": model, **{name: getattr(self, name) for name in names}, **others})

    def _train(self, config: Config, samples: Samples) -> None:
        """Train the model with these settings, from where `_optimizer_state` is if there is one."""
        images = self._as_images(samples.X, samples.size)
        labels = np.searchsorted(self.classes_, samples.y)
        weights, chosen = samples.weights, np.arange(len(images))
        if weights is not None:
            weights = weights / weights.max()  # their sum may be too large a number
            chosen = np.flatnonzero(weights.astype(np.float32))  # the others do not count
            weights = weights / weights[chosen].mean()
        n = len(chosen)
        size = min(config.batch_size, n)
        if problem := last_batch_problem(self.model_, n, size):
            raise ValueError(f"batch_size: {problem}")
        seed = int(np.random.default_rng((self._seed, self._calls)).integers(2**32))
        self._calls += 1
        augmentation, preprocess = config.augment.build(), self.model_.preprocess
        if augmentation.is_identity:  # then it can be done once for all epochs
            images = preprocess(images)[:, 0]
            preprocess = Preprocess(preprocess.image_size, scale=1, classes=preprocess.classes)
        split = Split(images, labels.astype(np.int64))
        batches = TrainingImages(split, chosen, preprocess, augmentation, size, seed, weights=weights)
        trainer, state = set_up(config, self.model_, batches, None, self.threads)
        if self._optimizer_state is not None:
            state.optimizer = self._optimizer_state
        try:
            trainer.fit(state, config.epochs, [_Losses(self.loss_curve_, self.verbose)])
        except DivergenceError as error:
            words = str(error).replace(ADVICE, "try a smaller learning_rate")
            raise DivergenceError(words) from error
        if state.interrupted:  # the loop has ended its step; now the signal is for whoever called us
            signal.raise_signal(next(number for number, word in ASKING.items() if word == state.interrupted))
            raise KeyboardInterrupt(state.interrupted)
        if not np.isfinite(self.model_.parameters).all() or not np.isfinite(self.model_.buffers).all():
            raise DivergenceError(
                "the last step left weights that are not finite: try a smaller learning_rate"
            )
        self._optimizer_state = state.optimizer

    def _logits(self, X: Any) -> Array:
        """What the network makes of X, (N, K)."""
        check_is_fitted(self, "model_")
        X, size = flat(X)
        X = validate_data(self, X, dtype=DTYPES, reset=False)
        return self._asked.logits(self._as_images(X, size))

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_asked"}  # it holds threads

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "model_"):
            self._asked = _Asked(self.model_, self.threads)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


class _Asked:
    """A model that several threads may ask: one after another, since its engine has one memory for all."""

    def __init__(self, model: Model, threads: int | None) -> None:
        self._predictor = Predictor(model, executor=partial(Engine, threads=threads))
        self._lock = Lock()

    def logits(self, images: Array) -> Array:
        """See `Predictor.logits`."""
        with self._lock:
            return self._predictor.logits(images)


class _Losses(Callback):
    """Keeps the loss of each epoch, and prints it if asked to."""

    def __init__(self, losses: list[float], verbose: bool) -> None:
        self.losses, self.verbose = losses, verbose

    def on_epoch_end(self, state: TrainState, report: EpochReport) -> None:
        """See `Callback.on_epoch_end`."""
        self.losses.append(report.train_loss)
        if self.verbose:
            print(f"epoch {len(self.losses)}  loss {report.train_loss:.4f}")  # noqa: T201
