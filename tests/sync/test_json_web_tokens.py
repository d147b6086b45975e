"""JSON Web Tokens: which are taken, which are not, and what they allow."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm

from replicell.sync import AccessDeniedError, Identity, JwtTokens, Request
from replicell.sync.access.gate import Gate
from replicell.sync.access.key_sets import KeySource
from replicell.sync.errors import KeySetError, MissingPackageError, SyncError
from tests.sync.support import Clock

SECRET = "a secret of thirty-two characters"
HOUR = 3600


class Signer:
    """Makes tokens with a key pair of its own."""

    def __init__(self, kid: str) -> None:
        self.kid = kid
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public = self._key.public_key().public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        ).decode()  # fmt: skip
        self.private = self._key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ).decode()  # fmt: skip
        self.jwk = {**ECAlgorithm.to_jwk(self._key.public_key(), as_dict=True), "kid": kid}

    def sign(self, **claims: Any) -> str:
        return jwt.encode(
            {"exp": time.time() + HOUR, **claims}, self.private, algorithm="ES256", headers={"kid": self.kid}
        )


@pytest.fixture(scope="module")
def anna() -> Signer:
    return Signer("anna's")


@pytest.fixture(scope="module")
def ben() -> Signer:
    return Signer("ben's")


def signed(**claims: Any) -> str:
    return jwt.encode({"exp": time.time() + HOUR, **claims}, SECRET, algorithm="HS256")


def shared(**options: Any) -> JwtTokens:
    return JwtTokens(SECRET, algorithms=["HS256"], **options)


async def bearer(tokens: JwtTokens, token: str | None) -> Identity | None:
    return await tokens(Request(room="room", token=token))


async def refusal(tokens: JwtTokens, token: str) -> str:
    with pytest.raises(AccessDeniedError) as caught:
        await bearer(tokens, token)
    assert not caught.value.forbidden
    return str(caught.value)


async def test_its_claims_say_who_may_do_what_where_and_until_when() -> None:
    ends = time.time() + HOUR
    token = signed(sub="anna", rooms={"team/*": "write", "plans": "read"}, exp=ends, colour="red")

    identity = await bearer(shared(), token)

    assert identity is not None
    assert identity.name == "anna"
    assert [identity.right(room) for room in ("team/a", "plans", "other")] == ["write", "read", "none"]
    assert identity.expires_at == pytest.approx(ends)
    assert identity.claims["colour"] == "red"


@pytest.mark.parametrize(
    ("claims", "right"),
    [
        ({"rooms": ["room"]}, "write"),
        ({"rooms": ["r*"], "access": "read"}, "read"),
        ({"rooms": []}, "none"),
        ({}, "none"),
    ],
)
async def test_rooms_may_be_a_list_with_one_right_for_all(claims: dict[str, Any], right: str) -> None:
    identity = await bearer(shared(), signed(**claims))

    assert identity is not None
    assert identity.right("room") == right


async def test_without_a_token_it_is_nobody() -> None:
    assert await bearer(shared(), None) is None


async def test_what_tokens_without_rooms_allow_can_be_given() -> None:
    identity = await bearer(shared(rooms={"lobby": "read"}), signed())

    assert identity is not None
    assert identity.right("lobby") == "read"


async def test_another_mapping_of_claims_can_be_given_but_no_later_end() -> None:
    ends = time.time() + HOUR
    tokens = shared(identify=lambda claims: Identity(name=claims["email"], expires_at=ends + HOUR))

    identity = await bearer(tokens, signed(email="a@b.example", exp=ends))

    assert identity is not None
    assert identity.name == "a@b.example"
    assert identity.expires_at == pytest.approx(ends)


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "exp"),
        ({"nbf": time.time() + HOUR}, "not yet valid"),
        ({"iat": time.time() + HOUR}, "not yet valid"),
        ({"aud": "someone else"}, "[Aa]udience"),
        ({"iss": "someone else"}, "issuer"),
        ({"rooms": {"room": "everything"}}, "make no sense"),
        ({"rooms": "room"}, "make no sense"),
        ({"rooms": ["room"], "access": "everything"}, "make no sense"),
        ({"sub": 7}, "[Ss]ubject"),
    ],
)
async def test_claims_that_are_not_right_are_refused_with_a_reason(
    claims: dict[str, Any], reason: str
) -> None:
    tokens = shared(audience="todo", issuer="https://id.example")
    every = {"aud": "todo", "iss": "https://id.example", "exp": time.time() + HOUR, **claims}
    token = jwt.encode({key: val for key, val in every.items() if val is not None}, SECRET, "HS256")

    with pytest.raises(AccessDeniedError, match=reason):
        await bearer(tokens, token)


async def test_an_audience_that_nobody_asked_for_is_refused() -> None:
    assert "udience" in await refusal(shared(), signed(aud="another service"))


async def test_clocks_may_differ_by_the_leeway() -> None:
    tokens = shared(leeway=60)

    identity = await bearer(tokens, signed(exp=time.time() - 30))
    assert identity is not None
    assert identity.expires_at is not None
    assert identity.expires_at > time.time()
    assert "expired" in await refusal(tokens, signed(exp=time.time() - 90))


async def test_a_token_without_a_signature_is_refused() -> None:
    unsigned = jwt.encode({"exp": time.time() + HOUR}, "", algorithm="none")

    assert "not allowed" in await refusal(shared(), unsigned)
    for name in ("none", "None", "NONE"):
        with pytest.raises(SyncError, match="algorithms are some of"):
            JwtTokens(SECRET, algorithms=[name])


async def test_a_public_key_is_no_shared_secret(anna: Signer) -> None:
    """Whoever knows the public key could otherwise sign with it."""
    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode()).rstrip(b"=")
    body = base64.urlsafe_b64encode(json.dumps({"exp": time.time() + HOUR}).encode()).rstrip(b"=")
    import hashlib
    import hmac

    mac = hmac.new(anna.public.encode(), header + b"." + body, hashlib.sha256).digest()
    forged = b".".join((header, body, base64.urlsafe_b64encode(mac).rstrip(b"="))).decode()

    assert "not allowed" in await refusal(JwtTokens(anna.public, algorithms=["ES256"]), forged)
    with pytest.raises(SyncError, match="or some of"):
        JwtTokens(anna.public, algorithms=["ES256", "HS256"])
    with pytest.raises(SyncError, match="cannot be used for HS256"):
        JwtTokens(anna.public, algorithms=["HS256"])


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "\udcff", "." * 100, "x" * 20_000, "é.é.é"])
async def test_what_is_no_token_is_refused(token: str) -> None:
    assert await refusal(shared(), token)


async def test_somebody_elses_signature_is_refused(anna: Signer, ben: Signer) -> None:
    tokens = JwtTokens(anna.public, algorithms=["ES256"])

    assert await bearer(tokens, anna.sign()) is not None
    assert "ignature" in await refusal(tokens, ben.sign())
    assert "ignature" in await refusal(tokens, anna.sign()[:-8] + "AAAAAAAA")


async def test_a_key_set_may_be_exchanged_while_it_is_in_use(
    anna: Signer, ben: Signer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [anna.jwk]}))
    tokens = JwtTokens(key_set=path, algorithms=["ES256"])
    assert await bearer(tokens, anna.sign()) is not None
    assert "not known" in await refusal(tokens, ben.sign())

    path.write_text(json.dumps({"keys": [anna.jwk, ben.jwk]}))
    os.utime(path, ns=(1, 1))
    assert await bearer(tokens, ben.sign()) is not None
    assert await bearer(tokens, anna.sign()) is not None

    path.write_text("no JSON")
    assert await bearer(tokens, ben.sign()) is not None
    assert "cannot be read" in caplog.text


async def test_a_function_may_get_the_key_set_and_is_not_asked_for_each_invented_key(
    anna: Signer, ben: Signer
) -> None:
    asked = 0

    async def get() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        return {"keys": [anna.jwk]}

    tokens = JwtTokens(key_set=get, algorithms=["ES256"], refresh_seconds=1000)

    assert await bearer(tokens, anna.sign()) is not None
    for _ in range(20):
        assert "not known" in await refusal(tokens, ben.sign())
    assert asked == 1


async def test_a_key_is_asked_for_again_once_the_pause_is_over(anna: Signer, ben: Signer) -> None:
    keys = [anna.jwk]
    tokens = JwtTokens(key_set=lambda: {"keys": keys}, algorithms=["ES256"], refresh_seconds=0)
    assert await bearer(tokens, anna.sign()) is not None

    keys.append(ben.jwk)

    assert await bearer(tokens, ben.sign()) is not None


async def test_a_key_that_was_taken_out_of_the_set_is_refused_once_the_set_is_too_old(
    anna: Signer, ben: Signer
) -> None:
    keys = [anna.jwk]
    for max_age in (1000, 0):
        tokens = JwtTokens(
            key_set=lambda: {"keys": keys},
            algorithms=["ES256"],
            refresh_seconds=0,
            max_age_seconds=max_age,
        )
        keys[:] = [anna.jwk]
        assert await bearer(tokens, anna.sign()) is not None
        keys[:] = [ben.jwk]
        if max_age:
            assert await bearer(tokens, anna.sign()) is not None
        else:
            assert "not known" in await refusal(tokens, anna.sign())


async def test_many_tokens_at_once_make_one_call_and_who_gives_up_leaves_it_to_the_others(
    anna: Signer,
) -> None:
    asked, was_asked, may_answer = 0, asyncio.Event(), asyncio.Event()

    async def get() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        was_asked.set()
        await may_answer.wait()
        return {"keys": [anna.jwk]}

    tokens = JwtTokens(key_set=get, algorithms=["ES256"], refresh_seconds=0)
    impatient, *patient = [asyncio.create_task(bearer(tokens, anna.sign())) for _ in range(50)]
    await was_asked.wait()
    impatient.cancel()
    may_answer.set()

    assert None not in await asyncio.gather(*patient)
    assert impatient.cancelled()
    assert asked == 1


async def test_a_source_that_fails_is_not_asked_for_everybody_and_nobody_is_called_a_stranger_for_it(
    anna: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    asked = 0

    def get() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        raise OSError("the provider is away")

    gate = Gate(JwtTokens(key_set=get, algorithms=["ES256"]), hook_seconds=5.0)
    for _ in range(20):
        wicket = await gate.ask(Request(room="room", token=anna.sign()))
        assert (wicket.identity, wicket.verdict) == (None, "internal")
        assert "the provider" not in wicket.reason

    assert asked == 1
    assert len(caplog.records) == 1
    assert "the provider is away" in caplog.text


class TestKeySources:
    """By a clock of their own: when the function is called, and which keys count meanwhile."""

    async def test_keys_stay_good_while_the_source_fails_and_it_is_asked_again_soon(
        self, anna: Signer, ben: Signer
    ) -> None:
        clock = Clock()
        calls: list[float] = []
        answers: list[dict[str, Any] | OSError] = [{"keys": [anna.jwk]}]

        def get() -> dict[str, Any]:
            calls.append(clock.now)
            if isinstance(answer := answers[-1], OSError):
                raise answer
            return answer

        source = KeySource(jwt, get, 60.0, 3600.0, clock)
        assert (await source.find(anna.kid)).key_id == anna.kid
        answers.append(OSError("away"))
        for clock.now in (59.0, 3600.0):
            await source.find(anna.kid)
        assert calls == [0.0]
        for clock.now in (3601.0, 3602.0, 3606.9, 3607.5):
            assert (await source.find(anna.kid)).key_id == anna.kid
        assert calls[1:] == [3601.0, 3607.5]

        answers.append({"keys": [ben.jwk]})
        clock.now = 3614.0
        with pytest.raises(jwt.InvalidKeyError, match="not known"):
            await source.find(anna.kid)

    async def test_an_unknown_key_is_looked_for_once_a_pause(self, anna: Signer) -> None:
        clock, calls = Clock(), 0

        def get() -> dict[str, Any]:
            nonlocal calls
            calls += 1
            return {"keys": [anna.jwk]}

        source = KeySource(jwt, get, 60.0, 3600.0, clock)
        for clock.now, expected in ((0.0, 1), (59.9, 1), (60.0, 2), (61.0, 2)):
            with pytest.raises(jwt.InvalidKeyError):
                await source.find("invented")
            assert calls == expected

    async def test_an_answer_that_is_no_key_set_is_a_failure_too(self, anna: Signer) -> None:
        source = KeySource(jwt, lambda: {"error": "not found"}, 60.0, 3600.0, Clock())
        with pytest.raises(KeySetError, match="cannot be had"):
            await source.find(anna.kid)

    async def test_a_call_that_was_given_up_with_its_event_loop_is_made_again(self, anna: Signer) -> None:
        begun = asyncio.Event()

        async def get() -> dict[str, Any]:
            if not begun.is_set():
                begun.set()
                await asyncio.Event().wait()
            return {"keys": [anna.jwk]}

        source = KeySource(jwt, get, 0.0, 3600.0, Clock())
        before = asyncio.all_tasks()
        waiting = asyncio.create_task(source.find(anna.kid))
        await begun.wait()
        (fetching,) = asyncio.all_tasks() - before - {waiting}
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert (await source.find(anna.kid)).key_id == anna.kid


async def test_a_token_that_names_no_key_is_taken_only_where_there_is_one(anna: Signer, ben: Signer) -> None:
    token = jwt.encode({"exp": time.time() + HOUR}, anna.private, algorithm="ES256")

    one = JwtTokens(key_set=lambda: {"keys": [anna.jwk]}, algorithms=["ES256"])
    two = JwtTokens(key_set=lambda: {"keys": [anna.jwk, ben.jwk]}, algorithms=["ES256"])

    assert await bearer(one, token) is not None
    assert "not known" in await refusal(two, token)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"algorithms": ["HS256"]}, "key= or key_set="),
        ({"algorithms": ["HS256"], "key": SECRET, "key_set": "x.json"}, "key= or key_set="),
        ({"algorithms": [], "key": SECRET}, "algorithms are some of"),
        ({"algorithms": ["HS1"], "key": SECRET}, "algorithms are some of"),
        ({"algorithms": "HS256", "key": SECRET}, "algorithms is a list"),
        ({"algorithms": ["HS256"], "key": "short"}, "too short for HS256"),
        ({"algorithms": ["ES256"], "key": "no PEM"}, "cannot be used for ES256"),
        ({"algorithms": ["ES256"], "key_set": "missing.json"}, r"missing\.json cannot be read"),
        ({"algorithms": ["HS256"], "key": SECRET, "rooms": {"*": "all"}}, "the right in"),
    ],
)
def test_what_would_refuse_every_token_is_refused_at_the_start(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(SyncError, match=rule):
        JwtTokens(**options)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)

    with pytest.raises(MissingPackageError, match=r'pip install "replicell\[server\]"'):
        shared()
