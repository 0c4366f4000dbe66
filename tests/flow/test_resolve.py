"""This file is where it is tested which rule a dataset finds, and that every other one says why not."""

from __future__ import annotations

import itertools
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.errors import Invalid
from headgate.flow.resolve import Dataset, Rule, RuleKind, RuleSource, explain, parse_dataset
from headgate.model import JobName

URN = "urn:li:dataset:(urn:li:dataPlatform:athena,AwsDataCatalog.financial_data.us_stocks_sip_v2,PROD)"
RAW = "urn:li:tag:layer.raw"


def named(name: str, platform: str = "athena", environment: str = "PROD") -> str:
    return f"urn:li:dataset:(urn:li:dataPlatform:{platform},{name},{environment})"


def rule(kind: RuleKind, value: str = "", *, source: RuleSource = RuleSource.CONFIGURATION, place: str = "") -> Rule:
    return Rule(kind=kind, value=value, job=JobName(f"by-{kind}-{value}"), source=source, place=place)


LADDER = [
    rule(RuleKind.DEFAULT),
    rule(RuleKind.PREFIX, "AwsDataCatalog"),
    rule(RuleKind.PREFIX, "AwsDataCatalog.financial_data"),
    rule(RuleKind.PREFIX, "athena:AwsDataCatalog.financial_data"),
    rule(RuleKind.TAG, RAW),
    rule(RuleKind.URN, URN),
]


@pytest.mark.parametrize("count", range(1, len(LADDER) + 1))
def test_the_most_precise_rule_wins(count: int) -> None:
    """URN, tag, longest prefix (with its platform first), default: whatever order they are given in."""
    for rules in itertools.permutations(LADDER[:count]):
        explanation = explain(URN, rules, tags=[RAW])

        assert explanation.winner == LADDER[count - 1]
        assert len(explanation.losers) == count - 1
        assert all(reason.startswith("it covers the dataset too") for _, reason in explanation.losers)


@pytest.mark.parametrize("first", RuleSource)
def test_among_equals_the_source_decides(first: RuleSource) -> None:
    """The environment wins over its file, that over headgate.yaml, that over the ledger."""
    rules = [rule(RuleKind.URN, URN, source=source) for source in reversed(RuleSource) if source >= first]
    explanation = explain(URN, rules, tags=None)

    assert explanation.winner is not None
    assert explanation.winner.source is first
    assert all("wins over" in reason for _, reason in explanation.losers)


def test_among_the_same_the_first_wins_and_says_so() -> None:
    """Two tags of one dataset are no coin toss: the rule that stands first wins, the other is named a loser for it."""
    one, two = rule(RuleKind.TAG, "urn:li:tag:a", place="f:1"), rule(RuleKind.TAG, "urn:li:tag:b", place="f:2")
    explanation = explain(URN, [one, two], tags=["urn:li:tag:b", "urn:li:tag:a"])

    assert explanation.winner == one
    assert explanation.losers == [(two, "it is as precise, but tag urn:li:tag:a (f:1) stands before it")]


def test_the_message_names_the_job_the_rule_and_the_line() -> None:
    """A person reads which job, by which rule, written where."""
    explanation = explain(URN, [rule(RuleKind.PREFIX, "AwsDataCatalog", place="headgate.yaml:14")], tags=None)

    assert explanation.message == (
        f"{URN} is refreshed by job by-prefix-AwsDataCatalog, by prefix AwsDataCatalog (headgate.yaml:14)"
    )


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Rule(kind=RuleKind.DEFAULT, value="", function="f"), "Lambda f"),
        (Rule(kind=RuleKind.DEFAULT, value="", state_machine_arn="arn:x"), "state machine arn:x"),
        (Rule(kind=RuleKind.DEFAULT, value="", job=JobName("j")), "job j"),
    ],
)
def test_a_rule_says_what_it_starts(target: Rule, words: str) -> None:
    """Each of the three targets reads as what it is."""
    assert target.target == words


