"""This file is where the order of providers is tried, what is said when none has a secret, and what is never said."""

from __future__ import annotations

import os
import threading
import time
import traceback
from pathlib import Path

import pytest
from secrets_played import VALUE, Played

from headgate.errors import EngineRefused, Invalid, MissingSecrets, SecretsDenied, Unavailable
from headgate.secrets import Secrets, Values
from headgate.secrets.known import Known
from headgate.secrets.plain import Environment, Files
from headgate.secrets.resolving import LARGEST


def test_the_first_who_has_it_wins() -> None:
    """Later ones are asked only for what is missing still, and not at all when nothing is."""
    first, second, third = Played({"A": "a1"}), Played({"A": "a2", "B": "b2"}), Played({"A": "a3"})

    found = Secrets([first, second, third]).resolve(["A", "B", "A"])

    assert found == {"A": "a1", "B": "b2"}
    assert dict(found.places) == {"A": "a play (1)", "B": "a play (1)"}
    assert (first.asked, second.asked, third.asked) == ([["A", "B"]], [["B"]], [])


def test_what_nobody_has_is_named_with_where_it_was_looked_for() -> None:
    """All that are missing, all places in their order, what to do, and no value of those that are there."""
    providers = [Played({"A": VALUE}, place="one"), Played(place="two")]

    with pytest.raises(MissingSecrets) as told:
        Secrets(providers).resolve(["A", "B", "C"])

    assert told.value.names == ("B", "C")
    assert str(told.value) == (
        "there is no value for B, C; looked in one (2), two (2); set a secret with `headgate secrets set B`,"
        " anything else in the environment"
    )


def test_an_empty_value_is_none() -> None:
    """The next provider is asked; with none after it the run fails by the name, and no empty password is sent."""
    assert Secrets([Played({"A": ""}), Played({"A": "a2"})]).resolve(["A"]) == {"A": "a2"}
    with pytest.raises(MissingSecrets, match=r"no value for A; looked in a play \(1\) \(where A is empty\)"):
        Secrets([Played({"A": ""})]).resolve(["A"])


def test_without_providers_it_says_so() -> None:
    """And asking for nothing needs none."""
    assert Secrets([]).resolve([]) == {}
    with pytest.raises(MissingSecrets, match="no provider is configured"):
        Secrets([]).resolve(["A"])


def test_a_provider_that_cannot_be_asked_ends_the_search() -> None:
    """Which of two secrets is used must not depend on who is away."""

    def away() -> None:
        raise Unavailable("it is away")

    after = Played({"A": "of-another-world"})
    with pytest.raises(Unavailable, match="away"):
        Secrets([Played(first=away), after]).resolve(["A"])
    assert after.asked == []


def test_time_is_bounded_over_all_of_them() -> None:
    """One that takes all the time leaves none for the next, and that is said."""
    slow = Played(first=lambda: time.sleep(0.06))
    with pytest.raises(Unavailable, match="no time left to look for secrets in fast"):
        Secrets([slow, Played({"A": "a"}, place="fast")], patience=0.05).resolve(["A"])


def test_others_recipes_get_less() -> None:
    """A provider for our own recipes is not asked for a recipe that somebody else wrote."""
    own = Played({"A": "own"}, own_only=True, place="own")

    assert Secrets([own]).resolve(["A"]) == {"A": "own"}
    with pytest.raises(MissingSecrets) as told:
        Secrets([own, Played(place="all")]).resolve(["A"], foreign=True)
    assert told.value.looked == ("all (1)",)


@pytest.mark.parametrize("name", ["", "../key", "a b", "1A", "A" * 256, "A\n", "É"])
def test_what_is_no_name_is_asked_of_nobody(name: str) -> None:
    """A name becomes a path and a header elsewhere."""
    provider = Played({name: "x"})
    with pytest.raises(Invalid, match="no name of a secret"):
        Secrets([provider]).resolve([name])
    assert provider.asked == []


def test_values_are_not_shown_by_accident() -> None:
    """A repr, an f-string, an exception's text and its traceback have names alone."""
    values = Secrets([Played({"A": VALUE})]).resolve(["A"])

    assert (repr(values), f"{values}", str([values])) == ("Values(A)", "Values(A)", "[Values(A)]")
    assert values["A"] == VALUE
    assert values.masker().text(f"<{VALUE}>") == "<****>"
    assert repr(Secrets([Played()])) == "Secrets(Played)"
    assert Values() == {}


def test_what_is_given_out_is_masked_in_our_log_from_then_on() -> None:
    """Whoever resolves tells the log what to mask."""
    known = Known()
    Secrets([Played({"A": VALUE})], learn=known.learn).resolve(["A"])

    assert known.mask(f"GET /?p={VALUE} failed") == "GET /?p=**** failed"
    assert repr(known) == "Known(1 values)"


def test_a_regions_name_is_not_masked_in_our_log() -> None:
    """The environment holds more than secrets; of it, what is called so is masked."""
    known = Known()
    environ = {"AWS_REGION": "eu-west-1", "DB_PASSWORD": VALUE}
    Secrets([Environment(environ=environ)], learn=known.learn).resolve(list(environ))

    assert known.mask(f"eu-west-1 {VALUE}") == "eu-west-1 ****"


