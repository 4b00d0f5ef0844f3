"""Data sets: IDX files, MNIST wherever it is, augmentation and batches of whole arrays."""

from numnist.data.affine import AffineParameters, affine_matrices, resample_bilinear, within_margins
from numnist.data.augment import Augmentation
from numnist.data.batches import batches, number_of_batches
from numnist.data.corruptions import CORRUPTIONS, Corruption
from numnist.data.dataset import (
    Dataset,
    FileRecord,
    Split,
    default_validation,
    load_idx_dataset,
    split_validation,
)
from numnist.data.download import Network, Progress
from numnist.data.elastic import elastic_displacement
from numnist.data.erasing import erase
from numnist.data.export import export_idx, export_png
from numnist.data.idx import IdxFile, read_idx, read_idx_file, read_images, read_labels, write_idx
from numnist.data.image_files import is_idx, over_page, read_image, read_pictures
from numnist.data.ink import NoInkError, find_ink
from numnist.data.known import MNIST_FILES, MNIST_MIRRORS, KnownFile
from numnist.data.mnist import DataUnavailable, cache_folder, load_mnist
from numnist.data.normalise import area_resize, centre_digit
from numnist.data.prepare import prepare_image, prepare_number
from numnist.data.progress import download_progress
from numnist.data.synthetic import synthetic_blocks, synthetic_dataset, synthetic_digits

__all__ = [
    "CORRUPTIONS",
    "MNIST_FILES",
    "MNIST_MIRRORS",
    "AffineParameters",
    "Augmentation",
    "Corruption",
    "DataUnavailable",
    "Dataset",
    "FileRecord",
    "IdxFile",
    "KnownFile",
    "Network",
    "NoInkError",
    "Progress",
    "Split",
    "affine_matrices",
    "area_resize",
    "batches",
    "cache_folder",
    "centre_digit",
    "default_validation",
    "download_progress",
    "elastic_displacement",
    "erase",
    "export_idx",
    "export_png",
    "find_ink",
    "is_idx",
    "load_idx_dataset",
    "load_mnist",
    "number_of_batches",
    "over_page",
    "prepare_image",
    "prepare_number",
    "read_idx",
    "read_idx_file",
    "read_image",
    "read_images",
    "read_labels",
    "read_pictures",
    "resample_bilinear",
    "split_validation",
    "synthetic_blocks",
    "synthetic_dataset",
    "synthetic_digits",
    "within_margins",
    "write_idx",
]