@pytest.mark.parametrize(
    ("prefix", "name", "covers"),
    [
        ("db", "db", True),
        ("db", "db.table", True),
        ("db", "db/part", True),
        ("db", "db2", False),
        ("db", "db2.table", False),
        ("db", "db_x.table", False),
        ("db", "other.db", False),
        ("db", "DB.table", False),
        ("db.", "db.table", True),
        ("db.", "db", False),
        ("athena:db", "db.table", True),
        ("glue:db", "db.table", False),
        ("s3://bucket/a", "s3://bucket/a/b", True),
        ("s3://bucket/a", "s3://bucket/ab", False),
        ("db.a,b", "db.a%2Cb.c", True),
        ("db.(x)", "db.%28x%29", True),
    ],
)
def test_a_prefix_ends_at_a_boundary_of_the_name(prefix: str, name: str, covers: bool) -> None:
    """`db` covers `db` and `db.table` and never `db2`; the platform counts when it is given."""
    explanation = explain(named(name), [rule(RuleKind.PREFIX, prefix)], tags=None)

    assert (explanation.winner is not None) is covers


parts = st.text(alphabet="ab2_-", min_size=1, max_size=4)


@given(st.lists(parts, min_size=1, max_size=4), st.lists(parts, min_size=1, max_size=4))
def test_a_prefix_covers_whole_parts_only(prefix: list[str], name: list[str]) -> None:
    """A prefix covers exactly the names whose first parts are its own."""
    explanation = explain(named(".".join(name)), [rule(RuleKind.PREFIX, ".".join(prefix))], tags=None)

    assert (explanation.winner is not None) is (name[: len(prefix)] == prefix)


@given(st.lists(st.lists(parts, min_size=1, max_size=4).map(".".join), unique=True), st.randoms())
def test_the_longest_prefix_wins_in_any_order(prefixes: list[str], random: object) -> None:
    """However the rules are shuffled, the longest one that covers the name wins, and all others are accounted for."""
    shuffled = sorted(prefixes, key=lambda _: getattr(random, "random")())  # noqa: B009 - hypothesis' own Random
    rules = [rule(RuleKind.PREFIX, prefix) for prefix in shuffled]
    explanation = explain(named("a.b.2"), rules, tags=None)

    covering = [prefix for prefix in prefixes if prefix in ("a", "a.b", "a.b.2")]
    assert (explanation.winner.value if explanation.winner else None) == max(covering, key=len, default=None)
    assert len(explanation.losers) == len(rules) - bool(covering)


def test_tags_that_are_not_known_are_said() -> None:
    """Without DataHub a rule by tag loses, and the reason is that nobody could look."""
    tagged, default = rule(RuleKind.TAG, RAW), rule(RuleKind.DEFAULT)

    explanation = explain(URN, [tagged, default], tags=None)
    assert explanation.winner == default
    assert explanation.losers == [(tagged, "the dataset's tags are not known, because no DataHub is configured")]
    assert "no DataHub is configured" in explain(URN, [tagged], tags=None).message
    assert explain(URN, [tagged], tags=[]).losers[0][1] == f"the dataset does not have the tag {RAW}"


@pytest.mark.parametrize(("strict", "rules", "wins"), [
    (False, [rule(RuleKind.DEFAULT)], True),
    (True, [rule(RuleKind.DEFAULT)], False),
    (True, [rule(RuleKind.DEFAULT), rule(RuleKind.URN, URN)], True),
    (False, [], False),
])  # fmt: skip
def test_strict_leaves_the_default_out(strict: bool, rules: list[Rule], wins: bool) -> None:
    """With strict a dataset needs a rule of its own; the default says that this is why it does not count."""
    explanation = explain(URN, rules, tags=None, strict=strict)

    assert (explanation.winner is not None) is wins
    if strict and not wins:
        assert explanation.losers == [(rules[0], "strict is on, so there is no default")]
        assert "there is a default rule, but strict is on" in explanation.message


def test_a_near_miss_is_suggested() -> None:
    """A rule for nearly the same dataset is named when nothing covers it, and what differs is the reason."""
    near = rule(RuleKind.URN, URN)
    explanation = explain(URN.replace("PROD", "DEV"), [near, rule(RuleKind.URN, named("quite.else"))], tags=None)

    assert explanation.winner is None
    assert f"there is one for {URN}: is it one of these you mean?" in explanation.message
    assert explanation.losers[0] == (near, "it is for environment 'PROD', not 'DEV'")


