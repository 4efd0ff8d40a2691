"""Time exported ONNX files beside the network and its fast form, on CPU; all in one process, in turns.

    python benchmarks/speed/export.py glama_tiny partial_conv_tiny --size 256 --precisions fp32 int8 --rounds 5

Prints one line for each model: seconds of the eager network, and the time of every other form as a ratio to it (below 1
is faster), with the loss in PSNR of files in a lower precision on the sample images. Networks without shipped weights
get random ones; their PSNR says nothing. Times are the processor time of this process, with one thread, so that other
programs on the machine change them little; the minimum over the rounds counts.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

import inpaint_zoo as iz
from inpaint_zoo.export import ExportError
from inpaint_zoo.export.check import sample_pair

IMAGES = 4  # all of the test split
Pair = tuple[Tensor, Tensor]


def psnr(net: iz.InpaintingNetwork, pairs: Sequence[Pair]) -> float:
    """Return the mean PSNR of a network's results in dB."""
    values = [(net(image, mask) - image).square().mean().log10() * -10 for image, mask in pairs]
    return float(torch.stack(values).mean())


def seconds(forms: Mapping[str, iz.InpaintingNetwork], pair: Pair, rounds: int) -> dict[str, float]:
    """Return the least processor time of each form; the forms run in turns, and the first round only warms up."""
    least = dict.fromkeys(forms, float("inf"))
    for number in range(rounds + 1):
        for name, net in forms.items():
            begin = time.process_time()
            net(*pair)
            if number:
                least[name] = min(least[name], time.process_time() - begin)
    return least


def measure(name: str, size: int, precisions: Sequence[str], rounds: int) -> None:
    """Export a model, measure all its forms, and print a line."""
    torch.manual_seed(0)
    net = iz.create_model(name, "shipped" if iz.model_info(name).weights else None)
    pairs = [sample_pair(index, (size, size)) for index in range(IMAGES)]
    forms: dict[str, iz.InpaintingNetwork] = {"eager": net, "fast": iz.optimize(net)}
    failed = {}
    with tempfile.TemporaryDirectory() as folder:
        for precision in precisions:
            path = Path(folder) / f"{precision}.onnx"
            try:
                iz.export_model(net, path, size=(size, size), precision=precision)
                forms[precision] = iz.load_exported(path)
            except ExportError as error:
                failed[precision] = str(error)
        with torch.inference_mode():
            least = seconds(forms, pairs[0], rounds)
            levels = {key: psnr(forms[key], pairs) for key in forms if key != "fast"}
    columns = [f"{least['eager']:8.3f}s", f"{least['fast'] / least['eager']:9.2f}"]
    for precision in precisions:
        if precision in failed:
            columns.append(f"{'failed':>18}")
        else:
            ratio, change = least[precision] / least["eager"], levels[precision] - levels["eager"]
            columns.append(f"{ratio:10.2f} {change:+7.2f}")
    print(f"{name:<28}", *columns, f"load {os.getloadavg()[0]:.0f}", flush=True)
    for precision, why in failed.items():
        print(f"  {precision}: {why}")


def main() -> None:
    """Measure the models that are given on the command line."""
    parser = argparse.ArgumentParser(description="Time exported ONNX files beside the network and its fast form.")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--precisions", nargs="+", default=["fp32"], choices=["fp32", "fp16", "int8"])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    titles = [f"{'ONNX ' + precision:>10} {'dB':>7}" for precision in options.precisions]
    print(f"{'model':<28} {'eager':>9} {'fast form':>9}", *titles)
    for name in options.models:
        measure(name, options.size, options.precisions, options.rounds)


if __name__ == "__main__":
    main()
