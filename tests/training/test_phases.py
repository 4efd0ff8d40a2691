"""Recipes: the phases run as declared and in order, and steps are generator updates."""

import itertools

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch.optim.lr_scheduler import StepLR

from inpaint_zoo.errors import ZooError
from inpaint_zoo.training import ConstantThenLinear, NetworkEMA, Phase, Recipe
from tests.helpers.toys import ImageData, Reconstruction, ToyGAN, build, fit, make_trainer


def phase(name, *trains, **options):
    return Phase(name, trains, lambda batch, stages: {}, torch.optim.Adam, **options)


@pytest.mark.parametrize(
    ("phases", "options", "message"),
    [
        ([phase("d", "critic")], {}, "Exactly one phase must train 'network'"),
        ([phase("g", "network"), phase("h", "network")], {}, "Exactly one phase must train 'network'"),
        ([phase("g", "network"), phase("g", "critic")], {}, "different names"),
        ([phase("g", "network"), phase("h", "network.part")], {}, "Exactly one phase must train 'network'"),
        ([phase("g", "network", on="every")], {}, "Leave `on` unset"),
        ([phase("g", "network")], {"repeats": 0}, "`repeats` must be at least 1"),
    ],
)
def test_wrong_recipes_are_refused(phases, options, message):
    with pytest.raises(ZooError, match=message):
        Recipe(tuple(phases), **options)


def test_who_runs_when():
    every, but_last, last = phase("d", "critic"), phase("e", "critic", on="but_last"), phase("g", "network")
    recipe = Recipe((every, but_last, last), batches_per_step=3)
    names = [[p.name for p in recipe.phases if p.runs(recipe.completes_step(n))] for n in range(6)]
    assert names == [["d", "e"], ["d", "e"], ["d", "g"]] * 2


def test_what_trains_apart_has_an_optimizer_for_each_part():
    together = phase("g", "network.coarse", "network.local")
    assert together.is_generator
    assert together.groups == {"g": ("network.coarse", "network.local")}
    apart = phase("g", "network.coarse", "network.local", separate_optimizers=True)
    assert apart.groups == {"g/coarse": ("network.coarse",), "g/local": ("network.local",)}


CRITIC, GENERATOR = "critic", "generator"


@pytest.mark.parametrize(
    ("options", "calls", "forwards"),
    [
        ({}, [CRITIC, GENERATOR], 2),
        ({"critic_first": False}, [GENERATOR, CRITIC], 2),
        ({"form": {"forward": "shared"}}, [CRITIC, GENERATOR], 1),
        ({"form": {"forward": "shared", "step_jointly": True}}, [CRITIC, GENERATOR], 1),
        ({"form": {"repeats": 3}}, [CRITIC, GENERATOR] * 3, 6),
        ({"form": {"batches_per_step": 5}}, [CRITIC] * 5 + [GENERATOR], 6),
        ({"form": {"forward": "shared", "batches_per_step": 2}}, [CRITIC, CRITIC, GENERATOR], 2),
    ],
)
def test_order_and_forward_passes_of_a_step(options, calls, forwards, tmp_path):
    module = build(ToyGAN, **options)
    trainer = fit(tmp_path, module, max_steps=2, limit_val_batches=0)
    assert trainer.global_step == 2
    assert module.log_of_calls == calls * 2
    assert module.forwards == forwards * 2


class Watch(Callback):
    """Callback that records the weights of generator and discriminator before and after each batch."""

    def __init__(self):
        self.changes = []

    @staticmethod
    def look(module):
        return [module.network.fine.weight.detach().clone(), module.critic.body[0].weight.detach().clone()]

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.before = self.look(pl_module)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        pairs = zip(self.before, self.look(pl_module), strict=True)
        self.changes.append((*[not torch.equal(a, b) for a, b in pairs], trainer.global_step))


def test_who_changes_and_what_counts(tmp_path):
    watch = Watch()
    module = build(ToyGAN, form={"batches_per_step": 3})
    fit(tmp_path, module, callbacks=[watch], max_steps=1, limit_val_batches=0)
    assert watch.changes == [(False, True, 0), (False, True, 0), (True, True, 1)]


