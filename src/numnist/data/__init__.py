"""Data sets: IDX files, MNIST wherever it is, augmentation and batches of whole arrays."""

from numnist.data.augment import AffineParameters, Augmentation, affine_matrices, resample_bilinear
from numnist.data.batches import batches, number_of_batches
from numnist.data.dataset import (
    Dataset,
    FileRecord,
    Split,
    default_validation,
    load_idx_dataset,
    split_validation,
)
from numnist.data.download import Network, Progress
from numnist.data.export import export_idx, export_png
from numnist.data.idx import IdxFile, read_idx, read_idx_file, read_images, read_labels, write_idx
from numnist.data.known import MNIST_FILES, MNIST_MIRRORS, KnownFile
from numnist.data.mnist import DataUnavailable, cache_folder, load_mnist
from numnist.data.progress import download_progress

__all__ = [
    "MNIST_FILES",
    "MNIST_MIRRORS",
    "AffineParameters",
    "Augmentation",
    "DataUnavailable",
    "Dataset",
    "FileRecord",
    "IdxFile",
    "KnownFile",
    "Network",
    "Progress",
    "Split",
    "affine_matrices",
    "batches",
    "cache_folder",
    "default_validation",
    "download_progress",
    "export_idx",
    "export_png",
    "load_idx_dataset",
    "load_mnist",
    "number_of_batches",
    "read_idx",
    "read_idx_file",
    "read_images",
    "read_labels",
    "resample_bilinear",
    "split_validation",
    "write_idx",
]
