"""Test `local_global`: refinement after any model, as a network, by name, and in training."""

import pytest
import torch

import inpaint_zoo as iz
from inpaint_zoo.models import LocalGlobalRefinement
from tests.helpers.fill import vector_image, vector_mask
from tests.helpers.images import sample
from tests.helpers.toy import toy

SMALL = {"width": 4, "levels": 6, "local_width": 4, "blocks": 1}


def test_it_takes_any_network_and_keeps_the_contract():
    net = iz.local_global(toy(), **SMALL).eval()
    image, mask = sample((63, 41), batch=2)
    with torch.no_grad():
        stages = net.stages(image, mask)
        assert list(stages) == ["coarse", "local", "global"]
        *_, alone = net.first.stages(image, mask).values()
        torch.testing.assert_close(stages["coarse"], alone, atol=1e-5, rtol=0)
        out = net(image, mask)
        nothing = image.masked_fill(mask > 0, float("nan"))
        assert torch.equal(net(nothing, mask), out)
    assert torch.equal(out[(mask == 0).expand_as(out)], image[(mask == 0).expand_as(out)])


def test_sixty_million_parameters_more():
    with torch.device("meta"):
        net = iz.create_model("local_global:autoencoder")
    total = sum(parameter.numel() for parameter in net.parameters())
    assert total - iz.model_info("autoencoder").parameters == 60_587_206
    info = iz.model_info("local_global:autoencoder")
    assert info.parameters == total
    assert info.options.keys() == {"freeze_first", "width", "levels", "local_width", "blocks"}


def test_by_name_with_options_and_weights(tmp_path):
    net = iz.create_model("local_global:autoencoder_tiny", **SMALL, freeze_first=True)
    path = iz.save_weights(net, tmp_path / "a.safetensors", licence="Apache-2.0", training={"data": "none"})
    twin = iz.create_model("local_global:autoencoder_tiny", weights=path)
    image, mask = vector_image(64, 64), vector_mask(64, 64)
    with torch.no_grad():
        assert torch.equal(twin(image, mask), net(image, mask))
    assert twin.freeze_first


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("local_globl:lama", r"Unknown combinator 'local_globl'\. Did you mean 'local_global'"),
        ("local_global:lamma", r"Unknown model 'lamma'\. Did you mean 'lama'"),
    ],
)
def test_wrong_names_are_answered_with_the_right_ones(name, message):
    with pytest.raises(ValueError, match=message):
        iz.create_model(name)


def test_options_of_both_are_named():
    with pytest.raises(ValueError, match=r"takes: freeze_first, .*local_fourier"):
        iz.create_model("local_global:lama", wdth=3)


def module(**more):
    return LocalGlobalRefinement(
        "local_global:autoencoder_tiny", network_options=SMALL, lambda_per=0, lambda_style=0, metrics=[], **more
    )


def test_a_frozen_first_network_must_be_trained_and_stays():
    trainer = type("Trainer", (), {"precision": "32-true", "callbacks": []})
    with pytest.raises(ValueError, match="frozen but has no trained weights"):
        module(freeze_first=True).check_trainer(trainer)
    frozen = module(freeze_first=True, first_weights="shipped").train()
    frozen.check_trainer(trainer)
    assert not frozen.network.first.training
    assert not any(parameter.requires_grad for parameter in frozen.network.first.parameters())
    shipped = iz.create_model("autoencoder_tiny", weights="shipped").state_dict()
    assert all(torch.equal(value, shipped[key]) for key, value in frozen.network.first.state_dict().items())
    assert frozen.weights["coarse_hole"] == 0
    assert module().weights["coarse_hole"] == 6
    with pytest.raises(ValueError, match="must be local_global:NAME, where NAME is a model, got 'lama'"):
        LocalGlobalRefinement("lama")


@pytest.mark.slow
def test_refinement_learns_behind_a_frozen_network():
    torch.manual_seed(0)
    trained = module(freeze_first=True, first_weights="shipped").train()
    trained.build_losses()
    image = torch.cat([vector_image(64, 64), vector_image(64, 64, 0.7)])
    mask = torch.cat([vector_mask(64, 64), vector_mask(64, 64).roll(11, 3)])
    batch = {"image": image, "mask": mask, "name": ["a", "b"]}
    optimizer = torch.optim.Adam([p for p in trained.network.parameters() if p.requires_grad], lr=2e-3)
    for _ in range(60):
        terms = trained.loss(trained.in_loss_range(batch), trained.predict_stages(batch))
        optimizer.zero_grad()
        sum(term * trained.weights.get(name, 1.0) for name, term in terms.items()).backward()
        optimizer.step()

    def psnr(stage):
        error = (torch.where(mask > 0, stage, image) - image).square().mean()
        return -10 * error.log10().item()

    with torch.no_grad():
        stages = trained.network.stages(image, mask)
    assert psnr(stages["global"]) > psnr(stages["coarse"]) + 3
    assert psnr(stages["local"]) > psnr(stages["coarse"]) + 1
