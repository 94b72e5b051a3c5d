"""Models on their way to this machine keep nobody waiting but those who want them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cache.service import Service
from core.experiment import Experiment, InputError
from core.models.hub import MB, Meter
from core.models.pairs import registry
from core.settings import Settings

PATIENCE = 60
TINY = registry()["tiny"]
FAR = Experiment(pair="far")
FOLDERS = {"far/base": Path(TINY.base), "far/instruct": Path(TINY.instruct)}


@dataclass
class Hub:
    """Stands for the hub: a download begins, waits for `go_on` and then brings its second part, or fails of `error`."""

    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    error: Exception | None = None

    def snapshot_download(self, name: str, tqdm_class, **_) -> str:
        self.asked.append(name)
        try:
            transfer, bar = (tqdm_class(total=0, initial=0, unit="B", unit_scale=True, desc=what) for what in "ab")
            bar.total = transfer.total = 8 * MB
            bar.update(3 * MB)
            self.begun.set()
            assert self.go_on.wait(PATIENCE)
            if self.error:
                raise self.error
            bar.update(5 * MB)
        finally:
            self.ended.set()
        return str(FOLDERS[name])


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub.snapshot_download)
    yield hub
    hub.go_on.set()


@pytest.fixture
def here():
    """The owners who still look."""
    return {"a", "b", "c"}


@pytest.fixture
def service(hub, here, tmp_path):
    pairs = tmp_path / "pairs.toml"
    pairs.write_text('[[pair]]\nid = "far"\nbase = "far/base"\ninstruct = "far/instruct"\n')
    service = Service(Settings(pairs=pairs), alive=here.__contains__)
    service.worker._alive_every = 0.0
    yield service
    assert service.worker.stop()


def result(job):
    assert job.wait(PATIENCE)
    if job.error is not None:
        raise job.error
    return job.result


def test_while_one_pair_is_downloaded_others_are_answered_and_then_it_is(service, hub):
    job = service.ask("overview", FAR, "a")
    assert hub.begun.wait(PATIENCE)
    assert result(service.ask("overview", Experiment(), "b")).pair == "tiny"
    assert job.state == "running" and job.place == 0 and not job.finished
    assert service.worker.status().running == ()
    hub.go_on.set()
    assert result(job).pair == "far"
    assert hub.asked == ["far/base", "far/instruct"]


def test_the_line_says_what_is_downloaded_how_much_of_it_has_come_and_how_fast(service, hub):
    job = service.ask("overview", FAR, "a")
    assert hub.begun.wait(PATIENCE)
    assert job.progress.message.startswith("downloading far/base: 3 of 8 MB, ")
    assert job.progress.message.endswith(" MB/s")


def test_two_who_want_one_pair_wait_for_one_download(service, hub):
    jobs = [service.ask("overview", FAR, "a"), service.ask("attribution", FAR, "b")]
    assert hub.begun.wait(PATIENCE)
    hub.go_on.set()
    assert [result(job) is not None for job in jobs] == [True, True]
    assert hub.asked == ["far/base", "far/instruct"]


@pytest.mark.parametrize("how", ["closed the tab", "looks at another pair"])
def test_a_download_that_nobody_waits_for_ends_and_is_begun_again_for_the_next(service, hub, here, how):
    job = service.ask("overview", FAR, "a")
    assert hub.begun.wait(PATIENCE)
    if how == "closed the tab":
        here.discard("a")
    else:
        result(service.ask("overview", Experiment(), "a"))
        assert job.state == "cancelled"
    hub.go_on.set()
    assert hub.ended.wait(PATIENCE) and job.wait(PATIENCE) and job.state == "cancelled"
    assert hub.asked == ["far/base"]
    assert result(service.ask("overview", FAR, "b")).pair == "far"
    assert hub.asked == ["far/base", "far/base", "far/instruct"]


def test_a_download_that_one_gave_up_goes_on_for_the_other(service, hub, here):
    given_up, other = service.ask("overview", FAR, "a"), service.ask("attribution", FAR, "b")
    assert hub.begun.wait(PATIENCE)
    # Of lower priority: by then the other waits for the download too.
    result(service.ask("continuation", Experiment(), "c", model="base"))
    service.worker.release("a")
    assert given_up.state == "cancelled"
    hub.go_on.set()
    assert result(other) is not None and hub.asked == ["far/base", "far/instruct"]


def test_a_download_that_fails_fails_its_job_and_is_tried_again_when_asked_again(service, hub):
    hub.error = OSError("disk is full")
    hub.go_on.set()
    with pytest.raises(InputError, match="disk is full"):
        result(service.ask("overview", FAR, "a"))
    hub.error = None
    assert result(service.ask("overview", FAR, "a")).pair == "far"


def test_while_a_file_is_dequantized_others_are_answered(service, monkeypatch, tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def dequantized(path: Path, cache: Path, progress) -> tuple[Path, str]:
        progress(f"reading {path.name} once")
        begun.set()
        assert go_on.wait(PATIENCE)
        return Path(TINY.base), "0" * 64

    monkeypatch.setattr("core.models.room.weights_in", lambda file: 0)
    monkeypatch.setattr("core.models.checkpoint.dequantized", dequantized)
    packed = Experiment(pair="", base=str(tmp_path / "packed.gguf"), instruct=TINY.instruct)
    job = service.ask("overview", packed, "a")
    try:
        assert begun.wait(PATIENCE)
        assert result(service.ask("overview", Experiment(), "b")).pair == "tiny"
        assert job.progress.message == "reading packed.gguf once" and not job.finished
    finally:
        go_on.set()
    assert result(job).pair.startswith(packed.base)


def test_speed_is_of_the_last_seconds():
    now = [0.0]
    meter = Meter("m", clock=lambda: now[0])
    lines = []
    for now[0], done in ((1.0, 10), (2.0, 20), (12.0, 30), (22.0, 130)):
        lines.append(meter.line(done * MB, 200 * MB))
    assert [line.rpartition(", ")[2] for line in lines] == ["10.0 MB/s", "10.0 MB/s", "1.0 MB/s", "10.0 MB/s"]
