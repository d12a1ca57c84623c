"""The command line: explain, prove, check, exercise, analyse and train."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from rich.console import Console
from rich.text import Text

from convalg.cli.options import Boundary, LayerOptions, numbers, path
from convalg.errors import ArgumentError, ConvalgError
from convalg.escape import terminal
from convalg.files import replace_file
from convalg.version import __version__

if TYPE_CHECKING:
    from convalg.network.network import Network
    from convalg.network.summary import Summary
    from convalg.prove.verdict import Verdict
    from convalg.train.loop import History, Progress
    from convalg.train.session import Session

REFUTED, BAD_INPUT, INTERRUPTED = 1, 2, 130
WIDE = 120

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Convolution as linear algebra that you can see, prove, check and train.",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its status.

    The status is 0 for success, 1 for a statement or function that fails its check, 2 for bad
    input, and 130 for a training run that was stopped.
    """
    # Figures are written to files: never open a window, whatever the environment sets.
    os.environ["MPLBACKEND"] = "agg"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Characters missing in the encoding are printed as escapes.
            stream.reconfigure(errors="backslashreplace")
    status: Any = 0
    try:
        app(args=None if arguments is None else list(arguments), prog_name="convalg")
    except SystemExit as end:
        status = end.code
    except ConvalgError as error:
        _complain(error)
        status = BAD_INPUT
    except BrokenPipeError:
        status = BAD_INPUT
    except OSError as error:
        _complain(f"{error.filename or 'the output'} cannot be used: {error.strerror or error}")
        status = BAD_INPUT
    except MemoryError:
        _complain("there is not enough memory for this command: use smaller sizes")
        status = BAD_INPUT
    sys.exit(status if _flushed() else BAD_INPUT)


def _flushed() -> bool:
    """Flush the standard output and return whether all of it was written."""
    if sys.stdout is None:
        _complain("the standard output is closed: nothing could be printed")
        return False
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe.
        _discard_output()
        return False
    except (OSError, ValueError) as error:
        _discard_output()
        reason = getattr(error, "strerror", None) or error
        _complain(f"the standard output cannot be written: {reason}")
        return False
    return True


def _discard_output() -> None:
    """Redirect the standard output to the null device, so that Python does not flush at exit."""
    with contextlib.suppress(OSError, ValueError):
        number = os.open(os.devnull, os.O_WRONLY)
        os.dup2(number, sys.stdout.fileno())
        os.close(number)


def _complain(error: object) -> None:
    """Print an error message in one line on the standard error."""
    text = terminal(" ".join(str(error).split()))
    Console(stderr=True, soft_wrap=True).print(Text(f"convalg: {text}", style="red"))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"convalg {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Convolution as linear algebra that you can see, prove, check and train."""


