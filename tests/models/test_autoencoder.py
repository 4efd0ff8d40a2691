"""Test properties of the autoencoder: its size, and that the mask is not an input."""

import torch

import inpaint_zoo as iz


def test_parameters_are_the_specifications():
    assert iz.model_info("autoencoder").parameters == 7_446_147
    assert iz.model_info("autoencoder_tiny").parameters <= 1_500_000


def test_a_sixteenth_of_the_sides_and_no_mask():
    net = iz.create_model("autoencoder_tiny")
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        assert net.encoder(image).shape[-2:] == (4, 6)
        raw = [net.predict(image, mask)["prediction"] for mask in (torch.zeros(1, 1, 64, 96), torch.ones(1, 1, 64, 96))]
    assert torch.equal(*raw)
