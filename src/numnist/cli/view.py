"""`numnist view`: pictures of what a network has learned."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field
from pydantic_settings import CliPositionalArg

from numnist.cli.console import plain_console
from numnist.cli.evaluate import check_fit
from numnist.cli.flags import DataFlags, Flags, parse, validate
from numnist.cli.images import load_dataset
from numnist.cli.models import MODEL, find_model
from numnist.data import Split
from numnist.errors import InputError
from numnist.nn import load_model, load_notes
from numnist.predict import Predictor
from numnist.train import Config, recipes, resolve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["filters", "activations", "saliency", "mistakes", "embedding", "augmentations"]

MOST_MISTAKES = 36

ROWS = 8
"""Images whose augmentation is shown."""

MOST_EMBEDDED = 3000
"""Images of an embedding: more would hide each other."""


class ViewFlags(Flags, DataFlags):
    """Draw a model, as PNG or SVG.

    filters: the weights of its convolutions. activations: one image through all layers. saliency: the pixels
    that its answers hang on. mistakes: the worst ones. embedding: test images by its last features.
    augmentations: what its training images looked like.

    Examples: numnist view filters pretrained:cnn; numnist view saliency my-run --index 3,17 --out why.svg
    """

    kind: Annotated[CliPositionalArg[Kind], Field(description="what to draw")]
    model: Annotated[CliPositionalArg[str], Field(description=MODEL)]
    out: Annotated[
        Path | None, Field(description="PNG or SVG to write; unless given, KIND.png in this folder")
    ] = None
    force: Annotated[bool, Field(description="replace an existing file")] = False
    index: Annotated[
        list[int] | None,
        Field(description="test images that activations (one) and saliency show; unless given, the first"),
    ] = None
    count: Annotated[
        int | None, Field(ge=1, le=200, description="how many mistakes at most; unless given, 36")
    ] = None


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    flags = validate(ViewFlags, parse(ViewFlags, "view", arguments))
    out = flags.out or Path(f"{flags.kind}.png")
    if out.suffix not in (".png", ".svg"):
        raise InputError(f"--out: expected a name ending in .png or .svg, got {out}")
    if flags.index is not None and flags.kind not in ("activations", "saliency"):
        raise InputError(f"--index: {flags.kind} takes none")
    if flags.index is not None and flags.kind == "activations" and len(flags.index) > 1:
        raise InputError("--index: activations shows one image")
    if flags.count is not None and flags.kind != "mistakes":
        raise InputError(f"--count: {flags.kind} takes none")
    if out.exists() and not flags.force:
        raise InputError(f"{out}: exists: choose another with --out, or --force to replace it")
    try:
        from numnist.view import save_figure
    except ImportError as error:
        raise InputError('numnist view draws with matplotlib: pip install "numnist[view]"') from error
    figure = DRAW[flags.kind](flags)
    save_figure(figure, out)
    plain_console().print(f"wrote {out}", soft_wrap=True)
    return 0


def _filters(flags: ViewFlags) -> "Figure":
    from numnist.view import draw_filters

    model = load_model(find_model(flags.model))
    try:
        return draw_filters(model)
    except ValueError as error:
        raise InputError(f"{flags.model}: it has no convolution, and so no filters") from error


def _activations(flags: ViewFlags) -> "Figure":
    from numnist.view import draw_activations

    predictor, test = _model_and_test(flags)
    return draw_activations(predictor.models[0], test.images[_chosen(flags, test, 1)[0]])


def _saliency(flags: ViewFlags) -> "Figure":
    from numnist.view import draw_saliency

    predictor, test = _model_and_test(flags)
    images = test.images[_chosen(flags, test, 5)]
    return draw_saliency(predictor.models[0], images, predictor.logits(images).argmax(axis=1))


def _mistakes(flags: ViewFlags) -> "Figure":
    from numnist.view import draw_mistakes, worst_mistakes

    predictor, test = _model_and_test(flags)
    p = predictor.probabilities(test.images)
    worst = worst_mistakes(p, test.labels, flags.count or MOST_MISTAKES)
    if len(worst) == 0:
        raise InputError(f"{flags.model}: it makes no mistake on these images")
    captions = [f"{i}" for i in worst]
    return draw_mistakes(
        test.images[worst], test.labels[worst], p[worst], predictor.preprocess.classes, captions
    )


def _embedding(flags: ViewFlags) -> "Figure":
    from numnist.view import draw_embedding

    predictor, test = _model_and_test(flags)
    some = test.take(slice(MOST_EMBEDDED))
    return draw_embedding(predictor.models[0], some.images, some.labels)


def _augmentations(flags: ViewFlags) -> "Figure":
    from numnist.view import draw_augmentations

    path = find_model(flags.model)
    size = load_model(path).preprocess.image_size
    augmentation = _config(path).augment.build()
    if augmentation.is_identity:
        raise InputError(f"{flags.model}: it was trained on images as they are, without augmentation")
    dataset = load_dataset(flags, ("train",))
    assert dataset.train is not None  # it was asked for
    if dataset.image_size != size:
        came = f"{dataset.image_size[0]}x{dataset.image_size[1]}"
        raise InputError(f"{flags.model}: trained on images of {size[0]}x{size[1]}, those at hand are {came}")
    some = dataset.train.take(slice(ROWS))
    return draw_augmentations(
        augmentation, some.images, some.labels, [str(k) for k in range(dataset.classes)]
    )


DRAW: dict[str, Any] = {
    "filters": _filters,
    "activations": _activations,
    "saliency": _saliency,
    "mistakes": _mistakes,
    "embedding": _embedding,
    "augmentations": _augmentations,
}


def _model_and_test(flags: ViewFlags) -> tuple[Predictor, Split]:
    """The model, and test images that fit it."""
    predictor = Predictor.load(find_model(flags.model))
    dataset = load_dataset(flags, ("test",))
    assert dataset.test is not None  # it was asked for
    check_fit(predictor.preprocess, dataset)
    return predictor, dataset.test


def _chosen(flags: ViewFlags, split: Split, unless_given: int) -> list[int]:
    """The images that were asked for; InputError for one that is not there."""
    chosen = flags.index or list(range(min(unless_given, len(split))))
    for index in chosen:
        if not 0 <= index < len(split):
            raise InputError(f"--index: expected 0 to {len(split) - 1:,}, got {index}")
    return chosen


def _config(model: Path) -> Config:
    """The settings of the run that a model comes from: of its folder, else of the recipe in its notes."""
    beside = model.with_name("config.toml")
    if beside.is_file():
        return resolve({}, config=beside)[1]
    notes = load_notes(model)
    recipe = notes.get("recipe")
    if recipe not in recipes() or "augment" in notes.get("changed", []):
        raise InputError(f"{model}: it does not say how it was trained, and no {beside.name} lies beside it")
    return resolve({}, recipe)[1]