@app.command()
def explain(
    shape: Annotated[
        str | None,
        typer.Option(
            metavar="SIZES",
            help="Spatial size of the input, such as 12, 6x6 or 4x4x4.",
            show_default="12, 6x6 or 4x4x4 for a kernel with one, two or three axes",
        ),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE|NAME",
            help="The size of a kernel of symbols, such as 3 or 3x5, or the name of a filter, such "
            "as sobel_x, laplace, gaussian, box or channel_average.",
            show_default="sobel_x for an input with two axes, otherwise 3",
        ),
    ] = None,
    channels: Annotated[
        int | None,
        typer.Option(
            help="Number of input channels. A named filter is applied to each channel separately.",
            show_default="one image without a channel axis",
        ),
    ] = None,
    out_channels: Annotated[
        int | None,
        typer.Option(
            help="Number of output channels.",
            show_default="the number of groups, or of input channels for a named filter",
        ),
    ] = None,
    groups: Annotated[
        int, typer.Option(help="Number of groups of channels; each group is processed separately.")
    ] = 1,
    stride: Annotated[
        str, typer.Option(metavar="INT|SIZES", help="Stride of the kernel, such as 2 or 2x1.")
    ] = "1",
    padding: Annotated[
        str,
        typer.Option(
            metavar="INT|SIZES|WORD",
            help="Number of samples added at both ends of each axis, such as 1 or 1x0, or one of "
            "the modes valid, same, same_lower, full and causal.",
        ),
    ] = "valid",
    dilation: Annotated[
        str,
        typer.Option(metavar="INT|SIZES", help="Distance between taps, such as 2 or 2x1."),
    ] = "1",
    boundary: Annotated[
        Boundary, typer.Option(help="The rule for the values of the padding.")
    ] = "zeros",
    flip: Annotated[
        bool, typer.Option("--flip", help="Flip the kernel: use a convolution, not a correlation.")
    ] = False,
    transposed: Annotated[
        bool, typer.Option("--transposed", help="Use a transposed correlation with these options.")
    ] = False,
    image: Annotated[
        Path | None,
        typer.Option(
            parser=path,
            metavar="FILE",
            help="PNG or JPEG image that the layer is applied to.",
            show_default="the embedded photograph",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(parser=path, metavar="DIR", help="Folder that the sheet is written to.")
    ] = Path("convalg-sheet"),
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="Format of the sheet: html, markdown, latex or notebook. Can be repeated.",
            show_default="html and markdown",
        ),
    ] = None,
) -> None:
    """Write a derivation sheet of one layer, as HTML and Markdown or in other formats.

    The sheet shows the sum that defines the layer, where the kernel is flipped, an image before
    and after filtering, the output size, the weight matrix coloured by shared weight, linearity,
    full, same and valid padding, weight sharing, a forward pass and its gradients with numbers,
    pooling, the receptive field, translation equivariance and cost. Every statement is checked
    when the sheet is created.

    Without options, the layer is a Sobel filter, and the image is the embedded photograph.
    """
    layer = LayerOptions(
        shape=shape,
        kernel=kernel,
        channels=channels,
        out_channels=out_channels,
        groups=groups,
        stride=stride,
        padding=padding,
        dilation=dilation,
        boundary=boundary,
        flip=flip,
        transposed=transposed,
    ).layer()
    from convalg.sheet import explain as make_sheet

    sheet = make_sheet(layer, image=image)
    written = sheet.write(out, formats=tuple(formats or ("html", "markdown")))
    console = Console(soft_wrap=True, highlight=False)
    held = len(sheet.claims) - len(sheet.failed)
    _print(console, f"{held} of {len(sheet.claims)} statements hold for {layer!r}")
    for claim in sheet.failed:
        _print(console, f"failed: {claim.statement} {claim.check.how}", "red")
    # The path is on a line of its own, unwrapped, so that scripts can read it.
    _print(console, str(written))
    if sheet.failed:
        raise typer.Exit(REFUTED)


@app.command()
def prove(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of a theorem of the catalogue. By default, all are proved."),
    ] = None,
    equal: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Two operators to compare, as text such as 'correlation(n, kernel(K)).T'. A name "
            "that is not a function is a symbolic size.",
        ),
    ] = None,
    latex: Annotated[
        bool, typer.Option("--latex", help="Print the theorem as LaTeX, with its verdict.")
    ] = False,
    certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write a certificate of the verdict to a new folder: formulas in SMT-LIB that "
            "other programs can check, and a manifest. `convalg verify FOLDER` checks it.",
        ),
    ] = None,
    jobs: Annotated[
        int, typer.Option(help="Number of processes for the catalogue; -1 starts one per core.")
    ] = -1,
) -> None:
    """Prove all theorems of the catalogue, one theorem, or that two operators are equal.

    The exit status is 1 if a statement is not proved.
    """
    if equal is not None:
        if name is not None or latex:
            raise ArgumentError(
                f"--equal {equal} cannot be combined with NAME or --latex: use --equal alone"
            )
        from convalg.cli.theorems import equality_text

        proved = _is_proved(*equality_text(*equal), certificate)
    elif name is not None:
        from convalg.cli.theorems import theorem_text

        proved = _is_proved(*theorem_text(name, latex=latex), certificate)
    elif certificate is not None:
        raise ArgumentError(
            f"--certificate {certificate} needs the NAME of one theorem or --equal: add one of them"
        )
    elif latex:
        raise ArgumentError(
            f"--latex needs the NAME of one theorem, not {name}: add a name such as adjoint-1d"
        )
    else:
        from convalg.cli.theorems import prove_catalogue

        proved = prove_catalogue(jobs)
    if not proved:
        raise typer.Exit(REFUTED)


def _is_proved(verdict: Verdict, text: str, folder: Path | None) -> bool:
    """Print a verdict as text, and write a certificate to a folder if one is given."""
    console = Console(soft_wrap=True, highlight=False)
    _print(console, text)
    if folder is not None:
        _print(console, f"Certificate: {verdict.certificate(folder)}")
    return bool(verdict)


