"""controls.sh in the shells of phones: every change is undone, whatever happens."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hwbench.devices.phone.controls import CONTROLS, ControlResult, Controls, controls_of
from hwbench.errors import DeviceError, UsageError
from tests.fake_phone import SHELLS, FakePhone

# Counts the programs that were started, and ends the whole session before or after the one that was chosen.
COUNTED = """
started=0
[ ! -e "$STORE/started" ] || read -r started < "$STORE/started"
started=$((started + 1))
echo "$started" > "$STORE/started"
[ "$started $WHEN" != "$KILL before" ] || kill -9 0
run() {
%s
}
run "$@"; code=$?
[ "$started $WHEN" != "$KILL after" ] || kill -9 0
exit $code
"""
SETTINGS = """
    case $1 in
    get) if [ -e "$STORE/$2.$3" ]; then read -r value < "$STORE/$2.$3"; echo "$value"; else echo null; fi ;;
    put) echo "$4" > "$STORE/$2.$3" ;;
    delete) /bin/rm -f "$STORE/$2.$3"; echo "Deleted 1 rows" ;;
    esac
"""
CMD = f"""
    service=$1; shift
    case $service in
    settings) {SETTINGS} ;;
    power) echo "$2" > "$STORE/power" ;;
    *) echo "cmd: Can't find service: $service" >&2; return 20 ;;
    esac
