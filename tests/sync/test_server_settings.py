"""Where ``replicell server`` has its settings from, and what goes before what."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from replicell.commands.server_settings import (
    PREFIX,
    SETTINGS,
    UNSAID,
    SettingError,
    add_arguments,
    as_markdown,
    resolve,
)

GUIDE = Path(__file__).parents[2] / "docs" / "operations.md"


def flags(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def settings_file(folder: Path, content: str) -> str:
    path = folder / "server.toml"
    path.write_text(content)
    return str(path)


def test_a_flag_goes_before_the_environment_that_before_the_file_and_that_before_the_default(
    tmp_path: Path,
) -> None:
    path = settings_file(tmp_path, 'host = "file"\nport = 1\ndata_dir = "file"\n')
    environ = {PREFIX + "PORT": "2", PREFIX + "DATA_DIR": "environment", "PATH": "not ours"}

    settings = resolve(flags("--config", path, "--data-dir", "flag"), environ)

    assert (settings.data_dir, settings.port, settings.host) == ("flag", 2, "file")
    assert settings.schema == "auto"


def test_the_file_may_be_named_in_the_environment(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "port = 7\n")

    assert resolve(flags(), {PREFIX + "CONFIG": path}).port == 7


def test_several_are_a_list_in_the_file_and_have_commas_in_the_environment(tmp_path: Path) -> None:
    path = settings_file(tmp_path, 'token = ["a", "b"]\norigin = ["*"]\n')

    settings = resolve(flags("--config", path), {PREFIX + "ORIGIN": "https://a.example, https://b.example"})

    assert settings.token == ["a", "b"]
    assert settings.origin == ["https://a.example", "https://b.example"]
    assert resolve(flags("--token", "c", "--config", path), {}).token == ["c"]


def test_a_limit_is_lifted_with_none_wherever_it_is_set(tmp_path: Path) -> None:
    path = settings_file(tmp_path, 'limit_rooms = "none"\nlimit_idle_seconds = 5\n')

    settings = resolve(flags("--config", path), {PREFIX + "LIMIT_CONNECTIONS": "none"})

    assert settings.limit_rooms is None
    assert settings.limit_connections is None
    assert settings.limit_idle_seconds == 5.0
    assert settings.limit_tables is UNSAID


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("prot = 1", r"there is no setting 'prot': the nearest is port"),
        ("limit_conections = 1", "the nearest is limit_connections"),
        ('port = "8040"', "port is a whole number, not '8040'"),
        ("port = true", "port is a whole number, not True"),
        ("host = 7", "host is a text, not 7"),
        ('token = "a"', "token is a list"),
        ('schema = "maybe"', "schema is one of auto, strict, not 'maybe'"),
        ("port = ", "are no TOML"),
    ],
)
def test_what_the_file_may_not_hold_is_named(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        resolve(flags("--config", settings_file(tmp_path, content)), {})


@pytest.mark.parametrize(
    ("variable", "text", "reason"),
    [
        ("PROT", "1", f"there is no setting {PREFIX}PROT: the nearest is {PREFIX}PORT"),
        ("CONFIGS", "x", f"the nearest is {PREFIX}CONFIG"),
        ("PORT", "many", f"{PREFIX}PORT is a whole number, not 'many'"),
        ("LOG_FORMAT", "xml", f"{PREFIX}LOG_FORMAT is one of text, json, not 'xml'"),
    ],
)
def test_what_the_environment_may_not_hold_is_named(variable: str, text: str, reason: str) -> None:
    with pytest.raises(SettingError, match=reason):
        resolve(flags(), {PREFIX + variable: text})


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"missing\.toml cannot be read"):
        resolve(flags("--config", str(tmp_path / "missing.toml")), {})


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_each_setting_can_be_given_each_way(setting: object, tmp_path: Path) -> None:
    from replicell.commands.server_settings import Setting

    assert isinstance(setting, Setting)
    text = setting.choices[-1] if setting.choices else "7"
    literal = text if setting.kind is not str else f'"{text}"'
    path = settings_file(tmp_path, f"{setting.name} = {f'[{literal}]' if setting.many else literal}\n")

    ways = (
        resolve(flags(setting.flag, text), {}),
        resolve(flags(), {setting.variable: text}),
        resolve(flags("--config", path), {}),
    )

    expected = setting.from_text(text)
    for settings in ways:
        assert getattr(settings, setting.name) == ([expected] if setting.many else expected)


def test_the_table_in_the_guide_is_that_of_the_settings() -> None:
    _, _, rest = GUIDE.read_text(encoding="utf-8").partition("<!-- settings -->\n")
    table, _, _ = rest.partition("<!-- /settings -->")

    assert table.strip() == as_markdown().strip(), "write as_markdown() between the marks"
