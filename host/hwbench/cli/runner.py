"""hwbench runner"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwbench.cli.output import Json, print_json, say

if TYPE_CHECKING:
    from hwbench.devices.bundle import BundleTarget

app = typer.Typer(help="The native runner and its bundles.", no_args_is_help=True)

TargetOption = Annotated[
    str | None, typer.Option("--target", help="linux-x86_64, android-arm64 or linux-arm64; none: this computer's.")
]


@app.command()
def build(
    target: TargetOption = None,
    ndk: Annotated[Path | None, typer.Option("--ndk", help="An Android NDK to build android-arm64 with.")] = None,
    engines: Annotated[
        Path | None, typer.Option("--engines", help="With --ndk: a folder with the engines' Android libraries.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Also write the bundle as a .tar.gz.")] = None,
    json: Json = False,
) -> None:
    """Compile the runner for a target and put it together with its engines."""
    from hwbench.devices import bundle_store
    from hwbench.devices.bundle import archive
    from hwbench.devices.bundle_ndk import build_with_ndk

    chosen = _target(target)
    found = bundle_store.build(chosen) if ndk is None else build_with_ndk(chosen, ndk, engines)
    if output is not None:
        archive(found, output)
    if json:
        print_json({"target": chosen.name, "folder": found.folder, "archive": output, "manifest": found.manifest})
        return
    say(f"{chosen.name}: {found.bytes / 1e6:.0f} MB in {output or found.folder}")


@app.command()
def fetch(target: TargetOption = None, json: Json = False) -> None:
    """Download the engines' pinned libraries for a target."""
    from hwbench.devices import bundle_store

    chosen = _target(target)
    found = bundle_store.fetch_engines(chosen)
    if json:
        print_json({"target": chosen.name, "folder": found.folder if found else None})
        return
    say(
        f"{chosen.name} is ready in {found.folder}"
        if found
        else f"The engines for {chosen.name} are here; `hwbench runner build --target {chosen.name}` makes its runner."
    )


@app.command("list")
def list_bundles(json: Json = False) -> None:
    """Which targets there are, and which of their bundles are ready and whole."""
    from hwbench.devices import bundle_store

    states = bundle_store.overview()
    if json:
        print_json({"bundles": states})
        return
    for state in states:
        engines = ", ".join(state.engines) or "no engine"
        print(f"{state.target:14} {state.state:12} {engines if state.folder else ''} {state.folder or ''}".rstrip())


def _target(name: str | None) -> BundleTarget:
    from hwbench.devices.bundle import find_target
    from hwbench.devices.local_runner import local_target
    from hwbench.errors import UsageError

    if name is not None:
        return find_target(name)
    if (found := local_target()) is None:
        raise UsageError("This computer is no target of its own.", hint="Name one with --target.")
    return found
