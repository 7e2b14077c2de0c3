"""Runs the .pte files of a folder through ExecuTorch's own runtime; a program, since torch warns when it is imported.

    python -W ignore pte_outputs.py FOLDER

Beside each `NAME.pte` lies `NAME.input.npy` (height, width, channels), float32. `NAME.output.npz` gets `output`
(height, width, channels; real values), `step` (what one integer is worth; 0 for float), `nhwc` (whether the output
lies in memory as in LiteRT) and `trace` (the engine's profile, as bytes).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from executorch.runtime import Runtime


def main(folder: Path) -> None:
    for path in sorted(folder.glob("*.pte")):
        image = torch.from_numpy(np.load(path.with_suffix(".input.npy")))[None].permute(0, 3, 1, 2)
        if path.stem.startswith("portable") or path.stem.endswith("one-pixel"):
            # A copy: `contiguous` leaves an image of one pixel as it is.
            image = torch.empty(image.shape).copy_(image)
        program = Runtime.get().load_program(path, enable_etdump=True, debug_buffer_size=0)
        step = 0.0
        if "input0_scale" in program.method_names:
            scale, zero, step, target_zero = (
                program.load_method(name).execute(())[0]
                for name in ("input0_scale", "input0_zp", "output0_scale", "output0_zp")
            )
            image = torch.clamp(torch.round(image / scale) + zero, -128, 127).to(torch.int8)
        (found,) = program.load_method("forward").execute((image,))
        nhwc = found.is_contiguous(memory_format=torch.channels_last)
        output = (found.double() - target_zero) * step if found.dtype == torch.int8 else found.double()
        trace = path.with_suffix(".etdump")
        program.write_etdump_result_to_file(str(trace), str(path.with_suffix(".debug")))
        np.savez(
            path.with_suffix(".output.npz"), output=output[0].permute(1, 2, 0).numpy(), step=step, nhwc=nhwc,
            integer=found.dtype == torch.int8, trace=np.frombuffer(trace.read_bytes(), np.uint8),
        )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
