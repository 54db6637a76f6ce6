"""Watches what a call does to the machine: files, network, processes, code and imports, memory and time.

The audit hook of a process cannot be removed; it does nothing outside of `watched`.
"""

import contextlib
import re
import resource
import signal
import sys
import sysconfig
import time
from pathlib import Path

import keras

import keras_lecture

# Installed code may be opened and compiled: for imports on demand, and for tracebacks with a line of source.
_INSTALLED = [Path(path).resolve() for path in {*sysconfig.get_paths().values(), sys.base_prefix, sys.prefix}]
_INSTALLED += [Path(module.__file__).resolve().parent for module in (keras, keras_lecture)]
# For what the kernel tells about this process.
_KERNEL = [Path("/proc"), Path("/sys"), Path("/dev")]
_FORBIDDEN = re.compile(
    r"socket\.|subprocess\.|os\.(system|exec|posix_spawn|spawn|fork|startfile|remove|rename|mkdir|rmdir|link|symlink|"
    r"chmod|chown|truncate|kill|putenv|listdir|scandir)|shutil\.|pickle\.|marshal\.loads|ctypes\.dlopen|urllib\.|"
    r"ftplib\.|http\.|webbrowser\.|glob\."
)
_watching = None


class Violation(BaseException):
    """A call did something forbidden. It is no `Exception`, so that no handler of the library hides it."""


class _Watch:
    def __init__(self, may_open, mark):
        self.may_open, self.mark, self.events = [Path(path).resolve() for path in may_open], mark, []

    def see(self, event, args):
        if event == "open":
            self._opened(args[0])
        elif event == "import":
            # By its name alone: an installed module that the library imports on demand is allowed.
            if self.mark in str(args[0]):
                self.events.append(f"import of {args[0]}")
        elif event == "compile":
            source = args[0] if isinstance(args[0], str | bytes) else b""
            if self.mark in (source.decode(errors="replace") if isinstance(source, bytes) else source):
                self.events.append(f"compile of {source[:80]!r}")
        elif event == "exec":
            if self.mark in repr((args[0].co_names, args[0].co_consts)):
                self.events.append(f"exec of {args[0]}")
        elif _FORBIDDEN.match(event) and not self._harmless(event, args):
            self.events.append(f"{event} {args!r:.200}")

    def _opened(self, path):
        if isinstance(path, int):
            return
        path = Path(path if isinstance(path, str) else path.decode(errors="replace")).resolve()
        if not any(path.is_relative_to(folder) for folder in (*_INSTALLED, *_KERNEL, *self.may_open)):
            self.events.append(f"open of {path}")

    def _harmless(self, event, args):
        # `marshal.loads` reads the compiled code of imports, which lists the folders of installed packages.
        if event == "marshal.loads":
            return "importlib" in (sys._getframe(3).f_code.co_filename + sys._getframe(4).f_code.co_filename)
        if event in ("os.listdir", "os.scandir"):
            path = Path(args[0] or ".").resolve()
            return any(path.is_relative_to(folder) for folder in (*_INSTALLED, *_KERNEL))
        return False


def _hook(event, args):
    if _watching is not None:
        _watching.see(event, args)


@contextlib.contextmanager
def watched(*, may_open=(), mark="hostile", megabytes=100.0, seconds=2.0):
    """Raises `Violation` if the body opens, connects, starts, runs or imports what it must not, or needs too much.

    `may_open` are files or folders; code and imports are judged by whether they contain `mark`. Memory is the peak of
    resident memory over that at the start, time is that of the processor, so that a loaded machine fails no test.
    """
    global _watching
    if not _hook.installed:
        sys.addaudithook(_hook)
        _hook.installed = True
    watch, before = _Watch(may_open, mark), _resident()
    previous = signal.signal(signal.SIGPROF, _stop)
    # Repeated, because an exception in a destructor is lost.
    signal.setitimer(signal.ITIMER_PROF, 5 * seconds, seconds)
    start = time.process_time()
    try:
        _watching = watch
        try:
            yield watch
        finally:
            _watching = None
            took, grown = time.process_time() - start, _peak() - before
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, previous)
    if watch.events:
        raise Violation(f"it did: {'; '.join(watch.events[:5])}")
    if took > seconds:
        raise Violation(f"it took {took:.1f} s of processor time")
    if grown > megabytes * 2**20:
        raise Violation(f"it needed {grown / 2**20:.0f} MB more memory")


_hook.installed = False


def _stop(number, frame):
    raise Violation(f"it did not end: stopped at {frame.f_code.co_filename}:{frame.f_lineno}")


def _resident():
    """The resident memory, from which the peak is counted again."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
        return _kernel_value("VmRSS")
    return _peak()


def _peak():
    with contextlib.suppress(OSError):
        return _kernel_value("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _kernel_value(name):
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024
