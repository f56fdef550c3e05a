"""The benchmark's comparison with what was recorded; the benchmarks themselves are run by people."""

from __future__ import annotations

from tests.benchmarks import recorded


def test_what_is_worse_beyond_noise_is_named_and_what_was_never_recorded_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(recorded, "FILE", tmp_path / "recorded.json")
    recorded.record({"S1 coroutine, CPU over the floor": 2.0, "S1 coroutine, calls over the floor": 2.0})
    assert recorded.worse({"S1 coroutine, CPU over the floor": 2.4, "S2 new": 9.0}) == []
    [line] = recorded.worse({"S1 coroutine, CPU over the floor": 2.2, "S1 coroutine, calls over the floor": 2.3})
    assert line.startswith("S1 coroutine, calls over the floor: 2.30, recorded on")
