"""What lesson 14 says of Accelerate, Lightning and Transformers' Trainer holds for the installed versions.

A release that changes it fails here, with a message that names the sentence to update. The assertions are about the
weight that each of 17 samples has in each of two updates: its loss is a parameter of its own, so that its gradient is
its weight. Micro-batches have 3 samples, a window has 4 micro-batches, and the second window is short: 3 + 2 samples.
"""

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from course_utils.accumulation import windows

os.environ["HF_HUB_OFFLINE"] = "1"
accelerate = pytest.importorskip("accelerate", reason="pip install --editable '.[frameworks]'")
lightning = pytest.importorskip("pytorch_lightning", reason="pip install --editable '.[frameworks]'")
transformers = pytest.importorskip("transformers", reason="pip install --editable '.[frameworks]'")

ROOT = Path(__file__).parent.parent
LESSON = ROOT / "notebooks" / "14_frameworks.ipynb"
SAMPLES, M, K = 17, 3, 4
FULL, SHORT = 1 / 12, 1 / 5
SENTENCES = {
    "accelerate divides": "But the loss is divided by $K$ there, too.",
    "accelerate clips": "`clip_grad_norm_` does not wait.",
    "accelerate schedule": "A prepared scheduler may be called for every micro-batch",
    "accelerate remedy": "Right in both epochs. With several processes `samples` is the number in all of them",
    "accelerate state": "They share their state, so the last one made sets it for both.",
    "accelerate flag": "while it is False, `step` of every prepared optimizer has no effect.",
    "accelerate unprepared": "Accelerate cannot see the end of the epoch: the gradients of the short last window stay "
    "in `.grad`",
    "lightning divides": "The same weights and faults as with Accelerate.",
    "lightning clips": "Lightning clips once per update, without code of yours.",
    "lightning schedule": 'The schedule is right with `"interval": "step"` and the default frequency of 1.',
    "lightning interval": 'Without an interval it is `"epoch"`: the learning rate stays the same within the epoch.',
    "lightning remedy": "Give Lightning the *large* batch, split it yourself",
    "trainer counts": "The Trainer takes the window from the loader before the first backward, counts its tokens",
    "trainer attribute": "If the model has an attribute `accepts_loss_kwargs`, that decides.",
    "trainer promise": "If there is a `**kwargs`, the Trainer assumes that the model divides by the count.",
    "trainer mean of means": "Without `**kwargs` it is the mean of means.",
    "trainer own loss": "The model accepts the count, so the Trainer assumes that the loss was divided by it, and "
    "does not divide.",
    "trainer says so": "`loss_is_scaled_for_ga = False` makes the Trainer divide by the window's length",
    "trainer clips": "Clipping and the schedule run once per update.",
    "two processes": "All three wait for the end of the window. But Accelerate's schedule makes four steps",
    "plateau": "With `ReduceLROnPlateau` one validation counts as `num_processes` validations",
}
pytestmark = pytest.mark.filterwarnings("ignore:::pytorch_lightning")  # it advises more workers


def update(library, sentence):
    return (
        f"{library.__name__} {library.__version__} no longer does what notebooks/14_frameworks.ipynb says: update "
        f"'{SENTENCES[sentence]}', and what follows from it"
    )


def test_the_sentences_stand_in_the_lesson():
    prose = " ".join(" ".join(cell.source.split()) for cell in nbformat.read(LESSON, as_version=4).cells)
    assert [sentence for sentence in SENTENCES.values() if sentence not in prose] == []


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    accelerate.state.GradientState().sync_gradients = True  # shared, and left False by some of these tests
    yield
    accelerate.state.GradientState().sync_gradients = True


class Instrument:
    """Parameters that are losses, an optimizer, a schedule that halves the learning rate, and notes of each update."""

    def __init__(self):
        self.losses = nn.Embedding(SAMPLES, 1, dtype=torch.float64)
        self.optimizer = torch.optim.SGD(self.losses.parameters(), lr=1.0)
        self.scheduler = LambdaLR(self.optimizer, lambda step: 0.5**step)
        self.rows, self.rates = [], []
        self.optimizer.register_step_post_hook(self.note)

    def note(self, *_):
        self.rows.append(self.losses.weight.grad[:, 0].clone())
        self.rates.append(self.optimizer.param_groups[0]["lr"])

    @property
    def found(self):
        """The weight of a sample in each micro-batch of each update, zeros left out."""
        return [[round(part[0].item(), 9) for part in row.split(M) if part.any()] for row in self.rows]


