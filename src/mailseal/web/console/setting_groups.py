"""How the settings are grouped and called for people: each stands in one group, in the order of the form."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Group:
    """A heading, `key` for its place in the page, and (name, label) of each of its settings."""

    key: str
    title: Text
    settings: tuple[tuple[str, Text], ...]


GROUPS: tuple[Group, ...] = (
    Group(
        "encryption",
        _("Encryption"),
        (
            ("mode", _("Encrypt mail to outside")),
            ("on_failure", _("When a mail must be encrypted and cannot be")),
            ("skip_calendar", _("Send meeting invitations unprotected")),
        ),
    ),
    Group(
        "signing",
        _("Signing"),
        (
            ("sign", _("Sign outgoing mail")),
            ("sign_only_when_encrypting", _("Sign only mail that is encrypted")),
        ),
    ),
    Group(
        "triggers",
        _("Triggers"),
        (
            ("encrypt_subject_trigger", _("Subject that asks for encryption")),
            ("sign_subject_trigger", _("Subject that asks for a signature")),
            ("subject_trigger_is_pattern", _("Subject triggers are patterns")),
            ("remove_subject_trigger", _("Take the trigger out of the subject")),
            ("encrypt_header_trigger", _("Header field that asks for encryption")),
            ("sign_header_trigger", _("Header field that asks for a signature")),
        ),
    ),
    Group(
        "incoming",
        _("Incoming mail"),
        (
            ("subject_tags", _("Show the result in the subject")),
            ("tag_decrypted", _("Tag: came encrypted")),
            ("tag_signed_by", _("Tag: signed by the sender")),
            ("tag_signed_mismatch", _("Tag: signed by someone else")),
            ("tag_invalid", _("Tag: signature is not good")),
            ("remove_signature", _("Take signatures off")),
        ),
    ),
    Group(
        "smime",
        _("S/MIME"),
        (
            ("smime", _("Use S/MIME")),
            ("smime_max_bytes", _("Largest mail for S/MIME")),
            ("smime_profile", _("Profile")),
            ("smime_cipher", _("Cipher")),
            ("smime_min_cipher_bits", _("Shortest content key")),
            ("smime_authenticated_only", _("Only ciphers that guard against changes")),
            ("smime_key_transport", _("Key transport to RSA keys")),
            ("smime_digest", _("Digest of signatures")),
            ("smime_rsa_signature", _("Padding of RSA signatures")),
            ("smime_opaque", _("Opaque signatures")),
            ("smime_read_3des", _("Read triple DES")),
            ("smime_read_rc2", _("Read RC2")),
            ("smime_read_des", _("Read DES")),
            ("smime_read_cast5", _("Read CAST5")),
        ),
    ),
    Group(
        "certificates",
        _("Certificates"),
        (
            ("harvest_certificates", _("Keep certificates from signed mail")),
            ("new_key_for_known_address", _("A new key for a known address")),
            ("additional_certificates", _("Additional certificates")),
            ("revocation_unknown", _("When revocation is not known")),
            ("legacy_subject_email", _("Believe an address in the subject")),
        ),
    ),
    Group(
        "pgp",
        _("OpenPGP"),
        (
            ("pgp", _("Use OpenPGP")),
            ("pgp_max_bytes", _("Largest mail for OpenPGP")),
            ("pgp_format", _("Form of the mail")),
            ("pgp_compression", _("Compression")),
            ("pgp_open_inline", _("Open OpenPGP inside texts")),
            ("pgp_additional_keys", _("Additional keys")),
            ("pgp_generate_signing_key", _("Make a key for senders without one")),
            ("pgp_lookup", _("Look for keys on the network")),
            ("pgp_trust_wkd", _("Trust what a domain publishes (WKD)")),
            ("pgp_harvest_keys", _("Keep keys that come with mail")),
            ("pgp_remove_key_attachments", _("Take attached keys out of mail")),
            ("pgp_autocrypt", _("Send Autocrypt fields")),
        ),
    ),
    Group(
        "authentication",
        _("DKIM and ARC"),
        (
            ("dkim_sign", _("Sign for the domain (DKIM)")),
            ("dkim_valid_days", _("How long a DKIM signature holds")),
            ("authentication_results", _("Report authentication results")),
            ("arc_seal", _("Seal forwarded mail (ARC)")),
        ),
    ),
    Group(
        "dlp",
        _("DLP and quarantine"),
        (
            ("dlp", _("Look through outgoing mail")),
            ("dlp_without_patterns", _("Look through mail that no pattern is for")),
            ("dlp_uninspectable", _("What cannot be read")),
            ("dlp_partial", _("What was read in part")),
            ("dlp_unknown_format", _("What is of an unknown format")),
            ("quarantine_days", _("How long mail is held")),
            ("dlp_managers", _("DLP managers")),
        ),
    ),
    Group(
        "notices",
        _("Notices"),
        (
            ("notify_outside_managers", _("Tell managers outside, too")),
            ("notify_managers", _("Tell managers of")),
            ("notify_sender", _("Tell the sender of")),
            ("notify_recipient", _("Tell the recipient of")),
            ("notice_subject", _("Quote the subject in notices")),
            ("notice_from", _("Notices are from")),
            ("notice_envelope_from", _("Envelope sender of notices")),
            ("notice_language", _("Language of notices")),
            ("notices_per_hour", _("Notices per hour at most")),
        ),
    ),
    Group("log", _("Message log"), (("log_subject", _("Keep the subject in the log")),)),
)
"""A test holds that no setting is left out."""

LABELS: dict[str, Text] = {name: label for group in GROUPS for name, label in group.settings}
