"""Operations on notices: the templates of the mails that Mailseal itself writes, at their levels (docs/notices.md)."""

from typing import Annotated

from django.http import HttpRequest
from ninja import Path, Query, Router
from ninja.responses import Status
from pydantic import Field

from mailseal.notices.choose import StoredTemplate, checked
from mailseal.notices.errors import TemplateError
from mailseal.notices.kinds import KINDS
from mailseal.notices.template import Part
from mailseal.policy.notice_kind import NoticeKind, Role
from mailseal.store import console_jobs, notice_templates
from mailseal.store.owners import read_owner
from mailseal.web.access import Area, Verb
from mailseal.web.api import etag
from mailseal.web.api.authentication import needs
from mailseal.web.api.listed import ReaderRole
from mailseal.web.api.owner import Owner
from mailseal.web.api.paging import ITEMS, After, Limit, Page, page
from mailseal.web.api.problem import not_found, unfit
from mailseal.web.api.shapes import Given, Shown
from mailseal.web.api.work import worked

router = Router()
_SEE, _CHANGE = needs(Area.NOTICES), needs(Area.NOTICES, Verb.CHANGE)
MAX_CHARS = 100_000

Language = Annotated[str, Path(pattern="^[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}$", description="Like `en` or `pt-br`.")]


class TemplateShown(Shown):
    """One part of a notice, set somewhere. `problem`: why it cannot be used; then the shipped one stands in for it."""

    owner: str = Field(description='An address, a domain, a wildcard; "" is everybody.')
    kind: NoticeKind
    language: str
    part: Part
    text: str
    problem: str


class TemplateGiven(Given):
    """The template."""

    text: str = Field(max_length=MAX_CHARS)


class CurrentShown(Shown):
    """The template that counts, and whence: an owner ("" is everybody), or the catalogue."""

    text: str
    origin: str


class VariableShown(Shown):
    """What a template may use."""

    name: str
    help: str
    many: bool
    fields: dict[str, str]


class KindShown(Shown):
    """A kind of notice."""

    kind: NoticeKind
    help: str
    readers: list[ReaderRole]
    variables: list[VariableShown]


class KindsShown(Shown):
    """All of them."""

    kinds: list[KindShown]


class LanguageShown(Shown):
    """A language. `own`: of the folder in the configuration; `missing`: what English stands in for."""

    code: str
    name: str
    own: bool
    missing: list[str]


class BrokenShown(Shown):
    """A file of a language that cannot be used."""

    file: str
    problem: str


class LanguagesShown(Shown):
    """All of them."""

    languages: list[LanguageShown]
    broken: list[BrokenShown]


class PreviewGiven(Given):
    """A notice about a made-up mail: of what kind, who reads it, where."""

    kind: NoticeKind
    role: ReaderRole = Role.SENDER
    owner: str = Field("", max_length=400, description="An address, a domain, a wildcard; empty: everybody.")
    language: str = Field("en", pattern="^[a-z]{2,3}(-[a-z0-9]{2,8}){0,3}$")
    drafts: dict[Part, Annotated[str, Field(max_length=MAX_CHARS)]] = Field({}, description="Parts not stored yet.")


class PreviewShown(Shown):
    """As its reader would get it."""

    subject: str
    text: str
    html: str


@router.get("/kinds", response=KindsShown, auth=_SEE, operation_id="list_notice_kinds")
def list_notice_kinds(request: HttpRequest) -> KindsShown:
    """Every kind of notice, and the variables that its templates may use."""
    return KindsShown(
        kinds=[
            KindShown(
                kind=kind,
                help=info.help,
                readers=list(info.roles),
                variables=[
                    VariableShown(name=name, help=one.help, many=one.many, fields=dict(one.fields))
                    for name, one in info.known.items()
                ],
            )
            for kind, info in KINDS.items()
        ]
    )


@router.get("/languages", response=worked(LanguagesShown), auth=_SEE, operation_id="list_notice_languages")
def list_notice_languages(request: HttpRequest) -> LanguagesShown:
    """The languages that notices can be in."""
    return LanguagesShown(**console_jobs.call("notice-languages", {}))


