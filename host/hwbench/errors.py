"""The errors a user can meet.

HwbenchError                      exit code 2 unless a branch below says otherwise
├── UsageError                    a wrong option, name or combination
│   └── SeveralDevices            more than one device, and none was named
├── DataError                     a file that cannot be used
│   ├── CorruptFile               not what it claims to be: torn, truncated, wrong hash
│   ├── SchemaTooNew              written by a later version of hwbench
│   ├── Incomparable              two records whose deciding fields differ
│   └── MissingRows               a table that does not know every block that was asked for
├── ModelError                    a model that is missing, corrupt or cannot be built
├── LimitUnreachable    (exit 1)  no architecture that keeps the limits of a search
├── NotReady                      a device that is too warm, too empty or too busy to be measured
├── DeviceError         (exit 3)  a device that does not play along
│   ├── DeviceBusy                another hwbench holds the device
│   ├── NoDevice                  none is attached
│   ├── DeviceNotFound            none of that name is attached
│   ├── DeviceUnauthorized        it waits for its owner to trust this computer
│   ├── DeviceNoPermissions       this computer does not let us use its USB
│   ├── DeviceOffline             it is there and does not answer
│   ├── DeviceNotBooted           it is in its boot loader or recovery
│   ├── ConnectionRefused         nothing listens at that address
│   ├── AdbUnavailable            no adb, or its server does not start
│   ├── SshUnavailable            no ssh client on this computer
│   ├── DeviceLost                it was there, and went away in the middle
│   │   └── TransferBroken        while a file was being copied
│   ├── DeviceTimeout             it did not answer in time
│   ├── DeviceFull                no space is left
│   ├── DeviceRefused             it does not allow that
│   └── RemoteFileMissing         a file that should be there is not
└── RunnerError         (exit 3)  the program on the device failed
    ├── RunnerCrashed             it ended without a valid footer
    │   ├── RunnerNotExecutable   the device does not let it start
    │   ├── RunnerIncomplete      a part of it, or its loader, is missing
    │   ├── RunnerIllegal         the processor lacks an instruction
    │   ├── RunnerAborted         it gave up
    │   ├── RunnerBusError        a bus error
    │   ├── RunnerKilled          killed, often for using too much memory
    │   ├── RunnerSegfault        a wild pointer
    │   └── RunnerForbidden       a system call that the device forbids
    ├── RunnerTimeout             it did not end before its deadline
    └── TimeLimitReached          the measurement took longer than the user allowed

    try:
        hwbench.profile(...)
    except hwbench.HwbenchError as error:
        print(error)               # what happened, where, and what to try next
"""

from __future__ import annotations


class HwbenchError(Exception):
    """One sentence on what happened and where; `hint` is the next thing to try."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message} {self.hint}"


class UsageError(HwbenchError):
    pass


class DataError(HwbenchError):
    pass


class CorruptFile(DataError):
    pass


class SchemaTooNew(DataError):
    pass


class Incomparable(DataError):
    pass


class MissingRows(DataError):
    """`keys` are the block keys that the table lacks."""

    def __init__(self, message: str, keys: tuple[str, ...], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.keys = keys


class ModelError(HwbenchError):
    pass


class LimitUnreachable(HwbenchError):
    exit_code = 1


class NotReady(HwbenchError):
    """`checks` are the names of those that failed, each of which can be allowed."""

    def __init__(self, message: str, checks: tuple[str, ...], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.checks = checks


class SeveralDevices(UsageError):
    pass


class DeviceError(HwbenchError):
    exit_code = 3


class DeviceBusy(DeviceError):
    pass


class NoDevice(DeviceError):
    pass


class DeviceNotFound(DeviceError):
    pass


class DeviceUnauthorized(DeviceError):
    pass


class DeviceNoPermissions(DeviceError):
    pass


class DeviceOffline(DeviceError):
    pass


class DeviceNotBooted(DeviceError):
    pass


class ConnectionRefused(DeviceError):
    pass


class AdbUnavailable(DeviceError):
    pass


class SshUnavailable(DeviceError):
    pass


class DeviceLost(DeviceError):
    pass


class TransferBroken(DeviceLost):
    pass


class DeviceTimeout(DeviceError):
    pass


class DeviceFull(DeviceError):
    pass


class DeviceRefused(DeviceError):
    pass


class RemoteFileMissing(DeviceError):
    pass


class RunnerError(HwbenchError):
    exit_code = 3


class RunnerCrashed(RunnerError):
    pass


class RunnerNotExecutable(RunnerCrashed):
    pass


class RunnerIncomplete(RunnerCrashed):
    pass


class RunnerIllegal(RunnerCrashed):
    pass


class RunnerAborted(RunnerCrashed):
    pass


class RunnerBusError(RunnerCrashed):
    pass


class RunnerKilled(RunnerCrashed):
    pass


class RunnerSegfault(RunnerCrashed):
    pass


class RunnerForbidden(RunnerCrashed):
    pass


class RunnerTimeout(RunnerError):
    pass


class TimeLimitReached(RunnerError):
    pass
