"""The classifier that settings describe."""

from cftlearn.classifier import CFTClassifier
from cftlearn.cli._augment import make_augmentation
from cftlearn.cli._networks import make_transform
from cftlearn.cli._parameters import CLASSIFIER_PARAMETERS
from cftlearn.cli._settings import Settings
from cftlearn.fine_tuning import CategoryWiseFineTuner
from cftlearn.training import NetworkTrainer


def make_model(settings: Settings, *, train: bool, verbose: int = 0) -> CFTClassifier:
    """Build the classifier that the settings describe, without its network.

    Parameters
    ----------
    settings : Settings
        As ``read_settings`` returns them: names and values are checked already.
    train : bool
        Train the network first. Otherwise it is trained already and only refitted.
    verbose : int, default=0
        Print progress.

    Returns
    -------
    model : CFTClassifier
        Not fitted. Its ``module`` is None.

    Raises
    ------
    SettingsError
        If an augmentation cannot be imported.
    ValueError
        If the image transform does not accept its parameters.
    """
    transform = make_transform(settings)
    training, refit = dict(settings.train), dict(settings.refit)
    if settings.data.features is not None and settings.device is not None:
        # Without a network, the device is that of the refits.
        refit.setdefault("device", settings.device)
    own = {n: training.pop(n) for n in CLASSIFIER_PARAMETERS if n in training}
    if "augment" in training:
        training["augment"] = make_augmentation(training["augment"], transform)
    return CFTClassifier(
        train=train,
        input_transform=transform,
        trainer=NetworkTrainer(**training),
        fine_tuner=CategoryWiseFineTuner(**refit),
        device=settings.device or "auto",
        n_jobs=settings.n_jobs,
        random_state=settings.seed or 0,
        verbose=verbose,
        **own,
    )