def reference_step(module, batch, order):
    """Do one step in plain torch, without phases."""
    network, critic = module.network, module.critic
    optimizers = {
        "generator": torch.optim.SGD(network.parameters(), lr=module.lr),
        "critic": torch.optim.SGD(critic.parameters(), lr=module.lr),
    }
    weights = {"generator": {"l1": 1.0, "adversarial": 0.1}, "critic": {"fake": 1.0, "real": 1.0}}
    module.seed_batch("train", 0)
    stages = None
    for name in order:
        stages = stages or network.stages(batch["image"], batch["mask"])
        detached = {key: value.detach() for key, value in stages.items()}
        loss = getattr(module, f"{name}_loss")(batch, stages if name == "generator" else detached)
        total = sum(weights[name][key] * value for key, value in loss.items())
        parameters = list((network if name == "generator" else critic).parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(total, parameters), strict=True):
            parameter.grad = gradient
        optimizers[name].step()


def test_a_step_equals_the_one_written_out_by_hand(tmp_path):
    options = {"sgd": True, "lr": 0.1, "form": {"forward": "shared"}}
    trained = build(ToyGAN, **options)
    trainer = make_trainer(tmp_path, max_steps=1, limit_val_batches=0)
    data = ImageData()
    trainer.fit(trained, datamodule=data)
    by_hand = build(ToyGAN, **options)
    by_hand.trainer = data.trainer = make_trainer(tmp_path / "fresh")
    reference_step(by_hand, next(iter(data.train_dataloader())), ("critic", "generator"))
    for (name, a), b in zip(trained.state_dict().items(), by_hand.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6), name