@router.post("/preview", response=worked(PreviewShown), auth=_SEE, operation_id="preview_notice")
def preview_notice(request: HttpRequest, given: PreviewGiven) -> PreviewShown:
    """A notice about a made-up mail, with drafts in place of what is stored."""
    return PreviewShown(**console_jobs.call("notice-preview", given.model_dump(mode="json")))


@router.get("/templates", response=Page[TemplateShown], auth=_SEE, operation_id="list_templates")
def list_templates(
    request: HttpRequest,
    owner: Annotated[str | None, Query(max_length=400, description="Of exactly this; empty: everybody's.")] = None,
    after: After = "",
    limit: Limit = ITEMS,
) -> Page[TemplateShown]:
    """Templates that were set somewhere; all others are those of the catalogue."""
    rows = notice_templates.list_templates(owner, after=_last(after), limit=limit + 1)
    return page(rows, limit, show=_shown, key=_key)


@router.get("/templates/{kind}/{language}/{part}", response=TemplateShown, auth=_SEE, operation_id="get_template")
def get_template(
    request: HttpRequest, kind: NoticeKind, language: Language, part: Part, owner: Owner = ""
) -> TemplateShown:
    """The template that is set at exactly this level."""
    return _find(owner, kind, language, part)


@router.put("/templates/{kind}/{language}/{part}", response=TemplateShown, auth=_CHANGE, operation_id="put_template")
def put_template(
    request: HttpRequest, kind: NoticeKind, language: Language, part: Part, given: TemplateGiven, owner: Owner = ""
) -> TemplateShown:
    """Set one part of a notice. A broken template is refused, and says where."""
    made = etag.change(
        request,
        lambda: _find(owner, kind, language, part),
        lambda: notice_templates.set_template(owner, kind, language, part, given.text.replace("\r\n", "\n")),
    )
    return _shown(made)


@router.delete(
    "/templates/{kind}/{language}/{part}", response={204: None}, auth=_CHANGE, operation_id="delete_template"
)
def delete_template(
    request: HttpRequest, kind: NoticeKind, language: Language, part: Part, owner: Owner = ""
) -> Status[None]:
    """Inherit this part of a notice again."""
    if not etag.change(
        request,
        lambda: _find(owner, kind, language, part),
        lambda: notice_templates.unset_template(owner, kind, language, part),
    ):
        raise not_found("template")
    return Status(204, None)


@router.get(
    "/templates/{kind}/{language}/{part}/current",
    response=worked(CurrentShown),
    auth=_SEE,
    operation_id="get_current_template",
)
def get_current_template(
    request: HttpRequest, kind: NoticeKind, language: Language, part: Part, owner: Owner = ""
) -> CurrentShown:
    """The template that counts there, inherited or not."""
    arguments = {"kind": kind.value, "language": language, "part": part.value, "owner": read_owner(owner)[1]}
    return CurrentShown(**console_jobs.call("notice-template", arguments))


def _find(owner: str, kind: NoticeKind, language: str, part: Part) -> TemplateShown:
    for one in notice_templates.list_templates(read_owner(owner)[1]):
        if (one.kind, one.language, one.part) == (kind, language, part):
            return _shown(one)
    raise not_found("template")


def _shown(one: StoredTemplate) -> TemplateShown:
    try:
        checked(one)
        problem = ""
    except TemplateError as error:
        problem = str(error)
    return TemplateShown(
        owner=one.owner, kind=one.kind, language=one.language, part=one.part, text=one.text, problem=problem
    )


def _key(one: StoredTemplate) -> str:
    return f"{one.kind.value}/{one.language}/{one.part.value}/{one.owner}"


def _last(after: str) -> StoredTemplate | None:
    if not after:
        return None
    kind, _, rest = after.partition("/")
    language, _, rest = rest.partition("/")
    part, _, owner = rest.partition("/")
    if kind not in list(NoticeKind) or part not in list(Part):
        raise unfit("that is not the `next` of a page", place="query.after")
    return StoredTemplate(owner, NoticeKind(kind), language, Part(part), "")
