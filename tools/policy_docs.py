"""Write docs/policy.md from the table of settings; with --check only say whether it is up to date."""

import sys
from enum import StrEnum
from pathlib import Path

from mailseal.policy.settings import SETTINGS, Pairing, SettingInfo, Strength, show_value

PAGE = Path(__file__).resolve().parent.parent / "docs" / "policy.md"

INTRODUCTION = """\
# Policy: what happens to a mail, and how to set it

This page is written by `tools/policy_docs.py` from the table in `mailseal/policy/table.py`; `make docs` writes it anew.
`mailseal message explain FILE --from A --to B` says what would happen to a mail and each reason for it.

## Which way a copy takes

Each recipient is looked at alone. A copy for an address in an internal domain takes the open path: it is decrypted and
verified. A copy for any other address takes the protect path below. If incoming mail is not decrypted, the recipient's
domain is most likely not marked internal: `mailseal check` tells.

## The protect path, in order

1. **Findings** in the content ([dlp.md](dlp.md)): the strongest action wins. One that blocks refuses the copy, one that
   quarantines holds it; one that demands encryption counts in step 3.
2. **Encrypted already**, judged by the structure of the mail: left alone, neither encrypted nor signed.
3. **Must it be encrypted?** Yes when the mode of either side is `mandatory`, when a finding demands it, or when the
   sender asks by a trigger in the subject or a header field. This beats `never`.
4. **Invitations**: with `skip_calendar` on both sides a meeting invitation goes without protection, unless it must be
   encrypted.
5. **Mode** of the pair: `never` ends here; with `allow` the copy is encrypted when that is possible.
6. **Method**: the methods are tried in order (S/MIME, OpenPGP). One that is turned off, for which the mail is too
   large, or for which the recipient has no usable key, is passed over, and the reason is kept. While keys are looked
   for (`pgp_lookup`) and nothing before protects the copy, it waits: it is deferred.
7. **Nothing worked and it must be encrypted**: it is not sent. `on_failure` says whether the sender's client gets a 550
   (`refuse`), the mail is held (`quarantine`) or the sender gets a report (`notify`; the null sender gets the 550). A
   sender outside and one that is not authorised always get the 550. What must be encrypted never leaves in clear.
8. **Delayed findings** of a copy that would leave in clear count now, as those in step 1, and all is planned again.
9. **Signature**: an encrypted copy is signed first, and one in clear is signed, when the sender has a usable key.
   `sign` and `sign_only_when_encrypting` restrict that, a sign trigger lifts the restriction. Mail that came signed is
   not signed again.

Only mail that came in by a listener for authorised senders, from an internal address, is signed, can fire triggers, and
leads to reports. Mail of a user who has logged in is signed only as whom its login may be
([submission.md](submission.md)). What restricts mail, such as the mode `mandatory`, holds for everybody's mail.

## Levels

A setting can be set at four levels. The lower in this list wins; what is not set anywhere has the factory value.

| level | for |
|---|---|
| factory | everybody (the defaults below) |
| global | everybody |
| wildcard | `*.example.com`: domains below example.com, but not example.com itself; `*.a.example.com` wins over it |
| domain | one domain |
| address | one address, compared without regard to upper and lower case |

A **locked** value cannot be weakened at a lower level: a weaker value there is ignored, a stronger one counts. The
column "stronger" says what that means; for settings without an order a locked value cannot be changed. A locked subject
trigger also locks whether it is read as a pattern.

Settings of outside recipients are set at the same levels, under their own domains and addresses. A mail with the null
sender has the settings of its internal From address, or else the global ones.

## How the two sides combine

The sender's and the recipient's settings make the ones that count. If the envelope sender and an internal From address
differ, of each setting the stronger value counts, and the triggers of both.

| rule | the value that counts |
|---|---|
"""

PAIRINGS = {
    Pairing.MODE: (
        "either `mandatory`: must be encrypted; else either `force`: as `allow`; else either `never`: `never`;"
        " else `allow`"
    ),
    Pairing.BOTH: "yes only if both sides say yes",
    Pairing.EITHER: "the stronger of the two; yes if one side says yes",
    Pairing.SMALLER: "the smaller number",
    Pairing.UNION: "the values of both sides together",
    Pairing.RECIPIENT: "the recipient's",
    Pairing.SENDER: "the sender's",
}

STRENGTHS = {
    Strength.LOWER: "no",
    Strength.SUPERSET: "more of them",
    Strength.FIXED: "no order",
}


def page() -> str:
    """The whole page."""
    rules = [f"| {rule.value} | {PAIRINGS[rule]} |" for rule in Pairing]
    settings = [
        "",
        "## Settings",
        "",
        "Set one with `mailseal settings set NAME VALUE [--domain D | --address A]`; `mailseal settings show` tells",
        "the value that counts and the level that it comes from.",
        "",
        "| name | type | default | unit | sides combine by | stronger | |",
        "|---|---|---|---|---|---|---|",
        *[_row(info) for info in SETTINGS],
        "",
    ]
    return INTRODUCTION + "\n".join([*rules, *settings])


def _row(info: SettingInfo) -> str:
    default = show_value(info.name, info.default)
    cells = [
        f"`{info.name}`",
        _type(info),
        f"`{default}`" if default else "(empty)",
        info.unit,
        info.pairing.value,
        _stronger(info),
        info.help,
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(info: SettingInfo) -> str:
    if issubclass(info.type, StrEnum):
        return ", ".join(f"`{one}`" for one in info.type)
    if info.type is int:
        return f"number, {info.lowest} to {info.highest}; K, M, G allowed"
    return {bool: "yes or no", tuple: "list", str: "text"}[info.type]


def _stronger(info: SettingInfo) -> str:
    if info.strength is Strength.HIGHER:
        return "yes" if info.type is bool else "larger" if info.type is int else "further right"
    return STRENGTHS[info.strength]


def main() -> int:
    """Write or check; exit code 1 when a check finds the page stale."""
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    print("docs/policy.md is not what the table of settings says; write it anew with `make docs`")
    return 1


if __name__ == "__main__":
    sys.exit(main())