@app.command()
def verify(
    folder: Annotated[
        Path, typer.Argument(help="Folder of a certificate, as `convalg prove` writes it.")
    ],
) -> None:
    """Check the certificate of a proof: make its formulas anew, compare and solve them again.

    z3 solves each formula, and cvc5 too where it is installed. The exit status is 0 only if the
    claim is proved and every formula is there, unchanged, and has the expected answer.
    """
    from convalg.prove.verification import verify as verify_certificate

    verification = verify_certificate(folder)
    _print(Console(soft_wrap=True, highlight=False), verification.explain())
    if not verification:
        raise typer.Exit(REFUTED)


@app.command()
def check(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE.py:FUNCTION", help="The file, and the function in it to check."
        ),
    ],
    kind: Annotated[
        str,
        typer.Option(
            help="What the function computes: forward, backward, transposed, transposed_backward, "
            "average_pool, average_pool_backward, max_pool or max_pool_backward."
        ),
    ] = "forward",
    dims: Annotated[int, typer.Option(help="Number of spatial axes.")] = 2,
    cases: Annotated[
        int | None, typer.Option(help="Number of configurations to try.", show_default="160")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Time limit in seconds.")] = 60.0,
    memory: Annotated[int, typer.Option(help="Memory limit in megabytes.")] = 4096,
    jobs: Annotated[
        int | None,
        typer.Option(help="Number of processes that share the work; -1 starts one per core."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    junit: Annotated[
        Path | None,
        typer.Option(parser=path, metavar="FILE", help="Write JUnit XML, for a build server."),
    ] = None,
) -> None:
    """Check a function that computes a convolution or a pooling, and name its mistake.

    The function is called with NumPy arrays and keyword arguments, for instance

        def conv(x, w, *, stride, padding, dilation, groups): ...

    where x has shape (N, C, H, W) and w has shape (C_out, C_in // groups, kh, kw). Keywords that
    the function does not have are not passed. The report shows the smallest configuration at which
    the function fails. The function runs in a separate process, in an empty folder, with limits on
    time and memory, but with the permissions of the user who runs this command. The exit status is
    1 if the function fails, and 2 if the file or the function does not exist.
    """
    from convalg.check.grade import grade

    console, errors = Console(), Console(stderr=True)
    if memory < 1:
        raise ArgumentError(f"--memory must be at least 1 megabyte, not {memory}")
    with errors.status("Checking") if errors.is_terminal else contextlib.nullcontext():
        graded = grade(
            target,
            kind,
            dims=dims,
            cases=cases,
            timeout=timeout,
            memory=memory * 2**20,
            jobs=jobs,
        )
    if junit is not None:
        _write(junit, graded.to_junit())
    if json:
        typer.echo(graded.to_json())
    elif not graded.exists:
        # A misspelt name is bad input, not a mistake in a function.
        _complain(graded.result["diagnosis"][0]["message"])
    else:
        _print(console, graded.explain())
    if not graded:
        raise typer.Exit(REFUTED if graded.exists else BAD_INPUT)


@app.command()
def exercise(
    seed: Annotated[
        int, typer.Option(help="Seed; the same seed always gives the same exercise.")
    ] = 0,
    level: Annotated[
        int, typer.Option(help="Difficulty, from 1 (a short signal) to 3 (an image with options).")
    ] = 1,
    form: Annotated[
        str, typer.Option("--format", help="Format of the exercise: markdown, latex or notebook.")
    ] = "markdown",
    solution: Annotated[bool, typer.Option(help="Include the solution.")] = True,
    out: Annotated[
        Path | None,
        typer.Option(parser=path, metavar="FILE", help="File to write to, instead of the screen."),
    ] = None,
) -> None:
    """Generate an exercise with integers: the matrix, output and gradients of a small layer."""
    from convalg.sheet.exercise import exercise as make

    text = make(seed, level=level).text(cast(Any, form), solution=solution)
    if out is None:
        typer.echo(text, nl=False)
    else:
        _write(out, text)


@app.command()
def analyse(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL.onnx|NAME", help="An ONNX file, or the name of a network of ca.zoo."
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    in_shape: Annotated[
        str | None,
        typer.Option(
            metavar="3x224x224", help="Shape of one input, if the file does not specify it."
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            parser=path,
            metavar="FILE",
            help="File for a figure of the receptive fields, node by node (.svg, .pdf or .png).",
        ),
    ] = None,
) -> None:
    """Show a network's layers, counts and receptive fields, with warnings about its geometry."""
    import json as json_module

    from convalg.network.analysis import analyse as run

    errors = Console(stderr=True)
    with errors.status("Reading") if errors.is_terminal else contextlib.nullcontext():
        net = _network(model, in_shape)
        analysis = run(net)
    if figure is not None:
        from convalg.draw.files import save
        from convalg.draw.receptive_field import receptive_field

        save(receptive_field(net), figure)
    if json:
        typer.echo(json_module.dumps(analysis.to_dict(), indent=2))
    elif markdown:
        typer.echo(terminal(analysis.markdown(), lines=True), nl=False)
    else:
        console = Console()
        _print_table(console, analysis.summary)
        for remark in analysis.remarks:
            _print(console, f"! {remark}", "yellow")


@app.command()
def train(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--data",
            parser=path,
            metavar="FOLDER",
            help="A folder with the MNIST files, or with one sub-folder per class.",
        ),
    ] = None,
    net: Annotated[
        str | None,
        typer.Option(
            help="Network to train: small, lenet5, mlp, or the name of a classifier of ca.zoo."
        ),
    ] = None,
    engine: Annotated[
        Literal["auto", "sparse", "blas"],
        typer.Option(
            help="Compute with sparse SciPy matrices (sparse) or with dense Toeplitz tiles in "
            "NumPy (blas)."
        ),
    ] = "auto",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Number of passes over the images.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Seed for the weights, the order of the images, and dropout.")
    ] = 0,
    out: Annotated[
        Path,
        typer.Option(
            parser=path,
            metavar="FOLDER",
            help="Folder for the checkpoint and figures. A finished run in it is replaced.",
        ),
    ] = Path("convalg-training"),
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Resume a stopped run; the other options must be the same."),
    ] = False,
) -> None:
    """Train a CNN through the matrices of its layers, on the embedded digits or on your images."""
    from convalg.train.session import train as run

    console = Console(stderr=True)
    with console.status("Reading") if console.is_terminal else contextlib.nullcontext():
        session = run(folder, net, engine=engine, epochs=epochs, seed=seed, out=out, resume=resume)
    _print_table(Console(), session.net.summary())
    history = _with_bar(session, console)
    paths = session.figures()
    lines = (
        []
        if session.accuracy is None
        else [f"{session.accuracy:.2%} of the test images classified correctly"]
    )
    if history.stopped:
        lines.append(f"stopped in epoch {len(history.loss) + 1}: add --resume to continue")
    for line in [*lines, *map(str, paths)]:
        typer.echo(terminal(line))
    if history.stopped:
        raise typer.Exit(INTERRUPTED)


