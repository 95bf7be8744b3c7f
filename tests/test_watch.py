"""course_utils.watch: what the README shows, the picture, and several ranks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from matplotlib.colors import to_hex
from torch import nn
from torch.nn.functional import cross_entropy

from course_utils.processes import run_ranks
from course_utils.watch import FAULTS, reading, watch
from course_utils.watch.picture import ABSENT, draw, due_weights, sentence

ROOT = Path(__file__).parent.parent
K = 4

#: A training script as people write it, with a short last window: 14 micro-batches of 3 texts, 10 in an epoch.
SCRIPT = """
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(32, 16), nn.Embedding(8, 16)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.layers, self.head = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False), nn.Linear(16, 32)

    def forward(self, text):
        mask = nn.Transformer.generate_square_subsequent_mask(text.shape[1])
        return self.head(self.layers(self.tokens(text) + self.places.weight, mask=mask, is_causal=True))


def main():
    torch.manual_seed(0)
    texts = torch.randint(32, (30, 9))
    loader = DataLoader(TensorDataset(texts), batch_size=3)
    model = GPT()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    for epoch in range(2):
        for i, (text,) in enumerate(loader):
            logits = model(text[:, :-1])
            loss = cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())
            (loss / 4).backward()
            if (i + 1) % 4 == 0 or i + 1 == len(loader):
                optimizer.step()
                optimizer.zero_grad()


if __name__ == "__main__":
    main()
"""


def test_the_readme_shows_what_the_command_prints(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT, encoding="utf-8")
    command = [sys.executable, "-m", "course_utils.watch", "--updates", "4", str(script)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"\n((?:    .*\n)+)\nNo line of the script is changed", readme)[1]

    def without_norms(text):
        return [re.sub(r"  \d+(\.\d+)?$", "", line.rstrip()) for line in text.splitlines() if line.strip()]

    printed = without_norms(ended.stdout)
    assert [line[4:] for line in without_norms(shown)] == printed[: len(without_norms(shown))], ended.stdout
    assert ended.returncode == 1


def micro_batches(samples=17, size=3):
    generator = torch.Generator().manual_seed(0)
    inputs, targets = torch.randn(samples, 6, generator=generator), torch.arange(samples) % 2
    return list(zip(inputs.split(size), targets.split(size), strict=True))


def watched(divisor):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batches = micro_batches()
    with watch(model) as seen:
        for i, (inputs, targets) in enumerate(batches):
            (cross_entropy(model(inputs), targets) / divisor(i)).backward()
            if (i + 1) % K == 0 or i + 1 == len(batches):
                optimizer.step()
                optimizer.zero_grad()
    return seen


def test_the_picture_has_every_weight_and_its_sentence_counts():
    table = watched(lambda i: K).tables[0]
    figure = draw(table)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == [".25"] * 6 + ["sum", "1", "0.5"]
    assert (
        to_hex(figure.axes[0].get_facecolor()) == ABSENT and "grey: not in this update" in figure.axes[0].get_xlabel()
    )
    assert due_weights(table.rows[1]) == pytest.approx([3 / 5, 2 / 5])
    assert sentence(table) == (
        "SGD of Sequential, 2 updates: 2 of 6 weights are wrong, the weights of an update add up to between 0.5 and 1, "
        "and 0 micro-batches are in no update."
    )


def test_every_fault_that_is_named_is_explained():
    source = Path(reading.__file__).read_text(encoding="utf-8")
    named = set(re.findall(r'self\._(?:say|add)\(\s*"([^"]+)"', source)) | {"no update"}
    assert named == set(FAULTS)


# Two ranks, for real

RANKS = """
import contextlib
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.functional import cross_entropy
from course_utils.watch import watch

