"""Hypothesis strategies and the two orders that the policy properties speak of."""

from dataclasses import replace
from enum import StrEnum

from hypothesis import strategies as st

from mailseal.policy.model import (
    Able,
    Action,
    Already,
    Asked,
    Clear,
    Finding,
    MethodName,
    Notify,
    Plan,
    Protect,
    Refuse,
)
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import SETTINGS, SettingInfo, Settings

FINGERPRINT = st.text("0123456789abcdef", min_size=64, max_size=64)
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=20).map(str.strip)
HEADER_TRIGGERS = st.sampled_from(["", "X-Secure", "X-Secure: (?i)^yes$", "Sensitivity: Company"])


def value_of(info: SettingInfo) -> st.SearchStrategy:
    if issubclass(info.type, StrEnum):
        return st.sampled_from(info.type)
    if info.type is bool:
        return st.booleans()
    if info.type is int:
        return st.integers(info.lowest, info.highest)
    if info.type is tuple:
        return st.lists(FINGERPRINT, max_size=3, unique=True).map(tuple)
    if "header_trigger" in info.name:
        return HEADER_TRIGGERS
    if info.name.startswith("tag_"):
        return PRINTABLE.map(lambda text: text.replace("{", "").replace("}", "").strip())
    return PRINTABLE


# Few values for texts and sizes: policy only compares them, and much choice makes the search slow.
settings_values = st.builds(
    Settings,
    **{info.name: value_of(info) for info in SETTINGS if issubclass(info.type, StrEnum) or info.type is bool},
    smime_max_bytes=st.sampled_from([1024, 5000, 2**31 - 1]),
    additional_certificates=st.sampled_from([(), ("aa",), ("bb", "aa")]),
    encrypt_subject_trigger=st.sampled_from(["", "a"]),
)

findings = st.lists(st.builds(Finding, st.sampled_from(["card", "iban"]), st.sampled_from(Action)), max_size=3)

asked_values = st.builds(
    Asked,
    encrypt=st.none() | st.just(because(ReasonCode.TRIGGER_ENCRYPT_SUBJECT, trigger="x")),
    sign=st.none() | st.just(because(ReasonCode.TRIGGER_SIGN_SUBJECT, trigger="y")),
    calendar=st.booleans(),
    already=st.sampled_from(Already),
    size_bytes=st.sampled_from([0, 1024, 1025, 5000, 5001, 2**31]),
)

able_values = st.builds(
    lambda keys, signer: Able(
        keys={MethodName.SMIME: keys} if keys else {},
        unable={} if keys else {MethodName.SMIME: because(ReasonCode.NO_CERTIFICATE, address="b@example.net")},
        signers={MethodName.SMIME: signer} if signer else {},
        no_signer=None if signer else because(ReasonCode.NO_SIGNING_KEY, address="a@example.com"),
    ),
    st.sampled_from([(), ("aa",), ("aa", "bb")]),
    st.sampled_from([None, "cc"]),
)


def strength(plan: Plan) -> int:
    """How much a plan lets out: 0 in clear, 1 encrypted, 2 nothing."""
    match plan:
        case Clear():
            return 0
        case Protect():
            return 1
        case Notify() | Refuse():
            return 2
        case _:
            raise AssertionError(plan)


def with_value(settings: Settings, name: str, value: object) -> Settings:
    return replace(settings, **{name: value})
