"""The settings of ``replicell server``: one definition, from which flags, environment, file and the table in
the guide come.

A flag goes before the environment, the environment before the file, the file before the default.
"""

from __future__ import annotations

import argparse
import difflib
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from replicell.errors import ReplicellError

__all__ = [
    "PREFIX",
    "SETTINGS",
    "UNSAID",
    "Setting",
    "SettingError",
    "add_arguments",
    "as_markdown",
    "resolve",
]

PREFIX: Final = "REPLICELL_SERVER_"
UNSAID: Final = object()
"""In place of a limit that nobody has set: then it is the usual one."""
_CONFIG: Final = "config"
_METAVARS: Final = {"_seconds": "SECONDS", "_bytes": "BYTES", "_size": "BYTES", "token": "TOKEN"}


class SettingError(ReplicellError, ValueError):
    """A setting that there is not, or a value that it cannot have."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that can be set.

    Args:
        name: Its name in the file; the flag and the variable follow from it.
        kind: ``str``, ``int`` or ``float``.
        default: What it is otherwise.
        text: What it does, for people.
        group: Under which heading it is explained.
        choices: What it may be; empty for anything of its kind.
        many: Whether there may be several.
        is_limit: Whether it may also be ``none``.
        metavar: What stands for a value in the help.
    """

    name: str
    kind: type[str] | type[int] | type[float]
    default: object
    text: str
    group: str = ""
    choices: tuple[str, ...] = ()
    many: bool = False
    is_limit: bool = False
    metavar: str | None = None

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()

    def from_text(self, text: str) -> Any:
        """Return one value as it stands in a flag or in the environment.

        Raises:
            ValueError: It cannot be that.
        """
        if self.is_limit and text == "none":
            return None
        if self.choices and text not in self.choices:
            raise ValueError(f"one of {', '.join(self.choices)}, not {text!r}")
        try:
            return self.kind(text)
        except ValueError:
            raise ValueError(f"{self._wanted}, not {text!r}") from None

    def from_file(self, value: object) -> Any:
        """Return a value as it stands in the file.

        Raises:
            ValueError: It cannot be that.
        """
        if self.many:
            if not isinstance(value, list):
                raise ValueError(f"a list, as [{value!r}], not {value!r}")
            return [self._one_from_file(one) for one in value]
        return self._one_from_file(value)

    def _one_from_file(self, value: object) -> Any:
        if isinstance(value, str) and (self.kind is str or self.is_limit):
            return self.from_text(value)
        if self.kind is float and type(value) in (int, float):
            return float(str(value))
        return value if type(value) is self.kind else self._refuse(value)

    def _refuse(self, value: object) -> Any:
        raise ValueError(f"{self._wanted}, not {value!r}")

    @property
    def _wanted(self) -> str:
        wanted = {str: "a text", int: "a whole number", float: "a number"}[self.kind]
        return f"{wanted}, or none for no limit" if self.is_limit else wanted


def _limit(name: str, kind: type[int] | type[float], text: str) -> Setting:
    return Setting(f"limit_{name}", kind, UNSAID, text, "limits", is_limit=True)


_JWT: Final = "JSON Web Tokens (instead of --token)"
_CLUSTER: Final = "more than one machine"

SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("host", str, "127.0.0.1", "address to listen on", metavar="ADDRESS"),
    Setting("port", int, 8040, "port, 0 for any free one"),
    Setting("data_dir", str, "rooms", "folder of the rooms' files", metavar="FOLDER"),
    Setting("token", str, (), "token that may read and write", many=True),
    Setting("read_only_token", str, (), "token that may only read", many=True),
    Setting(
        "origin",
        str,
        (),
        "web page that may connect from a browser, as https://example.com, or * for all",
        many=True,
    ),
    Setting(
        "schema",
        str,
        "auto",
        "auto: create the tables clients announce, strict: keep the room's own",
        choices=("auto", "strict"),
    ),
    Setting("max_message_size", int, 1024 * 1024, "biggest message that is taken, in bytes"),
    Setting(
        "presence",
        str,
        "anonymous",
        "what clients that take part in presence are told of each other: the states that they show, also the"
        " names in their identities, or nothing",
        choices=("anonymous", "names", "off"),
    ),
    Setting("room_idle_seconds", float, 60.0, "how long a room stays open without clients"),
    Setting(
        "snapshot_bytes",
        int,
        4 * 1024 * 1024,
        "how big a room must be for new clients to fetch it as a file; none for never",
        is_limit=True,
    ),
    Setting(
        "nats", str, (), "NATS server with JetStream, as nats://host:4222", _CLUSTER, many=True, metavar="URL"
    ),
    Setting("nats_stream", str, "replicell", "name of the NATS stream", _CLUSTER),
    Setting("nats_replicas", int, 3, "how many NATS servers keep what is acknowledged: 1, 3 or 5", _CLUSTER),
    Setting(
        "nats_snapshot_bytes",
        int,
        16 * 1024 * 1024,
        "how many bytes of a room's entries a snapshot takes the place of; more, if the room is bigger",
        _CLUSTER,
    ),
    Setting(
        "nats_credentials",
        str,
        None,
        "a user's credentials for NATS, as nsc makes them; may be exchanged",
        _CLUSTER,
        metavar="FILE",
    ),
    Setting(
        "nats_tls_ca",
        str,
        None,
        "authorities that NATS servers' certificates are trusted by, as PEM; otherwise the system's",
        _CLUSTER,
        metavar="FILE",
    ),
    Setting(
        "nats_tls_certificate",
        str,
        None,
        "certificate chain as PEM that NATS is shown, where it asks for one",
        _CLUSTER,
        metavar="FILE",
    ),
    Setting(
        "nats_tls_key",
        str,
        None,
        "its private key as PEM, if in another file",
        _CLUSTER,
        metavar="FILE",
    ),
    Setting("jwt_key", str, None, "the shared secret, or the public key as PEM", _JWT, metavar="FILE"),
    Setting("jwt_key_set", str, None, "instead: a JSON Web Key Set; may be exchanged", _JWT, metavar="FILE"),
    Setting("jwt_algorithm", str, (), "algorithm that is taken, as ES256", _JWT, many=True),
    Setting("jwt_audience", str, None, "who tokens must be for", _JWT),
    Setting("jwt_issuer", str, None, "who must have made them", _JWT),
    Setting("tls_certificate", str, None, "certificate chain as PEM, for wss://", "network", metavar="FILE"),
    Setting("tls_key", str, None, "its private key as PEM, if in another file", "network", metavar="FILE"),
    Setting(
        "trusted_proxy",
        str,
        (),
        "address or network of a proxy that is believed, as 10.0.0.0/8",
        "network",
        many=True,
    ),
    Setting("proxy_header", str, "X-Forwarded-For", "where it says whom it speaks for", "network"),
    _limit("value_bytes", int, "biggest text or blob in a cell"),
    _limit("changes_per_second", float, "changes that one client may have applied a second in the long run"),
    _limit("burst_changes", int, "changes that may come at once before that counts"),
    _limit("connections", int, "connections in all"),
    _limit("connections_per_address", int, "connections from one address"),
    _limit(
        "connects_per_second",
        float,
        "attempts to connect from one address a second in the long run; ten times as many at once",
    ),
    _limit("open_rooms", int, "rooms that are open at a time"),
    _limit("rooms", int, "rooms that there are at all"),
    _limit("tables", int, "tables in a room"),
    _limit("columns", int, "columns of a table"),
    _limit("peers", int, "clients of a room that take part in presence"),
    _limit("presence_bytes", int, "biggest presence state, as JSON"),
    _limit(
        "presence_per_second", float, "presence states of a client taken a second; of more the latest counts"
    ),
    _limit("room_bytes", int, "size of a room's database"),
    _limit("handshake_seconds", float, "time for a new connection's handshakes"),
    _limit("idle_seconds", float, "time after which a client that says nothing is sent away"),
    Setting(
        "metrics_token", str, None, "token that /metrics asks for; without it all are told", "operations"
    ),
    Setting("metrics_rooms", int, 0, "how many rooms have figures of their own, by name", "operations"),
    Setting(
        "drain_seconds",
        float,
        0.0,
        "how long /readyz says no, before clients are sent away at the end",
        "operations",
    ),
    Setting(
        "log_level",
        str,
        "info",
        "how much is logged to stderr",
        "operations",
        choices=("debug", "info", "warning", "error"),
    ),
    Setting(
        "log_format",
        str,
        "text",
        "lines for people, or one JSON object a line",
        "operations",
        choices=("text", "json"),
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each setting to a parser, and one for the file."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,
        help=f"file with settings as TOML; each can also be given as {PREFIX}... in the environment",
    )
    groups: dict[str, argparse._ActionsContainer] = {"": parser}
    for setting in SETTINGS:
        group = groups.get(setting.group)
        if group is None:
            group = groups[setting.group] = parser.add_argument_group(setting.group)
        default = _shown_default(setting)
        options: dict[str, Any] = (
            {"choices": setting.choices}
            if setting.choices
            else {"metavar": setting.metavar or _metavar(setting)}
        )
        group.add_argument(
            setting.flag,
            dest=setting.name,
            action="append" if setting.many else "store",
            type=partial(_for_parser, setting.from_text),
            default=argparse.SUPPRESS,
            help=f"{setting.text}{'; repeatable' if setting.many else ''} (default: {default})",
            **options,
        )


