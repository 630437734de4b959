"""``hirescam demo``: a phantom and the demo model in the same session that Plugins > HiResCAM opens."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from training.issues import InputError, error
from training.words import counted

if TYPE_CHECKING:
    from hirescam_napari._widget import HiResCamWidget

XVFB_ENV = "HIRESCAM_UNDER_XVFB"
"""Set for the second start under a virtual display, so that there is never a third."""

XVFB_LINE = "apt-get install -y xvfb xauth"
WINDOW_PX = (1366, 768)
DEMO_TIMEOUT_S = 600.0


def run_demo(headless: bool = False, out: Path | None = None, model: str = "demo") -> None:
    """Open the viewer on a phantom and run the demo model on it.

    Parameters
    ----------
    headless
        Run the same session without a user and leave pictures of its states in ``out``. Where there is no display, the
        command starts itself again under ``xvfb-run``.
    out
        Folder for the pictures; made if missing.
    model
        What to run.

    Raises
    ------
    InputError
        If there is no display and no ``xvfb-run``; names the line that installs it.
    """
    if headless and not has_display():
        run_under_xvfb(out, model)
        return
    from hirescam_napari._session import start_session

    viewer, widget = start_session()
    viewer.window.resize(*WINDOW_PX)
    start_demo(widget, model)
    if headless:
        from hirescam_napari._pictures import take_pictures

        folder = Path("demo-output") if out is None else out
        print("Running the demo model on a phantom ...", file=sys.stderr, flush=True)
        wait_until_idle(widget)
        print("Taking pictures ...", file=sys.stderr, flush=True)
        taken = take_pictures(viewer, widget, folder)
        viewer.close()
        print(f"{counted(len(taken), 'picture')} in {folder}/")
    else:
        import napari

        napari.run()


def start_demo(widget: HiResCamWidget, model: str = "demo") -> None:
    """Make the phantom in the background, then run ``model`` on it and find its organs; its report is attached."""
    from hirescam_napari._sample_data import SEVERAL, case_of_phantom, sample_phantom
    from hirescam_napari.views.run_panel import RunRequest

    widget.choose_model(model)
    request = RunRequest("", model, "auto", "fp32")

    def work(progress: Callable[[int, int, str], None], _cancelled: Callable[[], bool]) -> object:
        progress(0, 0, "making a chest phantom")
        return case_of_phantom(sample_phantom(SEVERAL))

    widget.open_made(work, "Making a phantom", request)
    widget.find_organs()


def wait_until_idle(widget: HiResCamWidget, timeout_s: float = DEMO_TIMEOUT_S) -> None:
    """Let events run until no work is under way.

    Raises
    ------
    InputError
        If a job failed; carries its reasons.
    TimeoutError
        If it takes longer than ``timeout_s``.
    """
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    timer = QTimer()
    timer.setSingleShot(True)
    timer.timeout.connect(lambda: loop.exit(1))
    timer.start(int(1000 * timeout_s))
    widget.idle.connect(loop.quit)
    if widget.busy and loop.exec() == 1:
        raise TimeoutError(f"the demo did not finish within {timeout_s:.0f} s")
    if isinstance(widget.last_error, InputError):
        raise widget.last_error


def has_display() -> bool:
    """Return True where Qt can draw: off Linux always, on Linux with a display or an offscreen platform."""
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform != "linux" or any(os.environ.get(name) for name in names)


def run_under_xvfb(out: Path | None, model: str) -> None:
    """Run the headless demo again under a virtual display.

    Raises
    ------
    InputError
        If ``xvfb-run`` is missing, or the second start ended badly.
    """
    command = shutil.which("xvfb-run")
    if command is None or os.environ.get(XVFB_ENV):
        fact = "there is no display, and xvfb-run, which would make a virtual one, is not installed"
        raise InputError(error("no-display", fact, f"Install it: {XVFB_LINE}"))
    screen = f"-screen 0 {WINDOW_PX[0]}x{WINDOW_PX[1]}x24 +extension GLX"
    code = "import sys; from pathlib import Path; from hirescam_napari._demo import run_demo; "
    code += "run_demo(True, Path(sys.argv[1]), sys.argv[2])"
    folder = "demo-output" if out is None else str(out)
    arguments = [command, "--auto-servernum", f"--server-args={screen}", sys.executable, "-c", code, folder, model]
    environment = {**os.environ, XVFB_ENV: "1", "LIBGL_ALWAYS_SOFTWARE": "1", "QT_QPA_PLATFORM": "xcb"}
    done = subprocess.run(arguments, env=environment, check=False)  # noqa: S603 - own code, no shell
    if done.returncode:
        way_out = "Its messages are above."
        raise InputError(error("demo-failed", f"the demo ended with code {done.returncode}", way_out))
