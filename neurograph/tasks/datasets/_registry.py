"""Lists what is known of each data set: names of files, checksums, sources, classes.

Checksums are SHA-256: of a file as its site distributes it, and in `contents` of an IDX file once uncompressed. Those
of MNIST and Fashion-MNIST were computed from the official files; those of EMNIST and Omniglot are the ones that
TensorFlow Datasets 4.9.10 publishes for these files.
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
        sha256: the checksum of the file.
        urls: folders on the web that have it, tried in turn; https comes first.
    """

    name: str
    sha256: str
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
        contents: SHA-256 of the official parts' contents, where they are known.
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

    @property
    def most_examples(self) -> int:
        """The most examples that a file may announce: twice those of the whole official data set."""
        return 2 * (self.n_support + self.n_query)

    def official(self, role: str) -> set[str]:
        """Gives the SHA-256 of the official files that hold a part: as distributed, and uncompressed."""
        in_one_file = len(self.files) == 1
        file = self.files[0 if in_one_file else list(self.parts).index(role)]
        return {file.sha256, *([self.contents[role]] if role in self.contents else [])}


_IDX_PARTS = {
    TRAINING_IMAGES: "train-images-idx3-ubyte",
    TRAINING_LABELS: "train-labels-idx1-ubyte",
    TEST_IMAGES: "t10k-images-idx3-ubyte",
    TEST_LABELS: "t10k-labels-idx1-ubyte",
}
_MNIST_URLS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
_FASHION_URLS = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_EMNIST_URLS = ("https://biometrics.nist.gov/cs_links/EMNIST/",)
_OMNIGLOT_URLS = ("https://raw.githubusercontent.com/brendenlake/omniglot/master/python/",)
_DIGITS = tuple(string.digits)


def _idx_files(urls: tuple[str, ...], sums: tuple[str, ...]) -> tuple[File, ...]:
    return tuple(File(f"{name}.gz", sha256, urls) for name, sha256 in zip(_IDX_PARTS.values(), sums, strict=True))


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
        files=(File("gzip.zip", "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e", _EMNIST_URLS),),
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
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ),
        contents={
            TRAINING_IMAGES: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            TRAINING_LABELS: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            TEST_IMAGES: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            TEST_LABELS: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
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
        folders=("fashion_mnist", "fashion-mnist", "FashionMNIST/raw"),
        parts=_IDX_PARTS,
        files=_idx_files(
            _FASHION_URLS,
            (
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ),
        contents={
            TRAINING_IMAGES: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            TRAINING_LABELS: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            TEST_IMAGES: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            TEST_LABELS: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
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
            File(
                "images_background.zip",
                "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640",
                _OMNIGLOT_URLS,
            ),
            File(
                "images_evaluation.zip",
                "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee",
                _OMNIGLOT_URLS,
            ),
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