def _print_table(console: Console, summary: Summary) -> None:
    console.print(summary.table if console.width >= WIDE else summary.narrow_table)


def _with_bar(session: Session, console: Console) -> History:
    """Train, with a bar that shows loss, accuracy and images per second."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("starting", total=None)

        def show(now: Progress) -> None:
            right = "" if now.accuracy is None else f", accuracy {now.accuracy:.2%}"
            bar.update(
                task,
                total=now.epochs * now.steps,
                completed=now.epoch * now.steps + now.step,
                description=f"epoch {now.epoch + 1} of {now.epochs}: loss {now.loss:.4f}{right}, "
                f"{now.images_per_second:,.0f} images/s",
            )

        return session.run(show)


def _network(name: str, in_shape: str | None = None) -> Network:
    """Return a network from an ONNX file or the zoo. Raises: ArgumentError if there is none."""
    from convalg.network import zoo
    from convalg.network.readers.onnx.reader import read_onnx

    if name.endswith(".onnx") or Path(name).is_file():
        sizes = None if in_shape is None else numbers(in_shape, "--in-shape")
        return read_onnx(name, sizes)
    if name not in zoo.__all__:
        near = difflib.get_close_matches(name, zoo.__all__, cutoff=0.4)
        meant = f"did you mean {' or '.join(near)}?"
        raise ArgumentError(
            f"{name!r} is neither an .onnx file nor a network in the zoo; "
            f"{meant if near else 'the zoo has ' + ', '.join(zoo.__all__)}"
        )
    net: Network = getattr(zoo, name)()
    return net


def _write(file: Path, text: str) -> None:
    """Write the text to a file atomically."""
    replace_file(file, text.encode("utf-8", "backslashreplace"))


def _print(console: Console, text: str, style: str = "") -> None:
    """Print text with control characters escaped, line by line and without wrapping."""
    console.print(Text(terminal(text, lines=True), style=style), soft_wrap=True)
