"""A saved model as ``predict`` and ``evaluate`` use it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cftlearn._devices import resolve_device
from cftlearn.classifier import CFTClassifier
from cftlearn.cli._features import ExtractedFeatures, read_extracted
from cftlearn.cli._labels import Labelled
from cftlearn.cli._networks import read_network
from cftlearn.cli._settings import DataSettings, NetworkSettings, SettingsError
from cftlearn.persistence import load_model, saved_categories


@dataclass(frozen=True)
class Predictor:
    """A saved model, of images or of features.

    Attributes
    ----------
    model : CFTClassifier or CategoryWiseFineTuner
        The model.
    folder : Path
        Where it is saved, for errors.
    """

    model: Any
    folder: Path

    @classmethod
    def read(
        cls,
        folder: Path,
        network: NetworkSettings | None = None,
        *,
        batch_size: int | None = None,
        device: str | None = None,
    ) -> "Predictor":
        """Load a model.

        Parameters
        ----------
        folder : Path
            What ``save_model`` wrote.
        network : NetworkSettings, default=None
            The network to put its weights into, where the folder cannot say.
        batch_size : int, default=None
            Images at a time; None as in training.
        device : str, default=None
            Torch device; None takes ``"auto"``.
        """
        module = None
        if network is not None and network.name is not None:
            module = read_network(network, len(saved_categories(folder))).module
        model = load_model(folder, module=module)
        if batch_size is not None and isinstance(model, CFTClassifier):
            model.set_params(batch_size=batch_size)
        if getattr(model, "module_", None) is not None:
            model.device_ = resolve_device(device or "auto")
        return cls(model, folder)

    @property
    def categories(self) -> list[str]:
        """Names of the categories."""
        return [str(name) for name in self.model.categories_]

    @property
    def is_of_images(self) -> bool:
        """Whether it has a network."""
        return getattr(self.model, "module_", None) is not None

    def of_images(self, paths: Sequence[str]) -> NDArray[np.float64]:
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
        proba: NDArray[np.float64] = self.model.predict_proba(list(paths))
        return proba

    def of_features(self, Z: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Predict probabilities from features.

        Raises
        ------
        SettingsError
            If the model predicts from images.
        """
        if self.is_of_images:
            raise SettingsError(
                f"{self.folder} predicts from images; leave the features out."
            )
        if isinstance(self.model, CFTClassifier):
            proba: NDArray[np.float64] = self.model.predict_proba(Z)
            return proba
        return expit(self.model.transform(Z))

    def of_labelled(
        self, labelled: Labelled, data: DataSettings
    ) -> NDArray[np.float64]:
        """Predict probabilities of the rows of a label file."""
        if data.features is None:
            return self.of_images(labelled.image_paths(data.images))
        stored: ExtractedFeatures = read_extracted(data.features)
        rows = stored.rows_of(list(labelled.table.paths))
        return self.of_features(stored.Z[rows])
