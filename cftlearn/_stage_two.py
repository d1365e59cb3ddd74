"""Stage two of a classifier: a fine-tuner that can go on from stage one."""

from typing import Any, Protocol


class StageTwoSettings(Protocol):
    """What stage two reads of a classifier's parameters."""

    module: Any
    train: bool
    unknown: str
    device: str
    n_jobs: int | None
    random_state: Any
    verbose: int


def prepare_fine_tuner(tuner: Any, settings: StageTwoSettings, seed: int) -> None:
    """Give a fine-tuner what it does not set itself, if it can go on from stage one.

    Parameters
    ----------
    tuner : CategoryWiseFineTuner
        Changed in place.
    settings : StageTwoSettings
        The classifier.
    seed : int
        For a fine-tuner without its own.

    Raises
    ------
    ValueError
        If parameters of the two contradict each other.
    """
    _check(tuner, settings)
    if settings.random_state is None or tuner.random_state is not None:
        tuner._check_seed()  # now, not after hours of training
    if tuner.random_state is None:
        tuner.set_params(random_state=seed)
    if tuner.n_jobs is None:
        tuner.set_params(n_jobs=settings.n_jobs)
    if tuner.device == "auto" and settings.device == "cpu":
        tuner.set_params(device="cpu")  # or a GPU would run what was asked of the CPU
    tuner.set_params(verbose=max(tuner.verbose, settings.verbose))


def _check(tuner: Any, settings: StageTwoSettings) -> None:
    has_module = settings.module is not None
    own_rows = tuner.coef_init is not None
    if own_rows and has_module:
        raise ValueError(
            "The rows to start from come from the network; `fine_tuner` must not "
            "set `coef_init` where there is a `module`."
        )
    if not has_module and not settings.train and not own_rows:
        raise ValueError(
            "`train=False` without a `module` needs rows to start from. Pass "
            "fine_tuner=CategoryWiseFineTuner(coef_init=..., intercept_init=...)."
        )
    if tuner.cross_fit and (has_module or settings.unknown == "ignore"):
        raise ValueError(
            "`fine_tuner` must have cross_fit=None with a `module`, and with "
            f"unknown='ignore'; got cross_fit={tuner.cross_fit}."
        )