"""
FIRST = {"global.stay_on_while_plugged_in": "0", "system.screen_brightness_mode": "1", "system.screen_brightness": "97"}
CHANGED = {
    "global.stay_on_while_plugged_in": "7",
    "system.screen_brightness_mode": "0",
    "system.screen_brightness": "10",
    "power": "true",
}


class Settings(FakePhone):
    """A phone whose settings are files, and whose programs can be made to die."""

    def __init__(self, root: Path, shell: str, first: dict[str, str] | None = None) -> None:
        super().__init__(root, shell, {})
        self.store = root / "store"
        self.store.mkdir()
        self.kill, self.when = 0, "never"
        for program in ("rm", "mkdir"):
            (root / "bin" / program).unlink()
            self.program(program, COUNTED % f'/bin/{program} "$@"')
        self.program("sync", COUNTED % ":")
        self.program("settings", COUNTED % SETTINGS)
        self.program("cmd", COUNTED % CMD)
        for name, value in (FIRST if first is None else first).items():
            (self.store / name).write_text(value + "\n")

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "STORE": str(self.store), "KILL": str(self.kill), "WHEN": self.when}

    def values(self) -> dict[str, str]:
        found = {f.name: f.read_text().strip() for f in self.store.iterdir() if f.name != "started"}
        # Off is what a phone begins with.
        return {name: value for name, value in found.items() if (name, value) != ("power", "false")}

    def session(self, *words: str, kill: int = 0, when: str = "never") -> bool:
        """One run of the script that is ended at a program, by its number; whether it came to its end."""
        self.kill, self.when = kill, when
        (self.store / "started").unlink(missing_ok=True)
        command = self.command(["sh", f"{self.folder}/controls.sh", self.folder, *words])
        done = subprocess.run(
            command, env=self.environment, start_new_session=True, capture_output=True, timeout=30, check=False
        )
        self.kill, self.when = 0, "never"
        if done.returncode == -signal.SIGKILL:
            return False
        assert (done.returncode, done.stderr) == (0, b"")
        return True

    @property
    def started(self) -> int:
        return int((self.store / "started").read_text())

    @property
    def controls(self) -> Controls:
        return Controls(self, self.folder)  # type: ignore[arg-type]

    @property
    def notes(self) -> Path:
        return Path(self.folder) / "undo"


@pytest.fixture(params=SHELLS)
def phone(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(tmp_path, request.param)


def test_a_run_whose_host_has_gone_is_waited_for(phone: Settings) -> None:
    # Its changes take long: the next run must not look at a value that is about to change.
    phone.program("cmd", COUNTED % CMD.replace("put)", "put) /bin/sleep 1;"))
    command = phone.command(["sh", f"{phone.folder}/controls.sh", phone.folder, "apply", "dim"])
    gone = subprocess.Popen(command, env=phone.environment, start_new_session=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (phone.notes / "screen_brightness_mode").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    phone.controls.restore()
    assert gone.wait(30) == 0
    assert phone.values() == FIRST
    assert not phone.controls.pending()


def test_controls_are_applied_and_put_back(phone: Settings) -> None:
    controls = phone.controls
    assert not controls.pending()
    assert controls.apply(CONTROLS) == (
        ControlResult("stay_awake", "applied", "stay_on_while_plugged_in 0 to 7"),
        ControlResult("dim", "applied", "screen_brightness_mode 1 to 0, screen_brightness 97 to 10"),
        ControlResult("fixed_performance", "applied", "fixed_performance false to true"),
    )
    assert phone.values() == CHANGED
    assert controls.pending()
    restored = controls.restore()
    assert [(r.control, r.outcome) for r in restored] == [(c, "restored") for c in reversed(CONTROLS)]
    assert phone.values() == FIRST
    assert not controls.pending()
    assert controls.restore() == ()


def test_applying_twice_keeps_the_first_values(phone: Settings) -> None:
    phone.controls.apply(CONTROLS)
    phone.controls.apply(CONTROLS)
    phone.controls.restore()
    assert phone.values() == FIRST


def test_a_setting_that_was_not_there_is_taken_away_again(phone: Settings) -> None:
    (phone.store / "global.stay_on_while_plugged_in").unlink()
    assert phone.controls.apply(["stay_awake"])[0].detail == "stay_on_while_plugged_in null to 7"
    phone.controls.restore()
    assert "global.stay_on_while_plugged_in" not in phone.values()


def test_an_old_phone_has_settings_alone(phone: Settings) -> None:
    phone.program("cmd", 'echo "cmd: Can\'t find service: $1" >&2; exit 20')
    outcomes = [(r.control, r.outcome) for r in phone.controls.apply(CONTROLS)]
    assert outcomes == [("stay_awake", "applied"), ("dim", "applied"), ("fixed_performance", "refused")]
    phone.controls.restore()
    assert phone.values() == FIRST


DENIED = 'echo "Security exception: Permission denial: writing to settings requires WRITE_SETTINGS" >&2; return 255'
FAULTS = {
    "denied": (SETTINGS.replace('echo "$4" > "$STORE/$2.$3"', DENIED), "Permission denial"),
    "ignored": (SETTINGS.replace('echo "$4" > "$STORE/$2.$3"', ":"), "was set to 7 and is 0"),
    "hostile": (
        "/usr/bin/printf '%s' '1; rm -rf / \\n $(id)\ndim applied'",
        "cannot be read: 1; rm -rf / /n $(id) dim applied",
    ),
    "empty": (":", "cannot be read"),
    "broken": ('echo "Failure calling service settings" >&2; return 1', "Failure calling service"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_refusal_is_a_result_and_changes_nothing(phone: Settings, fault: str) -> None:
    lines, words = FAULTS[fault]
    phone.program("settings", COUNTED % lines)
    phone.program("cmd", COUNTED % CMD.replace(SETTINGS, lines))
    results = phone.controls.apply(CONTROLS)
    assert [r.outcome for r in results] == ["refused", "refused", "applied"]
    assert words in results[0].detail
    assert phone.values() == {**FIRST, "power": "true"}
    phone.controls.restore()
    assert not phone.controls.pending()


def test_missing_programs_are_refusals(phone: Settings) -> None:
    for program in ("cmd", "settings"):
        (phone.root / "bin" / program).unlink()
    results = phone.controls.apply(CONTROLS)
    assert {r.outcome for r in results} == {"refused"}
    assert all("not found" in r.detail for r in results)
    assert not phone.controls.pending()


def test_a_control_is_applied_whole_or_not_at_all(phone: Settings) -> None:
    lines = SETTINGS.replace(
        "case $1 in", 'case "$1 $3" in *put*brightness) echo "not allowed"; return 1 ;; esac; case $1 in'
    )
    phone.program("settings", COUNTED % lines)
    phone.program("cmd", COUNTED % CMD.replace(SETTINGS, lines))
    (result,) = phone.controls.apply(["dim"])
    assert (result.outcome, result.detail) == ("refused", "not allowed")
    assert phone.values() == FIRST


def test_without_a_note_nothing_is_changed(phone: Settings) -> None:
    phone.notes.write_text("in the way")
    results = phone.controls.apply(CONTROLS)
    assert {r.outcome for r in results} == {"refused"}
    assert "cannot be kept" in results[0].detail
    assert phone.values() == FIRST


def test_what_cannot_be_put_back_stays_noted_until_it_can(phone: Settings) -> None:
    phone.controls.apply(CONTROLS)
    phone.program("settings", COUNTED % DENIED)
    phone.program("cmd", COUNTED % CMD.replace(SETTINGS, DENIED))
    results = phone.controls.restore()
    assert [(r.control, r.outcome) for r in results] == [
        ("fixed_performance", "restored"), ("dim", "stuck"), ("stay_awake", "stuck"),
    ]  # fmt: skip
    assert "screen_brightness_mode is not 1 again: Security exception" in results[1].detail
    assert phone.controls.pending()
    phone.program("cmd", COUNTED % CMD)
    assert {r.outcome for r in phone.controls.restore()} == {"restored"}
    assert phone.values() == FIRST


@pytest.mark.parametrize("content", ["", "9", "97 no", "97 note", "$(id) noted", "-n noted", "97; noted", "\0" * 20])
def test_a_torn_note_is_not_put_back(phone: Settings, content: str) -> None:
    """It was never followed by a change."""
    phone.notes.mkdir()
    (phone.notes / "screen_brightness").write_text(content)
    phone.controls.restore()
    assert phone.values() == FIRST
    assert not phone.controls.pending()
    (phone.notes / "screen_brightness").write_text(content)
    assert phone.controls.apply(["dim"])[0].outcome == "applied"
    phone.controls.restore()
    assert phone.values() == FIRST


def check_undone(phone: Settings, what: str) -> None:
    phone.controls.restore()
    assert phone.values() == FIRST, what
    assert list(phone.notes.iterdir()) == [], what


@pytest.mark.parametrize("phone", ["mksh", "dash"], indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_program_while_applying(phone: Settings, when: str) -> None:
    assert phone.session("apply", *CONTROLS)
    programs = phone.started
    assert programs > 15
    check_undone(phone, "not killed")
    for number in range(1, programs + 1):
        assert not phone.session("apply", *CONTROLS, kill=number, when=when)
        phone.notes.mkdir(exist_ok=True)
        check_undone(phone, f"killed {when} program {number}")


@pytest.mark.parametrize("phone", ["mksh", "dash"], indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_every_program_while_restoring(phone: Settings, when: str) -> None:
    phone.controls.apply(CONTROLS)
    notes = {path.name: path.read_text() for path in phone.notes.iterdir()}
    assert phone.session("restore")
    programs = phone.started
    assert programs > 10
    for number in range(1, programs + 1):
        for folder, files in ((phone.notes, notes), (phone.store, CHANGED)):
            for name, text in files.items():
                (folder / name).write_text(text)
        assert not phone.session("restore", kill=number, when=when)
        check_undone(phone, f"killed {when} program {number}")


def test_any_history_of_deaths_ends_with_the_first_values(phone: Settings) -> None:
    seed = int(os.environ.get("HWBENCH_SEED", "0")) or random.randrange(1 << 32)
    rng = random.Random(seed)
    history: list[object] = []
    for _ in range(6):
        for _ in range(rng.randint(1, 4)):
            words = ("apply", *rng.sample(CONTROLS, rng.randint(1, 3))) if rng.random() < 0.7 else ("restore",)
            kill, when = rng.randint(1, 25), rng.choice(["before", "after"])
            history.append((words, kill, when, phone.session(*words, kill=kill, when=when)))
        phone.notes.mkdir(exist_ok=True)
        check_undone(phone, f"HWBENCH_SEED={seed}: {history}")


def test_a_wrong_command_line_is_refused(phone: Settings) -> None:
    for words in ((), ("apply",), (phone.folder,), (phone.folder, "reboot"), (phone.folder, "apply", "flash"),
                  (phone.folder, "apply", "dim", "stay_awake dim"), (phone.folder, "restore", "dim"),
                  (phone.folder + "/none", "restore")):  # fmt: skip
        done = phone.run(["sh", f"{phone.folder}/controls.sh", *words])
        assert (done.code, done.stdout) == (64, b""), words
    assert phone.values() == FIRST


def test_a_script_that_did_not_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = Settings(tmp_path, "dash")
    with pytest.raises(UsageError, match="no control 'flash'"):
        phone.controls.apply(["flash"])
    script = tmp_path / "controls.sh"
    monkeypatch.setattr("hwbench.devices.phone.controls.harness_script", lambda name: script)
    for text in ("echo 'dim applied'", "echo 'dim applied'; echo done 2", "echo 'dim flashed'; echo done 1", "exit 3"):
        script.write_text(text)
        with pytest.raises(DeviceError, match=r"fake:0 did not finish `controls.sh restore`"):
            phone.controls.restore()


def test_clocks_are_fixed_in_that_regime_alone() -> None:
    assert controls_of("as_shipped") == ("stay_awake", "dim")
    assert controls_of("fixed") == CONTROLS
