"""The errors a user can meet.

HwbenchError                      exit code 2 unless a branch below says otherwise
├── UsageError                    a wrong option, name or combination
├── DataError                     a file that cannot be used
│   ├── CorruptFile               not what it claims to be: torn, truncated, wrong hash
│   ├── SchemaTooNew              written by a later version of hwbench
│   ├── Incomparable              two records whose deciding fields differ
│   └── MissingRows               a table that does not know every block that was asked for
├── ModelError                    a model that is missing, corrupt or cannot be built
├── DeviceError         (exit 3)  a device that is absent, busy or out of space
│   └── DeviceBusy                another hwbench holds the device
└── RunnerError         (exit 3)  the program on the device failed
    ├── RunnerCrashed             it ended without a valid footer
    └── RunnerTimeout             it did not end before its deadline

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


class DeviceError(HwbenchError):
    exit_code = 3


class DeviceBusy(DeviceError):
    pass


class RunnerError(HwbenchError):
    exit_code = 3


class RunnerCrashed(RunnerError):
    pass


class RunnerTimeout(RunnerError):
    pass
