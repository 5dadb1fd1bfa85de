"""The collector runs again after every pause, however pauses end and overlap."""

import gc

import pytest

from ovenbird.engine.gc_pause import GcPause, gc_paused


@pytest.fixture(autouse=True)
def collecting():
    gc.enable()
    yield
    gc.enable()
    gc.unfreeze()


def test_the_collector_runs_again_when_the_last_pause_has_ended():
    with GcPause() as one:
        with GcPause() as other:
            one.end()
            assert not gc.isenabled()
            other.end()
            assert gc.isenabled()
        assert gc.isenabled()
    assert gc.isenabled()


def test_an_exception_ends_a_pause_and_keeps_nothing_from_the_collector():
    with pytest.raises(ZeroDivisionError), GcPause() as pause:
        raise ZeroDivisionError
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    pause.keep()
    assert gc.get_freeze_count() == 0


def test_the_collector_does_not_visit_objects_of_a_cold_start():
    with GcPause() as pause:
        pause.keep()
        assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_a_batch_within_a_pause_does_not_end_it():
    batch = gc_paused(gc.isenabled)
    assert not batch()
    assert gc.isenabled()
    with GcPause():
        assert not batch()
        assert not gc.isenabled()


def test_a_batch_leaves_the_collector_off_for_a_pause_that_began_meanwhile():
    pause = GcPause()
    gc_paused(pause.__enter__)()
    assert not gc.isenabled()
    pause.end()
    assert gc.isenabled()
