"""The loss in other packages' training loops, as docs/user_guide/recipes.md shows."""

import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

from cftlearn import CategoryWiseFineTuner
from cftlearn.losses import PartialBCEWithLogitsLoss
from cftlearn.metrics import partial_roc_auc_score

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages
NAN = float("nan")
N_ROWS, N_TOKENS, N_CATEGORIES = 64, 6, 3


def needs(*packages):
    absent = [name for name in packages if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(absent), reason=f"{absent} not installed")


@pytest.fixture
def texts():
    """Return rows of tokens, labels of which tokens occur, and partial labels."""
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 12, (N_ROWS, N_TOKENS))
    truth = np.stack(
        [(tokens == token).any(axis=1) for token in range(N_CATEGORIES)], axis=1
    ).astype(float)
    y = np.where(rng.random(truth.shape) < 0.5, NAN, truth)
    return tokens, truth, y


class Texts(torch.utils.data.Dataset):
    def __init__(self, tokens, y):
        self.tokens, self.y = torch.tensor(tokens), torch.tensor(y).float()

    def __len__(self):
        return len(self.y)

    def __getitem__(self, row):
        return {"input_ids": self.tokens[row], "labels": self.y[row]}


def make_bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=12,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=N_CATEGORIES,
        problem_type="multi_label_classification",
    )
    torch.manual_seed(0)
    return transformers.BertForSequenceClassification(config)


def make_arguments(folder, **parameters):
    transformers = pytest.importorskip("transformers")
    return transformers.TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=20,
        per_device_train_batch_size=8,
        learning_rate=5e-3,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        seed=0,
        **parameters,
    )


@pytest.fixture
def trainer_class(monkeypatch):
    """Return Trainer, for which the folder tests/datasets is not Hugging Face's own."""
    module = pytest.importorskip("transformers.trainer")
    monkeypatch.setattr(module, "is_datasets_available", lambda: False)
    return module.Trainer


@needs("transformers", "accelerate")
def test_a_trainer_of_hugging_face_trains_with_unknown_labels(
    texts, tmp_path, trainer_class
):
    tokens, truth, y = texts
    model, known_loss = make_bert(), PartialBCEWithLogitsLoss()

    def compute_loss(outputs, labels, num_items_in_batch=None):
        return known_loss(outputs["logits"], labels)

    data = Texts(tokens, y)
    trainer = trainer_class(
        model,
        make_arguments(tmp_path),
        train_dataset=data,
        eval_dataset=data,
        compute_loss_func=compute_loss,
    )
    assert np.isfinite(trainer.train().training_loss)
    predicted = trainer.predict(data)
    assert np.isfinite(predicted.metrics["test_loss"])
    assert partial_roc_auc_score(truth, predicted.predictions) > 0.75

    # and the refit of its classification layer
    with torch.no_grad():
        features = model.bert(input_ids=data.tokens).pooler_output.numpy()
    weights = model.classifier.weight.detach().numpy()
    bias = model.classifier.bias.detach().numpy()
    np.testing.assert_allclose(
        features @ weights.T + bias, predicted.predictions, atol=1e-4
    )
    tuner = CategoryWiseFineTuner(
        coef_init=weights, intercept_init=bias, random_state=0
    ).fit(features[:40], y[:40], X_val=features[40:], y_val=y[40:])
    assert tuner.transform(features).shape == truth.shape


@needs("transformers", "accelerate")
def test_its_own_loss_is_nan_where_a_label_is_unknown(texts):
    tokens, _, y = texts
    data = Texts(tokens, y)
    outputs = make_bert()(input_ids=data.tokens, labels=data.y)
    assert torch.isnan(outputs.loss)


@needs("transformers", "accelerate")
def test_gradient_accumulation_needs_a_sum(texts, tmp_path, trainer_class):
    """Two batches of 8 then give the step of one batch of 16."""
    from transformers import TrainerCallback

    tokens, _, y = texts
    known_loss = PartialBCEWithLogitsLoss(reduction="sum")
    counts = []

    def compute_loss(outputs, labels, num_items_in_batch=None):
        counts.append(int(num_items_in_batch))
        return known_loss(outputs["logits"], labels) / num_items_in_batch

    class OneStep(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = True

    weights = []
    for size, steps in ((16, 1), (8, 2)):
        model = make_bert().eval()
        for part in model.modules():  # the two runs must draw the same
            if isinstance(part, nn.Dropout):
                part.p = 0.0
        arguments = make_arguments(tmp_path, gradient_accumulation_steps=steps)
        arguments.per_device_train_batch_size = size
        trainer_class(
            model,
            arguments,
            train_dataset=Texts(tokens[:16], y[:16]),
            compute_loss_func=compute_loss,
            callbacks=[OneStep()],
        ).train()
        weights.append(model.classifier.weight.detach())
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-5)
    assert counts == [16 * N_CATEGORIES] * 3  # unknown labels are counted too


@needs("lightning")
def test_a_module_of_lightning(texts):
    import lightning

    tokens, truth, y = texts
    features = np.stack([np.bincount(row, minlength=12) for row in tokens])

    class Network(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(12, N_CATEGORIES)
            self.known_loss = PartialBCEWithLogitsLoss()

        def training_step(self, batch, number):
            X, y = batch
            return self.known_loss(self.layer(X), y)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.1)

    data = torch.utils.data.TensorDataset(
        torch.tensor(features).float(), torch.tensor(y).float()
    )
    network = Network()
    lightning.Trainer(
        max_epochs=30,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(network, torch.utils.data.DataLoader(data, batch_size=8))
    scores = network.layer(data.tensors[0]).detach().numpy()
    assert partial_roc_auc_score(truth, scores) > 0.95


@needs("skorch")
def test_a_net_of_skorch(texts):
    from skorch import NeuralNet

    tokens, truth, y = texts
    features = np.stack([np.bincount(row, minlength=12) for row in tokens])
    net = NeuralNet(
        nn.Linear,
        module__in_features=12,
        module__out_features=N_CATEGORIES,
        criterion=PartialBCEWithLogitsLoss,
        optimizer=torch.optim.Adam,
        lr=0.1,
        max_epochs=30,
        batch_size=8,
        train_split=None,
        verbose=0,
    )
    net.fit(features.astype(np.float32), y.astype(np.float32))
    assert np.isfinite(net.history[:, "train_loss"]).all()
    scores = net.predict(features.astype(np.float32))
    assert partial_roc_auc_score(truth, scores) > 0.95