def rounded(*rows):
    return [[round(weight, 9) for weight in row] for row in rows]


RIGHT = rounded([FULL] * 4, [SHORT] * 2)
DIVIDED_BY_K = rounded([FULL] * 4, [1 / 12, 1 / 8])
MEAN_OF_MEANS = rounded([FULL] * 4, [1 / 6, 1 / 4])
NOT_DIVIDED = rounded([1 / 3] * 4, [1 / 3, 1 / 2])


def loader(batch_size=M):
    return DataLoader(torch.arange(SAMPLES), batch_size)


def with_accelerate(clip=False, prepare_loader=True):
    made = Instrument()
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=K)
    model, optimizer, scheduler = accelerator.prepare(made.losses, made.optimizer, made.scheduler)
    for samples in accelerator.prepare(loader()) if prepare_loader else loader():
        with accelerator.accumulate(model):
            accelerator.backward(model(samples).mean())
            if clip == "always" or (clip and accelerator.sync_gradients):
                accelerator.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
    return made


def test_accelerate_divides_by_k_and_steps_once_per_window():
    made = with_accelerate()
    assert made.found == DIVIDED_BY_K, update(accelerate, "accelerate divides")
    assert made.rates == [1, 0.5], update(accelerate, "accelerate schedule")


def test_accelerate_clips_whenever_it_is_told_to():
    guarded, always = with_accelerate(clip=True).found[0], with_accelerate(clip="always").found[0]
    assert len(set(guarded)) == 1 and guarded[0] < FULL, update(accelerate, "accelerate clips")
    assert len(set(always)) == 4, update(accelerate, "accelerate clips")


def test_accelerate_does_not_see_the_end_of_a_loader_that_it_did_not_prepare():
    made = with_accelerate(prepare_loader=False)
    assert made.found == DIVIDED_BY_K[:1] and made.losses.weight.grad.any(), update(accelerate, "accelerate unprepared")
    assert not accelerate.state.GradientState().sync_gradients, update(accelerate, "accelerate unprepared")


def test_accelerators_share_their_state():
    first = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=K)
    second = accelerate.Accelerator(cpu=True)
    assert first.gradient_accumulation_steps == 1, update(accelerate, "accelerate state")
    first.sync_gradients, made = False, Instrument()
    made.losses.weight.grad = torch.ones_like(made.losses.weight)
    second.prepare(made.optimizer).step()
    assert made.rows == [], update(accelerate, "accelerate flag")


def test_accelerate_by_windows_is_right():
    made, accelerator = Instrument(), accelerate.Accelerator(cpu=True)
    model, optimizer, parts = accelerator.prepare(made.losses, made.optimizer, loader())
    for window in windows(parts, K):
        optimizer.zero_grad()
        for samples in window:
            accelerator.backward(model(samples).sum() / sum(map(len, window)))
        optimizer.step()
    assert made.found == RIGHT, update(accelerate, "accelerate remedy")


def test_accelerates_schedule_steps_once_per_process(monkeypatch):
    def rate(**arguments):
        accelerator, made = accelerate.Accelerator(cpu=True, **arguments), Instrument()
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(made.optimizer, patience=2, factor=0.5)
        _, scheduler = accelerator.prepare(made.optimizer, plateau)
        scheduler.step(1.0)
        return made.optimizer.param_groups[0]["lr"]

    assert rate() == 1, update(accelerate, "plateau")
    monkeypatch.setattr("accelerate.scheduler.AcceleratorState", lambda: SimpleNamespace(num_processes=8))
    assert rate() == 0.25, update(accelerate, "plateau")
    assert rate(step_scheduler_with_optimizer=False) == 1, update(accelerate, "plateau")