how = HOW
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
parallel = model if how == "not synchronized" else nn.parallel.DistributedDataParallel(model)
optimizer = torch.optim.SGD(parallel.parameters(), lr=0.1)
generator, size = torch.Generator().manual_seed(rank), 3 + 2 * rank * (how == "uneven")
batches = [(torch.randn(size, 6, generator=generator), torch.arange(size) % 3) for _ in range(6)]
with watch(model) as seen:
    for first in range(0, 6, 4):
        window = batches[first : first + 4]
        for i, (inputs, targets) in enumerate(window, start=1):
            waits = how == "no_sync" and i < len(window)
            with parallel.no_sync() if waits else contextlib.nullcontext():
                divisor = 4 if how == "by K" else len(window)
                (cross_entropy(parallel(inputs), targets) / divisor).backward()
        optimizer.step()
        optimizer.zero_grad()
    dist.destroy_process_group()
if rank == 0:
    rows = seen.joined.tables[0].rows if seen.joined else []
    print([[round(m.weight, 4) for m in row.micro_batches] for row in rows])
    print([[row.update.synchronized for row in view.tables[0].rows] for view in seen.ranks])
    print(sorted({fault.kind for view in [*seen.ranks, seen.joined] if view for fault in view.faults}))
"""


@pytest.mark.parametrize(
    ("how", "weights", "times", "faults"),
    [
        ("no_sync", [[0.125] * 8, [0.25] * 4], [1, 1], []),
        ("each time", [[0.125] * 8, [0.25] * 4], [4, 2], []),
        ("uneven", [[0.125] * 8, [0.25] * 4], [4, 2], ["mean of means"]),
        ("by K", [[0.125] * 8, [0.125] * 4], [4, 2], ["tail under-weighted"]),
        ("not synchronized", [], [0, 0], ["not synchronized"]),
    ],
)
def test_two_ranks(how, weights, times, faults):
    printed = run_ranks(RANKS.replace("HOW", repr(how)))[0]
    assert printed.splitlines() == [str(weights), str([times, times]), str(faults)]


# Loops of kinds that strangers have tried


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))


def updates(optimizer, body, after=lambda window: None):
    """Windows of K micro-batches of 3, and a short last one; `body` calls backward(), `after` comes before the step."""
    batches = micro_batches(30)
    for first in range(0, len(batches), K):
        window = batches[first : first + K]
        body(window)
        after(window)
        optimizer.step()
        optimizer.zero_grad()


def one_backward(model, optimizer):
    def body(window):
        sum(cross_entropy(model(inputs), targets) / K for inputs, targets in window).backward()

    updates(optimizer, body)


def clipped_before_the_division(model, optimizer):
    def body(window):
        for inputs, targets in window:
            cross_entropy(model(inputs), targets).backward()

    def after(window):
        nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        for parameter in model.parameters():
            parameter.grad.data.div_(len(window))

    updates(optimizer, body, after)


def two_losses_not_divided(model, optimizer):
    def body(window):
        for inputs, targets in window[:2]:
            outputs = model(inputs)
            penalty = nn.functional.smooth_l1_loss(outputs, torch.zeros_like(outputs), reduction="sum")
            (cross_entropy(outputs, targets) + 0.3 * penalty).backward()

    updates(optimizer, body)


def three_heads(model, optimizer):
    heads = nn.ModuleList([nn.Linear(2, 3) for _ in range(3)])
    optimizer.add_param_group({"params": list(heads.parameters())})

    def body(window):
        inputs, targets = window[0]
        for head in heads:
            cross_entropy(head(model(inputs)), targets).backward()

    updates(optimizer, body)


def by_hand(model, optimizer):
    for inputs, targets in micro_batches():
        cross_entropy(model(inputs), targets).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
                parameter.grad = None


@pytest.mark.parametrize(
    ("loop", "verdict", "faults"),
    [
        (one_backward, "wrong", {"tail under-weighted"}),
        (clipped_before_the_division, "wrong", {"scaled after clipping"}),
        (two_losses_not_divided, "wrong", {"not divided"}),
        (three_heads, "right", set()),
        (by_hand, "nothing seen", set()),
    ],
)
def test_loops_that_strangers_have_tried(loop, verdict, faults):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with watch(model) as seen:
        loop(model, optimizer)
    assert (seen.verdict, {fault.kind for fault in seen.faults}) == (verdict, faults), str(seen)
