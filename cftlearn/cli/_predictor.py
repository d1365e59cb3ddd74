"""A saved model as ``predict`` and ``evaluate`` use it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from tqdm.auto import tqdm

from cftlearn.calibration._thresholds import check_threshold
from cftlearn.classifier import CFTClassifier
from cftlearn.cli._features import ExtractedFeatures, read_extracted
from cftlearn.cli._labels import Labelled
from cftlearn.cli._networks import (
    architecture_of,
    needs_code,
    own_name,
    read_network,
)
from cftlearn.cli._options import ReadingOptions
from cftlearn.cli._settings import DataSettings, NetworkSettings, SettingsError
from cftlearn.ensemble import CFTEnsemble
from cftlearn.fine_tuning import CategoryWiseFineTuner

AT_ONCE = 1024  # images between two writes


@dataclass(frozen=True)
class Predictor:
    """A saved model, of images or of features.

    Attributes
    ----------
    model : CFTClassifier, CategoryWiseFineTuner or CFTEnsemble
        The model.
    folder : Path
        Where it is saved, for errors.
    options : ReadingOptions
        How it reads images.
    """

    model: Any
    folder: Path
    options: ReadingOptions

    @classmethod
    def read(
        cls, folder: Path, network: str | None, options: ReadingOptions
    ) -> "Predictor":
        """Load a model.

        Parameters
        ----------
        folder : Path
            A folder that ``save_model`` wrote.
        network : str or None
            The network for its weights, if the folder does not name one to trust.
        options : ReadingOptions
            How to read images.

        Raises
        ------
        SettingsError
            If the network must be named, or does not exist.
        """
        from cftlearn._devices import resolve_device
        from cftlearn.persistence import load_model

        model = load_model(folder, module=_module_of(folder, network))
        for member in _with_networks(model):
            if options.batch_size is not None:
                member.set_params(batch_size=options.batch_size)
            member.set_params(trainer__num_workers=options.num_workers)
            member.device_ = resolve_device(options.device)
        return cls(model, folder, options)

    @property
    def categories(self) -> list[str]:
        """Names of the categories."""
        return [str(name) for name in self.model.categories_]

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """The model's own thresholds: probabilities, one per category."""
        names = self.categories
        own = check_threshold(getattr(self.model, "threshold", 0.5), names)
        return np.broadcast_to(own, len(names))

    @property
    def is_of_images(self) -> bool:
        """Whether it has a network."""
        return bool(_with_networks(self.model))

    def predict_images(self, paths: Sequence[str]) -> NDArray[np.float64]:
        """Predict probabilities of images.

        Raises
        ------
        SettingsError
            If the model predicts from features.
        ImageFileError
            If an image cannot be read.
        """
        if not self.is_of_images:
            raise SettingsError(
                f"{self.folder} predicts from features, not from images. Give it a "
                "folder that `cftlearn extract` wrote."
            )
        return self._probabilities(list(paths))

    def predict_features(self, Z: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Predict probabilities from features.

        Raises
        ------
        SettingsError
            If the model predicts from images.
        """
        if self.is_of_images:
            raise SettingsError(
                f"{self.folder} predicts from images, not from features. Give it "
                "images, or a folder of them."
            )
        return self._probabilities(Z)

    def predict_labelled(
        self, labelled: Labelled, data: DataSettings
    ) -> NDArray[np.float64]:
        """Predict probabilities of the rows of a label file."""
        if data.features is not None:
            stored: ExtractedFeatures = read_extracted(data.features)
            rows = stored.rows_of(list(labelled.table.paths))
            return self.predict_features(stored.Z[rows])
        paths = labelled.image_paths(data.images)
        scores = []
        with self.progress(len(paths)) as progress:
            for start in range(0, len(paths), AT_ONCE):
                part = paths[start : start + AT_ONCE]
                scores.append(self.predict_images(part))
                progress.update(len(part))
        return np.concatenate(scores)

    def progress(self, n_images: int, *, prints: bool = False) -> "tqdm[Any]":
        """Return a bar that shows the progress on stderr.

        Parameters
        ----------
        n_images : int
            Images to predict.
        prints : bool, default=False
            Whether the command prints lines meanwhile. On the same terminal a bar
            would mix with them, so it is hidden.
        """
        hidden = self.options.quiet or (prints and sys.stdout.isatty())
        return tqdm(
            total=n_images,
            desc="predicting",
            unit="image",
            disable=True if hidden else None,  # None: no bar in a file
        )

    def _probabilities(self, X: Any) -> NDArray[np.float64]:
        if isinstance(self.model, CategoryWiseFineTuner):
            return expit(self.model.transform(X))
        proba: NDArray[np.float64] = self.model.predict_proba(X)
        return proba


def _with_networks(model: Any) -> list[CFTClassifier]:
    """List the model, or the members of an ensemble, that have networks."""
    members = model.estimators_ if isinstance(model, CFTEnsemble) else [model]
    return [one for one in members if getattr(one, "module_", None) is not None]


def _module_of(folder: Path, name: str | None) -> Any:
    """Return the network for a model's weights; None if its folder names one."""
    from cftlearn.persistence._folder import load_without_network

    saved = load_without_network(folder)
    if name is None:
        if needs_code(saved):
            raise SettingsError(
                f"{folder} has only the weights of a network that your own code makes; "
                f"name the code, --network {own_name(saved)}, if you trust it."
            )
        return None
    own = architecture_of(saved)
    if own is not None and own.name == name:
        return own  # with its options: naming it says that the user trusts it
    return read_network(NetworkSettings(name=name), len(saved.categories_)).module