def test_critics_are_frozen_in_the_generators_phase_and_free_afterwards(tmp_path):
    seen = []

    class Look(ToyGAN):
        def generator_loss(self, batch, stages):
            seen.append({p.requires_grad for p in self.critic.parameters()})
            return super().generator_loss(batch, stages)

        def critic_loss(self, batch, stages):
            seen.append({p.requires_grad for p in self.network.parameters()})
            return super().critic_loss(batch, stages)

    module = build(Look)
    fit(tmp_path, module, max_steps=1, limit_val_batches=0)
    assert seen == [{False}, {False}]
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_clipping_is_each_optimizers_own(tmp_path):
    module = build(ToyGAN, clip=1e-3)
    norms = []

    class Norms(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
            norms.append(float(torch.nn.utils.get_total_norm(grads)))

    fit(tmp_path, module, callbacks=[Norms()], max_steps=2, limit_val_batches=0)
    assert len(norms) == 4
    assert all(abs(norm - 1e-3) < 1e-5 for norm in norms)
    assert float(module.values["critic/grad_norm"]) > 1e-2  # as it was before clipping


@pytest.mark.parametrize("critics", [1, 5])
def test_generator_updates_are_what_everything_follows(critics, tmp_path):
    """Generator updates drive max_steps, ModelCheckpoint, schedules, EMA and logs, with 1 and 5 critics per step."""
    rates, averages = [], []

    class Rates(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if not rates or trainer.global_step > rates[-1][0]:
                rates.append((trainer.global_step, *[o.param_groups[0]["lr"] for o in trainer.optimizers]))
                averages.append(int(ema.average.n_averaged))

    ema = NetworkEMA(decay=0.5, every=2, start=1)
    theirs = ModelCheckpoint(
        tmp_path / "theirs",
        filename="{step}",
        every_n_train_steps=2,
        save_top_k=-1,
        save_on_train_epoch_end=False,
    )
    module = build(ToyGAN, scheduler=lambda o: StepLR(o, 3, 0.1), form={"batches_per_step": critics})
    with pytest.warns(UserWarning, match="AFTER optimization"):  # which is when we want it
        trainer = fit(
            tmp_path,
            module,
            ImageData(batches=30),
            callbacks=[ema, Rates(), theirs],
            max_steps=6,
            limit_val_batches=0,
        )
    assert trainer.global_step == 6
    assert module.batches == 6 * critics
    assert module.log_of_calls.count("generator") == 6
    assert module.log_of_calls.count("critic") == 6 * critics
    expected = [(step, *[pytest.approx(1e-3 * 0.1 ** (step // 3))] * 2) for step in range(1, 7)]
    assert [rate for rate in rates if rate[0]] == expected
    assert averages[-6:] == [0, 1, 1, 2, 2, 3]  # steps of index 1, 3, 5
    assert sorted(path.name for path in (tmp_path / "theirs").iterdir()) == [f"step={n}.ckpt" for n in (2, 4, 6)]
    ours = sorted(path.name for path in (tmp_path / "checkpoints").glob("step_*"))
    assert ours == [f"step_{n:08d}.ckpt" for n in (2, 4, 6)]
    logged = [line.split(",")[0] for line in (tmp_path / "metrics.csv").read_text().splitlines()[1:]]
    assert logged == ["1", "2", "3", "4", "5", "6"]


def test_schedule_that_counts_epochs(tmp_path):
    form = {"batches_per_step": 2}
    module = build(ToyGAN, scheduler=lambda o: ConstantThenLinear(o, constant=1, decay=1), interval="epoch", form=form)
    trainer = fit(tmp_path, module, ImageData(batches=4), max_steps=-1, max_epochs=2, limit_val_batches=0)
    assert trainer.global_step == 4
    rates = [line.split(",") for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    column = rates[0].index("lr/generator")
    assert [float(row[column]) for row in rates[1:]] == [1e-3, 1e-3, 5e-4, 5e-4]


def test_lgnets_schedule():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = ConstantThenLinear(optimizer, constant=100, decay=100)
    rates = []
    for _ in range(201):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == rates[99] == 1
    assert [rates[epoch - 1] for epoch in (101, 150, 200)] == pytest.approx([100 / 101, 51 / 101, 1 / 101])
    assert rates[200] == 0


def test_ema_follows_every_inner_round_if_asked(tmp_path):
    counts = {}
    for each in (False, True):
        ema = NetworkEMA(each_update=each)
        fit(tmp_path / str(each), build(ToyGAN, form={"repeats": 3}), callbacks=[ema], max_steps=2, limit_val_batches=0)
        counts[each] = int(ema.average.n_averaged)
    assert counts == {False: 2, True: 6}


def test_ema_is_the_average_and_is_what_validation_sees(tmp_path):
    ema = NetworkEMA(decay=0.75, buffers=False)
    current, seen = [], []

    class Keep(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            current.append(pl_module.network.fine.bias.detach().clone())

        def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0):
            seen.append(pl_module.network.fine.bias.detach().clone())

    module = build(ToyGAN)
    fit(tmp_path, module, ImageData(batches=4), callbacks=[ema, Keep()], max_steps=4)
    expected = current[0]
    for bias in current[1:]:
        expected = 0.75 * expected + 0.25 * bias
    assert torch.allclose(seen[0], expected)
    assert torch.allclose(module.network.fine.bias, expected)  # left in place when training ended
    saved = torch.load(tmp_path / "checkpoints" / "step_00000004.ckpt", weights_only=True)
    assert torch.allclose(saved["state_dict"]["network.fine.bias"], expected)
    assert torch.equal(saved["current_model_state"]["network.fine.bias"], current[-1])
    statistics = "network.encode.1.running_mean"
    assert torch.equal(saved["state_dict"][statistics], saved["current_model_state"][statistics])
    assert not any(key.startswith("critic.") and key not in saved["state_dict"] for key in saved["current_model_state"])
    assert (tmp_path / "metrics.csv").read_text().splitlines()[0].endswith("val/psnr,val/ema")


def test_ema_that_starts_late_leaves_the_weights_in_training_evaluated(tmp_path):
    module = build(ToyGAN)
    fit(tmp_path, module, ImageData(batches=2), callbacks=[NetworkEMA(start=3)], max_steps=4)
    rows = [line.split(",")[-1] for line in (tmp_path / "metrics.csv").read_text().splitlines()]
    assert [row for row in rows if row] == ["val/ema", "0.0", "1.0"]


def test_half_precision_scaling_is_refused(tmp_path):
    module = build(ToyGAN)
    module.trainer = Trainer(logger=False, barebones=True, accelerator="cpu")
    module.trainer.strategy.precision_plugin.precision = "16-mixed"
    with pytest.raises(ZooError, match="Use bf16-mixed"):
        module.setup("fit")


@pytest.mark.parametrize(("kind", "options"), [(Reconstruction, {}), (ToyGAN, {"penalty": True, "clip": 1.0})])
def test_bf16_trains(kind, options, tmp_path):
    module = build(kind, **options)
    fit(tmp_path, module, max_steps=4, precision="bf16-mixed", limit_val_batches=0)
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


def test_one_step_changes_both_sides_and_all_of_them(tmp_path):
    module = build(ToyGAN)
    before = {name: value.clone() for name, value in module.named_parameters()}
    fit(tmp_path, module, max_steps=1, limit_val_batches=0)
    critic, generator = (module.values[f"{name}/grad_norm"] for name in ("critic", "generator"))
    assert torch.equal(module.values["balance/critic"], critic / generator)
    changed = {name for name, value in module.named_parameters() if not torch.equal(before[name], value)}
    # real and fake pull the last bias to and fro with equal force while no logit is beyond the hinge
    assert set(before) - changed == {"critic.body.2.bias"}


def test_turns_never_end():
    recipe = Recipe((phase("g", "network"),), batches_per_step=6)
    done = list(itertools.accumulate(recipe.completes_step(n) for n in range(12)))
    assert done == [0] * 5 + [1] * 6 + [2]
