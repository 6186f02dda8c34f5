"""The simulator: sender, recipients and, if at hand, the mail; what would happen, and because of which settings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as now_gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from mailseal.mail.address import Address, AddressError
from mailseal.mail.envelope import Origin
from mailseal.policy.reason import Reason
from mailseal.store import console_jobs
from mailseal.store.console_jobs import MAX_BLOB_BYTES, ActionFailed, Failed, Json, StillRunning
from mailseal.store.outcomes import known_reasons
from mailseal.web.access import Area, Principal
from mailseal.web.console.causes import Cause, Causes
from mailseal.web.console.mail_story import label
from mailseal.web.guard import needs, principal
from mailseal.web.told import told

MAX_RECIPIENTS = 50


class Question(forms.Form):
    """The envelope, and the mail if there is one."""

    sender = forms.CharField(
        label=_("Sender"), max_length=320, required=False, help_text=_("Empty: the null sender, as of a bounce.")
    )
    recipients = forms.CharField(
        label=_("Recipients"),
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("One on each line, or with commas between."),
    )
    subject = forms.CharField(label=_("Subject"), max_length=400, required=False)
    mail = forms.FileField(
        label=_("The mail itself"),
        required=False,
        allow_empty_file=True,
        help_text=_(
            "A file in the format of Internet mail (.eml). Without one, a short mail with this subject is made."
        ),
    )
    origin = forms.ChoiceField(
        label=_("Comes from"),
        required=False,
        choices=[
            ("", _("where it follows from the sender")),
            (Origin.AUTHORISED.value, _("our own network")),
            (Origin.OUTSIDE.value, _("outside")),
        ],
    )
    submission = forms.BooleanField(label=_("Handed in by a user who has logged in"), required=False)

    def clean_sender(self) -> str:
        """An address, or nothing."""
        text: str = self.cleaned_data["sender"].strip()
        return "" if text in {"", "<>"} else _address(text)

    def clean_recipients(self) -> list[str]:
        """Addresses."""
        words = self.cleaned_data["recipients"].replace(",", " ").replace(";", " ").split()
        found = [_address(one) for one in dict.fromkeys(words)]
        if len(found) > MAX_RECIPIENTS:
            raise forms.ValidationError(_("These are more than %s recipients.") % MAX_RECIPIENTS)
        return found

    def clean_mail(self) -> bytes:
        """Its octets."""
        given = self.cleaned_data["mail"]
        if given is None:
            return b""
        if given.size > MAX_BLOB_BYTES:
            raise forms.ValidationError(_("The file is larger than %s MiB.") % (MAX_BLOB_BYTES >> 20))
        octets: bytes = given.read()
        return octets


def _address(text: str) -> str:
    try:
        return str(Address.parse(text))
    except AddressError as error:
        raise forms.ValidationError(f"{text[:100]}: {told(str(error))}") from None


@dataclass(frozen=True, slots=True)
class Told:
    """A reason and the settings behind it."""

    reason: Reason
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What would become of one recipient's copy."""

    recipient: str
    internal: bool
    fate: str
    treatment: str
    method: str
    hop: str
    reasons: tuple[Told, ...]
    details: tuple[tuple[object, str], ...]
    findings: Sequence[Mapping[str, Json]]


@needs(Area.SIMULATOR)
@require_http_methods(["GET", "POST"])
def simulator(request: HttpRequest) -> HttpResponse:
    """The form; posted, what would happen."""
    if request.method != "POST":
        given = {name: request.GET[name] for name in ("sender", "recipients", "subject") if name in request.GET}
        return _page(request, Question(initial=given))
    form = Question(request.POST, request.FILES)
    if not form.is_valid():
        return _page(request, form, status=422)
    asked = form.cleaned_data
    if not _theirs(principal(request), asked["sender"], asked["recipients"]):
        form.add_error(None, _("The sender, or all recipients, must be of your domains."))
        return _page(request, form, status=403)
    arguments = {
        "sender": asked["sender"],
        "recipients": asked["recipients"],
        "subject": asked["subject"],
        "origin": asked["origin"] or None,
        "submission": asked["submission"],
    }
    try:
        said = console_jobs.call("explain", arguments, blob=asked["mail"])
    except StillRunning as running:
        return redirect("simulation", running.job)
    except ActionFailed as error:
        return _page(request, form, problem=told(str(error)), status=503 if error.transient else 422)
    return _page(request, form, said)


@needs(Area.SIMULATOR)
def later(request: HttpRequest, job: UUID) -> HttpResponse:
    """What takes longer, for who has asked for it."""
    said = console_jobs.result(job)
    if said is None:
        return render(request, "simulator/wait.html", {"job": job})
    if isinstance(said, Failed):
        return _page(request, Question(), problem=told(said.text), status=503 if said.transient else 422)
    value = said.value
    recipients = "\n".join(one["recipient"] for one in value["recipients"])
    return _page(request, Question(initial={"sender": value["sender"], "recipients": recipients}), value)


def _theirs(who: Principal, sender: str, recipients: Sequence[str]) -> bool:
    """Somebody of a domain may ask of mail from it or to it."""
    domains = [Address.parse(one).domain for one in recipients]
    if sender and who.may_for(Address.parse(sender).domain, Area.SIMULATOR):
        return True
    return all(who.may_for(one, Area.SIMULATOR) for one in domains)


def _page(
    request: HttpRequest, form: Question, said: Json = None, *, problem: str = "", status: int = 200
) -> HttpResponse:
    results = [] if said is None else list(_results(said, principal(request)))
    context = {"form": form, "results": results, "said": said, "origin": _origin(said), "problem": problem}
    return render(request, "simulator/simulator.html", context, status=status)


def _origin(said: Json) -> str:
    if said is None:
        return ""
    inside = said["origin"] == Origin.AUTHORISED
    return now_gettext("from our own network") if inside else now_gettext("from outside")


def _results(said: Json, who: Principal) -> Iterator[Result]:
    causes = Causes(said["sender"], who)
    for one in said["recipients"]:
        reasons = known_reasons(one["reasons"])
        yield Result(
            one["recipient"],
            one["internal"],
            one["fate"],
            one["treatment"],
            one["method"] or "",
            one["hop"] or "",
            tuple(Told(reason, tuple(causes.of(reason, one["recipient"]))) for reason in reasons),
            tuple((label(name), value) for name, value in one["details"] if value),
            one["findings"],
        )