def test_many_threads_learn_and_mask_at_once() -> None:
    """None of them is lost."""
    known = Known()
    values = [f"value-number-{number}" for number in range(40)]

    def learn(value: str) -> None:
        known.learn([value])
        known.mask("x")

    threads = [threading.Thread(target=learn, args=(value,)) for value in values]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)

    assert known.mask(" ".join(values)) == " ".join(["****"] * 40)


def test_why_a_run_was_refused_is_a_word() -> None:
    """So that who lists runs sees at a glance whose turn it is."""
    reasons = {
        "secret_denied": SecretsDenied("x"),
        "secret_missing": MissingSecrets(["A"], []),
        "refused": Invalid("x"),
    }
    for detail, cause in reasons.items():
        error = EngineRefused("cannot start")
        error.__cause__ = cause  # as `raise … from` sets it
        assert error.detail == detail


# -- the environment


def test_what_is_no_secret_may_be_empty_when_nobody_has_more(tmp_path: Path) -> None:
    """`AWS_ROLE=` does without a role, as with `datahub ingest`; an empty password never counts."""
    environment = Environment(environ={"AWS_ROLE": "", "DB_PASSWORD": ""})
    (tmp_path / "AWS_ROLE").write_text("a role", "utf-8")

    alone = Secrets([environment]).resolve(["AWS_ROLE"])
    assert (dict(alone), alone.places) == ({"AWS_ROLE": ""}, {"AWS_ROLE": "the environment"})
    assert dict(Secrets([environment, Files(tmp_path)]).resolve(["AWS_ROLE"])) == {"AWS_ROLE": "a role"}
    with pytest.raises(MissingSecrets, match="DB_PASSWORD"):
        Secrets([environment]).resolve(["AWS_ROLE", "DB_PASSWORD"])


def test_the_environment_gives_what_it_may() -> None:
    """By names with *; what is private is never empty, and what is not may be; our own key is never given."""
    environ = {"DB_A": "1", "DB_B": "2", "OTHER": "3", "DB_PASSWORD": "", "HEADGATE_SECRETS_KEY": "key"}
    names = list(environ)

    assert Environment(("AWS_*",), environ={"AWS_ROLE": ""}).find(["AWS_ROLE"], until=1) == {"AWS_ROLE": ""}
    assert Environment(("DB_*",), environ=environ).find(names, until=1) == {"DB_A": "1", "DB_B": "2"}
    assert Environment(("*",), environ=environ).find(names, until=1) == {"DB_A": "1", "DB_B": "2", "OTHER": "3"}
    assert Environment(("HEADGATE_*",), environ=environ).find(names, until=1) == {}
    assert Environment(("DB_*",), environ=environ).where(["OTHER"]) == (
        "the environment (which may not be asked for OTHER)"
    )
    assert "key" not in repr(Environment(environ=environ))


# -- files


def test_files_of_a_folder_are_secrets(tmp_path: Path) -> None:
    """As Docker mounts them, and as Kubernetes does: links to links; one line end is no part of the value."""
    (tmp_path / "A").write_text("a\n")
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "B").write_text("b\r\n\n")
    (tmp_path / "B").symlink_to("..data/B")
    (tmp_path / "EMPTY").write_text("")

    assert Files(tmp_path).find(["A", "B", "C", "EMPTY"], until=1) == {"A": "a", "B": "b\r\n", "EMPTY": ""}
    assert Files(tmp_path / "none").find(["A"], until=1) == {}
    assert Files(tmp_path / "A").find(["A"], until=1) == {}
    assert Files(tmp_path).where(["A"]) == f"{tmp_path}/A"


def test_what_is_no_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    """A pipe that nobody writes to, a folder, and what is no text or far too much of it."""
    os.mkfifo(tmp_path / "PIPE")
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "BYTES").write_bytes(b"\xff\xfe\xfd")
    (tmp_path / "HUGE").write_bytes(b"x" * (LARGEST + 1))
    for name, said in {"PIPE": "is no file", "FOLDER": "is no file", "BYTES": "no UTF-8", "HUGE": "larger"}.items():
        with pytest.raises(Invalid, match=said) as told:
            Files(tmp_path).find([name], until=1)
        assert "xfe" not in "".join(traceback.format_exception(told.value))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_we_may_not_read_is_denied(tmp_path: Path) -> None:
    """Which is another thing than missing."""
    (tmp_path / "A").write_text("a")
    (tmp_path / "A").chmod(0)
    with pytest.raises(SecretsDenied, match="may not be read by us"):
        Files(tmp_path).find(["A"], until=1)


def test_a_loop_of_links_is_told(tmp_path: Path) -> None:
    """What the system says, and of which file."""
    (tmp_path / "A").symlink_to("A")
    with pytest.raises(Unavailable, match="A cannot be read"):
        Files(tmp_path).find(["A"], until=1)