def test_with_nothing_near_the_message_says_what_to_do() -> None:
    """Without any rule the way on is to add one."""
    message = explain(URN, [], tags=None).message

    assert message == (
        f"no mapping: no rule says what refreshes {URN};"
        " add one under datasets: in headgate.yaml (by urn, tag, prefix or default)"
    )


def test_a_broken_rule_of_the_ledger_loses_with_its_reason() -> None:
    """A rule that was kept with a URN that is none harms no other."""
    broken, default = rule(RuleKind.URN, "urn:li:dataset:x", source=RuleSource.LEDGER), rule(RuleKind.DEFAULT)
    explanation = explain(URN, [broken, default], tags=None)

    assert explanation.winner == default
    assert explanation.losers[0][1].startswith("the rule is wrong: ")


@pytest.mark.parametrize(
    ("urn", "dataset"),
    [
        (URN, Dataset(platform="athena", name="AwsDataCatalog.financial_data.us_stocks_sip_v2", environment="PROD")),
        (named("a%2Cb%28c%29"), Dataset(platform="athena", name="a,b(c)", environment="PROD")),
        (named("a(b,c(d,e))"), Dataset(platform="athena", name="a(b,c(d,e))", environment="PROD")),
        (named("100%"), Dataset(platform="athena", name="100%", environment="PROD")),
        (named("caf%C3%A9 表"), Dataset(platform="athena", name="café 表", environment="PROD")),
        (named("s3://b/k:1", "s3", "NON_PROD"), Dataset(platform="s3", name="s3://b/k:1", environment="NON_PROD")),
    ],
)
def test_a_urn_is_taken_apart(urn: str, dataset: Dataset) -> None:
    """Names may hold pairs of parentheses, commas inside them, and anything percent-encoded."""
    assert parse_dataset(urn) == dataset


@pytest.mark.parametrize(
    ("urn", "problem"),
    [
        ("", r"is not a dataset's URN; expected urn:li:dataset:\(urn:li:dataPlatform:PLATFORM,NAME,ENVIRONMENT\)"),
        ("urn:li:chart:(looker,x)", "is not a dataset's URN"),
        (f" {URN}", "is not a dataset's URN"),
        ("urn:li:dataset:athena,db,PROD", "must stand in parentheses"),
        (URN.rstrip(")"), "must stand in parentheses"),
        ("urn:li:dataset:(urn:li:dataPlatform:athena,db)", "has 2 parts in its parentheses, expected 3"),
        (named("a,b"), "has 4 parts in its parentheses, expected 3 as in .*; write a comma of the name as %2C"),
        (named("a(b"), "its parentheses do not pair; write those of the name as %28 and %29"),
        (named("a)(b"), "its parentheses do not pair"),
        (named("  "), "its second part, the dataset's name, is empty"),
        (named("db", environment="prod"), "its third part must be an environment such as PROD, found 'prod'"),
        ("urn:li:dataset:(athena,db,PROD)", r"its first part must be a platform's URN \(.*\), found 'athena'"),
        ("urn:li:dataset:(urn:li:dataPlatform:,db,PROD)", "its first part must be a platform's URN"),
    ],
)
def test_a_urn_that_is_none_says_what_is_wrong(urn: str, problem: str) -> None:
    """Each way to get it wrong has its own words; nothing is looked up."""
    with pytest.raises(Invalid, match=problem):
        explain(urn, [rule(RuleKind.DEFAULT)], tags=None)


@given(st.text(min_size=1).filter(str.strip))
def test_any_encoded_name_comes_back(name: str) -> None:
    """A name of any characters survives encoding, and finds the rule written with the name itself."""
    urn = named(quote(name, safe=""))

    assert parse_dataset(urn).name == name
    assert explain(urn, [rule(RuleKind.PREFIX, f"athena:{name}")], tags=None).winner is not None


@given(st.text(alphabet=st.sampled_from("urn:li:dataset:(athena,)%2C PROD"), max_size=60))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    """No text at all makes the resolver fail in another way."""
    for urn in (text, f"urn:li:dataset:({text})", named(text)):
        try:
            explanation = explain(urn, LADDER, tags=None)
        except Invalid:
            continue
        assert explanation.winner is not None
