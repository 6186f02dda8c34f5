"""URLs of signing in and of accounts. What of allauth is not here does not exist (no sign-up, no reset by mail)."""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as recovery_codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.urls import path

from mailseal.web.accounts import link, openid, own, own_tokens, people, person, provider_pages
from mailseal.web.accounts.passkeys import RemovePasskey
from mailseal.web.accounts.sign_in import PasskeyAlone, SignIn

OWN = [
    path("", own.own, name="account"),
    path("login/", SignIn.as_view(), name="account_login"),
    path("login/passkey/", PasskeyAlone.as_view(), name="mfa_login_webauthn"),
    path("login/second-factor/", mfa.authenticate, name="mfa_authenticate"),
    path("login/inactive/", account.account_inactive, name="account_inactive"),
    path("logout/", account.logout, name="account_logout"),
    path("link/", link.link, name="account_link"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("reauthenticate/code/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("reauthenticate/passkey/", webauthn.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("password/", account.password_change, name="account_change_password"),
    path("password/first/", account.password_set, name="account_set_password"),
    path("second-factor/", mfa.index, name="mfa_index"),
    path("second-factor/app/", totp.activate_totp, name="mfa_activate_totp"),
    path("second-factor/app/remove/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("second-factor/recovery/", recovery_codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("second-factor/recovery/new/", recovery_codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("second-factor/passkeys/", webauthn.list_webauthn, name="mfa_list_webauthn"),
    path("second-factor/passkeys/add/", webauthn.add_webauthn, name="mfa_add_webauthn"),
    path("second-factor/passkeys/<int:pk>/", webauthn.edit_webauthn, name="mfa_edit_webauthn"),
    path("second-factor/passkeys/<int:pk>/remove/", RemovePasskey.as_view(), name="mfa_remove_webauthn"),
    path("sessions/", own.session_list, name="usersessions_list"),
    path("tokens/", own_tokens.token_list, name="account_tokens"),
    path("tokens/new/", own_tokens.make, name="account_token_new"),
    path("tokens/<uuid:token_id>/revoke/", own_tokens.revoke, name="account_token_revoke"),
    path("openid/cancelled/", openid.cancelled, name="socialaccount_login_cancelled"),
    path("openid/<slug:provider_id>/", openid.login, name="openid_connect_login"),
    path("openid/<slug:provider_id>/callback/", openid.callback, name="openid_connect_callback"),
]

OTHERS = [
    path("", people.people, name="accounts"),
    path("new/", people.new, name="account_new"),
    path("providers/new/", provider_pages.edit, name="provider_new"),
    path("providers/<slug:provider_id>/", provider_pages.edit, name="provider"),
    path("providers/<slug:provider_id>/remove/", provider_pages.remove, name="provider_remove"),
    path("<uuid:account_id>/", person.person, name="account_of"),
    path("<uuid:account_id>/change/", person.change, name="account_change"),
    path("<uuid:account_id>/link/", person.make_link, name="account_make_link"),
    path("<uuid:account_id>/<slug:name>/", person.step, name="account_step"),
]