class Automatic(lightning.LightningModule):
    def __init__(self, **schedule):
        super().__init__()
        self.made, self.schedule = Instrument(), schedule
        self.losses = self.made.losses

    def training_step(self, samples):
        return self.losses(samples).mean()

    def configure_optimizers(self):
        return [self.made.optimizer], [{"scheduler": self.made.scheduler, **self.schedule}]


class ByWindows(Automatic):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, samples):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        for part in samples.split(M):
            self.manual_backward(self.losses(part).sum() / len(samples))
        optimizer.step()


def fit(module, data, **arguments):
    trainer = lightning.Trainer(accelerator="cpu", max_epochs=1, barebones=True, **arguments)
    trainer.fit(module, data)
    return module.made


def test_lightning_divides_by_k_and_steps_once_per_window():
    made = fit(Automatic(interval="step"), loader(), accumulate_grad_batches=K)
    assert made.found == DIVIDED_BY_K, update(lightning, "lightning divides")
    assert made.rates == [1, 0.5], update(lightning, "lightning schedule")


def test_lightning_clips_once_per_update():
    clipped = fit(Automatic(), loader(), accumulate_grad_batches=K, gradient_clip_val=0.1).found[0]
    assert len(set(clipped)) == 1 and clipped[0] < FULL, update(lightning, "lightning clips")


@pytest.mark.parametrize(("frequency", "rates"), [(2, [1, 0.5, 0.25, 0.125]), (3, [1, 1, 1, 0.5])])
def test_lightnings_frequency_counts_micro_batches(frequency, rates):
    module = Automatic(interval="step", frequency=frequency)
    made = fit(module, DataLoader(torch.arange(4 * K), 1), accumulate_grad_batches=K)
    assert made.rates == rates, update(lightning, "lightning schedule")


def test_lightnings_default_interval_is_the_epoch():
    made = fit(Automatic(), DataLoader(torch.arange(4 * K), 1), accumulate_grad_batches=K)
    assert made.rates == [1, 1, 1, 1], update(lightning, "lightning interval")


def test_lightning_by_windows_is_right():
    assert fit(ByWindows(), loader(K * M)).found == RIGHT, update(lightning, "lightning remedy")


class Losses(nn.Module):
    def __init__(self, made):
        super().__init__()
        self.losses = made.losses


class TakesNothing(Losses):
    def forward(self, sample, labels):
        return {"loss": self.losses(sample).mean()}


class TakesAndForgets(Losses):
    def forward(self, sample, labels, **kwargs):
        return {"loss": self.losses(sample).mean()}


class Declares(TakesAndForgets):
    accepts_loss_kwargs = False


class TakesAndUses(Losses):
    def forward(self, sample, labels, num_items_in_batch=1, **kwargs):
        return {"loss": self.losses(sample).sum() / num_items_in_batch}


def trainer_for(folder, model, data, optimizer, scheduler, trainer_class=None, collate=None, max_grad_norm=0.0):
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        num_train_epochs=1,
        per_device_train_batch_size=M,
        gradient_accumulation_steps=K,
        max_grad_norm=max_grad_norm,
        train_sampling_strategy="sequential",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    return (trainer_class or transformers.Trainer)(
        model, arguments, train_dataset=data, data_collator=collate, optimizers=(optimizer, scheduler)
    )


def with_trainer(folder, kind, **arguments):
    made = Instrument()
    data = [{"sample": i, "labels": i} for i in range(SAMPLES)]
    trainer_for(folder, kind(made), data, made.optimizer, made.scheduler, **arguments).train()
    return made


@pytest.mark.parametrize(
    ("kind", "expected", "sentence"),
    [
        (TakesNothing, MEAN_OF_MEANS, "trainer mean of means"),
        (TakesAndForgets, NOT_DIVIDED, "trainer promise"),
        (Declares, MEAN_OF_MEANS, "trainer attribute"),
        (TakesAndUses, RIGHT, "trainer counts"),
    ],
)
def test_the_trainer_believes_the_attribute_or_the_signature(tmp_path, kind, expected, sentence):
    assert with_trainer(tmp_path, kind).found == expected, update(transformers, sentence)


