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
    Defer,
    Finding,
    Hold,
    MethodName,
    Notify,
    Plan,
    Protect,
    Refuse,
)
from mailseal.policy.notice_kind import EVENTS, FOR_RECIPIENTS
from mailseal.policy.reason import ReasonCode, because
from mailseal.policy.settings import SETTINGS, SettingInfo, Settings

FINGERPRINT = st.text("0123456789abcdef", min_size=64, max_size=64)
PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]) | st.just(" "), max_size=20).map(str.strip)
HEADER_TRIGGERS = st.sampled_from(["", "X-Secure", "X-Secure: (?i)^yes$", "Sensitivity: Company"])
ADDRESS = st.sampled_from(["a@example.com", "B.c@example.net", '"d e"@example.org'])
ELEMENTS = {
    "dlp_managers": ADDRESS,
    "notify_managers": st.sampled_from(EVENTS),
    "notify_sender": st.sampled_from(EVENTS),
    "notify_recipient": st.sampled_from(FOR_RECIPIENTS),
}
TEXTS = {
    "notice_from": st.just("") | ADDRESS,
    "notice_envelope_from": st.just("") | ADDRESS,
    "notice_language": st.sampled_from(["en", "de", "pt-br"]),
}


def value_of(info: SettingInfo) -> st.SearchStrategy:
    if issubclass(info.type, StrEnum):
        return st.sampled_from(info.type)
    if info.type is bool:
        return st.booleans()
    if info.type is int:
        return st.integers(info.lowest, info.highest)
    if info.type is tuple:
        return st.lists(ELEMENTS.get(info.name, FINGERPRINT), max_size=3, unique=True).map(tuple)
    if info.name in TEXTS:
        return TEXTS[info.name]
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
    pgp_max_bytes=st.sampled_from([1024, 5000, 2**31 - 1]),
    additional_certificates=st.sampled_from([(), ("aa",), ("bb", "aa")]),
    encrypt_subject_trigger=st.sampled_from(["", "a"]),
)

findings = st.lists(
    st.builds(Finding, st.sampled_from(["card", "iban"]), st.sampled_from(Action), key=st.sampled_from("ab")),
    max_size=3,
)

asked_values = st.builds(
    Asked,
    encrypt=st.none() | st.just(because(ReasonCode.TRIGGER_ENCRYPT_SUBJECT, trigger="x")),
    sign=st.none() | st.just(because(ReasonCode.TRIGGER_SIGN_SUBJECT, trigger="y")),
    calendar=st.booleans(),
    already=st.sampled_from(Already),
    size_bytes=st.sampled_from([0, 1024, 1025, 5000, 5001, 2**31]),
    been_through=st.booleans(),
)

NO_CERTIFICATE = because(ReasonCode.NO_CERTIFICATE, address="b@example.net")
AWAITED = because(ReasonCode.TRANSIENT_FAILURE, detail="keys are being looked for")


def _able(found: dict[MethodName, tuple[str, ...] | None], signers: dict[MethodName, str]) -> Able:
    return Able(
        keys={method: keys for method, keys in found.items() if keys},
        unable={method: NO_CERTIFICATE for method, keys in found.items() if keys == ()},
        signers=signers,
        no_signer=None if signers else because(ReasonCode.NO_SIGNING_KEY, address="a@example.com"),
        awaited={method: AWAITED for method, keys in found.items() if keys is None},
    )


# None: keys are awaited.
able_values = st.builds(
    _able,
    st.fixed_dictionaries({method: st.sampled_from([(), ("aa",), ("aa", "bb"), None]) for method in MethodName}),
    st.dictionaries(st.sampled_from(MethodName), st.just("cc")),
)


def strength(plan: Plan) -> int:
    """How much a plan lets out: 0 in clear, 1 encrypted, 2 nothing."""
    match plan:
        case Clear():
            return 0
        case Protect():
            return 1
        case Notify() | Hold() | Refuse() | Defer():
            return 2
        case _:
            raise AssertionError(plan)


def with_value(settings: Settings, name: str, value: object) -> Settings:
    return replace(settings, **{name: value})
