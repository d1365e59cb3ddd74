"""The extractor of features: a transformer around a trained network."""

import os
import warnings
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from cftlearn._dependencies import Interval, StrOptions
from cftlearn.exceptions import SkippedRowsWarning
from cftlearn.labels._plain_arrays import refuse_unlike_numbers, refuse_without_rows

if TYPE_CHECKING:
    from torch import nn

    from cftlearn.feature_extraction._extraction import Extraction


class TorchFeatureExtractor(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Compute the inputs of a trained network's classification layer.

    The features go to :class:`CategoryWiseFineTuner`, alone or as the next step of a
    Pipeline. ``fit`` learns nothing: it tries one row. Rows are read a batch at a
    time, so images need not fit in memory. The features take ``4 * n_samples *
    n_features`` bytes of memory, or none of it with ``out``.

    Parameters
    ----------
    module : torch.nn.Module or callable
        The trained network, or a function or class that makes it. It runs in evaluation
        mode without gradients. Afterwards it has its former mode and device.
    layer : str or list of str, default=None
        Dotted name of the layer whose output are the features (``"avgpool"``,
        ``"features.12"``). It must return one vector per row, so pool and flatten maps
        and sequences first. ``""`` takes the output of the network. None takes the
        input of the network's last step, an ``nn.Linear``; or the output of the
        network, if it ends in an ``nn.Identity`` or has no ``nn.Linear``. A list takes
        what None takes, and beside it the output of every layer that it names, of maps
        and sequences the mean over positions; ``""`` in a list is the network's input,
        where that is a vector. ``"auto"`` chooses the list: the input if it is a
        vector of at most 4,096 numbers, else up to three late stages of the network.
    input_transform : callable, default=None
        Turns one item into the network's input. The item is an upright image in RGB if
        ``X`` holds paths, a PIL image, a row of an array, or the first part of a
        Dataset's item. Images need a transform, such as
        :class:`cftlearn.images.ImageTransform`; it must be the one that the network
        was trained with.
    batch_size : int, default=64
        Rows at a time.
    device : str, default='auto'
        Torch device of the network: ``"auto"`` takes a GPU where torch finds one, else
        the CPU. Any other device must exist.
    amp : bool, default=False
        Compute in half precision where torch considers it safe: bfloat16, or float16 on
        GPUs without it. Features lose digits and stay float32.
    num_workers : int, default=0
        Processes that read and transform rows, each two batches ahead; 0 reads between
        batches. Features do not depend on it, unless a transform or Dataset has a
        random generator of its own.
    out : str or path, default=None
        A ``.npy`` file to write features to, if they do not fit in memory; the result
        is a memory map of it. When it is called again, a killed extraction continues
        where it stopped, and a complete file is read back, if layer, transform, weights
        and inputs are the same: arrays are compared by their values, images by their
        paths, a Dataset only by its class and length. Any other file is refused, so
        use a file of its own for every ``X``.
    dtype : {"float32", "float16"}, default='float32'
        Type of the features in ``out``. Half precision takes half the disk space; the
        fine-tuner then reads some rows at a time, and needs ``coef_init``.
    on_error : {"raise", "skip"}, default='raise'
        What to do with image files that cannot be read. ``"skip"`` leaves their rows
        out, so there are fewer rows of features than of labels: use
        ``y[extractor.kept_]``.
    verbose : int, default=0
        Above 0, shows a progress bar where the output is a terminal.

    Attributes
    ----------
    n_features_out_ : int
        Number of features.
    n_features_in_ : int
        Length of the second axis of ``X`` in ``fit``, if that is an array.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns of ``X``, if all are text.
    kept_ : ndarray of shape (n_kept,), int
        With ``on_error="skip"``, rows of the last ``X`` that have features.
    skipped_ : list of tuple (row, path, reason)
        With ``on_error="skip"``, the others.

    See Also
    --------
    CategoryWiseFineTuner : Refits every category on the features.
    cftlearn.images.ImageTransform : Turns an image into a network's input.

    Examples
    --------
    >>> import numpy as np
    >>> from torch import nn
    >>> from cftlearn import TorchFeatureExtractor
    >>> network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    >>> TorchFeatureExtractor(network).fit_transform(np.ones((20, 6))).shape
    (20, 8)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "module": [callable],
        "layer": [str, list, None],
        "input_transform": [callable, None],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str],
        "amp": ["boolean"],
        "num_workers": [Interval(Integral, 0, None, closed="left")],
        "out": [str, os.PathLike, None],
        "dtype": [StrOptions({"float32", "float16"})],
        "on_error": [StrOptions({"raise", "skip"})],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        module: "nn.Module | Callable[[], nn.Module]",
        *,
        layer: str | list[str] | None = None,
        input_transform: Callable[[Any], Any] | None = None,
        batch_size: int = 64,
        device: str = "auto",
        amp: bool = False,
        num_workers: int = 0,
        out: str | os.PathLike[str] | None = None,
        dtype: Literal["float32", "float16"] = "float32",
        on_error: Literal["raise", "skip"] = "raise",
        verbose: int = 0,
    ) -> None:
        self.module = module
        self.layer = layer
        self.input_transform = input_transform
        self.batch_size = batch_size
        self.device = device
        self.amp = amp
        self.num_workers = num_workers
        self.out = out
        self.dtype = dtype
        self.on_error = on_error
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the parameters, and try one row.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), paths, folder, images or Dataset
            As in :meth:`transform`.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : TorchFeatureExtractor
            The extractor.

        Raises
        ------
        TypeError, ValueError
            If a parameter is out of its range, or the network, the layer and the row do
            not fit together.
        ImageFileError
            If an image file is missing, or the first one cannot be read.
        """
        self._validate_params()
        job = self._start(X, reset=True)
        self.n_features_out_ = job.n_features
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Compute features; ``fit`` need not have been called.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), paths, folder, images or Dataset
            Numbers of shape (n_samples, ...), as array-like or tensor; a list, array or
            Series of image paths; one folder, for all images below it in the order of
            their names; a list of PIL images; anything on disk with ``shape``,
            ``dtype`` and rows, such as an h5py dataset; or a map-style torch Dataset,
            whose items are ``x`` or ``(x, ...)``.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features), float32
            Features; with ``out`` a memory map of type ``dtype``. Fewer rows with
            ``on_error="skip"``, see ``kept_``.

        Raises
        ------
        TypeError, ValueError
            If the inputs do not fit the network, a feature is NaN or infinite, or
            ``out`` holds something else.
        ImageFileError
            If an image file cannot be read.
        torch.OutOfMemoryError
            If a batch does not fit on the device; lower ``batch_size``.

        Warns
        -----
        SkippedRowsWarning
            Once, with the number of rows that were left out.
        """
        self._validate_params()
        job = self._start(X, reset=False)
        Z = job.run() if self.out is None else job.run_into(Path(self.out))
        if self.on_error == "skip":
            self._note_skipped(job)
        return Z

    def __sklearn_tags__(self) -> Tags:
        """Declare that nothing is learned, and that features are float32."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.input_tags.three_d_array = True
        return tags

    @property
    def _n_features_out(self) -> int:
        check_is_fitted(self, "n_features_out_")
        return self.n_features_out_

    def _start(self, X: Any, *, reset: bool) -> "Extraction":
        """Read network and inputs, and try one row."""
        from torch import Tensor, nn

        from cftlearn._devices import resolve_device
        from cftlearn._inputs import is_array_like, read_inputs
        from cftlearn.feature_extraction._extraction import Extraction, ExtractionPlan
        from cftlearn.networks._making import copy_or_make
        from cftlearn.networks._precision import check_parameters

        refuse_without_rows(X, "X", takes_dataset=True)
        skips = self.on_error == "skip"
        plan = ExtractionPlan(
            layer=self.layer,
            batch_size=self.batch_size,
            device=resolve_device(self.device),
            amp=self.amp,
            num_workers=self.num_workers,
            dtype=self.dtype,
            skips=skips,
            verbose=self.verbose,
        )
        if is_array_like(X) and not isinstance(X, Tensor):
            X = refuse_unlike_numbers(X, "X")
            X = validate_data(self, X, dtype="numeric", allow_nd=True, reset=reset)
        inputs = read_inputs(
            X,
            self.input_transform,
            check_files=not skips,
            transform_name="input_transform",
        )
        if isinstance(self.module, nn.Module):
            check_parameters(self.module)
            return Extraction(self.module, inputs, plan)
        return Extraction(copy_or_make(self.module, seed=0), inputs, plan)

    def _note_skipped(self, job: "Extraction") -> None:
        self.skipped_ = [tuple(row) for row in job.skipped]
        left_out = np.array([row for row, *_ in self.skipped_], dtype=np.intp)
        self.kept_ = np.setdiff1d(np.arange(len(job.inputs)), left_out)
        if not self.skipped_:
            return
        row, _, reason = self.skipped_[0]
        warnings.warn(
            f"{len(self.skipped_)} of {len(job.inputs)} rows of `X` cannot be read and "
            f"have no features; the first is row {row}: {reason} `skipped_` lists "
            "them; take y[extractor.kept_] for the others.",
            SkippedRowsWarning,
            stacklevel=4,  # above the wrapper of set_output
        )
