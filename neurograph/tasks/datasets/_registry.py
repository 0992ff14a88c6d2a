"""Lists what is known of each data set: names of files, checksums, sources, classes.

Checksums are MD5: `md5` of a file as its site distributes it, `contents` of an IDX file once uncompressed.
"""

import string
from typing import NamedTuple

TRAINING_IMAGES, TRAINING_LABELS = "training images", "training labels"
TEST_IMAGES, TEST_LABELS = "test images", "test labels"
BACKGROUND, EVALUATION = "background set", "evaluation set"


class File(NamedTuple):
    """Describes a file to download.

    Attributes:
        name: the name of the file.
        md5: the checksum of the file.
        urls: folders on the web that have it, tried in turn.
    """

    name: str
    md5: str
    urls: tuple[str, ...]


class DataSet(NamedTuple):
    """Describes a data set of images.

    Attributes:
        name: what a task is called.
        title: its own name.
        class_names: in the order of the labels; empty where classes are drawn.
        first_label: the number by which the files call the first class.
        shape: rows and columns of an image.
        n_support, n_query: images of the official parts.
        folders: where its files are looked for within a data folder; downloads go to the first.
        parts: what it consists of, with the name of each part's file (IDX: without .gz).
        files: to download.
        contents: md5 of the official parts' contents, where they are known.
        archive: a zip file that has the parts under `gzip/`.
        arrays: an .npz file that has the parts, and the names of the arrays.
        transposed: images are stored column by column.
        licence, citation: of the data.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    first_label: int
    shape: tuple[int, int]
    n_support: int
    n_query: int
    folders: tuple[str, ...]
    parts: dict[str, str]
    files: tuple[File, ...]
    contents: dict[str, str]
    archive: str | None
    arrays: tuple[str, dict[str, str]] | None
    transposed: bool
    licence: str
    citation: str


_IDX_PARTS = {
    TRAINING_IMAGES: "train-images-idx3-ubyte",
    TRAINING_LABELS: "train-labels-idx1-ubyte",
    TEST_IMAGES: "t10k-images-idx3-ubyte",
    TEST_LABELS: "t10k-labels-idx1-ubyte",
}
_MNIST_URLS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
_FASHION_URLS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
_EMNIST_URLS = ("https://biometrics.nist.gov/cs_links/EMNIST/",)
_OMNIGLOT_URLS = ("https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",)
_DIGITS = tuple(string.digits)


def _idx_files(urls: tuple[str, ...], md5s: tuple[str, ...]) -> tuple[File, ...]:
    return tuple(File(f"{name}.gz", md5, urls) for name, md5 in zip(_IDX_PARTS.values(), md5s, strict=True))


def _emnist(name: str, title: str, class_names: tuple[str, ...], first_label: int, sizes: tuple[int, int]) -> DataSet:
    kind = name.removeprefix("emnist_")
    return DataSet(
        name=name,
        title=title,
        class_names=class_names,
        first_label=first_label,
        shape=(28, 28),
        n_support=sizes[0],
        n_query=sizes[1],
        folders=("emnist", "EMNIST/raw"),
        parts={
            role: f"emnist-{kind}-{part}-idx{axes}-ubyte"
            for role, part, axes in (
                (TRAINING_IMAGES, "train-images", 3),
                (TRAINING_LABELS, "train-labels", 1),
                (TEST_IMAGES, "test-images", 3),
                (TEST_LABELS, "test-labels", 1),
            )
        },
        files=(File("gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e", _EMNIST_URLS),),
        contents={},
        archive="gzip.zip",
        arrays=None,
        transposed=True,
        licence="none stated (from NIST Special Database 19)",
        citation="G. Cohen, S. Afshar, J. Tapson, A. van Schaik, EMNIST: an extension of MNIST to handwritten letters, "
        "arXiv:1702.05373, 2017",
    )


_ALL = (
    DataSet(
        name="mnist",
        title="MNIST",
        class_names=_DIGITS,
        first_label=0,
        shape=(28, 28),
        n_support=60_000,
        n_query=10_000,
        folders=("mnist", "MNIST/raw"),
        parts=_IDX_PARTS,
        files=_idx_files(
            _MNIST_URLS,
            (
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "9fb629c4189551a2d022fa330f9573f3",
                "ec29112dd5afa0611ce80d1b7f02629c",
            ),
        ),
        contents={
            TRAINING_IMAGES: "6bbc9ace898e44ae57da46a324031adb",
            TRAINING_LABELS: "a25bea736e30d166cdddb491f175f624",
            TEST_IMAGES: "2646ac647ad5339dbf082846283269ea",
            TEST_LABELS: "27ae3e4e09519cfbb04c329615203637",
        },
        archive=None,
        arrays=(
            "mnist.npz",
            {
                TRAINING_IMAGES: "x_train",
                TRAINING_LABELS: "y_train",
                TEST_IMAGES: "x_test",
                TEST_LABELS: "y_test",
            },
        ),
        transposed=False,
        licence="CC BY-SA 3.0",
        citation="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document "
        "recognition, Proc. IEEE 86(11), 1998",
    ),
    DataSet(
        name="fashion_mnist",
        title="Fashion-MNIST",
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        first_label=0,
        shape=(28, 28),
        n_support=60_000,
        n_query=10_000,
        folders=("fashion_mnist", "FashionMNIST/raw"),
        parts=_IDX_PARTS,
        files=_idx_files(
            _FASHION_URLS,
            (
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "25c81989df183df01b3e8a0aad5dffbe",
                "bef4ecab320f06d8554ea6380940ec79",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
        contents={
            TRAINING_IMAGES: "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            TRAINING_LABELS: "9018921c3c673c538a1fc5bad174d6f9",
            TEST_IMAGES: "8181f5470baa50b63fa0f6fddb340f0a",
            TEST_LABELS: "15d484375f8d13e6eb1aabb0c3f46965",
        },
        archive=None,
        arrays=None,
        transposed=False,
        licence="MIT",
        citation="H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017",
    ),
    _emnist("emnist_letters", "EMNIST Letters", tuple(string.ascii_uppercase), 1, (124_800, 20_800)),
    _emnist(
        "emnist_byclass",
        "EMNIST ByClass",
        (*string.digits, *string.ascii_uppercase, *string.ascii_lowercase),
        0,
        (697_932, 116_323),
    ),
    DataSet(
        name="omniglot",
        title="Omniglot",
        class_names=(),
        first_label=0,
        shape=(105, 105),
        n_support=19_280,
        n_query=13_180,
        folders=("omniglot", "omniglot-py"),
        parts={BACKGROUND: "images_background", EVALUATION: "images_evaluation"},
        files=(
            File("images_background.zip", "68d2efa1b9178cc56df9314c21c6e718", _OMNIGLOT_URLS),
            File("images_evaluation.zip", "6b91aef0f799c5bb55b94e3f2daec811", _OMNIGLOT_URLS),
        ),
        contents={},
        archive=None,
        arrays=None,
        transposed=False,
        licence="MIT",
        citation="B. M. Lake, R. Salakhutdinov, J. B. Tenenbaum, Human-level concept learning through probabilistic "
        "program induction, Science 350(6266), 2015",
    ),
)

DATA_SETS: dict[str, DataSet] = {data.name: data for data in _ALL}
"""Maps names to data sets."""
