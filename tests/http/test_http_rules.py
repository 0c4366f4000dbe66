"""This file is where rules are listed, kept and deleted over HTTP, and read on the console's page."""

from __future__ import annotations

from typing import Any

import pytest
from served import API, DATASET, World, until

from headgate.flow.resolve import Rule, RuleKind
from headgate.ledger import rules as kept

PAGE = {"accept": "text/html"}
NASTY = "<script>alert('x')</script>\"&"


def put(world: World, **asked: Any) -> Any:
    answer = world.call("PUT", f"{API}/rules", json=asked)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_rules_of_every_source_are_listed_in_order(world: World) -> None:
    """A file's has a place and no id, a kept one both; the most precise stands first."""
    prefix = put(world, prefix="athena:c", **{"lambda": "f"}, region="eu-west-1", reason="new")
    default = put(world, default=True, job="views")
    items = world.get("/rules")["items"]

    assert [(one["kind"], one["source"], one["id"]) for one in items] == [
        ("urn", "configuration", None),
        ("prefix", "ledger", prefix["id"]),
        ("default", "ledger", default["id"]),
    ]
    assert items[0]["place"].endswith("headgate.yaml:14")
    assert items[1] == prefix
    assert (prefix["lambda"], prefix["region"], prefix["starts"]) == ("f", "eu-west-1", "Lambda f")
    assert prefix["actor"] == "urn:li:corpuser:local"
    assert world.get(f"/rules/{prefix['id']}") == prefix
    entry = next(one for one in world.get("/audit")["items"] if one["reason"] == "new")
    assert (entry["action"], entry["subject"]) == ("rule.set", "prefix athena:c")


def test_a_kept_rule_decides_and_a_deleted_one_does_not(world: World) -> None:
    """By what it covers (percent-encoded in the path) or by its id, by DELETE or POST."""
    other = DATASET.replace("c.d.t", "e.f.g")
    for method, name in (("DELETE", "urn%3Ali"), ("DELETE", "id"), ("POST", "id")):
        made = put(world, urn=other, job="views")
        assert world.get("/explain", params={"urn": other})["job"] == "views"
        if method == "POST":
            gone = world.post(f"/rules/{made['id']}/delete", {"reason": "gone"})
        else:
            path = other.replace(":", "%3A").replace(",", "%2C") if name != "id" else made["id"]
            answer = world.call("DELETE", f"{API}/rules/{path}", params={"reason": "gone"})
            assert answer.status_code == 200, answer.text
            gone = answer.json()
        assert gone == made
        found = world.get("/explain", params={"urn": other})
        assert (found["job"], found["rule"]) == (None, None)
        assert world.call("DELETE", f"{API}/rules/{made['id']}").status_code == 404
        assert world.call("GET", f"{API}/rules/{made['id']}").status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "exactly one of urn, tag, prefix and default, found 0"),
        ({"urn": DATASET, "default": True, "job": "views"}, "found 2"),
        ({"urn": DATASET}, "exactly one of job, lambda and state_machine_arn, found 0"),
        ({"urn": DATASET, "job": "nowhere"}, "there is no job 'nowhere'"),
        ({"urn": "urn:li:dataset:x", "job": "views"}, "must stand in parentheses"),
        ({"tag": "x", "job": "views"}, "expected a tag's URN"),
        ({"prefix": "c", "lambda": "a b"}, "expected the name or the ARN of a Lambda function"),
        ({"prefix": "c", "state_machine_arn": "arn:aws:s3:::b"}, "state_machine_arn: expected an ARN"),
        ({"prefix": "c", "lambda": "f", "region": "Europe"}, "region"),
        ({"prefix": "c", "lambda": "f", "colour": "red"}, "colour"),
        ({"prefix": "c" * 5000, "lambda": "f"}, "4096"),
        ({"prefix": "c\0", "lambda": "f"}, "NUL"),
        ([], "body: expected a JSON object"),
    ],
)
def test_a_wrong_rule_is_a_400_that_names_the_field(world: World, body: Any, said: str) -> None:
    """And nothing is kept."""
    answer = world.call("PUT", f"{API}/rules", json=body)

    assert answer.status_code == 400, answer.text
    assert said in answer.json()["message"]
    assert len(world.get("/rules")["items"]) == 1


def test_rules_want_the_token_and_a_browsers_header(guarded: World) -> None:
    """Nobody without the token reads or changes them, and no other site's page does."""
    for method, path in (("GET", "/rules"), ("PUT", "/rules"), ("DELETE", "/rules/x"), ("POST", "/rules/x/delete")):
        assert guarded.call(method, API + path, json={}).status_code == 401
    assert guarded.call("GET", "/headgate/rules", headers=PAGE).status_code == 303
    bearer = {"authorization": "Bearer secret"}
    assert guarded.call("GET", f"{API}/rules", headers=bearer).status_code == 200


def test_a_browser_of_another_site_changes_nothing(world: World) -> None:
    """A page elsewhere can send the request; it is refused for where it comes from."""
    body = {"default": True, "job": "views"}
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"},
                    {"origin": "http://localhost:8090"}):  # fmt: skip
        assert world.call("PUT", f"{API}/rules", json=body, headers=headers).status_code == 403
    assert len(world.get("/rules")["items"]) == 1


def test_the_page_shows_the_rules_and_explains(world: World) -> None:
    """Each rule with its place; a dataset that is tried shows what wins and why the rest lost."""
    made = put(world, prefix="athena:c", job="views")
    html = world.call("GET", "/headgate/rules", headers=PAGE, params={"urn": DATASET}).text

    for words in ("headgate.yaml:14", made["place"], "athena:c", "is refreshed by job ingest", "rule that lost",
                  f'data-delete="{made["id"]}"', "a urn rule is more precise"):  # fmt: skip
        assert words in html, words
    assert html.count("data-delete=") == 1, "a file's rule is changed in the file"
    assert "must stand in parentheses" in world.call(
        "GET", "/headgate/rules", headers=PAGE, params={"urn": "urn:li:dataset:x"}
    ).text  # fmt: skip


def test_a_page_of_very_many_rules_shows_the_first(world: World) -> None:
    """And says how many more there are, and where."""
    for number in range(310):
        world.gate.ledger.write(
            lambda batch, value=f"athena:d{number}": kept.put(
                batch, Rule(kind=RuleKind.PREFIX, value=value, function="f"), actor="ann", reason=None
            )
        )
    until(lambda: len(world.gate.datasets.kept_rules()) == 310, "all are kept")
    html = world.call("GET", "/headgate/rules", headers=PAGE, params={"urn": DATASET}).text

    assert html.count("data-delete=") == 299
    assert "and 11 more: <code>headgate rules list</code>" in html
    assert "and 10 more: <code>headgate explain</code>" in html


def test_nothing_breaks_out_of_the_page(world: World) -> None:
    """Neither what a rule covers nor what was asked for becomes markup."""
    put(world, prefix=NASTY, job="a/b <i>&")
    html = world.call("GET", "/headgate/rules", headers=PAGE, params={"urn": NASTY}).text

    assert "<script>alert" not in html
    assert "<i>&" not in html
    assert "&lt;script&gt;" in html
