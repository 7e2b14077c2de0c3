"""One connection to a board that all commands share: OpenSSH's multiplexing, with what it says made into errors."""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hwbench.devices.processes import Collected, ProcessStream, converse
from hwbench.devices.ssh_address import SshAddress
from hwbench.devices.ssh_messages import connection_error, reason
from hwbench.devices.transport import quoted
from hwbench.errors import DeviceError, DeviceLost, DeviceRefused, DeviceTimeout, SshUnavailable

# No questions, no forwarding and no command of the user's configuration; whatever else it says holds.
_MASTER = (
    "-oControlMaster=yes", "-oControlPersist=no", "-oBatchMode=yes", "-oLogLevel=ERROR", "-oServerAliveInterval=5",
    "-oServerAliveCountMax=3", "-oClearAllForwardings=yes", "-oForwardAgent=no", "-oForwardX11=no",
    "-oPermitLocalCommand=no", "-oRemoteCommand=none", "-oRequestTTY=no",
)  # fmt: skip
# Without its master a client would connect anew by itself: it must not.
_CLIENT = ("-F", "none", "-oControlMaster=no", "-oProxyCommand=false", "-oBatchMode=yes", "-oLogLevel=ERROR", "-T")

# A word that a login shell with other rules of quoting would change, and the home folder; ends with this computer.
_HELLO = 'printf "%s\\n" "$1 $2" "$HOME"; exec cat >/dev/null 2>&1'
_PROBE = "a'b\\\\c\"$(d)"
# The first line says that the command was started, and as which process group. ssh's own code for a connection that
# broke is 255, so a command that ends with it says so.
_RUN = 'echo "$1 $$"; token=$1; shift; (exec "$@"{}); code=$?; [ "$code" != 255 ] || echo "$token" >&2; exit "$code"'
COMMAND = _RUN.format("")
STREAM = _RUN.format(" 2>/dev/null")
# Not every SSH server gives a command a process group of its own, and not every kernel lists children.
_KILL = (
    'all() { echo "$1"; for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do all "$child"; done; }; '
    'found=$(all "$1"); kill -KILL -"$1" $found 2>/dev/null'
)
_START_S = 20.0
_KILL_S = 5.0
_ENDING_S = 1.0
_LONGEST_GREETING = 1 << 16


class Connection:
    """The connection that all commands share, held by an ssh of its own that ends when this process does."""

    def __init__(self, address: SshAddress, config: Path | None, timeout_s: float) -> None:
        ssh = shutil.which("ssh")
        if ssh is None:
            raise SshUnavailable("There is no ssh client on this computer.", hint="Install OpenSSH's client.")
        self._ssh = ssh
        self._address = address
        self.token = secrets.token_hex(8)
        self._folder = tempfile.TemporaryDirectory(prefix="hwbench-", dir=_short_folder())
        options = [f"-oConnectTimeout={max(round(timeout_s), 1)}"]
        options += ["-F", str(config.absolute())] if config else []
        options += ["-l", address.user] if address.user else []
        options += ["-p", str(address.port)] if address.port else []
        hello = "exec " + quoted(["sh", "-c", _HELLO, "sh", self.token, _PROBE])
        self._master = ProcessStream([ssh, *_MASTER, "-S", self._socket, *options, "-T", "--", address.host, hello])
        try:
            self.home = self._greeted(time.monotonic() + timeout_s + _START_S)
        except BaseException:
            self.close()
            raise

    @property
    def _socket(self) -> str:
        return f"{self._folder.name}/s"

    def client(self, script: str, command: Sequence[str]) -> list[str]:
        """The command on this computer that runs one on the board."""
        line = "exec " + quoted(["sh", "-c", script, "sh", self.token, *command])
        return [self._ssh, *_CLIENT, "-S", self._socket, "--", self._address.host, line]

    def checked(self, code: int, stderr: bytes, *, started: bool) -> tuple[int, bytes]:
        """The code and standard error of a command on the board. Raises DeviceLost for those of ssh itself."""
        own = self.token.encode() + b"\n"
        if code == 255 and started and stderr.endswith(own):
            return code, stderr.removesuffix(own)
        if code != 255 and started:
            return code, stderr
        if not started and self._master.wait(_ENDING_S) is None:
            raise DeviceRefused(f"{self._address} did not start a command: {reason(stderr.decode(errors='replace'))}.")
        raise DeviceLost(f"The connection to {self._address} broke.", hint="Check that the board is on.")

    def kill(self, process: str) -> None:
        """Ends a command and what it has started, as far as the board can still be asked to."""
        try:
            client = self.client(COMMAND, ["sh", "-c", _KILL, "sh", process])
            converse(client, feed=[], take=Collected("kill").take, what="kill", timeout_s=_KILL_S)
        except DeviceError:
            return

    def close(self) -> None:
        self._master.kill()
        self._folder.cleanup()

    def _greeted(self, deadline: float) -> str:
        """The board's home folder, as soon as the login is through."""
        printed = b""
        while self.token.encode() not in printed:
            printed += self._line(deadline, printed) + b"\n"
            if len(printed) > _LONGEST_GREETING:
                raise DeviceError(f"The login shell of {self._address} prints without end.")
        if not printed.endswith(f"{self.token} {_PROBE}\n".encode()):
            raise DeviceError(
                f"The login shell of {self._address} does not quote as POSIX shells do.",
                hint="Give that user sh or bash: chsh -s /bin/sh.",
            )
        home = self._line(deadline, b"").decode(errors="surrogateescape")
        if not home.startswith("/"):
            raise DeviceError(f"The user of {self._address} has no home folder.")
        return home

    def _line(self, deadline: float, printed: bytes) -> bytes:
        """The next line of the login, after what it has printed so far."""
        try:
            line = self._master.read_line(max(deadline - time.monotonic(), 0.0))
        except DeviceTimeout as error:
            raise DeviceTimeout(
                f"{self._address} did not answer in time.", hint=f"Try ssh {self._address.login}."
            ) from error
        if line is None:
            if errors := self._master.errors:
                raise connection_error(self._address, errors)
            raise DeviceRefused(f"{self._address} runs no command: {reason(printed.decode(errors='replace'))}.")
        return line


class Headed:
    """Passes output on after the line that says which process group it comes from."""

    def __init__(self, token: str, take: Callable[[bytes], None]) -> None:
        self._header = re.compile(re.escape(token.encode()) + rb" ([0-9]{1,10})\n")
        self._take = take
        self._before = b""
        self.process: str | None = None

    def take(self, piece: bytes) -> None:
        if self.process is None:
            # A login shell's startup files may print something first.
            self._before += piece
            match = self._header.search(self._before)
            if match is None:
                if len(self._before) > _LONGEST_GREETING:
                    raise DeviceError("The login shell prints without end.")
                return
            self.process = match[1].decode()
            piece = self._before[match.end() :]
        if piece:
            self._take(piece)


def _short_folder() -> str:
    """Where the socket goes, whose path may have a hundred letters, and none that ssh would expand."""
    folder = tempfile.gettempdir()
    return folder if re.fullmatch(r"[A-Za-z0-9_/.-]{1,60}", folder) else "/tmp"
