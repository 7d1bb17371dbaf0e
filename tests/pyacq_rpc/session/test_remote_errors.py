from __future__ import annotations

import copy
import pickle
import sys
import traceback

import pytest

from pyacq_rpc import (
    AccessDenied,
    ProtocolError,
    ReferenceReleased,
    RemoteCallException,
    SerializationError,
)
from pyacq_rpc.session.remote_errors import describe, failure_of_error, rebuild
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Failure


def refuse(obj):
    raise AssertionError(f"{obj!r} cannot be in a failure")


def across(error, serializer="msgpack"):
    """The error as it arrives after it was raised here."""
    try:
        raise error
    except BaseException as raised:  # noqa: BLE001
        failure = describe(1, raised)
    codec = codec_named(serializer)
    return rebuild(codec.decode(codec.encode(failure, refuse), refuse))


class ShutterStuck(RuntimeError):
    pass


class TestClasses:
    @pytest.mark.parametrize(
        "error",
        [
            ValueError("no"),
            KeyError("x"),
            IndexError(),
            ZeroDivisionError("a", 1, None, 2.5, b"c", True),
            StopIteration(5),
            FileNotFoundError(2, "No such file", "/x"),
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
            TimeoutError("late"),
            AssertionError(),
            RecursionError("deep"),
            ImportError("no module"),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("serializer", ["msgpack", "json"])
    def test_both_the_builtin_class_and_remote(self, error, serializer):
        arrived = across(error, serializer)
        assert isinstance(arrived, type(error))
        assert isinstance(arrived, RemoteCallException)
        assert error.args == arrived.args
        assert str(error) == str(arrived)
        assert type(error).__name__ == arrived.type_name

    def test_an_unknown_class_is_its_nearest_builtin(self):
        arrived = across(ShutterStuck("at 3"))
        assert isinstance(arrived, RuntimeError)
        assert arrived.type_name.endswith(".ShutterStuck")
        assert type(arrived).__name__ == "ShutterStuck"
        assert str(arrived) == "at 3"

    def test_an_own_class_without_a_builtin_one(self):
        class Odd(Exception):
            pass

        arrived = across(Odd("x"))
        assert isinstance(arrived, RemoteCallException)
        assert type(arrived).__name__ == "Odd"

    def test_one_remote_class_is_one_class_here(self):
        assert type(across(KeyError(1))) is type(across(KeyError(2)))

    def test_what_would_end_the_process_does_not_do_it_here(self):
        for error in (SystemExit(3), KeyboardInterrupt(), GeneratorExit()):
            arrived = across(error)
            assert isinstance(arrived, RemoteCallException)
            assert isinstance(arrived, Exception)
            assert not isinstance(arrived, type(error))
            assert type(error).__name__ == arrived.type_name

    def test_a_subclass_with_other_arguments_is_the_nearest_that_takes_them(self):
        class Undecodable(UnicodeDecodeError):
            def __init__(self, *args):
                self.args = ("just this",)

        arrived = across(Undecodable("utf-8", b"\xff", 0, 1, "bad"))
        assert isinstance(arrived, UnicodeError)
        assert arrived.args == ("just this",)

    @pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no groups")
    def test_a_group_arrives_with_its_members_in_the_traceback(self):
        arrived = across(ExceptionGroup("several", [ValueError("one"), KeyError("two")]))  # noqa: F821
        assert isinstance(arrived, RemoteCallException)
        assert arrived.type_name == "ExceptionGroup"
        assert "several" in str(arrived)
        assert "ValueError: one" in arrived.remote_traceback
        assert "KeyError: 'two'" in arrived.remote_traceback


class TestAttributes:
    def test_of_an_os_error(self):
        arrived = across(FileNotFoundError(2, "No such file", "/x"))
        assert (arrived.errno, arrived.strerror, arrived.filename) == (2, "No such file", "/x")
        renamed = across(OSError(18, "Cross-device", "/a", None, "/b"))
        assert (renamed.filename, renamed.filename2) == ("/a", "/b")

    def test_of_a_stop_iteration(self):
        assert across(StopIteration({}.get)).value is not None
        assert across(StopIteration(5)).value == 5

    def test_of_a_unicode_error(self):
        arrived = across(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"))
        assert (arrived.object, arrived.start, arrived.reason) == (b"\xff", 0, "invalid")

    def test_arguments_that_are_no_plain_values_become_the_message(self):
        arrived = across(ValueError(["a", object]))
        assert arrived.args == (str(ValueError(["a", object])),)


class TestTexts:
    def test_the_remote_traceback_is_shown(self):
        arrived = across(ValueError("no"))
        shown = "".join(traceback.format_exception(type(arrived), arrived, None))
        assert "in across" in shown
        assert shown.rstrip().endswith("ValueError: no")

    def test_chained_errors_are_in_it(self):
        try:
            try:
                {}["x"]
            except KeyError as cause:
                raise ValueError("no") from cause
        except ValueError as raised:
            arrived = across(raised)
        assert "KeyError: 'x'" in arrived.remote_traceback
        assert "direct cause" in arrived.remote_traceback

    def test_an_error_from_further_away_keeps_its_name_and_its_whole_story(self):
        twice = across(across(ShutterStuck("at 3")))
        assert twice.type_name.endswith(".ShutterStuck")
        assert isinstance(twice, RuntimeError)
        assert twice.remote_traceback.count("in across") == 2

    @pytest.mark.parametrize("serializer", ["msgpack", "json"])
    def test_lone_surrogates(self, serializer):
        arrived = across(ValueError("\ud800", "\ud83d\ude00"), serializer)
        assert arrived.args == ("\ud800", "\ud83d\ude00")

    def test_a_key_error_is_not_quoted_twice(self):
        assert str(across(across(KeyError("x")))) == "'x'"


class Words(str):
    __slots__ = ()


class TestHostile:
    def test_one_that_cannot_be_printed(self):
        class Mute(ValueError):
            def __str__(self):
                raise SystemExit

        arrived = across(Mute(object()))
        assert isinstance(arrived, ValueError)
        assert "unprintable" in str(arrived)

    def test_one_that_says_it_in_words_of_its_own_kind(self):
        class Wordy(ValueError):
            def __str__(self):
                return Words("no")

        assert type(str(across(Wordy(Words("x"))))) is str

    def test_one_that_hides_its_arguments(self):
        class Shy(ValueError):
            args = property(lambda self: 1 / 0)

        assert isinstance(across(Shy("x")), ValueError)

    @pytest.mark.parametrize(
        "failure",
        [
            Failure(1, "exception", "", [], "", None, ""),
            Failure(1, "exception", "a\0b", ["ValueError"], "", None, ""),
            Failure(1, "exception", "\ud800", ["ValueError"], "", [], ""),
            Failure(1, "exception", "x", ["eval", "__import__", "print", "no such"], "", [], ""),
            Failure(1, "exception", "x", ["UnicodeDecodeError"], "", [1], ""),
            Failure(1, "exception", "x", ["ExceptionGroup"], "", ["a", []], ""),
            Failure(1, "exception", "x", ["ExceptionGroup"], "", ["a", [1]], ""),
            Failure(1, "exception", "x", ["SyntaxError"], "", ["a", 5], ""),
            Failure(1, "exception", "x", ["OSError"], "", [{}, [], (), 1, 2, 3, 4], ""),
            Failure(1, "exception", "x", ["RuntimeError"] * 1000, "", [[[]]], ""),
            Failure(1, "nonsense", "x", [], "", [], ""),
        ],
    )
    def test_any_failure_makes_an_error_that_can_be_raised(self, failure):
        with pytest.raises(RemoteCallException) as caught:
            raise rebuild(failure)
        assert isinstance(str(caught.value), str)
        assert isinstance(repr(caught.value), str)


class TestCopies:
    @pytest.mark.parametrize(
        "error",
        [
            KeyError("x"),
            FileNotFoundError(2, "No such file", "/x"),
            StopIteration(5),
            ShutterStuck("at 3"),
            ValueError(["not", "plain"]),
            SystemExit(3),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize(
        "again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
    )
    def test_a_rebuilt_error_can_be_pickled_and_copied(self, error, again):
        arrived = across(error)
        copied = again(arrived)
        assert type(copied) is type(arrived)
        assert str(copied) == str(arrived)
        assert copied.args == arrived.args
        assert copied.remote_traceback == arrived.remote_traceback
        assert getattr(copied, "filename", None) == getattr(arrived, "filename", None)


class TestMachinery:
    @pytest.mark.parametrize(
        "error",
        [ReferenceReleased("a"), AccessDenied("b"), ProtocolError("c"), SerializationError("d")],
        ids=lambda error: type(error).__name__,
    )
    def test_its_errors_arrive_as_what_they_are(self, error):
        arrived = rebuild(failure_of_error(1, error))
        assert type(arrived) is type(error)
        assert str(arrived) == str(error)

    def test_a_subclass_arrives_as_its_base(self):
        class Stricter(AccessDenied):
            pass

        assert type(rebuild(failure_of_error(None, Stricter("x")))) is AccessDenied
