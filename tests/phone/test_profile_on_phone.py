"""A space is profiled on phones as a user does it: two at once, each with an engine of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import hwbench
from hwbench import spaces
from hwbench.models.formats import Engine
from hwbench.tables.lookup import LookupTable
from tests.phone.profiling import ENGINES, Profiled, digests, profiled_on_phones, unequal

SPACE = "proxylessnas-w1.0-r32-c1000"


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Profiled]:
    with profiled_on_phones(SPACE, tmp_path_factory.mktemp("phones")) as found:
        yield found


@pytest.mark.parametrize("engine", ENGINES)
class TestAPhone:
    def test_every_key_of_the_space_is_measured_and_marked_as_emulated(self, profiled: Profiled, engine: str) -> None:
        table = profiled.results[engine].table
        assert [f"{row.key}: {row.failure}" for row in table.rows if row.failure] == []
        assert set(table.measurements()) == {block.key for block in spaces.get(SPACE).distinct_blocks}
        assert all("emulated" in row.flags for row in table.rows)
        assert table.target.engine.name == engine
        assert isinstance(hwbench.load_table(profiled.results[engine].path), LookupTable)

    def test_outputs_equal_those_of_this_computer(self, profiled: Profiled, engine: Engine) -> None:
        assert unequal(profiled, engine) == []
        assert len(digests(profiled.results[engine])) > len(spaces.get(SPACE).distinct_blocks)

    def test_the_record_tells_the_phone_and_not_its_serial(self, profiled: Profiled, engine: Engine) -> None:
        record = profiled.results[engine].table.device
        assert record.phone is not None
        assert record.phone.model == "Pixel 6"
        assert len(record.phone.clusters) == 3
        assert record.phone.serial_hash is not None
        written = profiled.results[engine].path.read_text()
        assert profiled.phones[engine].serial not in written
        assert profiled.phones[engine].model.serial not in written

    def test_round_trips_do_not_depend_on_rows(self, profiled: Profiled, engine: Engine) -> None:
        launches = len(profiled.results[engine].table.launches)
        assert profiled.phones[engine].round_trips() <= 20 + 4 * launches

    def test_the_phone_is_as_it_was(self, profiled: Profiled, engine: Engine) -> None:
        phone = profiled.phones[engine]
        assert phone.settings("system") == profiled.settings_before[engine]
        assert list((phone.root / "data/local/tmp").iterdir()) == []
        assert any("screen_brightness" in command for command in phone.commands())

    def test_progress_shows_temperature_and_clock(self, profiled: Profiled, engine: Engine) -> None:
        shown = [state for name, state in profiled.seen if name == engine]
        assert any(state.temperature_c for state in shown)
        assert any(state.frequency_khz for state in shown)


def test_both_phones_were_measured_at_the_same_time(profiled: Profiled) -> None:
    names = [name for name, _ in profiled.seen]
    last = {engine: len(names) - 1 - names[::-1].index(engine) for engine in ENGINES}
    assert max(map(names.index, ENGINES)) < min(last.values())
