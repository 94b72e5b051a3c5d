import gc
import sys
import threading
import weakref
from types import SimpleNamespace

import pytest

from cache.job import MustWait
from cache.models import InUse, Residents, TooLarge, memory_budget
from cache.worker import Worker
from core.experiment import InputError
from core.models.memory import GB, free_bytes


class Model:
    """Holds itself in a cycle, as a bridge with hooks does: only the collector can release it."""

    living: weakref.WeakSet["Model"] = weakref.WeakSet()

    def __init__(self):
        self.me = self
        Model.living.add(self)


@pytest.fixture
def residents(monkeypatch):
    """With real models and the collector itself, and nothing left of them at the end."""
    monkeypatch.setattr("cache.models.gc", gc)
    residents = Residents(lambda: 10 * GB)
    yield residents
    residents.evict_unused()
    assert not Model.living
    # As it was found.
    gc.freeze()


@pytest.fixture
def ledger(monkeypatch):
    """For counting only: a collection takes 0.2 s once torch is imported, and here nothing needs one."""
    monkeypatch.setattr("cache.models.gc", SimpleNamespace(collect=int, freeze=int, unfreeze=int))
    return Residents(lambda: 10 * GB)


def keys(residents):
    return [resident.key for resident in residents.snapshot()]


def use(residents, key, gigabytes, load=object):
    with residents.use(key, gigabytes * GB, load):
        pass


def test_a_resident_model_is_not_loaded_again(ledger):
    with ledger.use("a", GB, object) as first:
        pass
    with ledger.use("a", GB, lambda: pytest.fail("loaded again")) as second:
        assert second is first


def test_the_least_recently_used_models_go_and_only_as_many_as_must(ledger):
    for key in "abc":
        use(ledger, key, 3)
    use(ledger, "a", 3)
    use(ledger, "d", 4)
    assert keys(ledger) == ["c", "a", "d"]


def test_evicted_models_are_released_before_the_next_one_is_loaded(residents):
    seen = []

    def load():
        seen.append(len(Model.living))
        return Model()

    for key in "abcd":
        with residents.use(key, 6 * GB, load):
            pass
    assert seen == [0, 0, 0, 0] and len(Model.living) == 1


def test_what_needs_more_than_the_budget_is_refused_and_evicts_nothing(ledger):
    use(ledger, "a", 6)
    with pytest.raises(TooLarge, match=r"'big' needs 16\.1 GB.*10\.0 GB.*dtype.*REPHRASE_MEMORY_GB"):
        use(ledger, "big", 16.06)
    assert keys(ledger) == ["a"]


def test_a_model_in_use_is_not_evicted_for_another(ledger):
    use(ledger, "unused", 3)
    with ledger.use("a", 6 * GB, object):
        with pytest.raises(InUse, match=r"'b' needs 5\.0 GB beside 6\.0 GB in use.*REPHRASE_MEMORY_GB"):
            use(ledger, "b", 5)
        assert keys(ledger) == ["unused", "a"]
        use(ledger, "c", 4)
        assert keys(ledger) == ["a", "c"] and ledger.snapshot()[0].uses == 1
    use(ledger, "b", 5)
    assert keys(ledger) == ["c", "b"]


def test_what_does_not_fit_is_bad_input_of_the_pair_and_what_is_in_use_must_wait(ledger):
    with ledger.use("a", 6 * GB, object):
        for refused, need in ((TooLarge, 11), (InUse, 5)):
            with pytest.raises(refused) as error:
                use(ledger, "b", need)
            assert isinstance(error.value, InputError) and error.value.field == "pair"
    assert issubclass(InUse, MustWait) and not issubclass(TooLarge, MustWait)


def test_a_model_used_twice_is_in_use_until_both_have_ended(ledger):
    with ledger.use("a", 6 * GB, object):
        use(ledger, "a", 6)
        with pytest.raises(InUse):
            use(ledger, "b", 6)


def test_memory_counts_as_taken_while_its_model_is_being_loaded(ledger):
    def load():
        with pytest.raises(InUse, match="beside 6.0 GB"):
            use(ledger, "b", 6)
        with pytest.raises(InUse, match="still being loaded"):
            use(ledger, "a", 6)
        return object()

    with ledger.use("a", 6 * GB, load):
        assert ledger.snapshot()[0].uses == 1


def test_a_load_that_fails_leaves_its_memory_free(residents):
    def load():
        half = Model()
        raise OSError(f"no such file for {half}")

    with pytest.raises(OSError):
        with residents.use("a", 6 * GB, load):
            pass
    assert keys(residents) == []
    seen = []
    with residents.use("b", 6 * GB, lambda: seen.append(len(Model.living)) or Model()):
        pass
    assert seen == [0]


def test_a_block_that_fails_gives_its_model_back(ledger):
    with pytest.raises(ZeroDivisionError):
        with ledger.use("a", 6 * GB, object):
            1 / 0
    use(ledger, "b", 6)
    assert keys(ledger) == ["b"]


def test_what_is_not_in_use_can_be_evicted_by_hand(residents):
    use(residents, "a", 3, Model)
    with residents.use("b", 3 * GB, Model):
        residents.evict_unused()
        assert keys(residents) == ["b"] and len(Model.living) == 1


def test_a_loaded_model_is_frozen_and_the_litter_of_its_loading_is_not(residents):
    def load():
        Model()
        return Model()

    gc.unfreeze()
    with residents.use("a", GB, load):
        assert gc.get_freeze_count() > 0 and len(Model.living) == 1


def test_eviction_gives_the_gpus_cached_memory_back(residents, monkeypatch):
    emptied = []

    class Cuda:
        is_available = staticmethod(lambda: True)
        empty_cache = staticmethod(lambda: emptied.append(len(Model.living)))

    monkeypatch.setitem(sys.modules, "torch", type("Torch", (), {"cuda": Cuda}))
    use(residents, "a", 6, Model)
    use(residents, "b", 6, Model)
    assert emptied == [0, 0]


def test_a_nested_job_waits_for_the_memory_of_the_job_that_it_interrupted(residents):
    worker = Worker()
    began, go_on, loaded = threading.Event(), threading.Event(), []

    def job(key):
        def run(ctx):
            with residents.use(key, 6 * GB, lambda: loaded.append((key, len(Model.living))) or Model()):
                began.set()
                assert go_on.wait(60)
                ctx.checkpoint()
            return key

        return run

    sweep = worker.submit("sweep", job("a"), owner="one", group=0, priority=0)
    assert began.wait(60)
    quick = worker.submit("quick", job("b"), owner="two", group=0, priority=1)
    go_on.set()
    assert sweep.wait(60) and quick.wait(60) and worker.stop()
    assert (sweep.result, quick.result) == ("a", "b") and loaded == [("a", 0), ("b", 0)]


def test_the_budget_is_asked_for_once_and_only_when_needed(ledger):
    asked = []
    residents = Residents(lambda: asked.append(1) or 10 * GB)
    assert asked == []
    use(residents, "a", 6)
    use(residents, "b", 6)
    assert asked == [1]


def test_the_budget_is_as_set_or_a_part_of_what_is_free():
    assert memory_budget(1.5, "cpu") == 1_500_000_000
    assert 0 < memory_budget(None, "cpu") < free_bytes("cpu") * 1.1


def test_a_containers_limit_bounds_what_is_free(tmp_path, monkeypatch):
    monkeypatch.setattr("core.models.memory.CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text("70000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 5000\n")
    (tmp_path / "memory.max").write_text("100000\n")
    assert free_bytes("cpu") == 35_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_bytes("cpu") > 10**6
