"""What the console has the worker say of notices: their languages, and one as a reader would get it."""

from mailseal.errors import PermanentError
from mailseal.mail.address import Address
from mailseal.notices import catalogue, sample
from mailseal.notices.catalogue import Catalogue, Language
from mailseal.notices.choose import StoredTemplate, checked, choose
from mailseal.notices.kinds import KINDS
from mailseal.notices.render import Rendered, render
from mailseal.notices.template import Part
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.roles.console_arguments import ArgumentError, Arguments, one_of, text
from mailseal.store import notice_templates
from mailseal.store.acting import Acting
from mailseal.store.console_jobs import Json
from mailseal.wiring.gateway import Node


def preview(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`notice-preview` {kind, role, owner, language, drafts}: one about a made-up mail: subject, text, HTML.

    `drafts`: parts that are not stored, by their names. Raises TemplateError, AddressError, PermanentError.
    """
    known = catalogue.load(node.config.notices.folder)
    language = language_of(known, text(arguments, "language", catalogue.ENGLISH))
    kind, role = one_of(NoticeKind, arguments, "kind"), one_of(Role, arguments, "role", Role.SENDER)
    words = rendered(kind, role, text(arguments, "owner", ""), known, language, _drafts(arguments))
    return {"subject": words.subject, "text": words.text, "html": words.html}


def languages(node: Node, _arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`notice-languages`: those shipped, and those in the folder of the configuration; and what cannot be used."""
    known = catalogue.load(node.config.notices.folder)
    return {
        "languages": [
            {"code": one.code, "name": one.name, "own": one.code in known.own, "missing": list(one.missing())}
            for one in known.languages.values()
        ],
        "broken": [{"file": path, "problem": problem} for path, problem in known.broken],
    }


def current(node: Node, arguments: Arguments, _blob: bytes, _who: Acting) -> Json:
    """`notice-template` {kind, part, owner, language}: the template that counts there, and whence it comes."""
    known = catalogue.load(node.config.notices.folder)
    language = language_of(known, text(arguments, "language", catalogue.ENGLISH))
    stored = notice_templates.templates_for(text(arguments, "owner", ""))
    chosen = choose(one_of(NoticeKind, arguments, "kind"), language, stored, known)[one_of(Part, arguments, "part")]
    return {"text": chosen.text, "origin": chosen.origin}


def rendered(
    kind: NoticeKind,
    role: Role,
    owner: str,
    known: Catalogue,
    language: Language,
    drafts: dict[Part, str] | None = None,
) -> Rendered:
    """A notice about a made-up mail, as its reader there would get it; raises TemplateError, AddressError."""
    if role not in KINDS[kind].roles:
        raise PermanentError(f"{kind} is for {', '.join(KINDS[kind].roles)} only")
    for part, draft in (drafts or {}).items():
        checked(StoredTemplate("", kind, language.code, part, draft))
    chosen = choose(kind, language, notice_templates.templates_for(owner), known)
    reader = str(Address.parse(owner)) if "@" in owner else sample.READER
    parts = {part: chosen[part].text for part in chosen} | (drafts or {})
    return render(sample.values(kind, role, reader, known, language), lambda part: parts.get(part, ""))


def language_of(known: Catalogue, code: str) -> Language:
    """Raises PermanentError for one that is not there."""
    found = known.languages.get(code.lower())
    if found is None:
        raise PermanentError(f"there is no language {code[:40]!r}: there are {', '.join(known.languages)}")
    return found


def _drafts(arguments: Arguments) -> dict[Part, str]:
    given = arguments.get("drafts") or {}
    if not isinstance(given, dict):
        raise ArgumentError("drafts are texts by part")
    found = {}
    for name in given:
        if name not in list(Part):
            raise ArgumentError(f"a part is one of {', '.join(Part)}")
        found[Part(name)] = text(given, name)
    return found