def resolve(given: argparse.Namespace, environ: Mapping[str, str]) -> argparse.Namespace:
    """Return what holds for each setting.

    Args:
        given: The flags that were given.
        environ: The environment.

    Raises:
        SettingError: The file cannot be read, or it or the environment holds a setting that there is not, or
            one with a value that it cannot have.
    """
    resolved: dict[str, Any] = {
        setting.name: list(setting.default) if isinstance(setting.default, tuple) else setting.default
        for setting in SETTINGS
    }
    flags = vars(given)
    path = flags.get(_CONFIG) or environ.get(PREFIX + _CONFIG.upper())
    if path:
        resolved |= _from_file(Path(path))
    resolved |= _from_environment(environ)
    resolved |= {setting.name: flags[setting.name] for setting in SETTINGS if setting.name in flags}
    return argparse.Namespace(**resolved)


def as_markdown() -> str:
    """Return the table of all settings for the guide."""
    lines = ["| in the file | flag | environment | default | |", "|---|---|---|---|---|"]
    for setting in SETTINGS:
        text = setting.text.replace("|", "\\|")
        if setting.choices:
            text += f" ({', '.join(f'`{choice}`' for choice in setting.choices)})"
        if setting.many:
            text += "; several: a list in the file, commas in the environment"
        default = _shown_default(setting)
        lines.append(f"| `{setting.name}` | `{setting.flag}` | `{setting.variable}` | {default} | {text} |")
    return "\n".join(lines) + "\n"


def _shown_default(setting: Setting) -> str:
    if setting.default is UNSAID:
        return "see access.md"
    return "none" if setting.default in (None, ()) else str(setting.default)


def _metavar(setting: Setting) -> str:
    for ending, metavar in _METAVARS.items():
        if setting.name.endswith(ending):
            return metavar
    return "TEXT" if setting.kind is str else "N"


def _for_parser(from_text: Callable[[str], Any], text: str) -> Any:
    try:
        return from_text(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _from_file(path: Path) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(f"the settings {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"the settings {path} are no TOML: {error}") from error
    by_name = {setting.name: setting for setting in SETTINGS}
    resolved: dict[str, Any] = {}
    for name, value in content.items():
        if name not in by_name:
            raise SettingError(f"{path}: there is no setting {name!r}{_nearest(name, by_name)}")
        try:
            resolved[name] = by_name[name].from_file(value)
        except ValueError as error:
            raise SettingError(f"{path}: {name} is {error}") from None
    return resolved


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    by_variable = {setting.variable: setting for setting in SETTINGS}
    resolved: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX) or variable == PREFIX + _CONFIG.upper():
            continue
        setting = by_variable.get(variable)
        if setting is None:
            nearest = _nearest(variable, (*by_variable, PREFIX + _CONFIG.upper()))
            raise SettingError(f"there is no setting {variable}{nearest}")
        try:
            if setting.many:
                resolved[setting.name] = [
                    setting.from_text(one.strip()) for one in text.split(",") if one.strip()
                ]
            else:
                resolved[setting.name] = setting.from_text(text)
        except ValueError as error:
            raise SettingError(f"{variable} is {error}") from None
    return resolved


def _nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f": the nearest is {nearest[0]}" if nearest else ""
