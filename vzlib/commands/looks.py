"""The commands that look: at a model, at what is where, at the scenes."""

from typing import Annotated, Literal

import typer

from vzlib.commands.command import command, group

commands = group()


@command(commands)
def ask(
    model: Annotated[str, typer.Argument(help="pico, a folder, or a hub name")],
    question: Annotated[str | None, typer.Argument(help="about the image")] = None,
    image: Annotated[str | None, typer.Option(help="an image file")] = None,
    retain: Annotated[int | None, typer.Option(help="visual tokens to keep (default: all)")] = None,
    method: Annotated[str | None, typer.Option(help="that keeps them, such as divprune")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16, float16")] = "auto",
) -> int:
    """Say what a model is, and what it answers to a question about an image."""
    from vzlib.models.command import ask

    ask(
        model,
        image=image,
        question=question,
        retain=retain,
        method=method,
        device=device,
        dtype=dtype,
    )
    return 0


@command(commands)
def where(
    what: Annotated[str | None, typer.Argument(help="one folder alone, such as tasks")] = None,
) -> int:
    """Name the folders that are read and written, and the models that are here."""
    from vzlib import paths, results
    from vzlib.models.checkpoint import embedded

    folders = {
        "vzlib": paths.PACKAGE,
        "notebooks": paths.NOTEBOOKS,
        "params": paths.PARAMETERS,
        "measured": paths.MEASURED,
        "tasks": paths.PACKAGE / "lmms_eval" / "tasks",
        "results": results.location(),
    }
    if what is not None:
        if what not in folders:
            raise ValueError(f"{what!r} is no folder; allowed: {', '.join(folders)}")
        print(folders[what])
        return 0
    for name, folder in folders.items():
        print(f"{name:<12}{folder}")
    for place in paths.checkpoint_folders():
        print(f"{'models':<12}{place}")
    print(f"{'by name':<12}{', '.join(embedded()) or 'none'}")
    return 0


@command(commands)
def view(
    models: Annotated[
        list[str] | None, typer.Argument(help="folders or hub names beside the embedded ones")
    ] = None,
    host: Annotated[str, typer.Option(help="to listen at; other machines reach 0.0.0.0")] = "",
    port: Annotated[int | None, typer.Option(help="default: a free one from 7860")] = None,
) -> int:
    """See and ask in a browser: attention, the tokens that stay, answers, times."""
    from vzlib.viewer import serve

    serve.view(models or (), host or serve.LOOPBACK, port)
    return 0


@command(commands)
def scenes(
    count: Annotated[int, typer.Option(min=1, help="scenes to make")] = 4000,
    split: Literal["train", "test"] = "test",
) -> int:
    """Say how fast scenes are made and how balanced their answers are."""
    from vzlib.scenes.balance import balance

    print(balance(count, split))
    return 0
