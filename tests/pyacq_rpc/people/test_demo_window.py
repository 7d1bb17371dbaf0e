"""In this process, offscreen."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from pyacq_rpc.people.demo_window import COLOURS, MOST_POINTS, DemoWindow, Track

BEGAN = time.time()


def signals_of(cores: int) -> list[tuple[str, str]]:
    names = [(f"CPU {core}", "%") for core in range(cores)]
    return [*names, ("memory", "B"), ("received", "B/s"), ("sent", "B/s")]


@pytest.fixture
def make_window(app):
    made = []

    def make(cores=2):
        window = DemoWindow(signals_of(cores), BEGAN, 10.0)
        window.show()
        made.append(window)
        return window

    yield make
    for window in made:
        window.close()
        window.deleteLater()
    app.processEvents()


@pytest.fixture
def window(make_window):
    return make_window()


def feed(window, begin, end, cores=2):
    """Give it ten samples a second."""
    for tenth in range(int(begin * 10), int(end * 10)):
        seconds = tenth / 10
        loads = [50 + 40 * math.sin(seconds + core) for core in range(cores)]
        window.append([BEGAN + seconds, *loads, 3e9 + 1e6 * seconds, 2e5, 1e5])
    window._refresh()


class TestTrack:
    def test_smoothing_averages_within_the_width_and_not_over_a_gap(self):
        track = Track(1, 0.5)
        for time_, value in ((0.0, 1.0), (0.1, 3.0), (2.0, 5.0)):
            track.append([time_, value])
        track.cut(2.1)
        track.append([2.2, 9.0])
        np.testing.assert_array_equal(track.smoothed()[:, 1], [1.0, 2.0, 5.0, np.nan, 9.0])
        np.testing.assert_array_equal(track.samples()[:, 0], [0.0, 0.1, 2.0, 2.1, 2.2])

    def test_what_was_sent_before_a_gap_may_come_late(self):
        track = Track(1, 0.5)
        track.append([0.0, 1.0])
        track.cut(0.15)
        track.append([0.1, 2.0])
        track.append([0.5, 3.0])
        np.testing.assert_array_equal(track.samples()[:, 1], [1.0, 2.0, np.nan, 3.0])

    def test_it_keeps_more_than_it_had_room_for(self):
        track = Track(1, 0.5)
        for number in range(MOST_POINTS - 1):
            track.append([number, number])
        np.testing.assert_array_equal(track.samples()[:, 1], range(MOST_POINTS - 1))

    def test_of_very_many_it_leaves_out_some_but_no_gap(self):
        track = Track(1, 0.5)
        for number in range(5 * MOST_POINTS):
            track.append([number, number])
            if number % MOST_POINTS == 1:
                track.cut(number + 0.5)
        shown = track.samples()
        assert MOST_POINTS / 2 < len(shown) <= MOST_POINTS + 5
        assert np.isnan(shown[:, 1]).sum() == 5
        assert track.smoothed().shape == shown.shape


class TestCurves:
    def test_get_what_was_appended(self, window):
        feed(window, 0, 3)
        curves = [curve.getOriginalDataset() for curve, _, _ in window._curves]
        assert len(curves) == 2 * 2 + 3
        for times, values in curves:
            np.testing.assert_allclose(times, np.arange(0, 3, 0.1), atol=1e-5)
            assert np.isfinite(values).all()
        memory = curves[4][1]
        np.testing.assert_allclose(memory, 3e9 + 1e6 * np.arange(0, 3, 0.1))

    def test_have_a_gap(self, window):
        feed(window, 0, 2)
        window.begin_gap(BEGAN + 2, "paused")
        window.end_gap(BEGAN + 3)
        feed(window, 3, 4)
        for curve, _, _ in window._curves:
            times, values = curve.getOriginalDataset()
            assert times[np.isnan(values)] == pytest.approx([2.0], abs=1e-5)

    def test_the_second_end_of_a_gap_is_none(self, window):
        window.end_gap(BEGAN + 3)

    @pytest.mark.parametrize("cores", [1, len(COLOURS), len(COLOURS) + 1, 64])
    def test_of_machines_of_all_sizes(self, make_window, cores):
        window = make_window(cores)
        feed(window, 0, 1, cores)
        smooth = cores if cores <= len(COLOURS) else 1
        assert len(window._curves) == cores + smooth + 3
        for curve, _, _ in window._curves:
            assert np.isfinite(curve.getOriginalDataset()[1]).all()


class TestWindow:
    def test_says_what_it_is_told(self, window):
        window.set_heading("something to see")
        window.tell("something has happened")
        assert window.windowTitle() == window._heading.text() == "something to see"
        assert window._status.text() == "something has happened"

    def test_the_button_says_what_it_would_do(self, window):
        assert window.button.text() == "Pause"
        window.show_running(False)
        assert window.button.text() == "Resume"

    def test_the_button_only_tells(self, window):
        pressed = []
        window.button.clicked.connect(lambda: pressed.append(1))
        window.button.click()
        assert pressed == [1]
        assert window.button.text() == "Pause"

    def test_tells_that_it_was_closed(self, window):
        closed = []
        window.closed.connect(lambda: closed.append(1))
        window.close()
        assert closed == [1]

    def test_a_gap_grows_while_it_lasts(self, app):
        window = DemoWindow(signals_of(1), time.time() - 5, 10.0)
        window.begin_gap(time.time() - 2, "paused")
        window._refresh()
        begin, end = window._gap[1].getRegion()
        assert begin == pytest.approx(3, abs=1)
        assert end - begin >= 2
        window.deleteLater()

    def test_room_is_made_when_it_takes_longer(self, app):
        window = DemoWindow(signals_of(1), time.time() - 1000, 10.0)
        window._refresh()
        assert window._cores.viewRange()[0][1] == pytest.approx(1000, abs=100)
        window.deleteLater()
