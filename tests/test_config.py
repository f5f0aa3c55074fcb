"""The configuration: from YAML and the environment, every fault at once, the defaults as a file."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jobs.defaults import defaults_yaml
from jobs.faults import ConfigError, field_paths
from jobs.feeds import feed_class, installed, settings_of
from jobs.settings import load
from metering.config import Config

ROOT = Path(__file__).parent.parent


def faults(text: str, folder: Path, **environ: str) -> list[str]:
    """Return what is wrong with a configuration of this text."""
    file = folder / "streamgauge.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load(file, environ)
    return [fault.replace(str(file), "FILE") for fault in raised.value.faults]


def test_without_a_file_the_defaults_hold() -> None:
    assert load(None, {}) == Config()


def test_no_default_is_a_secret() -> None:
    secrets = [path for path in field_paths(Config) if path.endswith(("password", "secret"))]
    assert secrets == ["database.password", "sql.password", "decode.telemetry_secret"]
    dumped = Config().model_dump()
    assert {str(dumped[s][n]) for s, n in (path.split(".") for path in secrets)} == {"None"}


def test_the_sample_configuration_is_the_defaults() -> None:
    shown = (ROOT / "etc" / "streamgauge.yaml").read_text(encoding="utf-8")
    message = "run: streamgauge config defaults > etc/streamgauge.yaml"
    assert shown == defaults_yaml(), message


def test_the_defaults_as_a_file_load_as_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(defaults_yaml(), encoding="utf-8")
    assert load(file, {}) == Config()


@pytest.mark.parametrize("kind", installed())
def test_every_setting_of_a_feed_says_what_it_means(kind: str) -> None:
    fields = feed_class(kind).Settings.model_fields
    undescribed = [name for name, field in fields.items() if not field.description]
    assert [name for name in undescribed if name != "type"] == []


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("api: {threads: 3, default_limit: 7}\nspool:\n")
    config = load(file, {"STREAMGAUGE_API__THREADS": "4", "HOME": "/root"})
    assert (config.api.threads, config.api.default_limit) == (4, 7)


def test_variables_reach_every_kind_of_field() -> None:
    config = load(
        None,
        {
            "STREAMGAUGE_DATABASE__RETENTION__SAMPLES": "null",
            "STREAMGAUGE_DATABASE__PATH": "elsewhere",
            "STREAMGAUGE_DECODE__STORE_RAW": "[error, info]",
            "STREAMGAUGE_JOB": '{"shards": 8}',
            "STREAMGAUGE_JOB__TICK": "0.5",
            "STREAMGAUGE_DECODE__DROP_UNMATCHED": "true",
        },
    )
    assert config.database.retention.samples is None
    assert config.database.path == Path("elsewhere")
    assert config.decode.store_raw == ["error", "info"]
    assert (config.job.shards, config.job.tick) == (8, 0.5)
    assert config.decode.drop_unmatched is True


@given(st.text("0123456789abz:#'\"{[-~ ", min_size=1, max_size=20))
def test_a_password_in_a_variable_is_taken_as_it_is_written(text: str) -> None:
    password = load(None, {"STREAMGAUGE_SQL__PASSWORD": text}).sql.password
    assert password is not None
    assert password.get_secret_value() == text


def test_every_fault_is_said_at_once_with_its_path(tmp_path: Path) -> None:
    text = """
        api: {listn: "127.0.0.1:1", listen: localhost, threads: 0}
        listen: 127.0.0.1:1
        spool: 3
        job: {shards: many}
        database: {retention: {sample: 3}, password: 1234}
        decode: {compute_notifications: both, store_raw: info}
        """
    assert faults(text, tmp_path, STREAMGAUGE_APY__LISTEN="x") == [
        "STREAMGAUGE_APY__LISTEN: unknown section 'apy'; did you mean api?",
        "database.password: must be text; quote it",
        "database.retention.sample: unknown field; did you mean samples?",
        "api.listen: must be HOST:PORT, such as 127.0.0.1:8777",
        "api.threads: must be greater than or equal to 1",
        "api.listn: unknown field; did you mean listen?",
        "spool: must be a mapping of fields",
        "job.shards: must be a valid integer, unable to parse string as an integer",
        "decode.compute_notifications: must be 'legacy' or 'versioned'",
        "decode.store_raw: must be a list",
        "listen: unknown field; did you mean api.listen or sql.listen?",
    ]


def test_a_fault_of_a_variable_names_it(tmp_path: Path) -> None:
    assert faults("", tmp_path, STREAMGAUGE_JOB__TICK="9", STREAMGAUGE_DECODE__STORE_RAW="{a") == [
        "job.tick: must be less than or equal to 1 (from STREAMGAUGE_JOB__TICK)",
        "decode.store_raw: must be a list (from STREAMGAUGE_DECODE__STORE_RAW)",
    ]


@pytest.mark.parametrize("value", ["127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999", "h:1/x", ":1"])
def test_an_address_has_a_host_and_a_port(value: str, tmp_path: Path) -> None:
    found = faults(f"api: {{listen: '{value}'}}", tmp_path)
    assert found == ["api.listen: must be HOST:PORT, such as 127.0.0.1:8777"]


@pytest.mark.parametrize("value", ["0.0.0.0:8777", "192.0.2.1:8777", "[::]:8777", "example.org:1"])
def test_only_this_machine_is_served(value: str, tmp_path: Path) -> None:
    (found,) = faults(f"api: {{listen: '{value}'}}", tmp_path)
    assert found.startswith("api.listen: must be a loopback address")


@pytest.mark.parametrize("value", ["127.0.0.2:1", "[::1]:1", "localhost:1"])
def test_loopback_has_several_names(value: str) -> None:
    assert load(None, {"STREAMGAUGE_API__LISTEN": value}).api.listen == value


def test_numbers_are_finite(tmp_path: Path) -> None:
    found = faults("job: {lateness: .inf}\nsql: {query_seconds: .nan}", tmp_path)
    assert found == [
        "sql.query_seconds: must be a finite number",
        "job.lateness: must be a finite number",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: [", "FILE: line 1, column 5: expected the node content, but found '<stream end>'"),
        ("api: {}\nsql: {}\napi: {}", "FILE: line 3, column 1: 'api' is there twice"),
        ("[1]", "FILE: must be a mapping of sections"),
        ("3", "FILE: must be a mapping of sections"),
    ],
)
def test_a_file_that_is_no_configuration_says_where(text: str, fault: str, tmp_path: Path) -> None:
    assert faults(text, tmp_path) == [fault]


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read: No such file"):
        load(Path("nowhere.yaml"), {})


def test_feeds_are_checked_by_their_own_settings(tmp_path: Path) -> None:
    text = """
        feeds:
          - {type: rabit}
          - {name: x}
          - {type: files, name: spool, paths: [a], disorder: -1, nmae: y}
          - {type: files, paths: [a]}
          - {type: files, paths: [b]}
        """
    known = ", ".join(installed())
    assert faults(text, tmp_path) == [
        "feeds[0].type: unknown feed type 'rabit'; did you mean rabbitmq?",
        f"feeds[1].type: is required; known are {known}",
        "feeds[2].disorder: must be greater than or equal to 0",
        "feeds[2].nmae: unknown field; did you mean name?",
        "feeds[2].name: 'spool' is the name of the feed of REST pushes; names must be unique",
        "feeds[4].name: 'files' is the name of feeds[3] already; names must be unique",
    ]


def test_a_feed_is_checked_also_where_something_else_is_wrong(tmp_path: Path) -> None:
    found = faults("job: {shards: 0}\nfeeds: [{type: nothing}]", tmp_path)
    assert [fault.split(":")[0] for fault in found] == ["job.shards", "feeds[0].type"]


@pytest.mark.parametrize("kind", installed())
def test_the_example_of_a_feed_is_its_settings(kind: str) -> None:
    """Uncommenting the example gives what the feed has by default; `...` stands for what it needs."""
    text = "\n".join(line[1:] for line in defaults_yaml().splitlines() if line.startswith("#  "))
    example = next(feed for feed in yaml.safe_load(text) if feed["type"] == kind)
    fields = feed_class(kind).Settings.model_fields
    assert list(example) == list(fields)
    needed = {name for name, field in fields.items() if field.is_required() and name != "type"}
    assert {name for name, value in example.items() if value == "..."} == needed
    if not needed:
        assert settings_of([example]) == settings_of([{"type": kind}])


def test_bad_definition_files_are_faults_with_their_lines(tmp_path: Path) -> None:
    meters, events = tmp_path / "meters.yaml", tmp_path / "events.yaml"
    meters.write_text("metric:\n  - name: x\n    type: nothing\n")
    events.write_text("- traits: {}\n")
    found = faults(f"decode: {{meters: {meters}, events: {events}}}", tmp_path)
    assert {fault.split(":")[0] for fault in found} == {"decode.meters", "decode.events"}
    assert all(f"{meters}:" in fault or f"{events}:" in fault for fault in found)


def test_a_definition_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    (found,) = faults("decode: {meters: nowhere.yaml}", tmp_path)
    assert found.startswith("decode.meters: nowhere.yaml")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("STREAMGAUGE_API_LISTEN", "did you mean STREAMGAUGE_API__LISTEN?"),
        ("STREAMGAUGE_FEED", "did you mean feeds?"),
        (
            "STREAMGAUGE_OTHER__X",
            "known are alarms, api, database, decode, derive, feeds, job, spool, sql, usage",
        ),
    ],
)
def test_a_variable_that_is_meant_for_us_is_not_ignored(
    name: str, hint: str, tmp_path: Path
) -> None:
    (found,) = faults("", tmp_path, **{name: "1"})
    assert found.endswith(f"; {hint}")


@pytest.mark.parametrize("name", ["STREAMGAUGE_URL", "STREAMGAUGE_CONFIG", "STREAMGAUGE_HOME"])
def test_other_programs_variables_are_theirs(name: str) -> None:
    assert load(None, {name: "x"}) == Config()