def test_the_trainer_clips_and_steps_its_schedule_once_per_update(tmp_path):
    made = with_trainer(tmp_path, TakesAndUses, max_grad_norm=0.1)
    assert len(set(made.found[0])) == 1 and made.found[0][0] < FULL, update(transformers, "trainer clips")
    assert made.rates == [1, 0.5], update(transformers, "trainer clips")
    assert transformers.TrainingArguments(output_dir=str(tmp_path)).max_grad_norm == 1, update(
        transformers, "trainer clips"
    )


class Forgets(transformers.Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        return model(**inputs).loss


class PassesItOn(transformers.Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        return model(**inputs, num_items_in_batch=num_items_in_batch).loss


class SaysSo(Forgets):
    loss_is_scaled_for_ga = False


@pytest.fixture(scope="module")
def first_gradients(tmp_path_factory):
    """The language model's first gradient under each Trainer, and that of the large batch."""
    torch.manual_seed(0)
    sizes = {"vocab_size": 16, "hidden_size": 16, "intermediate_size": 32}
    config = transformers.LlamaConfig(**sizes, num_hidden_layers=1, num_attention_heads=2, pad_token_id=0)
    model = transformers.LlamaForCausalLM(config).double()
    texts = [torch.randint(1, 16, (3 + 7 * i % 11,)) for i in range(SAMPLES)]

    def collate(rows):
        ids = nn.utils.rnn.pad_sequence([row["input_ids"] for row in rows], True)
        return {"input_ids": ids, "labels": ids.masked_fill(ids == 0, -100)}

    def gradient_of(trainer_class):
        optimizer, found = torch.optim.SGD(model.parameters(), lr=0.0), []
        optimizer.register_step_post_hook(lambda *_: found.append(gradient()))
        data = [{"input_ids": text} for text in texts]
        folder, scheduler = tmp_path_factory.mktemp("trainer"), LambdaLR(optimizer, lambda step: 1.0)
        trainer_for(folder, model, data, optimizer, scheduler, trainer_class, collate).train()
        return found

    def gradient():
        return torch.cat([parameter.grad.flatten().clone() for parameter in model.parameters()])

    large = []
    for rows in (texts[: K * M], texts[K * M :]):
        model.zero_grad()
        model(**collate([{"input_ids": text} for text in rows])).loss.backward()
        large.append(gradient())
    kinds = (transformers.Trainer, Forgets, PassesItOn, SaysSo)
    return {kind: gradient_of(kind) for kind in kinds}, large


@pytest.mark.parametrize("kind", [transformers.Trainer, PassesItOn])
def test_the_trainer_divides_by_the_windows_tokens(first_gradients, kind):
    found, large = first_gradients
    for gradient, expected in zip(found[kind], large, strict=True):
        assert (gradient - expected).norm() < 1e-6 * expected.norm(), update(transformers, "trainer counts")


def test_a_loss_that_forgets_the_count(first_gradients):
    found, large = first_gradients
    for forgot, says_so, length in zip(found[Forgets], found[SaysSo], (4, 2), strict=True):
        assert torch.allclose(forgot, says_so * length), update(transformers, "trainer own loss")
    assert (found[SaysSo][0] - large[0]).norm() > 1e-3 * large[0].norm(), update(transformers, "trainer says so")


def test_two_processes_do_what_the_lesson_reads(tmp_path):
    results = tmp_path / "frameworks.json"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [*launch, "-m", "benchmarks.frameworks", str(results)]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)
    assert run.returncode == 0, re.sub(r"\n\s*\n", "\n", run.stderr)[-3000:]
    stored = json.loads((ROOT / "benchmarks" / "frameworks.json").read_text(encoding="utf-8"))
    versions = ", ".join(
        f"{library.__name__} {library.__version__}" for library in (accelerate, lightning, transformers)
    )
    assert json.loads(results.read_text(encoding="utf-8")) == stored, (
        f"with {versions}, two processes do something else than benchmarks/frameworks.json says: run "
        f"`{' '.join(command[:-1])}`, and update '{SENTENCES['two processes']}' in notebooks/14_frameworks.ipynb"
    )
